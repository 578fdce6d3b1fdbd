//! What is done with the bytes of each format, by the tests with altered files and by the fuzz
//! targets: any bytes give a data set or an error. Each tells whether it was a data set.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use lutweave_data::csv::{self, Options};
use lutweave_data::{arrays, cifar, idx, images, npy, npz};

pub fn idx_images(bytes: &[u8]) -> bool {
    match idx::images(bytes) {
        Ok(images) => {
            assert_eq!(images.pixels.len(), images.count * images.rows * images.columns);
            true
        }
        Err(_) => false,
    }
}

pub fn idx_labels(bytes: &[u8]) -> bool {
    idx::labels(bytes).is_ok()
}

pub fn cifar(bytes: &[u8]) -> bool {
    cifar::records(bytes, 1).is_ok()
}

pub fn csv(bytes: &[u8]) -> bool {
    let Ok(table) = csv::table(bytes, &Options::default()) else { return false };
    assert_eq!(table.features.len(), table.rows * table.columns.len());
    csv::datasets("t", vec![table], None).is_ok()
}

pub fn npy(bytes: &[u8]) -> bool {
    match npy::array(bytes) {
        Ok(array) => {
            assert_eq!(array.shape.iter().product::<usize>(), array.elements.len());
            true
        }
        Err(_) => false,
    }
}

pub fn npz(bytes: &[u8]) -> bool {
    let arrays = npz::arrays(Cursor::new(bytes));
    arrays.and_then(|arrays| arrays::datasets("t", arrays)).is_ok()
}

pub fn png(bytes: &[u8]) -> bool {
    match images::image(Cursor::new(bytes)) {
        Ok(image) => {
            assert_eq!(image.shape().iter().product::<usize>(), image.pixels.len());
            true
        }
        Err(_) => false,
    }
}

/// The same with the checksum of the header made right, so that what comes after it is reached.
pub fn png_header(bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    if bytes.len() > 33 {
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    }
    png(&bytes)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An array as NumPy writes it.
pub fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), data].concat()
}

/// A ZIP archive of deflated files.
pub fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        let packed = encoder.finish().unwrap();
        let sizes = [crc.sum(), packed.len() as u32, content.len() as u32].map(u32::to_le_bytes);
        let common =
            [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], &sizes.concat(), &[name.len() as u8, 0, 0, 0]]
                .concat();
        let offset = (bytes.len() as u32).to_le_bytes();
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
        let entry =
            [b"PK\x01\x02\x14\x00", &common[..], &[0; 10], &offset, name.as_bytes()].concat();
        directory.extend(entry);
    }
    let count = [files.len() as u8, 0];
    let places = [directory.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
    [&bytes[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &places, &[0, 0]].concat()
}

/// A picture of 5 by 4 pixels.
pub fn picture(color: png::ColorType, channels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 5, 4);
    encoder.set_color(color);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![9; 20 * channels]).unwrap();
    writer.finish().unwrap();
    bytes
}

/// What is done with a file of one format.
pub type Body = fn(&[u8]) -> bool;

/// Files that are right, by the format they are of and what is done with them.
pub fn seeds() -> Vec<(&'static str, Body, Vec<u8>)> {
    let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2];
    let idx = [&header[..], &[7; 12]].concat();
    let cifar_file = vec![3; 2 * 3073];
    let table = b"a,\"b, c\",label\r\n1.5,-2e3,x\n0,7,\"y \"\"z\"\n3,4,x\n".to_vec();
    let x = array("|u1", "(2, 3)", &[1; 6]);
    let y = array("<i4", "(2,)", &[1, 0, 0, 0, 0, 0, 0, 0]);
    let grey = picture(png::ColorType::Grayscale, 1);
    vec![
        ("idx", idx_images, gzip(&idx)),
        ("idx", idx_images, idx),
        ("idx", idx_labels, vec![0, 0, 8, 1, 0, 0, 0, 2, 5, 6]),
        ("cifar", cifar, gzip(&cifar_file)),
        ("cifar", cifar, cifar_file),
        ("csv", csv, gzip(&table)),
        ("csv", csv, table),
        ("npy", npy, array("<f4", "(2, 3)", &[1; 24])),
        ("npy", npy, array("|u1", "(6,)", &[1; 6])),
        ("npy", npy, gzip(&array("<i8", "(1,)", &[1; 8]))),
        ("npz", npz, archive(&[("x.npy", x), ("y.npy", y)])),
        ("png", png, picture(png::ColorType::Rgb, 3)),
        ("png", png, grey.clone()),
        ("png", png_header, grey),
    ]
}
