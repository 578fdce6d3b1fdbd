//! Bytes of files, plain or gzip, taken within limits.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// Most bytes of data taken from one file, and most for the values of one data set: 1 GiB.
pub const MAX_BYTES: u64 = 1 << 30;

/// What `read` makes of the file at `path`; errors name the file.
pub(crate) fn open<T>(
    path: &Path,
    op: &'static str,
    read: impl FnOnce(BufReader<File>) -> Result<T>,
) -> Result<T> {
    File::open(path)
        .map_err(|source| Error::Read { op, source })
        .and_then(|file| read(BufReader::with_capacity(1 << 16, file)))
        .map_err(Error::in_file(path))
}

/// Appends at most `limit` bytes of `reader` to `bytes`. Memory grows with the bytes that come.
pub(crate) fn take(
    op: &'static str,
    reader: impl Read,
    limit: u64,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    reader.take(limit).read_to_end(bytes).map_err(|source| Error::Read { op, source })?;
    Ok(())
}

/// `reader`, decompressed if it starts like a gzip stream.
pub(crate) fn decompress<'a>(
    op: &'static str,
    mut reader: impl BufRead + 'a,
) -> Result<Box<dyn Read + 'a>> {
    let mut head = Vec::new();
    take(op, &mut reader, 2, &mut head)?;
    let compressed = head == [0x1f, 0x8b];
    let whole = Cursor::new(head).chain(reader);
    Ok(if compressed { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

/// The first of `names` that is a file in `folder`, as it is or with `.gz`.
///
/// # Errors
///
/// [`Error::Missing`] when there is none.
pub(crate) fn find(set: &str, folder: &Path, names: &[&str]) -> Result<PathBuf> {
    let spellings = names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.gz")]);
    let found = spellings.map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let (file, others) = match names {
            [] => (String::new(), String::new()),
            [one] => ((*one).to_owned(), format!("nor `{one}.gz`")),
            [first, rest @ ..] => {
                let rest: Vec<String> = rest.iter().map(|name| format!("`{name}`")).collect();
                let rest = rest.join(", nor ");
                ((*first).to_owned(), format!("nor {rest}, nor either with `.gz`"))
            }
        };
        Error::Missing { name: set.to_owned(), file, others, folder: folder.to_path_buf() }
    })
}

/// Files and folders made by tests.
#[cfg(test)]
pub(crate) mod testing {
    use std::io::Write;
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}
