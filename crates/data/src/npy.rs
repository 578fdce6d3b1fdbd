//! Arrays of NumPy: the `.npy` format.
//!
//! A file is `\x93NUMPY`, a version (1.0, 2.0 or 3.0), the length of a header (two bytes in version 1,
//! else four, little-endian), the header, a Python dictionary such as
//! `{'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }`, and the elements, the last
//! axis fastest. Read are bool, integers of one to eight bytes and floats of four and eight, in either
//! byte order; nothing in a file is ever executed (object arrays hold pickles and are refused).
//!
//! Source: NumPy Enhancement Proposal 1, and the module `numpy.lib.format`.

use std::io::{BufRead, Read};
use std::path::Path;

use crate::source::{self, decompress, take};
use crate::{Error, MAX_BYTES, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Most bytes of a header; those of plain arrays have 128.
const HEADER_BYTES: u64 = 1 << 16;
/// Most axes, as NumPy's.
const AXES: usize = 32;
/// Bytes read at a time; a multiple of all sizes of elements.
const CHUNK: u64 = 1 << 16;

const OP: &str = "read npy";

/// The elements of an array.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Elements {
    /// `bool` (as 0 and 1) and `uint8`.
    U8(Vec<u8>),
    /// All other integers.
    I64(Vec<i64>),
    /// `float32`, and `float64` rounded to it.
    F32(Vec<f32>),
}

impl Elements {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An array, the last axis fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// As many elements as the shape has.
    pub elements: Elements,
}

/// Reads an array, plain or gzip.
///
/// ```
/// use lutweave_data::npy::{self, Elements};
///
/// let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }\n";
/// let file = [&b"\x93NUMPY\x01\x00"[..], &[header.len() as u8, 0], header, &[1, 2, 3, 4]].concat();
/// let array = npy::array(&file[..])?;
/// assert_eq!((&array.shape[..], &array.elements), (&[2, 2][..], &Elements::U8(vec![1, 2, 3, 4])));
/// # Ok::<(), lutweave_data::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Malformed`] for a damaged header, [`Error::Unsupported`] for a type of element or a
/// column-first order that is not read, [`Error::Limit`], [`Error::Truncated`] or
/// [`Error::Trailing`] for a wrong length, [`Error::Read`] when reading or decompressing fails.
pub fn array(reader: impl BufRead) -> Result<Array> {
    plain(decompress(OP, reader)?)
}

/// [`array()`] of the file at `path`.
///
/// # Errors
///
/// [`Error::File`] with the path and what is wrong.
pub fn read_array(path: impl AsRef<Path>) -> Result<Array> {
    source::open(path.as_ref(), OP, array)
}

/// Reads an array that is not compressed, to the end of the reader.
pub(crate) fn plain(mut reader: impl Read) -> Result<Array> {
    let mut head = Vec::new();
    take(OP, &mut reader, 8, &mut head)?;
    if head.len() < 8 || head[..6] != MAGIC[..] {
        let what = "expected an array of NumPy, the file starts otherwise".to_owned();
        return Err(Error::Malformed { op: OP, what });
    }
    let wide = match (head[6], head[7]) {
        (1, 0) => false,
        (2 | 3, 0) => true,
        (major, minor) => {
            let what = format!("version {major}.{minor} of the format");
            return Err(Error::Unsupported { op: OP, what });
        }
    };
    let mut length = Vec::new();
    take(OP, &mut reader, if wide { 4 } else { 2 }, &mut length)?;
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
    if length > HEADER_BYTES {
        return Err(Error::Limit { op: OP, what: "bytes of header", limit: HEADER_BYTES });
    }
    let mut header = Vec::new();
    take(OP, &mut reader, length, &mut header)?;
    if (header.len() as u64) < length {
        let got = header.len() as u64;
        return Err(Error::Truncated { op: OP, expected: length, got });
    }
    let header = Header::parse(&header)?;
    let kind = Kind::of(&header.descr)?;
    let count = header.shape.iter().try_fold(1u64, |n, &axis| n.checked_mul(axis as u64));
    let bytes = count.and_then(|count| count.checked_mul(kind.bytes as u64));
    match bytes.filter(|&bytes| bytes <= MAX_BYTES) {
        Some(bytes) => {
            Ok(Array { elements: elements(&mut reader, &kind, bytes)?, shape: header.shape })
        }
        None => Err(Error::Limit { op: OP, what: "bytes of elements", limit: MAX_BYTES }),
    }
}

