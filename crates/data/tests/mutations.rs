//! Ten thousand altered files of every format: each gives a data set or an error, within bounded
//! memory.
#![allow(clippy::unwrap_used)] // helpers of tests count as tests

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use lutweave_data::csv::{self, Options};
use lutweave_data::{arrays, cifar, idx, images, npy, npz};
use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};

const MUTATIONS: usize = if cfg!(miri) { 20 } else { 10_000 };
/// Most bytes that the whole test program may ever hold.
const MEMORY: usize = 256 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file with some bytes changed, taken out, doubled or put in.
fn mutated(file: &[u8], rng: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=rng::below(rng, 4) {
        let at = rng::below(rng, bytes.len() + 1);
        let end = (at + 1 + rng::below(rng, 16)).min(bytes.len());
        match rng::below(rng, 6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            3 => bytes.insert(at, rng::word(rng) as u8),
            4 if at < bytes.len() => bytes[at] ^= 1 << rng::below(rng, 8),
            _ if at < bytes.len() => {
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b','][rng::below(rng, 7)];
            }
            _ => {}
        }
    }
    bytes
}

/// Reads mutations of a file; the file itself must be right.
fn hammer(name: u64, file: &[u8], read: impl Fn(&[u8]) -> bool) {
    assert!(read(file), "the file before it is altered");
    let mut rng = rng::stream(1, &[name]);
    let good = (0..MUTATIONS).filter(|_| read(&mutated(file, &mut rng))).count();
    assert!(good < MUTATIONS, "no mutation was noticed");
    if let Some(peak) = peak_memory() {
        assert!(peak < MEMORY, "{peak} bytes held");
    }
}

/// The most memory that this program has held, where the system tells.
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok().map(|kilobytes| kilobytes << 10)
}

#[test]
fn idx_files() {
    let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2];
    let file = [&header[..], &[7; 12]].concat();
    hammer(1, &file, |bytes| idx::images(bytes).is_ok());
    hammer(2, &gzip(&file), |bytes| idx::images(bytes).is_ok());
    hammer(3, &[0, 0, 8, 1, 0, 0, 0, 2, 5, 6], |bytes| idx::labels(bytes).is_ok());
}

#[test]
fn cifar_files() {
    let file = vec![3; 2 * 3073];
    hammer(4, &file, |bytes| cifar::records(bytes, 1).is_ok());
    hammer(5, &gzip(&file), |bytes| cifar::records(bytes, 1).is_ok());
}

#[test]
fn csv_files() {
    let file = b"a,\"b, c\",label\r\n1.5,-2e3,x\n0,7,\"y \"\"z\"\n3,4,x\n";
    let read = |bytes: &[u8]| {
        let Ok(table) = csv::table(bytes, &Options::default()) else { return false };
        assert_eq!(table.features.len(), table.rows * table.columns.len());
        csv::datasets("t", vec![table], None).is_ok()
    };
    hammer(6, file, read);
    hammer(7, &gzip(file), read);
}

/// An array as NumPy writes it.
fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), data].concat()
}

#[test]
fn npy_files() {
    let read = |bytes: &[u8]| match npy::array(bytes) {
        Ok(array) => array.shape.iter().product::<usize>() == array.elements.len(),
        Err(_) => false,
    };
    hammer(8, &array("<f4", "(2, 3)", &[1; 24]), read);
    hammer(9, &array("|u1", "(6,)", &[1; 6]), read);
    hammer(10, &gzip(&array("<i8", "(1,)", &[1; 8])), read);
}

/// A ZIP archive of deflated files.
fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
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

#[test]
fn npz_files() {
    let x = array("|u1", "(2, 3)", &[1; 6]);
    let y = array("<i4", "(2,)", &[1, 0, 0, 0, 0, 0, 0, 0]);
    let file = archive(&[("x.npy", x), ("y.npy", y)]);
    hammer(11, &file, |bytes| {
        let arrays = npz::arrays(Cursor::new(bytes));
        arrays.and_then(|arrays| arrays::datasets("t", arrays)).is_ok()
    });
}

fn picture(color: png::ColorType, channels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 5, 4);
    encoder.set_color(color);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![9; 20 * channels]).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn png_files() {
    let read = |bytes: &[u8]| match images::image(Cursor::new(bytes)) {
        Ok(image) => image.shape().iter().product::<usize>() == image.pixels.len(),
        Err(_) => false,
    };
    hammer(12, &picture(png::ColorType::Rgb, 3), read);
    hammer(13, &picture(png::ColorType::Grayscale, 1), read);
    // With the checksums made right again, sizes, types and interlacing are reached as well.
    let file = picture(png::ColorType::Grayscale, 1);
    hammer(14, &file, |bytes| {
        let mut bytes = bytes.to_vec();
        if bytes.len() > 33 {
            let mut crc = flate2::Crc::new();
            crc.update(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        }
        read(&bytes)
    });
    let mut rng = rng::stream(2, &[]);
    for _ in 0..MUTATIONS {
        let mut header = file.clone();
        for (at, byte) in header.iter_mut().enumerate().take(29).skip(16) {
            if rng::below(&mut rng, 3) == 0 {
                let most = if matches!(at, 16..18 | 20..22) { 1 } else { 17 };
                *byte = rng::below(&mut rng, most) as u8;
            }
        }
        let mut crc = flate2::Crc::new();
        crc.update(&header[12..29]);
        header[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let _ = read(&header);
    }
}
