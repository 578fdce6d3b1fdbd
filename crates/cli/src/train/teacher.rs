//! A trained network whose answers another learns from.

use std::path::{Path, PathBuf};

use lutweave::backend::Cpu;
use lutweave::prelude::*;

use super::config::LossConfig;
use crate::error::{Error, Result};

/// Samples answered at a time.
const BLOCK: usize = 1024;

/// The network of the settings' model file.
#[derive(Debug)]
pub(super) struct Teacher {
    net: Network,
    path: PathBuf,
    /// Checksum of the file.
    crc32: u32,
}

impl Teacher {
    /// Reads it, where the loss needs one.
    pub(super) fn read(loss: &LossConfig) -> Result<Option<Self>> {
        let LossConfig::Distillation { teacher: path, .. } = loss else { return Ok(None) };
        let path = Path::new(path);
        let bytes = std::fs::read(path).map_err(Error::io("read the teacher", path))?;
        let net = store::from_bytes(&bytes)?;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        Ok(Some(Self { net, path: path.to_owned(), crc32: crc.sum() }))
    }

    /// Whether it can teach this network: it has to read the same samples, and give as many scores.
    pub(super) fn check(&self, net: &Network) -> Result<()> {
        let (expected, got) = (net.output(), self.net.output());
        if got.dtype == DType::F32 && got.nodes() == expected.nodes() {
            return Ok(());
        }
        let (expected, got) = (expected.shape.clone(), format!("{} {:?}", got.dtype, got.shape));
        Err(Error::Teacher { path: self.path.clone(), expected, got })
    }

    /// What tells it from others: part of the settings, since another teaches something else.
    pub(super) fn note(&self) -> String {
        format!("teacher_crc32 = {:#010x}\n", self.crc32)
    }

    /// The same samples with its answers.
    pub(super) fn teach(&self, samples: Dataset) -> Result<Dataset> {
        let (backend, all) = (Cpu::new(), (0..samples.len()).collect::<Vec<_>>());
        let shape = &self.net.output().shape;
        let mut scores = Vec::with_capacity(samples.len() * self.net.output().nodes());
        for block in all.chunks(BLOCK) {
            let answer = self.net.evaluate(&self.net.batch(&samples, block)?, &backend)?;
            if answer.frames() != block.len() {
                return Err(Error::Unexpected(
                    "the teacher gives several frames a sample; end it with binary_to_real",
                ));
            }
            scores.extend(answer.to_frames::<f32>()?);
        }
        Ok(samples.taught(shape, scores)?)
    }
}
