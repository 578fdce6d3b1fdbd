//! The built convolution.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::{NO_SOURCE, Net, NetlistBuilder, Role, Window};
use lutweave_tensor::{DType, FrameBuffer};

use super::super::names;
use crate::hardware::{StageChain, Values};
use crate::layer::{Ancestors, Base, Frozen, Windows};
use crate::tree::{self, Tape};
use crate::{Layer, Result, Saved};

/// Most bytes of windows that evaluation copies out at a time.
const BLOCK: usize = 16 << 20;

/// The layers of one group of channels.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) layer: Box<dyn Layer>,
    pub(super) how: How,
}

/// How layers read their windows.
#[derive(Debug)]
pub(super) enum How {
    /// Where they are.
    InPlace,
    /// Copied out.
    Lowered(Windows),
}

impl Group {
    /// The answers at all positions, `[nodes · positions]`.
    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let How::Lowered(windows) = &self.how else { return self.layer.evaluate(x, backend) };
        let positions = windows.positions();
        let mut y = self.raised(positions, x.frames())?;
        let one =
            (windows.seen.nodes() * x.frames() * windows.seen.dtype.bits()).div_ceil(8).max(1);
        let block = (BLOCK / one).clamp(1, positions);
        for start in (0..positions).step_by(block) {
            let range = start..positions.min(start + block);
            let low = lower(windows, x, range.clone(), backend)?;
            let given = self.layer.evaluate(&low, backend)?;
            self.check_frames(&given, low.frames())?;
            backend.raise(&given, range, &mut y)?;
        }
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let How::Lowered(windows) = &self.how else { return self.layer.forward(x, backend) };
        let positions = windows.positions();
        let low = lower(windows, &x, 0..positions, backend)?;
        let frames = low.frames();
        let (given, saved) = self.layer.forward(Arc::new(low), backend)?;
        tree::check_finite(self.layer.as_ref(), tree::GIVES, &given, backend)?;
        self.check_frames(&given, frames)?;
        let mut y = self.raised(positions, x.frames())?;
        backend.raise(&given, 0..positions, &mut y)?;
        Ok((y, saved))
    }

    /// Adds to the gradient of the image where one is given.
    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        dx: Option<&mut FrameBuffer>,
        backend: &dyn Backend,
    ) -> Result<()> {
        let How::Lowered(windows) = &self.how else {
            let own = self.layer.backward(saved, dy, dx.is_some(), backend)?;
            if let (Some(dx), Some(own)) = (dx, own) {
                for (sum, own) in dx.rows_mut::<f32>()?.iter_mut().zip(own.rows::<f32>()?) {
                    *sum += own;
                }
            }
            return Ok(());
        };
        let positions = windows.positions();
        let frames = dy.frames().saturating_mul(positions);
        let mut low = FrameBuffer::zeros(DType::F32, &self.layer.output().shape, frames)?;
        backend.raise_backward(dy, 0..positions, &mut low)?;
        tree::check_gradient(self.layer.as_ref(), &low, backend)?;
        let own = self.layer.backward(saved, &low, dx.is_some(), backend)?;
        if let (Some(dx), Some(own)) = (dx, own) {
            backend.lower_backward(&own, &windows.sources, 0..positions, dx)?;
        }
        Ok(())
    }

    /// Room for what the layers give at all positions.
    fn raised(&self, positions: usize, frames: usize) -> Result<FrameBuffer> {
        let output = self.layer.output();
        Ok(FrameBuffer::zeros(output.dtype, &[output.nodes(), positions], frames)?)
    }

    /// Layers inside must give as many frames as they read: a frame is a position.
    fn check_frames(&self, y: &FrameBuffer, frames: usize) -> Result<()> {
        if y.frames() == frames {
            return Ok(());
        }
        let what = format!(
            "inside a convolution a layer must give a frame for each it reads: {frames}, got {}; \
             modulate before the convolution",
            y.frames()
        );
        Err(self.layer.base().state_error(what))
    }

    /// The group as hardware: layers in place know their positions, others are built at each.
    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let How::Lowered(windows) = &self.how else { return self.layer.freeze(name, input, build) };
        let (positions, nodes) = (windows.positions(), self.layer.output().nodes());
        let mut border: Option<Net> = None;
        let mut all = Vec::with_capacity(positions);
        for position in 0..positions {
            let mut seen = input.nodes([]);
            for element in 0..windows.seen.nodes() {
                let source = windows.rows(element)[position];
                if source != NO_SOURCE {
                    seen.words.push(input.words[source as usize].clone());
                    seen.values.extend(input.values.get(source as usize).cloned());
                    continue;
                }
                let real = windows.seen.dtype == DType::F32;
                let net = if let Some(net) = border {
                    net
                } else {
                    build.group(format!("{name}_border"), Role::Core)?;
                    let one = !real && windows.border_bit();
                    *border.insert(build.constant(names::part(name, "border"), one)?)
                };
                seen.words.push(vec![net]);
                seen.values.extend(real.then(|| Values::from([windows.border_value])));
            }
            all.push(self.layer.freeze(&format!("{name}_at{position}"), &seen, build)?);
        }
        // From [positions][nodes] to [nodes][positions].
        let all = Frozen::joined(self.layer.base().path(), &all)?;
        Ok(all.nodes((0..nodes * positions).map(|at| at % positions * nodes + at / positions)))
    }
}

