//! Printing on standard output.

use std::fmt;
use std::io::{self, Write as _};

/// Prints a line.
macro_rules! say {
    ($($arguments:tt)*) => {
        $crate::say::print(format_args!("{}\n", format_args!($($arguments)*)))
    };
}

/// Prints text that ends where it ends. A reader that has gone away, as `| head` does, is no
/// reason to stop the work: what it would have read is dropped.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}
