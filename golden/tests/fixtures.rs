//! The harness on the shipped cases, on changed ones, and on files that are not of the schema.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use lutweave_golden::{Report, run};
use serde_json::{Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn run_folder(folder: &Path) -> (Report, String) {
    let mut out = Vec::new();
    let report = run(folder, &mut out).unwrap();
    (report, String::from_utf8(out).unwrap())
}

/// The line and the counts of one file with this text.
fn run_text(text: &[u8]) -> (Report, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), text).unwrap();
    fs::write(folder.path().join("b.txt"), "not a case").unwrap();
    run_folder(folder.path())
}

fn run_value(value: &Value) -> (Report, String) {
    run_text(value.to_string().as_bytes())
}

fn load(name: &str) -> Value {
    let text = fs::read_to_string(fixtures().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn shipped_cases_agree() {
    let (report, out) = run_folder(&fixtures());
    let files = fs::read_dir(fixtures()).unwrap().count() - 1; // without the README
    assert_eq!(report, Report { passed: files, failed: 0, skipped: 0 }, "{out}");
    assert!(report.is_ok());
    let last = out.lines().last().unwrap();
    assert_eq!(last, format!("{files} passed, 0 failed, 0 skipped"));
}

/// A place in a file, and how the message about it begins when its number is changed.
struct Case {
    file: &'static str,
    place: &'static str,
    named: &'static str,
}

fn case(file: &'static str, place: &'static str, named: &'static str) -> Case {
    Case { file, place, named }
}

fn expect_found(cases: &[Case]) {
    for Case { file, place, named } in cases {
        let mut value = load(file);
        let number = value.pointer_mut(place).unwrap_or_else(|| panic!("{file}{place}"));
        let old = number.as_f64().unwrap();
        // Bits stay bits, other numbers move.
        let is_bit = old.to_bits() == 0 || old.to_bits() == 1f64.to_bits();
        *number = match (is_bit, number.is_u64()) {
            (true, true) => json!(1 - old as u64),
            (true, false) => json!(1.0 - old),
            _ => json!(old + 0.25),
        };
        // Tensors that were all zeros or ones have two values, which the change may leave.
        let (report, out) = run_value(&value);
        assert_eq!(report.failed, 1, "{file}{place}: {out}");
        let refused = out.contains("other values than its two");
        assert!(out.starts_with("FAIL  a: ") && (refused || out.contains(named)), "{place}: {out}");
        assert!(!report.is_ok());
    }
}

/// Every recorded number is compared: a change of any of these is found, and named.
#[test]
fn a_change_of_any_recorded_result_is_found() {
    let lut = "differentiable_lut_n2_bn_binary_f32";
    let modulated = "pipeline_lut4_bit_modulated";
    let cases = [
        case(lut, "/train/1/y/data/3", "train[1].y[0, 3]: got"),
        case(lut, "/train/0/dx/data/7", "train[0].dx[1, 2]: got"),
        case(lut, "/train/1/grads/W/data/5", "train[1].grads.W[1, 1]: got"),
        case(lut, "/train/0/state_after/running_mean/data/2", "train[0].state_after.running_mean"),
        case(lut, "/train/1/state_after/running_var/data/2", "train[1].state_after.running_var"),
        case(lut, "/infer/0/y/data/0", "infer[0].y[0, 0]: got"),
        case(lut, "/tables/1/2", "tables[1, 2]: got"),
        case(lut, "/params/W/data/4", ": got"),
        case("binary_lut_n4_bit", "/tables/1/2", "source.tables[1, 2]: got"),
        case("binary_lut_n4_bit", "/infer/0/y/data/9", "infer[0].y[1, 3]: got"),
        case("micro_mlp_n6_f32", "/train/1/grads/b0/data/17", "train[1].grads.b0[1, 1]: got"),
        case("micro_mlp_n6_f32", "/params/gamma/data/1", ": got"),
        case("reduce_bit", "/train/0/dx/data/0", "train[0].dx[0, 0]: got"),
        case("bit_encode_8_bit", "/train/0/dx/data/0", "train[0].dx[0, 0, 0, 0]: got"),
        case("insert_bit_error_flip_f32", "/train/1/dx/data/0", "train[1].dx[0, 0]: got"),
        case("insert_bit_error_flip_f32", "/infer/0/y/data/0", "infer[0].y[0, 0]: got"),
        case("loss_softmax_cross_entropy", "/evaluations/1/dy/data/0", "evaluations[1].dy[0, 0]"),
        case(
            "loss_softmax_cross_entropy",
            "/evaluations/1/loss_after",
            "evaluations[1].loss_after",
        ),
        case("metric_categorical_accuracy", "/evaluations/1/value_after", "[1].value_after: got"),
        case("loss_mse_batch_size", "/evaluations/1/dy/data/0", "evaluations[1].dy[0, 0]"),
        case("loss_mse_batch_size", "/evaluations/0/batch_size", "not of the schema"),
        case("loss_mse_sum", "/evaluations/1/loss_after", "evaluations[1].loss_after"),
        case(
            "loss_sigmoid_cross_entropy_nodes",
            "/evaluations/1/loss_after",
            "evaluations[1].loss_after",
        ),
        case(
            "loss_softmax_cross_entropy_unlabelled",
            "/evaluations/0/dy/data/0",
            "evaluations[0].dy[0, 0, 0, 0]",
        ),
        case(
            "metric_categorical_accuracy_pixels",
            "/evaluations/0/value_after",
            "[0].value_after: got",
        ),
        case("optimizer_adagrad", "/optimizer_steps/0/grads/b/data/0", "[1].params_after.b[0]"),
        case("optimizer_adam", "/optimizer_steps/1/params_after/b/data/0", "[1].params_after.b[0]"),
        case(modulated, "/train_steps/4/y/data/0", "train_steps[4].y[0, 0]: got"),
        case(modulated, "/train_steps/0/loss", "train_steps[0].loss: got"),
        case(modulated, "/infer/0/y/data/0", "infer[0].y[0, 0]: got"),
        case(modulated, "/layers/1/params_final/W/data/0", "layers[1].params_final.W[0, 0]: got"),
        case(
            modulated,
            "/layers/2/state_final/running_mean/data/0",
            "layers[2].state_final.running",
        ),
        case(modulated, "/layers/2/tables/0/0", "layers[2].tables[0, 0]: got"),
    ];
    expect_found(&cases);
}

/// The same for layers of real numbers.
#[test]
fn a_change_of_a_recorded_real_layer_is_found() {
    expect_found(&[
        case("dense_affine_a", "/train/0/grads/b/data/2", "train[0].grads.b[2]: got"),
        case("dense_affine_a", "/params/b/data/0", ": got"),
        case("dense_affine_bit_input", "/train/0/dx/data/0", "train[0].dx[0, 0]: got"),
        case("dense_affine_quantize_default", "/train/0/y/data/0", "train[0].y[0, 0]: got"),
        case("depthwise_dense_affine_a", "/train/0/grads/W/data/9", "train[0].grads.W[1, 0, 1]"),
        case("binary_dense_affine_bit", "/train/1/y/data/3", "train[1].y[0, 3]: got"),
        case("binary_dense_affine_f32", "/train/1/grads/gamma/data/1", "train[1].grads.gamma[1]"),
        case("binary_dense_affine_f32", "/params/W/data/1", ": got"),
        case(
            "binary_dense_affine_f32",
            "/train/1/state_after/running_var/data/4",
            "train[1].state_after.running_var[4]",
        ),
        case("batch_normalization_default", "/train/2/grads/beta/data/0", "train[2].grads.beta[0]"),
        case("batch_normalization_parameter_lock", "/train/2/y/data/0", "train[2].y[0, 0]: got"),
        case("sigmoid_binary_f32", "/train/0/dx/data/1", "train[0].dx[0, 1]: got"),
        case("dropout_a", "/train/0/y/data/0", "train[0].y[0, 0]: got"),
        case("dropout_a", "/infer/0/y/data/0", "infer[0].y[0, 0]: got"),
        case(
            "pipeline_dense_bn_relu",
            "/layers/1/params_final/beta/data/3",
            "layers[1].params_final.beta[3]: got",
        ),
    ]);
}

#[test]
fn malformed_files_fail_with_a_message() {
    let reduce = || load("reduce_bit");
    let with = |place: &str, new: Value| {
        let mut value = reduce();
        *value.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = new;
        value
    };
    let add = |place: &str, key: &str, new: Value| {
        let mut value = reduce();
        value.pointer_mut(place).unwrap().as_object_mut().unwrap().insert(key.to_owned(), new);
        value
    };
    let without = |key: &str| {
        let mut value = reduce();
        value.as_object_mut().unwrap().remove(key);
        value
    };
    let huge = json!([4_294_967_296_u64, 4_294_967_296_u64]);
    let mut lut = load("differentiable_lut_n2_bn_binary_bit");
    lut["config"]["output_shape"] = json!([1 << 20]);
    lut["output_shape"] = json!([1 << 20]);
    let mut wired = load("differentiable_lut_n2_bn_binary_bit");
    wired["connections"][0][0] = json!(99);
    let mut fan_in = load("differentiable_lut_n2_bn_binary_bit");
    fan_in["config"]["n"] = json!(60);
    let mut deep = load("real_to_binary_depth4_bit");
    deep["config"]["depth_modulation_size"] = json!(u64::MAX);
    let mut long = load("real_to_binary_depth4_bit");
    long["config"]["frame_modulation_size"] = json!(60_000);
    let mut modulated = load("pipeline_lut4_bit_modulated");
    modulated["layers"][0]["config"]["frame_modulation_size"] = json!(60_000);
    let mut empty = load("pipeline_lut4_bit_modulated");
    empty["layers"] = json!([]);
    let mut gradient = load("reduce_integration_f32");
    gradient["train"][0]["dy"] = gradient["train"][0]["x"].clone();
    let cases = [
        (json!([]), "not of the schema"),
        (json!({ "schema": 1, "kind": "layer" }), "not of the schema: missing field"),
        (with("/schema", json!(2)), "expected schema 1, got 2"),
        (with("/kind", json!("song")), "unknown kind `song`"),
        (add("", "extra", json!(1)), "unknown field `extra`"),
        (without("tables"), "missing field `tables`"),
        (add("/config", "shiny", json!(1)), "config: unknown option `shiny`"),
        (with("/config", json!({})), "config: missing option"),
        (with("/config/dtype", json!("f64")), "config: unknown variant `f64`"),
        (with("/config/output_shape", json!([7])), "FAIL"),
        (with("/input_shape", huge.clone()), "a shape of 2 axes must have"),
        (with("/input_shape", json!([])), "FAIL"),
        (with("/train/0/x/shape", huge), "a shape of 2 axes must have"),
        (with("/train/0/x/shape/0", json!(2)), "a tensor has 190 numbers, its shape 20"),
        (with("/train/0/x/data/0", json!(0.5)), "other values than its two"),
        (with("/train/0/dy/data/0", json!(1e300)), "FAIL"),
        (with("/train/0/dy/dtype", json!("i8")), "unknown dtype `i8`"),
        (with("/tolerance/abs", json!(1e9)), "a tolerance is from 0 to 1"),
        (with("/params", json!({ "W": load("reduce_bit")["train"][0]["y"] })), "unknown parameter"),
        (lut, "connections: expected 1048576 rows of 2"),
        (wired, "FAIL"),
        (fan_in, "expected n to be 1 to 8, got 60"),
        (deep, "nodes for each of"),
        (long, "frames of x do not make"),
        (modulated, "FAIL"),
        (empty, "layers: the last one"),
        (gradient, "dy: expected shape"),
    ];
    for (value, message) in cases {
        let (report, out) = run_value(&value);
        assert_eq!(report, Report { passed: 0, failed: 1, skipped: 0 }, "{message}: {out}");
        assert!(out.contains(message), "{message}: {out}");
        assert_eq!(out.lines().count(), 2, "{out}");
    }
    let texts: [&[u8]; 5] = [b"", b"{", b"\xff\xfe", &vec![b'['; 100_000], &vec![b' '; 9 << 20]];
    for text in texts {
        let (report, out) = run_text(text);
        assert_eq!(report.failed, 1, "{out}");
    }
}

#[test]
fn what_is_not_done_is_named() {
    let mut value = load("reduce_bit");
    value["op"] = json!("Convolution9d");
    let (report, out) = run_value(&value);
    assert_eq!(report, Report { passed: 0, failed: 0, skipped: 1 });
    assert!(out.starts_with("skip  a: op Convolution9d is not done yet\n"), "{out}");
    assert!(!report.is_ok(), "nothing ran");
}

#[test]
fn nothing_to_run_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let (report, out) = run_folder(folder.path());
    assert_eq!(out, "0 passed, 0 failed, 0 skipped\n");
    assert!(!report.is_ok());
    assert!(run(&folder.path().join("missing"), &mut Vec::new()).is_err());
}
