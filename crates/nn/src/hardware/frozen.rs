//! What a layer's nodes are in hardware.

use std::collections::BTreeMap;
use std::sync::Arc;

use lutweave_lut::Net;
use lutweave_tensor::{DType, FrameBuffer};

use crate::layer::Base;
use crate::{Error, Result};

/// The numbers that the words of one node stand for: entry `k` is what the trained network has
/// there when the word is `k`. Words past the last entry do not occur.
pub type Values = Arc<[f32]>;

/// Most numbers that the words of one layer may stand for, all nodes together.
const MAX_VALUES: usize = 1 << 26;
/// Bits of a u8 number.
const NUMBER_BITS: usize = 8;

/// What a layer's nodes are in hardware: one unsigned word each, least significant bit first.
///
/// The word of a bit or a u8 is that bit or number. The word of a real number is a count, and
/// [`values`](Self::values) says which f32 the trained network has for each count: batch norm, ReLU
/// and whatever else works on one number at a time changes what words stand for and costs nothing,
/// until a comparison asks for a bit. So nothing is rounded another way than in software.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The nets of each node.
    pub words: Vec<Vec<Net>>,
    /// What the words of each node stand for; empty where they are bits or u8 numbers.
    pub values: Vec<Values>,
    /// Clocks, one after the other, in which the words are those of one sample: the frames of a
    /// modulation. 1 without one.
    pub clocks: usize,
    /// The most clocks of one sample so far: for how many the network's input is held.
    pub held: usize,
    /// Whether only the order of values within a point is right, as before a softmax.
    pub only_order: bool,
    /// Whether real numbers are sums of values of the sample with fixed weights, so that comparing
    /// them belongs to the encoder.
    pub summed: bool,
}

impl Default for Frozen {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Frozen {
    /// Words that are bits or u8 numbers.
    pub fn new(words: Vec<Vec<Net>>) -> Self {
        Self { words, values: Vec::new(), clocks: 1, held: 1, only_order: false, summed: false }
    }

    /// The same for one net a node.
    pub fn of_bits(nets: impl IntoIterator<Item = Net>) -> Self {
        Self::new(nets.into_iter().map(|net| vec![net]).collect())
    }

    /// Other words of the same sample.
    #[must_use]
    pub fn with(&self, words: Vec<Vec<Net>>) -> Self {
        Self { clocks: self.clocks, held: self.held, ..Self::new(words) }
    }

    /// Other words of the same sample, and what they stand for.
    #[must_use]
    pub fn with_values(&self, words: Vec<Vec<Net>>, values: Vec<Values>) -> Self {
        Self { values, ..self.with(words) }
    }

    /// Some of the nodes, in the order given.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    #[must_use]
    pub fn nodes(&self, nodes: impl IntoIterator<Item = usize>) -> Self {
        let mut some = self.empty();
        for node in nodes {
            some.words.push(self.words[node].clone());
            some.values.extend(self.values.get(node).cloned());
        }
        some
    }

    /// No nodes, of the same sample.
    fn empty(&self) -> Self {
        Self { only_order: self.only_order, summed: self.summed, ..self.with(Vec::new()) }
    }

    /// The nodes of several, one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] in the name of `layer` where they take different numbers of clocks.
    pub fn joined(layer: &str, parts: &[Self]) -> Result<Self> {
        let mut all = parts.first().map_or_else(Self::default, Self::empty);
        for part in parts {
            if part.clocks != all.clocks {
                let why = format!(
                    "it reads one signal of {} clocks a sample and one of {}; bring both to the \
                     same number of frames",
                    all.clocks, part.clocks
                );
                return Err(Error::Freeze { layer: layer.to_owned(), why });
            }
            all.only_order |= part.only_order;
            all.summed &= part.summed;
            all.held = all.held.max(part.held);
            all.words.extend(part.words.iter().cloned());
            all.values.extend(part.values.iter().cloned());
        }
        Ok(all)
    }

