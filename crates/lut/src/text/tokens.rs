//! The tokens of the text form, with their places.

use crate::netlist::check_name;
use crate::{Error, MAX_NAME, MAX_NETS, MAX_WIDTH, Result};

/// A piece of text and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Token<'_> {
    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        Error::Text { line: self.line, column: self.column, what: what.into() }
    }

    /// The text for a message: short, and without control characters.
    pub(super) fn shown(&self) -> String {
        let cut = self.text.chars().count() > 40;
        let text: String = self.text.chars().take(40).flat_map(char::escape_debug).collect();
        format!("`{text}{}`", if cut { ".." } else { "" })
    }
}

/// The tokens of one line, taken one by one.
pub(super) struct Line<'a, 't> {
    pub(super) tokens: &'t [Token<'a>],
    /// The place after the last token.
    pub(super) end: Token<'a>,
}

impl<'a> Line<'a, '_> {
    pub(super) fn next(&mut self, expected: &str) -> Result<Token<'a>> {
        let Some((&first, rest)) = self.tokens.split_first() else {
            return Err(self.end.error(format!("expected {expected}, got the end of the line")));
        };
        self.tokens = rest;
        Ok(first)
    }

    pub(super) fn name(&mut self, expected: &str) -> Result<Token<'a>> {
        let token = self.next(expected)?;
        check_name(token.text).map_err(|_| {
            let rule =
                format!("letters, digits and `_`, no digit first, at most {MAX_NAME} in all");
            token.error(format!("expected {expected} ({rule}), got {}", token.shown()))
        })?;
        Ok(token)
    }

    pub(super) fn number(&mut self, expected: &str) -> Result<(Token<'a>, u64)> {
        let token = self.next(expected)?;
        match parse_number(token.text) {
            Some(number) => Ok((token, number)),
            None => Err(token.error(format!("expected {expected}, got {}", token.shown()))),
        }
    }

    pub(super) fn bit(&mut self, expected: &str) -> Result<bool> {
        let token = self.next(expected)?;
        match token.text {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(token.error(format!("expected {expected}, got {}", token.shown()))),
        }
    }

    /// `words x width` of a port, with the token of the number of words.
    pub(super) fn shape(&mut self) -> Result<(Token<'a>, usize, usize)> {
        let (at, words) = self.number("a number of words")?;
        let x = self.next("`x` and the bits of a word")?;
        if x.text != "x" {
            let what = format!("expected `x` between words and bits of a word, got {}", x.shown());
            return Err(x.error(what));
        }
        let (token, width) = self.number("the bits of a word")?;
        if !(1..=MAX_WIDTH as u64).contains(&width) {
            return Err(
                token.error(format!("expected words of 1 to {MAX_WIDTH} bits, got {width}"))
            );
        }
        if words == 0 || words > MAX_NETS as u64 / width {
            let most = MAX_NETS as u64 / width;
            return Err(
                at.error(format!("expected 1 to {most} words of {width} bits, got {words}"))
            );
        }
        Ok((at, words as usize, width as usize))
    }

    pub(super) fn finish(&self) -> Result<()> {
        match self.tokens.first() {
            None => Ok(()),
            Some(token) => {
                Err(token.error(format!("expected the end of the line, got {}", token.shown())))
            }
        }
    }
}

/// Digits only: no sign, no space.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Splits a line into tokens; returns the place after its last one.
pub(super) fn split<'a>(line: &'a str, number: usize, tokens: &mut Vec<Token<'a>>) -> Token<'a> {
    tokens.clear();
    let mut start: Option<(usize, usize)> = None;
    let mut columns = 0;
    let mut after = 1;
    let mut push = |from: usize, to: usize, column: usize, end: usize| {
        tokens.push(Token { text: &line[from..to], line: number, column });
        after = end;
    };
    let mut length = line.len();
    for (at, character) in line.char_indices() {
        columns += 1;
        let comment = character == '#';
        if comment || character.is_ascii_whitespace() || matches!(character, '(' | ')') {
            if let Some((from, column)) = start.take() {
                push(from, at, column, columns);
            }
            if comment {
                length = at;
                break;
            }
            if matches!(character, '(' | ')') {
                push(at, at + 1, columns, columns + 1);
            }
        } else if start.is_none() {
            start = Some((at, columns));
        }
    }
    if let Some((from, column)) = start {
        push(from, length, column, columns + 1);
    }
    Token { text: "", line: number, column: after }
}

/// Edits between a word and a keyword; large for words much longer.
pub(super) fn distance(word: &str, keyword: &str) -> usize {
    if word.len() > 40 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=keyword.len()).collect();
    for (i, a) in word.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in keyword.bytes().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[keyword.len()]
}
