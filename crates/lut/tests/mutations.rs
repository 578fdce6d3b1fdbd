//! Ten thousand altered texts of netlists and wirings: each is read, or refused, without a panic.
#![allow(clippy::unwrap_used)] // helpers of tests count as tests

use lutweave_lut::{Netlist, Wiring};

const TIMES: u64 = if cfg!(miri) { 20 } else { 10_000 };

const NETLIST: &str = "\
lutweave-netlist 1
netlist tiny
input pixels 4 x 5
group encoder encoder
at_least t_0 pixels[0] 5
at_least t_1 pixels[1] 9
group layer0 core
lut a 0x8 t_0 t_1
lut b 0x2 t_0 pixels[2][4]
constant c 1
register b_1 b 0
group head head
popcount sum_0 a b_1
popcount sum_1 t_0 t_1
argmax class sum_0 sum_1
output class 1 x 1 class
end
";

/// Numbers from the splitmix64 generator (Steele, Lea and Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

/// A text with characters changed, taken out or put in, and words put elsewhere.
fn altered(text: &str, numbers: &mut Numbers) -> String {
    let mut text = text.to_owned();
    for _ in 0..=numbers.below(3) {
        let mut words: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
        let (from, to) = (numbers.below(words.len()), numbers.below(words.len()));
        match numbers.below(4) {
            0 => words.swap(from, to),
            1 => words.insert(to, words[from]),
            2 => drop(words.remove(from)),
            _ => {}
        }
        let mut all: Vec<char> = words.concat().chars().collect();
        let at = numbers.below(all.len());
        let other = ['0', '9', 'x', '[', ']', '(', ' ', '\n', '-', 'é'][numbers.below(10)];
        match numbers.below(4) {
            0 if at < all.len() => all[at] = other,
            1 => all.insert(at, other),
            // A number that is far larger.
            2 => all.splice(at..at, "99999999999".chars()).for_each(drop),
            _ => {}
        }
        text = all.into_iter().collect();
    }
    text
}

#[test]
fn netlists() {
    let whole = Netlist::from_text(NETLIST).unwrap();
    assert!(!whole.cells().is_empty());
    let mut read = 0;
    for number in 0..TIMES {
        if let Ok(netlist) = Netlist::from_text(&altered(NETLIST, &mut Numbers(number))) {
            let text = netlist.to_text();
            assert_eq!(Netlist::from_text(&text).unwrap().to_text(), text);
            read += 1;
        }
    }
    assert!(read > 0 && read < TIMES, "{read}");
}

#[test]
fn wirings() {
    let text = Wiring::serial(40, 20, 3).unwrap().to_text();
    let mut read = 0;
    for number in 0..TIMES {
        if let Ok(wiring) = Wiring::from_text(&altered(&text, &mut Numbers(number))) {
            assert_eq!(Wiring::from_text(&wiring.to_text()).unwrap(), wiring);
            read += 1;
        }
    }
    assert!(read > 0 && read < TIMES, "{read}");
}
