//! The IDX format of MNIST: images and labels, plain or gzip.
//!
//! A file is a big-endian magic number (`0x00000803` for images, `0x00000801` for labels), one
//! big-endian 32-bit size per dimension (images: count, rows, columns; labels: count), and one byte
//! per value, with the last dimension fastest. A stream that starts with `1f 8b` is decompressed on
//! the way.
//!
//! Files may come from anyone: at most [`MAX_BYTES`] are taken, memory grows with the bytes that
//! are there rather than with those the header claims, and a file must end where its header says.
//!
//! ```
//! use lutweave_data::idx;
//!
//! let file = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 10, 20, 30, 40];
//! let images = idx::images(&file[..])?;
//! assert_eq!((images.count, images.rows, images.columns), (1, 2, 2));
//! assert_eq!(images.pixels, [10, 20, 30, 40]);
//! assert!(idx::images(&file[..19]).is_err());
//! # Ok::<(), lutweave_data::Error>(())
//! ```

use std::io::BufRead;
use std::path::Path;

use crate::source::{self, decompress, take};
use crate::{Error, MAX_BYTES, Result};

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;

/// Grey images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Number of images.
    pub count: usize,
    /// Rows of each.
    pub rows: usize,
    /// Columns of each.
    pub columns: usize,
    /// `count * rows * columns` pixels: image by image, row by row.
    pub pixels: Vec<u8>,
}

/// Reads a file of images (magic number `0x00000803`).
///
/// # Errors
///
/// [`Error::Magic`], [`Error::TooLarge`], [`Error::NoPixels`], [`Error::Truncated`] or
/// [`Error::Trailing`] for what is wrong with the content; [`Error::Read`] when reading or
/// decompressing fails.
pub fn images(reader: impl BufRead) -> Result<Images> {
    let ([count, rows, columns], pixels) = read("read IDX images", IMAGES, reader)?;
    let (count, rows, columns) = (count as usize, rows as usize, columns as usize);
    Ok(Images { count, rows, columns, pixels })
}

/// Reads a file of labels (magic number `0x00000801`).
///
/// # Errors
///
/// As [`images`].
pub fn labels(reader: impl BufRead) -> Result<Vec<u8>> {
    let ([_], labels) = read("read IDX labels", LABELS, reader)?;
    Ok(labels)
}

/// [`images`] of the file at `path`.
///
/// # Errors
///
/// [`Error::File`] with the path and what is wrong.
pub fn read_images(path: impl AsRef<Path>) -> Result<Images> {
    source::open(path.as_ref(), "read IDX images", images)
}

/// [`labels`] of the file at `path`.
///
/// # Errors
///
/// [`Error::File`] with the path and what is wrong.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    source::open(path.as_ref(), "read IDX labels", labels)
}

