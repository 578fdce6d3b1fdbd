//! Model files: what comes back, and what is refused.
#![allow(clippy::unwrap_used)]

use lutweave_nn::{GroupSum, LutLayer, Network, Sequential, Thermometer};
use lutweave_store::{from_bytes, load, save, to_bytes};
use lutweave_tensor::{Dataset, Targets, Values, rng};
use proptest::prelude::*;

fn net() -> Network {
    let values = Values::U8((0..40).map(|v| v * 3).collect());
    let labels = Targets::Classes { count: 2, labels: vec![0; 10] };
    let data = Dataset::new("t", &[4], values, labels).unwrap();
    Sequential::new(&[4])
        .then(Thermometer::fit(&data, 2).unwrap())
        .then(LutLayer::new(6).fan_in(3))
        .then(GroupSum::new(2))
        .build(5)
        .unwrap()
}

#[test]
fn what_is_saved_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lutweave");
    save(&path, &net()).unwrap();
    let again = load(&path).unwrap();
    assert_eq!(again.state(), net().state());
    assert_eq!(again.spec().config(), net().spec().config());
    assert_eq!((again.seed(), again.input()), (5, net().input()));
    assert_eq!(to_bytes(&again).unwrap(), to_bytes(&net()).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn the_failed_check_is_named() {
    let bytes = to_bytes(&net()).unwrap();
    let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let array = (24 + header).next_multiple_of(64);
    let edit = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] ^= value;
        bytes
    };
    let cases = [
        (Vec::new(), "file length"),
        (bytes[..23].to_vec(), "file length"),
        (bytes[..40].to_vec(), "file length"),
        (bytes[..bytes.len() - 1].to_vec(), "file length"),
        ([&bytes[..], &[0; 64]].concat(), "file length"),
        (edit(0, 1), "magic"),
        (edit(8, 2), "format version"),
        (edit(15, 0xff), "header length"),
        (edit(30, 1), "header checksum"),
        (edit(21, 1), "header"),
        (edit(array, 1), "array checksum"),
        (edit(24 + header, 1), "padding"),
    ];
    for (bytes, check) in cases {
        let error = from_bytes(&bytes).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("not a usable model file: {check}: ")),
            "{check}: {error}"
        );
    }
}

#[test]
fn a_missing_folder_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/such/net.lutweave");
    let error = save(&path, &net()).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.ends_with("net.lutweave"), "{error}");
    assert!(load(&path).is_err());
}

/// Repairs the header's length and checksum, so that mutations reach the checks behind them.
fn with_header(bytes: &[u8], header: &[u8]) -> Vec<u8> {
    let old = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let arrays = &bytes[(24 + old).next_multiple_of(64)..];
    let mut new = bytes[..12].to_vec();
    new.extend_from_slice(&(header.len() as u32).to_le_bytes());
    new.extend_from_slice(&crc32fast::hash(header).to_le_bytes());
    new.extend_from_slice(&[0; 4]);
    new.extend_from_slice(header);
    new.resize(new.len().next_multiple_of(64), 0);
    new.extend_from_slice(arrays);
    new
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_mutation_panics(seed: u64, edits in 1usize..4, inside_header: bool) {
        let bytes = to_bytes(&net()).unwrap();
        let mut stream = rng::stream(seed, &[]);
        let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let mut part = if inside_header { bytes[24..24 + length].to_vec() } else { bytes.clone() };
        for _ in 0..edits {
            let at = rng::below(&mut stream, part.len());
            match rng::below(&mut stream, 3) {
                0 => part[at] = rng::word(&mut stream) as u8,
                1 => part.truncate(at.max(1)),
                _ => part.insert(at, rng::word(&mut stream) as u8),
            }
        }
        let mutated = if inside_header { with_header(&bytes, &part) } else { part };
        if let Ok(net) = from_bytes(&mutated) {
            prop_assert!(net.luts() < 1000);
        }
    }
}