    /// Whether the words are numbers of the sample, or sums of them, rather than what was made of
    /// bits: what makes bits of them is an encoder.
    pub(crate) fn is_sample(&self) -> bool {
        self.values.is_empty() || self.summed
    }

    /// Words of bits and u8 numbers as words that stand for real numbers.
    pub(crate) fn numbers(&self) -> Self {
        let mut kinds: BTreeMap<usize, Values> = BTreeMap::new();
        let of = |word: &Vec<Net>| {
            let width = word.len().min(NUMBER_BITS);
            let made = || (0..1u32 << width).map(|number| number as f32).collect();
            kinds.entry(width).or_insert_with(made).clone()
        };
        let values = self.words.iter().map(of).collect();
        self.with_values(self.words.clone(), values)
    }

    /// The one-bit nodes as nets.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] when a word is wider, or stands for a real number.
    pub fn bits(&self, layer: &str) -> Result<Vec<Net>> {
        let error = |why| Error::Freeze { layer: layer.to_owned(), why };
        if !self.values.is_empty() {
            let why = "it needs bits and reads real numbers; binarize them first";
            return Err(error(why.to_owned()));
        }
        let bit = |word: &Vec<Net>| match word[..] {
            [net] => Ok(net),
            _ => Err(error(format!("it needs bits and reads words of {} bits", word.len()))),
        };
        self.words.iter().map(bit).collect()
    }

    /// What the words stand for, where they stand for real numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] when they do not.
    pub fn reals(&self, layer: &str) -> Result<&[Values]> {
        let error = |why: &str| Err(Error::Freeze { layer: layer.to_owned(), why: why.to_owned() });
        if self.only_order {
            return error(
                "it reads what a softmax gives, whose numbers have no form in hardware; leave the \
                 softmax out",
            );
        }
        if self.values.len() != self.words.len() {
            return error(
                "it reads real numbers that hardware does not have: begin the network with u8 \
                 numbers and a threshold encoder, or with bits",
            );
        }
        Ok(&self.values)
    }

    /// A batch of all that the nodes can be, for a layer that works on each alone: frame `k` is
    /// what they are when all words are `k`, or the last that occurs.
    pub(crate) fn batch(&self, base: &Base) -> Result<FrameBuffer> {
        let (dtype, shape) = (base.input().dtype, &base.input().shape);
        if self.words.len() != base.input().nodes() {
            let (want, got) = (base.input().nodes(), self.words.len());
            return Err(base.freeze_error(format!("it reads {want} words, not {got}")));
        }
        if dtype == DType::U8 {
            check_count(base, self.words.len().saturating_mul((1 << 8) / size_of::<f32>()))?;
            let mut x = FrameBuffer::zeros(dtype, shape, 1 << 8)?;
            for node in 0..x.nodes() {
                let row = x.row_mut::<u8>(node)?;
                (0..=u8::MAX).zip(row).for_each(|(value, entry)| *entry = value);
            }
            return Ok(x);
        }
        let values = self.reals(base.path())?;
        let most = values.iter().map(|values| values.len()).max().unwrap_or(0);
        check_count(base, self.words.len().saturating_mul(most))?;
        let mut x = FrameBuffer::zeros(dtype, shape, most)?;
        for (node, values) in values.iter().enumerate() {
            let row = x.row_mut::<f32>(node)?;
            row[..values.len()].copy_from_slice(values);
            row[values.len()..].fill(values[values.len() - 1]);
        }
        Ok(x)
    }

    /// How many different words node `node` can be.
    pub(crate) fn count(&self, node: usize) -> usize {
        match self.values.get(node) {
            Some(values) => values.len(),
            None => 1 << self.words[node].len().min(usize::BITS as usize - 1),
        }
    }
}

/// Checks that the numbers behind a layer's words fit into memory.
pub(crate) fn check_count(base: &Base, count: usize) -> Result<()> {
    if count <= MAX_VALUES {
        return Ok(());
    }
    Err(base.freeze_error(format!(
        "its sums can be {count} different numbers, at most {MAX_VALUES} are looked at; use fewer \
         inputs a sum, or weights of fewer bits"
    )))
}
