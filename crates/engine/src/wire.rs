//! The stored form of an engine.
//!
//! ```text
//! "LWENGINE"  magic, 8 bytes
//! u32         version, 1
//! u32         CRC-32 of the rest
//! lists       each: u64 number of words, then these words of 32 bits
//! ```
//!
//! All numbers are little-endian. The lists are, in order: input ports (words, width), output ports
//! (words, width); then for packed bits and for numbers the graph (inputs, outputs, gates) and the
//! program (slots, inputs, code, outputs); the comparisons that rows are made by; and the program for
//! one frame. Whatever the bytes are, reading gives an engine that can be run, or an error, and takes
//! no more memory than a small multiple of their length.

use crate::engine::{Body, Compiled, Form, Parts, Shape};
use crate::graph::Graph;
use crate::kernel::single::Single;
use crate::lower::Row;
use crate::program::Program;
use crate::{Engine, Error, Result};

const MAGIC: &[u8; 8] = b"LWENGINE";
const VERSION: u32 = 1;
/// Most bits that ports may have: as many as a netlist has nets.
const MAX_BITS: usize = lutweave_lut::MAX_NETS;

pub(crate) fn fault(what: impl Into<String>) -> Error {
    Error::Format { what: what.into() }
}

/// Lists of words, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn list(&mut self, words: impl IntoIterator<Item = u32>) {
        let at = self.0.len();
        self.0.extend([0; 8]);
        for word in words {
            self.0.extend(word.to_le_bytes());
        }
        let count = ((self.0.len() - at) / 4 - 2) as u64;
        self.0[at..at + 8].copy_from_slice(&count.to_le_bytes());
    }
}

/// What is left of such lists.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    pub(crate) fn list(&mut self) -> Result<Vec<u32>> {
        let cut = || fault("it ends too early");
        let (count, rest) = self.0.split_first_chunk::<8>().ok_or_else(cut)?;
        let bytes = usize::try_from(u64::from_le_bytes(*count)).ok().and_then(|n| n.checked_mul(4));
        let (words, rest) = bytes.and_then(|bytes| rest.split_at_checked(bytes)).ok_or_else(cut)?;
        self.0 = rest;
        Ok(words.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// A list of groups of `N` words.
    pub(crate) fn groups<const N: usize>(&mut self) -> Result<Vec<[u32; N]>> {
        let list = self.list()?;
        let (groups, rest) = list.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(fault("a list has a broken length"));
        }
        Ok(groups.to_vec())
    }
}

fn ports(reader: &mut Reader<'_>) -> Result<Vec<(usize, usize)>> {
    let mut bits = 0usize;
    let mut ports = Vec::new();
    for [words, width] in reader.groups::<2>()? {
        let (words, width) = (words as usize, width as usize);
        if words == 0 || !(1..=lutweave_lut::MAX_WIDTH).contains(&width) {
            return Err(fault("a port has no width or is too wide"));
        }
        bits =
            words.checked_mul(width).and_then(|more| bits.checked_add(more)).unwrap_or(usize::MAX);
        if bits > MAX_BITS {
            return Err(fault("its ports have too many bits"));
        }
        ports.push((words, width));
    }
    if ports.is_empty() { Err(fault("it has no port")) } else { Ok(ports) }
}

fn write_form(writer: &mut Writer, form: &Form) {
    form.graph.write(writer);
    form.program.write(writer);
}

fn read_form(reader: &mut Reader<'_>, rows: usize, outputs: usize) -> Result<Form> {
    let graph = Graph::read(reader)?;
    let program = Program::read(reader, graph.inputs())?;
    if graph.inputs() as usize != rows {
        return Err(fault("a program has another number of input rows than its ports"));
    }
    if graph.outputs.len() != outputs || program.outputs().len() != outputs {
        return Err(fault("a program has another number of outputs than its ports"));
    }
    Ok(Form { graph, program })
}

impl Engine {
    /// The engine as bytes, for a file beside the model: reading them back takes milliseconds.
    /// They do not depend on the machine. The format is on the page of file formats of the book.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for stages.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (parts, compiled) = (&*self.parts, self.parts.compiled("store a program")?);
        let mut writer = Writer::default();
        let ports = |ports: &[(usize, usize)]| -> Vec<u32> {
            ports.iter().flat_map(|&(words, width)| [words as u32, width as u32]).collect()
        };
        writer.list(ports(&parts.shape.inputs));
        writer.list(ports(&parts.shape.outputs));
        write_form(&mut writer, &compiled.bits);
        let rows = compiled.rows.iter();
        writer.list(rows.flat_map(|row| [row.word, row.mask.into(), row.at_least.into()]));
        write_form(&mut writer, &compiled.bytes);
        compiled.single.write(&mut writer);
        let payload = writer.0;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(crc32fast::hash(&payload).to_le_bytes());
        bytes.extend(payload);
        Ok(bytes)
    }

    /// The engine that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when the bytes are no such engine, damaged, or of another version;
    /// [`Error::Netlist`] for `LUTWEAVE_ISA` as in [`compile`](Self::compile).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let head = bytes.split_first_chunk::<8>().filter(|(magic, _)| *magic == MAGIC);
        let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        let (_, rest) = head.ok_or_else(|| fault("these bytes are no stored program"))?;
        let cut = || fault("it ends too early");
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        if word(version) != VERSION {
            return Err(fault(format!("it has version {}, expected {VERSION}", word(version))));
        }
        let (sum, payload) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        if word(sum) != crc32fast::hash(payload) {
            return Err(fault("its checksum is wrong"));
        }
        let mut reader = Reader(payload);
        let shape = Shape { inputs: ports(&mut reader)?, outputs: ports(&mut reader)? };
        let outputs = shape.output_bits();
        let bits = read_form(&mut reader, shape.input_bits(), outputs)?;
        let rows: Vec<Row> = reader
            .groups::<3>()?
            .into_iter()
            .map(|[word, mask, at_least]| {
                let byte = |x: u32| u8::try_from(x).map_err(|_| fault("a comparison is no byte"));
                Ok(Row { word, mask: byte(mask)?, at_least: byte(at_least)? })
            })
            .collect::<Result<_>>()?;
        let rising = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || rows.last().is_some_and(|row| row.word as usize >= shape.input_words()) {
            return Err(fault("a comparison reads a number that does not exist"));
        }
        let bytes = read_form(&mut reader, rows.len(), outputs)?;
        let single = Single::read(&mut reader, shape.input_words(), outputs)?;
        if !reader.0.is_empty() {
            return Err(fault("it goes on after its end"));
        }
        let body = Body::Netlist(Box::new(Compiled { bits, bytes, rows, single }));
        Self::from_parts(Parts { shape, body })
    }
}
