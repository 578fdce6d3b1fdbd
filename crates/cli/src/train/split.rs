//! Samples to train on, to look at as the network trains, and to judge it by at the end.

use std::path::Path;

use lutweave::data;
use lutweave::prelude::*;

use super::config::{Config, TargetsConfig};
use super::source::Source;
use crate::error::{Error, Result};
use crate::samples;

/// The samples of a training.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) train: Dataset,
    /// Training samples that were kept aside.
    pub(super) validation: Option<Dataset>,
    pub(super) test: Dataset,
}

impl Samples {
    /// Opens them, and keeps some of the training samples aside where the settings say so. Which
    /// ones does not depend on the seed, so that trainings can be compared.
    pub(super) fn open(config: &Config, source: &Source, data_dir: Option<&Path>) -> Result<Self> {
        let asked = config.data.targets != TargetsConfig::Given || config.data.shape.is_some();
        let opened = samples::open(&config.data, data_dir).map_err(|error| match error {
            Error::Data(error @ (data::Error::Argument { .. } | data::Error::Column { .. }))
                if asked =>
            {
                let keys = ["targets", "[data.targets]", "shape", "set"];
                source.error_at(source.place_of(&keys), &error.to_string())
            }
            error => error,
        })?;
        let (mut train, test) = (opened.train, opened.test);
        let mut validation = None;
        if let Some(kept) = config.data.validation {
            if kept == 0 || kept >= train.len() {
                let at = source.text.find("validation").unwrap_or(0);
                let most = train.len().saturating_sub(1);
                return Err(
                    source.error_at(at, &format!("expected 1 to {most} samples, got {kept}"))
                );
            }
            let (aside, rest) = train.split(kept, data::SPLIT_SEED)?;
            (train, validation) = (rest, Some(aside));
        }
        Ok(Self { train, validation, test })
    }

    /// The samples on which the network is looked at after every epoch, and what they are called.
    pub(super) fn watched(&self) -> (&Dataset, &'static str) {
        match &self.validation {
            Some(validation) => (validation, "validation"),
            None => (&self.test, "test"),
        }
    }
}
