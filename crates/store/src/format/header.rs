//! What the header says, in this and earlier versions of the format.

use std::borrow::Cow;

use lutweave_nn::{StateData, StateTensor};
use lutweave_tensor::DType;
use lutweave_train::{Epoch, Position};
use serde::{Deserialize, Serialize};

use super::{Input, malformed};
use crate::Result;

/// The header; `E` is the figures of an epoch, which have grown since version 2.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header<E = Epoch> {
    pub(super) kind: String,
    /// JSON, so that a layer's settings may grow without a new format version.
    pub(super) config: String,
    pub(super) inputs: Vec<Shape>,
    pub(super) seed: u64,
    pub(super) training: Option<Training<E>>,
    pub(super) arrays: Vec<Array>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shape {
    pub(super) dtype: u16,
    pub(super) shape: Vec<u64>,
}

/// What a checkpoint has besides arrays.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Training<E = Epoch> {
    pub(super) position: Position,
    pub(super) history: Vec<E>,
    /// Epoch and frozen metric.
    pub(super) best: Option<(usize, f64)>,
    pub(super) note: String,
}

/// What an array is of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Part {
    Network,
    Optimizer,
    Best,
    /// The bits of the network when the epoch began, two words of an array for 64 of them.
    Bits,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Array {
    pub(super) part: Part,
    pub(super) name: String,
    pub(super) dtype: u16,
    pub(super) length: u64,
    pub(super) crc32: u32,
}

/// The figures of an epoch in version 2: without flips.
#[derive(Debug, Deserialize)]
struct Epoch2 {
    epoch: usize,
    epochs: usize,
    seconds: f64,
    loss: f32,
    train: f64,
    soft: f64,
    frozen: f64,
    gap: f64,
    metric: String,
    learning_rate: f32,
    images_per_s: f64,
}

impl From<Epoch2> for Epoch {
    fn from(old: Epoch2) -> Self {
        Self {
            epoch: old.epoch,
            epochs: old.epochs,
            seconds: old.seconds,
            loss: old.loss,
            train: old.train,
            soft: old.soft,
            frozen: old.frozen,
            gap: old.gap,
            metric: old.metric,
            learning_rate: old.learning_rate,
            images_per_s: old.images_per_s,
            flips: None,
        }
    }
}

/// The header of version 1: networks of one input.
#[derive(Debug, Deserialize)]
struct Header1 {
    kind: String,
    config: String,
    input_dtype: u16,
    input_shape: Vec<u64>,
    seed: u64,
    arrays: Vec<Array1>,
}

#[derive(Debug, Deserialize)]
struct Array1 {
    name: String,
    dtype: u16,
    length: u64,
    crc32: u32,
}

impl Header {
    /// The header of a file of this version, and how many bytes are left.
    pub(super) fn decode(bytes: &[u8], version: u32) -> postcard::Result<(Self, usize)> {
        if version > 2 {
            let (header, rest) = postcard::take_from_bytes::<Self>(bytes)?;
            return Ok((header, rest.len()));
        }
        if version == 2 {
            let (old, rest) = postcard::take_from_bytes::<Header<Epoch2>>(bytes)?;
            let Header { kind, config, inputs, seed, training, arrays } = old;
            let training = training.map(|Training { position, history, best, note }| Training {
                position,
                history: history.into_iter().map(Epoch::from).collect(),
                best,
                note,
            });
            return Ok((Self { kind, config, inputs, seed, training, arrays }, rest.len()));
        }
        let (old, rest) = postcard::take_from_bytes::<Header1>(bytes)?;
        let array = |Array1 { name, dtype, length, crc32 }| Array {
            part: Part::Network,
            name,
            dtype,
            length,
            crc32,
        };
        let header = Self {
            kind: old.kind,
            config: old.config,
            inputs: vec![Shape { dtype: old.input_dtype, shape: old.input_shape }],
            seed: old.seed,
            training: None,
            arrays: old.arrays.into_iter().map(array).collect(),
        };
        Ok((header, rest.len()))
    }
}

impl Array {
    pub(super) fn of(part: Part, tensor: &StateTensor) -> Self {
        let dtype = match tensor.data {
            StateData::F32(_) => DType::F32,
            StateData::U32(_) => DType::U32,
        };
        Self {
            part,
            name: tensor.name.clone(),
            dtype: dtype.code(),
            length: tensor.data.len() as u64,
            crc32: crc32fast::hash(&raw(&tensor.data)),
        }
    }

    /// Takes the numbers, of which there are enough, and checks them.
    pub(super) fn read(self, input: &mut Input<'_>) -> Result<StateTensor> {
        let length = self.length as usize;
        let (data, crc32) = match DType::from_code(self.dtype) {
            Some(DType::F32) => {
                let (words, crc32) = words(input, length)?;
                (StateData::F32(words.into_iter().map(f32::from_bits).collect()), crc32)
            }
            Some(DType::U32) => {
                let (words, crc32) = words(input, length)?;
                (StateData::U32(words), crc32)
            }
            _ => return self.of_unknown_type(),
        };
        self.compare(crc32)?;
        Ok(StateTensor { name: self.name, data })
    }

    /// Checks the numbers, of which there are enough, without keeping them.
    pub(super) fn check(&self, input: &mut Input<'_>) -> Result<()> {
        if !matches!(DType::from_code(self.dtype), Some(DType::F32 | DType::U32)) {
            return self.of_unknown_type();
        }
        let (mut block, mut left) = (vec![0u8; BLOCK], self.length.saturating_mul(4));
        let mut crc = crc32fast::Hasher::new();
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            input.fill(&mut block[..part])?;
            crc.update(&block[..part]);
            left -= part as u64;
        }
        self.compare(crc.finalize())
    }

    fn of_unknown_type<T>(&self) -> Result<T> {
        malformed("header", format!("array `{}` is of unknown type {:#x}", self.name, self.dtype))
    }

    fn compare(&self, crc32: u32) -> Result<()> {
        if crc32 == self.crc32 {
            return Ok(());
        }
        malformed("array checksum", format!("array `{}` was changed", self.name))
    }
}

/// Bytes of an array that are in memory at a time where it is not kept.
const BLOCK: usize = 1 << 16;

/// The next words, and the checksum of their bytes.
fn words(input: &mut Input<'_>, length: usize) -> Result<(Vec<u32>, u32)> {
    let mut words = vec![0u32; length];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    input.fill(bytes)?;
    let crc32 = crc32fast::hash(bytes);
    for word in &mut words {
        *word = u32::from_le(*word); // nothing to do where numbers lie like that
    }
    Ok((words, crc32))
}

/// The numbers as the bytes of a file; nothing is copied where they lie in memory like that.
pub(crate) fn raw(data: &StateData) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(match data {
            StateData::F32(values) => bytemuck::cast_slice(values),
            StateData::U32(values) => bytemuck::cast_slice(values),
        });
    }
    Cow::Owned(match data {
        StateData::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        StateData::U32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    })
}
