//! Data sets by name, and random changes of their images.

use std::path::Path;

use lutweave::data::augment::{
    Augmentation, CutOut, Elastic, Flip, Noise, Pixels, Rotate, Scale, Shear, Shift,
};
use lutweave::data::csv::Target;
use lutweave::data::{OpenOptions, Opened, auto_encoding, masks, value_range};
use lutweave::prelude::*;
use lutweave::tensor::Values;
use lutweave::train::{BoxError, Place};

use crate::error::Result;
use crate::train::config::{AugmentConfig, DataConfig, ElasticConfig, TargetsConfig};

/// The training and the test part of a data set, with the targets that are asked for.
pub(crate) fn open(config: &DataConfig, data_dir: Option<&Path>) -> Result<Opened> {
    let mut options = OpenOptions::new().data_dir(data_dir).bytes(config.bytes);
    match &config.targets {
        TargetsConfig::Class(column) => options = options.target(Target::Classes(column.clone())),
        TargetsConfig::Numbers(columns) => {
            options = options.target(Target::Numbers(columns.clone()));
        }
        _ => {}
    }
    if let Some(shape) = &config.shape {
        options = options.shape(shape);
    }
    let mut opened = options.open(&config.set)?;
    match config.targets {
        TargetsConfig::Samples => {
            let range = value_range(&opened.train)?;
            for part in [&mut opened.train, &mut opened.test] {
                *part = auto_encoding(part, range)?;
            }
        }
        TargetsConfig::Mask(threshold) => {
            for part in [&mut opened.train, &mut opened.test] {
                *part = masks(part, threshold)?;
            }
        }
        _ => {}
    }
    Ok(opened)
}

/// The changes that settings ask for.
pub(crate) fn augmentation(config: &AugmentConfig, seed: u64) -> Result<Augmentation> {
    let mut all = Augmentation::new(seed);
    if let Some(distance) = config.shift {
        all = all.with(Shift::new(distance));
    }
    if let Some(degrees) = config.rotate {
        all = all.with(Rotate::new(degrees)?);
    }
    if let Some(part) = config.scale {
        all = all.with(Scale::new(part)?);
    }
    if let Some(slope) = config.shear {
        all = all.with(Shear::new(slope)?);
    }
    if let Some(ElasticConfig { deviation, grid }) = config.elastic {
        all = all.with(Elastic::new(deviation, grid)?);
    }
    if let Some(probability) = config.flip {
        all = all.with(Flip::horizontal(probability)?);
    }
    if let Some(deviation) = config.noise {
        all = all.with(Noise::new(deviation)?);
    }
    if let Some(side) = config.cut_out {
        all = all.with(CutOut::new(side));
    }
    Ok(all)
}

/// The samples of a batch as they are in their epoch.
pub(crate) fn changed(
    augmentation: &Augmentation,
    samples: &Dataset,
    place: &Place<'_>,
) -> std::result::Result<Dataset, BoxError> {
    let (mut values, shape, size) =
        (samples.values().clone(), samples.shape(), samples.sample_size());
    let epoch = place.epoch as u64;
    for (number, &sample) in place.samples.iter().enumerate() {
        let range = number * size..(number + 1) * size;
        let pixels = match &mut values {
            Values::U8(values) => Pixels::U8(&mut values[range]),
            Values::F32(values) => Pixels::F32(&mut values[range]),
            _ => return Err("augmentation needs values of u8 or f32".into()),
        };
        augmentation.apply(shape, pixels, epoch, sample as u64)?;
    }
    Ok(Dataset::new(samples.name(), shape, values, samples.targets().clone())?)
}