/// What a header says.
#[derive(Debug)]
struct Header {
    descr: String,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|_| malformed("not UTF-8"))?;
        let mut rest = text.trim();
        let (mut descr, mut order, mut shape) = (None, None, None);
        eat(&mut rest, "{")?;
        while !rest.starts_with('}') {
            let key = string(&mut rest)?;
            eat(&mut rest, ":")?;
            match key {
                "descr" if rest.starts_with('[') => {
                    let what = "an array of records".to_owned();
                    return Err(Error::Unsupported { op: OP, what });
                }
                "descr" => descr = Some(string(&mut rest)?.to_owned()),
                "fortran_order" => {
                    let columns = rest.starts_with("True");
                    eat(&mut rest, if columns { "True" } else { "False" })?;
                    order = Some(columns);
                }
                "shape" => shape = Some(axes(&mut rest)?),
                _ => return Err(malformed("an entry that no array has")),
            }
            if !rest.starts_with('}') {
                eat(&mut rest, ",")?;
            }
        }
        match (descr, order, shape) {
            (_, Some(true), Some(shape)) if shape.len() > 1 => {
                let what = "an array in column-first (Fortran) order".to_owned();
                Err(Error::Unsupported { op: OP, what })
            }
            (Some(descr), Some(_), Some(shape)) => Ok(Self { descr, shape }),
            _ => Err(malformed("`descr`, `fortran_order` or `shape` is not there")),
        }
    }
}

fn malformed(what: &str) -> Error {
    Error::Malformed { op: OP, what: format!("damaged header: {what}") }
}

/// Takes `token` and the blanks after it away from the text.
fn eat(rest: &mut &str, token: &str) -> Result<()> {
    let after =
        rest.strip_prefix(token).ok_or_else(|| malformed(&format!("expected `{token}`")))?;
    *rest = after.trim_start();
    Ok(())
}

/// Takes a string in quotes away from the text.
fn string<'a>(rest: &mut &'a str) -> Result<&'a str> {
    let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'));
    let quote = quote.ok_or_else(|| malformed("expected a string"))?;
    let (text, after) =
        rest[1..].split_once(quote).ok_or_else(|| malformed("a string is not closed"))?;
    *rest = after.trim_start();
    Ok(text)
}

/// Takes a tuple of numbers away from the text.
fn axes(rest: &mut &str) -> Result<Vec<usize>> {
    eat(rest, "(")?;
    let mut axes = Vec::new();
    while !rest.starts_with(')') {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let axis = rest[..digits].parse().map_err(|_| malformed("an axis is no number"))?;
        if axes.len() == AXES {
            return Err(Error::Limit { op: OP, what: "axes", limit: AXES as u64 });
        }
        axes.push(axis);
        *rest = rest[digits..].trim_start();
        if !rest.starts_with(')') {
            eat(rest, ",")?;
        }
    }
    eat(rest, ")")?;
    Ok(axes)
}

/// The type of the elements.
#[derive(Debug)]
struct Kind {
    /// `b`, `u`, `i` or `f`.
    letter: u8,
    bytes: usize,
    big_endian: bool,
}

