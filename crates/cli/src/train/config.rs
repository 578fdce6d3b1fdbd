//! The settings of a training: a TOML file, of which every key is known and every mistake has a
//! place.

use std::num::NonZeroUsize;

use lutweave::train::Schedule;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What the network is called in files; the name of the file if there is none.
    pub(crate) name: Option<String>,
    /// Number that all chance is drawn from.
    #[serde(default = "one")]
    pub(crate) seed: u64,
    pub(crate) data: DataConfig,
    /// The layer that makes bits of the samples' numbers.
    pub(crate) encoder: Option<Spanned<toml::Table>>,
    pub(crate) network: NetworkConfig,
    #[serde(default)]
    pub(crate) loss: LossConfig,
    #[serde(default)]
    pub(crate) optimizer: OptimizerConfig,
    /// Parameters that another optimizer changes, or none.
    #[serde(default)]
    pub(crate) groups: Vec<Spanned<GroupConfig>>,
    #[serde(default)]
    pub(crate) schedule: ScheduleConfig,
    /// Schedules of other hyperparameters.
    #[serde(default)]
    pub(crate) schedules: Vec<Spanned<DriveConfig>>,
    #[serde(default)]
    pub(crate) training: TrainingConfig,
    /// Coordinate descent, instead of gradients or after them.
    pub(crate) descent: Option<DescentConfig>,
    #[serde(default)]
    pub(crate) penalty: PenaltyConfig,
    /// Most LUTs of the whole system.
    pub(crate) budget: Option<Spanned<BudgetConfig>>,
}

impl Config {
    /// Whether there is a descent, and a training with gradients before it.
    pub(crate) fn gradients_first(&self) -> bool {
        let TrainingConfig { epochs, steps, .. } = self.training;
        self.descent.is_some() && (epochs.is_some() || steps.is_some())
    }
}

fn one() -> u64 {
    1
}

/// Which samples.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataConfig {
    /// Name of the data set, or its path.
    pub(crate) set: String,
    /// Whether values that are no bytes are brought to bytes, as hardware reads them.
    #[serde(default = "yes")]
    pub(crate) bytes: bool,
    /// What the network is to answer.
    #[serde(default)]
    pub(crate) targets: TargetsConfig,
    /// The shape of a row of a table, such as `[1, 28, 28]`.
    pub(crate) shape: Option<Vec<usize>>,
    /// Training samples that are kept aside: the network is looked at on them as it trains, and on
    /// the test samples only at the end.
    pub(crate) validation: Option<usize>,
    /// Random changes of the training images.
    #[serde(default)]
    pub(crate) augment: AugmentConfig,
}

impl DataConfig {
    /// A data set without changes, its values as bytes.
    pub(crate) fn named(set: &str) -> Self {
        Self {
            set: set.to_owned(),
            bytes: true,
            targets: TargetsConfig::default(),
            shape: None,
            validation: None,
            augment: AugmentConfig::default(),
        }
    }
}

/// What the network is to answer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TargetsConfig {
    /// What the data set says.
    #[default]
    Given,
    /// The sample itself, its values from 0 to 1.
    Samples,
    /// Which pixels are this bright or brighter.
    Mask(f32),
    /// The class in this column of a table.
    Class(String),
    /// The numbers in these columns of a table.
    Numbers(Vec<String>),
}

fn yes() -> bool {
    true
}

/// How training images are changed, anew in every epoch.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AugmentConfig {
    /// Pixels by which an image is moved at most, in both directions.
    pub(crate) shift: Option<usize>,
    /// Degrees by which it is turned at most, either way.
    pub(crate) rotate: Option<f32>,
    /// The part by which it becomes larger or smaller at most.
    pub(crate) scale: Option<f32>,
    /// Pixels by which a row moves sideways at most, for each row it is away from the middle.
    pub(crate) shear: Option<f32>,
    /// How it is distorted.
    pub(crate) elastic: Option<ElasticConfig>,
    /// How probably it is mirrored.
    pub(crate) flip: Option<f32>,
    /// Standard deviation of what is added to every value.
    pub(crate) noise: Option<f32>,
    /// Side of the square that is cut out.
    pub(crate) cut_out: Option<usize>,
}

/// Displacements of this standard deviation, alike within about a grid's distance; both in pixels.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ElasticConfig {
    pub(crate) deviation: f32,
    pub(crate) grid: usize,
}

