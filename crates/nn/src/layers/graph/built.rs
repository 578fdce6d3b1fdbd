//! The built graph, and how a step runs through it.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::FrameBuffer;

use super::super::names;
use super::plan::{Plan, Wire};
use super::{Graph, Use};
use crate::hardware::{Branch, StageChain};
use crate::layer::{Ancestors, Base, Frozen};
use crate::tree::{self, Tape};
use crate::{Error, Layer, Result, Saved, Signal, Site};

/// One run of a layer.
#[derive(Debug)]
struct Step {
    /// The node's name.
    name: String,
    /// Which layer, by number among the graph's layers.
    layer: usize,
    /// The values it reads.
    sources: Vec<usize>,
    /// The first value it gives, and how many.
    first: usize,
    count: usize,
}

/// The layers of a graph without its base.
#[derive(Debug)]
pub(super) struct Parts {
    layers: Vec<(String, Box<dyn Layer>)>,
    steps: Vec<Step>,
    /// The values that are the graph's outputs.
    outputs: Vec<usize>,
    /// How many values there are: the inputs, then what each step gives.
    values: usize,
}

/// The built graph.
#[derive(Debug)]
pub(super) struct Built {
    base: Base,
    parts: Parts,
}

impl Parts {
    pub(super) fn with_base(self, base: Base) -> Built {
        Built { base, parts: self }
    }
}

impl Built {
    /// Builds the layers in the order of the plan; gives them and what the graph gives.
    pub(super) fn parts(
        graph: &Graph,
        plan: &Plan,
        site: &Site<'_>,
    ) -> Result<(Parts, Vec<Signal>)> {
        let mut signals = site.inputs.clone();
        let mut ancestors = site.ancestors.clone();
        let mut layers: Vec<(String, Box<dyn Layer>)> = Vec::new();
        let mut built: Vec<Option<usize>> = vec![None; graph.nodes.len()];
        // Where the values of each node begin, and how many it gives.
        let mut at: Vec<(usize, usize)> = vec![(0, 0); graph.nodes.len()];
        let find = |wire: Wire, at: &[(usize, usize)]| -> Result<usize> {
            match wire {
                Wire::Input(input) => Ok(input),
                Wire::Node { node, port } if port < at[node].1 => Ok(at[node].0 + port),
                Wire::Node { node, port } => {
                    let (name, count) = (&graph.nodes[node].name, at[node].1);
                    let expected = format!("an output of `{name}`, below {count}");
                    Err(site.option_error("inputs", expected, format!("{name}:{port}")))
                }
            }
        };
        let mut steps = Vec::with_capacity(graph.nodes.len());
        for &node in &plan.order {
            let owner = plan.owner[node];
            let sources = plan.sources[node].iter().map(|&wire| find(wire, &at));
            let sources = sources.collect::<Result<Vec<_>>>()?;
            let name = graph.nodes[node].name.clone();
            let inputs: Vec<Signal> = sources.iter().map(|&value| signals[value].clone()).collect();
            let layer = if let Some(layer) = built[owner] {
                layer
            } else {
                let Use::Own(spec) = &graph.nodes[owner].layer else {
                    return Err(site.option_error("same", "a layer of its own", &name));
                };
                let place: Vec<u64> = site.place.iter().copied().chain([owner as u64]).collect();
                let own = &graph.nodes[owner].name;
                let site = Site {
                    inputs: inputs.clone(),
                    ancestors: sources.iter().map(|&value| ancestors[value].clone()).collect(),
                    path: tree::join(&site.path, own),
                    seed: site.seed,
                    place: &place,
                };
                site.check_inputs(spec.as_ref())?;
                layers.push((own.clone(), spec.build(&site)?));
                built[owner] = Some(layers.len() - 1);
                layers.len() - 1
            };
            let base = layers[layer].1.base();
            if base.inputs() != inputs {
                return Err(Error::Input {
                    layer: tree::join(&site.path, &name),
                    expected: format!("what `{}` reads, {:?}", base.path(), base.inputs()),
                    got_dtype: inputs.first().map_or(signals[0].dtype, |signal| signal.dtype),
                    got_shape: inputs.first().map_or(Vec::new(), |signal| signal.shape.clone()),
                });
            }
            let read: Vec<Ancestors> =
                sources.iter().map(|&value| ancestors[value].clone()).collect();
            ancestors.extend(layers[layer].1.ancestors(&read));
            let outputs = layers[layer].1.base().outputs();
            let (first, count) = (signals.len(), outputs.len());
            signals.extend(outputs.iter().cloned());
            at[node] = (first, count);
            steps.push(Step { name, layer, sources, first, count });
        }
        let outputs = plan.outputs.iter().map(|&wire| find(wire, &at));
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        let given = outputs.iter().map(|&value| signals[value].clone()).collect();
        Ok((Parts { layers, steps, outputs, values: signals.len() }, given))
    }

