//! Some files of a `.tar.gz` archive.
//!
//! Source: POSIX.1-1988, *ustar* interchange format. Names and types other than those of plain files
//! are passed over; nothing is written but the files asked for, straight into one folder.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::Error;
use crate::error::{self, Result};

const BLOCK: usize = 512;
/// Most bytes of a file.
const LIMIT: u64 = 1 << 30;

/// Writes the `members` of an archive to `folder`, found by the last part of their names. Each
/// appears whole, or not at all.
pub(super) fn unpack(archive: &Path, folder: &Path, members: &[&str]) -> Result<()> {
    let file = File::open(archive).map_err(error::Error::io("open", archive))?;
    let mut reader = MultiGzDecoder::new(BufReader::new(file));
    let wrong = |what: String| Error::Archive { path: archive.to_owned(), what };
    let mut missing = members.to_vec();
    while let Some((name, size)) = next(&mut reader).map_err(|error| wrong(error.to_string()))? {
        if size > LIMIT {
            return Err(wrong(format!("`{name}` has {size} bytes, the limit is {LIMIT}")).into());
        }
        let mut content = (&mut reader).take(size.next_multiple_of(BLOCK as u64));
        if let Some(at) = missing.iter().position(|&member| member == name) {
            let (path, part) = (folder.join(&name), folder.join(format!("{name}.part")));
            let written = write(&mut (&mut content).take(size), &part, size);
            written.map_err(error::Error::io("unpack", &path))?;
            fs::rename(&part, &path).map_err(error::Error::io("unpack", &path))?;
            missing.remove(at);
        }
        let passed = io::copy(&mut content, &mut io::sink());
        passed.map_err(|error| wrong(error.to_string()))?;
    }
    match missing.first() {
        None => Ok(()),
        Some(member) => Err(wrong(format!("there is no `{member}` in it")).into()),
    }
}

fn write(content: &mut impl Read, path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    if io::copy(content, &mut file)? < size {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    file.sync_all()
}

/// The last part of the name and the size of the next plain file, with the reader at its content;
/// `None` at the end.
fn next(reader: &mut impl Read) -> io::Result<Option<(String, u64)>> {
    let mut block = [0; BLOCK];
    loop {
        reader.read_exact(&mut block)?;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        // The checksum counts its own field as blanks.
        let sum: u64 = block.iter().enumerate().fold(0, |sum, (at, &byte)| {
            sum + u64::from(if (148..156).contains(&at) { b' ' } else { byte })
        });
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "damaged tar header");
        if octal(&block[148..156]) != Some(sum) {
            return Err(invalid());
        }
        let size = octal(&block[124..136]).ok_or_else(invalid)?;
        if matches!(block[156], b'0' | 0) {
            let name = block[..100].split(|&byte| byte == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            let last = name.rsplit('/').next().unwrap_or_default().to_owned();
            return Ok(Some((last, size)));
        }
        let skip = size.checked_next_multiple_of(BLOCK as u64).ok_or_else(invalid)?;
        io::copy(&mut reader.take(skip), &mut io::sink())?;
    }
}

/// An octal number between blanks and zeros.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(|c| c == ' ' || c == '\0'), 8).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn header(name: &str, kind: u8, size: usize) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[148..156].fill(b' ');
        block[156] = kind;
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn archive(folder: &Path, files: &[(&str, u8, &[u8])], end: bool) -> std::path::PathBuf {
        let mut bytes = Vec::new();
        for (name, kind, content) in files {
            bytes.extend(header(name, *kind, content.len()));
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        if end {
            bytes.resize(bytes.len() + 2 * BLOCK, 0);
        }
        let path = folder.join("a.tar.gz");
        let mut encoder = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap();
        path
    }

    #[test]
    fn takes_what_is_asked_for_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let large = vec![7; 1000];
        let files: [(&str, u8, &[u8]); 5] = [
            ("set/", b'5', b""),
            ("set/readme", b'0', b"text"),
            ("../../set/one.bin", b'0', &large),
            ("set/link.bin", b'2', b""),
            ("set/two.bin", 0, b"two"),
        ];
        let path = archive(folder.path(), &files, true);
        let out = folder.path().join("out");
        fs::create_dir(&out).unwrap();
        unpack(&path, &out, &["one.bin", "two.bin"]).unwrap();
        assert_eq!(fs::read(out.join("one.bin")).unwrap(), large);
        assert_eq!(fs::read(out.join("two.bin")).unwrap(), b"two");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
        let error = unpack(&path, &out, &["link.bin"]).unwrap_err().to_string();
        assert!(error.contains("there is no `link.bin` in it"), "{error}");
    }

    #[test]
    fn damaged_archives_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let file: [(&str, u8, &[u8]); 1] = [("one.bin", b'0', b"one")];
        let path = archive(folder.path(), &file, false);
        assert!(unpack(&path, folder.path(), &["two.bin"]).is_err(), "no end");
        let whole = fs::read(archive(folder.path(), &file, true)).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(unpack(&path, folder.path(), &["two.bin"]).is_err(), "cut off");
        fs::write(&path, b"no archive").unwrap();
        assert!(unpack(&path, folder.path(), &["two.bin"]).is_err());
    }
}
