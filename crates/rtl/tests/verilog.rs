//! The printed text: one small module as a snapshot, what is refused, and that nothing else
//! decides the text than the netlist.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_lut::{Net, Netlist, NetlistBuilder, Role, TruthTable};
use lutweave_rtl::verilog::{MAX_LATENCY, MAX_PORT_BITS, Style, emit, validate};
use lutweave_rtl::{Error, Target, Vectors, Verilog, vhdl};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Comparators, LUTs of one to seven inputs, a popcount and an argmax, with a register behind each
/// LUT that leads to the sums.
fn system() -> Netlist {
    let mut build = NetlistBuilder::new("system").unwrap();
    let pixels = build.input("pixels", 4, 3).unwrap();
    let mode = build.input("mode", 1, 1).unwrap();
    build.group("thermometer", Role::Encoder).unwrap();
    let mut bits: Vec<Net> = Vec::new();
    for (i, word) in pixels.chunks(3).take(3).enumerate() {
        for threshold in [2, 5] {
            bits.push(build.at_least(format!("p{i}_{threshold}"), word, threshold).unwrap());
        }
    }
    let always = build.at_least("always", &pixels[..3], 0).unwrap();
    build.group("layer", Role::Core).unwrap();
    let parity = |fan_in| TruthTable::from_fn(fan_in, |k| k.count_ones() % 2 == 1).unwrap();
    let mut nets = vec![
        build.lut("copy", &mode, parity(1)).unwrap(),
        build.lut("not", &mode, TruthTable::from_fn(1, |k| k == 0).unwrap()).unwrap(),
        build.lut("and", &bits[..2], TruthTable::from_fn(2, |k| k == 3).unwrap()).unwrap(),
        build.lut("wide", &[&bits[..], &[always]].concat(), parity(7)).unwrap(),
    ];
    nets.push(build.constant("one", true).unwrap());
    for (i, net) in nets.iter_mut().enumerate() {
        *net = build.register(format!("r{i}"), *net, false).unwrap();
    }
    build.group("sums", Role::Head).unwrap();
    let a = build.popcount("a", &nets[..2]).unwrap();
    let b = build.popcount("b", &nets[2..4]).unwrap();
    let c = build.popcount("c", &[nets[4], nets[0]]).unwrap();
    let class = build.argmax("class", &[a.clone(), b, c]).unwrap();
    build.output("class", 2, &class).unwrap();
    build.output("scores", 2, &a).unwrap();
    build.finish().unwrap()
}

/// A chain of registers on one wire; with `bypass`, a gate also sees the wire itself.
fn chain(length: usize, bypass: bool) -> Netlist {
    let mut build = NetlistBuilder::new("chain").unwrap();
    let x = build.input("x", 1, 1).unwrap()[0];
    build.group("delay", Role::Core).unwrap();
    let mut y = x;
    for i in 0..length {
        y = build.register(format!("r{i}"), y, false).unwrap();
    }
    if bypass {
        let and = TruthTable::from_fn(2, |k| k == 3).unwrap();
        y = build.lut("y", &[x, y], and).unwrap();
    }
    build.output("y", 1, &[y]).unwrap();
    build.finish().unwrap()
}

fn wide(bits: usize) -> Netlist {
    let mut build = NetlistBuilder::new("wide").unwrap();
    let x = build.input("x", bits, 1).unwrap();
    build.output("y", 1, &x[..1]).unwrap();
    build.finish().unwrap()
}

#[test]
fn text_of_a_small_system() {
    let export = Verilog::new("digits");
    insta::assert_snapshot!("module", export.module_text(&system()).unwrap());
    insta::assert_snapshot!("bench", export.bench_text(&system(), 3).unwrap());
}

#[test]
fn the_style_follows_from_the_registers() {
    assert_eq!(Style::of(&system()).unwrap(), Style::Pipeline { latency: 1 });
    assert_eq!(Style::of(&wide(3)).unwrap(), Style::Combinational);
    assert_eq!(Style::of(&chain(3, false)).unwrap().latency(), 3);
}

