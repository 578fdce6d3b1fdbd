//! From a trained network to hardware: its netlist, and its chain of stages.
//!
//! Each layer adds itself to a netlist (`Layer::freeze`) or to a chain of stages (`Layer::stage`);
//! what flows between them is a [`Frozen`]. The book's page on hardware says what each layer
//! becomes.

pub(crate) mod cells;
pub(crate) mod elementwise;
mod frozen;
mod head;
pub(crate) mod linear;
mod stages;
#[cfg(test)]
mod tests;

use lutweave_lut::{Netlist, NetlistBuilder, Role};
use lutweave_tensor::{DType, Dataset, Values as Numbers};

pub(crate) use self::cells::{Cells, counter, registers};
pub(crate) use self::frozen::check_count;
pub use self::frozen::{Frozen, Values};
pub use self::stages::{Branch, Filter, StageChain};
use crate::{Error, Network, Result, Signal};

/// What the output ports of a netlist show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Answer {
    /// The class where an output is of several real numbers, which are scores; its words otherwise.
    #[default]
    Auto,
    /// The class: the index of the largest number along axis 0, ties to the lowest, at every point
    /// of the other axes. Port `class`.
    Class,
    /// All nodes as words: bits, or counts that [`Head::values`] translates into numbers. Port `y`.
    Words,
}

/// An output port of a frozen network.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its name: `class` or `y`; with the number of the output where there are several, `class0`.
    pub port: String,
    /// Whether it shows classes; words otherwise.
    pub is_class: bool,
    /// What the words of each node stand for, for words that are counts; else empty.
    pub values: Vec<Values>,
}

/// A frozen network, and how to read what it gives.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// The netlist.
    pub netlist: Netlist,
    /// Its output ports, one an output of the network, in order.
    pub heads: Vec<Head>,
    /// Clocks of one answer, which stands in the last of them; counted from reset.
    pub clocks: usize,
}

impl Network {
    /// Freezes the trained network: encoder, layers, and an arg-max over real-valued outputs.
    ///
    /// The netlist has one input port `x` of unsigned words, one a value of a sample (`x0`, `x1` and
    /// so on where the network has several inputs), and one output port for each output: `class`
    /// where it is of scores, `y` where it is of bits or of a single number (`class0`, `y1` where
    /// there are several). Its groups are the layers. Cells that no output depends on, such as
    /// thresholds no LUT reads, are left out.
    ///
    /// Where the network begins with a layer that reads a sequence, [`Recurrent`](crate::Recurrent),
    /// the port takes one time step a clock, and the answer is right in the clock of the last. Where
    /// it spreads numbers over frames, [`RealToBinary`](crate::RealToBinary), the port holds a sample
    /// for as many clocks, and the answer is right in the last of them.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`], naming the layer that has no form in hardware, and what to do.
    pub fn to_netlist(&self, name: &str) -> Result<Netlist> {
        Ok(self.to_hardware(name, Answer::Auto)?.netlist)
    }

    /// The same with a choice of what the output ports show, and with what they mean.
    ///
    /// ```
    /// use lutweave_nn::{Answer, GroupSum, LutLayer, Sequential};
    /// use lutweave_tensor::DType;
    ///
    /// let net = Sequential::new(&[16]).reading(DType::Bit);
    /// let net = net.then(LutLayer::new(20)).then(GroupSum::new(2).temperature(2.0)).build(1)?;
    /// let counts = net.to_hardware("counts", Answer::Words)?;
    /// let head = &counts.heads[0];
    /// assert_eq!((head.port.as_str(), head.values[0][3]), ("y", 1.5));
    /// # Ok::<(), lutweave_nn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`to_netlist`](Self::to_netlist).
    pub fn to_hardware(&self, name: &str, answer: Answer) -> Result<Hardware> {
        let mut build = NetlistBuilder::new(name)?;
        let mut inputs = Vec::with_capacity(self.inputs().len());
        for (number, signal) in self.inputs().iter().enumerate() {
            let width = self.port_width(number)?;
            let port = if self.inputs().len() == 1 { "x".to_owned() } else { format!("x{number}") };
            let words = signal.nodes() / self.root().clocks().unwrap_or(1);
            let nets = build.input(port, words, width)?;
            inputs.push(Frozen::new(nets.chunks(width).map(<[_]>::to_vec).collect()));
        }
        let outputs = self.root().freeze_all(self.root_name(), &inputs, &mut build)?;
        let mut clocks = self.root().clocks().unwrap_or(1);
        let mut heads = Vec::with_capacity(outputs.len());
        for (number, (frozen, signal)) in outputs.iter().zip(self.outputs()).enumerate() {
            clocks = clocks.max(frozen.held);
            let number = (outputs.len() > 1).then_some(number);
            heads.push(head(frozen, signal, answer, number, &mut build)?);
        }
        Ok(Hardware { netlist: build.finish()?.prune()?, heads, clocks })
    }