    fn check_count<T>(&self, operands: &[T], expected: usize) -> Result<()> {
        if operands.len() == expected {
            return Ok(());
        }
        let what = format!("expected {expected} signals, got {}", operands.len());
        Err(self.base.state_error(what))
    }

    /// Runs all steps; `run` gives what a step gives.
    fn run<V: Clone>(
        &self,
        inputs: &[V],
        mut run: impl FnMut(&Step, &dyn Layer, &[V]) -> Result<Vec<V>>,
    ) -> Result<Vec<V>> {
        self.check_count(inputs, self.base.inputs().len())?;
        let mut values = inputs.to_vec();
        for step in &self.parts.steps {
            let read: Vec<V> = step.sources.iter().map(|&value| values[value].clone()).collect();
            let layer = self.parts.layers[step.layer].1.as_ref();
            values.extend(run(step, layer, &read)?);
        }
        Ok(self.parts.outputs.iter().map(|&value| values[value].clone()).collect())
    }

    /// Which values a gradient is wanted of: those that something learning made or went into.
    fn wanted(&self, want_dx: bool) -> Vec<bool> {
        let mut wanted = vec![want_dx; self.base.inputs().len()];
        for step in &self.parts.steps {
            let learns = tree::learns(self.parts.layers[step.layer].1.as_ref());
            let any = learns || step.sources.iter().any(|&value| wanted[value]);
            wanted.extend(std::iter::repeat_n(any, step.count));
        }
        wanted
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
        let none = || vec![Ancestors::new(); self.base.outputs().len()];
        self.run(inputs, |_, layer, read| Ok(layer.ancestors(read))).unwrap_or_else(|_| none())
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let y = self.evaluate_all(&[Arc::new(x.clone())], backend)?;
        Ok(owned(y))
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let (y, saved) = self.forward_all(&[x], backend)?;
        Ok((owned(y), saved))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let mut gradients: Vec<Option<FrameBuffer>> = vec![None; self.parts.outputs.len()];
        gradients[0] = Some(dy.clone());
        Ok(self.backward_all(saved, &gradients, want_dx, backend)?.into_iter().next().flatten())
    }

    fn evaluate_all(
        &self,
        x: &[Arc<FrameBuffer>],
        backend: &dyn Backend,
    ) -> Result<Vec<Arc<FrameBuffer>>> {
        self.run(x, |_, layer, read| layer.evaluate_all(read, backend))
    }

    fn forward_all(
        &self,
        x: &[Arc<FrameBuffer>],
        backend: &dyn Backend,
    ) -> Result<(Vec<Arc<FrameBuffer>>, Saved)> {
        let mut tape = Tape::with_capacity(self.parts.steps.len());
        let y = self.run(x, |_, layer, read| {
            let (given, saved) = layer.forward_all(read, backend)?;
            tape.push(saved);
            for y in &given {
                tree::check_finite(layer, tree::GIVES, y, backend)?;
            }
            Ok(given)
        })?;
        Ok((y, Box::new(tape)))
    }