impl Kind {
    fn of(descr: &str) -> Result<Self> {
        let unsupported = || {
            let shown: String = descr.chars().take(20).collect();
            Error::Unsupported { op: OP, what: format!("the type of elements `{shown}`") }
        };
        let &[order, letter, digit] = descr.as_bytes() else { return Err(unsupported()) };
        let bytes = usize::from(digit.wrapping_sub(b'0'));
        let known = match letter {
            b'b' => bytes == 1,
            b'u' | b'i' => [1, 2, 4, 8].contains(&bytes),
            b'f' => [4, 8].contains(&bytes),
            _ => false,
        };
        // `=` is the order of the machine that wrote the file: nobody can know it.
        if !known || !(matches!(order, b'<' | b'>') || order == b'|' && bytes == 1) {
            return Err(unsupported());
        }
        Ok(Self { letter, bytes, big_endian: order == b'>' })
    }
}

/// `bytes` bytes of elements, after which the reader must end.
fn elements(reader: &mut impl Read, kind: &Kind, bytes: u64) -> Result<Elements> {
    let mut elements = match (kind.letter, kind.bytes) {
        (b'b', _) | (b'u', 1) => Elements::U8(Vec::new()),
        (b'f', _) => Elements::F32(Vec::new()),
        _ => Elements::I64(Vec::new()),
    };
    let (mut chunk, mut read) = (Vec::new(), 0);
    while read < bytes {
        chunk.clear();
        let wanted = CHUNK.min(bytes - read);
        take(OP, &mut *reader, wanted, &mut chunk)?;
        read += chunk.len() as u64;
        if (chunk.len() as u64) < wanted {
            return Err(Error::Truncated { op: OP, expected: bytes, got: read });
        }
        append(&mut elements, &chunk, kind)?;
    }
    chunk.clear();
    take(OP, reader, 1, &mut chunk)?;
    if chunk.is_empty() { Ok(elements) } else { Err(Error::Trailing { op: OP, expected: bytes }) }
}

/// Appends a chunk of whole elements.
fn append(elements: &mut Elements, chunk: &[u8], kind: &Kind) -> Result<()> {
    // The element as a little-endian number in the lowest bytes of eight.
    let words = chunk.chunks_exact(kind.bytes).map(|element| {
        let mut word = [0; 8];
        word[..kind.bytes].copy_from_slice(element);
        if kind.big_endian {
            word[..kind.bytes].reverse();
        }
        u64::from_le_bytes(word)
    });
    match elements {
        Elements::U8(values) if kind.letter == b'b' => {
            values.extend(chunk.iter().map(|&byte| u8::from(byte != 0)));
        }
        Elements::U8(values) => values.extend_from_slice(chunk),
        Elements::F32(values) if kind.bytes == 4 => {
            values.extend(words.map(|word| f32::from_bits(word as u32)));
        }
        Elements::F32(values) => values.extend(words.map(|word| f64::from_bits(word) as f32)),
        Elements::I64(values) => {
            for word in words {
                let unused = 64 - 8 * kind.bytes;
                let value = if kind.letter == b'i' {
                    (word << unused).cast_signed() >> unused
                } else {
                    i64::try_from(word).map_err(|_| Error::Unsupported {
                        op: OP,
                        what: format!("the integer {word}"),
                    })?
                };
                values.push(value);
            }
        }
    }
    Ok(())
}

