//! The emitted C and Rust compute what the engine computes. Left out, with a line, where there is no
//! compiler.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{bytes, netlist};
use lutweave_engine::{Engine, Error};

/// Runs a compiler; false where it is not installed.
fn compile(command: &mut Command) -> bool {
    let Ok(output) = command.output() else {
        eprintln!("skipped: {:?} is not installed", command.get_program());
        return false;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?}\n{said}");
    true
}

/// Frames in, results out, through the files of a program.
fn run(program: &Path, x: &[u8]) -> Vec<u8> {
    let folder = program.parent().unwrap();
    fs::write(folder.join("x"), x).unwrap();
    let status = Command::new(program).current_dir(folder).status().unwrap();
    assert!(status.success());
    fs::read(folder.join("y")).unwrap()
}

/// Netlists whose results fit in bytes, with frames and the results expected.
fn cases() -> Vec<(Engine, Vec<u8>, Vec<u8>)> {
    let engines = (0..60).map(|seed| (seed, netlist(seed, 150)));
    let cases = engines.filter_map(|(seed, netlist)| {
        let engine = Engine::compile(&netlist).unwrap();
        engine.to_c().ok()?;
        let x = bytes(&netlist, 700, seed);
        let mut y = vec![0; 700 * engine.output_words()];
        engine.run_u8(&x, &mut y).unwrap();
        Some((engine, x, y.into_iter().map(|y| y as u8).collect()))
    });
    cases.take(6).collect()
}

const C_MAIN: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    enum { FRAMES = 700 };
    uint8_t *x = malloc(FRAMES * LUTWEAVE_PIXELS), *y = malloc(FRAMES * LUTWEAVE_RESULTS);
    FILE *from = fopen("x", "rb"), *to = fopen("y", "wb");
    if (!x || !y || !from || !to || fread(x, LUTWEAVE_PIXELS, FRAMES, from) != FRAMES) return 1;
    lutweave_run(x, FRAMES, y);
    return fwrite(y, LUTWEAVE_RESULTS, FRAMES, to) != FRAMES || fclose(to) != 0;
}
"#;

#[test]
fn c_computes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (index, (engine, x, expected)) in cases().into_iter().enumerate() {
        let file = folder.path().join("net.c");
        fs::write(&file, engine.to_c().unwrap() + C_MAIN).unwrap();
        let program = folder.path().join(format!("net{index}"));
        let words: [&[&str]; 3] =
            [&["-O1", "-march=native"], &["-O1"], &["-Os", "-DLUTWEAVE_WORD=uint32_t"]];
        let strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-psabi"];
        let mut gcc = Command::new("gcc");
        gcc.args(strict).args(words[index % 3]).arg(&file).arg("-o").arg(&program);
        if !compile(&mut gcc) {
            return;
        }
        assert_eq!(run(&program, &x), expected, "{:?}", words[index % 3]);
    }
}

const RUST_MAIN: &str = r#"
fn main() {
    let x = std::fs::read("x").unwrap();
    let mut y = vec![0; x.len() / PIXELS * RESULTS];
    assert_eq!(run(&x, &mut y), 700);
    std::fs::write("y", y).unwrap();
}
"#;

#[test]
fn rust_computes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (index, (engine, x, expected)) in cases().into_iter().take(2).enumerate() {
        let module = engine.to_rust().unwrap();
        assert!(!module.contains("std::"), "fit for `no_std`");
        let file = folder.path().join("net.rs");
        fs::write(&file, module + RUST_MAIN).unwrap();
        let program = folder.path().join(format!("net{index}"));
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition=2021", "-Dwarnings"]).arg(&file).arg("-o").arg(&program);
        if !compile(&mut rustc) {
            return;
        }
        assert_eq!(run(&program, &x), expected);
    }
}

#[test]
fn wide_results_are_refused() {
    let wide = (0..).map(|seed| Engine::compile(&netlist(seed, 5)).unwrap().to_c());
    let error = wide.take(60).find_map(Result::err).unwrap();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
}
