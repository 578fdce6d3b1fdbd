//! `lutweave bench engine`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum, value_parser};
use lutweave::engine::{Engine, Feed, Isa, ternary_rate};
use lutweave::lut::{Net, NetlistBuilder, Op, TruthTable};
use lutweave::prelude::*;
use lutweave::tensor::rng;

use crate::error::{Error, Result};
use crate::report::grouped;

/// Frames of a measurement, and how often it is repeated.
const FRAMES: usize = 10_000;
const RUNS: usize = 31;

/// Options of `lutweave bench engine`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave bench engine --net mnist-thermometer
  lutweave bench engine out/digits/digits.netlist --json")]
pub(crate) struct EngineArguments {
    /// A model file or a netlist as text.
    #[arg(value_name = "MODEL", required_unless_present = "net", conflicts_with = "net")]
    model: Option<PathBuf>,

    /// A network with random wiring and tables.
    #[arg(long, value_enum)]
    net: Option<Network>,

    /// Threads to measure with.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u16).range(1..=1024))]
    threads: u16,

    /// Print a list of JSON objects instead of a table.
    #[arg(long)]
    json: bool,
}

/// Networks of known size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Network {
    /// 784 bits → 2304-384-64-360-60-10 LUT6, one frame.
    MnistSimple,
    /// 784 bytes, three thresholds each → 2000-1000 LUT6, group sums of ten classes, arg-max.
    MnistThermometer,
    /// 2,000 LUT6 on 784 bits.
    Random,
    /// Six layers of 8,000 two-input gates on 784 bits, group sums of ten classes, arg-max.
    Gates,
}

/// One measured figure.
struct Row {
    isa: Isa,
    /// Whether machine code was run instead of the program.
    machine_code: bool,
    threads: usize,
    input: &'static str,
    rate: f64,
    /// Whether the tables are part of it.
    luts: bool,
    bound: f64,
}

/// Measures, and prints a table or JSON.
pub(super) fn run(arguments: &EngineArguments) -> Result<()> {
    let name = match (&arguments.model, arguments.net) {
        (Some(model), _) => model.display().to_string(),
        (None, net) => net
            .and_then(|net| net.to_possible_value())
            .map_or_else(String::new, |value| value.get_name().to_owned()),
    };
    let netlist = match (&arguments.model, arguments.net) {
        (Some(model), _) => crate::open::open_netlist(model)?,
        (None, Some(net)) => random(net)?,
        (None, None) => return Err(Error::Unexpected("no network was named")),
    };
    let start = Instant::now();
    let engine = Engine::compile(&netlist)?;
    let ready = start.elapsed().as_secs_f64();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.into()).build()?;
    let mut rows = Vec::new();
    for &isa in Isa::available().iter().rev() {
        let engine = engine.clone().on(isa)?;
        rows.extend(pool.install(|| measure(&engine, arguments.threads.into()))?);
        if let Ok(engine) = engine.with_machine_code() {
            rows.extend(pool.install(|| measure(&engine, arguments.threads.into()))?);
        }
    }
    let fan_ins = || {
        netlist.cells().iter().filter_map(|cell| match &cell.op {
            Op::Lut(table) => Some(table.fan_in()),
            _ => None,
        })
    };
    let luts = fan_ins().count();
    // A tree of multiplexers over functions of three operands: 15 operations for six inputs.
    let operations: usize = fan_ins().map(|fan_in| (1usize << fan_in.max(3) >> 2) - 1).sum();
    let share = |row: &Row| row.rate * operations as f64 / (512.0 * row.bound);
    if arguments.json {
        let objects: Vec<serde_json::Value> = rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "network": name,
                    "isa": row.isa.name(),
                    "machine_code": row.machine_code,
                    "threads": row.threads,
                    "input": row.input,
                    "images_per_s": row.rate,
                    "ns_per_image": 1e9 / row.rate,
                    "lut_evals_per_s": row.luts.then_some(row.rate * luts as f64),
                    "bound_share": row.luts.then(|| share(row)),
                })
            })
            .collect();
        say!("{:#}", serde_json::Value::Array(objects));
        return Ok(());
    }
    say!("{name}: {} LUTs, ready in {:.1} ms", grouped(luts), ready * 1e3);
    say!("isa       code     threads  input      images/s   ns/image  G LUT/s  of the bound");
    for row in &rows {
        let luts = if row.luts {
            let rate = row.rate * luts as f64 / 1e9;
            format!("{rate:>7.1}  {:>6.1} %", 100.0 * share(row))
        } else {
            String::new()
        };
        say!(
            "{:8}  {:7}  {:>7}  {:7} {:>11}  {:>9.1}  {luts}",
            row.isa.name(),
            if row.machine_code { "machine" } else { "program" },
            row.threads,
            row.input,
            grouped(row.rate as usize),
            1e9 / row.rate,
        );
    }
    let fastest =
        rows.iter().filter(|row| row.input == "u8").max_by(|a, b| a.rate.total_cmp(&b.rate));
    if let Some(row) = fastest {
        say!(
            "{} frames of bytes in {:.2} ms ({}, {}, threads: {})",
            grouped(FRAMES),
            1e3 * FRAMES as f64 / row.rate,
            row.isa,
            if row.machine_code { "machine code" } else { "program" },
            row.threads,
        );
    }
    for row in rows.iter().filter(|row| row.input == "core" && !row.machine_code) {
        say!(
            "bound of {}: {:.2} G operations of 512 bits a second on one core",
            row.isa,
            row.bound / 1e9
        );
    }
    Ok(())
}

