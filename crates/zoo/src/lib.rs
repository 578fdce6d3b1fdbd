#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod entries;
mod error;
mod networks;
mod record;
mod table;

pub use entries::{ENTRIES, Entry, find};
pub use error::{Error, Result};
pub use networks::{
    cifar10_conv, cifar10_dense, cifar10_lean, digits_tiny, mnist_conv, mnist_large, mnist_lean,
    mnist_mid, mnist_simple, mnist_simple_x1, mnist_small, mnist_tiny,
};
pub use record::{Luts, Record, recorded, records};
pub use table::{markdown, plain};
