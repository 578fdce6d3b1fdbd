//! What came of a comparison.

use std::fmt;

/// How a cone was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Both are the same tables of the same nets.
    Structure,
    /// Every pattern of the inputs it depends on was tried: at most 16 of them.
    Exhaustive,
    /// A satisfiability solver found no input that tells them apart.
    Sat,
}

/// What is known of a cone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Equal for all inputs.
    Proved(Method),
    /// Some input tells them apart.
    Different,
    /// Not decided within the limits.
    Unproved,
}

/// One output bit, with all that it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cone {
    /// Name of the output port.
    pub output: String,
    /// Word of the port.
    pub word: usize,
    /// Bit of the word.
    pub bit: usize,
    /// Input bits and registers it depends on in either netlist.
    pub support: usize,
    /// What is known.
    pub outcome: Outcome,
}

/// The words of one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortValues {
    /// Name of the port.
    pub name: String,
    /// Its words.
    pub words: Vec<u64>,
}

/// An output word that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Name of the output port.
    pub output: String,
    /// Word of the port.
    pub word: usize,
    /// Its value in the first netlist.
    pub first: u64,
    /// Its value in the second.
    pub second: u64,
}

/// Inputs that tell two netlists apart. Checked by evaluating both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// The input ports, clock cycle after clock cycle from the registers' first state; one cycle where
    /// registers do not matter.
    pub cycles: Vec<Vec<PortValues>>,
    /// The output words that differ in the last of them.
    pub differences: Vec<Difference>,
}

/// What came of comparing two netlists. `Display` gives it as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Every output bit. Empty where simulation alone found a difference.
    pub cones: Vec<Cone>,
    /// Inputs that tell the netlists apart, if any were found.
    pub counterexample: Option<Counterexample>,
    /// Clock cycles that the two pipelines take, where both are pipelines: their functions are
    /// compared, registers taken as wires.
    pub latencies: Option<(usize, usize)>,
    /// Registers of both netlists, and pairs among them that were proved to hold the same or
    /// complementary bits in every cycle, where they were compared as state machines.
    pub registers: Option<(usize, usize)>,
    /// Pairs of inner nets that the solver proved equal on the way.
    pub merged: usize,
}

impl Verdict {
    /// Whether every cone was proved.
    pub fn is_proved(&self) -> bool {
        self.counterexample.is_none() && self.unproved() == 0
    }

    /// Whether a difference was found.
    pub fn is_different(&self) -> bool {
        self.counterexample.is_some()
    }

    /// Cones proved by a method.
    pub fn proved_by(&self, method: Method) -> usize {
        self.cones.iter().filter(|cone| cone.outcome == Outcome::Proved(method)).count()
    }

    /// Cones that are neither proved nor refuted.
    pub fn unproved(&self) -> usize {
        self.cones.iter().filter(|cone| cone.outcome == Outcome::Unproved).count()
    }
}

impl fmt::Display for Verdict {
    /// A line per method, then notes and the verdict; no line end after the last line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let different = self.cones.iter().filter(|cone| cone.outcome == Outcome::Different).count();
        for (what, count) in [
            ("the same structure", self.proved_by(Method::Structure)),
            ("equal for every input, tried", self.proved_by(Method::Exhaustive)),
            ("equal for every input, by SAT", self.proved_by(Method::Sat)),
            ("different", different),
            ("not proved within the limit", self.unproved()),
        ] {
            writeln!(f, "{what:<30} {count:>7}")?;
        }
        if self.merged > 0 {
            writeln!(f, "inner nets proved equal        {:>7}", self.merged)?;
        }
        if let Some((all, paired)) = self.registers {
            writeln!(
                f,
                "registers                      {all:>7}, {paired} proved equal to others"
            )?;
        }
        match self.latencies {
            Some((a, b)) if a == b && a > 0 => writeln!(f, "both take {a} clock cycles")?,
            Some((a, b)) if a != b => writeln!(
                f,
                "the first takes {a} clock cycles, the second {b}: compared as functions of the inputs"
            )?,
            _ => {}
        }
        match &self.counterexample {
            Some(counterexample) => write!(f, "DIFFERENT\n{counterexample}"),
            None if self.unproved() > 0 => f.write_str("NOT PROVED"),
            None => f.write_str("PROVED EQUAL"),
        }
    }
}

impl fmt::Display for Counterexample {
    /// The inputs that are not zero, and the outputs that differ.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (cycle, ports) in self.cycles.iter().enumerate() {
            if self.cycles.len() > 1 {
                writeln!(f, "cycle {cycle}")?;
            }
            for port in ports {
                write!(f, "input {} ({} words):", port.name, port.words.len())?;
                let mut zero = true;
                for (index, value) in port.words.iter().enumerate().filter(|&(_, &v)| v != 0) {
                    write!(f, " [{index}]={value}")?;
                    zero = false;
                }
                writeln!(f, "{}", if zero { " all zero" } else { "" })?;
            }
        }
        for (index, difference) in self.differences.iter().enumerate() {
            let Difference { output, word, first, second } = difference;
            let end = if index + 1 == self.differences.len() { "" } else { "\n" };
            write!(
                f,
                "output {output}[{word}]: {first} in the first, {second} in the second{end}"
            )?;
        }
        Ok(())
    }
}
