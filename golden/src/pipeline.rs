//! Cases of whole networks: trained with a loss and an optimizer, then used.

use std::sync::Arc;

use lutweave::backend::Cpu;
use lutweave::nn::{Network, Sequential, StateTensor};
use lutweave::tensor::{DType, FrameBuffer};
use lutweave::train::Optimizer;
use serde::Deserialize;

use crate::case::{Named, Pair, PipelineCase, PipelineLayer, Tensor, Tensors, TrainStep};
use crate::check::Check;
use crate::plan::{Plan, Recorded, plan};
use crate::subject::{Shared, batch, compare_answers, numbers, overwrite};
use crate::tables::{expect_size, tables};
use crate::train::{self, loss, optimizer, target};
use crate::{Outcome, Problem, fail, options, skip};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    loss: Named,
    optimizer: Named,
}

/// A network and what is known about its layers.
struct Run<'a> {
    case: &'a PipelineCase,
    plans: Vec<Plan>,
    net: Network,
    loss: train::Plan,
    optimizer: Box<dyn Optimizer>,
}

pub(crate) fn run(case: &PipelineCase) -> Outcome<Check> {
    if case.op != "Sequential" {
        return skip(format!("op {} is not done yet", case.op));
    }
    let plans = plans(case)?;
    let Options { loss: own_loss, optimizer: own_optimizer } = options::read(&case.config)?;
    let loss = loss(&own_loss.op, &own_loss.config)?;
    let optimizer = optimizer(&own_optimizer.op, &own_optimizer.config)?;
    let mut run = Run { case, net: build(case, &plans)?, plans, loss, optimizer };
    let mut check = Check::new(case.tolerance);
    for (number, step) in case.train_steps.iter().enumerate() {
        run.step(&format!("train_steps[{number}]"), step, &mut check)?;
    }
    for (number, Pair { x, y }) in case.infer.iter().flatten().enumerate() {
        run.infer(&format!("infer[{number}]"), x, y, &mut check)?;
    }
    run.finals(&mut check)?;
    if case.verilog.is_some() {
        check.note("the recorded Verilog text (the tables and the outputs are its function)");
    }
    check.finish()
}

fn plans(case: &PipelineCase) -> Outcome<Vec<Plan>> {
    let mut plans = Vec::with_capacity(case.layers.len());
    for (number, layer) in case.layers.iter().enumerate() {
        let PipelineLayer { op, config, input_shape, output_shape, connections, params, .. } =
            layer;
        let before =
            number.checked_sub(1).map_or(&case.input_shape, |n| &case.layers[n].output_shape);
        if before != input_shape {
            return fail(format!("layers[{number}]: input_shape is not the output before it"));
        }
        let plan = plan(Recorded {
            op,
            config,
            input: input_shape,
            output: output_shape,
            params,
            connections: connections.as_deref(),
            bits: false,
            largest: 0.0, // numbers inside a network are not recorded
        })
        .map_err(|problem| match problem {
            Problem::Skip(why) => Problem::Skip(why),
            Problem::Fail(what) => Problem::Fail(format!("layers[{number}]: {what}")),
        })?;
        if !plan.is_plain() {
            return skip(format!("{op} inside a pipeline is not done yet"));
        }
        plans.push(plan);
    }
    match case.layers.last() {
        Some(last) if last.output_shape == case.output_shape => Ok(plans),
        _ => fail("layers: the last one does not give the case's output_shape"),
    }
}

/// The network with its recorded parameters.
fn build(case: &PipelineCase, plans: &[Plan]) -> Outcome<Network> {
    let mut spec = Sequential::new(&case.input_shape.0).reading(plans[0].dtype());
    for plan in plans {
        spec = spec.then(Shared::new(plan.parts[0].spec.clone()));
    }
    let mut net = spec.build(1)?;
    if net.output().nodes() != case.output_shape.nodes() {
        return fail("the network gives another number of nodes than the case");
    }
    let mut state = net.state();
    for (number, (layer, plan)) in case.layers.iter().zip(plans).enumerate() {
        let mut own = own_state(&state, number);
        overwrite(&mut own, &plan.parts[0], 0, &layer.params, &Tensors::new())?;
        for tensor in own {
            let name = format!("{number}.{}", tensor.name);
            if let Some(place) = state.iter_mut().find(|place| place.name == name) {
                place.data = tensor.data;
            }
        }
    }
    net.restore(&state)?;
    Ok(net)
}

