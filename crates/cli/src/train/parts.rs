//! Optimizers, groups and schedules from the settings.

use lutweave::prelude::*;
use lutweave::train::{self, Clip, Drive, Groups, Optimizer};
use toml::Spanned;

use super::config::{Config, DriveConfig, GroupConfig, OptimizerConfig};
use super::place::nearest;
use super::source::Source;
use crate::error::Result;

/// The optimizer of all parameters, or one for each group of them.
pub(super) fn optimizer(config: &Config, net: &Network) -> Box<dyn Optimizer> {
    let mut optimizer = grouped(config);
    if let Some(lambda) = config.penalty.walsh {
        optimizer = Box::new(train::WalshPenalty::new(optimizer, lambda, net));
    }
    if let Some(lambda) = config.penalty.encoder {
        optimizer = Box::new(train::EncoderCost::new(optimizer, lambda, net));
    }
    optimizer
}

fn grouped(config: &Config) -> Box<dyn Optimizer> {
    let learning = config.groups.iter().filter_map(|group| {
        let group = group.get_ref();
        Some((group.layers.clone(), group.optimizer.as_ref()?))
    });
    let mut learning = learning.peekable();
    if learning.peek().is_none() {
        return one(&config.optimizer);
    }
    let mut groups = Groups::new(one(&config.optimizer));
    for (layers, optimizer) in learning {
        groups = groups.group(one(optimizer), move |parameter| selects(&layers, &parameter.path));
    }
    Box::new(groups)
}

fn one(config: &OptimizerConfig) -> Box<dyn Optimizer> {
    fn clipped(
        optimizer: impl Optimizer + 'static,
        norm: Option<f32>,
        value: Option<f32>,
    ) -> Box<dyn Optimizer> {
        match (norm, value) {
            (None, None) => Box::new(optimizer),
            (Some(norm), None) => Box::new(Clip::by_norm(optimizer, norm)),
            (None, Some(value)) => Box::new(Clip::by_value(optimizer, value)),
            (Some(norm), Some(value)) => {
                Box::new(Clip::by_value(Clip::by_norm(optimizer, norm), value))
            }
        }
    }
    use OptimizerConfig as Kind;
    match *config {
        Kind::Sgd { learning_rate, momentum, nesterov, weight_decay, clip_norm, clip_value } => {
            let sgd = train::Sgd::new(learning_rate).momentum(momentum).nesterov(nesterov);
            clipped(sgd.weight_decay(weight_decay), clip_norm, clip_value)
        }
        Kind::AdaGrad { learning_rate, epsilon, clip_norm, clip_value } => {
            let grad = train::AdaGrad::new(learning_rate);
            let grad = epsilon.into_iter().fold(grad, train::AdaGrad::epsilon);
            clipped(grad, clip_norm, clip_value)
        }
        Kind::Adam { learning_rate, betas, epsilon, clip_norm, clip_value } => {
            let adam = Adam::new(learning_rate).betas(betas.0, betas.1);
            clipped(epsilon.into_iter().fold(adam, Adam::epsilon), clip_norm, clip_value)
        }
        Kind::AdamW { learning_rate, betas, epsilon, weight_decay, clip_norm, clip_value } => {
            let adam = train::AdamW::new(learning_rate).betas(betas.0, betas.1);
            let adam = epsilon.into_iter().fold(adam, train::AdamW::epsilon);
            clipped(adam.weight_decay(weight_decay), clip_norm, clip_value)
        }
        Kind::ShiftAdaMax { learning_rate, betas, clip_norm, clip_value } => {
            let ada_max = train::ShiftAdaMax::new(learning_rate);
            let ada_max = betas.into_iter().fold(ada_max, |ada_max, (a, b)| ada_max.betas(a, b));
            clipped(ada_max, clip_norm, clip_value)
        }
        Kind::Bop { gamma, threshold, clip_norm, clip_value } => {
            clipped(train::Bop::new(gamma, threshold), clip_norm, clip_value)
        }
    }
}

/// Refuses numbers that an optimizer cannot work with, before anything is trained.
pub(super) fn check_optimizers(config: &Config, source: &Source) -> Result<()> {
    let check = |settings: &OptimizerConfig, at: usize| {
        let mut optimizer = one(settings);
        let rate = optimizer.learning_rate();
        // An update of no parameters looks at the settings alone.
        let checked = optimizer.update(Vec::new(), rate);
        checked.map_err(|error| source.error_at(at, &error.to_string()))
    };
    check(&config.optimizer, source.place_of(&["[optimizer]", "optimizer"]))?;
    for group in &config.groups {
        if let Some(optimizer) = &group.get_ref().optimizer {
            check(optimizer, group.span().start)?;
        }
    }
    Ok(())
}

