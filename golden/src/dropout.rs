//! Cases of dropout. The recorded mask is put into lutweave's kernel; the layer draws from a stream
//! of its own, so of it only the inference is compared.

use std::sync::Arc;

use lutweave::backend::{ActivationKernels, Cpu};
use lutweave::nn::{Dropout, DropoutScale, Signal};
use lutweave::tensor::FrameBuffer;

use crate::case::{LayerCase, Pair, Tensor};
use crate::check::Check;
use crate::layer::{batches, pairs};
use crate::plan::{Answer, Reading};
use crate::subject::{batch, build, compare_answers};
use crate::{Outcome, fail, options};

pub(crate) fn run(case: &LayerCase, check: &mut Check) -> Outcome<()> {
    let options: options::Dropout = options::read(&case.config)?;
    let shape = &case.input_shape;
    let Some(mask) = case.params.get("mask").filter(|mask| mask.data.len() == shape.nodes()) else {
        return fail(format!("params: expected {} numbers of mask", shape.nodes()));
    };
    if case.params.len() != 1 || case.output_shape.0 != shape.0 {
        return fail("expected a mask alone, and outputs of the shape of the inputs");
    }
    let dropped: Vec<bool> = mask.data.iter().map(|&kept| kept < 0.5).collect();
    let dropped = FrameBuffer::from_frame_bits(&shape.0, &dropped)?;
    let drop = |x: &FrameBuffer| -> Outcome<FrameBuffer> {
        let mut y = x.clone();
        Cpu::new().dropout(x, &dropped, 1.0, &mut y)?;
        Ok(y)
    };
    let read = |what: &str, x: &Tensor| {
        x.expect_nodes(what, shape)?;
        batch(x, &shape.0, Reading::Numbers)
    };
    for (number, recorded) in batches(case).iter().enumerate() {
        let what = format!("train[{number}]");
        recorded.y.expect_nodes(&format!("{what}.y"), shape)?;
        let y = drop(&read(&format!("{what}.x"), &recorded.x)?)?;
        compare_answers(&format!("{what}.y"), &[y], Answer::Numbers, &recorded.y, check)?;
        if let (Some(dy), Some(want)) = (&recorded.dy, &recorded.dx) {
            let dx = drop(&read(&format!("{what}.dy"), dy)?)?;
            check.tensor(&format!("{what}.dx"), &dx.to_frames::<f32>()?, want)?;
        }
        check.note("the layer's own mask, which comes from another random stream");
    }
    let layer = Dropout::new(options.rate).per_node(true).scale(DropoutScale::Inference);
    let layer = build(Arc::new(layer), Signal::reals(&shape.0))?;
    for (number, Pair { x, y }) in pairs(case).iter().enumerate() {
        let what = format!("infer[{number}]");
        y.expect_nodes(&format!("{what}.y"), shape)?;
        let answer = layer.evaluate(&read(&format!("{what}.x"), x)?, &Cpu::new())?;
        compare_answers(&format!("{what}.y"), &[answer], Answer::Numbers, y, check)?;
    }
    Ok(())
}
