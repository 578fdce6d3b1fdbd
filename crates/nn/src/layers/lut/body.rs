//! What a LUT layer holds, whether it reads bits or real numbers.

use std::borrow::Cow;
use std::sync::Mutex;

use lutweave_backend::{Isa, Kernel};
use lutweave_lut::Wiring;
use lutweave_tensor::{DType, rng};

use super::LutLayer;
use super::learned::Learned;
use super::norm::{BatchNorm, Norm};
use super::on_bits::Scratch;
use crate::layer::state_f32;
use crate::{Error, Parameter, Result, Signal, Site, StateData, StateTensor};

/// Settings, wiring, parameters and running statistics of a layer.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) spec: LutLayer,
    pub(super) path: String,
    pub(super) input: Signal,
    pub(super) output: Signal,
    /// The fixed wiring; before learned wiring is frozen, see [`wiring`](Self::wiring).
    pub(super) fixed: Wiring,
    pub(super) learned: Option<Learned>,
    pub(super) weights: Parameter,
    running_mean: Vec<f32>,
    running_variance: Vec<f32>,
    /// Updates so far: the noise of a step depends on it.
    steps: u64,
    seed: u64,
    place: Vec<u64>,
    /// What earlier steps have handed back.
    scratch: Mutex<Vec<Scratch>>,
}

impl Body {
    /// A layer with initial parameters.
    pub(super) fn new(
        spec: LutLayer,
        fixed: Wiring,
        mut learned: Option<Learned>,
        site: &Site<'_>,
    ) -> Self {
        let size = spec.model.parameters(spec.fan_in);
        let mut values = vec![0.0; spec.nodes * size];
        let mut stream = site.stream(rng::INIT);
        for node in 0..spec.nodes {
            spec.model.initialise(&mut stream, &mut values[node * size..(node + 1) * size]);
        }
        if let Some(learned) = &mut learned {
            learned.frozen = spec.frozen_after == Some(0);
        }
        let dtype = if spec.real_output { DType::F32 } else { DType::Bit };
        Self {
            path: site.path.clone(),
            input: site.input.clone(),
            output: Signal { dtype, shape: spec.output_shape() },
            fixed,
            learned,
            weights: Parameter::new(values, spec.model.range()),
            running_mean: vec![0.0; spec.nodes],
            running_variance: vec![1.0; spec.nodes],
            steps: 0,
            seed: site.seed,
            place: site.place.to_vec(),
            scratch: Mutex::default(),
            spec,
        }
    }

    /// Parameters of one node.
    pub(super) fn size(&self) -> usize {
        self.weights.values.len() / self.spec.nodes
    }

    /// The parameters with this step's noise, where the model has noise. Every node has a stream
    /// of its own, so threads may share the work.
    pub(super) fn noisy(&self) -> Option<Vec<f32>> {
        let size = self.size();
        let mut first = self.weights.values[..size].to_vec();
        if !self.spec.model.perturb(&mut rng::stream(self.seed, &[]), &mut first) {
            return None;
        }
        let mut noisy = self.weights.values.clone();
        for node in 0..self.spec.nodes {
            let mut path = vec![rng::NOISE, self.steps, node as u64];
            path.extend(&self.place);
            let mut stream = rng::stream(self.seed, &path);
            self.spec.model.perturb(&mut stream, &mut noisy[node * size..(node + 1) * size]);
        }
        Some(noisy)
    }

    /// The trained map of one node, from the running statistics.
    pub(super) fn trained_norm(&self, node: usize) -> Option<Norm> {
        let settings = self.spec.batch_norm?;
        Some(Norm::new(self.running_mean[node], self.running_variance[node], settings))
    }

    /// The wiring that is still being learned, as the scores choose it now.
    pub(super) fn choice(&self) -> Result<Option<Wiring>> {
        match &self.learned {
            Some(learned) if !learned.frozen => {
                Ok(Some(learned.choice(self.input.nodes(), self.spec.fan_in)?))
            }
            _ => Ok(None),
        }
    }