/// Layers one after the other, or nodes that read one another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkConfig {
    #[serde(default)]
    pub(crate) layers: Vec<Spanned<toml::Table>>,
    #[serde(default)]
    pub(crate) nodes: Vec<Spanned<toml::Table>>,
    /// Of nodes the one whose answer is the network's; the last if none is given.
    pub(crate) output: Option<String>,
}

/// How wrong answers are.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum LossConfig {
    SoftmaxCrossEntropy {
        /// A weight for each class, or `"balanced"`.
        weights: Option<toml::Value>,
    },
    SigmoidCrossEntropy {
        #[serde(default)]
        reduction: ReductionConfig,
    },
    // With braces, since other keys would be passed over without.
    CrossEntropy {},
    BinaryCrossEntropy {
        #[serde(default)]
        reduction: ReductionConfig,
    },
    MeanSquaredError {
        #[serde(default)]
        reduction: ReductionConfig,
    },
    SquaredHinge {
        #[serde(default)]
        reduction: ReductionConfig,
    },
    Distillation {
        /// The model file that teaches.
        teacher: String,
        #[serde(default = "temperature")]
        temperature: f32,
        /// The teacher's share of the loss; the labels have the rest.
        #[serde(default = "half")]
        share: f32,
    },
}

impl Default for LossConfig {
    fn default() -> Self {
        Self::SoftmaxCrossEntropy { weights: None }
    }
}

/// Over what the losses of single nodes are averaged.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReductionConfig {
    /// Nodes and frames.
    #[default]
    Mean,
    /// Frames; over the nodes of one they are summed.
    FrameMean,
    /// Nothing.
    Sum,
}

fn temperature() -> f32 {
    4.0
}

fn half() -> f32 {
    0.5
}

/// How parameters follow their gradients.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum OptimizerConfig {
    Sgd {
        learning_rate: f32,
        #[serde(default)]
        momentum: f32,
        #[serde(default)]
        nesterov: bool,
        #[serde(default)]
        weight_decay: f32,
        clip_norm: Option<f32>,
        clip_value: Option<f32>,
    },
    AdaGrad {
        learning_rate: f32,
        epsilon: Option<f32>,
        clip_norm: Option<f32>,
        clip_value: Option<f32>,
    },
    Adam {
        learning_rate: f32,
        #[serde(default = "betas")]
        betas: (f32, f32),
        epsilon: Option<f32>,
        clip_norm: Option<f32>,
        clip_value: Option<f32>,
    },
    AdamW {
        learning_rate: f32,
        #[serde(default = "betas")]
        betas: (f32, f32),
        epsilon: Option<f32>,
        #[serde(default)]
        weight_decay: f32,
        clip_norm: Option<f32>,
        clip_value: Option<f32>,
    },
    ShiftAdaMax {
        learning_rate: f32,
        betas: Option<(f32, f32)>,
        clip_norm: Option<f32>,
        clip_value: Option<f32>,
    },
    Bop {
        /// What takes the place of a learning rate.
        gamma: f32,
        #[serde(default)]
        threshold: f32,
        clip_norm: Option<f32>,
        clip_value: Option<f32>,
    },
}

/// Some of the parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupConfig {
    /// Where they are in the network, or in what kind of layer.
    pub(crate) layers: Vec<String>,
    /// What changes them, and how.
    pub(crate) optimizer: Option<OptimizerConfig>,
    /// Whether nothing does.
    #[serde(default)]
    pub(crate) frozen: bool,
}

fn betas() -> (f32, f32) {
    (0.9, 0.999)
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adam {
            learning_rate: 1e-3,
            betas: betas(),
            epsilon: None,
            clip_norm: None,
            clip_value: None,
        }
    }
}

/// How the learning rate changes; lengths are in steps.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ScheduleConfig {
    Constant {
        #[serde(default)]
        warm_up: usize,
    },
    Cosine {
        #[serde(default)]
        warm_up: usize,
    },
    Step {
        every: usize,
        factor: f32,
        #[serde(default)]
        warm_up: usize,
    },
    Exponential {
        last: f32,
        #[serde(default)]
        warm_up: usize,
    },
    Shift {
        every: usize,
        #[serde(default)]
        warm_up: usize,
    },
    OneCycle {
        #[serde(default = "first")]
        first: f32,
        #[serde(default = "rise")]
        rise: f32,
        #[serde(default = "last")]
        last: f32,
    },
}

fn first() -> f32 {
    0.04
}

fn rise() -> f32 {
    0.3
}

fn last() -> f32 {
    4e-6
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::OneCycle { first: first(), rise: rise(), last: last() }
    }
}