fn measure(engine: &Engine, threads: usize) -> Result<Vec<Row>> {
    let isa = engine.isa();
    let one = ternary_rate(isa);
    let machine_code = engine.machine_code_bytes().is_some();
    let mut stream = rng::stream(1, &[]);
    let mut rows = Vec::new();
    let mut add = |input, threads: usize, rate, luts| {
        let bound = one * threads as f64;
        rows.push(Row { isa, machine_code, threads, input, rate, luts, bound });
    };
    add("core", 1, engine.core_rate(Feed::Packed), true);
    let words = FRAMES.div_ceil(64);
    let x: Vec<u64> = (0..words * engine.input_bits()).map(|_| rng::word(&mut stream)).collect();
    let mut y = vec![0; words * engine.output_bits()];
    add("packed", threads, median(FRAMES, || Ok(engine.run_packed(&x, FRAMES, &mut y)?))?, true);
    let mut x: Vec<u8> =
        (0..FRAMES * engine.input_words()).map(|_| rng::word(&mut stream) as u8).collect();
    let mut y = vec![0; FRAMES * engine.output_words()];
    if engine.run_u8(&x, &mut y).is_err() {
        // Narrow input words: bits.
        for x in &mut x {
            *x &= 1;
        }
    }
    add("u8", threads, median(FRAMES, || Ok(engine.run_u8(&x, &mut y)?))?, true);
    add("packing", 1, engine.pack_rate(), false);
    let (x, y) = (&x[..engine.input_words()], &mut y[..engine.output_words()]);
    add("one", 1, median(1, || Ok(engine.run_one(x, y)?))?, true);
    Ok(rows)
}

/// Frames a second: the median of repeated runs.
fn median(frames: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    let mut seconds = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work()?;
            Ok(start.elapsed().as_secs_f64())
        })
        .collect::<Result<Vec<f64>>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(frames as f64 / seconds[RUNS / 2])
}

fn random(net: Network) -> Result<Netlist> {
    let (bytes, layers, fan_in, classes): (bool, &[usize], usize, usize) = match net {
        Network::MnistSimple => (false, &[2304, 384, 64, 360, 60, 10], 6, 0),
        Network::MnistThermometer => (true, &[2000, 1000], 6, 10),
        Network::Random => (false, &[2000], 6, 0),
        Network::Gates => (false, &[8000; 6], 2, 10),
    };
    let mut stream = rng::stream(1, &[2]);
    let mut build = NetlistBuilder::new("random")?;
    let width = if bytes { 8 } else { 1 };
    let mut nets = build.input("x", 784, width)?;
    if bytes {
        build.group("encoder", Role::Encoder)?;
        let words: Vec<Vec<Net>> = nets.chunks(width).map(<[Net]>::to_vec).collect();
        nets.clear();
        for (pixel, word) in words.iter().enumerate() {
            for level in 0..3 {
                let threshold = 1 + rng::below(&mut stream, 255) as u64;
                nets.push(build.at_least(format!("t{pixel}_{level}"), word, threshold)?);
            }
        }
    }
    for (layer, &nodes) in layers.iter().enumerate() {
        build.group(format!("layer{layer}"), Role::Core)?;
        let mut made = Vec::with_capacity(nodes);
        for node in 0..nodes {
            let mut operands = Vec::with_capacity(fan_in);
            while operands.len() < fan_in {
                let net = nets[rng::below(&mut stream, nets.len())];
                if !operands.contains(&net) {
                    operands.push(net);
                }
            }
            let entries = rng::word(&mut stream);
            let table = TruthTable::from_fn(fan_in, |k| entries >> k & 1 == 1)?;
            made.push(build.lut(format!("n{layer}_{node}"), &operands, table)?);
        }
        nets = made;
    }
    build.group("head", Role::Head)?;
    if let Some(share) = nets.len().checked_div(classes) {
        let sums = nets
            .chunks(share)
            .enumerate()
            .map(|(class, bits)| build.popcount(format!("sum{class}"), bits))
            .collect::<lutweave::lut::Result<Vec<_>>>()?;
        nets = build.argmax("class", &sums)?;
    }
    build.output("y", if classes > 0 { nets.len() } else { 1 }, &nets)?;
    Ok(build.finish()?)
}
