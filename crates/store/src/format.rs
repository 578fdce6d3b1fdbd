//! The bytes of a model file or checkpoint.
//!
//! ```text
//! offset  size
//!      0     8  magic "LUTWEAVE"
//!      8     4  format version, 3
//!     12     4  length of the header, at most 16 MiB
//!     16     4  CRC-32 of the header
//!     20     4  zero
//!     24     …  header: postcard
//!      …     …  zeros up to a multiple of 64
//!      …     …  arrays in the header's order, each followed by zeros up to a multiple of 64
//! ```
//!
//! All numbers are little-endian; array elements take four bytes (f32 or u32). The header names
//! each array with its part, type, length and CRC-32. The arrays cover the file exactly: a byte more
//! or less, or a padding byte that is not zero, is an error. A checkpoint is a model file that has a
//! training besides; read as a model it gives the network.
//!
//! Files are read in their order, numbers straight to where they stay, so that a file is never in
//! memory twice. They are not mapped into memory: every byte is looked at for the checksums and every
//! number becomes part of a network that is going to change, so nothing would be saved; and a mapped
//! file that another program cuts short ends this one.

mod header;
mod input;
mod size;

use std::io::Write;
use std::path::Path;

use lutweave_nn::{Network, Signal, StateData, StateTensor, registry};
use lutweave_tensor::DType;
use lutweave_train::{Best, Checkpoint};

pub(crate) use self::header::raw;
use self::header::{Array, Header, Part, Shape, Training};
pub(crate) use self::input::Input;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"LUTWEAVE";
const VERSION: u32 = 3;
const PREFIX: usize = 24;
const MAX_HEADER: usize = 16 << 20;
const ALIGNMENT: usize = 64;

fn malformed<T>(check: &'static str, what: impl Into<String>) -> Result<T> {
    Err(Error::Malformed { check, what: what.into() })
}

/// The model file of a network.
///
/// # Errors
///
/// [`Error::Malformed`] when its settings do not fit a header.
pub fn to_bytes(net: &Network) -> Result<Vec<u8>> {
    Content::new(net, None)?.to_bytes()
}

/// The checkpoint of a network and its training.
///
/// # Errors
///
/// As [`to_bytes`].
pub fn checkpoint_to_bytes(net: &Network, checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    Content::new(net, Some(checkpoint))?.to_bytes()
}

/// The network of a model file or checkpoint. Takes memory in proportion to the length of `bytes`.
///
/// # Errors
///
/// [`Error::Malformed`], naming the check that failed; [`Error::Network`] when the header
/// describes what cannot be built.
pub fn from_bytes(bytes: &[u8]) -> Result<Network> {
    in_memory(bytes, read_network)
}

/// What a function reads of bytes in memory.
fn in_memory<T>(mut bytes: &[u8], read: fn(&mut Input<'_>) -> Result<T>) -> Result<T> {
    let length = bytes.len() as u64;
    read(&mut Input::new(&mut bytes, length, Path::new("")))
}

/// [`from_bytes`] of a file.
pub(crate) fn read_network(input: &mut Input<'_>) -> Result<Network> {
    let (header, parts) = read(input, |part| matches!(part, Part::Network))?;
    network(&header, &parts.network)
}

/// The network and the training of a checkpoint.
///
/// # Errors
///
/// As [`from_bytes`]; also when the file is a model without a training.
pub fn checkpoint_from_bytes(bytes: &[u8]) -> Result<(Network, Checkpoint)> {
    in_memory(bytes, read_checkpoint)
}

/// [`checkpoint_from_bytes`] of a file.
pub(crate) fn read_checkpoint(input: &mut Input<'_>) -> Result<(Network, Checkpoint)> {
    let (mut header, parts) = read(input, |_| true)?;
    let Some(training) = header.training.take() else {
        return malformed("content", "a model without the state of a training, no checkpoint");
    };
    let net = network(&header, &parts.network)?;
    let best = training.best.map(|(epoch, frozen)| Best { epoch, frozen, state: parts.best });
    let Training { position, history, note, .. } = training;
    let optimizer = parts.optimizer;
    let bits = unpaired(&parts.bits)?;
    Ok((net, Checkpoint { position, optimizer, history, best, bits, note }))
}

/// A file that can be written: its beginning, and the arrays that follow.
pub(crate) struct Content<'s> {
    start: Vec<u8>,
    arrays: Vec<std::borrow::Cow<'s, StateTensor>>,
}

