//! Training to a budget of LUTs: nodes go, epoch after epoch, until encoder, core and head fit.
//!
//! Behind each layer of LUTs is a `tie`. From `from` to `to` of the epochs the excess is brought down by
//! equal steps, as [`train::prune`](lutweave::train::prune) does it; before and after, the network only
//! learns. What tables learn may cost LUTs again, so every later epoch ends with a look, the last too.

use lutweave::backend::Backend;
use lutweave::nn::{Answer, Tie};
use lutweave::prelude::*;
use lutweave::rtl::Target;
use lutweave::train::{self, BoxError};

use super::config::{BudgetConfig, Config};
use super::folder::{Folder, NETLIST};
use super::source::Source;
use crate::error::Result;
use crate::report::{count, grouped};
use crate::resources;

/// The device whose LUTs count.
const TARGET: Target = Target::Xilinx7;

/// A budget, and the samples on which nodes are weighed.
pub(super) struct Budget<'s> {
    config: BudgetConfig,
    sample: Dataset,
    backend: &'s dyn Backend,
}

impl<'s> Budget<'s> {
    /// The budget of the settings, if they have one.
    pub(super) fn new(
        config: &Config,
        source: &Source,
        net: &Network,
        train: &Dataset,
        backend: &'s dyn Backend,
    ) -> Result<Option<Self>> {
        let Some(place) = &config.budget else { return Ok(None) };
        let refuse = |what: &str| Err(source.error_at(place.span().start, what));
        let budget = *place.get_ref();
        if budget.luts == 0 {
            return refuse("expected `luts` to be at least 1, got 0");
        }
        if !(0.0 <= budget.from && budget.from < budget.to && budget.to <= 1.0) {
            return refuse("expected 0 ≤ `from` < `to` ≤ 1: parts of the epochs");
        }
        if config.training.keep_best || config.training.patience.is_some() {
            return refuse(
                "`keep_best` and `patience` look at networks that are still too large: leave them \
                 out, or the budget",
            );
        }
        if train.classes().is_none() {
            return refuse("the samples need classes, by which nodes are weighed");
        }
        let mut ties = 0;
        net.for_each(|layer| ties += Tie::tied(layer).map_or(0, |nodes| nodes.len()));
        if ties == 0 {
            return refuse(
                "`network.layers` need a `lut` that gives bits: its nodes are what goes",
            );
        }
        let samples = budget.samples.get().min(train.len());
        let each =
            (0..samples).map(|k| (k as u128 * train.len() as u128 / samples as u128) as usize);
        let sample = train.select(&each.collect::<Vec<_>>())?;
        Ok(Some(Self { config: budget, sample, backend }))
    }

    /// How many LUTs the network may have after an epoch, from 1, that has `now`; none before the
    /// first nodes go.
    fn allowed(&self, epoch: usize, epochs: usize, now: usize) -> Option<usize> {
        let at = |part: f64| ((part * epochs as f64).ceil() as usize).clamp(1, epochs);
        let (first, last) = (at(self.config.from), at(self.config.to));
        if epoch < first {
            return None;
        }
        let rounds = (last + 1).saturating_sub(epoch).max(1);
        let excess = now.saturating_sub(self.config.luts);
        Some(self.config.luts + excess - excess.div_ceil(rounds))
    }

    /// Ties nodes after an epoch.
    pub(super) fn reshape(
        &self,
        net: &mut Network,
        epoch: usize,
        epochs: usize,
    ) -> std::result::Result<(), BoxError> {
        if self.allowed(epoch, epochs, usize::MAX).is_none() {
            return Ok(());
        }
        let now = cost(net)?.iter().sum();
        let Some(allowed) = self.allowed(epoch, epochs, now) else { return Ok(()) };
        if now <= allowed {
            return Ok(());
        }
        let mut cost = |net: &Network| Ok(cost(net)?.iter().sum());
        let pruned = train::prune(net, &self.sample, allowed, &mut cost, self.backend)?;
        let (free, all) = train::free_nodes(net);
        eprintln!(
            "budget: {} LUTs, {} after {} tied; {free} of {all} nodes left; loss {:.4} → {:.4}",
            grouped(now),
            grouped(pruned.cost),
            count(pruned.tied, "node"),
            pruned.loss.0,
            pruned.loss.1
        );
        Ok(())
    }

    /// Writes the netlist of the finished network, and says what it costs.
    pub(super) fn finish(&self, net: &Network, folder: &Folder) -> Result<()> {
        let [encoder, core, head] = cost(net)?;
        let options = lutweave::lut::opt::Options { expand: true, ..Default::default() };
        let small = netlist(net)?.optimise(&options)?.0;
        folder.write(NETLIST, small.to_text().as_bytes())?;
        say!(
            "{} of {}: encoder {encoder}, core {core}, head {head}; netlist: {}",
            grouped(encoder + core + head),
            count(self.config.luts, "LUT"),
            folder.file(NETLIST).display()
        );
        Ok(())
    }
}

fn netlist(net: &Network) -> Result<Netlist> {
    resources::without_constants(net.to_hardware("network", Answer::Auto)?.netlist)
}

/// The estimated LUTs of encoder, core and head.
fn cost(net: &Network) -> Result<[usize; 3]> {
    resources::estimate(&netlist(net)?, TARGET)
}

/// Reads `2000` or `2000luts`.
pub(super) fn luts(text: &str) -> std::result::Result<usize, String> {
    let number = text.strip_suffix("luts").unwrap_or(text).trim();
    match number.replace(['_', ','], "").parse() {
        Ok(0) | Err(_) => Err("expected a number of LUTs above 0, such as 2000luts".to_owned()),
        Ok(luts) => Ok(luts),
    }
}

impl std::fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use lutweave::backend::Cpu;

    use super::*;

    #[test]
    fn the_excess_goes_in_equal_steps() {
        let samples = NonZeroUsize::MIN;
        let config = BudgetConfig { luts: 100, from: 0.3, to: 0.7, samples };
        let sample = lutweave::data::digits().unwrap().1;
        let backend = Cpu::new();
        let budget = Budget { config, sample, backend: &backend };
        let mut now = 1000;
        let mut seen = Vec::new();
        for epoch in 1..=10 {
            now = budget.allowed(epoch, 10, now).unwrap_or(now);
            seen.push(now);
        }
        assert_eq!(seen, [1000, 1000, 820, 640, 460, 280, 100, 100, 100, 100]);
        // A network that is small enough stays, one that grew again goes back.
        assert_eq!(budget.allowed(5, 10, 60), Some(100));
        assert_eq!(budget.allowed(10, 10, 103), Some(100));
    }

    #[test]
    fn budgets_are_numbers_with_a_unit_or_none() {
        assert_eq!((luts("2000luts"), luts("2,000 luts"), luts("7")), (Ok(2000), Ok(2000), Ok(7)));
        for text in ["", "luts", "0luts", "-3", "2k", "1e3"] {
            assert!(luts(text).is_err(), "{text}");
        }
    }
}
