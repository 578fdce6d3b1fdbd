//! Boolean functions of up to eight variables, as 256 bits: what covers and gates are made from.

use lutweave_lut::{MAX_FAN_IN, TruthTable};

/// A function of the variables `0..8`; entry `k` is bit `k % 64` of word `k / 64`. A function of
/// fewer variables repeats itself, so all operations work without knowing how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Function([u64; 4]);

/// The entries for which a variable below 6 is one, within a word.
const ONES: [u64; 6] = [
    0xaaaa_aaaa_aaaa_aaaa,
    0xcccc_cccc_cccc_cccc,
    0xf0f0_f0f0_f0f0_f0f0,
    0xff00_ff00_ff00_ff00,
    0xffff_0000_ffff_0000,
    0xffff_ffff_0000_0000,
];

impl Function {
    pub(crate) const FALSE: Self = Self([0; 4]);
    pub(crate) const TRUE: Self = Self([u64::MAX; 4]);

    /// The function of a table.
    pub(crate) fn of(table: &TruthTable) -> Self {
        let mut words = *table.words();
        for variable in table.fan_in()..6 {
            words[0] |= words[0] << (1 << variable);
        }
        if table.fan_in() <= 6 {
            words[1] = words[0];
        }
        if table.fan_in() <= 7 {
            (words[2], words[3]) = (words[0], words[1]);
        }
        Self(words)
    }

    /// The table of its variables below `fan_in`, on which alone it must depend.
    pub(crate) fn table(self, fan_in: usize) -> lutweave_lut::Result<TruthTable> {
        TruthTable::from_fn(fan_in, |k| self.0[k / 64] >> (k % 64) & 1 == 1)
    }

    /// One variable.
    pub(crate) fn variable(variable: usize) -> Self {
        match variable {
            6 => Self([0, u64::MAX, 0, u64::MAX]),
            7 => Self([0, 0, u64::MAX, u64::MAX]),
            _ => Self([ONES[variable]; 4]),
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    pub(crate) fn not(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// The function with one variable fixed.
    pub(crate) fn fix(self, variable: usize, value: bool) -> Self {
        let [a, b, c, d] = self.0;
        match (variable, value) {
            (6, false) => Self([a, a, c, c]),
            (6, true) => Self([b, b, d, d]),
            (7, false) => Self([a, b, a, b]),
            (7, true) => Self([c, d, c, d]),
            (_, true) => Self(self.0.map(|word| {
                let half = word & ONES[variable];
                half | half >> (1 << variable)
            })),
            (_, false) => Self(self.0.map(|word| {
                let half = word & !ONES[variable];
                half | half << (1 << variable)
            })),
        }
    }

    /// Whether the variable matters.
    pub(crate) fn depends_on(self, variable: usize) -> bool {
        self.fix(variable, false) != self.fix(variable, true)
    }

    /// How many of the variables below `variables` matter.
    pub(crate) fn support(self, variables: usize) -> usize {
        (0..variables).filter(|&v| self.depends_on(v)).count()
    }

    /// Its value when all variables are zero.
    pub(crate) fn at_zero(self) -> bool {
        self.0[0] & 1 == 1
    }
}

/// The patterns in which the variables of `care` have the bits of `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cube {
    pub(crate) care: u8,
    pub(crate) value: u8,
}

impl Cube {
    /// Every pattern.
    const ALL: Self = Self { care: 0, value: 0 };

    /// The patterns that it holds.
    pub(crate) fn function(self) -> Function {
        (0..MAX_FAN_IN).filter(|v| self.care >> v & 1 == 1).fold(Function::TRUE, |all, v| {
            let one = Function::variable(v);
            all.and(if self.value >> v & 1 == 1 { one } else { one.not() })
        })
    }

    fn with(self, variable: usize, value: bool) -> Self {
        Self { care: self.care | 1 << variable, value: self.value | u8::from(value) << variable }
    }
}

/// Cubes whose union is the function, none of which can be left out. The recursion of Minato
/// and Morreale (S. Minato, "Fast generation of irredundant sum-of-products forms from binary
/// decision diagrams", SASIMI 1992), eight deep at most.
pub(crate) fn cover(function: Function) -> Vec<Cube> {
    let mut cubes = Vec::new();
    between(function, function, Cube::ALL, MAX_FAN_IN, &mut cubes);
    cubes
}

/// Adds cubes within `part` whose union lies between `low` and `high`, functions of the variables
/// below `variables`; returns that union.
fn between(
    low: Function,
    high: Function,
    part: Cube,
    variables: usize,
    cubes: &mut Vec<Cube>,
) -> Function {
    if low == Function::FALSE {
        return low;
    }
    let Some(v) = (0..variables).rev().find(|&v| low.depends_on(v) || high.depends_on(v)) else {
        cubes.push(part);
        return Function::TRUE;
    };
    if high == Function::TRUE {
        cubes.push(part);
        return high;
    }
    let (low0, low1) = (low.fix(v, false), low.fix(v, true));
    let (high0, high1) = (high.fix(v, false), high.fix(v, true));
    // What only one half may hold needs the variable; the rest goes without it where it can.
    let zero = between(low0.and(high1.not()), high0, part.with(v, false), v, cubes);
    let one = between(low1.and(high0.not()), high1, part.with(v, true), v, cubes);
    let rest = low0.and(zero.not()).or(low1.and(one.not()));
    let both = between(rest, high0.and(high1), part, v, cubes);
    let x = Function::variable(v);
    both.or(zero.and(x.not())).or(one.and(x))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_covers() {
        let cubes = |fan_in, entry: fn(usize) -> bool| {
            cover(Function::of(&TruthTable::from_fn(fan_in, entry).unwrap())).len()
        };
        assert_eq!(cubes(8, |_| false), 0);
        assert_eq!(cubes(8, |_| true), 1);
        assert_eq!(cubes(8, |k| k == 255), 1);
        assert_eq!(cubes(8, |k| k != 0), 8);
        assert_eq!(cubes(3, |k| k.count_ones() >= 2), 3);
        assert_eq!(cubes(6, |k| k.count_ones() % 2 == 1), 32);
    }

    proptest! {
        #[test]
        fn a_cover_is_the_function_and_has_no_spare_cube(fan_in in 0usize..=8, words: [u64; 4]) {
            let table = TruthTable::from_fn(fan_in, |k| words[k / 64] >> (k % 64) & 1 == 1).unwrap();
            let function = Function::of(&table);
            prop_assert_eq!(function.table(fan_in).unwrap(), table);
            let cubes = cover(function);
            let union = |skip: usize| {
                let kept = cubes.iter().enumerate().filter(|(i, _)| *i != skip);
                kept.fold(Function::FALSE, |all, (_, cube)| all.or(cube.function()))
            };
            prop_assert_eq!(union(usize::MAX), function);
            for skip in 0..cubes.len() {
                prop_assert!(union(skip) != function);
            }
            for v in 0..8 {
                prop_assert_eq!(function.depends_on(v), table.depends_on(v));
            }
        }
    }
}