/// The schedules of hyperparameters other than the learning rate.
pub(super) fn drives(config: &Config, source: &Source) -> Result<Vec<Drive<'static>>> {
    let drive = |drive: &Spanned<DriveConfig>| {
        let refuse = |what: &str| Err(source.error_at(drive.span().start, what));
        let DriveConfig { setting, layers, schedule } = drive.get_ref();
        let schedule = schedule.schedule();
        let of = setting.split_once('.');
        if layers.is_some() && !matches!(of, Some(("network", _))) {
            return refuse("only a `network.NAME` is of some `layers`");
        }
        match of {
            Some(("optimizer", "learning_rate" | "gamma")) => {
                refuse("the learning rate has a section of its own, `[schedule]`")
            }
            Some(("optimizer", name)) => Ok(Drive::optimizer(name, schedule)),
            Some(("loss", name)) => Ok(Drive::loss(name, schedule)),
            Some(("network", name)) => {
                let drive = Drive::layers(name, schedule);
                Ok(match layers.clone() {
                    Some(names) => drive.only(move |layer| selects(&names, layer.base().path())),
                    None => drive,
                })
            }
            _ => refuse(&format!(
                "expected `setting` to be `optimizer.NAME`, `loss.NAME` or `network.NAME`, got \
                 `{setting}`"
            )),
        }
    };
    config.schedules.iter().map(drive).collect()
}

/// Whether one of these names means what is at `path`: where it is the beginning of the path, in
/// whole parts (`1`, `1.lut`), or, being no number, one of its parts (`lut`, `weights`).
fn selects(names: &[String], path: &str) -> bool {
    names.iter().any(|name| {
        let rest = path.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            || (name.parse::<usize>().is_err() && path.split('.').any(|part| part == name))
    })
}

