//! Networks that slide over images, stage by stage.
//!
//! All images of a block of frames lie in one memory of rows, a row for each bit of a pixel. The
//! program of one window is run at every position; its inputs are moved to the rows of the image that
//! the window is over, so that no row is copied to be read. From one position to the next within the
//! image all move by the same distance, which is one addition to the code.
//!
//! ```text
//! slot 0      zeros
//! slot 1      ones
//! then        the image that goes in, images in turns, and what the programs need
//! ```

use lutweave_lut::{Operation, Pixel, Stage, Stages, Window};

use crate::graph::Graph;
use crate::kernel::moved::Moved;
use crate::lower::{Row, lower_bits};
use crate::program::Program;
use crate::rows::Rows;
use crate::{Error, Isa, Result, schedule};

/// Most rows of all images of a block, and most entries of tables of positions: 256 MiB, 128 MiB.
const MAX_ROWS: usize = 1 << 22;
const MAX_ENTRIES: usize = 1 << 25;
const OP: &str = "compile stages";

/// How the inputs of a program come to a position.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// From the position before, all by the same distance.
    Shift(u32),
    /// To these slots: the next ones of the table.
    Place,
}

/// An output bit of a program.
#[derive(Debug, Clone, Copy)]
struct Given {
    from: From,
    inverted: bool,
}

#[derive(Debug, Clone, Copy)]
enum From {
    /// A slot that does not move.
    Slot(u32),
    /// This input.
    Input(usize),
}

/// One stage.
#[derive(Debug)]
enum Step {
    Slide(Slide),
    /// Rows of the image before, each to some of the image behind: from and to.
    Copy(Vec<(u32, u32)>),
}

#[derive(Debug)]
struct Slide {
    code: Moved,
    moves: Vec<Move>,
    /// Slots of the inputs, one after the other, for each `Move::Place`.
    table: Vec<u32>,
    inputs: usize,
    outputs: Vec<Given>,
    /// Slots of the image that comes out: that of its first bit, and how many bits a word has.
    to: u32,
    width: usize,
}

/// A chain of stages for images of one size.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Slots, inputs and outputs; no operations.
    pub(crate) layout: Program,
    /// The comparisons that rows are made by, where numbers come in, and their slots.
    pub(crate) rows: Vec<Row>,
    pub(crate) packed: Vec<(u32, u32)>,
    /// Rows of bits that no byte has.
    high: Vec<u32>,
    steps: Vec<Step>,
}

/// Rows of an image in memory: `[channels, height, width]` words of some bits.
#[derive(Debug, Clone, Copy)]
struct Image {
    first: usize,
    pixel: Pixel,
    size: [usize; 2],
}

impl Image {
    fn rows(self) -> usize {
        self.size[0] * self.size[1] * self.pixel.bits()
    }

    fn words(self) -> [usize; 3] {
        [self.pixel.channels, self.size[0], self.size[1]]
    }
}

impl Staged {
    /// Compiles the stages for images of `[height, width]` pixels.
    pub(crate) fn new(stages: &Stages, image: [usize; 2]) -> Result<Self> {
        if !stages.is_chain() {
            let what = "stages with branches or several frames are not run one by one; unroll them to \
                        a netlist";
            return Err(Error::Unsupported { op: OP, what: what.to_owned() });
        }
        let sizes = stages.images(image)?;
        let pixels: Vec<Pixel> = std::iter::once(stages.input())
            .chain(stages.stages().iter().map(|stage| stage.output))
            .collect();
        let mut images: Vec<Image> = sizes
            .iter()
            .zip(pixels)
            .map(|(&size, pixel)| Image { first: 2, pixel, size })
            .collect();
        // The first image has its place; the others take turns in two more.
        let after = |images: &[Image], turn: usize| {
            let rows = images.iter().skip(1 + turn).step_by(2).map(|image| image.rows());
            rows.max().unwrap_or(0)
        };
        let turns = [2 + images[0].rows(), 2 + images[0].rows() + after(&images, 0)];
        let own = turns[1] + after(&images, 1);
        for (index, image) in images.iter_mut().skip(1).enumerate() {
            image.first = turns[index % 2];
        }
        let programs: Vec<Option<Program>> =
            stages.stages().iter().map(program).collect::<Result<_>>()?;
        let needed =
            programs.iter().flatten().map(|program| program.slots() - program.inputs().len());
        let slots = own + needed.max().unwrap_or(0);
        if slots > MAX_ROWS {
            let what = format!(
                "{} x {} pixels need {slots} rows of bits at once, more than {MAX_ROWS}; choose a \
                 smaller image",
                image[0], image[1]
            );
            return Err(Error::Unsupported { op: OP, what });
        }
        let places = Places { own: own as u32, slots: slots as u32 };
        let mut steps = Vec::new();
        for ((stage, program), pair) in stages.stages().iter().zip(&programs).zip(images.windows(2))
        {
            steps.push(places.step(stage, program.as_ref(), pair[0], pair[1])?);
        }
        Self::with(slots as u32, &images, steps)
    }

