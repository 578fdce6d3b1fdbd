//! The loss from the settings, and whether network, targets and loss go together.

use lutweave::backend::Backend;
use lutweave::prelude::*;
use lutweave::tensor::Targets;
use lutweave::train::{self, Loss, Reduction, balanced_weights};

use toml::Spanned;

use super::config::{Config, LossConfig, ReductionConfig, TargetsConfig};
use super::place::nearest;
use super::source::Source;
use crate::error::Result;

/// Where the loss is in the settings, or what asks for one.
const LOSS: [&str; 4] = ["[loss]", "loss", "targets", "set"];

/// A loss that can be made as often as it is needed.
#[derive(Debug)]
pub(super) struct LossOf<'c> {
    config: &'c LossConfig,
    /// One for each class.
    weights: Option<Vec<f32>>,
}

impl<'c> LossOf<'c> {
    /// The loss for this network and these samples; refuses numbers that are out of range.
    pub(super) fn new(
        config: &'c Config,
        source: &Source,
        net: &Network,
        train: &Dataset,
    ) -> Result<Self> {
        let weights = match &config.loss {
            LossConfig::SoftmaxCrossEntropy { weights: Some(value) } => {
                let classes = classes(net, train);
                let weights = weights(value, classes, train);
                let at = || source.place_of_key(&LOSS, "weights");
                Some(weights.map_err(|what| source.error_at(at(), &what))?)
            }
            _ => None,
        };
        let new = Self { config: &config.loss, weights };
        match new.make() {
            Ok(_) => Ok(new),
            Err(error) => Err(source.error_at(source.place_of(&LOSS), &error.to_string())),
        }
    }

    /// The loss.
    pub(super) fn make(&self) -> train::Result<Box<dyn Loss>> {
        Ok(match self.config {
            LossConfig::SoftmaxCrossEntropy { .. } => match &self.weights {
                Some(weights) => Box::new(train::SoftmaxCrossEntropy.weighted(weights)?),
                None => Box::new(train::SoftmaxCrossEntropy),
            },
            LossConfig::SigmoidCrossEntropy { reduction } => {
                Box::new(train::SigmoidCrossEntropy { reduction: (*reduction).into() })
            }
            LossConfig::CrossEntropy {} => Box::new(train::CrossEntropy),
            LossConfig::BinaryCrossEntropy { reduction } => {
                Box::new(train::BinaryCrossEntropy { reduction: (*reduction).into() })
            }
            LossConfig::MeanSquaredError { reduction } => {
                Box::new(train::MeanSquaredError { reduction: (*reduction).into() })
            }
            LossConfig::SquaredHinge { reduction } => {
                Box::new(train::SquaredHinge { reduction: (*reduction).into() })
            }
            LossConfig::Distillation { temperature, share, .. } => {
                Box::new(train::Distillation::new(*temperature, *share)?)
            }
        })
    }
}

impl From<ReductionConfig> for Reduction {
    fn from(config: ReductionConfig) -> Self {
        match config {
            ReductionConfig::Mean => Self::Mean,
            ReductionConfig::FrameMean => Self::FrameMean,
            ReductionConfig::Sum => Self::Sum,
        }
    }
}

/// The classes that the network gives scores for.
fn classes(net: &Network, data: &Dataset) -> usize {
    match data.targets().own() {
        Targets::Classes { .. } => net.output().nodes(),
        _ => net.output().shape.first().copied().unwrap_or(1),
    }
}

/// Weights of classes as settings give them.
fn weights(
    value: &toml::Value,
    classes: usize,
    train: &Dataset,
) -> std::result::Result<Vec<f32>, String> {
    let expected = "expected `weights` to be \"balanced\" or a list of one number for each class";
    match value {
        toml::Value::String(name) if name == "balanced" => {
            balanced_weights(train.targets(), classes).map_err(|error| error.to_string())
        }
        toml::Value::String(name) => {
            let meant = nearest(name, ["balanced"].into_iter());
            let meant = meant.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
            Err(format!("{expected}, got `{name}`{meant}"))
        }
        toml::Value::Array(list) => {
            let number = |value: &toml::Value| {
                let number = value.as_float().or(value.as_integer().map(|whole| whole as f64));
                // Below 0, infinite and no number at all are one mistake.
                let fits = number.filter(|&x| (0.0..=f64::from(f32::MAX)).contains(&x));
                fits.map(|x| x as f32).ok_or_else(|| {
                    format!("expected weights that are finite and not negative, got {value}")
                })
            };
            let weights = list.iter().map(number).collect::<std::result::Result<Vec<_>, _>>()?;
            if weights.len() != classes {
                let got = weights.len();
                return Err(format!("expected {classes} weights, one for each class, got {got}"));
            }
            if weights.iter().all(|&weight| weight <= 0.0) {
                return Err("expected a weight above 0".to_owned());
            }
            Ok(weights)
        }
        other => Err(format!("{expected}, got {other}")),
    }
}

