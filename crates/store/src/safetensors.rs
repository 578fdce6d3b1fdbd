//! Arrays in and out of safetensors files, the format in which most weights are passed around.
//!
//! ```text
//! 8 bytes   length n of the header, little-endian, at most 100 MB
//! n bytes   JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
//!           and {"__metadata__": {text: text}}; spaces at the end
//! the rest  the arrays' bytes, little-endian; offsets are from here
//! ```
//!
//! Arrays are of f32 or u32, and of one axis when they are written: a network knows its shapes. As
//! the format wants, they cover the rest of the file without gap or overlap. A file holds no
//! settings of layers; it is for a network that is built already. Source: the format's README,
//! <https://github.com/huggingface/safetensors>.

use std::collections::BTreeMap;

use lutweave_nn::{Network, StateData, StateTensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::raw;
use crate::{Error, Result};

/// The format's own limit.
const MAX_HEADER: u64 = 100_000_000;
/// Where text about the file is.
const METADATA: &str = "__metadata__";

#[derive(Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

fn malformed<T>(check: &'static str, what: impl Into<String>) -> Result<T> {
    Err(Error::Malformed { check, what: what.into() })
}

/// The state of a network as a safetensors file.
///
/// # Errors
///
/// As [`to_safetensors`].
pub fn export_safetensors(net: &Network) -> Result<Vec<u8>> {
    let text = [("format", "lutweave"), ("kind", net.spec().kind())];
    to_safetensors(&net.state(), &text)
}

/// Takes over the state of a network from a safetensors file that has all of it.
///
/// # Errors
///
/// As [`from_safetensors`]; [`Error::Network`] when the arrays are not those of the network.
pub fn import_safetensors(net: &mut Network, bytes: &[u8]) -> Result<()> {
    Ok(net.restore(&from_safetensors(bytes)?)?)
}

/// Arrays and text as a safetensors file.
///
/// # Errors
///
/// [`Error::Malformed`] for two arrays of one name, or one called `__metadata__`.
pub fn to_safetensors(arrays: &[StateTensor], text: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut entries: BTreeMap<&str, Value> = BTreeMap::new();
    let metadata: BTreeMap<&str, &str> = text.iter().copied().collect();
    entries.insert(METADATA, serde_json::json!(metadata));
    let mut end = 0u64;
    for array in arrays {
        let dtype = match array.data {
            StateData::F32(_) => "F32",
            StateData::U32(_) => "U32",
        };
        let (begin, length) = (end, array.data.len() as u64);
        end += 4 * length;
        let entry =
            Entry { dtype: dtype.to_owned(), shape: vec![length], data_offsets: (begin, end) };
        if entries.insert(&array.name, serde_json::json!(entry)).is_some() {
            return malformed("name", format!("there are two arrays called `{}`", array.name));
        }
    }
    let mut header = serde_json::json!(entries).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > MAX_HEADER {
        return malformed("header length", format!("{} bytes", header.len()));
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&header);
    for array in arrays {
        bytes.extend_from_slice(&raw(&array.data));
    }
    Ok(bytes)
}

/// The arrays of a safetensors file, in the order in which they lie in it. Takes memory in
/// proportion to the length of `bytes`.
///
/// # Errors
///
/// [`Error::Malformed`], naming the check that failed: also for arrays that are neither of f32 nor
/// of u32.
pub fn from_safetensors(bytes: &[u8]) -> Result<Vec<StateTensor>> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return malformed("file length", format!("{} bytes are too few", bytes.len()));
    };
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().filter(|_| length <= MAX_HEADER);
    let Some((header, data)) = header.and_then(|length| rest.split_at_checked(length)) else {
        let what = format!("a header of {length} bytes does not fit the file");
        return malformed("header length", what);
    };
    let entries: BTreeMap<String, Value> = match serde_json::from_slice(header) {
        Ok(entries) => entries,
        Err(error) => return malformed("header", error.to_string()),
    };
    let mut found = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        if name == METADATA {
            continue;
        }
        match Entry::deserialize(&entry) {
            Ok(entry) => found.push((name, entry)),
            Err(error) => return malformed("header", format!("array `{name}`: {error}")),
        }
    }
    found.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut at = 0;
    let mut arrays = Vec::with_capacity(found.len());
    for (name, Entry { dtype, shape, data_offsets: (begin, end) }) in found {
        let count = shape.iter().try_fold(1u64, |count, &axis| count.checked_mul(axis));
        let fits = begin == at && end.checked_sub(begin) == count.and_then(|c| c.checked_mul(4));
        let own = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
        let own = own.and_then(|(begin, end)| data.get(begin..end));
        let Some(own) = own.filter(|_| fits) else {
            let what =
                format!("array `{name}` of shape {shape:?} does not lie at {begin} to {end}");
            return malformed("offsets", what);
        };
        at = end;
        let words = own.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
        let data = match dtype.as_str() {
            "F32" => StateData::F32(words.map(f32::from_le_bytes).collect()),
            "U32" => StateData::U32(words.map(u32::from_le_bytes).collect()),
            _ => return malformed("type", format!("array `{name}` is of {dtype}, not F32 or U32")),
        };
        arrays.push(StateTensor { name, data });
    }
    if at != data.len() as u64 {
        return malformed("file length", format!("{} bytes of no array", data.len() as u64 - at));
    }
    Ok(arrays)
}