/// Checks that every group has parameters and none has two groups, and freezes those that are to be
/// frozen. Files do not keep what is frozen, so this is for networks that are read as well.
pub(super) fn group(config: &Config, source: &Source, net: &mut Network) -> Result<()> {
    if config.groups.is_empty() {
        return Ok(());
    }
    let paths: Vec<String> =
        net.parameters_mut().into_iter().map(|parameter| parameter.path.clone()).collect();
    for (number, group) in config.groups.iter().enumerate() {
        let refuse = |what: &str| Err(source.error_at(group.span().start, what));
        let GroupConfig { layers, optimizer, frozen } = group.get_ref();
        if optimizer.is_some() == *frozen {
            return refuse("a group has an `optimizer` or is `frozen = true`, one of them");
        }
        for name in layers {
            let one = std::slice::from_ref(name);
            if !paths.iter().any(|path| selects(one, path)) {
                let parts = paths
                    .iter()
                    .flat_map(|path| [path.as_str()].into_iter().chain(path.split('.')));
                let nearest = nearest(name, parts);
                let nearest =
                    nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
                let all = paths.join("`, `");
                return refuse(&format!("`{name}` has no parameters; there are `{all}`{nearest}"));
            }
        }
        if layers.is_empty() {
            return refuse(
                "a group needs `layers`: where they are, such as \"1\", or of what kind",
            );
        }
        for other in &config.groups[..number] {
            let both =
                |path: &&String| selects(layers, path) && selects(&other.get_ref().layers, path);
            if let Some(path) = paths.iter().find(both) {
                return refuse(&format!("`{path}` is in an earlier group already"));
            }
        }
    }
    let frozen: Vec<String> = config
        .groups
        .iter()
        .filter(|group| group.get_ref().frozen)
        .flat_map(|group| group.get_ref().layers.clone())
        .collect();
    net.freeze(|layer| selects(&frozen, layer.base().path()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_places_and_kinds() {
        let cases = [
            ("1", "1.lut.weights", true),
            ("1.lut", "1.lut.weights", true),
            ("1", "10.lut.weights", false),
            ("0", "3.convolution.0.lut.weights", false),
            ("lut", "3.convolution.0.lut.weights", true),
            ("lu", "1.lut.weights", false),
            ("weights", "1.lut.weights", true),
        ];
        for (name, path, selected) in cases {
            assert_eq!(selects(&[name.to_owned()], path), selected, "{name} of {path}");
        }
    }

    fn grouped(groups: &str) -> std::result::Result<(Network, Box<dyn Optimizer>), String> {
        let text = format!(
            "data.set = 'digits'\n\
             network.layers = [{{ kind = 'dense', shape = [9], binary_weights = true }}, \
             {{ kind = 'dense', shape = [10] }}]\n\
             training = {{ epochs = 1, batch = 4 }}\n{groups}"
        );
        let source = Source { file: "a.toml".to_owned(), text };
        let config = source.parse().map_err(|error| error.text())?;
        let mut net = Sequential::new(&[64])
            .reading(DType::F32)
            .then(lutweave::nn::Dense::new(&[9]).binary_weights(true))
            .then(lutweave::nn::Dense::new(&[10]))
            .build(1)
            .map_err(|error| error.to_string())?;
        group(&config, &source, &mut net).map_err(|error| error.text())?;
        let optimizer = optimizer(&config, &net);
        Ok((net, optimizer))
    }

    #[test]
    fn groups_have_their_optimizers() {
        let bop = "[[groups]]\nlayers = ['0.dense.weights']\n\
                   optimizer = { kind = 'bop', gamma = 0.5, threshold = 0.0 }\n\
                   [[groups]]\nlayers = ['1']\nfrozen = true\n";
        let (mut net, mut optimizer) = grouped(bop).unwrap();
        let values = |net: &mut Network| -> Vec<Vec<f32>> {
            net.parameters_mut().iter().map(|parameter| parameter.values.to_vec()).collect()
        };
        let before = values(&mut net);
        for parameter in net.parameters_mut() {
            parameter.gradient.fill(1.0);
        }
        optimizer.update(net.parameters_mut(), optimizer.learning_rate()).unwrap();
        let after = values(&mut net);
        assert!(after[0].iter().all(|&weight| weight.to_bits() == f32::to_bits(-1.0)), "Bop's");
        assert!(after[1] != before[1], "the default's");
        assert!(after[2..] == before[2..], "frozen");
    }

    #[test]
    fn schedules_are_of_what_there_is() {
        let parse = |schedules: &str| {
            let text = format!(
                "data.set = 'digits'\nnetwork.layers = []\n\
                 training = {{ epochs = 1, batch = 4 }}\n{schedules}"
            );
            let source = Source { file: "a.toml".to_owned(), text };
            let config = source.parse().map_err(|error| error.text())?;
            let drives = drives(&config, &source).map_err(|error| error.text())?;
            Ok(drives.iter().map(|drive| format!("{drive:?}")).collect::<Vec<_>>())
        };
        let one = |setting: &str, more: &str| -> std::result::Result<Vec<String>, String> {
            parse(&format!("[[schedules]]\nsetting = '{setting}'\n{more}"))
        };
        let cosine = "schedule.kind = 'cosine'";
        assert_eq!(one("optimizer.momentum", cosine).unwrap(), ["optimizer.momentum: Cosine"]);
        assert_eq!(one("loss.share", cosine).unwrap(), ["loss.share: Cosine"]);
        let some = format!("layers = ['2']\n{cosine}");
        assert_eq!(one("network.noise", &some).unwrap(), ["layers.noise: Cosine"]);
        let cases = [
            (one("momentum", cosine), "line 4, column 1: expected `setting` to be"),
            (one("optimizer.learning_rate", cosine), "`[schedule]`"),
            (one("optimizer.momentum", &some), "only a `network.NAME`"),
            (one("loss.share", "schedule = { kind = 'cosin' }"), "did you mean `cosine`?"),
            (one("loss.share", "schedules = 1"), "did you mean `schedule`?"),
        ];
        for (result, says) in cases {
            let error = result.unwrap_err();
            assert!(error.contains(says), "`{says}` is not in\n{error}");
        }
    }

    #[test]
    fn groups_that_cannot_be_meant_are_refused() {
        let adam = "optimizer = { kind = 'adam', learning_rate = 0.1 }";
        let cases = [
            (
                format!("[[groups]]\nlayers = ['2']\n{adam}"),
                "line 4, column 1: `2` has no parameters",
            ),
            (format!("[[groups]]\nlayers = ['dens']\n{adam}"), "did you mean `dense`?"),
            ("[[groups]]\nlayers = ['1']\n".to_owned(), "an `optimizer` or is `frozen = true`"),
            (format!("[[groups]]\nlayers = []\n{adam}"), "needs `layers`"),
            (
                format!(
                    "[[groups]]\nlayers = ['1']\n{adam}\n[[groups]]\nlayers = ['bias']\n{adam}"
                ),
                "`1.dense.bias` is in an earlier group",
            ),
            (format!("[[groups]]\nlayer = ['1']\n{adam}"), "did you mean `layers`?"),
        ];
        for (groups, says) in cases {
            let said = grouped(&groups).map(drop).unwrap_err();
            assert!(said.contains(says), "`{says}` is not in\n{said}");
        }
    }
}
