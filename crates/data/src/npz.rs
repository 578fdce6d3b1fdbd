//! Several arrays of NumPy in one file: the `.npz` format.
//!
//! A file is a ZIP archive of [`npy`] files, stored or deflated, as `numpy.savez` and
//! `numpy.savez_compressed` write it. Each array's length and checksum are compared with what the
//! archive says. ZIP64 (archives past 4 GiB), encryption and other methods are refused.
//!
//! Source: PKWARE, *.ZIP File Format Specification*, 6.3.10.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::npy::{self, Array};
use crate::source::take;
use crate::{Error, MAX_BYTES, Result};

/// Most arrays of a file.
const ENTRIES: usize = 1024;
/// Most bytes of the directory.
const DIRECTORY_BYTES: u64 = 1 << 20;
/// Most bytes from the end of a file to its end record: the record, and a comment.
const END_BYTES: u64 = 22 + 65_535;

const OP: &str = "read npz";

/// The arrays of a file, by name without `.npy`.
///
/// # Errors
///
/// [`Error::Malformed`] for a damaged archive, [`Error::Unsupported`] for what is not read,
/// [`Error::Limit`] for too much of something, [`Error::Read`] when reading fails; errors of
/// [`npy::array()`] for the arrays.
pub fn arrays(mut reader: impl Read + Seek) -> Result<BTreeMap<String, Array>> {
    let mut arrays = BTreeMap::new();
    let mut total = 0;
    for entry in directory(&mut reader)? {
        let Some(name) = entry.name.strip_suffix(".npy") else {
            let what = format!("`{}`, which is no array,", entry.name);
            return Err(Error::Unsupported { op: OP, what });
        };
        total += u64::from(entry.size);
        if total > MAX_BYTES {
            return Err(Error::Limit { op: OP, what: "bytes of arrays", limit: MAX_BYTES });
        }
        if arrays.insert(name.to_owned(), read(&mut reader, &entry)?).is_some() {
            return Err(malformed(format!("two arrays called `{name}`")));
        }
    }
    Ok(arrays)
}

