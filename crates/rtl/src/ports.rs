//! Ports in formats that know single bits only: names of bits, and back.
//!
//! Bit `b` of word `w` of a port is called `port[w][b]`; where words have one bit, `port[w]`; the
//! only bit of a port, `port`. Read back, names that make up a whole array become one port again;
//! other names become a port of one bit each.

use std::collections::BTreeMap;

use lutweave_lut::MAX_WIDTH;

/// The name of a bit of a port of `words` words of `width` bits.
pub(crate) fn bit_name(port: &str, words: usize, width: usize, index: usize) -> String {
    match (words, width) {
        (1, 1) => port.to_owned(),
        (_, 1) => format!("{port}[{index}]"),
        _ => format!("{port}[{}][{}]", index / width, index % width),
    }
}

/// A port that was put together from bits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Port<'a> {
    pub(crate) name: &'a str,
    pub(crate) words: usize,
    pub(crate) width: usize,
    /// Which of the names is each bit, word 0 first, each least significant bit first.
    pub(crate) bits: Vec<usize>,
}

/// The indices of a bit, and where its name is among the names.
type Bit = (u32, Option<u32>, usize);

/// Splits `x[3][1]` into `x` and its one or two indices.
fn split(name: &str) -> Option<(&str, u32, Option<u32>)> {
    let (stem, last) = index(name)?;
    match index(stem) {
        Some((stem, first)) => Some((stem, first, Some(last))),
        None => Some((stem, last, None)),
    }
}

/// Takes `[3]` off the end. Numbers have no leading zeros: `x[03]` is another name than `x[3]`.
fn index(name: &str) -> Option<(&str, u32)> {
    let (stem, digits) = name.strip_suffix(']')?.rsplit_once('[')?;
    let plain =
        digits.bytes().all(|c| c.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if stem.is_empty() || !plain { None } else { Some((stem, digits.parse().ok()?)) }
}

/// The ports that names of bits make up, in the order of their first bits.
pub(crate) fn assemble<'a>(names: &[&'a str]) -> Vec<Port<'a>> {
    let mut arrays: BTreeMap<&'a str, Vec<Bit>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        if let Some((stem, first, second)) = split(name) {
            arrays.entry(stem).or_default().push((first, second, at));
        }
    }
    // Where the stem is itself a name, the array cannot have it.
    for name in names {
        arrays.remove(name);
    }
    let mut ports = Vec::new();
    let mut used = vec![false; names.len()];
    for (name, mut bits) in arrays {
        bits.sort_unstable();
        let Some((words, width)) = shape(&bits) else { continue };
        let bits: Vec<usize> = bits.into_iter().map(|(_, _, at)| at).collect();
        for &at in &bits {
            used[at] = true;
        }
        ports.push(Port { name, words, width, bits });
    }
    let single = names.iter().enumerate().filter(|&(at, _)| !used[at]);
    ports.extend(single.map(|(at, name)| Port { name, words: 1, width: 1, bits: vec![at] }));
    ports.sort_by_cached_key(|port| port.bits.iter().min().copied());
    ports
}

/// Words and width of an array that these are all indices of, in order.
fn shape(bits: &[Bit]) -> Option<(usize, usize)> {
    let &(last, second, _) = bits.last()?;
    let (words, width) = (last as usize + 1, second.unwrap_or(0) as usize + 1);
    let whole = words.checked_mul(width) == Some(bits.len()) && width <= MAX_WIDTH;
    let in_order = bits.iter().enumerate().all(|(at, bit)| {
        let wanted = second.map(|_| (at % width) as u32);
        bit.0 as usize == at / width && bit.1 == wanted
    });
    (whole && in_order).then_some((words, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_and_the_rest_stays_single() {
        struct Case(&'static [&'static str], &'static [(&'static str, usize, usize)]);
        for Case(names, ports) in [
            Case(&["x[1]", "a", "x[0]"], &[("x", 2, 1), ("a", 1, 1)]),
            Case(&["x[0][0]", "x[0][1]", "x[1][1]", "x[1][0]"], &[("x", 2, 2)]),
            Case(&["x[0][0]"], &[("x", 1, 1)]),
            Case(&["x[0]", "x[2]"], &[("x[0]", 1, 1), ("x[2]", 1, 1)]),
            Case(&["x[0]", "x[1]", "x"], &[("x[0]", 1, 1), ("x[1]", 1, 1), ("x", 1, 1)]),
            Case(&["x[0]", "x[1][0]"], &[("x[0]", 1, 1), ("x[1][0]", 1, 1)]),
            Case(&["x[00]", "[0]", "x[]"], &[("x[00]", 1, 1), ("[0]", 1, 1), ("x[]", 1, 1)]),
            Case(
                &["x[4294967295]", "y[99999999999]"],
                &[("x[4294967295]", 1, 1), ("y[99999999999]", 1, 1)],
            ),
        ] {
            let found = assemble(names);
            let found: Vec<_> = found.iter().map(|p| (p.name, p.words, p.width)).collect();
            assert_eq!(found, ports, "{names:?}");
        }
        assert_eq!(assemble(&["x[1]", "a", "x[0]"])[0].bits, [2, 0]);
    }

    #[test]
    fn every_shape_is_named_so_that_it_comes_back() {
        for (words, width) in [(1, 1), (1, 5), (3, 1), (3, 5), (2, 32)] {
            let names: Vec<String> =
                (0..words * width).map(|bit| bit_name("x", words, width, bit)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let bits = (0..words * width).collect();
            assert_eq!(assemble(&names), [Port { name: "x", words, width, bits }]);
        }
    }
}
