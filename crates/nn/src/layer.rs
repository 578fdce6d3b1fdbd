//! What a layer is: a specification that is built for its input, and the built layer.

mod base;
mod parameter;
mod site;
mod trained_bits;
mod windows;

use std::any::Any;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{Array, FrameBuffer};

pub use self::base::{Base, Signal};
pub use self::parameter::{Parameter, StateData, StateTensor};
pub use self::site::Site;
pub use self::trained_bits::TrainedBits;
pub use self::windows::Windows;
pub use crate::hardware::Frozen;
use crate::hardware::{Branch, StageChain};
use crate::layers::LutTables;
use crate::{Error, Result};

/// The settings of a layer that is not built yet.
pub trait LayerSpec: Debug + Send + Sync {
    /// The name of this kind of layer, as in files and reports: `lut`.
    fn kind(&self) -> &'static str;

    /// The settings, from which [`registry`](crate::registry) makes this again.
    fn config(&self) -> serde_json::Value;

    /// How many signals the layer reads. One for most layers.
    fn inputs(&self) -> RangeInclusive<usize> {
        1..=1
    }

    /// Checks the settings against the input and makes the layer with initial parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] or [`Error::Input`], naming what would fit.
    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>>;

    /// Makes the layer for use at all positions of a window that slides over an image, reading the
    /// image's rows in place; none where it cannot, and what it reads must be copied out for it.
    /// `site` reads the image, [`Windows::seen`] is what the layer would read at one position. The
    /// layer gives `[nodes, height, width]`, its own nodes at every position.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    fn build_windowed(&self, _site: &Site<'_>, _windows: &Windows) -> Option<Result<Windowed>> {
        None
    }
}

/// A shared specification is one.
impl<S: LayerSpec + ?Sized> LayerSpec for Arc<S> {
    fn kind(&self) -> &'static str {
        self.as_ref().kind()
    }

    fn config(&self) -> serde_json::Value {
        self.as_ref().config()
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        self.as_ref().inputs()
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        self.as_ref().build(site)
    }

    fn build_windowed(&self, site: &Site<'_>, windows: &Windows) -> Option<Result<Windowed>> {
        self.as_ref().build_windowed(site, windows)
    }
}

/// A layer for use at all positions of a window, and what it gives at one of them.
pub type Windowed = (Box<dyn Layer>, Signal);

/// For each node the network inputs it depends on, as bits; empty when not known.
pub type Ancestors = Vec<Vec<u64>>;

/// What a layer must remember between forward and backward. It lives on the step's tape, never in
/// the layer, so a layer may be used several times in a step.
pub type Saved = Box<dyn Any + Send>;

/// What a layer costs for each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// LUT nodes it becomes in hardware; comparators and counters are not counted here. A node that
    /// slides over an image is one.
    pub luts: u64,
    /// The same, where a node that slides over an image is one for each position.
    pub unrolled: u64,
    /// Multiply-accumulates of real numbers.
    pub macs: u64,
    /// Multiply-accumulates of bits.
    pub binary_macs: u64,
}

/// A built layer.
///
/// `forward` takes the layer as shared: a step may use it several times, and evaluation while
/// training goes on is safe. `backward` changes it: it adds to the gradients and takes over the
/// statistics of the batch.
///
/// Most layers read one signal and give one, and write [`evaluate`](Self::evaluate),
/// [`forward`](Self::forward), [`backward`](Self::backward) and [`freeze`](Self::freeze). A layer
/// of several inputs or outputs writes the four methods that end in `_all` instead, and those above
/// in terms of them.
pub trait Layer: Any + Debug + Send + Sync {
    /// What it was built from, where it is, what it reads and gives.
    fn base(&self) -> &Base;

    /// The same, to freeze it.
    fn base_mut(&mut self) -> &mut Base;

    /// What it reads; the first of several.
    fn input(&self) -> &Signal {
        self.base().input()
    }

    /// What it gives; the first of several.
    fn output(&self) -> &Signal {
        self.base().output()
    }

    /// For each output what its nodes depend on, given that of the inputs' nodes.
    fn ancestors(&self, _inputs: &[Ancestors]) -> Vec<Ancestors> {
        vec![Ancestors::new(); self.base().outputs().len()]
    }

    /// What it costs for each frame, layers inside not counted.
    fn cost(&self) -> Cost {
        Cost::default()
    }

    /// The answer of the trained layer: what its netlist computes.
    ///
    /// # Errors
    ///
    /// When `x` is not what the layer was built for.
    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer>;

