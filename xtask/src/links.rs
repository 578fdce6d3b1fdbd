//! `cargo xtask links`: relative links in Markdown files lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Checks all Markdown files of the workspace.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    let (mut count, mut faults) = (0, Vec::new());
    for file in &files {
        let text = read(file)?;
        for link in links(&text) {
            count += 1;
            if let Some(fault) = fault(file, &link)? {
                let shown = file.strip_prefix(&root).unwrap_or(file).display();
                faults.push(format!("{shown}:{}: `{}`: {fault}", link.line, link.target));
            }
        }
    }
    faults.extend(unlisted_chapters(&root, &files)?);
    if faults.is_empty() {
        println!("links: {count} in {} files: ok", files.len());
        return Ok(());
    }
    for fault in &faults {
        println!("links: {fault}");
    }
    bail!("{} faults in Markdown links", faults.len())
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// All Markdown files below `folder`, sorted; hidden folders and outputs left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if !["target", "out", "book"].contains(&name.as_str()) {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    Ok(())
}

/// A link in a Markdown file.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    line: usize,
    target: String,
}

/// The inline links and the link definitions of `text`, those in code left out.
fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (line, prose) in prose(text) {
        let mut add = |target: &str| {
            // A title may follow the target.
            let target = target.split_whitespace().next().unwrap_or_default();
            let target = target.trim_start_matches('<').trim_end_matches('>').to_owned();
            links.push(Link { line, target });
        };
        for piece in prose.split("](").skip(1) {
            let mut depth = 1;
            let end = piece.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            add(&piece[..end.unwrap_or(piece.len())]);
        }
        if let Some((_, target)) = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            add(target);
        }
    }
    links
}

/// The lines of `text` with their numbers from 1, without code blocks and code spans.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fence: Option<&str> = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, None) => {
                // Every other piece between back-ticks is code.
                let spans: Vec<&str> = line.split('`').step_by(2).collect();
                return Some((index + 1, spans.join("")));
            }
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            _ => {}
        }
        None
    })
}

/// What is wrong with `link` in `file`, if anything.
fn fault(file: &Path, link: &Link) -> Result<Option<String>> {
    let target = link.target.as_str();
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let elsewhere = path.contains("://") || path.starts_with("mailto:");
    // A name of Rust, which rustdoc looks up.
    let item = path.contains("::") || path.chars().all(|c| c.is_alphanumeric() || c == '_');
    let folder = file.parent().unwrap_or(Path::new(""));
    let aim = if path.is_empty() { file.to_path_buf() } else { folder.join(path) };
    if elsewhere || (item && !path.is_empty() && !aim.exists()) {
        return Ok(None);
    }
    if target.is_empty() {
        return Ok(Some("a link to nothing".to_owned()));
    }
    if path.starts_with('/') {
        return Ok(Some("an absolute path".to_owned()));
    }
    if !aim.exists() {
        return Ok(Some("no such file".to_owned()));
    }
    let markdown = aim.extension().is_some_and(|extension| extension == "md");
    if !anchor.is_empty() && markdown && !anchors(&read(&aim)?).iter().any(|known| known == anchor)
    {
        return Ok(Some("no such heading".to_owned()));
    }
    Ok(None)
}

/// The names by which the headings of `text` can be linked to.
fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut headings = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced
            && let Some((_, heading)) = line.split_once("# ")
            && line.starts_with('#')
        {
            let kept = heading.trim().to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            headings.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    headings
}

/// Chapters of the book that its summary does not list: they would not be in the book.
fn unlisted_chapters(root: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let source = root.join("docs").join("src");
    let summary = source.join("SUMMARY.md");
    let listed: Vec<PathBuf> =
        links(&read(&summary)?).iter().map(|link| source.join(&link.target)).collect();
    let chapters = files.iter().filter(|file| file.starts_with(&source) && **file != summary);
    let missing = chapters.filter(|chapter| !listed.contains(chapter));
    let shown =
        |chapter: &PathBuf| chapter.strip_prefix(root).unwrap_or(chapter).display().to_string();
    Ok(missing.map(|chapter| format!("{}: not in SUMMARY.md", shown(chapter))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code_only() {
        let text = "\
See [a](one.md) and ![b](two.png \"title\"), [c](f(x).md#part).
`[no](code.md)` but [`yes`](three.md)
```text
[no](fenced.md)
```
[name]: four.md
[angle](<five.md>)
";
        let found: Vec<(usize, String)> =
            links(text).into_iter().map(|link| (link.line, link.target)).collect();
        let expected = [
            (1, "one.md"),
            (1, "two.png"),
            (1, "f(x).md#part"),
            (2, "three.md"),
            (6, "four.md"),
            (7, "five.md"),
        ];
        assert_eq!(found, expected.map(|(line, target)| (line, target.to_owned())));
    }

    #[test]
    fn headings_are_named_as_the_book_names_them() {
        let text = "# Bit order\n## `V[k]`: the values, and C\n```sh\n# a comment\n```\n";
        assert_eq!(anchors(text), ["bit-order", "vk-the-values-and-c"]);
    }

    #[test]
    fn targets_are_judged() {
        let readme = workspace::root().join("CONTRIBUTING.md");
        let fault =
            |target: &str| fault(&readme, &Link { line: 1, target: target.to_owned() }).unwrap();
        for good in [
            "https://example.org/x",
            "mailto:a@b.c",
            "lutweave_tensor::Dataset",
            "Dataset",
            "docs/src",
            "docs/src/SUMMARY.md",
            "LICENSE-MIT",
            "docs/src/bit-order.md#frames",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for (bad, message) in [
            ("docs/src/none.md", "no such file"),
            ("docs/src/bit-order.md#none", "no such heading"),
            ("#none", "no such heading"),
            ("/docs/src/SUMMARY.md", "an absolute path"),
            ("", "a link to nothing"),
        ] {
            assert_eq!(fault(bad).as_deref(), Some(message), "{bad}");
        }
    }
}