    /// The name of the outermost layer in hardware: none for containers, which name what is in them.
    fn root_name(&self) -> &'static str {
        match self.spec().kind() {
            "sequential" | "graph" => "",
            kind => kind,
        }
    }

    /// Width in bits of the words of an input port.
    fn port_width(&self, input: usize) -> Result<usize> {
        let why = match self.inputs()[input].dtype {
            DType::Bit => return Ok(1),
            DType::U8 if input > 0 => return Ok(8),
            DType::U8 => {
                if let Some(width) = self.root().input_width() {
                    return Ok(width);
                }
                "its first layer does not say how wide the input numbers are; begin with a \
                 threshold encoder"
            }
            _ => "it reads real numbers; scale the data to u8 and begin with a threshold encoder",
        };
        Err(Error::Freeze { layer: "network".to_owned(), why: why.to_owned() })
    }

    /// The samples of a data set as the unsigned words that the netlist's input port takes.
    ///
    /// Values past the port's width saturate; no threshold lies there, so the answer is the same. A
    /// port of bits takes a one for values above 0.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] when the data set is not of u8.
    pub fn port_words(&self, data: &Dataset) -> Result<Vec<u64>> {
        let width = self.port_width(0)?;
        match data.values() {
            Numbers::U8(values) => {
                let largest = (1u64 << width) - 1;
                Ok(values.iter().map(|&value| u64::from(value).min(largest)).collect())
            }
            _ => Err(Error::Freeze {
                layer: "network".to_owned(),
                why: "hardware reads whole numbers; scale the data to u8".to_owned(),
            }),
        }
    }
}

/// Adds an output port for one output of a network.
fn head(
    frozen: &Frozen,
    signal: &Signal,
    answer: Answer,
    number: Option<usize>,
    build: &mut NetlistBuilder,
) -> Result<Head> {
    let refuse = |why: String| Err(Error::Freeze { layer: "network".to_owned(), why });
    if frozen.clocks > 1 {
        return refuse(format!(
            "it gives {} frames a sample; end it with binary_to_real over {0} frames",
            frozen.clocks
        ));
    }
    let classes = signal.shape[0];
    let points = frozen.words.len() / classes;
    let is_class = match answer {
        Answer::Auto => signal.dtype == DType::F32 && classes > 1,
        Answer::Class => true,
        Answer::Words => false,
    };
    let suffix = number.map_or_else(String::new, |number| number.to_string());
    let (port, group) = if is_class { ("class", "argmax") } else { ("y", "answer") };
    let (port, group) = (format!("{port}{suffix}"), format!("{group}{suffix}"));
    build.group(&group, Role::Head)?;
    if !is_class {
        if frozen.only_order {
            return refuse(
                "it ends with a softmax, whose numbers have no form in hardware: ask for the class, \
                 or leave the softmax out"
                    .to_owned(),
            );
        }
        let words = Cells::new(&group, build).equal_widths(frozen.words.clone())?;
        build.output(&port, words[0].len(), &words.concat())?;
        return Ok(Head { port, is_class, values: frozen.values.clone() });
    }
    let mut nets = Vec::new();
    let mut width = 1;
    for point in 0..points {
        let scores = frozen.nodes((0..classes).map(|class| class * points + point));
        let place = if points == 1 { String::new() } else { format!("_{point}") };
        let name = format!("{group}{place}");
        let words = head::comparable(&scores, &mut Cells::new(&name, build))?;
        let class = build.argmax(format!("best{suffix}{place}"), &words)?;
        width = class.len();
        nets.extend(class);
    }
    build.output(&port, width, &nets)?;
    Ok(Head { port, is_class, values: Vec::new() })
}
