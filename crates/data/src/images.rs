//! Folders of PNG images: a folder for each class.
//!
//! Images are grey or red, green and blue, of any bit depth and palette (brought to eight bits a
//! channel, the higher ones of sixteen), all of one size and kind. Names that begin with a dot are
//! passed over; any other file that is no PNG image is an error.
//!
//! Source: ISO/IEC 15948, *Portable Network Graphics*.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use lutweave_tensor::{Dataset, Targets, Values};
use png::{ColorType, Decoder, Limits, Transformations};

use crate::csv::MAX_CLASSES;
use crate::tabular::in_order;
use crate::{Error, MAX_BYTES, Result};

/// Most pixels of a row, and most rows.
const SIDE: u32 = 4096;
/// Memory that the decoder may take beside the image.
const DECODER_BYTES: usize = 8 << 20;
/// No byte of a file stands for more bytes of image: one deflated byte for 1,032 at most, and one of
/// these for eight pixels of four channels.
const RATIO: u64 = 1032 * 32;

const OP: &str = "read PNG";

/// An image, channel after channel: of shape `[channels, rows, columns]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// One, or three: red, green and blue.
    pub channels: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// `channels * rows * columns` values.
    pub pixels: Vec<u8>,
}

impl Image {
    /// `[channels, rows, columns]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.rows, self.columns]
    }
}

/// Reads an image.
///
/// # Errors
///
/// [`Error::Limit`] for a side past 4,096 pixels, [`Error::Unsupported`] for pixels one can see
/// through, [`Error::Malformed`] for a damaged image.
pub fn image(mut reader: impl BufRead + Seek) -> Result<Image> {
    let length = reader.seek(SeekFrom::End(0)).and_then(|end| reader.rewind().map(|()| end));
    let length = length.map_err(|source| Error::Read { op: OP, source })?;
    let mut decoder = Decoder::new_with_limits(reader, Limits { bytes: DECODER_BYTES });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let info = decoder.read_header_info().map_err(damaged)?;
    if info.width.max(info.height) > SIDE {
        return Err(Error::Limit { op: OP, what: "pixels a side", limit: SIDE.into() });
    }
    let mut reader = decoder.read_info().map_err(damaged)?;
    let bytes = reader.output_buffer_size().unwrap_or(usize::MAX);
    if bytes as u64 / RATIO > length {
        let what = format!("the file is too short for {bytes} bytes of image");
        return Err(Error::Malformed { op: OP, what });
    }
    let mut samples = Vec::new();
    // Row by row, so that memory grows with what is there.
    let (color, _) = reader.output_color_type();
    let (columns, rows) = (reader.info().width as usize, reader.info().height as usize);
    if reader.info().interlaced {
        samples.resize(bytes, 0);
        reader.next_frame(&mut samples).map_err(damaged)?;
    } else {
        while let Some(row) = reader.next_row().map_err(damaged)? {
            samples.extend_from_slice(row.data());
        }
    }
    reader.finish().map_err(damaged)?;
    let (channels, alpha) = match color {
        ColorType::Grayscale => (1, false),
        ColorType::GrayscaleAlpha => (1, true),
        ColorType::Rgb => (3, false),
        ColorType::Rgba => (3, true),
        ColorType::Indexed => return Err(unsupported("a palette without its colours")),
    };
    let stride = channels + usize::from(alpha);
    if samples.len() != rows * columns * stride {
        let what = format!("expected {} bytes, got {}", rows * columns * stride, samples.len());
        return Err(Error::Malformed { op: OP, what });
    }
    if alpha && samples.iter().skip(channels).step_by(stride).any(|&alpha| alpha != 255) {
        return Err(unsupported("an image one can see through"));
    }
    let channel = |channel| samples.iter().skip(channel).step_by(stride).copied();
    let pixels =
        if stride == 1 { samples } else { (0..channels).flat_map(channel).collect::<Vec<_>>() };
    Ok(Image { channels, rows, columns, pixels })
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn damaged(error: png::DecodingError) -> Error {
    Error::Malformed { op: OP, what: format!("damaged image: {error}") }
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported { op: OP, what: what.to_owned() }
}

/// [`image`] of the file at `path`.
///
/// # Errors
///
/// [`Error::File`] with the path and what is wrong.
pub fn read_image(path: impl AsRef<Path>) -> Result<Image> {
    let path = path.as_ref();
    let read = || {
        let file = File::open(path).map_err(|source| Error::Read { op: OP, source })?;
        image(BufReader::new(file))
    };
    read().map_err(Error::in_file(path))
}

/// The images in the folders of `parts`, one data set a part, and the names of the classes, which are
/// the names of the folders: in order as numbers where all of them are whole numbers, else by
/// their bytes. A class may be missing in a part.
///
/// Samples are in the order of classes, then of file names (likewise ordered by their bytes).
///
/// # Errors
///
/// [`Error::File`] for an image that cannot be read or differs from the first in size or kind;
/// [`Error::Limit`] for too many classes or pixels; [`Error::NoSet`] for a folder without images.
pub fn image_folders(name: &str, parts: &[&Path]) -> Result<(Vec<Dataset>, Vec<String>)> {
    let mut classes = Vec::new();
    for part in parts {
        classes
            .extend(entries(part)?.into_iter().filter(|path| path.is_dir()).map(|p| file_name(&p)));
    }
    let classes = in_order(classes);
    if classes.len() > MAX_CLASSES {
        return Err(Error::Limit { op: OP, what: "classes", limit: MAX_CLASSES as u64 });
    }
    let (mut sets, mut shape) = (Vec::new(), None);
    for part in parts {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for (class, label) in classes.iter().zip(0..) {
            let folder = part.join(class);
            let files = if folder.is_dir() { entries(&folder)? } else { Vec::new() };
            for path in files {
                let image = one(&path, &mut shape)?;
                if (pixels.len() + image.pixels.len()) as u64 > MAX_BYTES {
                    return Err(Error::Limit { op: OP, what: "pixels", limit: MAX_BYTES });
                }
                pixels.extend_from_slice(&image.pixels);
                labels.push(label);
            }
        }
        let Some(shape) = shape else {
            let expected = "folders of PNG images, one for each class";
            return Err(Error::NoSet { path: part.to_path_buf(), expected });
        };
        let targets = Targets::Classes { count: classes.len(), labels };
        sets.push(Dataset::new(name, &shape, Values::U8(pixels), targets)?);
    }
    Ok((sets, classes))
}

/// An image that has `shape`, where there is one already.
fn one(path: &Path, shape: &mut Option<[usize; 3]>) -> Result<Image> {
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        return Err(Error::in_file(path)(unsupported("a file that is no PNG image")));
    }
    let image = read_image(path)?;
    let expected = *shape.get_or_insert(image.shape());
    if expected != image.shape() {
        let expected = format!("channels, rows and columns {expected:?} as the first image has");
        let got = format!("{:?}", image.shape());
        return Err(Error::in_file(path)(Error::Mismatch { op: OP, expected, got }));
    }
    Ok(image)
}

