//! The bytes of a model file.
//!
//! ```text
//! offset  size
//!      0     8  magic "LUTWEAVE"
//!      8     4  format version, 1
//!     12     4  length of the header, at most 16 MiB
//!     16     4  CRC-32 of the header
//!     20     4  zero
//!     24     …  header: postcard
//!      …     …  zeros up to a multiple of 64
//!      …     …  arrays in the header's order, each followed by zeros up to a multiple of 64
//! ```
//!
//! All numbers are little-endian; array elements take four bytes (f32 or u32). The header names
//! each array with its type, length and CRC-32. The arrays cover the file exactly: a byte more or
//! less, or a padding byte that is not zero, is an error.

use lutweave_nn::{Network, Signal, StateData, StateTensor, registry};
use lutweave_tensor::DType;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"LUTWEAVE";
const VERSION: u32 = 1;
const PREFIX: usize = 24;
const MAX_HEADER: usize = 16 << 20;
const ALIGNMENT: usize = 64;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    kind: String,
    /// JSON, so that a layer's settings may grow without a new format version.
    config: String,
    input_dtype: u16,
    input_shape: Vec<u64>,
    seed: u64,
    arrays: Vec<Array>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Array {
    name: String,
    dtype: u16,
    length: u64,
    crc32: u32,
}

fn malformed<T>(check: &'static str, what: impl Into<String>) -> Result<T> {
    Err(Error::Malformed { check, what: what.into() })
}

/// The model file of a network.
///
/// # Errors
///
/// [`Error::Malformed`] when its settings do not fit a header.
pub fn to_bytes(net: &Network) -> Result<Vec<u8>> {
    let arrays: Vec<(StateTensor, Vec<u8>)> = net
        .state()
        .into_iter()
        .map(|tensor| {
            let bytes = raw(&tensor.data);
            (tensor, bytes)
        })
        .collect();
    let header = Header {
        kind: net.spec().kind().to_owned(),
        config: net.spec().config().to_string(),
        input_dtype: net.input().dtype.code(),
        input_shape: net.input().shape.iter().map(|&axis| axis as u64).collect(),
        seed: net.seed(),
        arrays: arrays.iter().map(|(tensor, bytes)| describe(tensor, bytes)).collect(),
    };
    let header = match postcard::to_stdvec(&header) {
        Ok(header) if header.len() <= MAX_HEADER => header,
        Ok(header) => return malformed("header length", format!("{} bytes", header.len())),
        Err(error) => return malformed("header", error.to_string()),
    };
    let mut bytes = Vec::new();
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&header);
    pad(&mut bytes);
    for (_, array) in arrays {
        bytes.extend_from_slice(&array);
        pad(&mut bytes);
    }
    Ok(bytes)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