    /// Puts the ways in and out to the steps.
    fn with(slots: u32, images: &[Image], steps: Vec<Step>) -> Result<Self> {
        let (from, to) = (images[0], images[images.len() - 1]);
        let inputs = (0..from.rows() as u32).map(|row| (row, from.first as u32 + row)).collect();
        let outputs = (0..to.rows() as u32).map(|row| 2 * (to.first as u32 + row + 1)).collect();
        let layout = Program::new(from.rows() as u32, slots, inputs, Vec::new(), outputs)?;
        let (mut rows, mut packed, mut high) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..from.rows() as u32 {
            let (word, bit) = (row / from.pixel.width as u32, row % from.pixel.width as u32);
            let slot = from.first as u32 + row;
            if bit < 8 {
                packed.push((rows.len() as u32, slot));
                rows.push(Row { word, mask: 1 << bit, at_least: 1 << bit });
            } else {
                high.push(slot);
            }
        }
        Ok(Self { layout, rows, packed, high, steps })
    }

    /// Clears the rows of bits that no byte has.
    pub(crate) fn clear_high(&self, rows: &mut Rows) {
        for &slot in &self.high {
            rows.row_mut(slot as usize).fill(crate::rows::Line::default());
        }
    }

    /// Runs all stages on rows whose inputs are in place.
    pub(crate) fn run(&self, isa: Isa, rows: &mut Rows) {
        rows.row_mut(0).fill(crate::rows::Line([0; 8]));
        rows.row_mut(1).fill(crate::rows::Line([u64::MAX; 8]));
        for step in &self.steps {
            match step {
                Step::Slide(slide) => slide.run(isa, rows),
                Step::Copy(pairs) => {
                    for &(from, to) in pairs {
                        copy(rows, from, to, false);
                    }
                }
            }
        }
    }
}

impl Slide {
    fn run(&self, isa: Isa, rows: &mut Rows) {
        let mut code = self.code.clone();
        let mut slots = vec![0; self.inputs];
        let mut table = self.table.chunks_exact(self.inputs.max(1));
        for (position, step) in self.moves.iter().enumerate() {
            match *step {
                Move::Shift(by) => {
                    code.shift(by);
                    for slot in &mut slots {
                        *slot += by;
                    }
                }
                Move::Place => {
                    if let Some(next) = table.next() {
                        slots.copy_from_slice(next);
                    }
                    code.place(&slots);
                }
            }
            code.run(isa, rows);
            for (word, bits) in self.outputs.chunks(self.width).enumerate() {
                let word = (word * self.moves.len() + position) * self.width;
                for (given, to) in bits.iter().zip(self.to + word as u32..) {
                    let from = match given.from {
                        From::Slot(slot) => slot,
                        From::Input(input) => slots[input],
                    };
                    copy(rows, from, to, given.inverted);
                }
            }
        }
    }
}

/// Copies a row, or its inverse.
fn copy(rows: &mut Rows, from: u32, to: u32, inverted: bool) {
    let flip = if inverted { u64::MAX } else { 0 };
    for line in 0..rows.width {
        let bits = rows.row(from as usize)[line].0.map(|word| word ^ flip);
        rows.row_mut(to as usize)[line].0 = bits;
    }
}

