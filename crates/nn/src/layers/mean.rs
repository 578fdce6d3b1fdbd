//! The built layer behind [`BinaryToReal`](super::BinaryToReal) and [`Reduce`](super::Reduce):
//! means over frames and groups of nodes.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer, node_count};

use crate::layer::{Base, Frozen, saved_as};
use crate::{Layer, Result, Saved, Site};

/// The shape that a mean over `size` nodes each gives, or the one asked for.
///
/// `size` is checked against `output` where both are there; without either it is the input's.
pub(super) fn shape(
    site: &Site<'_>,
    output: Option<&[usize]>,
    size: Option<usize>,
) -> Result<Vec<usize>> {
    let input = site.input();
    let Some(output) = output else {
        let size = size.unwrap_or(1);
        let mut shape = input.shape.clone();
        if size == 0 || !shape[0].is_multiple_of(size) {
            let expected = format!("a divisor of axis 0 of the input, {}", shape[0]);
            return Err(site.option_error("integration size", expected, size));
        }
        shape[0] /= size;
        return Ok(shape);
    };
    let nodes = node_count("output shape", output)?;
    if !input.nodes().is_multiple_of(nodes) {
        let expected = format!("a multiple of the {nodes} nodes of the output {output:?}");
        return Err(site.input_error(expected));
    }
    if let Some(size) = size.filter(|&size| size != input.nodes() / nodes) {
        let expected = format!("{}, as the output shape has it", input.nodes() / nodes);
        return Err(site.option_error("integration size", expected, size));
    }
    Ok(output.to_vec())
}

/// A mean over frames and groups of nodes.
#[derive(Debug)]
pub(super) struct Mean {
    pub(super) base: Base,
    pub(super) frames: usize,
}

impl Layer for Mean {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        if !x.frames().is_multiple_of(self.frames) {
            let expected = format!("a multiple of {}", self.frames);
            let (op, got) = (self.base.spec().kind(), x.frames());
            return Err(lutweave_tensor::Error::Frames { op, expected, got }.into());
        }
        let frames = x.frames() / self.frames;
        let mut y = FrameBuffer::zeros(DType::F32, &self.base.output().shape, frames)?;
        backend.integrate(x, self.frames, &mut y)?;
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        Ok((self.evaluate(&x, backend)?, Box::new(x.frames())))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let frames = *saved_as::<usize>(saved, self.base.path())?;
        self.base.check_gradient(dy)?;
        if dy.frames() != frames / self.frames {
            let (op, got) = (self.base.spec().kind(), dy.frames());
            let expected = (frames / self.frames).to_string();
            return Err(lutweave_tensor::Error::Frames { op, expected, got }.into());
        }
        if !want_dx {
            return Ok(None);
        }
        let mut dx = FrameBuffer::zeros(DType::F32, &self.base.input().shape, frames)?;
        backend.integrate_backward(dy, self.frames, &mut dx)?;
        Ok(Some(dx))
    }

    fn freeze(&self, _name: &str, _input: &Frozen, _build: &mut NetlistBuilder) -> Result<Frozen> {
        let why = if self.frames == 1 {
            "it gives real numbers; end the network with a group sum instead".to_owned()
        } else {
            let frames = self.frames;
            format!("it gives means over {frames} frames; a netlist answers in one")
        };
        Err(self.base.freeze_error(why))
    }
}
