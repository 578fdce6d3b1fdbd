//! `lutweave data`, run as a user runs it.
#![allow(clippy::unwrap_used)] // helpers of tests count as tests

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

fn lutweave(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lutweave"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("LUTWEAVE_DATA")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn lists_what_is_known() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("mnist")).unwrap();
    fs::create_dir(home.path().join("kmnist")).unwrap();
    fs::write(home.path().join("mnist/t10k-labels-idx1-ubyte"), "").unwrap();
    let output = lutweave(&["data", "list", "--data-dir", "."], home.path());
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for part in [
        "digits",
        "always here",
        "digits, in `./mnist`",
        "script, not here",
        "cifar100",
        "numbers",
        "not here",
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
}

#[test]
fn shows_tables_and_draws_images() {
    let home = tempfile::tempdir().unwrap();
    let output = lutweave(&["data", "show", "digits", "--png", "d.png"], home.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("picture: d.png"));
    assert!(fs::read(home.path().join("d.png")).unwrap().starts_with(b"\x89PNG"));

    fs::write(home.path().join("t.csv"), "a,b\n1,x\n2,y\n3,x\n4,y\n5,x\n").unwrap();
    let output = lutweave(&["data", "show", "t.csv", "--classes", "b"], home.path());
    let said = text(&output.stdout);
    assert!(said.starts_with("t: 4 samples to train on, 1 to test on, of shape [1]"), "{said}");
    assert!(said.contains("0 x") && said.contains("1 y"), "{said}");
    let output = lutweave(&["data", "show", "t.csv", "--numbers", "a"], home.path());
    assert!(text(&output.stderr).contains("line 2: column 2: expected a number, got `x`"));
    let output = lutweave(&["data", "show", "t.csv"], home.path());
    assert!(text(&output.stderr).contains("no target is named; there are `a`, `b`"));
}

#[test]
fn what_cannot_be_fetched_is_said_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let output = lutweave(&["data", "fetch", "digits", "--data-dir", "."], home.path());
    let said = text(&output.stderr);
    assert!(said.contains("it is none of mnist, fashion-mnist"), "{said}");
    let output = lutweave(&["data", "fetch", "mnist"], home.path());
    assert!(text(&output.stderr).contains("set LUTWEAVE_DATA"));

    // An address where nobody answers, as without a network.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let arguments = ["data", "fetch", "mnist", "--data-dir", ".", "--url", &url];
    let output = lutweave(&arguments, home.path());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "error: cannot fetch `train-images-idx3-ubyte.gz` of mnist",
        &format!("because: {url}/train-images-idx3-ubyte.gz"),
        "put these files into `./mnist`",
        "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
    let output = lutweave(&["data", "show", "mnist", "--data-dir", "."], home.path());
    assert!(text(&output.stderr).contains("try: lutweave data fetch mnist"));
}
