//! Places in a text, keys that were meant, and the setting of keys by path.

/// The line and column, from 1, of byte `at`.
pub(super) fn of(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// Where the key is that a message calls unknown: from byte `at` on, or at `at` itself where there
/// is no such thing.
pub(super) fn unknown_key(text: &str, at: usize, message: &str) -> usize {
    let found = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    found.map_or(at, |name| key(text, at, name))
}

/// Where a key is: from byte `at` on, or at `at` itself where there is none.
pub(super) fn key(text: &str, at: usize, key: &str) -> usize {
    let Some(rest) = text.get(at..) else { return at };
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let found = rest.match_indices(key).find(|(start, _)| {
        let before = rest[..*start].chars().next_back();
        let after = rest[start + key.len()..].trim_start_matches([' ', '\t', '"', '\'']);
        !before.is_some_and(is_word) && after.starts_with('=')
    });
    at + found.map_or(0, |(start, _)| start)
}

/// A message about a name that is not known, with the nearest of those that are.
pub(super) fn with_nearest(message: &str) -> String {
    let message = message.trim_end();
    if !message.starts_with("unknown ") {
        return message.to_owned();
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(got) = names.next() else { return message.to_owned() };
    match nearest(got, names) {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => message.to_owned(),
    }
}

/// The name most like `got`, unless none is.
pub(super) fn nearest<'n>(got: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let (steps, name) = names.map(|name| (distance(got, name), name)).min()?;
    (steps <= got.chars().count().max(3) / 2).then_some(name)
}

/// Letters to change, add or leave out between two words (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let other = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = other.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Sets the key at a path of names and numbers, parted by points. Tables on the way are made.
pub(super) fn set(root: &mut toml::Table, path: &str, value: toml::Value) -> Result<(), String> {
    let parts: Vec<&str> = path.split('.').map(str::trim).collect();
    let Some((last, way)) = parts.split_last().filter(|_| parts.iter().all(|p| !p.is_empty()))
    else {
        return Err(format!("`{path}` is no key"));
    };
    let Some((first, rest)) = way.split_first() else {
        root.insert((*last).to_owned(), value);
        return Ok(());
    };
    let table = || toml::Value::Table(toml::Table::new());
    let mut at = root.entry(*first).or_insert_with(table);
    for (number, part) in rest.iter().enumerate() {
        let seen = || parts[..=number].join(".");
        at = match at {
            toml::Value::Table(table_) => table_.entry(*part).or_insert_with(table),
            toml::Value::Array(items) => element(items, part, &seen())?,
            _ => return Err(format!("`{}` is no table", seen())),
        };
    }
    let seen = way.join(".");
    match at {
        toml::Value::Table(table) => {
            table.insert((*last).to_owned(), value);
        }
        toml::Value::Array(items) => *element(items, last, &seen)? = value,
        _ => return Err(format!("`{seen}` is no table")),
    }
    Ok(())
}

fn element<'v>(
    items: &'v mut [toml::Value],
    part: &str,
    seen: &str,
) -> Result<&'v mut toml::Value, String> {
    let count = items.len();
    let index = part.parse::<usize>().ok().filter(|&index| index < count);
    match index.and_then(|index| items.get_mut(index)) {
        Some(item) => Ok(item),
        None => Err(format!("`{seen}` has {count} entries, from 0; there is no `{part}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_so_many_letters_apart() {
        let cases = [("", "abc", 3), ("epoch", "epochs", 1), ("sed", "seed", 1), ("abc", "abc", 0)];
        for (a, b, steps) in cases {
            assert_eq!((distance(a, b), distance(b, a)), (steps, steps));
        }
        assert_eq!(nearest("lutt", ["dense", "lut"].into_iter()), Some("lut"));
        assert_eq!(nearest("x", ["convolution"].into_iter()), None);
    }

    #[test]
    fn places_count_from_one() {
        let text = "a = 1\nbc = 2\n";
        assert_eq!(
            (of(text, 0), of(text, 6), of(text, 9), of(text, 99)),
            ((1, 1), (2, 1), (2, 4), (3, 1))
        );
        let message = "unknown field `c`, expected `d`";
        assert_eq!(unknown_key("bc = 1\nc = 2", 0, message), 7);
    }
}
