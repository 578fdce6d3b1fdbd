//! Hyperparameters other than the learning rate over a training run.

use std::fmt;

use lutweave_nn::{Layer, Network, scale_setting};

use crate::{Error, Loss, Optimizer, Result, Schedule};

/// A schedule for a hyperparameter: in every step it is the schedule's factor times what it was
/// made with.
///
/// | | names |
/// |---|---|
/// | optimizer | `momentum`, `weight_decay`, `beta1`, `beta2`, `epsilon`, `threshold`, `clip_norm`, `clip_value` |
/// | loss | `temperature` and `share` of distillation |
/// | layers | `temperature` of group sums, Walsh tables and gate mixtures; `noise` of models; `rate` of dropout and bit errors; `momentum` of running statistics; what else a layer has in its [`settings`](Layer::settings) |
///
/// The value follows from the number of the step, so training goes on from a checkpoint as if it
/// had not stopped. That of layers belongs to the network's state: what is saved or kept as the best
/// has the values it was trained with.
///
/// ```
/// use lutweave_train::{AdamW, Drive, Schedule, SoftmaxCrossEntropy, Trainer};
///
/// let trainer = Trainer::new(AdamW::new(1e-2), SoftmaxCrossEntropy)
///     .drive(Drive::optimizer("weight_decay", Schedule::Cosine))
///     .drive(Drive::layers("temperature", Schedule::Exponential { last: 0.1 }));
/// ```
pub struct Drive<'a> {
    name: String,
    of: Of<'a>,
    schedule: Schedule,
}

/// Whether a layer is meant.
type Which<'a> = Box<dyn Fn(&dyn Layer) -> bool + 'a>;

/// Whose hyperparameter.
enum Of<'a> {
    Optimizer,
    Loss,
    Layers(Which<'a>),
}

impl<'a> Drive<'a> {
    /// Drives one of an optimizer's, in all groups that have it.
    pub fn optimizer(name: &str, schedule: Schedule) -> Self {
        Self { name: name.to_owned(), of: Of::Optimizer, schedule }
    }

    /// Drives one of a loss.
    pub fn loss(name: &str, schedule: Schedule) -> Self {
        Self { name: name.to_owned(), of: Of::Loss, schedule }
    }

    /// Drives a setting of all layers that have it.
    pub fn layers(name: &str, schedule: Schedule) -> Self {
        Self { name: name.to_owned(), of: Of::Layers(Box::new(|_| true)), schedule }
    }

    /// Of layers, only those that `which` is true of.
    #[must_use]
    pub fn only(self, which: impl Fn(&dyn Layer) -> bool + 'a) -> Self {
        match self.of {
            Of::Layers(_) => Self { of: Of::Layers(Box::new(which)), ..self },
            _ => self,
        }
    }

