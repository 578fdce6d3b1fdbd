//! The file of settings: its text, changes from outside, and where in it a mistake is.

use std::path::Path;

use super::config::Config;
use super::place;
use crate::error::{Error, Result};

/// Sections that coordinate descent has no use for.
const BY_GRADIENT: [&str; 6] = ["loss", "optimizer", "groups", "schedule", "schedules", "penalty"];

/// A file of settings as it is after `--set`, and its text, of which places are told.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) text: String,
}

impl Source {
    /// Reads a file and changes what `--set` asks for: `training.epochs=3`,
    /// `network.layers.1.nodes=500`.
    pub(crate) fn read(path: &Path, changes: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::of(path.display().to_string(), text, changes)
    }

    /// The same of a text that is called `file`.
    pub(crate) fn of(file: String, text: String, changes: &[String]) -> Result<Self> {
        let source = Self { file, text };
        if changes.is_empty() {
            return Ok(source);
        }
        let mut root: toml::Table =
            toml::from_str(&source.text).map_err(|error| source.error(&error))?;
        for change in changes {
            let refuse = |what: String| Error::Set { change: change.clone(), what };
            let Some((key, value)) = change.split_once('=') else {
                return Err(refuse("expected KEY=VALUE".to_owned()));
            };
            let parsed = toml::from_str::<toml::Table>(&format!("v = {value}"));
            // What is no number, truth value, list or table is a text, with quotes or without.
            let value = parsed
                .ok()
                .and_then(|mut table| table.remove("v"))
                .unwrap_or_else(|| toml::Value::String(value.trim().to_owned()));
            place::set(&mut root, key.trim(), value).map_err(refuse)?;
        }
        let text = toml::to_string(&root)
            .map_err(|error| Error::Set { change: changes.join(" "), what: error.to_string() })?;
        Ok(Self { file: format!("{} with --set", source.file), text })
    }

    /// The settings of the training that comes before a descent, without the descent.
    pub(crate) fn before_descent(&self) -> Result<Self> {
        let mut root: toml::Table =
            toml::from_str(&self.text).map_err(|error| self.error(&error))?;
        root.remove("descent");
        let text = toml::to_string(&root).map_err(|error| self.error_at(0, &error.to_string()))?;
        Ok(Self { file: self.file.clone(), text })
    }

    /// The settings, checked for keys that do not exist.
    pub(crate) fn parse(&self) -> Result<Config> {
        let config: Config = toml::from_str(&self.text).map_err(|error| self.error(&error))?;
        let table: toml::Table = toml::from_str(&self.text).map_err(|error| self.error(&error))?;
        let Some(descent) = &config.descent else {
            if table.contains_key("training") {
                return Ok(config);
            }
            return Err(self.error_at(0, "missing field `training` (or `descent`)"));
        };
        // What would have no effect is not meant.
        let refuse = |key: &str, what: &str| {
            let at = self.place_of(&[&format!("[{key}]"), &format!("[[{key}]]"), key]);
            Err(self.error_at(at, what))
        };
        if table.contains_key("budget") {
            return refuse("budget", "`budget` has no effect on a [descent]");
        }
        if config.gradients_first() {
            if descent.from.is_some() {
                let what = "a [descent] after a [training] begins with what that comes to; expected \
                            either `from` or `training.epochs`";
                return refuse("from", what);
            }
        } else if let Some(key) = BY_GRADIENT.iter().find(|&&key| table.contains_key(key)) {
            let what = format!(
                "`{key}` has no effect on a [descent] alone; expected `training.epochs` where \
                 gradients come first"
            );
            return refuse(key, &what);
        }
        Ok(config)
    }

    fn error(&self, error: &toml::de::Error) -> Error {
        let at = error.span().map_or(0, |span| span.start);
        self.error_at(at, error.message())
    }

    /// An error about something that begins at byte `at`, or at the key there that the message
    /// names.
    pub(crate) fn error_at(&self, at: usize, message: &str) -> Error {
        let (line, column) = place::of(&self.text, place::unknown_key(&self.text, at, message));
        let file = self.file.clone();
        Error::Config { file, line, column, what: place::with_nearest(message) }
    }

    /// The byte where the first of these headings and keys that there is begins a line, or 0.
    pub(crate) fn place_of(&self, names: &[&str]) -> usize {
        let find = |name: &&str| {
            let mut at = 0;
            for line in self.text.split_inclusive('\n') {
                let start = line.trim_start();
                let is_key = |rest: &str| rest.trim_start().starts_with(['=', '.']);
                if start
                    .strip_prefix(*name)
                    .is_some_and(|rest| name.starts_with('[') || is_key(rest))
                {
                    return Some(at + line.len() - start.len());
                }
                at += line.len();
            }
            None
        };
        names.iter().find_map(find).unwrap_or(0)
    }

