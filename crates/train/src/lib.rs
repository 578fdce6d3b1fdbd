#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod descent;
mod drive;
mod error;
mod hyperparameter;
pub mod losses;
pub mod metrics;
pub mod optimizers;
mod prune;
mod schedule;
mod trainer;

pub use descent::{Descended, Descent};
pub use drive::Drive;
pub use error::{Error, Result};
pub use hyperparameter::Hyperparameter;
pub use losses::{
    BinaryCrossEntropy, CrossEntropy, Distillation, FeatureMatching, Loss, MeanSquaredError,
    PartLoss, Reduction, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredHinge,
    WeightedSoftmaxCrossEntropy, balanced_weights,
};
pub use metrics::Metric;
pub use optimizers::{
    AdaGrad, Adam, AdamW, Adjust, Adjusted, Bop, Clip, EncoderCost, Groups, Optimizer, Sgd,
    ShiftAdaMax, WalshPenalty,
};
pub use prune::{Pruned, free_nodes, prune};
pub use schedule::Schedule;
pub use trainer::{
    Best, BoxError, Checkpoint, Epoch, Flow, History, Place, Position, Progress, Sum, Trainer,
    accuracy, check_targets, evaluate, evaluate_soft, metric_of,
};
