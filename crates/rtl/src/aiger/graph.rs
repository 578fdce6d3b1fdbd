//! An and-inverter graph in the making.

use std::collections::HashMap;

use crate::function::Function;

/// Twice the number of a variable, plus one for its complement; 0 and 1 are the constants.
pub(super) type Literal = u32;

/// ANDs of two literals, equal ones only once.
#[derive(Debug)]
pub(super) struct Graph {
    /// Variables before the first AND.
    leaves: u32,
    /// The operands of each AND, the larger first.
    pub(super) ands: Vec<(Literal, Literal)>,
    found: HashMap<(Literal, Literal), Literal>,
}

impl Graph {
    /// A graph whose variables `1..=leaves` are inputs and latches.
    pub(super) fn new(leaves: u32) -> Self {
        Self { leaves, ands: Vec::new(), found: HashMap::new() }
    }

    /// The number of variables, without the constant.
    pub(super) fn variables(&self) -> u64 {
        u64::from(self.leaves) + self.ands.len() as u64
    }

    fn and(&mut self, a: Literal, b: Literal) -> Literal {
        let (a, b) = (a.max(b), a.min(b));
        match b {
            0 => return 0,
            1 => return a,
            _ if a == b => return a,
            _ if a == b ^ 1 => return 0,
            _ => {}
        }
        // Wraps where there are too many; the writer refuses such a graph.
        let next = (self.variables() as u32).wrapping_add(1).wrapping_mul(2);
        let Self { ands, found, .. } = self;
        *found.entry((a, b)).or_insert_with(|| {
            ands.push((a, b));
            next
        })
    }

    fn or(&mut self, a: Literal, b: Literal) -> Literal {
        self.and(a ^ 1, b ^ 1) ^ 1
    }

    /// `x` chooses `one`, otherwise `zero`.
    fn choose(&mut self, x: Literal, one: Literal, zero: Literal) -> Literal {
        if one == 1 {
            return self.or(x, zero);
        }
        if zero == 1 {
            return self.or(x ^ 1, one);
        }
        let (one, zero) = (self.and(x, one), self.and(x ^ 1, zero));
        self.or(one, zero)
    }

    /// A function of literals; `inputs[i]` is variable `i`.
    pub(super) fn function(&mut self, function: Function, inputs: &[Literal]) -> Literal {
        self.part(function, inputs, &mut HashMap::new())
    }

    /// `made` holds the functions of these inputs that exist, without their complements.
    fn part(
        &mut self,
        function: Function,
        inputs: &[Literal],
        made: &mut HashMap<Function, Literal>,
    ) -> Literal {
        // Each function or its complement is zero at zero.
        let invert = u32::from(function.at_zero());
        let function = if invert == 1 { function.not() } else { function };
        if let Some(&literal) = made.get(&function) {
            return literal ^ invert;
        }
        let Some((variable, zero, one)) = split(function, inputs.len()) else {
            return invert;
        };
        let x = inputs.get(variable).copied().unwrap_or(0);
        let literal = if zero == one.not() {
            let zero = self.part(zero, inputs, made);
            self.choose(x, zero ^ 1, zero)
        } else {
            let (zero, one) = (self.part(zero, inputs, made), self.part(one, inputs, made));
            self.choose(x, one, zero)
        };
        made.insert(function, literal);
        literal ^ invert
    }
}

/// The variable to expand at and both cofactors; none for a constant.
fn split(function: Function, variables: usize) -> Option<(usize, Function, Function)> {
    let cost = |zero: Function, one: Function| {
        let constant = |f: Function| f == Function::FALSE || f == Function::TRUE;
        if constant(zero) || constant(one) {
            0
        } else if zero == one.not() {
            1
        } else {
            2 + zero.support(variables) + one.support(variables)
        }
    };
    let splits = (0..variables)
        .map(|v| (v, function.fix(v, false), function.fix(v, true)))
        .filter(|(_, zero, one)| zero != one);
    splits.min_by_key(|&(v, zero, one)| (cost(zero, one), std::cmp::Reverse(v)))
}

#[cfg(test)]
mod tests {
    use lutweave_lut::TruthTable;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_functions_take_known_numbers_of_gates() {
        struct Case(usize, fn(usize) -> bool, usize);
        for Case(fan_in, entry, gates) in [
            Case(8, |_| true, 0),
            Case(8, |k| k >> 5 & 1 == 0, 0),
            Case(8, |k| k == 255, 7),
            Case(8, |k| k != 0, 7),
            Case(2, |k| k == 1 || k == 2, 3),
            Case(8, |k| k.count_ones() % 2 == 1, 21),
            Case(3, |k| k >> (k >> 2) & 1 == 1, 3),
        ] {
            let mut graph = Graph::new(8);
            let inputs: Vec<Literal> = (1..=8).map(|v| 2 * v).collect();
            let table = TruthTable::from_fn(fan_in, entry).unwrap();
            graph.function(Function::of(&table), &inputs);
            assert_eq!(graph.ands.len(), gates);
        }
    }

    proptest! {
        #[test]
        fn gates_compute_the_table(fan_in in 1usize..=8, words: [u64; 4], x: [u64; 8]) {
            let table = TruthTable::from_fn(fan_in, |k| words[k / 64] >> (k % 64) & 1 == 1).unwrap();
            let mut graph = Graph::new(8);
            let inputs: Vec<Literal> = (1..=8).map(|v| 2 * v).collect();
            let literal = graph.function(Function::of(&table), &inputs);
            let mut values = vec![0];
            values.extend(x);
            let value = |values: &[u64], l: Literal| {
                values[l as usize / 2] ^ if l & 1 == 1 { u64::MAX } else { 0 }
            };
            for &(a, b) in &graph.ands {
                values.push(value(&values, a) & value(&values, b));
            }
            prop_assert_eq!(value(&values, literal), table.evaluate(&x[..fan_in]));
        }
    }
}