    /// The wiring at present.
    pub(super) fn wiring(&self) -> Result<Cow<'_, Wiring>> {
        Ok(self.choice()?.map_or(Cow::Borrowed(&self.fixed), Cow::Owned))
    }

    /// Makes the present choice of learned wiring the final one.
    pub(super) fn freeze_wiring(&mut self) -> Result<()> {
        if let Some(choice) = self.choice()? {
            self.fixed = choice;
        }
        if let Some(learned) = &mut self.learned {
            learned.frozen = true;
            learned.scores.gradient.fill(0.0);
        }
        Ok(())
    }

    /// Ends a step: takes over the statistics of its batch, and freezes the wiring when it is time.
    pub(super) fn end_step(&mut self, norms: &[Norm]) -> Result<()> {
        self.update_statistics(norms);
        let due = self.spec.frozen_after.is_some_and(|batches| self.steps >= batches);
        if due && self.learned.as_ref().is_some_and(|learned| !learned.frozen) {
            self.freeze_wiring()?;
        }
        Ok(())
    }

    /// All parameters.
    pub(super) fn parameters(&self) -> Vec<&Parameter> {
        let scores = self.learned.as_ref().map(|learned| &learned.scores);
        [&self.weights].into_iter().chain(scores).collect()
    }

    /// All parameters, to change.
    pub(super) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let scores = self.learned.as_mut().map(|learned| &mut learned.scores);
        [&mut self.weights].into_iter().chain(scores).collect()
    }

    /// Takes over the statistics of a batch, and counts the step.
    pub(super) fn update_statistics(&mut self, norms: &[Norm]) {
        self.steps = self.steps.wrapping_add(1);
        let Some(BatchNorm { momentum, .. }) = self.spec.batch_norm else { return };
        let running = self.running_mean.iter_mut().zip(&mut self.running_variance);
        for ((mean, variance), norm) in running.zip(norms) {
            *mean = *mean * momentum + norm.mean * (1.0 - momentum);
            *variance = *variance * momentum + norm.variance * (1.0 - momentum);
        }
    }

    pub(super) fn check_finite(&self) -> Result<()> {
        if Isa::best().run(Largest(&self.weights.values)) < f32::INFINITY.to_bits() {
            return Ok(());
        }
        Err(Error::NotFinite { layer: self.path.clone(), what: "a parameter".to_owned() })
    }

    /// Arrays for a step: those of an earlier one where there are any.
    pub(super) fn take_scratch(&self) -> Scratch {
        self.scratch.lock().ok().and_then(|mut pool| pool.pop()).unwrap_or_default()
    }

    /// Hands a step's arrays back.
    pub(super) fn give_scratch(&self, scratch: Scratch) {
        // A poisoned pool only means that memory is asked for anew.
        if let Ok(mut pool) = self.scratch.lock() {
            pool.push(scratch);
        }
    }

    pub(super) fn state(&self) -> Vec<StateTensor> {
        let u32s = |name: &str, values: Vec<u32>| StateTensor {
            name: name.to_owned(),
            data: StateData::U32(values),
        };
        let choice = self.choice().ok().flatten();
        let wiring = choice.as_ref().unwrap_or(&self.fixed);
        let mut state = vec![
            u32s("wiring", wiring.table().to_vec()),
            StateTensor::f32("weights", &self.weights.values),
            StateTensor::f32("running_mean", &self.running_mean),
            StateTensor::f32("running_variance", &self.running_variance),
            u32s("steps", vec![self.steps as u32, (self.steps >> 32) as u32]),
        ];
        state.extend(self.learned.iter().flat_map(Learned::state));
        state
    }

    pub(super) fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let (path, nodes) = (&self.path, self.spec.nodes);
        let weights = state_f32(state, "weights", self.weights.values.len(), path)?;
        let mean = state_f32(state, "running_mean", nodes, path)?;
        let variance = state_f32(state, "running_variance", nodes, path)?;
        if variance.iter().any(|&variance| variance <= 0.0) {
            let what = "stored running_variance is not positive".to_owned();
            return Err(Error::State { layer: path.clone(), what });
        }
        let table = state_u32(state, "wiring", nodes * self.spec.fan_in, path)?;
        let steps = state_u32(state, "steps", 2, path)?;
        let sources = self.input.nodes();
        let learned = self.learned.as_ref().map(|learned| learned.stored(state, sources, path));
        let learned = learned.transpose()?;
        let fixed = Wiring::explicit(sources, self.spec.fan_in, table.to_vec())?;
        self.steps = u64::from(steps[0]) | u64::from(steps[1]) << 32;
        (self.fixed, self.learned) = (fixed, learned);
        self.weights.values.copy_from_slice(weights);
        self.running_mean.copy_from_slice(mean);
        self.running_variance.copy_from_slice(variance);
        Ok(())
    }
}

pub(super) fn state_u32<'a>(
    state: &'a [StateTensor],
    name: &str,
    length: usize,
    layer: &str,
) -> Result<&'a [u32]> {
    match state.iter().find(|tensor| tensor.name == name).map(|tensor| &tensor.data) {
        Some(StateData::U32(values)) if values.len() == length => Ok(values),
        _ => {
            let what = format!("stored state has no {length} indices called `{name}`");
            Err(Error::State { layer: layer.to_owned(), what })
        }
    }
}

/// The bits of the number furthest from zero; those of infinity or more where one is not finite.
struct Largest<'a>(&'a [f32]);

impl Kernel for Largest<'_> {
    type Output = u32;

    #[inline(always)]
    fn run(self) -> u32 {
        self.0.iter().fold(0, |largest, value| largest.max(value.abs().to_bits()))
    }
}
