//! How many devices a batch is cut for: as many as there were when the training began.
//!
//! Batch norm is over each part of a batch, so another number of parts would be another training. A line of
//! the checkpoint's note says how many there are.

use std::path::Path;

use lutweave::train::Checkpoint;

use super::config::Config;
use super::folder::CHECKPOINT;
use crate::device::Opened;
use crate::error::{Error, Result};

/// How the line begins.
pub(super) const LINE: &str = "devices = ";

/// The line; none for one device.
pub(super) fn note(devices: usize) -> String {
    if devices > 1 { format!("{LINE}{devices}\n") } else { String::new() }
}

/// The parts of each batch. Fewer devices than parts work through them one after the other; more are
/// refused.
pub(super) fn of(
    config: &Config,
    devices: &Opened,
    done: Option<&Checkpoint>,
    out: &Path,
) -> Result<usize> {
    let now = devices.count();
    if config.descent.is_some() && now > 1 {
        let what = "a [descent] works on one device: name one with --device, such as cuda:0";
        return Err(Error::Options(what.to_owned()));
    }
    let Some(done) = done else { return Ok(now) };
    let said = done.note.lines().find_map(|line| line.strip_prefix(LINE));
    let was = said.and_then(|parts| parts.parse().ok()).map_or(1, |parts: usize| parts.max(1));
    if now > was {
        return Err(Error::MoreDevices { path: out.join(CHECKPOINT), was, now });
    }
    Ok(was)
}
