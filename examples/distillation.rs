//! Distillation: a network of LUTs learns from a dense one.
//!
//! The teacher, two dense layers with batch norm, is trained on the labels. The student, a few LUTs,
//! is trained three times: on the labels, on the teacher's scores as well, and with its hidden bits
//! drawn towards the teacher's hidden numbers besides. It shows how; with 1,437 labelled images, which
//! the teacher knows by heart, the three differ by less than their seeds do.
//!
//! `cargo run --release -p lutweave-examples --example distillation`

use std::sync::Arc;

use lutweave::backend::Cpu;
use lutweave::nn::{
    BatchNormalization, BinaryToReal, Dense, Graph, Network, Relu, Sigmoid, Signal, arg_max,
};
use lutweave::prelude::*;
use lutweave::tensor::rng;
use lutweave::train::{Distillation, FeatureMatching, Loss, Optimizer};
use lutweave_examples::say;

const EPOCHS: usize = 30;
const BATCH: usize = 128;
/// Numbers of the teacher's hidden layer, and groups of the student's hidden bits.
const FEATURES: usize = 30;

/// The teacher gives its scores and its hidden numbers, between 0 and 1.
fn teacher(data: &Dataset) -> anyhow::Result<Network> {
    Ok(Graph::new()
        .input("x", Signal::reals(data.shape()))
        .node("first", Dense::new(&[100]), &["x"])
        .node("norm", BatchNormalization::new(), &["first"])
        .node("relu", Relu::new(), &["norm"])
        .node("second", Dense::new(&[FEATURES]), &["relu"])
        .node("features", Sigmoid::new(), &["second"])
        .node("scores", Dense::new(&[10]), &["features"])
        .output("scores")
        .output("features")
        .build(7)?)
}

/// The student gives its scores and the means of its groups of hidden bits.
fn student(data: &Dataset) -> anyhow::Result<Network> {
    Ok(Graph::new()
        .input("x", Signal { dtype: DType::U8, shape: data.shape().to_vec() })
        .node("encoder", Thermometer::uniform(data, 3)?, &["x"])
        .node("hidden", LutLayer::new(10 * FEATURES), &["encoder"])
        .node("features", BinaryToReal::new().output(&[FEATURES]), &["hidden"])
        .node("last", LutLayer::new(100), &["hidden"])
        .node("scores", GroupSum::new(10).temperature(3.0), &["last"])
        .output("scores")
        .output("features")
        .build(3)?)
}

/// Trains on both outputs: the loss of the scores, and so much of the distance between features.
fn train_with_features(
    net: &mut Network,
    teacher: &Network,
    data: &Dataset,
    loss: &dyn Loss,
    weight: f32,
) -> anyhow::Result<()> {
    let (mut optimizer, backend) = (Adam::new(0.01), Cpu::new());
    for epoch in 0..EPOCHS {
        let mut order: Vec<usize> = (0..data.len()).collect();
        rng::shuffle(&mut rng::stream(1, &[rng::SHUFFLE, epoch as u64]), &mut order);
        let factor = Schedule::Cosine.factor(epoch, EPOCHS);
        for batch in order.chunks(BATCH) {
            let taught =
                teacher.evaluate_all(&[Arc::new(teacher.batch(data, batch)?)], &backend)?;
            let (y, saved) = net.forward_all(&[Arc::new(net.batch(data, batch)?)], &backend)?;
            let (_, scores) = loss.evaluate(&y[0], &data.target(batch)?)?;
            let (_, mut features) = FeatureMatching.between(&y[1], &taught[1])?;
            for gradient in features.rows_mut::<f32>()? {
                *gradient *= weight;
            }
            net.backward_all(saved, &[Some(scores), Some(features)], false, &backend)?;
            optimizer.update(net.parameters_mut(), optimizer.learning_rate() * factor)?;
        }
    }
    Ok(())
}

/// Share of the samples whose class the first output names.
fn right(net: &Network, data: &Dataset) -> anyhow::Result<f64> {
    let all: Vec<usize> = (0..data.len()).collect();
    let scores = net.evaluate(&net.batch(data, &all)?, &Cpu::new())?;
    let (_, labels) = data.classes().unwrap_or_default();
    let right = arg_max(&scores)?.iter().zip(labels).filter(|(got, want)| got == want).count();
    Ok(100.0 * right as f64 / data.len() as f64)
}

fn main() -> anyhow::Result<()> {
    let (train, test) = data::digits()?;
    let trainer = |loss| Trainer::new(Adam::new(0.01), loss).epochs(EPOCHS).batch(BATCH);

    let mut teacher = teacher(&train)?;
    trainer(SoftmaxCrossEntropy).fit(&mut teacher, &train, &test)?;
    say!("teacher: {:.1} %\n{}", right(&teacher, &test)?, teacher.describe());

    let mut alone = student(&train)?;
    trainer(SoftmaxCrossEntropy).fit(&mut alone, &train, &test)?;
    say!("student of the labels: {:.1} %", right(&alone, &test)?);

    // The teacher's scores become part of the data set.
    let all: Vec<usize> = (0..train.len()).collect();
    let scores = teacher.evaluate(&teacher.batch(&train, &all)?, &Cpu::new())?;
    let taught = train.clone().taught(&[10], scores.to_frames::<f32>()?)?;
    let loss = Distillation::new(2.0, 0.3)?;
    let mut second = student(&train)?;
    Trainer::new(Adam::new(0.01), loss).epochs(EPOCHS).batch(BATCH).fit(
        &mut second,
        &taught,
        &test,
    )?;
    say!("student of the teacher's scores: {:.1} %", right(&second, &test)?);

    let mut third = student(&train)?;
    train_with_features(&mut third, &teacher, &taught, &loss, 3.0)?;
    say!("student of its scores and features: {:.1} %", right(&third, &test)?);
    say!("{}", third.describe());
    Ok(())
}