/// A hyperparameter that changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DriveConfig {
    /// Which: `optimizer.NAME`, `loss.NAME` or `network.NAME`.
    pub(crate) setting: String,
    /// Of the network, where; every layer that has it if left out.
    pub(crate) layers: Option<Vec<String>>,
    pub(crate) schedule: ScheduleConfig,
}

impl ScheduleConfig {
    pub(crate) fn schedule(&self) -> Schedule {
        let (schedule, warm_up) = match *self {
            Self::Constant { warm_up } => (Schedule::Constant, warm_up),
            Self::Cosine { warm_up } => (Schedule::Cosine, warm_up),
            Self::Step { every, factor, warm_up } => (Schedule::Step { every, factor }, warm_up),
            Self::Exponential { last, warm_up } => (Schedule::Exponential { last }, warm_up),
            Self::Shift { every, warm_up } => (Schedule::Shift { every }, warm_up),
            Self::OneCycle { first, rise, last } => (Schedule::OneCycle { first, rise, last }, 0),
        };
        if warm_up > 0 { schedule.warmed_up(warm_up) } else { schedule }
    }
}

/// Terms of the loss that look at the network alone.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PenaltyConfig {
    /// λ of the Walsh coefficients of tables, weighted by their degree.
    pub(crate) walsh: Option<f32>,
    /// λ of each bit of the encoder that learned wiring reads.
    pub(crate) encoder: Option<f32>,
}

/// How many LUTs the system may have, and when the nodes go that are too many.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetConfig {
    /// Encoder, core and head together, as `lutweave report` estimates them.
    pub(crate) luts: usize,
    /// The part of the epochs after which the first nodes go.
    #[serde(default = "from")]
    pub(crate) from: f64,
    /// The part of the epochs after which the budget is met.
    #[serde(default = "to")]
    pub(crate) to: f64,
    /// Training samples on which losses are measured.
    #[serde(default = "measured")]
    pub(crate) samples: NonZeroUsize,
}

fn from() -> f64 {
    0.3
}

fn to() -> f64 {
    0.7
}

fn measured() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(1023)
}

/// How long, and in what portions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingConfig {
    pub(crate) epochs: Option<usize>,
    /// Steps instead of epochs.
    pub(crate) steps: Option<usize>,
    pub(crate) batch: usize,
    /// Most samples of a batch that go through the network at a time.
    pub(crate) chunk: Option<usize>,
    /// Epochs without progress after which training ends.
    pub(crate) patience: Option<usize>,
    /// Whether the best network is kept instead of the last.
    #[serde(default)]
    pub(crate) keep_best: bool,
    /// Test samples on which the network is looked at as it trains.
    pub(crate) soft_samples: Option<usize>,
    /// Seconds of training that may be lost when the power goes.
    #[serde(default = "ten")]
    pub(crate) checkpoint_seconds: f64,
    /// Dated copies of the checkpoint.
    pub(crate) backups: Option<BackupConfig>,
}

fn ten() -> f64 {
    10.0
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: None,
            steps: None,
            batch: 64,
            chunk: None,
            patience: None,
            keep_best: false,
            soft_samples: None,
            checkpoint_seconds: ten(),
            backups: None,
        }
    }
}

/// How tables and wiring are chosen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DescentConfig {
    /// How often every node is visited.
    pub(crate) sweeps: usize,
    /// Samples of a sweep; the training samples once unless set.
    pub(crate) samples: Option<usize>,
    /// Sources that are looked at for a layer or window in a sweep; all that vary unless set.
    pub(crate) candidates: Option<usize>,
    /// Height and width of the window that a node finds its sources in; everywhere unless set.
    pub(crate) window: Option<[usize; 2]>,
    /// Samples of a sweep that sources are compared over; all unless set.
    pub(crate) look: Option<usize>,
    /// How many inputs of a node may change in a visit.
    #[serde(default = "two")]
    pub(crate) switches: usize,
    /// What each bit of the encoder that is read costs, in units of the mean loss.
    #[serde(default)]
    pub(crate) encoder: f32,
    /// Temperature of the loss; that of the group sum unless set.
    pub(crate) temperature: Option<f32>,
    /// A model file to begin with instead of a new network.
    pub(crate) from: Option<String>,
}

fn two() -> usize {
    2
}

/// Copies of the checkpoint in folders named by date and time.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BackupConfig {
    /// How many of the newest are kept; 10 unless set, and all where it is 0.
    pub(crate) keep: Option<usize>,
    /// Epochs from one to the next, 1 unless set.
    pub(crate) epochs: Option<NonZeroUsize>,
}