#[test]
fn refuses_what_it_cannot_express() {
    struct Case {
        module: &'static str,
        netlist: Netlist,
        error: &'static str,
    }
    let cases = [
        Case {
            module: "",
            netlist: wide(1),
            error: "module name ``: expected a letter, then letters, digits and single underscores",
        },
        Case {
            module: "a\nb",
            netlist: wide(1),
            error: "module name `a\nb`: expected a letter, then letters, digits and single underscores",
        },
        Case {
            module: "Entity",
            netlist: wide(1),
            error: "module name `Entity`: it is a reserved word of Verilog, SystemVerilog, VHDL or C++",
        },
        Case {
            module: "top",
            netlist: wide(MAX_PORT_BITS + 1),
            error: "export of netlist `wide`: its input ports have 65537 bits, at most 65536",
        },
        Case {
            module: "top",
            netlist: chain(MAX_LATENCY + 1, false),
            error: "export of netlist `chain`: its latency is 4097 clock cycles, at most 4096",
        },
    ];
    for Case { module, netlist, error } in cases {
        let found = validate(&netlist, &Verilog::new(module)).unwrap_err();
        assert_eq!(found.to_string(), error);
        let mut text = String::new();
        emit(&netlist, &Verilog::new(module), &mut text).unwrap_err();
        assert_eq!(text, "");
    }
    let unbalanced = validate(&chain(1, true), &Verilog::new("top")).unwrap_err();
    assert!(matches!(unbalanced, Error::Netlist(_)), "{unbalanced}");
    assert!(validate(&wide(MAX_PORT_BITS), &Verilog::new("top")).is_ok());
    assert!(validate(&wide(1), &Verilog::new("x".repeat(129))).is_err());
}

#[test]
fn a_failing_writer_is_an_error() {
    struct Full(usize);
    impl std::fmt::Write for Full {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(std::fmt::Error)?;
            Ok(())
        }
    }
    let error = emit(&system(), &Verilog::new("top"), &mut Full(2000)).unwrap_err();
    assert!(matches!(error, Error::Write(_)), "{error}");
}

#[test]
fn vectors_for_other_ports_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let vectors = Vectors::random(&wide(2), 4, 1).unwrap();
    let error = Verilog::new("top").vectors(vectors).write(&wide(3), dir.path()).unwrap_err();
    assert_eq!(error.to_string(), "input words of the test vectors: expected 3 values, got 2");
}

#[test]
fn two_exports_are_the_same_files() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Verilog::new("digits").write(&system(), one.path()).unwrap();
    let second = Verilog::new("digits").write(&system(), two.path().join("new")).unwrap();
    for (a, b) in [
        (&first.module, &second.module),
        (&first.bench, &second.bench),
        (&first.inputs, &second.inputs),
        (&first.expected, &second.expected),
    ] {
        assert_eq!(a.file_name(), b.file_name());
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }
}

/// Name, direction and bits of the ports of a module, in order, read from its text.
fn verilog_ports(text: &str) -> Vec<(String, bool, usize)> {
    let list = text.split("module digits (\n").nth(1).unwrap().split("\n);").next().unwrap();
    let ports = list.lines().map(|line| {
        let words: Vec<&str> = line.trim_matches([' ', ',']).split_ascii_whitespace().collect();
        let bits = match words.as_slice() {
            [_, _, range, _] => {
                let high = range.trim_start_matches('[').split(':').next().unwrap();
                high.parse::<usize>().unwrap() + 1
            }
            _ => 1,
        };
        (words.last().unwrap().to_string(), words[0] == "input", bits)
    });
    ports.collect()
}

/// The same of an entity or component of VHDL.
fn vhdl_ports(text: &str, head: &str) -> Vec<(String, bool, usize)> {
    let list = text.split(head).nth(1).unwrap().split("  );").next().unwrap();
    let lines = list.lines().filter(|line| line.contains(" : "));
    let ports = lines.map(|line| {
        let (name, kind) = line.trim_matches([' ', ';']).split_once(" : ").unwrap();
        let bits = match kind.split_once("std_logic_vector(") {
            Some((_, range)) => range.split(' ').next().unwrap().parse::<usize>().unwrap() + 1,
            None => 1,
        };
        (name.to_owned(), kind.starts_with("in "), bits)
    });
    ports.collect()
}

