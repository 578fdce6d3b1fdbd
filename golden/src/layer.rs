//! Cases of one layer.

use serde_json::Value;

use crate::case::{Batch, LayerCase, Pair, Source, Tensor, Tensors};
use crate::check::Check;
use crate::plan::{Plan, Recorded, plan};
use crate::subject::Subject;
use crate::tables::{expect_size, tables};
use crate::{Outcome, bit_error, dropout, fail};

pub(crate) fn run(case: &LayerCase) -> Outcome<Check> {
    let mut check = Check::new(case.tolerance);
    match case.op.as_str() {
        "InsertBitError" => bit_error::run(case, &mut check)?,
        "BinaryLut" => binary_lut(case, &mut check)?,
        "Dropout" => dropout::run(case, &mut check)?,
        _ => {
            run_as(case, "", &mut check)?;
            if let Some(bits) = on_bits(case) {
                run_as(&bits, "as bits: ", &mut check)?;
            }
        }
    }
    check.finish()
}

pub(crate) fn batches(case: &LayerCase) -> &[Batch] {
    case.train.as_deref().unwrap_or_default()
}

pub(crate) fn pairs(case: &LayerCase) -> &[Pair] {
    case.infer.as_deref().unwrap_or_default()
}

fn inputs(case: &LayerCase) -> impl Iterator<Item = &Tensor> {
    batches(case).iter().map(|batch| &batch.x).chain(pairs(case).iter().map(|pair| &pair.x))
}

/// A case of bits that are recorded as numbers, with packed bits instead: lutweave computes those
/// in another way, and must give the same.
fn on_bits(case: &LayerCase) -> Option<LayerCase> {
    let signs = Some([-1.0, 1.0]);
    let fits = match case.op.as_str() {
        "DifferentiableLut" | "StochasticLut" => {
            case.config["binarize"] == true && inputs(case).all(|x| x.binary_values.is_some())
        }
        "MicroMlp" => inputs(case).all(|x| x.binary_values == signs),
        "AverageLut" | "MaxLut" => {
            case.config["binarize"] == true && inputs(case).all(|x| x.binary_values == signs)
        }
        _ => false,
    };
    if !fits || case.config["dtype"] != "f32" {
        return None;
    }
    let mut bits = case.clone();
    bits.config.insert("dtype".to_owned(), Value::from("bit"));
    Some(bits)
}

fn recorded(case: &LayerCase) -> Recorded<'_> {
    Recorded {
        op: &case.op,
        config: &case.config,
        input: &case.input_shape,
        output: &case.output_shape,
        params: &case.params,
        connections: case.connections.as_deref(),
        bits: inputs(case).all(|x| x.binary_values == Some([0.0, 1.0])),
        largest: inputs(case).flat_map(|x| &x.data).fold(0.0, |most, x| most.max(x.abs())),
    }
}

fn run_as(case: &LayerCase, prefix: &str, check: &mut Check) -> Outcome<()> {
    let plan = plan(recorded(case))?;
    let shapes = (&case.input_shape, &case.output_shape);
    let mut subject = Subject::new(&plan, shapes, &case.params, &Tensors::new())?;
    for (number, batch) in batches(case).iter().enumerate() {
        if plan.frozen_from.is_some_and(|from| number >= from) {
            subject.freeze();
        }
        train(&mut subject, &format!("{prefix}train[{number}]"), batch, check)?;
    }
    for (number, Pair { x, y }) in pairs(case).iter().enumerate() {
        subject.infer(&format!("{prefix}infer[{number}]"), (x, y), check)?;
    }
    if let Some(want) = &case.tables {
        compare_tables(&format!("{prefix}tables"), &subject, want, check)?;
    }
    Ok(())
}

fn train(subject: &mut Subject<'_>, what: &str, batch: &Batch, check: &mut Check) -> Outcome<()> {
    let tape = subject.forward(what, (&batch.x, &batch.y), check)?;
    if batch.grads_cleared_before {
        subject.clear_gradients();
    }
    // Running statistics are taken over by backward here and by forward there: where no backward
    // is recorded, one of zeros stands for it.
    let zeros = || Tensor {
        shape: batch.y.shape.clone(),
        binary_values: None,
        data: vec![0.0; batch.y.data.len()],
    };
    let dy = batch.dy.clone().unwrap_or_else(zeros);
    let dx = subject.backward(what, tape, (&batch.y, &dy))?;
    if let Some(want) = &batch.dx {
        if batch.dy.is_none() {
            return fail(format!("{what}: dx without dy"));
        }
        check.tensor(&format!("{what}.dx"), &dx, want)?;
    }
    for (name, want) in &batch.grads {
        if subject.plan.missing.contains(&name.as_str()) {
            check.note(format!("gradient of {name}, which is not trained here"));
            continue;
        }
        let Some(got) = subject.gradient(name) else {
            return fail(format!("{what}.grads: unknown parameter `{name}`"));
        };
        check.tensor(&format!("{what}.grads.{name}"), &got, want)?;
    }
    statistics(subject, &format!("{what}.state_after"), &batch.state_after, check)
}

/// Compares running statistics. A layer without batch norm keeps its initial ones, as recorded.
fn statistics(
    subject: &Subject<'_>,
    what: &str,
    recorded: &Tensors,
    check: &mut Check,
) -> Outcome<()> {
    for (name, want) in recorded {
        let own = match name.as_str() {
            "running_mean" => "running_mean",
            "running_var" => "running_variance",
            _ => return fail(format!("{what}: unknown state `{name}`")),
        };
        let Some(got) = subject.statistics(own) else {
            return fail(format!("{what}: the layer has no {name}"));
        };
        check.statistics(&format!("{what}.{name}"), &got, want)?;
    }
    Ok(())
}

fn compare_tables(
    what: &str,
    subject: &Subject<'_>,
    want: &[Vec<u8>],
    check: &mut Check,
) -> Outcome<()> {
    let plan: &Plan = subject.plan;
    let nodes = subject.layers.iter().map(|layer| layer.output().nodes()).sum();
    expect_size(want, nodes, plan.fan_in)?;
    let mut got = Vec::new();
    for (layer, part) in subject.layers.iter().zip(&plan.parts) {
        got.extend(tables(part, &layer.state(), plan.fan_in)?);
    }
    check.tables(what, &got, want)
}

/// A table of its own, and the layer from which it came: both must have the recorded entries.
fn binary_lut(case: &LayerCase, check: &mut Check) -> Outcome<()> {
    let Some(want) = &case.tables else { return fail("tables are missing") };
    let nodes = case.output_shape.nodes();
    let fan_in = case.config["n"].as_u64().filter(|n| (1..=8).contains(n));
    let Some(fan_in) = fan_in else { return fail("config: expected n to be 1 to 8") };
    expect_size(want, nodes, fan_in as usize)?;
    if let Some(source) = &case.source {
        source_tables(case, source, want, check)?;
    }
    let data: Vec<f32> = want.concat().into_iter().map(f32::from).collect();
    let table = Tensor { shape: vec![nodes, 1 << fan_in], binary_values: None, data };
    let mut own = case.clone();
    own.params.insert("W".to_owned(), table);
    run_as(&own, "", check)
}

fn source_tables(
    case: &LayerCase,
    source: &Source,
    want: &[Vec<u8>],
    check: &mut Check,
) -> Outcome<()> {
    let Source { op, config, params, state } = source;
    let plan = plan(Recorded { op, config, params, ..recorded(case) })?;
    let shapes = (&case.input_shape, &case.output_shape);
    let subject = Subject::new(&plan, shapes, params, state)?;
    compare_tables("source.tables", &subject, want, check)
}
