//! A block of frames: the bits of all nodes in them, the counts of the classes, and what one node's
//! bit is worth in each frame.

use lutweave_backend::{Cpu, Dispatch, SwitchKernels};
use lutweave_tensor::{DType, FrameBuffer, WORD};

use super::lanes::{self, Answers, Ones, Worth, WorthOfFirst};
use super::nodes::{Cone, Layer, Nodes, Operand};
use super::scale::Scale;
use crate::Result;

/// Frames of a block. Part of the numeric contract: sums are made within blocks, then over them.
const FRAMES: usize = 8192;
/// Most positions of a layer that slides, so that a byte counts them.
pub(super) const POSITIONS: usize = 255;
/// Most entries of a table.
pub(super) const ENTRIES: usize = 256;

/// Samples of a block where each is a frame at so many positions.
pub(super) fn samples(positions: usize) -> usize {
    (FRAMES / positions).next_multiple_of(WORD)
}

/// The packed bits of one node.
fn bits(rows: &FrameBuffer, node: usize) -> Result<&[u64]> {
    Ok(&rows.rows::<u64>()?[node * rows.stride()..][..rows.frames().div_ceil(WORD)])
}

/// The bits of all that a node reads.
fn inputs<'a>(rows: &'a FrameBuffer, layer: &Layer, node: usize) -> Result<Vec<&'a [u64]>> {
    layer.sources(node).iter().map(|&source| bits(rows, source as usize)).collect()
}

/// The samples and all that is known of them.
///
/// A sample is one frame of bits. Where the layer slides it is one at each position, a position of all
/// samples after the other: the frame of sample `f` at position `p` is `p · samples + f`.
#[derive(Debug)]
pub(super) struct Block {
    /// Samples, and positions of each.
    frames: usize,
    positions: usize,
    /// The inputs, then every layer.
    rows: Vec<FrameBuffer>,
    labels: Vec<u32>,
    /// `[classes][samples]`: ones among the nodes of each class, at all positions.
    counts: Vec<i32>,
    /// The largest count of each sample when the sweep began.
    top: Vec<i32>,
    /// `[classes][samples]`: `exp((count − top) / τ)`, and their sum over the classes.
    shares: Vec<f32>,
    norm: Vec<f32>,
    cpu: Cpu,
    /// Bits of the candidates, frame after frame.
    columns: Vec<u64>,
    candidates: usize,
    /// Of the node in question, in every frame: the pattern it sees, and what a one instead of a
    /// zero is worth.
    patterns: Vec<u8>,
    values: Vec<f32>,
    /// Sums of the values over the frames of each pattern, and how many frames that are.
    pub(super) totals: [f64; ENTRIES],
    pub(super) seen: [u32; ENTRIES],
    /// `[patterns][candidates]`: the same over frames in which a candidate is one.
    pub(super) sums: Vec<f32>,
    /// What the last node that was evaluated anew has changed of the loss.
    change: f64,
}

impl Block {
    /// Evaluates all nodes in these frames.
    pub(super) fn new(
        inputs: FrameBuffer,
        labels: Vec<u32>,
        nodes: &Nodes,
        (scale, cpu): (&Scale, Cpu),
    ) -> Result<Self> {
        let (all, frames) = (inputs.frames(), labels.len());
        let mut rows = vec![inputs];
        for layer in &nodes.layers {
            rows.push(FrameBuffer::zeros(DType::Bit, &[layer.nodes()], all)?);
        }
        let mut block = Self {
            frames,
            positions: all / frames.max(1),
            rows,
            labels,
            counts: vec![0; nodes.classes * frames],
            top: vec![0; frames],
            shares: vec![0.0; nodes.classes * frames],
            norm: vec![0.0; frames],
            cpu,
            columns: Vec::new(),
            candidates: 0,
            patterns: vec![0; all],
            values: vec![0.0; all],
            totals: [0.0; ENTRIES],
            seen: [0; ENTRIES],
            sums: Vec::new(),
            change: 0.0,
        };
        for (number, layer) in nodes.layers.iter().enumerate() {
            for node in 0..layer.nodes() {
                block.answer(layer, number, node, |_, _, _| {})?;
            }
        }
        let group = nodes.group().max(1);
        let mut ones = vec![0; frames];
        if let Some(last) = block.rows.last() {
            for (node, row) in last.rows::<u64>()?.chunks(last.stride()).enumerate() {
                ones.fill(0);
                cpu.isa().run(Ones { row, positions: block.positions, counts: &mut ones });
                let counts = &mut block.counts[node / group * frames..][..frames];
                for (count, &ones) in counts.iter_mut().zip(&ones) {
                    *count += i32::from(ones);
                }
            }
        }
        for frame in 0..frames {
            let counts = (0..nodes.classes).map(|class| block.counts[class * frames + frame]);
            let top = counts.clone().max().unwrap_or(0);
            block.top[frame] = top;
            for (class, count) in counts.enumerate() {
                let share = scale.exp(count - top);
                block.shares[class * frames + frame] = share;
                block.norm[frame] += share;
            }
        }
        Ok(block)
    }

