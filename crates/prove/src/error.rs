//! Why two netlists cannot be compared.

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A netlist could not be evaluated.
    #[error(transparent)]
    Netlist(#[from] lutweave_lut::Error),
    /// One of the netlists has a port that the other lacks.
    #[error("compare netlists: {port} `{name}` is in `{netlist}` only")]
    Missing {
        /// `input` or `output`.
        port: &'static str,
        /// Name of the port.
        name: String,
        /// Name of the netlist that has it.
        netlist: String,
    },
    /// A port has another shape in the other netlist.
    #[error(
        "compare netlists: {port} `{name}` has {} words of {} bits in the first netlist, {} of {} in the second",
        .first.0, .first.1, .second.0, .second.1
    )]
    Shape {
        /// `input` or `output`.
        port: &'static str,
        /// Name of the port.
        name: String,
        /// Words and width in the first netlist.
        first: (usize, usize),
        /// Words and width in the second.
        second: (usize, usize),
    },
    /// A difference that was found is none: a mistake of this crate, reported rather than passed on.
    #[error(
        "compare netlists: the counterexample for output `{output}` does not hold when evaluated; please report this"
    )]
    Unsound {
        /// Name of the output port.
        output: String,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
