//! Cases of bit errors. The recorded errors come from the reference's random sequence, which its
//! seeds give; they are put into lutweave's kernels. The layer draws from a stream of its own, so
//! of it only the inference, without errors, is compared.

use lutweave::backend::{Cpu, ErrorEffect, ModulateKernels};
use lutweave::nn::InsertBitError;
use lutweave::tensor::{DType, FrameBuffer};

use crate::case::{LayerCase, Pair, Tensor};
use crate::check::Check;
use crate::layer::{batches, pairs};
use crate::options;
use crate::plan::{Answer, Reading};
use crate::subject::{batch, build, compare_answers};
use crate::{Outcome, fail, skip};

pub(crate) fn run(case: &LayerCase, check: &mut Check) -> Outcome<()> {
    let options: options::InsertBitError = options::read(&case.config)?;
    let effect = if options.mask_mode { ErrorEffect::Clear } else { ErrorEffect::Flip };
    let shape = &case.input_shape;
    if options.noise_seeds.len() != batches(case).len() {
        return fail("config: expected one of noise_seeds for each training batch");
    }
    for (number, (recorded, &seed)) in batches(case).iter().zip(&options.noise_seeds).enumerate() {
        let what = format!("train[{number}]");
        let x = read(&format!("{what}.x"), case, &recorded.x)?;
        recorded.y.expect_nodes(&format!("{what}.y"), shape)?;
        let errors = errors(seed, options.error_rate, shape.nodes(), x.frames());
        let errors = FrameBuffer::from_frame_bits(&shape.0, &errors)?;
        let mut y = errors.clone();
        Cpu::new().apply_errors(&x, &errors, effect, &mut y)?;
        compare_answers(&format!("{what}.y"), &[y], Answer::Bits, &recorded.y, check)?;
        if let (Some(dy), Some(want)) = (&recorded.dy, &recorded.dx) {
            if dy.shape != recorded.x.shape {
                return fail(format!("{what}.dy: expected the shape of x, got {:?}", dy.shape));
            }
            let dy = batch(dy, &shape.0, Reading::Numbers)?;
            let mut dx = dy.clone();
            Cpu::new().apply_errors_backward(&dy, &errors, effect, &mut dx)?;
            check.tensor(&format!("{what}.dx"), &dx.to_frames::<f32>()?, want)?;
        }
        check.note("the layer's own errors, which come from another random stream");
    }
    let mut layer = InsertBitError::new(options.error_rate);
    if options.mask_mode {
        layer = layer.clearing();
    }
    let signal = lutweave::nn::Signal { dtype: DType::Bit, shape: shape.0.clone() };
    let layer = build(std::sync::Arc::new(layer), signal)?;
    for (number, Pair { x, y }) in pairs(case).iter().enumerate() {
        let what = format!("infer[{number}]");
        let x = read(&format!("{what}.x"), case, x)?;
        let answer = layer.evaluate(&x, &Cpu::new())?;
        compare_answers(&format!("{what}.y"), &[answer], Answer::Bits, y, check)?;
    }
    Ok(())
}

fn read(what: &str, case: &LayerCase, x: &Tensor) -> Outcome<FrameBuffer> {
    x.expect_nodes(what, &case.input_shape)?;
    if x.binary_values != Some([0.0, 1.0]) {
        return skip("InsertBitError on other values than 0 and 1 is not done");
    }
    batch(x, &case.input_shape.0, Reading::Above(0.5))
}

/// Where the reference puts errors, one frame after the other.
fn errors(seed: u32, rate: f64, nodes: usize, frames: usize) -> Vec<bool> {
    let below = (rate * 65536.0) as u32;
    let at = |frame: usize, node: usize| {
        let number = seed.wrapping_add((frames * node + frame) as u32);
        1_103_515_245u32.wrapping_mul(number).wrapping_add(12345) & 0xffff < below
    };
    (0..frames).flat_map(|frame| (0..nodes).map(move |node| at(frame, node))).collect()
}
