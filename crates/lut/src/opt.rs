//! Optimisation of netlists: fewer, smaller LUTs with the same function.
//!
//! [`Netlist::optimise`] runs all passes; each is also a function of its own here. Every pass gives
//! a netlist with the same ports whose outputs are the same in every clock cycle, whatever the
//! inputs are: registers are inputs and outputs of the logic between them, none is moved, and equal
//! ones are merged. Groups stay, and cells keep the names they had where one of that name is left.
//!
//! | pass | what it does | cost |
//! |---|---|---|
//! | [`simplify`] | propagates constants, removes buffers, moves inverters into tables, drops inputs that a table does not depend on, shares equal and complementary LUTs, blocks and registers, removes what no output needs | `n log n` |
//! | [`decompose`] | splits tables of more than `k` inputs | `2^16` per such table at most |
//! | [`cover`] | puts LUTs together into LUTs of at most `k` inputs, by priority cuts | `n` |
//! | [`Netlist::expand`] | makes LUTs of blocks | `n` |
//! | [`Netlist::prune`] | removes what no output needs | `n` |
//!
//! Free entries from data, [`Netlist::assume_observed`], are no optimisation in this sense: they
//! change the function, and are used only where asked for.

mod cover;
mod decompose;
mod emit;
mod function;
mod graph;
mod observed;
mod pairs;
mod report;

pub use observed::Observed;
pub use pairs::pairs;
pub use report::{Counts, Report, RoleCounts};

use crate::{MAX_FAN_IN, Netlist, Op, Result};
use graph::Graph;

/// Rounds of covering; each follows one that found something.
const ROUNDS: usize = 4;

/// What [`Netlist::optimise`] is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Most inputs of a LUT of the result, 3 to 8: 6 for the fabric of most large FPGAs, 4 for
    /// small ones.
    pub inputs: usize,
    /// Make LUTs of thresholds, popcounts and arg-max, and optimise these too. Without it they stay
    /// blocks, which a synthesis tool may do better with carry chains.
    pub expand: bool,
    /// Merge registers that always have the same value, or always the complement.
    pub merge_registers: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { inputs: 6, expand: false, merge_registers: true }
    }
}

impl Netlist {
    /// The same function with fewer LUTs of at most `options.inputs` inputs, and what was gained.
    ///
    /// Never more LUTs than there were, unless tables are split or blocks expanded; optimising the result again
    /// may find a little more. Costs about 10 µs a LUT.
    ///
    /// ```
    /// use lutweave_lut::{Netlist, opt};
    ///
    /// let text = "lutweave-netlist 1\nnetlist and\ninput x 3 x 1\ngroup g core\n\
    ///             lut a 0x8 x[0] x[1]\nlut y 0x8 a x[2]\noutput y 1 x 1 y\nend\n";
    /// let (netlist, report) = Netlist::from_text(text)?.optimise(&opt::Options::default())?;
    /// assert_eq!((report.before.luts(), report.after.luts()), (2, 1));
    /// assert!(netlist.to_text().contains("lut y 0x80 x[0] x[1] x[2]\n"));
    /// # Ok::<(), lutweave_lut::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`](crate::Error::Netlist) when `options.inputs` is not from 3 to 8.
    pub fn optimise(&self, options: &Options) -> Result<(Self, Report)> {
        check(self, options.inputs)?;
        let before = Counts::of(self);
        let expanded = options.expand.then(|| self.expand());
        let source = expanded.as_ref().unwrap_or(self);
        let mut graph = Graph::of(source, options.merge_registers);
        if options.merge_registers {
            graph = graph.merge_late();
        }
        graph = decompose::decompose(&graph, options.inputs);
        let mut luts = graph.lut_count();
        for _ in 0..ROUNDS {
            graph = cover::cover(&graph, options.inputs);
            if options.merge_registers {
                graph = graph.merge_late();
            }
            let now = graph.lut_count();
            if now >= luts {
                break;
            }
            luts = now;
        }
        let netlist = emit::emit(&graph)?;
        let after = Counts::of(&netlist);
        Ok((netlist, Report { name: self.name().to_owned(), before, after }))
    }
}

/// Constants propagated; buffers and inverters moved into the tables that read them; inputs
/// dropped that a table does not depend on or has twice; equal and complementary LUTs, blocks and
/// registers shared; what no output needs removed. An inverter stays where a register, a block or an
/// output reads both a bit and its complement, or the complement of something that is no LUT.
///
/// # Errors
///
/// None in practice: what is left of a netlist is a netlist.
pub fn simplify(netlist: &Netlist) -> Result<Netlist> {
    emit::emit(&Graph::of(netlist, true).merge_late().simplified())
}

