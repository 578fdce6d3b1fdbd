//! Reading a netlist of whatever form a file has.

use lutweave_lut::Netlist;

use crate::{Error, Result, aiger, blif, json};

/// A form of a netlist that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text form, [`Netlist::to_text`].
    Text,
    /// [`blif`].
    Blif,
    /// [`aiger`], ASCII or binary.
    Aiger,
    /// [`json`].
    Json,
}

impl Format {
    /// What the beginning of a file says it is; none for anything else. Blank lines and comments
    /// (`#`) may come first in the text form and in BLIF.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"aig ") || bytes.starts_with(b"aag ") {
            return Some(Self::Aiger);
        }
        let mut lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_start);
        let first = lines.find(|line| !line.is_empty() && line[0] != b'#')?;
        match first {
            [b'{', ..] => Some(Self::Json),
            [b'.', letter, ..] if letter.is_ascii_alphabetic() => Some(Self::Blif),
            _ => first.starts_with(b"lutweave-netlist").then_some(Self::Text),
        }
    }
}

/// Reads a netlist in any [`Format`].
///
/// # Errors
///
/// [`Error::Read`] when the file is in none of them; otherwise those of its format.
pub fn read(bytes: &[u8]) -> Result<Netlist> {
    let refused = |place: &str, what: &str| {
        Err(Error::Read { format: "netlist", place: place.to_owned(), what: what.to_owned() })
    };
    let Some(format) = Format::of(bytes) else {
        return refused("line 1", "expected the text form, BLIF, AIGER or JSON");
    };
    if format == Format::Aiger {
        return aiger::read(bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return refused("the file", "expected text in UTF-8");
    };
    match format {
        Format::Blif => blif::read(text),
        Format::Json => json::read(text),
        _ => Ok(Netlist::from_text(text)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_tells_the_format() {
        struct Case(&'static [u8], Option<Format>);
        for Case(bytes, format) in [
            Case(b"# by hand\n\n  lutweave-netlist 1\n", Some(Format::Text)),
            Case(b"# by hand\r\n.model m", Some(Format::Blif)),
            Case(b"aig 1 1 0 0 0\n", Some(Format::Aiger)),
            Case(b"aag 1 1 0 0 0\n", Some(Format::Aiger)),
            Case(b" \n {\"format\"", Some(Format::Json)),
            Case(b"", None),
            Case(b".", None),
            Case(b"module top;", None),
            Case(b"\xff\xfe", None),
        ] {
            assert_eq!(Format::of(bytes), format, "{}", bytes.escape_ascii());
        }
        let error = |bytes| read(bytes).unwrap_err().to_string();
        assert_eq!(error(b"x"), "netlist, line 1: expected the text form, BLIF, AIGER or JSON");
        assert_eq!(error(b".model \xff"), "netlist, the file: expected text in UTF-8");
        assert!(read(b"lutweave-netlist 2\n").is_err());
    }
}