    fn backward_all(
        &mut self,
        saved: Saved,
        dy: &[Option<FrameBuffer>],
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Vec<Option<FrameBuffer>>> {
        self.check_count(dy, self.parts.outputs.len())?;
        let wanted = self.wanted(want_dx);
        let tape = tree::tape(saved, self.parts.steps.len(), self)?;
        let Parts { layers, steps, outputs, values } = &mut self.parts;
        let mut gradients: Vec<Option<FrameBuffer>> = vec![None; *values];
        for (&value, dy) in outputs.iter().zip(dy) {
            if let Some(dy) = dy {
                add(&mut gradients[value], dy.clone())?;
            }
        }
        for (step, saved) in steps.iter().zip(tape).rev() {
            let given = step.first..step.first + step.count;
            if !wanted[step.first] || gradients[given.clone()].iter().all(Option::is_none) {
                continue;
            }
            let dy: Vec<Option<FrameBuffer>> = given.map(|value| gradients[value].take()).collect();
            let layer = layers[step.layer].1.as_mut();
            for dy in dy.iter().flatten() {
                tree::check_gradient(layer, dy, backend)?;
            }
            let want = step.sources.iter().any(|&value| wanted[value]);
            let dx = layer.backward_all(saved, &dy, want, backend)?;
            for (&value, dx) in step.sources.iter().zip(dx) {
                if let (true, Some(dx)) = (wanted[value], dx) {
                    add(&mut gradients[value], dx)?;
                }
            }
        }
        gradients.truncate(self.base.inputs().len());
        Ok(gradients)
    }

    fn children(&self) -> Vec<(String, &dyn Layer)> {
        self.parts.layers.iter().map(|(name, layer)| (name.clone(), layer.as_ref())).collect()
    }

    fn children_mut(&mut self) -> Vec<(String, &mut dyn Layer)> {
        let layers = self.parts.layers.iter_mut();
        layers.map(|(name, layer)| (name.clone(), layer.as_mut() as _)).collect()
    }

    fn input_width(&self) -> Option<usize> {
        let first = self.parts.steps.iter().filter(|step| step.sources.contains(&0));
        first.filter_map(|step| self.parts.layers[step.layer].1.input_width()).max()
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let mut frozen = self.freeze_all(name, std::slice::from_ref(input), build)?;
        Ok(frozen.swap_remove(0))
    }

    fn freeze_all(
        &self,
        name: &str,
        inputs: &[Frozen],
        build: &mut NetlistBuilder,
    ) -> Result<Vec<Frozen>> {
        self.run(inputs, |step, layer, read| {
            layer.freeze_all(&names::part(name, &step.name), read, build)
        })
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if chain.in_window() {
            return chain.add(name, &self.base, |input, build| self.freeze(name, input, build));
        }
        self.check_count(&self.parts.outputs, 1)?;
        let input = chain.leave();
        let mut given = self.stage_all(name, chain, vec![input])?;
        chain.enter(given.swap_remove(0));
        Ok(())
    }

    /// Each layer as a branch; what several read is a finished image.
    fn stage_all(
        &self,
        name: &str,
        chain: &mut StageChain,
        inputs: Vec<Branch>,
    ) -> Result<Vec<Branch>> {
        self.check_count(&inputs, self.base.inputs().len())?;
        let reads = self.parts.steps.iter().flat_map(|step| &step.sources);
        let mut readers = vec![0; self.parts.values];
        reads.chain(&self.parts.outputs).for_each(|&value| readers[value] += 1);
        let mut values: Vec<Branch> = Vec::with_capacity(self.parts.values);
        let put = |branch: Branch, values: &mut Vec<Branch>, chain: &mut StageChain| {
            let several = readers[values.len()] > 1;
            values.push(if several { chain.finished(branch)? } else { branch });
            Ok::<(), Error>(())
        };
        for input in inputs {
            put(input, &mut values, chain)?;
        }
        for step in &self.parts.steps {
            let read = step.sources.iter().map(|&value| values[value].clone()).collect();
            let layer = self.parts.layers[step.layer].1.as_ref();
            for branch in layer.stage_all(&names::part(name, &step.name), chain, read)? {
                put(branch, &mut values, chain)?;
            }
        }
        Ok(self.parts.outputs.iter().map(|&value| values[value].clone()).collect())
    }
}

/// The first of several buffers, without a copy where nobody else has it.
fn owned(mut y: Vec<Arc<FrameBuffer>>) -> FrameBuffer {
    Arc::unwrap_or_clone(y.swap_remove(0))
}

/// Adds a gradient to the sum of those before it.
fn add(sum: &mut Option<FrameBuffer>, more: FrameBuffer) -> Result<()> {
    match sum {
        None => *sum = Some(more),
        Some(sum) => {
            if (sum.shape(), sum.frames()) != (more.shape(), more.frames()) {
                let (op, expected, got) = ("sum of gradients", sum.frames(), more.frames());
                return Err(lutweave_tensor::Error::Frames {
                    op,
                    expected: expected.to_string(),
                    got,
                }
                .into());
            }
            for (sum, more) in sum.rows_mut::<f32>()?.iter_mut().zip(more.rows::<f32>()?) {
                *sum += more;
            }
        }
    }
    Ok(())
}
