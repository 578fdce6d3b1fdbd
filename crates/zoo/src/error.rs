//! What can go wrong.

/// An error of the zoo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no entry of this name.
    #[error("no entry `{name}` in the zoo; there are {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// Recorded figures cannot be read.
    #[error("read the recorded figures")]
    Records(#[from] serde_json::Error),
    /// A trained netlist cannot be read.
    #[error("read the netlist of `{name}`")]
    Netlist {
        /// The entry.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: lutweave_lut::Error,
    },
    /// A network cannot be built for these samples.
    #[error("build the network")]
    Network(#[from] lutweave_nn::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
