//! The netlists that the tests are made on.

use lutweave_lut::{MAX_FAN_IN, Net, Netlist, NetlistBuilder, Role, TruthTable};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// What a random netlist looks like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// LUTs in each of its two layers, at least 24.
    pub luts: usize,
    /// Whether registers follow every group: four clock cycles from input to output.
    pub pipelined: bool,
}

struct Builder {
    build: NetlistBuilder,
    random: Xoshiro256PlusPlus,
    cells: usize,
    pipelined: bool,
}

/// A netlist of encoder, two layers of LUTs and a head, with every kind of cell, fan-ins from 1 to
/// 8, unused inputs and dead cells. The same for the same seed.
pub fn random_netlist(name: &str, seed: u64, shape: Shape) -> Netlist {
    let mut b = Builder {
        build: NetlistBuilder::new(name).expect("a name"),
        random: Xoshiro256PlusPlus::seed_from_u64(seed),
        cells: 0,
        pipelined: shape.pipelined,
    };
    let levels = b.build.input("levels", 7, 5).expect("input");
    let flags = b.build.input("flags", 9, 1).expect("input");
    let enable = b.build.input("enable", 1, 1).expect("input");

    b.build.group("thresholds", Role::Encoder).expect("group");
    let mut pool = vec![flags[0], flags[3], flags[4], enable[0]];
    for word in levels.chunks(5).take(6) {
        // Every odd case: never, always, at the ends, and one bit wide.
        let above = b.below(20) + 30;
        for threshold in [0, 1, 7, 16, 31, 32, above as u64] {
            pool.push(b.at_least(word, threshold));
        }
        pool.push(b.at_least(&word[2..3], 1));
        pool.push(b.at_least(&[word[4], word[0], flags[1]], 5));
    }
    let mut pool = b.stage(&pool);

    for layer in ["layer1", "layer2"] {
        b.build.group(layer, Role::Core).expect("group");
        let mut outputs: Vec<Net> = (0..shape.luts).map(|i| b.lut(&pool, i % 8 + 1)).collect();
        outputs.push(b.constant(false));
        outputs.push(b.constant(true));
        b.lut(&pool, 3); // nothing reads it
        pool = b.stage(&outputs);
    }

    b.build.group("sums", Role::Head).expect("group");
    let mut counts: Vec<Vec<Net>> =
        [1, 2, 6, 7, 13, 24].iter().map(|&bits| b.popcount(&pool, bits)).collect();
    let scores: Vec<Vec<Net>> = (0..7).map(|_| b.popcount(&pool, 11)).collect();
    let best = [1, 2, 3, 7].map(|words| b.argmax(&scores[..words]));
    let single: Vec<Vec<Net>> = pool[..5].iter().map(|&net| vec![net]).collect();
    counts.push(b.argmax(&single));
    counts.extend(best);
    counts.push(scores.concat());
    counts.push(pool.clone());
    let all = b.stage(&counts.concat());

    let mut rest = all.as_slice();
    for (i, word) in counts.iter().enumerate().take(11) {
        let (nets, others) = rest.split_at(word.len());
        b.build.output(format!("y{i}"), nets.len(), nets).expect("output");
        rest = others;
    }
    b.build.output("scores", 4, &rest[..28]).expect("output");
    b.build.output("bits", 1, &rest[28..]).expect("output");
    b.build.finish().expect("a netlist")
}

/// A single layer of `nodes` random LUTs of `fan_in` inputs, each an output, as trained cores are.
pub fn core_of(name: &str, nodes: usize, fan_in: usize, seed: u64) -> Netlist {
    let mut b = Builder {
        build: NetlistBuilder::new(name).expect("a name"),
        random: Xoshiro256PlusPlus::seed_from_u64(seed),
        cells: 0,
        pipelined: false,
    };
    let x = b.build.input("x", 2 * nodes, 1).expect("input");
    b.build.group("layer", Role::Core).expect("group");
    let y: Vec<Net> = (0..nodes).map(|_| b.lut(&x, fan_in)).collect();
    b.build.output("y", 1, &y).expect("output");
    b.build.finish().expect("a netlist")
}