/// Refuses a network whose answers are not what loss and targets need, at the layer that gives them.
pub(super) fn check_output(
    config: &Config,
    source: &Source,
    net: &Network,
    train: &Dataset,
    backend: &dyn Backend,
) -> Result<()> {
    let refuse = |what: &str| Err(source.error_at(answering(config), what));
    if let Err(error) = train::check_targets(train, net) {
        let needed = match train.targets().own() {
            Targets::Classes { count, .. } => format!("{count} scores or more"),
            Targets::Pixels { count, shape, .. } => format!(
                "the shape {:?}",
                [*count].into_iter().chain(shape.iter().copied()).collect::<Vec<_>>()
            ),
            Targets::Real { shape, .. } => format!("the shape {shape:?}"),
            _ => return Err(error.into()),
        };
        let got = &net.output().shape;
        return refuse(&format!(
            "expected the network to give {needed}, for the targets of `{}`; got the shape {got:?}",
            train.name()
        ));
    }
    let dtype = net.output().dtype;
    if dtype != DType::F32 {
        return refuse(&format!(
            "the loss needs real numbers, and the network gives {dtype:?} of shape {:?}; expected \
             `group_sum` or `binary_to_real` at the end, or `real_output = true`",
            net.output().shape
        ));
    }
    let frames = net.evaluate(&net.batch(train, &[0])?, backend)?.frames();
    if frames != 1 {
        return refuse(&format!(
            "expected one answer for each sample, got {frames} frames; `binary_to_real` brings \
             them together"
        ));
    }
    Ok(())
}

/// Where the layer begins whose answer is that of the network.
fn answering(config: &Config) -> usize {
    let network = &config.network;
    let named = |name: &String| {
        let is_it = |node: &&Spanned<toml::Table>| {
            node.get_ref().get("name").and_then(toml::Value::as_str) == Some(name)
        };
        network.nodes.iter().find(is_it)
    };
    let node = network.output.as_ref().and_then(named).or(network.nodes.last());
    network.layers.last().or(node).map_or(0, |table| table.span().start)
}

/// Refuses what does not go with the kind of targets: a loss over classes where there are none, and
/// changes of images that their targets do not follow.
pub(super) fn check_targets(config: &Config, source: &Source, train: &Dataset) -> Result<()> {
    let (own, given) = (train.targets().own(), &config.data.targets);
    let over_classes = match config.loss {
        LossConfig::SoftmaxCrossEntropy { .. } => Some("softmax_cross_entropy"),
        LossConfig::CrossEntropy {} => Some("cross_entropy"),
        LossConfig::Distillation { .. } => Some("distillation"),
        _ => None,
    };
    // Several numbers a sample may be probabilities of classes.
    let no_classes = |shape: &[usize]| {
        *given == TargetsConfig::Samples || shape.first().is_none_or(|&classes| classes < 2)
    };
    if let (Some(loss), Targets::Real { shape, .. }) = (over_classes, own)
        && no_classes(shape)
    {
        let what = format!(
            "the loss `{loss}` is over classes, and the targets are numbers of shape {shape:?}; \
             expected `mean_squared_error`, `binary_cross_entropy` or `sigmoid_cross_entropy`"
        );
        return Err(source.error_at(source.place_of(&LOSS), &what));
    }
    let change = &config.data.augment;
    let moves = [
        ("shift", change.shift.is_some()),
        ("rotate", change.rotate.is_some()),
        ("scale", change.scale.is_some()),
        ("shear", change.shear.is_some()),
        ("elastic", change.elastic.is_some()),
        ("flip", change.flip.is_some()),
    ];
    let has_places = match own {
        Targets::Pixels { .. } => true,
        Targets::Real { shape, .. } => shape.len() > 1,
        _ => false,
    };
    match moves.iter().find(|(_, asked)| *asked) {
        Some((name, _)) if has_places => {
            let what = format!(
                "`{name}` moves the pixels of images but not those of their targets; expected \
                 `noise` or `cut_out`"
            );
            Err(source.error_at(source.place_of(&[name, "targets", "set"]), &what))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample of class 0 and three of class 2, for a network of four scores.
    #[test]
    fn weights_are_given_or_balanced() {
        let labels = Targets::Classes { count: 3, labels: vec![0, 2, 2, 2] };
        let values = lutweave::tensor::Values::U8(vec![0; 4]);
        let train = Dataset::new("t", &[1], values, labels).unwrap();
        let of = |text: &str| {
            let table: toml::Table = toml::from_str(&format!("weights = {text}")).unwrap();
            weights(&table["weights"], 4, &train)
        };
        assert_eq!(of("'balanced'").unwrap(), [2.0, 0.0, 4.0 / 6.0, 0.0]);
        assert_eq!(of("[1, 0.5, 0, 3]").unwrap(), [1.0, 0.5, 0.0, 3.0]);
        let cases = [
            ("'balance'", "did you mean `balanced`?"),
            ("7", "to be \"balanced\" or a list of one number for each class, got 7"),
            ("[1, 2]", "expected 4 weights, one for each class, got 2"),
            ("[1, 2, 3, nan]", "finite and not negative, got nan"),
            ("[1, 2, 3, 'x']", "finite and not negative, got \"x\""),
            ("[0, 0, 0, 0.0]", "expected a weight above 0"),
        ];
        for (text, says) in cases {
            let said = of(text).unwrap_err();
            assert!(said.contains(says), "`{says}` is not in\n{said}");
        }
    }
}