/// The `N` dimensions and the data of a file whose magic number is `magic`.
fn read<const N: usize>(
    op: &'static str,
    magic: u32,
    reader: impl BufRead,
) -> Result<([u32; N], Vec<u8>)> {
    let mut reader = decompress(op, reader)?;
    let header = 4 * (N as u64 + 1);
    let mut bytes = Vec::new();
    take(op, &mut reader, header, &mut bytes)?;
    let mut words =
        bytes.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    // A short file that starts with something else is the wrong file rather than a short one.
    if let Some(got) = words.next().filter(|&got| got != magic) {
        return Err(Error::Magic { op, expected: magic, got });
    }
    if (bytes.len() as u64) < header {
        return Err(Error::Truncated { op, expected: header, got: bytes.len() as u64 });
    }
    let mut dimensions = [0; N];
    for (dimension, word) in dimensions.iter_mut().zip(words) {
        *dimension = word;
    }
    if let [_, rows, columns] = dimensions[..]
        && (rows == 0 || columns == 0)
    {
        return Err(Error::NoPixels { op, rows, columns });
    }
    let size = dimensions
        .iter()
        .try_fold(1u64, |size, &dimension| size.checked_mul(u64::from(dimension)))
        .filter(|&size| size <= MAX_BYTES)
        .ok_or_else(|| Error::TooLarge { op, dimensions: dimensions.to_vec(), limit: MAX_BYTES })?;
    bytes.clear();
    // One byte more than there should be: it shows that the file goes on, and at the end of a
    // gzip stream the decompressor compares its checksum.
    take(op, &mut reader, size + 1, &mut bytes)?;
    let (expected, got) = (header + size, header + bytes.len() as u64);
    match got.cmp(&expected) {
        std::cmp::Ordering::Less => Err(Error::Truncated { op, expected, got }),
        std::cmp::Ordering::Equal => Ok((dimensions, bytes)),
        std::cmp::Ordering::Greater => Err(Error::Trailing { op, expected }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::source::testing::gzip;

    fn file(magic: u32, dimensions: &[u32], data: &[u8]) -> Vec<u8> {
        let header = [&[magic], dimensions].concat();
        header.iter().flat_map(|number| number.to_be_bytes()).chain(data.iter().copied()).collect()
    }

    #[test]
    fn reads_what_was_written() {
        let data: Vec<u8> = (0..12).collect();
        let plain = file(IMAGES, &[2, 3, 2], &data);
        let expected = Images { count: 2, rows: 3, columns: 2, pixels: data };
        assert_eq!(images(&plain[..]).unwrap(), expected);
        assert_eq!(images(&gzip(&plain)[..]).unwrap(), expected);
        // Two gzip streams in a row are one file, as for gunzip.
        let (a, b) = plain.split_at(9);
        assert_eq!(images(&[gzip(a), gzip(b)].concat()[..]).unwrap(), expected);
        assert_eq!(labels(&file(LABELS, &[3], &[7, 8, 9])[..]).unwrap(), [7, 8, 9]);
        assert_eq!(labels(&file(LABELS, &[0], &[])[..]).unwrap(), []);
    }

    #[test]
    fn every_fault_has_its_message() {
        let good = file(IMAGES, &[1, 2, 2], &[1, 2, 3, 4]);
        let mut altered = gzip(&good);
        let crc = altered.len() - 8;
        altered[crc] ^= 1;
        let cases = [
            (vec![], "expected 16 bytes, the file ends after 0"),
            (good[..7].to_vec(), "expected 16 bytes, the file ends after 7"),
            (good[..19].to_vec(), "expected 20 bytes, the file ends after 19"),
            ([&good[..], &[5]].concat(), "expected 20 bytes, the file goes on after them"),
            (gzip(&good[..19]), "expected 20 bytes, the file ends after 19"),
            (b"PNG!".to_vec(), "expected the magic number 0x00000803, got 0x504e4721"),
            (file(IMAGES, &[1, 0, 2], &[]), "images of 0 x 2 pixels hold nothing"),
            (file(IMAGES, &[u32::MAX; 3], &[]), "bytes of data, the limit is 1073741824"),
            (file(IMAGES, &[1 << 20, 1 << 5, 1 << 6], &[]), "bytes of data, the limit is"),
            (gzip(&good)[..15].to_vec(), "cannot read"),
            (altered, "cannot read"),
            ([&gzip(&good)[..], &[5]].concat(), "cannot read"),
        ];
        for (bytes, message) in cases {
            let error = images(&bytes[..]).unwrap_err().to_string();
            assert!(error.starts_with("read IDX images: ") && error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_gzip_bomb_costs_no_more_than_its_header_claims() {
        // 64 MiB of zeros behind a header that claims four bytes.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&file(IMAGES, &[1, 2, 2], &[])).unwrap();
        for _ in 0..64 {
            encoder.write_all(&vec![0; 1 << 20]).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(matches!(images(&bomb[..]), Err(Error::Trailing { expected: 20, .. })));
    }

    #[test]
    fn a_large_claim_takes_no_memory() {
        // Within the limit, so the reader goes on; it must not reserve what is not there.
        let claim = file(IMAGES, &[1 << 20, 1 << 5, 1 << 5], &[1, 2, 3]);
        assert!(matches!(images(&claim[..]), Err(Error::Truncated { got: 19, .. })));
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none");
        for error in [read_images(&path).unwrap_err(), read_labels(&path).unwrap_err()] {
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

        #[test]
        fn any_size_round_trips(count in 0u32..5, rows in 1u32..6, columns in 1u32..6, seed: u8, packed: bool) {
            let size = count * rows * columns;
            let data: Vec<u8> = (0..size).map(|i| seed.wrapping_mul(31).wrapping_add(i as u8)).collect();
            let plain = file(IMAGES, &[count, rows, columns], &data);
            let read = images(&if packed { gzip(&plain) } else { plain }[..]).unwrap();
            prop_assert_eq!((read.count, read.rows, read.columns), (count as usize, rows as usize, columns as usize));
            prop_assert_eq!(read.pixels, data);
        }

        #[test]
        fn altered_files_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            length: prop::sample::Index,
            cut: bool,
            packed: bool,
        ) {
            let plain = file(IMAGES, &[2, 2, 3], &[9; 12]);
            let mut bytes = if packed { gzip(&plain) } else { plain };
            for (index, value) in &changes {
                let index = index.index(bytes.len());
                bytes[index] = *value;
            }
            if cut {
                bytes.truncate(length.index(bytes.len()));
                // Whatever else was changed, the data that was cut off is missed.
                prop_assert!(!changes.is_empty() || images(&bytes[..]).is_err());
            }
            if let Ok(read) = images(&bytes[..]) {
                prop_assert_eq!(read.pixels.len(), read.count * read.rows * read.columns);
            }
            let _ = labels(&bytes[..]);
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), gzip_magic: bool) {
            let mut bytes = bytes;
            if gzip_magic {
                bytes.splice(0..0, [0x1f, 0x8b, 8, 0]);
            }
            let _ = images(&bytes[..]);
            let _ = labels(&bytes[..]);
        }
    }
}