impl<'s> Content<'s> {
    pub(crate) fn new(net: &Network, checkpoint: Option<&'s Checkpoint>) -> Result<Self> {
        use std::borrow::Cow;
        let mut arrays: Vec<(Part, Cow<'s, StateTensor>)> =
            net.state().into_iter().map(|tensor| (Part::Network, Cow::Owned(tensor))).collect();
        if let Some(checkpoint) = checkpoint {
            let optimizer = checkpoint.optimizer.iter();
            arrays.extend(optimizer.map(|tensor| (Part::Optimizer, Cow::Borrowed(tensor))));
            let best = checkpoint.best.iter().flat_map(|best| &best.state);
            arrays.extend(best.map(|tensor| (Part::Best, Cow::Borrowed(tensor))));
            if !checkpoint.bits.is_empty() {
                arrays.push((Part::Bits, Cow::Owned(paired(&checkpoint.bits))));
            }
        }
        let shape = |input: &Signal| Shape {
            dtype: input.dtype.code(),
            shape: input.shape.iter().map(|&axis| axis as u64).collect(),
        };
        let header = Header {
            kind: net.spec().kind().to_owned(),
            config: net.spec().config().to_string(),
            inputs: net.inputs().iter().map(shape).collect(),
            seed: net.seed(),
            training: checkpoint.map(|checkpoint| Training {
                position: checkpoint.position,
                history: checkpoint.history.clone(),
                best: checkpoint.best.as_ref().map(|best| (best.epoch, best.frozen)),
                note: checkpoint.note.clone(),
            }),
            arrays: arrays.iter().map(|(part, tensor)| Array::of(*part, tensor)).collect(),
        };
        let header = match postcard::to_stdvec(&header) {
            Ok(header) if header.len() <= MAX_HEADER => header,
            Ok(header) => return malformed("header length", format!("{} bytes", header.len())),
            Err(error) => return malformed("header", error.to_string()),
        };
        let mut start = Vec::with_capacity(PREFIX + header.len() + ALIGNMENT);
        start.extend_from_slice(MAGIC);
        start.extend_from_slice(&VERSION.to_le_bytes());
        start.extend_from_slice(&(header.len() as u32).to_le_bytes());
        start.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        start.extend_from_slice(&[0; 4]);
        start.extend_from_slice(&header);
        start.resize(start.len().next_multiple_of(ALIGNMENT), 0);
        Ok(Self { start, arrays: arrays.into_iter().map(|(_, tensor)| tensor).collect() })
    }

    /// Writes it; array bytes are not copied first.
    pub(crate) fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(&self.start)?;
        for tensor in &self.arrays {
            let bytes = header::raw(&tensor.data);
            out.write_all(&bytes)?;
            out.write_all(&[0; ALIGNMENT][..padding(bytes.len())])?;
        }
        Ok(())
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.write(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) => malformed("length", error.to_string()),
        }
    }
}

/// Words of 64 bits as an array: the low half of each, then the high one.
fn paired(words: &[u64]) -> StateTensor {
    let halves = words.iter().flat_map(|&word| [word as u32, (word >> 32) as u32]);
    StateTensor { name: "bits".to_owned(), data: StateData::U32(halves.collect()) }
}

/// The words of [`paired`]; none of no array.
fn unpaired(arrays: &[StateTensor]) -> Result<Vec<u64>> {
    match arrays {
        [] => Ok(Vec::new()),
        [StateTensor { data: StateData::U32(halves), .. }] if halves.len().is_multiple_of(2) => {
            let pairs = halves.chunks_exact(2);
            Ok(pairs.map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32).collect())
        }
        _ => malformed("content", "the bits of the network are not one array of whole words"),
    }
}

