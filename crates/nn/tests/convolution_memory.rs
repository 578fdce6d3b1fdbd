//! A training step of a convolution of LUTs holds the rows of its input, its output and their
//! gradients, and little else: no windows are copied out. Alone in its process, whose peak is read.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_nn::{Convolution, LayerSpec, LutLayer, Signal, Site};
use lutweave_tensor::{DType, FrameBuffer};

const FRAMES: usize = 1024;

/// A line of what the system says of this process, in bytes.
fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_step_takes_little_more_than_its_rows() {
    let spec = Convolution::new([3, 3], LutLayer::new(16).fan_in(6));
    let site = Site::alone(Signal::bits(&[16, 40, 40]), "0.convolution", 1);
    let mut layer = spec.build(&site).unwrap();
    let before = memory("VmRSS:");
    let x = Arc::new(FrameBuffer::zeros(DType::Bit, &[16, 40, 40], FRAMES).unwrap());
    let dy = FrameBuffer::zeros(DType::F32, &layer.output().shape, FRAMES).unwrap();
    let (y, saved) = layer.forward(x.clone(), &Cpu::new()).unwrap();
    let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
    let rows = x.bytes() + y.bytes() + dy.bytes() + dx.bytes();
    // Pages that were only ever zero are not there yet, which counts against the ratio.
    let peak = memory("VmHWM:").saturating_sub(before);
    println!("rows {rows}, peak {peak}, {:.2} times", peak as f64 / rows as f64);
    assert!(peak as f64 <= 1.3 * rows as f64, "{peak} bytes for {rows} of rows");
}
