//! The built layer behind those that only move nodes: hardware is wires.

use lutweave_backend::Backend;
use lutweave_lut::{MAX_NETS, NO_SOURCE, NetlistBuilder, Role, Window};
use lutweave_tensor::{DType, FrameBuffer, THRESHOLD};

use crate::hardware::StageChain;
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
    stage: StageForm,
}

/// How nodes are moved in an image of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StageForm {
    /// Within each pixel, if at all.
    Pixel,
    /// As a window of one pixel sees them.
    Window(Window),
    /// Each pixel becomes a block of copies.
    Enlarge([usize; 2]),
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
        let (base, stage) = (Base::new(spec, site, output), StageForm::Pixel);
        Box::new(Self { base, table, fill, stage })
    }

    /// The same with a form for images of any size.
    pub(super) fn build_as(
        stage: StageForm,
        spec: impl LayerSpec + 'static,
        site: &Site<'_>,
        shape: &[usize],
        table: Vec<u32>,
        fill: f32,
    ) -> Box<dyn Layer> {
        let output = Signal { dtype: site.input().dtype, shape: shape.to_vec() };
        Box::new(Self { base: Base::new(spec, site, output), table, fill, stage })
    }

    /// For each channel of a pixel the one it is moved from; none where pixels are moved, or moved
    /// unlike each other.
    fn channels(&self, points: usize) -> Option<Vec<usize>> {
        let rows = self.table.chunks_exact(points);
        let from = |row: &[u32]| {
            let first = row[0];
            let even = row.iter().enumerate().all(|(point, &node)| {
                first != NO_SOURCE && node as usize == first as usize + point
            });
            (even && (first as usize).is_multiple_of(points)).then_some(first as usize / points)
        };
        if self.table.len().is_multiple_of(points) { rows.map(from).collect() } else { None }
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

    fn backward(
        &mut self,
        _saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.input_gradient(dy, want_dx, |dx| backend.scatter_rows(dy, &self.table, dx))
    }

    fn input_width(&self) -> Option<usize> {
        (self.base.input().dtype == DType::U8).then_some(8)
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        if input.words.len() != self.base.input().nodes() {
            let (want, got) = (self.base.input().nodes(), input.words.len());
            return Err(self.base.freeze_error(format!("it reads {want} words, not {got}")));
        }
        let (mut constant, mut value) = (Vec::new(), None);
        if self.table.contains(&NO_SOURCE) {
            let dtype = self.base.input().dtype;
            if dtype == DType::U8 && self.fill != 0.0 {
                let why = format!("numbers are filled with {}; hardware fills with 0", self.fill);
                return Err(self.base.freeze_error(why));
            }
            build.group(name, Role::Core)?;
            let one = dtype == DType::Bit && f64::from(self.fill) > THRESHOLD;
            let net = build.constant(format!("{name}_constant"), one)?;
            constant = vec![net; if dtype == DType::U8 { input.words[0].len() } else { 1 }];
            value = (dtype == DType::F32).then(|| [self.fill].into());
        }
        let mut frozen = input.nodes([]);
        for &source in &self.table {
            let source = (source != NO_SOURCE).then_some(source as usize);
            frozen.words.push(source.map_or(&constant, |node| &input.words[node]).clone());
            frozen.values.extend(match source {
                None => value.clone(),
                Some(node) => input.values.get(node).cloned(),
            });
        }
        Ok(frozen)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if !chain.is_image() {
            return chain.add(name, &self.base, |input, build| self.freeze(name, input, build));
        }
        let (from, to) = (&self.base.input().shape, &self.base.output().shape);
        match self.stage {
            StageForm::Enlarge(factors) => chain.enlarge(name, factors),
            StageForm::Window(window) => {
                chain.slide(name, &self.base, &window, Some(self.fill))?;
                chain.becomes([to[0], to[1], to[2]]);
                Ok(())
            }
            StageForm::Pixel => {
                let points = from.iter().skip(1).product();
                let channels = self.channels(points).filter(|_| from[1..] == to[1..]);
                let Some(channels) = channels else {
                    let why = "it moves pixels of an image, which a filter that slides over images \
                               of any size cannot do; only channels can be moved";
                    return Err(self.base.freeze_error(why));
                };
                chain.at_pixel(name, |pixel, _| Ok(pixel.nodes(channels)))
            }
        }
    }
}
