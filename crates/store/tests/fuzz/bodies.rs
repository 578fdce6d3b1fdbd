//! What must hold for any bytes. The fuzz targets and the tests of mutations run the same.

use std::sync::OnceLock;

use lutweave_nn::{Dense, Dropout, GroupSum, LutLayer, Network, Sequential, Thermometer};
use lutweave_store::{
    checkpoint_from_bytes, checkpoint_to_bytes, export_safetensors, from_bytes, from_safetensors,
    import_safetensors, to_bytes, to_safetensors,
};
use lutweave_tensor::{Dataset, Targets, Values};
use lutweave_train::{Adam, Checkpoint, Flow, SoftmaxCrossEntropy, Trainer};

/// Ten samples of four numbers.
pub fn data() -> Dataset {
    let values = Values::U8((0..40).map(|v| v * 3).collect());
    let labels = Targets::Classes { count: 2, labels: vec![0, 1, 0, 1, 1, 0, 1, 0, 0, 1] };
    Dataset::new("t", &[4], values, labels).unwrap()
}

/// A small network of look-up tables.
pub fn net() -> Network {
    Sequential::new(&[4])
        .then(Thermometer::fit(&data(), 2).unwrap())
        .then(LutLayer::new(6).fan_in(3))
        .then(GroupSum::new(2))
        .build(5)
        .unwrap()
}

/// A network that draws noise, and the state of its training after three steps of four.
pub fn training() -> (Network, Checkpoint) {
    let data = data();
    let mut net = Sequential::new(&[4])
        .then(Thermometer::fit(&data, 2).unwrap())
        .then(LutLayer::new(6).fan_in(3).real_output(true))
        .then(Dropout::new(0.25))
        .then(Dense::new(&[2]).binary_weights(true))
        .build(5)
        .unwrap();
    let (mut steps, mut saved) = (0, Checkpoint::default());
    Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy)
        .epochs(2)
        .batch(5)
        .keep_best(true)
        .on_step(|_| {
            steps += 1;
            if steps == 3 { Flow::Stop } else { Flow::Continue }
        })
        .on_checkpoint(|_, checkpoint| {
            saved = checkpoint.clone();
            Ok(())
        })
        .fit(&mut net, &data, &data)
        .unwrap();
    "a note".clone_into(&mut saved.note);
    (net, saved)
}

/// A file of each format that is right.
pub fn seeds() -> &'static [Vec<u8>; 3] {
    static SEEDS: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let (trained, checkpoint) = training();
        [
            to_bytes(&net()).unwrap(),
            checkpoint_to_bytes(&trained, &checkpoint).unwrap(),
            export_safetensors(&net()).unwrap(),
        ]
    })
}

/// A file with another header, whose length and checksum are right: what comes after those checks
/// is reached.
pub fn with_header(file: &[u8], header: &[u8]) -> Vec<u8> {
    let old = header_of(file).len();
    let arrays = file.get((24 + old).next_multiple_of(64)..).unwrap_or_default();
    let mut new = file[..12].to_vec();
    new.extend_from_slice(&(header.len() as u32).to_le_bytes());
    new.extend_from_slice(&crc32fast::hash(header).to_le_bytes());
    new.extend_from_slice(&[0; 4]);
    new.extend_from_slice(header);
    new.resize(new.len().next_multiple_of(64), 0);
    new.extend_from_slice(arrays);
    new
}

/// The header of a model file or checkpoint that is right.
pub fn header_of(file: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes([file[12], file[13], file[14], file[15]]) as usize;
    &file[24..24 + length]
}

/// Reads a model file: a network, which is written and read again, or an error.
pub fn model(bytes: &[u8]) {
    if let Ok(net) = from_bytes(bytes) {
        let again = from_bytes(&to_bytes(&net).unwrap()).unwrap();
        assert_eq!(again.spec().config(), net.spec().config());
        let _ = net.describe().to_string();
    }
}

/// Reads a checkpoint, and goes on from it.
pub fn checkpoint(bytes: &[u8]) {
    if let Ok((mut net, checkpoint)) = checkpoint_from_bytes(bytes) {
        let again = checkpoint_to_bytes(&net, &checkpoint).unwrap();
        assert!(checkpoint_from_bytes(&again).is_ok());
        let trainer = Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy).epochs(2).batch(5);
        let trainer = trainer.keep_best(true).patience(1).on_step(|_| Flow::Checkpoint);
        let _ = trainer.resume(checkpoint).fit(&mut net, &data(), &data());
    }
}

/// Reads a safetensors file: arrays, which are written and read again, or an error.
pub fn safetensors(bytes: &[u8]) {
    let _ = import_safetensors(&mut net(), bytes);
    if let Ok(arrays) = from_safetensors(bytes) {
        let again = from_safetensors(&to_safetensors(&arrays, &[]).unwrap()).unwrap();
        // Bits, since numbers that are none are equal to nothing.
        let bits = |arrays| format!("{arrays:?}");
        let (mut again, mut arrays) = (again, arrays);
        again.sort_by(|a, b| a.name.cmp(&b.name));
        arrays.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(bits(again), bits(arrays));
    }
}
