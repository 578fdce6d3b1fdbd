//! A wiring as text, and what it amounts to.

use std::fmt;
use std::str::FromStr;

use super::{Wiring, check};
use crate::{Error, Result};

/// Longest part of a text that a message repeats, in characters.
const MAX_QUOTE: usize = 40;

/// What a wiring amounts to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WiringSummary {
    /// Number of sources.
    pub sources: usize,
    /// Number of nodes.
    pub nodes: usize,
    /// Inputs of each node.
    pub fan_in: usize,
    /// Fewest inputs that one source feeds.
    pub min_fan_out: usize,
    /// Most inputs that one source feeds.
    pub max_fan_out: usize,
    /// Inputs that a source feeds on average.
    pub mean_fan_out: f64,
    /// Sources that no node reads.
    pub unused: usize,
    /// Nodes that read a source more than once.
    pub repeating: usize,
}

impl fmt::Display for WiringSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sources, nodes, fan_in, min_fan_out, max_fan_out, .. } = self;
        write!(f, "{nodes} nodes of {fan_in} inputs from {sources} sources, ")?;
        write!(f, "fan-out {min_fan_out} to {max_fan_out}, mean {:.2}, ", self.mean_fan_out)?;
        write!(f, "{} unused, {} nodes read a source twice", self.unused, self.repeating)
    }
}

impl Wiring {
    /// Fan-outs, unused sources and repeated inputs.
    ///
    /// ```
    /// use lutweave_lut::Wiring;
    ///
    /// let summary = Wiring::serial(5, 2, 3)?.summary();
    /// assert_eq!((summary.min_fan_out, summary.max_fan_out), (1, 2));
    /// # Ok::<(), lutweave_lut::Error>(())
    /// ```
    pub fn summary(&self) -> WiringSummary {
        let mut fan_outs = vec![0usize; self.sources];
        for &source in &self.table {
            fan_outs[source as usize] += 1;
        }
        let repeats = |node: &&[u32]| {
            node.iter().enumerate().any(|(input, source)| node[..input].contains(source))
        };
        WiringSummary {
            sources: self.sources,
            nodes: self.nodes(),
            fan_in: self.fan_in,
            min_fan_out: fan_outs.iter().min().copied().unwrap_or(0),
            max_fan_out: fan_outs.iter().max().copied().unwrap_or(0),
            mean_fan_out: self.table.len() as f64 / self.sources as f64,
            unused: fan_outs.iter().filter(|&&fan_out| fan_out == 0).count(),
            repeating: self.table.chunks(self.fan_in).filter(repeats).count(),
        }
    }

    /// The wiring as text, as [`Display`](fmt::Display) writes it: a line of sizes, then for each
    /// node a line of its number and its sources, input 0 first.
    ///
    /// ```
    /// use lutweave_lut::Wiring;
    ///
    /// let wiring = Wiring::serial(4, 2, 3)?;
    /// assert_eq!(wiring.to_text(), "wiring 1: 4 sources, 2 nodes, fan-in 3\n0: 0 1 2\n1: 3 0 1\n");
    /// assert_eq!(Wiring::from_text(&wiring.to_text())?, wiring);
    /// # Ok::<(), lutweave_lut::Error>(())
    /// ```
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Reads what [`to_text`](Self::to_text) wrote. Spaces may be any number; the last line may
    /// lack its end.
    ///
    /// # Errors
    ///
    /// [`Error::Text`] where the text is none of a wiring, [`Error::Wiring`] for sizes that no
    /// layer can have.
    pub fn from_text(text: &str) -> Result<Self> {
        let mut lines = text.lines().enumerate();
        let mut head = Line::new(1, lines.next().map_or("", |(_, line)| line));
        head.word("wiring")?;
        head.word("1:")?;
        let sources = head.number("a number of sources")?;
        head.word("sources,")?;
        let nodes = head.number("a number of nodes")?;
        head.word("nodes,")?;
        head.word("fan-in")?;
        let fan_in = head.number("a fan-in")?;
        head.end()?;
        check(sources, nodes, fan_in)?;
        // Room for what the text can hold, whatever its first line says.
        let mut table = Vec::with_capacity((nodes * fan_in).min(text.len() / 2));
        let mut number = 1;
        for node in 0..nodes {
            number += 1;
            let mut line = Line::new(number, lines.next().map_or("", |(_, line)| line));
            line.word(&format!("{node}:"))?;
            for _ in 0..fan_in {
                let column = line.column();
                let source = line.number("a source")?;
                if source >= sources {
                    let what = format!("source {source} of {sources}");
                    return Err(Error::Text { line: number, column, what });
                }
                table.push(source as u32);
            }
            line.end()?;
        }
        for (index, line) in lines {
            Line::new(index + 1, line).end()?;
        }
        Self::explicit(sources, fan_in, table)
    }
}