#[test]
fn the_vhdl_wrapper_has_the_ports_of_the_module() {
    let export = Verilog::new("digits");
    for netlist in [system(), chain(2, false), wide(70)] {
        let ports = verilog_ports(&export.module_text(&netlist).unwrap());
        let text = vhdl::text(&netlist, &export).unwrap();
        assert!(ports.len() >= 2 && text.is_ascii());
        assert_eq!(vhdl_ports(&text, "entity digits_vhdl is\n"), ports);
        assert_eq!(vhdl_ports(&text, "component digits is\n"), ports);
        for (name, ..) in &ports {
            assert_eq!(text.matches(&format!("      {name} => {name}")).count(), 1, "{text}");
        }
    }
    let mut build = NetlistBuilder::new("n").unwrap();
    let x = build.input("std_logic", 1, 1).unwrap();
    build.output("y", 1, &x).unwrap();
    let error = vhdl::text(&build.finish().unwrap(), &export).unwrap_err().to_string();
    assert!(error.contains("a port named `std_logic` would hide"), "{error}");
}

#[test]
fn primitives_are_those_of_the_target() {
    struct Case(Target, &'static [(&'static str, usize)]);
    let text = |target| {
        let export = Verilog::new("top").target(target).primitives(true);
        export.module_text(&system().expand())
    };
    // Besides smaller tables there is one of seven inputs.
    for Case(target, counts) in [
        Case(Target::Xilinx7, &[("  MUXF7 M_", 1), ("  LUT6 #(", 2), ("module MUXF7 ", 1)]),
        Case(Target::Ecp5, &[("  PFUMX M_", 4), ("  L6MUX21 M_", 3), ("module LUT4 ", 1)]),
        Case(Target::Gowin, &[("  MUX2_LUT5 M_", 4), ("  MUX2_LUT7 M_", 1), ("module LUT1 ", 1)]),
        Case(Target::Ice40, &[("  MUX", 0), ("module SB_LUT4 ", 1)]),
    ] {
        let text = text(target).unwrap();
        assert!(text.contains(&format!("// Tables are primitives of the target {target};")));
        for (piece, count) in counts {
            assert_eq!(text.matches(piece).count(), *count, "{target}: {piece}\n{text}");
        }
    }
    let error = text(Target::Generic).unwrap_err().to_string();
    assert!(
        error.ends_with("the generic target has no primitives; choose another target"),
        "{error}"
    );
}

/// A network as they are trained: three thresholds a pixel, `layers` of LUTs with six inputs, ten sums
/// and the class, with registers behind each layer.
fn network(layers: usize, nodes: usize) -> Netlist {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut build = NetlistBuilder::new("network").unwrap();
    let pixels = build.input("x", 784, 8).unwrap();
    build.group("encoder", Role::Encoder).unwrap();
    let mut nets: Vec<Net> = Vec::new();
    for (pixel, word) in pixels.chunks(8).enumerate() {
        for threshold in [64, 128, 192] {
            let name = format!("encoder_{pixel}_{threshold}");
            nets.push(build.at_least(name, word, threshold).unwrap());
        }
    }
    for layer in 0..layers {
        build.group(format!("lut{layer}"), Role::Core).unwrap();
        let lut = |node: usize| {
            let first = random.next_u64() as usize;
            let sources: Vec<Net> =
                (0..6).map(|i| nets[(first + i * 397 + node) % nets.len()]).collect();
            let bits = random.next_u64();
            let table = TruthTable::from_fn(6, |k| bits >> k & 1 == 1).unwrap();
            build.lut(format!("lut{layer}_{node}"), &sources, table).unwrap()
        };
        nets = (0..nodes).map(lut).collect();
    }
    build.group("sum", Role::Head).unwrap();
    let words = nets.chunks(nodes / 10).enumerate();
    let sums: Vec<Vec<Net>> =
        words.map(|(class, nets)| build.popcount(format!("sum_{class}"), nets).unwrap()).collect();
    let class = build.argmax("best", &sums).unwrap();
    build.output("class", 4, &class).unwrap();
    let netlist = build.finish().unwrap();
    let stages: Vec<usize> = (0..netlist.groups().len()).collect();
    netlist.pipeline(&stages).unwrap()
}

#[test]
fn a_large_network_takes_few_bytes_a_table() {
    let text = Verilog::new("network").module_text(&network(5, 7_000)).unwrap();
    assert_eq!(text.matches("=64'h").count(), 35_000);
    assert!(text.len() <= 6_000_000, "{} bytes", text.len());
    let longest = text.lines().map(str::len).max().unwrap();
    assert!(longest <= 150, "a line of {longest} characters");
}