    /// The answer while training, and what `backward` needs. Without this method it is that of
    /// [`evaluate`](Self::evaluate), and nothing is needed.
    ///
    /// # Errors
    ///
    /// When `x` is not what the layer was built for.
    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        Ok((self.evaluate(&x, backend)?, Box::new(())))
    }

    /// Adds the gradient of the parameters, given that of the output; gives that of the input
    /// when asked for and where there is one.
    ///
    /// # Errors
    ///
    /// When `saved` or `dy` is not of this layer.
    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>>;

    /// Adds the layer to a netlist. `name` is unique in the network.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] when the layer has no form in hardware.
    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen>;

    /// [`evaluate`](Self::evaluate) of all inputs and outputs.
    ///
    /// # Errors
    ///
    /// As that.
    fn evaluate_all(
        &self,
        x: &[Arc<FrameBuffer>],
        backend: &dyn Backend,
    ) -> Result<Vec<Arc<FrameBuffer>>> {
        Ok(vec![Arc::new(self.evaluate(only(self.base(), x)?, backend)?)])
    }

    /// [`forward`](Self::forward) of all inputs and outputs.
    ///
    /// # Errors
    ///
    /// As that.
    fn forward_all(
        &self,
        x: &[Arc<FrameBuffer>],
        backend: &dyn Backend,
    ) -> Result<(Vec<Arc<FrameBuffer>>, Saved)> {
        let (y, saved) = self.forward(Arc::clone(only(self.base(), x)?), backend)?;
        Ok((vec![Arc::new(y)], saved))
    }

    /// [`backward`](Self::backward) of all inputs and outputs; an output that nothing learns from
    /// has no gradient. Gives a gradient for each input, or none where there is none.
    ///
    /// # Errors
    ///
    /// As that.
    fn backward_all(
        &mut self,
        saved: Saved,
        dy: &[Option<FrameBuffer>],
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Vec<Option<FrameBuffer>>> {
        match only(self.base(), dy)? {
            Some(dy) => Ok(vec![self.backward(saved, dy, want_dx, backend)?]),
            None => Ok(vec![None]),
        }
    }

    /// [`freeze`](Self::freeze) of all inputs and outputs.
    ///
    /// # Errors
    ///
    /// As that.
    fn freeze_all(
        &self,
        name: &str,
        inputs: &[Frozen],
        build: &mut NetlistBuilder,
    ) -> Result<Vec<Frozen>> {
        Ok(vec![self.freeze(name, only(self.base(), inputs)?, build)?])
    }

    /// Adds the layer to a chain of stages: a network that slides over images of any size.
    ///
    /// As it is here, a layer reads what the chain has at one place, and is refused where that is
    /// one pixel of many; a layer that reads or gives images says how. One that reads all of an
    /// image at once calls [`StageChain::whole`] first.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] when the layer has no such form.
    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.add(name, self.base(), |input, build| self.freeze(name, input, build))
    }

    /// [`stage`](Self::stage) of all inputs and outputs.
    ///
    /// # Errors
    ///
    /// As that.
    fn stage_all(
        &self,
        name: &str,
        chain: &mut StageChain,
        mut inputs: Vec<Branch>,
    ) -> Result<Vec<Branch>> {
        only(self.base(), &inputs)?;
        chain.enter(inputs.swap_remove(0));
        self.stage(name, chain)?;
        Ok(vec![chain.leave()])
    }

    /// The layers inside, with their names; each once, however often it is used.
    fn children(&self) -> Vec<(String, &dyn Layer)> {
        Vec::new()
    }

    /// The layers inside, to change, in the same order.
    fn children_mut(&mut self) -> Vec<(String, &mut dyn Layer)> {
        Vec::new()
    }

    /// Whether a layer inside has no part at present: it costs nothing and does not learn.
    fn is_idle(&self, _child: &str) -> bool {
        false
    }

    /// How often each frame of this layer's input makes a frame of the layers inside.
    fn repeats(&self) -> u64 {
        1
    }

    /// The parameters in a fixed order, layers inside not counted.
    fn parameters(&self) -> Vec<&Parameter> {
        Vec::new()
    }

    /// The parameters to change, in the same order.
    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        Vec::new()
    }

    /// Whether training changes anything in it, parameters or statistics.
    fn learns(&self) -> bool {
        !self.parameters().is_empty()
    }

    /// Makes the present choice of wiring that is learned the final one; other layers stay as they
    /// are.
    ///
    /// # Errors
    ///
    /// When there is no such choice.
    fn freeze_wiring(&mut self) -> Result<()> {
        Ok(())
    }

    /// Switches a layer of real numbers to its form of bits, or back. Gives whether it has one.
    fn set_binary(&mut self, _binary: bool) -> bool {
        false
    }

    /// The numbers among its settings that may change from step to step, by name, as they are now;
    /// layers inside not counted. See [`scale_setting`](crate::scale_setting).
    fn settings(&self) -> Vec<(String, f32)> {
        Vec::new()
    }

    /// Changes one of its [`settings`](Self::settings), and nothing where there is an error. Call
    /// [`scale_setting`](crate::scale_setting), which also keeps the change in the layer's state.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when there is none of this name, [`Error::Option`] when the value is out of
    /// range.
    fn set(&mut self, name: &str, _value: f32) -> Result<()> {
        Err(crate::settings::unknown(self.base(), &self.settings(), name))
    }

    /// What of the trained layer is bits: the entries of its truth tables as hardware has them, the
    /// signs of its binary weights; layers inside not counted. Training flips them.
    ///
    /// # Errors
    ///
    /// When parameters are not finite.
    fn trained_bits(&self) -> Result<TrainedBits> {
        Ok(TrainedBits::default())
    }

    /// How it stands, in a word, for layers that can be switched: `binary`.
    fn mode(&self) -> String {
        String::new()
    }

    /// The layer as truth tables that read its input's bits, where it is nothing else.
    ///
    /// # Errors
    ///
    /// When parameters are not finite.
    fn lut_tables(&self) -> Result<Option<LutTables>> {
        Ok(None)
    }

    /// What a training step changes besides parameters and their gradients, as it is now; layers inside
    /// not counted. Taken before every step, so it is to be cheap.
    fn before_step(&self) -> StepState {
        StepState::default()
    }

    /// Makes that what it was: the step is to have changed nothing.
    fn undo_step(&mut self, _before: StepState) {}

    /// Everything that training has determined: parameters, wiring, statistics, modes; layers
    /// inside not counted.
    fn state(&self) -> Vec<StateTensor> {
        Vec::new()
    }

    /// Takes over what [`state`](Self::state) gave.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is of another layer.
    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        match state {
            [] => Ok(()),
            [tensor, ..] => {
                let what =
                    format!("stored state has `{}`; there is no such thing here", tensor.name);
                Err(self.base().state_error(what))
            }
        }
    }

    /// Clocks that hardware takes for one answer, where it reads a part of the input in each; none
    /// where it reads all at once. See [`Frozen::clocks`] for layers that spread a sample over
    /// clocks.
    fn clocks(&self) -> Option<usize> {
        None
    }

    /// Width in bits of the unsigned numbers that a hardware input port needs, for a layer that
    /// reads numbers.
    fn input_width(&self) -> Option<usize> {
        None
    }
}

