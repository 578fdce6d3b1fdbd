//! Names that users give to layers.

use std::collections::BTreeSet;

use crate::{Result, Site};

/// Checks that names are identifiers, each another.
pub(super) fn check<'n>(names: impl Iterator<Item = &'n str>, site: &Site<'_>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        let mut letters = name.chars();
        let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
        if !first || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') || name.len() > 64 {
            let expected = "an identifier of at most 64 letters, digits and `_`";
            return Err(site.option_error("name", expected, name));
        }
        if !seen.insert(name) {
            return Err(site.option_error("name", "a name that no other layer has", name));
        }
    }
    Ok(())
}

/// The name in a netlist of a part of something that may have no name.
pub(super) fn part(whole: &str, part: &str) -> String {
    if whole.is_empty() { part.to_owned() } else { format!("{whole}_{part}") }
}
