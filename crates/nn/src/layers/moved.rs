//! The built layer behind those that only move nodes: hardware is wires.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::{MAX_NETS, NO_SOURCE, NetlistBuilder, Role};
use lutweave_tensor::{DType, FrameBuffer, THRESHOLD};

use crate::layer::{Ancestors, Base, Frozen};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site};

/// The shape of an input that is an image.
pub(super) fn image(site: &Site<'_>) -> Result<[usize; 3]> {
    <[usize; 3]>::try_from(site.input().shape.as_slice())
        .map_err(|_| site.input_error("an image of shape [channels, height, width]"))
}

/// Checks that a shape has no zero axis and few enough nodes; `option` is what made it.
pub(super) fn check_shape(site: &Site<'_>, option: &'static str, shape: &[usize]) -> Result<usize> {
    let nodes = shape.iter().try_fold(1usize, |nodes, &size| nodes.checked_mul(size));
    nodes.filter(|nodes| (1..=MAX_NETS).contains(nodes)).ok_or_else(|| {
        let expected = format!("such that the output has 1 to {MAX_NETS} nodes");
        site.option_error(option, expected, shape)
    })
}

/// Nodes that are nodes of the input, or constant.
#[derive(Debug)]
pub(super) struct Moved {
    base: Base,
    /// The input node of each output node, or [`NO_SOURCE`].
    table: Vec<u32>,
    /// What a node without a source is.
    fill: f32,
}

impl Moved {
    /// The layer of a specification. `table` has an entry for each node of `shape`.
    pub(super) fn build(
        spec: impl LayerSpec + 'static,
        site: &Site<'_>,
        shape: &[usize],
        table: Vec<u32>,
        fill: f32,
    ) -> Box<dyn Layer> {
        let output = Signal { dtype: site.input().dtype, shape: shape.to_vec() };
        Box::new(Self { base: Base::new(spec, site, output), table, fill })
    }
}

impl Layer for Moved {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        let of = |&source: &u32| match source {
            NO_SOURCE => Some(Vec::new()), // a constant depends on nothing
            source => inputs[0].get(source as usize).cloned(),
        };
        vec![self.table.iter().map(of).collect::<Option<_>>().unwrap_or_default()]
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let mut y = FrameBuffer::zeros(x.dtype(), &self.base.output().shape, x.frames())?;
        backend.gather_rows(x, &self.table, f64::from(self.fill), &mut y)?;
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        Ok((self.evaluate(&x, backend)?, Box::new(())))
    }

    fn backward(
        &mut self,
        _saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.check_gradient(dy)?;
        if !want_dx {
            return Ok(None);
        }
        let mut dx = FrameBuffer::zeros(DType::F32, &self.base.input().shape, dy.frames())?;
        backend.scatter_rows(dy, &self.table, &mut dx)?;
        Ok(Some(dx))
    }

    fn input_width(&self) -> Option<usize> {
        (self.base.input().dtype == DType::U8).then_some(8)
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        if input.words.len() != self.base.input().nodes() {
            let (want, got) = (self.base.input().nodes(), input.words.len());
            return Err(self.base.freeze_error(format!("it reads {want} words, not {got}")));
        }
        let mut constant = Vec::new();
        if self.table.contains(&NO_SOURCE) {
            let bit = self.base.input().dtype == DType::Bit;
            if !bit && self.fill != 0.0 {
                let why = format!("numbers are filled with {}; hardware fills with 0", self.fill);
                return Err(self.base.freeze_error(why));
            }
            build.group(name, Role::Core)?;
            let one = bit && f64::from(self.fill) > THRESHOLD;
            let net = build.constant(format!("{name}_constant"), one)?;
            constant = vec![net; input.words[0].len()];
        }
        let word = |&source: &u32| match source {
            NO_SOURCE => constant.clone(),
            source => input.words[source as usize].clone(),
        };
        Ok(Frozen { words: self.table.iter().map(word).collect() })
    }
}
