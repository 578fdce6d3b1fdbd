//! A chain of stages for one size of image as one netlist.

use super::{Operation, Stages, check_size};
use crate::{Error, MAX_NAME, MAX_NETS, Net, Netlist, NetlistBuilder, Result, Role, Window};

impl Stages {
    /// The netlist of the whole image of `[height, width]` pixels, every position of every window
    /// with cells of its own. Its input port `x` and its output port have a word a channel and
    /// pixel, `[channels, height, width]`; the output port is called as that of the last stage, or
    /// `y` behind an enlargement. The groups of stage `s` are called `s_` and their name,
    /// its cells `s_<row>_<column>_` and theirs.
    ///
    /// # Errors
    ///
    /// As [`images`](Self::images), or [`Error::Stage`] when the netlist would have more than
    /// [`MAX_NETS`] nets; an error of the builder when a name becomes too long.
    pub fn unroll(&self, image: [usize; 2]) -> Result<Netlist> {
        let images = self.images(image)?;
        self.check_nets(&images)?;
        let mut build = NetlistBuilder::new(self.name())?;
        let pixel = self.input();
        let nets = build.input("x", pixel.channels * image[0] * image[1], pixel.width)?;
        let mut words: Vec<Vec<Net>> = nets.chunks(pixel.width).map(<[Net]>::to_vec).collect();
        let mut pixel = pixel;
        for (stage, &[height, width]) in self.stages().iter().zip(&images) {
            words = match &stage.operation {
                Operation::Slide { window, outside, netlist } => {
                    let copy = Copy { stage: &stage.name, netlist, outside: *outside };
                    copy.all(window, [pixel.channels, height, width], &words, &mut build)?
                }
                Operation::Enlarge { factors: [down, across] } => words
                    .chunks(width)
                    .flat_map(|row| std::iter::repeat_n(row, *down).flatten())
                    .flat_map(|word| std::iter::repeat_n(word.clone(), *across))
                    .collect(),
            };
            pixel = stage.output;
        }
        let port = match self.stages().last().map(|stage| &stage.operation) {
            Some(Operation::Slide { netlist, .. }) => netlist.outputs()[0].name.as_str(),
            _ => "y",
        };
        build.output(port, pixel.width, &words.concat())?;
        build.finish()
    }

    /// Refuses netlists of too many nets before any is made.
    fn check_nets(&self, images: &[[usize; 2]]) -> Result<()> {
        let mut nets = 0usize;
        for (stage, after) in self.stages().iter().zip(&images[1..]) {
            check_size(&stage.name, *after, stage.output)?;
            if let Operation::Slide { netlist, .. } = &stage.operation {
                let one = netlist.net_count() - netlist.input_bits();
                nets = nets.saturating_add(one.saturating_mul(after[0] * after[1]));
            }
            if nets > MAX_NETS {
                let what = format!(
                    "at {} x {} positions its netlist has more than {MAX_NETS} nets; stream it \
                     instead",
                    after[0], after[1]
                );
                return Err(Error::Stage { stage: stage.name.clone(), what });
            }
        }
        Ok(())
    }
}

/// The netlist of one stage, to be copied to every position.
struct Copy<'a> {
    stage: &'a str,
    netlist: &'a Netlist,
    outside: u64,
}

impl Copy<'_> {
    /// Copies it to every position; gives the words of the image that comes out.
    fn all(
        &self,
        window: &Window,
        image: [usize; 3],
        words: &[Vec<Net>],
        build: &mut NetlistBuilder,
    ) -> Result<Vec<Vec<Net>>> {
        let sources = window.sources(image)?;
        let [rows, columns] = window.output(image)?;
        let positions = rows * columns;
        let border = if sources.iter().any(|&source| source as usize >= words.len()) {
            self.border(words[0].len(), build)?
        } else {
            Vec::new()
        };
        let output = &self.netlist.outputs()[0];
        let mut given = vec![Vec::new(); output.words * positions];
        for position in 0..positions {
            let mut nets: Vec<Net> = Vec::with_capacity(self.netlist.net_count());
            for at in sources[position..].iter().step_by(positions) {
                nets.extend(words.get(*at as usize).unwrap_or(&border));
            }
            let place = format!("{}_{}_{}", self.stage, position / columns, position % columns);
            self.one(&place, &mut nets, build)?;
            for (channel, word) in output.nets.chunks(output.width).enumerate() {
                given[channel * positions + position] =
                    word.iter().map(|net| nets[net.index()]).collect();
            }
        }
        Ok(given)
    }

    /// The word that lies outside the image.
    fn border(&self, width: usize, build: &mut NetlistBuilder) -> Result<Vec<Net>> {
        build.group(format!("{}_border", self.stage), Role::Core)?;
        let bit = |bit: usize| {
            let name = format!("{}_border_{bit}", self.stage);
            build.constant(name, self.outside >> bit & 1 == 1)
        };
        (0..width).map(bit).collect()
    }

    /// Copies it to one position; `nets` are those of its input, and then of all its cells.
    fn one(&self, place: &str, nets: &mut Vec<Net>, build: &mut NetlistBuilder) -> Result<()> {
        for cell in self.netlist.cells() {
            let group = &self.netlist.groups()[cell.group];
            build.group(format!("{}_{}", self.stage, group.name), group.role)?;
            let operands: Vec<Net> = cell.operands.iter().map(|net| nets[net.index()]).collect();
            let name = format!("{place}_{}", cell.name);
            if name.len() > MAX_NAME {
                return Err(Error::Name { name, max: MAX_NAME });
            }
            nets.extend(build.cell(name, cell.op.clone(), &operands)?);
        }
        Ok(())
    }
}
