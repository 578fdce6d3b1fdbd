//! A chain of stages for one size of image as one netlist.

use super::evaluate::spread;
use super::{Operation, Stages};
use crate::{
    Error, MAX_NAME, MAX_NETS, Net, Netlist, NetlistBuilder, Result, Role, TruthTable, Window,
};

impl Stages {
    /// The netlist of the whole image of `[height, width]` pixels, every position of every window
    /// with cells of its own. Its input port `x` and its output port have a word a channel and
    /// pixel, `[channels, height, width]`; the output port is called as that of the last stage, or
    /// `y` behind one without a netlist. The groups of stage `s` are called `s_` and their name,
    /// its cells `s_<row>_<column>_` and theirs, with the number of the frame before the row where
    /// there are several.
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
        let mut all: Vec<Vec<Vec<Net>>> =
            vec![nets.chunks(pixel.width).map(<[Net]>::to_vec).collect()];
        for stage in self.stages() {
            let from = stage.inputs[0];
            let (words, pixel) = (&all[from], self.pixel(from));
            let [height, width] = images[from];
            let one = pixel.channels * height * width;
            let given = match &stage.operation {
                Operation::Slide { window, outside, netlist } => {
                    let copy = Copy { stage: &stage.name, netlist, outside: *outside };
                    let mut given = Vec::new();
                    for (number, frame) in words.chunks(one).enumerate() {
                        let number = (stage.frames > 1).then_some(number);
                        let image = [pixel.channels, height, width];
                        given.extend(copy.all(window, image, frame, number, &mut build)?);
                    }
                    given
                }
                Operation::Enlarge { factors: [down, across] } => words
                    .chunks(width)
                    .flat_map(|row| std::iter::repeat_n(row, *down).flatten())
                    .flat_map(|word| std::iter::repeat_n(word.clone(), *across))
                    .collect(),
                Operation::Spread { filter, stride } => {
                    let size = images[all.len()];
                    let copy = Constants::new(&stage.name, &mut build)?;
                    let source = spread([height, width], *filter, *stride, size);
                    let positions = size[0] * size[1];
                    let zero = vec![copy.low; pixel.width];
                    let word = |frame: &[Vec<Net>], at: usize| {
                        let source = source(at / positions, at % positions);
                        source.map_or_else(|| zero.clone(), |source| frame[source].clone())
                    };
                    let every = stage.output.channels * positions;
                    let frame = |frame| (0..every).map(move |at| (frame, at));
                    { words.chunks(one).flat_map(frame) }.map(|(f, at)| word(f, at)).collect()
                }
                Operation::Modulate { frames, netlist } => {
                    let copy = Copy { stage: &stage.name, netlist, outside: 0 };
                    let mut given = Vec::new();
                    let constants = Constants::new(&stage.name, &mut build)?;
                    for number in 0..*frames {
                        let word = constants.word(number, netlist.inputs()[1].width);
                        given.extend(copy.frame(
                            words,
                            [height, width],
                            number,
                            &word,
                            &mut build,
                        )?);
                    }
                    given
                }
                Operation::Sum => {
                    let frames: Vec<&[Vec<Net>]> = words.chunks(one).collect();
                    sums(&stage.name, &frames, stage.output.width, &mut build)?
                }
                Operation::Join => {
                    let constants = Constants::new(&stage.name, &mut build)?;
                    let side = |number: usize, image: &usize| {
                        let one = all[*image].len() / stage.frames;
                        all[*image][number * one..(number + 1) * one].iter().cloned()
                    };
                    let mut given: Vec<Vec<Net>> = (0..stage.frames)
                        .flat_map(|number| {
                            stage.inputs.iter().flat_map(move |image| side(number, image))
                        })
                        .collect();
                    for word in &mut given {
                        word.resize(stage.output.width, constants.low);
                    }
                    given
                }
            };
            all.push(given);
        }
        let pixel = self.output();
        let words = all.pop().unwrap_or_default();
        let port = match self.stages().last().map(|stage| &stage.operation) {
            Some(Operation::Slide { netlist, .. } | Operation::Modulate { netlist, .. }) => {
                netlist.outputs()[0].name.as_str()
            }
            _ => "y",
        };
        build.output(port, pixel.width, &words.concat())?;
        build.finish()
    }

    /// Refuses netlists of too many nets before any is made.
    fn check_nets(&self, images: &[[usize; 2]]) -> Result<()> {
        let mut nets = 0usize;
        for (stage, after) in self.stages().iter().zip(&images[1..]) {
            let each = match &stage.operation {
                Operation::Slide { netlist, .. } | Operation::Modulate { netlist, .. } => {
                    (netlist.net_count() - netlist.input_bits()).saturating_mul(stage.frames)
                }
                // Two tables a bit.
                Operation::Sum => {
                    2 * self.frames(stage.inputs[0]).saturating_mul(stage.output.bits())
                }
                _ => 0,
            };
            nets = nets.saturating_add(each.saturating_mul(after[0] * after[1]));
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

/// Fixed bits of a stage.
#[derive(Clone, Copy)]
struct Constants {
    low: Net,
    high: Net,
}

impl Constants {
    fn new(stage: &str, build: &mut NetlistBuilder) -> Result<Self> {
        build.group(format!("{stage}_constants"), Role::Core)?;
        let low = build.constant(format!("{stage}_low"), false)?;
        Ok(Self { low, high: build.constant(format!("{stage}_high"), true)? })
    }

    /// A number as a word.
    fn word(self, number: usize, width: usize) -> Vec<Net> {
        (0..width).map(|bit| if number >> bit & 1 == 1 { self.high } else { self.low }).collect()
    }
}

/// The sums of all frames, word by word, in `width` bits: carries ripple.
fn sums(
    stage: &str,
    frames: &[&[Vec<Net>]],
    width: usize,
    build: &mut NetlistBuilder,
) -> Result<Vec<Vec<Net>>> {
    build.group(format!("{stage}_sum"), Role::Head)?;
    let mut sums: Vec<Vec<Net>> = frames[0].to_vec();
    for (number, frame) in frames.iter().enumerate().skip(1) {
        for (at, (sum, word)) in sums.iter_mut().zip(*frame).enumerate() {
            let mut carry = None;
            for bit in 0..width {
                let nets: Vec<Net> = [sum.get(bit).copied(), word.get(bit).copied(), carry]
                    .into_iter()
                    .flatten()
                    .collect();
                if nets.len() < 2 {
                    // The last carry, and nothing above it.
                    if bit == sum.len() {
                        sum.extend(nets);
                    }
                    break;
                }
                let mut table = |what: &str, table: fn(usize) -> bool| {
                    let name = format!("{stage}_{number}_{at}_{what}{bit}");
                    build.lut(name, &nets, TruthTable::from_fn(nets.len(), table)?)
                };
                let digit = table("sum", |k| k.count_ones() % 2 == 1)?;
                carry = Some(table("carry", |k| k.count_ones() >= 2)?);
                if bit < sum.len() {
                    sum[bit] = digit;
                } else {
                    sum.push(digit);
                }
            }
        }
    }
    // Frames that are few may leave digits that are always zero.
    if sums.iter().any(|sum| sum.len() < width) {
        let low = build.constant(format!("{stage}_zero"), false)?;
        for sum in &mut sums {
            sum.resize(width, low);
        }
    }
    Ok(sums)
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
        number: Option<usize>,
        build: &mut NetlistBuilder,
    ) -> Result<Vec<Vec<Net>>> {
        let sources = window.sources(image)?;
        let [rows, columns] = window.output(image)?;
        let positions = rows * columns;
        let name = match number {
            Some(number) => format!("{}_{number}", self.stage),
            None => self.stage.to_owned(),
        };
        let border = if sources.iter().any(|&source| source as usize >= words.len()) {
            self.border(&name, words[0].len(), build)?
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
            let place = format!("{name}_{}_{}", position / columns, position % columns);
            self.one(&place, &mut nets, build)?;
            for (channel, word) in output.nets.chunks(output.width).enumerate() {
                given[channel * positions + position] =
                    word.iter().map(|net| nets[net.index()]).collect();
            }
        }
        Ok(given)
    }

    /// Copies it to every pixel, for frame `number`, which `word` is; gives the words of the frame.
    fn frame(
        &self,
        words: &[Vec<Net>],
        [height, width]: [usize; 2],
        number: usize,
        word: &[Net],
        build: &mut NetlistBuilder,
    ) -> Result<Vec<Vec<Net>>> {
        let positions = height * width;
        let output = &self.netlist.outputs()[0];
        let mut given = vec![Vec::new(); output.words * positions];
        for position in 0..positions {
            let mut nets: Vec<Net> = Vec::with_capacity(self.netlist.net_count());
            nets.extend(words[position..].iter().step_by(positions).flatten());
            nets.extend(word);
            let [row, column] = [position / width, position % width];
            self.one(&format!("{}_{number}_{row}_{column}", self.stage), &mut nets, build)?;
            for (channel, word) in output.nets.chunks(output.width).enumerate() {
                given[channel * positions + position] =
                    word.iter().map(|net| nets[net.index()]).collect();
            }
        }
        Ok(given)
    }

    /// The word that lies outside the image.
    fn border(&self, name: &str, width: usize, build: &mut NetlistBuilder) -> Result<Vec<Net>> {
        build.group(format!("{}_border", self.stage), Role::Core)?;
        let bit = |bit: usize| {
            build.constant(format!("{name}_border_{bit}"), self.outside >> bit & 1 == 1)
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