/// The program of one window, which keeps its inputs.
fn program(stage: &Stage) -> Result<Option<Program>> {
    let Operation::Slide { netlist, .. } = &stage.operation else { return Ok(None) };
    let graph: Graph = lower_bits(netlist)?;
    schedule::program_that_keeps_inputs(&graph).map(Some)
}

/// Where the programs' own slots begin, and how many slots there are.
struct Places {
    own: u32,
    slots: u32,
}

impl Places {
    fn step(
        &self,
        stage: &Stage,
        program: Option<&Program>,
        from: Image,
        to: Image,
    ) -> Result<Step> {
        match (&stage.operation, program) {
            (Operation::Slide { window, outside, .. }, Some(program)) => {
                Ok(Step::Slide(self.slide(window, *outside, program, from, to)?))
            }
            (Operation::Enlarge { factors }, _) => Ok(Step::Copy(enlarge(*factors, from, to))),
            _ => Err(Error::Unsupported { op: OP, what: "a stage has no program".to_owned() }),
        }
    }

    fn slide(
        &self,
        window: &Window,
        outside: u64,
        program: &Program,
        from: Image,
        to: Image,
    ) -> Result<Slide> {
        let bits = from.pixel.width;
        let code = Moved::new(program, self.own, self.slots)?;
        let inputs = program.inputs();
        let [height, width] = to.size;
        let (mut moves, mut table) = (Vec::with_capacity(height * width), Vec::new());
        let (mut last, mut now) = (Vec::new(), Vec::with_capacity(inputs.len()));
        for y in 0..height {
            let sources = window.sources_of_rows(from.words(), y..y + 1)?;
            for x in 0..width {
                now.clear();
                now.extend(inputs.iter().map(|&(row, _)| {
                    let (element, bit) = (row as usize / bits, row as usize % bits);
                    let source = sources[element * width + x] as usize;
                    if source < from.rows() / bits {
                        (from.first + source * bits + bit) as u32
                    } else {
                        (outside >> bit & 1) as u32
                    }
                }));
                let by = now
                    .first()
                    .zip(last.first())
                    .and_then(|(now, last): (&u32, &u32)| now.checked_sub(*last));
                let shifts = by.filter(|by| now.iter().zip(&last).all(|(n, l)| *n == l + by));
                moves.push(shifts.map_or(Move::Place, Move::Shift));
                if shifts.is_none() {
                    table.extend(&now);
                }
                if table.len() > MAX_ENTRIES {
                    let what = "its windows reach over the border at too many positions; choose a \
                                smaller image or window";
                    return Err(Error::Unsupported { op: OP, what: what.to_owned() });
                }
                std::mem::swap(&mut last, &mut now);
            }
        }
        let outputs = program.outputs().iter().map(|&output| {
            let from = match (output / 2).checked_sub(1) {
                None => From::Slot(0),
                Some(slot) if (slot as usize) < inputs.len() => From::Input(slot as usize),
                Some(slot) => From::Slot(slot - inputs.len() as u32 + self.own),
            };
            Given { from, inverted: output & 1 == 1 }
        });
        Ok(Slide {
            code,
            moves,
            table,
            inputs: inputs.len(),
            outputs: outputs.collect(),
            to: to.first as u32,
            width: to.pixel.width,
        })
    }
}

/// Every row of the image behind with the row of its pixel before.
fn enlarge([down, across]: [usize; 2], from: Image, to: Image) -> Vec<(u32, u32)> {
    let [height, width] = to.size;
    (0..to.rows())
        .map(|row| {
            let (word, bit) = (row / to.pixel.width, row % to.pixel.width);
            let (channel, y, x) = (word / (height * width), word / width % height, word % width);
            let word = (channel * from.size[0] + y / down) * from.size[1] + x / across;
            let source = from.first + word * from.pixel.width + bit;
            (source as u32, (to.first + row) as u32)
        })
        .collect()
}
