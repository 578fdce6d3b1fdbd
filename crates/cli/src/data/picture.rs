//! A picture of samples: one row a class.

use lutweave::tensor::{Dataset, Values};

use super::Error;

/// Samples of a row.
const COLUMNS: usize = 12;
/// Most rows.
const ROWS: usize = 20;
/// Pixels between samples, and around them.
const GAP: usize = 4;
/// Samples smaller than this are enlarged.
const SIDE: usize = 48;
/// Most pixels of a side of one sample.
const LARGEST: usize = 1024;
/// The grey between samples.
const GROUND: u8 = 64;

/// Red, green and blue, row by row.
#[derive(Debug)]
pub(super) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// The picture as a PNG file.
    pub(super) fn png(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// The first samples of each class; of other data sets, the first samples.
pub(super) fn of_samples(data: &Dataset) -> Result<Picture, Error> {
    let no_picture = || {
        let (name, shape) = (data.name().to_owned(), data.shape().to_vec());
        Error::NoPicture { name, shape }
    };
    let &[channels @ (1 | 3), rows, columns] = data.shape() else { return Err(no_picture()) };
    if rows.max(columns) > LARGEST {
        return Err(no_picture());
    }
    let grid = grid(data);
    let zoom = (SIDE / rows.max(columns)).max(1);
    let step = [rows * zoom + GAP, columns * zoom + GAP];
    let (height, width) = (grid.len().max(1) * step[0] + GAP, COLUMNS * step[1] + GAP);
    let mut pixels = vec![GROUND; 3 * height * width];
    let shade = shades(data);
    for (row, samples) in grid.iter().enumerate() {
        for (column, &sample) in samples.iter().enumerate() {
            let corner = [row * step[0] + GAP, column * step[1] + GAP];
            for y in 0..rows * zoom {
                for x in 0..columns * zoom {
                    let to = 3 * ((corner[0] + y) * width + corner[1] + x);
                    for (channel, pixel) in pixels[to..to + 3].iter_mut().enumerate() {
                        let plane = channel.min(channels - 1);
                        let from = (plane * rows + y / zoom) * columns + x / zoom;
                        *pixel = shade(sample * data.sample_size() + from);
                    }
                }
            }
        }
    }
    Ok(Picture { width, height, pixels })
}

/// The samples of each row.
fn grid(data: &Dataset) -> Vec<Vec<usize>> {
    let Some((count, labels)) = data.classes() else {
        let samples: Vec<usize> = (0..data.len().min(ROWS * COLUMNS)).collect();
        return samples.chunks(COLUMNS).map(<[usize]>::to_vec).collect();
    };
    let mut grid = vec![Vec::new(); count.min(ROWS)];
    for (sample, &label) in labels.iter().enumerate() {
        match grid.get_mut(label as usize) {
            Some(row) if row.len() < COLUMNS => row.push(sample),
            _ => {}
        }
    }
    grid
}

/// The brightness of a value: from the smallest, black, to the largest, white; of bytes from 0.
fn shades(data: &Dataset) -> Box<dyn Fn(usize) -> u8 + '_> {
    match data.values() {
        Values::U8(values) => {
            let largest = u32::from(values.iter().copied().max().unwrap_or(0).max(1));
            Box::new(move |at| (u32::from(values[at]) * 255 / largest) as u8)
        }
        Values::F32(values) => {
            let low = values.iter().copied().fold(f32::INFINITY, f32::min);
            let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
            Box::new(move |at| ((values[at] - low) * scale) as u8)
        }
        _ => Box::new(|_| 0),
    }
}

#[cfg(test)]
mod tests {
    use lutweave::tensor::Targets;

    use super::*;

    fn set(shape: &[usize], values: Values, labels: &[u32]) -> Dataset {
        let targets = Targets::Classes { count: 2, labels: labels.to_vec() };
        Dataset::new("t", shape, values, targets).unwrap()
    }

    #[test]
    fn a_row_for_each_class() {
        let data = set(&[1, 1, 1], Values::U8(vec![0, 8, 4]), &[1, 0, 1]);
        assert_eq!(grid(&data), [vec![1], vec![0, 2]]);
        let picture = of_samples(&data).unwrap();
        assert_eq!((picture.height, picture.width), (2 * 52 + 4, 12 * 52 + 4));
        let at = |y: usize, x: usize| picture.pixels[3 * (y * picture.width + x)];
        assert_eq!([at(0, 0), at(4, 4), at(51, 51), at(56, 4), at(56, 56)], [64, 255, 255, 0, 127]);
        let png = picture.png().unwrap();
        let info = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        assert_eq!(info.info().width as usize, picture.width);
    }

    #[test]
    fn colours_keep_their_channels_and_other_shapes_are_refused() {
        let data = set(&[3, 1, 1], Values::F32(vec![-1.0, 0.0, 1.0]), &[0]);
        let picture = of_samples(&data).unwrap();
        let at = 3 * (4 * picture.width + 4);
        assert_eq!(picture.pixels[at..at + 3], [0, 127, 255]);
        for shape in [&[4][..], &[2, 1, 2], &[4, 1, 1]] {
            let error = of_samples(&set(shape, Values::U8(vec![0; 4]), &[0])).unwrap_err();
            assert!(error.to_string().starts_with("t: no picture"), "{error}");
        }
    }
}