    /// The byte where the key is in the section or table that the first of these names begins, or
    /// where that begins.
    pub(crate) fn place_of_key(&self, names: &[&str], key: &str) -> usize {
        place::key(&self.text, self.place_of(names), key)
    }

    /// The text without comments and blank lines, keys in order: what says whether two trainings
    /// have the same settings.
    pub(crate) fn canonical(&self) -> Result<String> {
        let table: toml::Table = toml::from_str(&self.text).map_err(|error| self.error(&error))?;
        let set = |error: toml::ser::Error| Error::Set {
            change: self.file.clone(),
            what: error.to_string(),
        };
        toml::to_string(&table).map_err(set)
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::OptimizerConfig;
    use super::*;

    const GOOD: &str = "\
[data]
set = \"digits\"

[network]
layers = [{ kind = \"group_sum\", classes = 10 }]

[training]
epochs = 3
batch = 64
";

    fn parse(text: &str) -> std::result::Result<Config, String> {
        let source = Source { file: "a.toml".to_owned(), text: text.to_owned() };
        source.parse().map_err(|error| error.to_string())
    }

    #[test]
    fn mistakes_have_a_place_and_a_remedy() {
        let config = parse(GOOD).unwrap();
        assert_eq!((config.seed, config.training.epochs), (1, Some(3)));
        let cases = [
            ("epochs", "epoch", "a.toml, line 8, column 1: unknown field `epoch`"),
            ("epochs", "epoch", "did you mean `epochs`?"),
            ("[data]", "sed = 2\n[data]", "line 1, column 1: unknown field `sed`"),
            ("[data]", "sed = 2\n[data]", "did you mean `seed`?"),
            ("epochs = 3", "epochs = \"many\"", "line 8, column 10: invalid type"),
            ("batch = 64", "", "missing field `batch`"),
            (
                "[training]",
                "[optimizer]\nkind = \"adam\"\nlearning_rat = 1\n[training]",
                "line 9, column 1: unknown field `learning_rat`",
            ),
            (
                "[training]",
                "[loss]\nkind = \"squared_hing\"\n[training]",
                "did you mean `squared_hinge`?",
            ),
            ("batch = 64", "batch = = 64", "line 9, column 9"),
            ("[training]\nepochs = 3\nbatch = 64", "", "missing field `training` (or `descent`)"),
            (
                "[training]",
                "[descent]\nsweeps = 2\nfrom = \"m.lutweave\"\n[training]",
                "line 9, column 1: a [descent] after a [training]",
            ),
            (
                "[training]",
                "[descent]\nsweeps = 2\n[budget]\nluts = 9\n[training]",
                "line 9, column 1: `budget` has no effect",
            ),
            (
                "[training]\nepochs = 3\n",
                "[loss]\nkind = \"squared_hinge\"\n[descent]\nsweeps = 2\n[training]\n",
                "line 7, column 1: `loss` has no effect on a [descent] alone",
            ),
        ];
        for (old, new, says) in cases {
            let error = parse(&GOOD.replace(old, new)).unwrap_err();
            assert!(error.contains(says), "`{says}` is not in\n{error}");
        }
    }

    #[test]
    fn settings_can_be_changed_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, GOOD).unwrap();
        let with = |changes: &[&str]| {
            let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
            Source::read(&path, &changes).and_then(|source| source.parse())
        };
        let config = with(&[
            "training.epochs=7",
            "name = other",
            "optimizer.kind=\"sgd\"",
            "optimizer.learning_rate=0.5",
            "network.layers.0.classes=2",
        ])
        .unwrap();
        assert_eq!(config.training.epochs, Some(7));
        assert_eq!(config.name.as_deref(), Some("other"));
        assert!(matches!(config.optimizer, OptimizerConfig::Sgd { .. }));
        assert_eq!(config.network.layers[0].get_ref()["classes"].as_integer(), Some(2));
        let says = |changes: &[&str]| with(changes).unwrap_err().to_string();
        assert!(says(&["training.epoch=7"]).contains("did you mean `epochs`?"));
        assert!(says(&["epochs"]).contains("expected KEY=VALUE"));
        assert!(says(&["network.layers.5.nodes=1"]).contains("`network.layers` has 1"));
        assert!(says(&["training.epochs.x=1"]).contains("`training.epochs`"));
    }
}