/// LUTs of at most `inputs` inputs: wider ones are split by functional decomposition or Shannon's
/// expansion, whichever takes fewer. Simplifies as well, but leaves registers as they are.
///
/// # Errors
///
/// [`Error::Netlist`](crate::Error::Netlist) when `inputs` is not from 3 to 8.
pub fn decompose(netlist: &Netlist, inputs: usize) -> Result<Netlist> {
    check(netlist, inputs)?;
    emit::emit(&decompose::decompose(&Graph::of(netlist, false), inputs))
}

/// LUTs put together, one round: the LUTs between few enough nets become one. Simplifies as well,
/// but leaves registers as they are.
///
/// # Errors
///
/// [`Error::Netlist`](crate::Error::Netlist) when `inputs` is not from 3 to 8, or a LUT depends on more.
pub fn cover(netlist: &Netlist, inputs: usize) -> Result<Netlist> {
    check(netlist, inputs)?;
    let wide = netlist.cells().iter().find(|cell| match &cell.op {
        Op::Lut(table) => function::support(table).count_ones() as usize > inputs,
        _ => false,
    });
    if let Some(cell) = wide {
        let what = format!(
            "cover: cell `{}` depends on {} inputs, expected at most {inputs}; decompose it first",
            cell.name,
            cell.operands.len()
        );
        return Err(netlist.error(what));
    }
    emit::emit(&cover::cover(&Graph::of(netlist, false), inputs))
}

