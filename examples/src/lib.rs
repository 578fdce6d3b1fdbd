//! Examples: `cargo run --release -p lutweave-examples --example digits`.
//!
//! What they share: [`say!`], which prints a line.

use std::fmt;
use std::io::{self, Write as _};

/// Prints a line on standard output. A reader that has gone away, as `| head` does, is no reason to stop:
/// what it would have read is dropped.
#[macro_export]
macro_rules! say {
    ($($arguments:tt)*) => { $crate::print(format_args!($($arguments)*)) };
}

/// What [`say!`] does with its line.
pub fn print(line: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