/// [`arrays`] of the file at `path`.
///
/// # Errors
///
/// [`Error::File`] with the path and what is wrong.
pub fn read_arrays(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>> {
    let path = path.as_ref();
    File::open(path)
        .map_err(|source| Error::Read { op: OP, source })
        .and_then(|file| arrays(BufReader::new(file)))
        .map_err(Error::in_file(path))
}

/// A file in the archive.
#[derive(Debug)]
struct Entry {
    name: String,
    deflated: bool,
    checksum: u32,
    compressed: u32,
    size: u32,
    offset: u32,
}

fn malformed(what: impl Into<String>) -> Error {
    Error::Malformed { op: OP, what: what.into() }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// `length` bytes at `offset` from the start.
fn at(reader: &mut (impl Read + Seek), offset: u64, length: u64) -> Result<Vec<u8>> {
    let error = |source| Error::Read { op: OP, source };
    reader.seek(SeekFrom::Start(offset)).map_err(error)?;
    let mut bytes = Vec::new();
    take(OP, &mut *reader, length, &mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(malformed("the archive is cut off")) }
}

/// What the directory at the end of the archive lists.
fn directory(reader: &mut (impl Read + Seek)) -> Result<Vec<Entry>> {
    let length = reader.seek(SeekFrom::End(0)).map_err(|source| Error::Read { op: OP, source })?;
    let tail_length = length.min(END_BYTES);
    let tail = at(reader, length - tail_length, tail_length)?;
    let end = tail.windows(22).rposition(|window| window.starts_with(b"PK\x05\x06"));
    let end = end.map(|start| &tail[start..]).ok_or_else(|| malformed("no ZIP archive"))?;
    let (count, size) = (u16_at(end, 10), u32_at(end, 12));
    let offset = u32_at(end, 16);
    if count == u16::MAX || size == u32::MAX || offset == u32::MAX {
        return Err(Error::Unsupported { op: OP, what: "a ZIP64 archive".to_owned() });
    }
    if usize::from(count) > ENTRIES {
        return Err(Error::Limit { op: OP, what: "arrays", limit: ENTRIES as u64 });
    }
    if u64::from(size) > DIRECTORY_BYTES {
        return Err(Error::Limit { op: OP, what: "bytes of directory", limit: DIRECTORY_BYTES });
    }
    let bytes = at(reader, offset.into(), size.into())?;
    let (mut rest, mut entries) = (&bytes[..], Vec::new());
    for _ in 0..count {
        let (entry, after) = entry(rest)?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

/// The first entry of a directory, and the rest.
fn entry(bytes: &[u8]) -> Result<(Entry, &[u8])> {
    if bytes.len() < 46 || !bytes.starts_with(b"PK\x01\x02") {
        return Err(malformed("damaged directory"));
    }
    let lengths = [28, 30, 32].map(|at| usize::from(u16_at(bytes, at)));
    let whole = 46 + lengths.iter().sum::<usize>();
    let name = bytes.get(46..46 + lengths[0]).filter(|_| bytes.len() >= whole);
    let name = name.ok_or_else(|| malformed("damaged directory"))?;
    let name = std::str::from_utf8(name).map_err(|_| malformed("a name is not UTF-8"))?.to_owned();
    let unsupported = |what: &str| Error::Unsupported { op: OP, what: format!("`{name}`: {what}") };
    if u16_at(bytes, 8) & 1 != 0 {
        return Err(unsupported("encryption"));
    }
    let deflated = match u16_at(bytes, 10) {
        0 => false,
        8 => true,
        method => return Err(unsupported(&format!("compression method {method}"))),
    };
    let [checksum, compressed, size] = [16, 20, 24].map(|at| u32_at(bytes, at));
    let offset = u32_at(bytes, 42);
    if [compressed, size, offset].contains(&u32::MAX) {
        return Err(unsupported("ZIP64"));
    }
    Ok((Entry { name, deflated, checksum, compressed, size, offset }, &bytes[whole..]))
}

/// The array of an entry.
fn read(reader: &mut (impl Read + Seek), entry: &Entry) -> Result<Array> {
    let local = at(reader, entry.offset.into(), 30)?;
    if !local.starts_with(b"PK\x03\x04") {
        return Err(malformed(format!("`{}` is not where the directory says", entry.name)));
    }
    // Behind name and extra field, whose lengths differ from those in the directory.
    let skip = u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
    let start = u64::from(entry.offset) + 30 + skip;
    let error = |source| Error::Read { op: OP, source };
    reader.seek(SeekFrom::Start(start)).map_err(error)?;
    let compressed = reader.take(entry.compressed.into());
    let (array, crc) = if entry.deflated {
        checked(DeflateDecoder::new(compressed))?
    } else {
        checked(compressed)?
    };
    if (crc.sum(), crc.amount()) != (entry.checksum, entry.size) {
        return Err(malformed(format!("`{}`: wrong length or checksum", entry.name)));
    }
    Ok(array)
}

fn checked(reader: impl Read) -> Result<(Array, Crc)> {
    let mut reader = Checked { reader, crc: Crc::new() };
    let array = npy::plain(&mut reader)?;
    Ok((array, reader.crc))
}

/// Passes bytes on and sums them up.
struct Checked<R> {
    reader: R,
    crc: Crc,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.crc.update(&buffer[..count]);
        Ok(count)
    }
}

/// An archive of `files`, deflated or stored.
#[cfg(test)]
pub(crate) fn archive(files: &[(&str, Vec<u8>)], deflate: bool) -> Vec<u8> {
    use std::io::Write as _;

    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = Crc::new();
        crc.update(content);
        let mut packed = content.clone();
        if deflate {
            let level = flate2::Compression::best();
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(content).unwrap();
            packed = encoder.finish().unwrap();
        }
        let method = if deflate { 8u16 } else { 0 };
        let mut common = [20u16, 0, method, 0, 0].map(u16::to_le_bytes).concat();
        for word in [crc.sum(), packed.len() as u32, content.len() as u32] {
            common.extend_from_slice(&word.to_le_bytes());
        }
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        let offset = bytes.len() as u32;
        // NumPy asks for room for long sizes: an extra field in the local header alone.
        let extra = [1u8, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for part in [b"PK\x03\x04", &common[..], &[20, 0], name.as_bytes(), &extra, &packed] {
            bytes.extend_from_slice(part);
        }
        let rest = [0; 12];
        for part in
            [b"PK\x01\x02\x14\x00", &common[..], &rest, &offset.to_le_bytes(), name.as_bytes()]
        {
            directory.extend_from_slice(part);
        }
    }
    let count = (files.len() as u16).to_le_bytes();
    let (size, offset) =
        ((directory.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&directory);
    for part in [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &offset, &[0, 0]] {
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::npy::{Elements, file};

    fn small(deflate: bool) -> Vec<u8> {
        let x = file("|u1", "(2, 3)", &[1, 2, 3, 4, 5, 6]);
        archive(&[("x.npy", x), ("y.npy", file("<i8", "(1,)", &[9, 0, 0, 0, 0, 0, 0, 0]))], deflate)
    }

    #[test]
    fn stored_and_deflated() {
        for deflate in [false, true] {
            let found = arrays(Cursor::new(small(deflate))).unwrap();
            assert_eq!(found.len(), 2);
            assert_eq!(found["x"].elements, Elements::U8(vec![1, 2, 3, 4, 5, 6]));
            assert_eq!(
                (&found["x"].shape[..], &found["y"].elements),
                (&[2, 3][..], &Elements::I64(vec![9]))
            );
        }
    }

    #[test]
    fn every_fault_has_its_message() {
        let good = small(false);
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        let find =
            |what: &[u8]| good.windows(what.len()).position(|window| window == what).unwrap();
        let (entry, end) = (find(b"PK\x01\x02"), find(b"PK\x05\x06"));
        let data = find(&[1, 2, 3, 4, 5, 6]);
        let other = archive(&[("x.txt", vec![1])], false);
        let twice = file("|u1", "(1,)", &[1]);
        let twice = archive(&[("x.npy", twice.clone()), ("x.npy", twice)], false);
        let cases = [
            (vec![], "no ZIP archive"),
            (good[..good.len() - 30].to_vec(), "no ZIP archive"),
            (good[40..].to_vec(), ""),
            (changed(data, 7), "`x.npy`: wrong length or checksum"),
            (changed(entry, 0), "damaged directory"),
            (changed(entry + 8, 1), "encryption is not supported"),
            (changed(entry + 10, 14), "compression method 14 is not supported"),
            (changed(entry + 42, 1), "`x.npy` is not where the directory says"),
            (changed(end + 11, 5), "more than 1024 arrays"),
            (other, "`x.txt`, which is no array, is not supported"),
            (twice, "two arrays called `x`"),
        ];
        for (bytes, message) in cases {
            let error = arrays(Cursor::new(bytes)).unwrap_err().to_string();
            assert!(error.starts_with("read np") && error.contains(message), "{error}");
        }
    }
}