/// What a training step changes in a layer besides parameters and their gradients, as the layer itself
/// orders it: see [`Layer::before_step`].
#[derive(Debug, Clone, Default)]
pub struct StepState {
    /// Running statistics. A clone of an array that lies on a device copies nothing.
    pub arrays: Vec<Array>,
    /// Numbers of steps, and switches that fall in one.
    pub counts: Vec<u64>,
}

/// The only one of a layer's operands.
fn only<'t, T>(base: &Base, operands: &'t [T]) -> Result<&'t T> {
    match operands {
        [operand] => Ok(operand),
        _ => Err(base.state_error(format!("expected one signal, got {}", operands.len()))),
    }
}

/// The saved value of a layer as its own type.
///
/// # Errors
///
/// [`Error::State`] when another layer saved it.
pub fn saved_as<T: 'static>(saved: Saved, layer: &str) -> Result<Box<T>> {
    saved.downcast::<T>().map_err(|_| Error::State {
        layer: layer.to_owned(),
        what: "backward was given what another layer saved".to_owned(),
    })
}

/// Takes the array called `name` out of stored state, with its expected length.
pub(crate) fn state_f32<'a>(
    state: &'a [StateTensor],
    name: &str,
    length: usize,
    layer: &str,
) -> Result<&'a [f32]> {
    match state.iter().find(|tensor| tensor.name == name).map(|tensor| &tensor.data) {
        Some(StateData::F32(values)) if values.len() == length => {
            if values.iter().all(|value| value.is_finite()) {
                return Ok(values);
            }
            Err(Error::NotFinite { layer: layer.to_owned(), what: format!("stored {name}") })
        }
        _ => {
            let what = format!("stored state has no {length} numbers called `{name}`");
            Err(Error::State { layer: layer.to_owned(), what })
        }
    }
}

/// The same for whole numbers.
pub(crate) fn state_u32<'a>(
    state: &'a [StateTensor],
    name: &str,
    length: usize,
    layer: &str,
) -> Result<&'a [u32]> {
    match state.iter().find(|tensor| tensor.name == name).map(|tensor| &tensor.data) {
        Some(StateData::U32(values)) if values.len() == length => Ok(values),
        _ => {
            let what = format!("stored state has no {length} indices called `{name}`");
            Err(Error::State { layer: layer.to_owned(), what })
        }
    }
}