    /// Makes ready to look for better sources of a layer's nodes among these candidates.
    pub(super) fn prepare(
        &mut self,
        layer: usize,
        candidates: &[u32],
        entries: usize,
    ) -> Result<()> {
        self.columns = self.rows[layer].frame_words(candidates)?;
        self.candidates = candidates.len();
        self.sums.resize(entries * candidates.len(), 0.0);
        Ok(())
    }

    /// Gives back the room for that.
    pub(super) fn unprepare(&mut self) {
        self.columns = Vec::new();
        self.candidates = 0;
    }

    /// Samples at all positions.
    pub(super) fn frames(&self) -> usize {
        self.frames * self.positions
    }

    /// Whether a source of a layer is zero in some frame, and whether it is one in some.
    pub(super) fn shows(&self, layer: usize, source: usize) -> Result<[bool; 2]> {
        let rows = &self.rows[layer];
        let words = bits(rows, source)?.iter().enumerate();
        Ok(words.fold([false; 2], |[zeros, ones], (at, &word)| {
            [zeros || word != rows.frame_mask(at), ones || word != 0]
        }))
    }

    /// The loss, and how many frames are answered right; ties go to the lowest class.
    pub(super) fn score(&self, scale: &Scale) -> (f64, usize) {
        let (mut loss, mut right) = (0.0, 0);
        let classes = self.counts.len() / self.frames.max(1);
        for (frame, &label) in self.labels.iter().enumerate() {
            let count = |class: usize| self.counts[class * self.frames + frame];
            let own = count(label as usize);
            let below = (own - self.top[frame]) as f32 * scale.inverse;
            loss += f64::from(libm::logf(self.norm[frame]) - below);
            let better = |class: usize| {
                count(class) > own || (class < label as usize && count(class) == own)
            };
            right += usize::from(!(0..classes).any(better));
        }
        (loss, right)
    }

    /// Finds what a one of the node instead of a zero is worth in each frame: the loss with a zero
    /// minus the loss with a one.
    pub(super) fn weigh(&mut self, nodes: &Nodes, cone: &Cone, scale: &Scale) -> Result<()> {
        if cone.last == 0 {
            self.weigh_last(cone.members[0].node, cone.classes[0], scale)
        } else {
            self.weigh_hidden(nodes, cone, scale)
        }
    }

    /// That of a node that its class counts, see [`Worth`]. At several positions, that of a first one
    /// among them, as if the others stayed zero.
    fn weigh_last(&mut self, node: usize, class: usize, scale: &Scale) -> Result<()> {
        let shares = &self.shares[class * self.frames..(class + 1) * self.frames];
        let row = bits(&self.rows[self.rows.len() - 1], node)?;
        let (norm, labels) = (&self.norm[..], &self.labels[..]);
        let (class, inverse, up) = (class as u32, scale.inverse, scale.exp(1));
        if self.positions == 1 {
            let (steps, values) = ([up, scale.exp(-1)], &mut self.values[..]);
            let worth = Worth { row, shares, norm, labels, class, inverse, steps, values };
            self.cpu.isa().run(worth);
            return Ok(());
        }
        let mut ones = vec![0; self.frames];
        self.cpu.isa().run(Ones { row, positions: self.positions, counts: &mut ones });
        let mut downs = [0.0; ENTRIES];
        for (ones, down) in (0i32..).zip(&mut downs[..=self.positions.min(POSITIONS)]) {
            *down = scale.exp(-ones);
        }
        let (values, others) = self.values.split_at_mut(self.frames);
        let (ones, downs) = (&ones[..], &downs);
        let worth = WorthOfFirst {
            ones,
            downs,
            shares,
            norm,
            labels,
            class,
            inverse,
            up,
            values: &mut *values,
        };
        self.cpu.isa().run(worth);
        others.chunks_mut(self.frames).for_each(|others| others.copy_from_slice(values));
        Ok(())
    }

    /// That of any other node: all that depends on it is evaluated with its bits the other way round.
    fn weigh_hidden(&mut self, nodes: &Nodes, cone: &Cone, scale: &Scale) -> Result<()> {
        let turned = self.turned(nodes, cone)?;
        let last = &self.rows[self.rows.len() - 1];
        let mut changed = Vec::new();
        for (member, turned) in cone.members.iter().zip(&turned).skip(cone.last) {
            if let Some(turned) = turned {
                changed.push((member.class, bits(last, member.node)?, &turned[..]));
            }
        }
        let own = &cone.members[0];
        let row = bits(&self.rows[own.layer + 1], own.node)?;
        let mut deltas = vec![0i32; cone.classes.len()];
        for (word, values) in self.values.chunks_mut(WORD).enumerate() {
            values.fill(0.0);
            let differ = changed.iter().map(|(_, now, turned)| now[word] ^ turned[word]);
            let differ = differ.fold(0, |all, word| all | word);
            for (bit, value) in values.iter_mut().enumerate() {
                if differ >> bit & 1 == 0 {
                    continue;
                }
                deltas.fill(0);
                for (class, now, turned) in &changed {
                    let of = |row: &[u64]| (row[word] >> bit & 1) as i32;
                    deltas[*class] += of(turned) - of(now);
                }
                let frame = word * WORD + bit;
                let (before, mut after, mut gain) = (self.norm[frame], self.norm[frame], 0);
                for (&class, &delta) in cone.classes.iter().zip(&deltas) {
                    let above = self.counts[class * self.frames + frame] - self.top[frame];
                    after += scale.exp(above + delta) - scale.exp(above);
                    if class == self.labels[frame] as usize {
                        gain = delta;
                    }
                }
                // What turning the bit makes of the loss; the worth of a one is that of a zero turned.
                let ratio = after.max(f32::MIN_POSITIVE) / before.max(f32::MIN_POSITIVE);
                let more = libm::logf(ratio) - gain as f32 * scale.inverse;
                *value = if row[word] >> bit & 1 == 1 { more } else { -more };
            }
        }
        Ok(())
    }

