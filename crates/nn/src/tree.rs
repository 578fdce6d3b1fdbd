//! Walks over a layer and all layers inside it, each once.

use lutweave_backend::Backend;

use crate::layer::{StateTensor, saved_as};
use crate::{Error, Layer, Parameter, Result, Saved, settings};

/// Calls a function with every layer, containers before what is in them.
pub(crate) fn for_each<'l>(layer: &'l dyn Layer, call: &mut dyn FnMut(&'l dyn Layer)) {
    call(layer);
    for (_, child) in layer.children() {
        for_each(child, call);
    }
}

/// The same, to change them.
pub(crate) fn for_each_mut(layer: &mut dyn Layer, call: &mut dyn FnMut(&mut dyn Layer)) {
    call(layer);
    for (_, child) in layer.children_mut() {
        for_each_mut(child, call);
    }
}

/// The parameters of all layers, in order, each with its full path; those of frozen and idle layers
/// are marked and have no gradient. A layer with layers inside has no parameters of its own.
pub(crate) fn parameters_mut<'l>(
    layer: &'l mut dyn Layer,
    idle: bool,
    all: &mut Vec<&'l mut Parameter>,
) {
    let children: Vec<String> = layer.children().into_iter().map(|(name, _)| name).collect();
    if children.is_empty() {
        let frozen = idle || layer.base().frozen();
        let path = layer.base().path().to_owned();
        for parameter in layer.parameters_mut() {
            if parameter.path.is_empty() {
                parameter.path = join(&path, parameter.name);
            }
            parameter.frozen = frozen;
            if frozen {
                parameter.gradient.clear();
            }
            all.push(parameter);
        }
        return;
    }
    let idle: Vec<bool> = children.iter().map(|name| idle || layer.is_idle(name)).collect();
    for ((_, child), idle) in layer.children_mut().into_iter().zip(idle) {
        parameters_mut(child, idle, all);
    }
}

/// The state of all layers; names begin with those of the layers they are inside.
pub(crate) fn state(layer: &dyn Layer) -> Vec<StateTensor> {
    let mut all = layer.state();
    all.extend(settings::state(layer));
    for (name, child) in layer.children() {
        all.extend(
            state(child)
                .into_iter()
                .map(|tensor| StateTensor { name: join(&name, &tensor.name), data: tensor.data }),
        );
    }
    all
}

/// Takes over the state of all layers.
pub(crate) fn restore(layer: &mut dyn Layer, state: &[StateTensor]) -> Result<()> {
    let mut left: Vec<&StateTensor> = state.iter().collect();
    for (name, child) in layer.children_mut() {
        let (mut own, mut others) = (Vec::new(), Vec::with_capacity(left.len()));
        for tensor in left {
            match tensor.name.strip_prefix(&name).and_then(|rest| rest.strip_prefix('.')) {
                Some(rest) => {
                    own.push(StateTensor { name: rest.to_owned(), data: tensor.data.clone() });
                }
                None => others.push(tensor),
            }
        }
        left = others;
        restore(child, &own)?;
    }
    let mut own: Vec<StateTensor> = left.into_iter().cloned().collect();
    settings::restore(layer, &mut own)?;
    layer.restore(&own)
}

/// The name of something inside of something that may have none.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What the layers of a container saved, in the order in which they ran.
pub(crate) type Tape = Vec<Saved>;

/// The tape of a container with `length` steps.
pub(crate) fn tape(saved: Saved, length: usize, layer: &dyn Layer) -> Result<Tape> {
    let tape = *saved_as::<Tape>(saved, layer.base().path())?;
    if tape.len() == length {
        return Ok(tape);
    }
    Err(layer.base().state_error("backward was given what another network saved"))
}

/// What a fault of a forward pass is of.
pub const GIVES: &str = "what it gives";

/// Stops where a layer has made numbers that are not finite.
pub(crate) fn check_finite(
    layer: &dyn Layer,
    what: &str,
    y: &lutweave_tensor::FrameBuffer,
    backend: &dyn Backend,
) -> Result<()> {
    let layer = layer.base().path();
    if y.dtype() != lutweave_tensor::DType::F32 || backend.watch(y, layer, what)? {
        return Ok(());
    }
    Err(Error::NotFinite { layer: layer.to_owned(), what: what.to_owned() })
}

/// Stops where the gradient that comes to a layer of real numbers is not finite: what lies above it
/// has made it. Layers of bits are not looked at, since their gradients are large and theirs only
/// fail when those above or below do.
pub(crate) fn check_gradient(
    layer: &dyn Layer,
    dy: &lutweave_tensor::FrameBuffer,
    backend: &dyn Backend,
) -> Result<()> {
    if layer.output().dtype == lutweave_tensor::DType::Bit {
        return Ok(());
    }
    check_finite(layer, "the gradient that comes to it", dy, backend)
}

/// Whether any layer has parameters that training changes.
pub(crate) fn learns(layer: &dyn Layer) -> bool {
    let mut any = false;
    for_each(layer, &mut |layer| {
        any |= !layer.base().frozen() && layer.learns();
    });
    any
}