/// The state of one layer of a chain.
fn own_state(state: &[StateTensor], number: usize) -> Vec<StateTensor> {
    let prefix = format!("{number}.");
    let own = state.iter().filter_map(|tensor| {
        let name = tensor.name.strip_prefix(&prefix)?.to_owned();
        Some(StateTensor { name, data: tensor.data.clone() })
    });
    own.collect()
}

impl Run<'_> {
    fn read(&self, what: &str, x: &Tensor) -> Outcome<FrameBuffer> {
        x.expect_nodes(&format!("{what}.x"), &self.case.input_shape)?;
        // Frames in between are of the size of a modulation at most, which the layers bound.
        let mut frames = x.frames();
        for (plan, layer) in self.plans.iter().zip(&self.case.layers) {
            frames = frames.saturating_mul(plan.frames.0) / plan.frames.1.max(1);
            if frames.saturating_mul(layer.output_shape.nodes()) > crate::case::MAX_ELEMENTS {
                return fail(format!("{what}: a signal inside the network is too large"));
            }
        }
        batch(x, &self.case.input_shape.0, self.plans[0].reading)
    }

    fn compare(&self, what: &str, y: FrameBuffer, want: &Tensor, check: &mut Check) -> Outcome<()> {
        want.expect_nodes(what, &self.case.output_shape)?;
        let answer = self.plans[self.plans.len() - 1].answer;
        compare_answers(what, &[y], answer, want, check)
    }

    fn step(&mut self, what: &str, step: &TrainStep, check: &mut Check) -> Outcome<()> {
        let x = self.read(what, &step.x)?;
        let (y, saved) = self.net.forward(Arc::new(x), &Cpu::new())?;
        if let Some(want) = &step.y {
            self.compare(&format!("{what}.y"), y.clone(), want, check)?;
            // Bits count as 0 and 1 in the loss.
            if y.dtype() == DType::Bit && want.binary_values != Some([0.0, 1.0]) {
                return skip("a loss on bits that are not 0 and 1 is not done yet");
            }
        }
        let scores = batch_scores(&y)?;
        let shape = &self.case.output_shape;
        let target = target(what, &self.loss, &scores, &step.t, shape)?;
        let (loss, dy) = self.loss.loss.evaluate(&scores, &target)?;
        if let Some(want) = step.loss {
            check.number(&format!("{what}.loss"), f64::from(loss), want)?;
        }
        self.net.backward(saved, &dy, &Cpu::new())?;
        // The update clamps weights at once; the reference does so before its next forward.
        let rate = self.optimizer.learning_rate();
        self.optimizer.update(self.net.parameters_mut(), rate)?;
        Ok(())
    }

    fn infer(&self, what: &str, x: &Tensor, y: &Tensor, check: &mut Check) -> Outcome<()> {
        let x = self.read(what, x)?;
        let answer = self.net.evaluate(&x, &Cpu::new())?;
        self.compare(&format!("{what}.y"), answer, y, check)
    }

    /// Parameters, statistics and tables after all.
    fn finals(&self, check: &mut Check) -> Outcome<()> {
        let state = self.net.state();
        for (number, (layer, plan)) in self.case.layers.iter().zip(&self.plans).enumerate() {
            let (part, own) = (&plan.parts[0], own_state(&state, number));
            for (name, want) in &layer.params_final {
                let slot = part.layout.iter().find(|slot| slot.name == name);
                let Some(got) = slot.and_then(|slot| numbers(&own, &slot.array)) else {
                    return fail(format!("layers[{number}]: unknown parameter `{name}`"));
                };
                check.tensor(&format!("layers[{number}].params_final.{name}"), &got, want)?;
            }
            for (name, want) in &layer.state_final {
                let stored = if name == "running_var" { "running_variance" } else { name };
                let Some(got) = numbers(&own, stored) else {
                    return fail(format!("layers[{number}]: unknown state `{name}`"));
                };
                check.statistics(&format!("layers[{number}].state_final.{name}"), &got, want)?;
            }
            if let Some(want) = &layer.tables {
                expect_size(want, layer.output_shape.nodes(), plan.fan_in)?;
                let got = tables(part, &own, plan.fan_in)?;
                check.tables(&format!("layers[{number}].tables"), &got, want)?;
            }
        }
        Ok(())
    }
}

/// The answer as the loss takes it.
fn batch_scores(y: &FrameBuffer) -> Outcome<FrameBuffer> {
    Ok(if y.dtype() == DType::Bit { y.convert(DType::F32)? } else { y.clone() })
}