    /// The bits of a cone's members with those of its node the other way round; none for members that
    /// this does not change.
    fn turned(&self, nodes: &Nodes, cone: &Cone) -> Result<Vec<Option<Vec<u64>>>> {
        let mut all: Vec<Option<Vec<u64>>> = Vec::with_capacity(cone.members.len());
        for member in &cone.members {
            let now = bits(&self.rows[member.layer + 1], member.node)?;
            if all.is_empty() {
                all.push(Some(now.iter().map(|word| !word).collect()));
                continue;
            }
            let layer = &nodes.layers[member.layer];
            let mut inputs = inputs(&self.rows[member.layer], layer, member.node)?;
            let mut reached = false;
            for (input, operand) in inputs.iter_mut().zip(&member.operands) {
                let Operand::Member(at) = *operand else { continue };
                if let Some(turned) = &all[at] {
                    (*input, reached) = (turned, true);
                }
            }
            let turned = reached.then(|| {
                let (table, mut to) = (&layer.tables[member.node], vec![0u64; now.len()]);
                self.cpu.isa().run(Answers { table, inputs: &inputs, to: &mut to });
                to
            });
            all.push(turned.filter(|turned| turned != now));
        }
        Ok(all)
    }

    /// Sums the values over the patterns that a node sees.
    pub(super) fn gather(&mut self, layer: &Layer, number: usize, node: usize) -> Result<()> {
        lanes::patterns(&inputs(&self.rows[number], layer, node)?, &mut self.patterns);
        (self.totals, self.seen) = lanes::totals(&self.patterns, &self.values);
        Ok(())
    }

    /// Sums the values over those patterns and every candidate.
    pub(super) fn look(&mut self) -> Result<()> {
        let (columns, sums) = (&self.columns, &mut self.sums);
        self.cpu
            .switch_sums(columns, self.candidates, &self.patterns, &self.values, sums)
            .map_err(lutweave_nn::Error::from)?;
        Ok(())
    }

    /// Evaluates a node and all that depend on it anew; gives what that changes of the loss where the
    /// layer slides, and else 0.
    pub(super) fn settle(&mut self, nodes: &Nodes, cone: &Cone, scale: &Scale) -> Result<f64> {
        let (frames, sliding) = (self.frames, self.positions > 1);
        self.change = 0.0;
        for (at, member) in cone.members.iter().enumerate() {
            let layer = &nodes.layers[member.layer];
            if at < cone.last {
                self.answer(layer, member.layer, member.node, |_, _, _| {})?;
                continue;
            }
            let class = cone.classes[member.class];
            self.answer(layer, member.layer, member.node, |block, frame, delta| {
                let frame = frame % frames;
                let at = class * frames + frame;
                block.counts[at] += delta;
                let share = scale.exp(block.counts[at] - block.top[frame]);
                let before = block.norm[frame];
                block.norm[frame] += share - std::mem::replace(&mut block.shares[at], share);
                if sliding {
                    let own = block.labels[frame] as usize == class;
                    let gain = if own { delta as f32 * scale.inverse } else { 0.0 };
                    block.change += f64::from(libm::logf(block.norm[frame] / before) - gain);
                }
            })?;
        }
        Ok(self.change)
    }

    /// Evaluates a node; calls `changed` with every frame whose bit changes and by how much.
    fn answer(
        &mut self,
        layer: &Layer,
        number: usize,
        node: usize,
        changed: impl Fn(&mut Self, usize, i32),
    ) -> Result<()> {
        let mut answers = vec![0u64; self.frames().div_ceil(WORD)];
        let inputs = &inputs(&self.rows[number], layer, node)?[..];
        self.cpu.isa().run(Answers { table: &layer.tables[node], inputs, to: &mut answers });
        for (word, new) in answers.into_iter().enumerate() {
            let above = &mut self.rows[number + 1];
            let new = new & above.frame_mask(word);
            let at = node * above.stride() + word;
            let old = std::mem::replace(&mut above.rows_mut::<u64>()?[at], new);
            let mut differ = old ^ new;
            while differ != 0 {
                let bit = differ.trailing_zeros();
                let delta = if new >> bit & 1 == 1 { 1 } else { -1 };
                changed(self, word * WORD + bit as usize, delta);
                differ &= differ - 1;
            }
        }
        Ok(())
    }
}
