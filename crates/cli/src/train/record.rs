//! What is told and written of a training while it goes on: bar and lines, log, report.

use std::time::{Duration, Instant};

use lutweave::nn::Table;
use lutweave::prelude::*;
use lutweave::train::metrics::Confusion;
use lutweave::train::{Epoch, History, Progress, evaluate, metric_of};

use super::folder::{Log, REPORT};
use super::show::{self, Show};
use super::split::Samples;
use super::{Finished, Session};
use crate::classes::Judged;
use crate::error::Result;
use crate::report::training::Training;

/// Time between two versions of the report at least.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// What is told and written.
pub(super) struct Record<'s> {
    session: &'s Session<'s>,
    layers: Table,
    test: &'s Dataset,
    /// Samples to train on, and to look at the network on, and what the latter are called.
    samples: (usize, usize),
    part: &'static str,
    metric: String,
    log: Log,
    show: Show,
    epochs: Vec<Epoch>,
    reported: Option<Instant>,
}

impl<'s> Record<'s> {
    /// Begins, after the epochs that there have been.
    pub(super) fn new(
        session: &'s Session<'s>,
        net: &Network,
        history: &[Epoch],
        samples: &'s Samples,
    ) -> Result<Self> {
        let (watched, part) = samples.watched();
        Ok(Self {
            session,
            layers: net.describe(),
            test: &samples.test,
            samples: (samples.train.len(), watched.len()),
            part,
            metric: metric_of(watched).name().to_owned(),
            log: session.folder.log(history, net.luts(), part, session.devices.name())?,
            show: Show::start(history.last(), part),
            epochs: history.to_vec(),
            reported: None,
        })
    }

    /// After a step, of which an epoch has so many.
    pub(super) fn step(&self, step: &Progress, steps: u64, stopping: bool) {
        self.show.step(&self.metric, step, steps, stopping);
    }

    /// After an epoch.
    pub(super) fn epoch(&mut self, epoch: &Epoch) -> Result<()> {
        self.show.epoch(epoch);
        self.epochs.push(epoch.clone());
        self.log.add(epoch)?;
        let last = epoch.epoch == epoch.epochs;
        if last || self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            self.report(!last, None)?;
        }
        Ok(())
    }

    fn report(&mut self, running: bool, confusion: Option<&Confusion>) -> Result<()> {
        self.reported = Some(Instant::now());
        let (train, watched) = self.samples;
        let page = Training {
            name: self.session.name,
            data: (&self.session.config.data.set, train, watched),
            part: self.part,
            epochs: &self.epochs,
            layers: &self.layers,
            device: self.session.devices.told(),
            running,
            confusion,
            config: &self.session.source.text,
        };
        self.session.folder.write(REPORT, page.html(show::short).as_bytes())
    }

    /// Ends: looks at the test samples unless training was stopped or went wrong, and writes the last
    /// version of the report.
    pub(super) fn finish(mut self, net: &Network, result: Result<History>) -> Result<Finished> {
        let result = result.and_then(|history| {
            let judge = || Judged::of(net, self.test, self.session.backend, evaluate);
            let judged = if history.stopped { None } else { Some(judge()?) };
            self.report(false, judged.as_ref().and_then(|judged| judged.confusion.as_ref()))?;
            Ok((history, judged))
        });
        self.show.finish();
        result
    }
}