/// Zeros that follow something of `length` bytes.
fn padding(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT) - length
}

/// The arrays of a file by what they are of.
#[derive(Debug, Default)]
struct Parts {
    network: Vec<StateTensor>,
    optimizer: Vec<StateTensor>,
    best: Vec<StateTensor>,
    bits: Vec<StateTensor>,
}

/// Checks a file from end to end, and keeps the arrays that are wanted.
fn read(input: &mut Input<'_>, wanted: fn(Part) -> bool) -> Result<(Header, Parts)> {
    let mut header = read_header(input)?;
    let mut parts = Parts::default();
    for array in std::mem::take(&mut header.arrays) {
        let length = usize::try_from(array.length).ok().and_then(|length| length.checked_mul(4));
        let Some(length) = length.filter(|&length| input.has(length)) else {
            let (name, left) = (&array.name, input.left());
            return malformed(
                "file length",
                format!("array `{name}` needs more bytes than the {left} left"),
            );
        };
        let list = match array.part {
            Part::Network => &mut parts.network,
            Part::Optimizer => &mut parts.optimizer,
            Part::Best => &mut parts.best,
            Part::Bits => &mut parts.bits,
        };
        if wanted(array.part) {
            list.push(array.read(input)?);
        } else {
            array.check(input)?;
        }
        input.skip_padding(length)?;
    }
    match input.left() {
        0 => Ok((header, parts)),
        left => malformed("file length", format!("{left} bytes follow the last array")),
    }
}

/// Builds the network that a header describes.
fn network(header: &Header, state: &[StateTensor]) -> Result<Network> {
    let config: serde_json::Value = match serde_json::from_str(&header.config) {
        Ok(config) => config,
        Err(error) => return malformed("header", format!("layer settings: {error}")),
    };
    let mut inputs = Vec::with_capacity(header.inputs.len());
    for input in &header.inputs {
        let Some(dtype) = DType::from_code(input.dtype) else {
            return malformed("header", format!("there is no type {:#x}", input.dtype));
        };
        let shape = input.shape.iter().map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX));
        inputs.push(Signal { dtype, shape: shape.collect() });
    }
    size::check(&inputs, &config, state)?;
    let spec = registry::spec(&header.kind, &config)?;
    let mut net = Network::with_inputs(spec.as_ref(), inputs, header.seed)?;
    net.restore(state)?;
    Ok(net)
}

fn read_header(input: &mut Input<'_>) -> Result<Header> {
    if !input.has(PREFIX) {
        return malformed("file length", format!("{} bytes are too few", input.left()));
    }
    let mut prefix = [0u8; PREFIX];
    input.fill(&mut prefix)?;
    let word = |at: usize| {
        u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]])
    };
    if &prefix[..8] != MAGIC {
        return malformed("magic", "the file does not begin with LUTWEAVE");
    }
    let version = word(8);
    if !(1..=VERSION).contains(&version) {
        let what = format!("version {version}, this program reads versions 1 to {VERSION}");
        return malformed("format version", what);
    }
    let length = word(12) as usize;
    if length > MAX_HEADER {
        return malformed("header length", format!("{length} bytes are more than {MAX_HEADER}"));
    }
    if !input.has(length) {
        return malformed("file length", format!("the header of {length} bytes is cut off"));
    }
    let mut header = vec![0u8; length];
    input.fill(&mut header)?;
    if crc32fast::hash(&header) != word(16) {
        return malformed("header checksum", "the header was changed");
    }
    if word(20) != 0 {
        return malformed("header", "reserved bytes are not zero");
    }
    match Header::decode(&header, version) {
        Ok((header, 0)) => {
            input.skip_padding(PREFIX + length)?;
            Ok(header)
        }
        Ok((_, extra)) => malformed("header", format!("{extra} bytes too many")),
        Err(error) => malformed("header", error.to_string()),
    }
}
