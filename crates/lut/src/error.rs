//! What can be wrong with a truth table, a netlist or its text.

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A truth table was asked for with more inputs than [`MAX_FAN_IN`](crate::MAX_FAN_IN).
    #[error("truth table: expected at most {max} inputs, got {got}")]
    FanIn {
        /// Inputs asked for.
        got: usize,
        /// Most inputs a table may have.
        max: usize,
    },
    /// A truth table has bits set past its `2^fan_in` entries.
    #[error("truth table: bits are set past its {entries} entries")]
    TableBits {
        /// Entries of the table.
        entries: usize,
    },
    /// A wiring cannot be made from what was given.
    #[error("wiring: {what}")]
    Wiring {
        /// What is wrong.
        what: String,
    },
    /// A window does not fit its image.
    #[error("window: {what}")]
    Window {
        /// What is wrong.
        what: String,
    },
    /// A stage does not fit its image, or what comes before it.
    #[error("stage `{stage}`: {what}")]
    Stage {
        /// Name of the stage, or of the whole chain.
        stage: String,
        /// What is wrong.
        what: String,
    },
    /// A cell is wired wrongly.
    #[error("cell `{cell}`: {what}")]
    Cell {
        /// Name of the cell.
        cell: String,
        /// What is wrong with it.
        what: String,
    },
    /// A name is empty, too long, or not an identifier.
    #[error(
        "name `{name}`: expected a letter or `_`, then letters, digits or `_`, at most {max} in all"
    )]
    Name {
        /// The name.
        name: String,
        /// Longest name allowed.
        max: usize,
    },
    /// Two things share a name.
    #[error("name `{name}` is used twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The netlist as a whole cannot be used for what was asked.
    #[error("netlist `{netlist}`: {what}")]
    Netlist {
        /// Name of the netlist.
        netlist: String,
        /// What is wrong with it.
        what: String,
    },
    /// Values given to an evaluation do not fit the netlist's ports.
    #[error("{op}: expected {expected} values, got {got}")]
    Length {
        /// The operation.
        op: &'static str,
        /// Values expected.
        expected: usize,
        /// Values given.
        got: usize,
    },
    /// A value does not fit the width of its port.
    #[error("{op}: value {value} at position {position} does not fit in {width} bits")]
    Value {
        /// The operation.
        op: &'static str,
        /// The value.
        value: u64,
        /// Its place among the values given.
        position: usize,
        /// Width of the word it is for.
        width: usize,
    },
    /// `LUTWEAVE_ISA` names no instruction set of this machine.
    #[error(
        "instruction set is not available: LUTWEAVE_ISA is `{name}`; this machine has {available}"
    )]
    InstructionSet {
        /// What it names.
        name: String,
        /// The names it may have.
        available: String,
    },
    /// The text form of a netlist is malformed.
    #[error("line {line}, column {column}: {what}")]
    Text {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong there.
        what: String,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