fn check(netlist: &Netlist, inputs: usize) -> Result<()> {
    if (3..=MAX_FAN_IN).contains(&inputs) {
        return Ok(());
    }
    Err(netlist.error(format!("optimise: expected LUTs of 3 to {MAX_FAN_IN} inputs, got {inputs}")))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::sample::{Numbers, netlist, words};
    use crate::{Evaluator, Net, NetlistBuilder, Role, TruthTable};

    /// Compares the outputs of two netlists: in 64 runs of some clock cycles from the first state,
    /// and for every input where there are few and no registers.
    fn assert_same(a: &Netlist, b: &Netlist, seed: u64) -> std::result::Result<(), TestCaseError> {
        prop_assert_eq!(a.inputs(), b.inputs());
        let bits = a.input_bits();
        let registers = a.cells().iter().any(|cell| matches!(cell.op, Op::Register { .. }));
        let (mut x, mut y) = (Evaluator::clocked(a), Evaluator::clocked(b));
        let cycles = if !registers && bits <= 16 { (1usize << bits).div_ceil(64) } else { 12 };
        for cycle in 0..cycles {
            let inputs: Vec<u64> = if !registers && bits <= 16 {
                let frame = |f: usize| 64 * cycle + f;
                (0..bits)
                    .map(|bit| (0..64).map(|f| ((frame(f) >> bit & 1) as u64) << f).sum())
                    .collect()
            } else {
                words(bits, seed ^ cycle as u64)
            };
            x.settle(&inputs).unwrap();
            y.settle(&inputs).unwrap();
            for port in 0..a.outputs().len() {
                prop_assert!(x.output(port).eq(y.output(port)), "{}\n{}", a.to_text(), b.to_text());
            }
            x.step(&inputs).unwrap();
            y.step(&inputs).unwrap();
        }
        Ok(())
    }

    fn luts(netlist: &Netlist) -> usize {
        Role::ALL.iter().map(|&role| netlist.lut_count(role)).sum()
    }

    fn registers(netlist: &Netlist) -> usize {
        netlist.cells().iter().filter(|cell| matches!(cell.op, Op::Register { .. })).count()
    }

    fn read(cells: &str) -> Netlist {
        let text =
            format!("lutweave-netlist 1\nnetlist n\ninput x 4 x 1\ngroup g core\n{cells}end\n");
        Netlist::from_text(&text).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn every_pass_keeps_the_function(seed: u64, clocked: bool, inputs in 3usize..=8) {
            let netlist = netlist(seed, clocked);
            let simple = simplify(&netlist).unwrap();
            assert_same(&netlist, &simple, seed)?;
            prop_assert!(registers(&simple) <= registers(&netlist));
            let split = decompose(&netlist, inputs).unwrap();
            assert_same(&netlist, &split, seed)?;
            let covered = cover(&split, inputs).unwrap();
            assert_same(&netlist, &covered, seed)?;
            prop_assert!(luts(&covered) <= luts(&split) && covered.summary().depth <= split.summary().depth);
            for expand in [false, true] {
                let options = Options { inputs, expand, ..Options::default() };
                let (best, report) = netlist.optimise(&options).unwrap();
                assert_same(&netlist, &best, seed)?;
                prop_assert_eq!((report.before.luts(), report.after.luts()), (luts(&netlist), luts(&best)));
                for cell in best.cells() {
                    let Op::Lut(table) = &cell.op else { continue };
                    prop_assert!(table.fan_in() <= inputs);
                    prop_assert_eq!(function::support(table).count_ones() as usize, table.fan_in());
                }
                prop_assert_eq!(&best.prune().unwrap(), &best);
                prop_assert_eq!(&Netlist::from_text(&best.to_text()).unwrap(), &best);
            }
        }

        #[test]
        fn pure_functions_stay_as_functions(seed: u64) {
            // The transparent view, where registers are wires, is kept as well.
            let netlist = netlist(seed, false);
            let stages: Vec<usize> = (0..netlist.groups().len()).collect();
            let Ok(netlist) = netlist.pipeline(&stages) else { return Ok(()) };
            let (best, _) = netlist.optimise(&Options::default()).unwrap();
            assert_same(&netlist, &best, seed)?;
            let (mut a, mut b) = (Evaluator::new(&netlist).unwrap(), Evaluator::new(&best).unwrap());
            let inputs = words(netlist.input_bits(), seed);
            a.settle(&inputs).unwrap();
            b.settle(&inputs).unwrap();
            for port in 0..netlist.outputs().len() {
                prop_assert!(a.output(port).eq(b.output(port)));
            }
        }
    }

    #[test]
    fn what_each_pass_finds() {
        /// Cells, what they become, and by which pass.
        struct Case(&'static str, &'static str, fn(&Netlist) -> Result<Netlist>);
        for Case(before, after, pass) in [
            // A constant and a buffer.
            Case(
                "constant c 1\nlut b 0x2 x[1]\nlut y 0xe8 c b x[0]\noutput o 1 x 1 y\n",
                "lut y 0xe x[0] x[1]\noutput o 1 x 1 y\n",
                simplify,
            ),
            // An inverter goes into its reader, and out of an output.
            Case(
                "lut n 0x1 x[0]\nlut a 0x8 n x[1]\nlut y 0x1 a\noutput o 1 x 1 y\n",
                "lut a 0xb x[0] x[1]\noutput o 1 x 1 a\n",
                simplify,
            ),
            // An input twice, and with its complement.
            Case(
                "lut n 0x1 x[0]\nlut y 0x96 x[0] n x[1]\noutput o 1 x 1 y\n",
                "lut y 0x1 x[1]\noutput o 1 x 1 y\n",
                simplify,
            ),
            // The same LUT three times: operands in another order, and complemented.
            Case(
                "lut a 0x2 x[0] x[1]\nlut b 0x4 x[1] x[0]\nlut c 0xd x[0] x[1]\n\
                 lut y 0x80 a b x[2]\nlut z 0x8 c x[3]\noutput o 1 x 2 (y z)\n",
                "lut a 0x2 x[0] x[1]\nlut y 0x8 x[2] a\nlut z 0x2 x[3] a\noutput o 1 x 2 (y z)\n",
                simplify,
            ),
            // A tree into its reader, with one leaf read twice.
            Case(
                "lut a 0x8 x[0] x[1]\nlut b 0xe x[1] x[2]\nlut y 0x6 a b\noutput o 1 x 1 y\n",
                "lut y 0x74 x[0] x[1] x[2]\noutput o 1 x 1 y\n",
                |netlist| cover(netlist, 6),
            ),
            // Paths that meet again and cancel.
            Case(
                "lut a 0x6 x[0] x[1]\nlut b 0x6 a x[2]\nlut y 0x96 b x[2] x[3]\noutput o 1 x 1 y\n",
                "lut y 0x96 x[0] x[1] x[3]\noutput o 1 x 1 y\n",
                |netlist| cover(netlist, 4),
            ),
            // Equal registers, one after the other; and one of a constant that it begins with.
            Case(
                "constant c 0\nregister k c 0\nregister r x[0] 0\nregister s x[0] 0\n\
                 register t r 1\nregister u s 1\nlut y 0x96 t u k\nlut z 0x6 t x[1]\noutput o 1 x 2 (y z)\n",
                "constant zero_c1 0\nregister r x[0] 0\nregister t r 1\nlut z 0x6 x[1] t\n\
                 output o 1 x 2 (zero_c1 z)\n",
                simplify,
            ),
            // Another first state makes another register.
            Case(
                "register r x[0] 0\nregister s x[0] 1\nlut y 0x6 r s\noutput o 1 x 1 y\n",
                "register r x[0] 0\nregister s x[0] 1\nlut y 0x6 r s\noutput o 1 x 1 y\n",
                simplify,
            ),
            // Two toggles that are always equal, each through its own inverter.
            Case(
                "register q a 0\nlut a 0x6 q x[0]\nregister p b 0\nlut b 0x6 p x[0]\n\
                 lut y 0x8 q x[1]\nlut z 0x8 p x[2]\noutput o 1 x 2 (y z)\n",
                "register q a 0\nlut a 0x6 x[0] q\nregister p b 0\nlut b 0x6 x[0] p\n\
                 lut y 0x8 x[1] q\nlut z 0x8 x[2] p\noutput o 1 x 2 (y z)\n",
                simplify,
            ),
        ] {
            let got = pass(&read(before)).unwrap();
            let body = got.to_text();
            let body = body.split_once("group g core\n").unwrap().1.trim_end_matches("end\n");
            assert_eq!(body, after);
        }
    }

    #[test]
    fn registers_that_toggle_are_no_constants() {
        let netlist = read("register q n 0\nlut n 0x1 q\noutput o 1 x 1 q\n");
        let (same, report) = netlist.optimise(&Options::default()).unwrap();
        assert_eq!((registers(&same), report.after.luts()), (1, 1));
    }

    #[test]
    fn blocks_are_shared_and_lose_zeros() {
        let netlist = read(
            "constant c 0\nat_least a (x[0] x[1]) 2\nat_least b (x[0] x[1]) 2\n\
             popcount p x[0] x[1] c\npopcount q c x[1] x[0]\nargmax m p q\nargmax w (a b) (b a)\n\
             output o 1 x 2 p\noutput v 1 x 1 m\noutput w 1 x 1 w\n",
        );
        let (best, report) = netlist.optimise(&Options::default()).unwrap();
        let blocks = |counts: &Counts| counts.roles.iter().map(|role| role.blocks).sum::<usize>();
        assert_eq!((blocks(&report.before), blocks(&report.after)), (6, 4));
        assert!(best.to_text().contains("popcount p x[0] x[1]\n"), "{}", best.to_text());
    }

    /// A layered network of random tables, as training makes them at worst.
    fn random_layers(layers: usize, width: usize) -> Netlist {
        let mut numbers = Numbers::new(1);
        let mut build = NetlistBuilder::new("random").unwrap();
        let mut nets = build.input("x", width / 4, 4).unwrap();
        for layer in 0..layers {
            build.group(format!("layer{layer}"), Role::Core).unwrap();
            let made = (0..width).map(|lut| {
                let operands: Vec<Net> = (0..6).map(|_| numbers.pick(&nets)).collect();
                let table = TruthTable::new(6, [numbers.word(), 0, 0, 0]).unwrap();
                build.lut(format!("l{layer}_{lut}"), &operands, table).unwrap()
            });
            nets = made.collect();
        }
        build.output("y", 1, &nets).unwrap();
        build.finish().unwrap()
    }

    #[test]
    fn random_layers_lose_only_what_is_dead() {
        let netlist = random_layers(3, 200);
        let (best, report) = netlist.optimise(&Options::default()).unwrap();
        assert!(report.after.luts() <= luts(&netlist.prune().unwrap()));
        assert_eq!(best.optimise(&Options::default()).unwrap().0, best);
        let (small, _) = netlist.optimise(&Options { inputs: 4, ..Options::default() }).unwrap();
        assert!(small.cells().iter().all(|cell| cell.operands.len() <= 4));
    }

    /// `cargo test --release -p lutweave-lut -- --ignored --nocapture hundred_thousand`
    #[test]
    #[ignore = "it measures time, which no test of the suite may: run by hand, in release"]
    fn hundred_thousand_luts_take_seconds() {
        let netlist = random_layers(10, 10_000);
        for inputs in [6, 4] {
            let start = Instant::now();
            let (best, _) = netlist.optimise(&Options { inputs, ..Options::default() }).unwrap();
            let first = start.elapsed().as_secs_f64();
            let again = Instant::now();
            // Back from LUTs of four inputs: nearly everything can be merged.
            let (back, _) = best.optimise(&Options::default()).unwrap();
            println!(
                "{} LUTs to {} of {inputs} inputs in {first:.2} s, to {} of six in {:.2} s",
                luts(&netlist),
                luts(&best),
                luts(&back),
                again.elapsed().as_secs_f64()
            );
            assert!(first < 10.0);
        }
    }
}
