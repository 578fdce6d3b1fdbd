//! Training without gradients, where the settings have a `[descent]`.

use std::cell::RefCell;
use std::io;

use lutweave::prelude::*;
use lutweave::train::{Checkpoint, Descent, Flow, History, Position};

use super::config::{Config, DescentConfig};
use super::record::Record;
use super::split::Samples;
use super::{Finished, Session, unwrapped};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::samples;

/// The descent that the settings describe.
fn descent<'d>(settings: &DescentConfig, seed: u64, samples: &Samples) -> Descent<'d> {
    Descent::new()
        .sweeps(settings.sweeps)
        .samples(settings.samples.unwrap_or(samples.train.len()))
        .candidates(settings.candidates)
        .window(settings.window)
        .look(settings.look)
        .switches(settings.switches)
        .encoder(settings.encoder)
        .temperature(settings.temperature)
        .seed(seed)
}

/// Whether the settings' descent can begin with such a network, which is not trained yet.
pub(super) fn check(config: &Config, net: &Network, samples: &Samples) -> Result<()> {
    let Some(settings) = &config.descent else { return Ok(()) };
    Ok(descent(settings, config.seed, samples).check(net, &samples.train, samples.watched().0)?)
}

impl Session<'_> {
    /// Descends until the end or a signal; a checkpoint after every sweep.
    pub(super) fn descend(
        &self,
        interrupt: &Interrupt,
        net: &mut Network,
        checkpoint: Checkpoint,
        samples: &Samples,
        settings: &DescentConfig,
    ) -> Result<Finished> {
        let (watched, _) = samples.watched();
        let record = RefCell::new(Record::new(self, net, &checkpoint.history, samples)?);
        let Checkpoint { history, note, .. } = checkpoint;
        let done = RefCell::new(history.clone());
        interrupt.begin();
        let augmentation = samples::augmentation(&self.config.data.augment, self.config.seed)?;
        let descent = descent(settings, self.config.seed, samples);
        let mut descent = descent.backend(self.backend).resume(history);
        if !augmentation.is_empty() {
            descent =
                descent.prepare(|batch, place| samples::changed(&augmentation, &batch, place));
        }
        let result = descent
            .on_visit(|visit| {
                let stopping = interrupt.stopping();
                record.borrow().step(visit, visit.steps as u64, stopping);
                if stopping { Flow::Stop } else { Flow::Continue }
            })
            .on_sweep(|sweep, net| {
                // The callback can only hand on errors that know no command.
                let other = |error: crate::error::Error| io::Error::other(error.text());
                record.borrow_mut().epoch(sweep).map_err(other)?;
                done.borrow_mut().push(sweep.clone());
                if let Some(copies) = self.copies {
                    copies.is_due(sweep);
                }
                let checkpoint = Checkpoint {
                    position: Position {
                        epoch: sweep.epoch,
                        seconds: sweep.seconds,
                        ..Position::default()
                    },
                    history: done.borrow().clone(),
                    note: note.clone(),
                    ..Checkpoint::default()
                };
                self.save(net, &checkpoint)?;
                Ok(if interrupt.stopping() { Flow::Stop } else { Flow::Continue })
            })
            .fit(net, &samples.train, watched);
        interrupt.end();
        let result = result.map_err(unwrapped).map(|descended| {
            *net = descended.net;
            let stopped = descended.stopped;
            History { epochs: descended.sweeps, stopped, stale: false, best: None }
        });
        record.into_inner().finish(net, result)
    }
}
