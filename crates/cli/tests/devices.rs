//! `lutweave devices` and `--device`.
#![allow(clippy::unwrap_used)] // helpers of tests count as tests

use std::process::{Command, Output};

fn lutweave(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lutweave")).args(arguments).output().unwrap()
}

#[test]
fn devices_are_listed_with_why_others_are_not() {
    let text = String::from_utf8(lutweave(&["devices"]).stdout).unwrap();
    assert!(text.lines().next().unwrap().starts_with("cpu "), "{text}");
    let json = lutweave(&["devices", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(json["cpu"]["threads"].as_u64().unwrap() >= 1);
    // Either there are devices, or a reason that both outputs give.
    if let Some(why) = json["cuda_missing"].as_str() {
        assert!(why.starts_with("CUDA is not available: ") && text.contains(why));
    } else {
        let gpus = json["cuda"].as_array().unwrap().len();
        assert_eq!(json["cublas_missing"].as_array().unwrap().len(), gpus);
        assert!(text.contains("cuda") && text.contains("nccl"), "{text}");
    }
    let nccl = &json["nccl_missing"];
    assert!(nccl.is_null() || nccl.as_str().unwrap().starts_with("NCCL is not available: "));
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let bench = ["bench", "kernels", "--fan-in", "2", "--nodes", "4", "--frames", "64"];
    let run = |device| {
        let output = lutweave(&[&bench[..], &["--device", device]].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run("cuda:4000");
    assert!(code == Some(1) && text.contains("CUDA is not available"), "{text}");
    let (code, text) = run("cuda:0,cuda:1");
    assert!(code == Some(2) && text.contains("this command works on one device"), "{text}");
    let (code, text) = run("gpu");
    assert!(code == Some(2) && text.contains("expected cpu, cuda:N or auto"), "{text}");
}

#[test]
fn several_devices_are_checked_before_training() {
    let run = |options: &[&str]| {
        let output = lutweave(&[&["bench", "train", "--images", "64"], options].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (options, wanted, says) in [
        (&["--device", "cuda:4000,cuda:4001"][..], 1, "CUDA is not available"),
        (&["--device", "cuda:0,cpu"], 2, "expected GPUs between commas"),
        (&["--device", "cuda:0,cuda:0"], 2, "cuda:0 is named twice"),
        (&["--device", "cpu", "--exchange", "host"], 1, "--device is cpu: name several"),
        (&["--device", "cuda:all", "--exchange", "mail"], 2, "[possible values: auto, nccl, host]"),
    ] {
        let (code, text) = run(options);
        assert!(code == Some(wanted) && text.contains(says), "{options:?}: {text}");
    }
}