/// The windows of some positions, copied out.
fn lower(
    windows: &Windows,
    x: &FrameBuffer,
    range: std::ops::Range<usize>,
    backend: &dyn Backend,
) -> Result<FrameBuffer> {
    let frames = x.frames().saturating_mul(range.len()); // too many are refused
    let mut low = FrameBuffer::zeros(x.dtype(), &windows.seen.shape, frames)?;
    backend.lower(x, &windows.sources, range, windows.border_value, &mut low)?;
    Ok(low)
}

/// The built convolution.
#[derive(Debug)]
pub(super) struct Built {
    base: Base,
    groups: Vec<Group>,
    window: Window,
    border_value: f32,
}

impl Built {
    pub(super) fn new(
        base: Base,
        groups: Vec<Group>,
        (window, border_value): (Window, f32),
    ) -> Self {
        Self { base, groups, window, border_value }
    }

    /// The name of a group in hardware.
    fn name_of(&self, group: &Group, name: &str) -> String {
        if self.groups.len() == 1 { name.to_owned() } else { names::part(name, &group.name) }
    }

    /// What the groups give, one after the other.
    fn joined(&self, mut parts: Vec<FrameBuffer>) -> Result<FrameBuffer> {
        let y = if parts.len() == 1 {
            parts.swap_remove(0)
        } else {
            FrameBuffer::concat_nodes(&parts.iter().collect::<Vec<_>>())?
        };
        Ok(y.reshape(&self.base.output().shape)?)
    }
}

impl Layer for Built {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        // Every channel at a position depends on the whole window there.
        let mut all = Ancestors::new();
        for group in &self.groups {
            match &group.how {
                How::InPlace => all.extend(group.layer.ancestors(inputs).swap_remove(0)),
                How::Lowered(windows) => {
                    let at = |position: usize| {
                        let mut set = Vec::new();
                        for element in 0..windows.seen.nodes() {
                            let source = windows.rows(element)[position];
                            let own = inputs[0].get(source as usize).map_or(&[][..], Vec::as_slice);
                            set.resize(set.len().max(own.len()), 0);
                            set.iter_mut().zip(own).for_each(|(set, own)| *set |= own);
                        }
                        set
                    };
                    let field: Ancestors = (0..windows.positions()).map(at).collect();
                    for _ in 0..group.layer.output().nodes() {
                        all.extend(field.iter().cloned());
                    }
                }
            }
        }
        let known = !inputs[0].is_empty() && all.len() == self.base.output().nodes();
        vec![if known { all } else { Ancestors::new() }]
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let parts = self.groups.iter().map(|group| group.evaluate(x, backend));
        self.joined(parts.collect::<Result<Vec<_>>>()?)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        self.base.check(&x)?;
        let mut tape = Tape::with_capacity(self.groups.len());
        let mut parts = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let (part, saved) = group.forward(Arc::clone(&x), backend)?;
            parts.push(part);
            tape.push(saved);
        }
        Ok((self.joined(parts)?, Box::new(tape)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.check_gradient(dy)?;
        let mut tape = tree::tape(saved, self.groups.len(), self)?;
        if let [group] = &mut self.groups[..]
            && matches!(group.how, How::InPlace)
        {
            return group.layer.backward(tape.swap_remove(0), dy, want_dx, backend);
        }
        let shape = &self.base.input().shape;
        let zeros = || FrameBuffer::zeros(DType::F32, shape, dy.frames());
        let mut dx = want_dx.then(zeros).transpose()?;
        let each = dy.nodes() / self.groups.len();
        for (number, (group, saved)) in self.groups.iter_mut().zip(tape).enumerate() {
            if tree::learns(group.layer.as_ref()) || dx.is_some() {
                let part = || dy.node_range(number * each..(number + 1) * each);
                let own = (each < dy.nodes()).then(part).transpose()?;
                group.backward(saved, own.as_ref().unwrap_or(dy), dx.as_mut(), backend)?;
            }
        }
        Ok(dx)
    }

    fn children(&self) -> Vec<(String, &dyn Layer)> {
        self.groups.iter().map(|group| (group.name.clone(), group.layer.as_ref())).collect()
    }

    fn children_mut(&mut self) -> Vec<(String, &mut dyn Layer)> {
        let groups = self.groups.iter_mut();
        groups.map(|group| (group.name.clone(), group.layer.as_mut() as _)).collect()
    }

    fn repeats(&self) -> u64 {
        match &self.groups[0].how {
            How::InPlace => 1,
            How::Lowered(windows) => windows.positions() as u64,
        }
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let mut parts = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            parts.push(group.freeze(&self.name_of(group, name), input, build)?);
        }
        Frozen::joined(self.base.path(), &parts)
    }

    /// A stage whose window is the convolution's, with the layers of one window.
    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if !chain.is_image() {
            return chain.add(name, &self.base, |input, build| self.freeze(name, input, build));
        }
        chain.slide(name, &self.base, &self.window, Some(self.border_value))?;
        let seen = chain.take();
        let each = seen.words.len() / self.groups.len();
        let mut parts = Vec::with_capacity(self.groups.len());
        chain.set_in_window(true);
        for (number, group) in self.groups.iter().enumerate() {
            chain.put(seen.nodes(number * each..(number + 1) * each));
            group.layer.stage(&self.name_of(group, name), chain)?;
            parts.push(chain.take());
        }
        chain.set_in_window(false);
        chain.put(Frozen::joined(self.base.path(), &parts)?);
        let shape = &self.base.output().shape;
        chain.becomes([shape[0], shape[1], shape[2]]);
        Ok(())
    }
}
