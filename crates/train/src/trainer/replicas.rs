//! Copies of the network on devices of their own, and what a step exchanges between them.

use std::sync::Arc;
use std::thread;

use lutweave_backend::{Backend, Fault, Reduce, Watched};
use lutweave_nn::{GIVES, Network};
use lutweave_tensor::{FrameBuffer, Target};

use crate::{Error, Loss, PartLoss, Result};

/// A part of a batch, with its number in it.
pub(super) type Part = (usize, Arc<FrameBuffer>, Target);

/// What came of a part: its number, its loss, the answers, and what was wanted.
pub(super) type Done = (usize, PartLoss, FrameBuffer, Target);

/// The devices after the first, each with a copy of the network.
pub(super) struct Replicas<'a> {
    copies: Vec<(Network, &'a dyn Backend)>,
    reduce: &'a dyn Reduce,
}

impl<'a> Replicas<'a> {
    pub(super) fn new(
        net: &Network,
        backends: &[&'a dyn Backend],
        reduce: &'a dyn Reduce,
    ) -> Result<Self> {
        let copy = |&backend: &&'a dyn Backend| Ok((net.replica()?, backend));
        Ok(Self { copies: backends.iter().map(copy).collect::<Result<_>>()?, reduce })
    }

    /// Devices, the first included.
    pub(super) fn devices(&self) -> usize {
        1 + self.copies.len()
    }

    /// Makes all copies like the network, whose form may have changed.
    pub(super) fn renew(&mut self, net: &Network) -> Result<()> {
        for (copy, _) in &mut self.copies {
            *copy = net.replica()?;
        }
        Ok(())
    }

    /// The copies, to change a setting of all.
    pub(super) fn networks(&mut self) -> impl Iterator<Item = &mut Network> {
        self.copies.iter_mut().map(|(net, _)| net)
    }

    /// Runs the parts of a batch forward and back: part `i` on device `i mod devices`, the devices side
    /// by side, unless the caller is in the thread pool. The gradients of the network are then those of the
    /// whole batch.
    pub(super) fn run(
        &mut self,
        (net, backend): (&mut Network, &dyn Backend),
        parts: Vec<(Arc<FrameBuffer>, Target)>,
        (loss, whole): (&dyn Loss, f64),
    ) -> Result<Vec<Done>> {
        let mut shares: Vec<Vec<Part>> = (0..self.devices()).map(|_| Vec::new()).collect();
        for (number, (batch, target)) in parts.into_iter().enumerate() {
            shares[number % self.devices()].push((number, batch, target));
        }
        let mut shares = shares.into_iter();
        let first = shares.next().unwrap_or_default();
        // A thread of the pool that waited for others could be the one that they need.
        let done = if rayon::current_thread_index().is_some() {
            let others = self.copies.iter_mut().zip(shares);
            let mut done = vec![run_whole(net, backend, first, (loss, whole))];
            done.extend(
                others
                    .map(|((net, backend), parts)| run_whole(net, *backend, parts, (loss, whole))),
            );
            done
        } else {
            thread::scope(|scope| {
                let others = self.copies.iter_mut().zip(shares);
                let others: Vec<_> = others
                    .map(|((net, backend), parts)| {
                        scope.spawn(|| run_whole(net, *backend, parts, (loss, whole)))
                    })
                    .collect();
                let mut done = vec![run_whole(net, backend, first, (loss, whole))];
                let failed = || Err(Error::Callback("a thread of a device failed".into()));
                done.extend(
                    others.into_iter().map(|thread| thread.join().unwrap_or_else(|_| failed())),
                );
                done
            })
        };
        let mut all = Vec::new();
        for done in done {
            all.extend(done?);
        }
        all.sort_by_key(|done| done.0);
        self.exchange(net, |reduce, parameter, others| {
            let others = others.into_iter().map(|other| &mut other.gradient).collect();
            reduce.sum(&mut parameter.gradient, others)
        })?;
        check_sums(net, backend)?;
        Ok(all)
    }

    /// Gives all copies the parameters of the network.
    pub(super) fn share(&mut self, net: &mut Network) -> Result<()> {
        self.exchange(net, |reduce, parameter, others| {
            let others = others.into_iter().map(|other| &mut other.values).collect();
            reduce.share(&parameter.values, others)
        })
    }

    /// Does something with each parameter and those of all copies.
    fn exchange(
        &mut self,
        net: &mut Network,
        what: impl Fn(
            &dyn Reduce,
            &mut lutweave_nn::Parameter,
            Vec<&mut lutweave_nn::Parameter>,
        ) -> lutweave_backend::Result<()>,
    ) -> Result<()> {
        let reduce = self.reduce;
        let mut copies: Vec<_> =
            self.networks().map(|copy| copy.parameters_mut().into_iter()).collect();
        for parameter in net.parameters_mut() {
            let others = copies.iter_mut().filter_map(Iterator::next).collect();
            if !parameter.frozen {
                what(reduce, parameter, others).map_err(lutweave_nn::Error::from)?;
            }
        }
        Ok(())
    }
}

/// Refuses sums of gradients that are not finite, which they may be though every part is.
fn check_sums(net: &mut Network, backend: &dyn Backend) -> Result<()> {
    let parameters = net.parameters_mut();
    let watched = parameters.iter().map(|parameter| Watched {
        numbers: &parameter.gradient,
        layer: &parameter.path,
        what: "the gradient summed over devices",
    });
    let watched: Vec<Watched<'_>> = watched.collect();
    let Some(at) = backend.watch_all(&watched).map_err(lutweave_nn::Error::from)? else {
        return Ok(());
    };
    let Watched { layer, what, .. } = watched[at];
    Err(lutweave_nn::Error::NotFinite { layer: layer.to_owned(), what: what.to_owned() }.into())
}

/// Runs some parts one after the other, and waits for what they say at the end.
fn run_whole(
    net: &mut Network,
    backend: &dyn Backend,
    parts: Vec<Part>,
    loss: (&dyn Loss, f64),
) -> Result<Vec<Done>> {
    let later = backend.step();
    let backend = later.as_deref().unwrap_or(backend);
    let done = run_parts(net, backend, parts, loss, later.is_some())?;
    check(&done, backend)?;
    Ok(done)
}

/// Refuses numbers that are not finite, where a step found them. What follows from a loss that is none is
/// left to whoever reads that.
pub(super) fn check(done: &[Done], backend: &dyn Backend) -> Result<()> {
    let fault = backend.fault().map_err(lutweave_nn::Error::from)?;
    let Some(Fault { layer, what }) = fault else { return Ok(()) };
    for (_, loss, ..) in done {
        if what != GIVES && !loss.read()?.is_finite() {
            return Ok(());
        }
    }
    Err(lutweave_nn::Error::NotFinite { layer, what }.into())
}

/// Runs some parts one after the other, to the first loss that is known to be no number. With `later`, losses
/// that lie on a device are read by whoever gets them, and what follows one that is no number is computed
/// and of no use.
pub(super) fn run_parts(
    net: &mut Network,
    backend: &dyn Backend,
    parts: Vec<Part>,
    (loss, whole): (&dyn Loss, f64),
    later: bool,
) -> Result<Vec<Done>> {
    let mut done = Vec::with_capacity(parts.len());
    for (number, batch, target) in parts {
        let (y, saved) = net.forward(batch, backend)?;
        let (loss, dy) = loss.evaluate_part_on(&y, &target, whole, backend)?;
        // A loss that is no number ends the training; its gradient would only hide where.
        let goes_on = if later { !loss.is_known_bad() } else { loss.read()?.is_finite() };
        if goes_on {
            net.backward(saved, &dy, backend)?;
        }
        done.push((number, loss, y, target));
        if !goes_on {
            break;
        }
    }
    Ok(done)
}