impl fmt::Display for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sources, nodes, fan_in) = (self.sources, self.nodes(), self.fan_in);
        writeln!(f, "wiring 1: {sources} sources, {nodes} nodes, fan-in {fan_in}")?;
        for (node, inputs) in self.table.chunks(fan_in).enumerate() {
            write!(f, "{node}:")?;
            for source in inputs {
                write!(f, " {source}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl FromStr for Wiring {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_text(text)
    }
}

/// What is left to read of one line.
struct Line<'a> {
    number: usize,
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn new(number: usize, whole: &'a str) -> Self {
        Self { number, whole, rest: whole.trim() }
    }

    /// Column of the next word, from 1.
    fn column(&self) -> usize {
        let read = self.whole.trim_end().len() - self.rest.len();
        self.whole.get(..read).map_or(0, |read| read.chars().count()) + 1
    }

    fn error(&self, expected: &str) -> Error {
        let next = self.rest.split_whitespace().next().unwrap_or("the end of the line");
        let next: String = next.chars().take(MAX_QUOTE).collect();
        let what = format!("expected {expected}, got {next:?}");
        Error::Text { line: self.number, column: self.column(), what }
    }

    fn word(&mut self, expected: &str) -> Result<()> {
        let next = self.rest.split_whitespace().next().unwrap_or("");
        if next != expected {
            return Err(self.error(&format!("`{expected}`")));
        }
        self.rest = self.rest[next.len()..].trim_start();
        Ok(())
    }

    fn number(&mut self, expected: &str) -> Result<usize> {
        let next = self.rest.split_whitespace().next().unwrap_or("");
        let digits = next.trim_end_matches(',');
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| plain && digits.len() == next.len());
        let number = number.ok_or_else(|| self.error(expected))?;
        self.rest = self.rest[next.len()..].trim_start();
        Ok(number)
    }

    fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("the end of the line")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::test_below as below;
    use super::*;

    proptest! {
        #[test]
        fn text_comes_back(
            sources in 1usize..50, nodes in 1usize..20, fan_in in 1usize..=8, seed: u64,
        ) {
            let wiring = Wiring::random(sources, nodes, fan_in, &mut below(seed)).unwrap();
            prop_assert_eq!(&Wiring::from_text(&wiring.to_text()).unwrap(), &wiring);
            prop_assert_eq!(wiring.to_string().parse::<Wiring>().unwrap(), wiring);
        }

        #[test]
        fn no_text_panics(text in "(wiring 1: )?[0-9a-z ,:\u{e9}\u{2003}\n]*") {
            let _ = Wiring::from_text(&text);
        }

        #[test]
        fn damaged_text_does_not_panic(cut in 0usize..60, put in "[0-9 :\n-]{0,3}") {
            let text = Wiring::serial(4, 3, 2).unwrap().to_text();
            let cut = cut.min(text.len());
            let _ = Wiring::from_text(&format!("{}{put}{}", &text[..cut], &text[cut..]));
            let _ = Wiring::from_text(&text[..cut]);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| Wiring::from_text(text).unwrap_err().to_string();
        let cases = [
            ("", "line 1, column 1: expected `wiring`, got \"the end of the line\""),
            ("wiring 2: 1", "line 1, column 8: expected `1:`, got \"2:\""),
            ("wiring 1: x", "line 1, column 11: expected a number of sources, got \"x\""),
            (
                "wiring 1: 4 sources, 2 nodes, fan-in 9",
                "wiring: expected a fan-in of 1 to 8, got 9",
            ),
            (
                "wiring 1: 4 sources, 2 nodes, fan-in 2\n0: 1 2\n",
                "line 3, column 1: expected `1:`, got \"the end of the line\"",
            ),
            ("wiring 1: 4 sources, 1 nodes, fan-in 2\n0: 1 4", "line 2, column 6: source 4 of 4"),
            (
                "wiring 1: 4 sources, 1 nodes, fan-in 2\n0: 1 2\n\n 5",
                "line 4, column 2: expected the end of the line, got \"5\"",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(error(text), want);
        }
        // Sizes that the text cannot hold take no room.
        assert!(Wiring::from_text("wiring 1: 9 sources, 100000000 nodes, fan-in 2").is_err());
    }

    #[test]
    fn summaries_read_well() {
        let wiring = Wiring::explicit(4, 2, vec![0, 0, 1, 2]).unwrap();
        assert_eq!(
            wiring.summary().to_string(),
            "2 nodes of 2 inputs from 4 sources, fan-out 0 to 2, mean 1.00, 1 unused, \
             1 nodes read a source twice"
        );
    }
}