/// Four random LUTs of each fan-in from 2 to 8 on the same inputs, each an output.
pub fn mixed_core(name: &str, seed: u64) -> Netlist {
    let mut b = Builder {
        build: NetlistBuilder::new(name).expect("a name"),
        random: Xoshiro256PlusPlus::seed_from_u64(seed),
        cells: 0,
        pipelined: false,
    };
    let x = b.build.input("x", 20, 1).expect("input");
    b.build.group("layer", Role::Core).expect("group");
    let y: Vec<Net> = (0..28).map(|i| b.lut(&x, i % 7 + 2)).collect();
    b.build.output("y", 1, &y).expect("output");
    b.build.finish().expect("a netlist")
}

/// A state machine: counts the cycles in which `enable` is set, modulo four, starting from two.
pub fn counter() -> Netlist {
    let mut build = NetlistBuilder::new("counter").expect("a name");
    let enable = build.input("enable", 1, 1).expect("input")[0];
    build.group("state", Role::Core).expect("group");
    let xor = TruthTable::from_fn(2, |k| k == 1 || k == 2).expect("table");
    let carry = TruthTable::from_fn(3, |k| (k & 3 == 3) != (k >> 2 == 1)).expect("table");
    // Registers come first and read what follows them, whose nets a copy tells.
    let add = |build: &mut NetlistBuilder, next: [Net; 2]| {
        let low = build.register("low", next[0], false).expect("register");
        let high = build.register("high", next[1], true).expect("register");
        let next_low = build.lut("next_low", &[low, enable], xor).expect("lut");
        let next_high = build.lut("next_high", &[low, enable, high], carry).expect("lut");
        ([low, high], [next_low, next_high])
    };
    let (_, next) = add(&mut build.clone(), [enable; 2]);
    let (state, _) = add(&mut build, next);
    build.output("count", 2, &state).expect("output");
    build.finish().expect("a netlist")
}

impl Builder {
    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_u64() % bound as u64) as usize
    }

    fn name(&mut self, kind: &str) -> String {
        self.cells += 1;
        format!("{kind}{}", self.cells)
    }

    /// Different nets of the pool.
    fn pick(&mut self, pool: &[Net], count: usize) -> Vec<Net> {
        let mut rest = pool.to_vec();
        (0..count)
            .map(|_| {
                let at = self.below(rest.len());
                rest.swap_remove(at)
            })
            .collect()
    }

    fn at_least(&mut self, word: &[Net], threshold: u64) -> Net {
        let name = self.name("above");
        self.build.at_least(name, word, threshold).expect("at_least")
    }

    fn lut(&mut self, pool: &[Net], fan_in: usize) -> Net {
        assert!(fan_in <= MAX_FAN_IN, "fan-in {fan_in}");
        let operands = self.pick(pool, fan_in);
        let table = TruthTable::from_fn(fan_in, |_| self.random.next_u64() >> 63 == 1);
        let name = self.name("lut");
        self.build.lut(name, &operands, table.expect("table")).expect("lut")
    }

    fn constant(&mut self, value: bool) -> Net {
        let name = self.name("fixed");
        self.build.constant(name, value).expect("constant")
    }

    fn popcount(&mut self, pool: &[Net], bits: usize) -> Vec<Net> {
        let bits = self.pick(pool, bits);
        let name = self.name("count");
        self.build.popcount(name, &bits).expect("popcount")
    }

    fn argmax(&mut self, words: &[Vec<Net>]) -> Vec<Net> {
        let name = self.name("best");
        self.build.argmax(name, words).expect("argmax")
    }

    /// The nets behind a register each, or as they are.
    fn stage(&mut self, nets: &[Net]) -> Vec<Net> {
        if !self.pipelined {
            return nets.to_vec();
        }
        nets.iter()
            .map(|&net| {
                let name = self.name("r");
                self.build.register(name, net, false).expect("register")
            })
            .collect()
    }
}