fn raw(data: &StateData) -> Vec<u8> {
    match data {
        StateData::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        StateData::U32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

fn describe(tensor: &StateTensor, bytes: &[u8]) -> Array {
    let dtype = match tensor.data {
        StateData::F32(_) => DType::F32,
        StateData::U32(_) => DType::U32,
    };
    let (name, length) = (tensor.name.clone(), bytes.len() as u64 / 4);
    Array { name, dtype: dtype.code(), length, crc32: crc32fast::hash(bytes) }
}

/// The network of a model file. Takes memory in proportion to the length of `bytes`.
///
/// # Errors
///
/// [`Error::Malformed`], naming the check that failed; [`Error::Network`] when the header
/// describes what cannot be built.
pub fn from_bytes(bytes: &[u8]) -> Result<Network> {
    let (header, mut rest) = read_header(bytes)?;
    let mut state = Vec::with_capacity(header.arrays.len());
    for array in header.arrays {
        let length = usize::try_from(array.length).ok().and_then(|length| length.checked_mul(4));
        let Some(length) = length.filter(|&length| length <= rest.len()) else {
            let what =
                format!("array `{}` needs more bytes than the {} left", array.name, rest.len());
            return malformed("file length", what);
        };
        let (own, after) = rest.split_at(length);
        if crc32fast::hash(own) != array.crc32 {
            return malformed("array checksum", format!("array `{}` was changed", array.name));
        }
        rest = skip_padding(after, length)?;
        state.push(StateTensor { data: decode(&array, own)?, name: array.name });
    }
    if !rest.is_empty() {
        return malformed("file length", format!("{} bytes follow the last array", rest.len()));
    }
    let Some(dtype) = DType::from_code(header.input_dtype) else {
        return malformed("header", format!("there is no type {:#x}", header.input_dtype));
    };
    let config: serde_json::Value = match serde_json::from_str(&header.config) {
        Ok(config) => config,
        Err(error) => return malformed("header", format!("layer settings: {error}")),
    };
    let shape: Vec<usize> = header.input_shape.iter().map(|&axis| axis as usize).collect();
    check_size(&config, &state)?;
    let spec = registry::spec(&header.kind, &config)?;
    let mut net = Network::build(spec.as_ref(), Signal { dtype, shape }, header.seed)?;
    net.restore(&state)?;
    Ok(net)
}

fn read_header(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let Some((prefix, rest)) = bytes.split_at_checked(PREFIX) else {
        return malformed("file length", format!("{} bytes are too few", bytes.len()));
    };
    let word = |at: usize| {
        u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]])
    };
    if &prefix[..8] != MAGIC {
        return malformed("magic", "the file does not begin with LUTWEAVE");
    }
    if word(8) != VERSION {
        let what = format!("version {}, this program reads version {VERSION}", word(8));
        return malformed("format version", what);
    }
    let length = word(12) as usize;
    if length > MAX_HEADER {
        return malformed("header length", format!("{length} bytes are more than {MAX_HEADER}"));
    }
    let Some((header, rest)) = rest.split_at_checked(length) else {
        return malformed("file length", format!("the header of {length} bytes is cut off"));
    };
    if crc32fast::hash(header) != word(16) {
        return malformed("header checksum", "the header was changed");
    }
    if word(20) != 0 {
        return malformed("header", "reserved bytes are not zero");
    }
    match postcard::take_from_bytes::<Header>(header) {
        Ok((header, [])) => Ok((header, skip_padding(rest, PREFIX + length)?)),
        Ok((_, extra)) => malformed("header", format!("{} bytes too many", extra.len())),
        Err(error) => malformed("header", error.to_string()),
    }
}

/// `rest` past the zeros that follow something of `length` bytes.
fn skip_padding(rest: &[u8], length: usize) -> Result<&[u8]> {
    let padding = length.next_multiple_of(ALIGNMENT) - length;
    match rest.split_at_checked(padding) {
        Some((zeros, rest)) if zeros.iter().all(|&byte| byte == 0) => Ok(rest),
        Some(_) => malformed("padding", "bytes between arrays are not zero"),
        None => malformed("file length", "the file ends inside padding"),
    }
}

fn decode(array: &Array, bytes: &[u8]) -> Result<StateData> {
    let words = bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
    match DType::from_code(array.dtype) {
        Some(DType::F32) => Ok(StateData::F32(words.map(f32::from_le_bytes).collect())),
        Some(DType::U32) => Ok(StateData::U32(words.map(u32::from_le_bytes).collect())),
        _ => malformed(
            "header",
            format!("array `{}` is of unknown type {:#x}", array.name, array.dtype),
        ),
    }
}

/// Refuses settings that ask for more numbers than the file holds, before anything is built.
fn check_size(config: &serde_json::Value, state: &[StateTensor]) -> Result<()> {
    let stored: usize = state
        .iter()
        .map(|tensor| match &tensor.data {
            StateData::F32(values) => values.len(),
            StateData::U32(values) => values.len(),
        })
        .sum();
    let mut nodes = 0u64;
    let mut values = vec![config];
    while let Some(value) = values.pop() {
        match value {
            serde_json::Value::Object(fields) => {
                nodes = nodes.saturating_add(
                    fields.get("nodes").and_then(serde_json::Value::as_u64).unwrap_or(0),
                );
                values.extend(fields.values());
            }
            serde_json::Value::Array(items) => values.extend(items),
            _ => {}
        }
    }
    if nodes <= stored as u64 {
        return Ok(());
    }
    malformed("header", format!("settings speak of {nodes} nodes, the file holds {stored} numbers"))
}