    /// Refuses a schedule out of range, and a name that nothing has; changes nothing. Training does so
    /// itself; this is for whoever wants to know before.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] and [`Error::Unknown`].
    pub fn check(
        &self,
        optimizer: &mut dyn Optimizer,
        loss: &mut dyn Loss,
        net: &Network,
    ) -> Result<()> {
        self.schedule.check()?;
        let owned = |(name, _): (&'static str, _)| name.to_owned();
        let (of, names): (_, Vec<String>) = match &self.of {
            Of::Optimizer => {
                ("the optimizer", optimizer.hyperparameters().into_iter().map(owned).collect())
            }
            Of::Loss => ("the loss", loss.hyperparameters().into_iter().map(owned).collect()),
            Of::Layers(which) => {
                let mut names = Vec::new();
                net.for_each(|layer| {
                    if which(layer) {
                        names.extend(layer.settings().into_iter().map(|(name, _)| name));
                    }
                });
                ("the layers", names)
            }
        };
        if names.contains(&self.name) { Ok(()) } else { Err(self.unknown(of, names)) }
    }

    /// Says what there is where nothing has the name.
    fn unknown(&self, of: &'static str, mut names: Vec<String>) -> Error {
        names.sort_unstable();
        names.dedup();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Error::Unknown { of, name: self.name.chars().take(80).collect(), there }
    }

    /// Sets the value for step `step` of `steps`.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] when nothing has such a hyperparameter, with those there are;
    /// [`Error::Option`] when the schedule's settings are out of range, [`Error::Network`] when the value
    /// is.
    pub(crate) fn apply(
        &self,
        (step, steps): (usize, usize),
        optimizer: &mut dyn Optimizer,
        loss: &mut dyn Loss,
        net: &mut Network,
    ) -> Result<()> {
        self.schedule.check()?;
        let factor = self.schedule.factor(step, steps);
        let (of, names) = match &self.of {
            Of::Optimizer => ("the optimizer", self.scale(optimizer.hyperparameters(), factor)),
            Of::Loss => ("the loss", self.scale(loss.hyperparameters(), factor)),
            Of::Layers(which) => ("the layers", self.scale_layers(net, which, factor)?),
        };
        names.map_or(Ok(()), |names| Err(self.unknown(of, names)))
    }

    /// Scales what has the name; the names there are where nothing has.
    fn scale(
        &self,
        all: Vec<(&'static str, &mut crate::Hyperparameter)>,
        factor: f32,
    ) -> Option<Vec<String>> {
        let mut names = Vec::new();
        let mut found = false;
        for (name, value) in all {
            names.push(name.to_owned());
            if name == self.name {
                value.scale(factor);
                found = true;
            }
        }
        (!found).then_some(names)
    }

    fn scale_layers(
        &self,
        net: &mut Network,
        which: &Which<'_>,
        factor: f32,
    ) -> Result<Option<Vec<String>>> {
        let (mut names, mut found, mut result) = (Vec::new(), false, Ok(()));
        net.for_each_mut(|layer| {
            if result.is_err() || !which(layer) {
                return;
            }
            let own = layer.settings().into_iter().map(|(name, _)| name);
            let before = names.len();
            names.extend(own);
            if names[before..].contains(&self.name) {
                found = true;
                result = scale_setting(layer, &self.name, factor).map(|_| ());
            }
        });
        result?;
        Ok((!found).then_some(names))
    }
}

impl fmt::Debug for Drive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.of {
            Of::Optimizer => "optimizer",
            Of::Loss => "loss",
            Of::Layers(_) => "layers",
        };
        write!(f, "{of}.{}: {:?}", self.name, self.schedule)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_nn::{Dense, Dropout, GroupSum, LutLayer, Sequential};
    use lutweave_tensor::DType;

    use super::*;
    use crate::{Adam, AdamW, Bop, Clip, Distillation, Groups, Sgd, SoftmaxCrossEntropy};

    fn net() -> Network {
        Sequential::new(&[16])
            .reading(DType::Bit)
            .then(LutLayer::new(8).fan_in(2).real_output(true))
            .then(Dropout::new(0.5))
            .then(Dense::new(&[2]))
            .build(1)
            .unwrap()
    }

    #[test]
    fn each_is_scaled_from_what_it_was() {
        let halved = Schedule::Step { every: 1, factor: 0.5 };
        let mut optimizer = Groups::new(Clip::by_norm(AdamW::new(0.1).weight_decay(0.5), 2.0))
            .group(Sgd::new(0.1).momentum(0.5).weight_decay(0.25), |_| false)
            .group(Bop::new(0.1, 1.0), |_| false);
        let mut loss = Distillation::new(4.0, 0.5).unwrap();
        let mut net = net();
        let drives = [
            Drive::optimizer("weight_decay", halved.clone()),
            Drive::optimizer("clip_norm", halved.clone()),
            Drive::optimizer("threshold", halved.clone()),
            Drive::loss("temperature", halved.clone()),
            Drive::layers("rate", halved.clone()),
        ];
        for (step, factor) in [(1, 0.5), (2, 0.25), (0, 1.0)] {
            for drive in &drives {
                drive.apply((step, 3), &mut optimizer, &mut loss, &mut net).unwrap();
            }
            for (name, value) in optimizer.hyperparameters() {
                let driven = ["weight_decay", "clip_norm", "threshold"].contains(&name);
                let factor = if driven { factor } else { 1.0 };
                assert_eq!(value.now().to_bits(), (value.own() * factor).to_bits(), "{name}");
            }
            let values: Vec<f32> =
                loss.hyperparameters().iter().map(|(_, value)| value.now()).collect();
            assert_eq!(values, [4.0 * factor, 0.5]);
            let mut rate = 0f32;
            net.for_each(|layer| {
                rate += layer.settings().iter().find(|s| s.0 == "rate").map_or(0.0, |s| s.1);
            });
            assert_eq!(rate.to_bits(), f32::to_bits(0.5 * factor));
        }
    }

    #[test]
    fn what_there_is_not_is_an_error_with_what_there_is() {
        let (mut optimizer, mut loss) = (Sgd::new(0.1), SoftmaxCrossEntropy);
        let mut bits = Sequential::new(&[16])
            .reading(DType::Bit)
            .then(LutLayer::new(8))
            .then(GroupSum::new(2))
            .build(1)
            .unwrap();
        let cosine = || Schedule::Cosine;
        let cases = [
            (
                Drive::optimizer("beta1", cosine()),
                "the optimizer: there is no `beta1` for a schedule to change; there is momentum, \
                 weight_decay",
            ),
            (
                Drive::loss("share", cosine()),
                "the loss: there is no `share` for a schedule to change; there is none",
            ),
            (
                Drive::layers("temperature", cosine()).only(Layer::learns),
                "the layers: there is no `temperature` for a schedule to change; there is bias, \
                 momentum",
            ),
        ];
        for (drive, says) in cases {
            let error = drive.apply((0, 1), &mut optimizer, &mut loss, &mut bits).unwrap_err();
            assert!(error.to_string().starts_with(says), "{error}");
        }
        // The end of a cosine is no temperature.
        let drive = Drive::layers("temperature", cosine());
        assert!(drive.apply((1, 1), &mut optimizer, &mut loss, &mut bits).is_err());
        let mut adam = Adam::new(0.1);
        let wrong = Drive::optimizer("beta1", Schedule::Shift { every: 0 });
        assert!(wrong.apply((0, 1), &mut adam, &mut loss, &mut bits).is_err());
    }
}