/// What is in a folder, in order, without hidden names.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !file_name(&path).starts_with('.') {
                paths.push(path);
            }
        }
        paths.sort_unstable();
        Ok(paths)
    };
    read().map_err(|source| Error::in_file(folder)(Error::Read { op: "list folder", source }))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// An image as a file.
#[cfg(test)]
pub(crate) fn encode(color: ColorType, size: (u32, u32), data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(color);
    if color == ColorType::Indexed {
        encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::source::testing::write;

    fn read(color: ColorType, size: (u32, u32), data: &[u8]) -> Result<Image> {
        image(Cursor::new(encode(color, size, data)))
    }

    #[test]
    fn channels_come_one_after_the_other() {
        let grey = read(ColorType::Grayscale, (3, 1), &[1, 2, 3]).unwrap();
        assert_eq!((grey.shape(), &grey.pixels[..]), ([1, 1, 3], &[1, 2, 3][..]));
        let rgb = read(ColorType::Rgb, (1, 2), &[1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!((rgb.shape(), &rgb.pixels[..]), ([3, 2, 1], &[1, 4, 2, 5, 3, 6][..]));
        let palette = read(ColorType::Indexed, (2, 1), &[1, 0]).unwrap();
        assert_eq!(palette.pixels, [40, 10, 50, 20, 60, 30]);
        let opaque = read(ColorType::GrayscaleAlpha, (2, 1), &[1, 255, 2, 255]).unwrap();
        assert_eq!(opaque.pixels, [1, 2]);
        let clear = read(ColorType::Rgba, (1, 1), &[1, 2, 3, 254]).unwrap_err().to_string();
        assert_eq!(clear, "read PNG: an image one can see through is not supported");
    }

    #[test]
    fn a_large_claim_takes_no_memory() {
        let mut bytes = encode(ColorType::Grayscale, (2, 2), &[0; 4]);
        bytes[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
        let header = bytes[12..29].to_vec();
        let mut crc = flate2::Crc::new();
        crc.update(&header);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let error = image(Cursor::new(bytes)).unwrap_err().to_string();
        assert_eq!(error, "read PNG: more than 4096 pixels a side");
    }

    #[test]
    fn a_folder_for_each_class() {
        let root = tempfile::tempdir().unwrap();
        let pixel = |value: u8| encode(ColorType::Grayscale, (2, 1), &[value, 0]);
        for (name, value) in [
            ("train/10/a.png", 1),
            ("train/9/b.PNG", 2),
            ("train/9/a.png", 3),
            ("test/10/z.png", 4),
        ] {
            write(root.path(), name, &pixel(value));
        }
        write(root.path(), "train/9/.hidden", b"");
        let (train, test) = (root.path().join("train"), root.path().join("test"));
        let (sets, classes) = image_folders("t", &[&train, &test]).unwrap();
        assert_eq!(classes, ["9", "10"]);
        assert_eq!(sets[0].values(), &Values::U8(vec![3, 0, 2, 0, 1, 0]));
        assert_eq!(
            (sets[0].classes(), sets[0].shape()),
            (Some((2, &[0, 0, 1][..])), &[1, 1, 2][..])
        );
        assert_eq!(sets[1].classes(), Some((2, &[1][..])));

        let fails = |name: &str, bytes: &[u8], message: &str| {
            write(root.path(), name, bytes);
            let error = image_folders("t", &[&train, &test]).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
            fs::remove_file(root.path().join(name)).unwrap();
        };
        let wide = encode(ColorType::Grayscale, (3, 1), &[0; 3]);
        fails("test/9/wide.png", &wide, "[1, 1, 2] as the first image has, got [1, 1, 3]");
        fails("train/9/note.txt", b"", "note.txt`: read PNG: a file that is no PNG image");
        fails("train/9/c.png", &pixel(0)[..50], "damaged image");
        let empty = root.path().join("test/10");
        assert!(image_folders("t", &[&empty]).unwrap_err().to_string().contains("no data set"));
    }
}