/// A file as NumPy writes it.
#[cfg(test)]
pub(crate) fn file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let header = format!("{header:<width$}\n", width = padded - 1);
    let length = (header.len() as u16).to_le_bytes();
    [&MAGIC[..], &[1, 0], &length, header.as_bytes(), data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::gzip;

    fn read(descr: &str, shape: &str, data: &[u8]) -> Result<Array> {
        array(&file(descr, shape, data)[..])
    }

    #[test]
    fn every_type_of_element() {
        let elements = |descr: &str, data: &[u8]| {
            let count = data.len() / descr[2..].parse::<usize>().unwrap();
            read(descr, &format!("({count},)"), data).unwrap().elements
        };
        assert_eq!(elements("|b1", &[0, 1, 2]), Elements::U8(vec![0, 1, 1]));
        assert_eq!(elements("|u1", &[0, 255]), Elements::U8(vec![0, 255]));
        assert_eq!(elements("|i1", &[1, 255]), Elements::I64(vec![1, -1]));
        assert_eq!(elements("<u2", &[1, 2, 255, 255]), Elements::I64(vec![513, 65535]));
        assert_eq!(elements(">i2", &[1, 2, 255, 255]), Elements::I64(vec![258, -1]));
        assert_eq!(elements("<i4", &(-70_000i32).to_le_bytes()), Elements::I64(vec![-70_000]));
        assert_eq!(elements(">u4", &u32::MAX.to_be_bytes()), Elements::I64(vec![u32::MAX.into()]));
        assert_eq!(elements("<i8", &i64::MIN.to_le_bytes()), Elements::I64(vec![i64::MIN]));
        assert_eq!(elements("<f4", &1.5f32.to_le_bytes()), Elements::F32(vec![1.5]));
        assert_eq!(elements(">f4", &1.5f32.to_be_bytes()), Elements::F32(vec![1.5]));
        assert_eq!(elements("<f8", &0.1f64.to_le_bytes()), Elements::F32(vec![0.1]));
        assert!(read("<u8", "(1,)", &u64::MAX.to_le_bytes()).is_err());
    }

    #[test]
    fn shapes_versions_and_compression() {
        let data: Vec<u8> = (0..6).collect();
        let plain = file("|u1", "(2, 3)", &data);
        let expected = Array { shape: vec![2, 3], elements: Elements::U8(data.clone()) };
        assert_eq!(array(&plain[..]).unwrap(), expected);
        assert_eq!(array(&gzip(&plain)[..]).unwrap(), expected);
        let mut second = plain.clone();
        second[6] = 2;
        second.splice(10..10, [0, 0]);
        assert_eq!(array(&second[..]).unwrap(), expected);
        assert_eq!(read("|u1", "()", &[7]).unwrap().shape, [0usize; 0]);
        assert!(read("|u1", "(0, 5)", &[]).unwrap().elements.is_empty());
        let large: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        assert_eq!(read("|u1", "(200000,)", &large).unwrap().elements, Elements::U8(large));
    }

    #[test]
    fn every_fault_has_its_message() {
        let good = file("|u1", "(2, 3)", &[0; 6]);
        let fortran = String::from_utf8_lossy(&good[10..]).replace("False", "True ");
        let cases = [
            (vec![], "the file starts otherwise"),
            (good[..9].to_vec(), "expected 118 bytes, the file ends after 0"),
            (good[..40].to_vec(), "expected 118 bytes, the file ends after 30"),
            (good[..good.len() - 1].to_vec(), "expected 6 bytes, the file ends after 5"),
            ([&good[..], &[1]].concat(), "expected 6 bytes, the file goes on"),
            ([&good[..10], fortran.as_bytes()].concat(), "column-first (Fortran) order is not"),
            (file("|O", "(2,)", &[0; 16]), "the type of elements `|O` is not supported"),
            (file("<c8", "(2,)", &[0; 16]), "the type of elements `<c8` is not supported"),
            (file("=f4", "(2,)", &[0; 8]), "the type of elements `=f4` is not supported"),
            (file("<f2", "(2,)", &[0; 4]), "the type of elements `<f2` is not supported"),
            (file("|u1", "(2 3)", &[0; 2]), "damaged header: expected `,`"),
            (file("|u1", "(-2,)", &[0; 2]), "damaged header: an axis is no number"),
            (file("|u1", "(4294967296, 4294967296, 4)", &[]), "more than 1073741824 bytes"),
            (file("|u1", "(1073741825,)", &[]), "more than 1073741824 bytes of elements"),
        ];
        for (bytes, message) in cases {
            let error = array(&bytes[..]).unwrap_err().to_string();
            assert!(error.starts_with("read npy: ") && error.contains(message), "{error}");
        }
    }
}
