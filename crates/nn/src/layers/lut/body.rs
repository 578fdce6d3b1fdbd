//! What a LUT layer holds, whether it reads bits or real numbers.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use lutweave_backend::{Backend, Candidates, Choice, Cpu, NodeStreams, Sites, finite};
use lutweave_lut::Wiring;
use lutweave_tensor::{Array, DType, rng};

use super::LutLayer;
use super::learned::Learned;
use super::norm::{BatchNorm, Moments, Norm};
use super::on_bits::Scratch;
use super::windowed::Kernel;
use crate::layer::{Base, Cost, Windows, state_f32, state_u32};
use crate::settings::unknown;
use crate::{Error, LutModel, Parameter, Result, Signal, Site, StateTensor, StepState};

/// Settings, wiring, parameters and running statistics of a layer.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) base: Base,
    pub(super) spec: LutLayer,
    /// The fixed wiring; before learned wiring is frozen, see [`wiring`](Self::wiring).
    pub(super) fixed: Wiring,
    pub(super) learned: Option<Learned>,
    /// The wiring of one window, where the layer slides over an image.
    pub(super) kernel: Option<Kernel>,
    /// Places of each node: nodes of the wiring that share its table, see [`Sites`].
    pub(super) share: usize,
    /// Whether the last two sources of the wiring are the constants 0 and 1.
    pub(super) constants: bool,
    pub(super) weights: Parameter,
    pub(super) running_mean: Array,
    pub(super) running_variance: Array,
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
            base: Base::new(spec.clone(), site, Signal { dtype, shape: spec.output_shape() }),
            fixed,
            learned,
            kernel: None,
            weights: Parameter::new("weights", values, spec.model.range()),
            share: 1,
            constants: false,
            running_mean: vec![0.0; spec.nodes].into(),
            running_variance: vec![1.0; spec.nodes].into(),
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

    /// A layer at all positions of a window.
    pub(super) fn windowed(
        spec: LutLayer,
        fixed: Wiring,
        kernel: Kernel,
        windows: &Windows,
        site: &Site<'_>,
    ) -> Self {
        let mut body = Self::new(spec, fixed, None, site);
        let shape = windows.shape(body.spec.nodes);
        let output = Signal { dtype: body.base.output().dtype, shape };
        body.base = Base::new(body.spec.clone(), site, output);
        (body.share, body.constants) = (windows.positions(), kernel.has_border());
        body.kernel = Some(kernel);
        body
    }

    /// Whether the model has noise.
    pub(super) fn has_noise(&self) -> bool {
        let mut any = vec![0.0; self.size()]; // those of the nodes may lie on a device
        self.spec.model.perturb(&mut rng::stream(self.seed, &[]), &mut any)
    }

    /// The parameters with this step's noise, where the model has noise. Every node has a stream
    /// of its own, so threads may share the work.
    pub(super) fn noisy(&self) -> Option<Array> {
        if !self.has_noise() {
            return None;
        }
        let (size, mut noisy) = (self.size(), self.weights.values.clone());
        for node in 0..self.spec.nodes {
            let mut path = self.noise_path().to_vec();
            path.push(node as u64);
            path.extend(&self.place);
            let own = &mut noisy[node * size..(node + 1) * size];
            self.spec.model.perturb(&mut rng::stream(self.seed, &path), own);
        }
        Some(noisy)
    }

    /// What the paths of the nodes' random streams begin with in this step.
    pub(super) fn noise_path(&self) -> [u64; 2] {
        [rng::NOISE, self.steps]
    }

    /// The random streams of the nodes, of which `before` is what their paths begin with.
    pub(super) fn streams<'a>(&'a self, before: &'a [u64]) -> NodeStreams<'a> {
        NodeStreams { seed: self.seed, before, after: &self.place }
    }

    /// The trained map of one node, from the running statistics.
    pub(super) fn trained_norm(&self, node: usize) -> Option<Norm> {
        let settings = self.spec.batch_norm?;
        let (mean, variance) = (self.running_mean[node], self.running_variance[node]);
        Some(Norm::new(Moments { mean, variance }, settings))
    }

    /// Where the tables are used, with this wiring.
    pub(super) fn sites<'a>(&self, wiring: &'a Wiring) -> Result<Sites<'a>> {
        Ok(Sites::shared(wiring, self.share, self.constants)?)
    }

    /// Where the tables are used in this step.
    pub(super) fn sites_of<'a>(&'a self, choice: Option<&'a Choice>) -> Result<Sites<'a>> {
        choice.map_or_else(|| self.sites(&self.fixed), |choice| Ok(choice.into()))
    }

    /// What the wiring is chosen from, where it is still being learned.
    pub(super) fn candidates(&self) -> Option<Candidates<'_>> {
        let learned = self.learned.as_ref().filter(|learned| !learned.frozen)?;
        Some(learned.candidates(self.base.input().nodes(), self.spec.fan_in))
    }

    /// The wiring that is still being learned, as the scores choose it now. Costs about two comparisons a
    /// candidate.
    pub(super) fn choice(&self, backend: &dyn Backend) -> Result<Option<Choice>> {
        Ok(self.candidates().map(|candidates| backend.choose(candidates)).transpose()?)
    }

    /// The same on the host.
    fn chosen(&self) -> Result<Option<Wiring>> {
        let Some(choice) = self.choice(&Cpu::new())? else { return Ok(None) };
        let table = choice.fetch()?.to_vec();
        Ok(Some(Wiring::explicit(choice.sources(), choice.fan_in(), table)?))
    }

    /// The wiring at present.
    pub(super) fn wiring(&self) -> Result<Cow<'_, Wiring>> {
        Ok(self.chosen()?.map_or(Cow::Borrowed(&self.fixed), Cow::Owned))
    }

    /// Makes the present choice of learned wiring the final one.
    pub(super) fn freeze_wiring(&mut self) -> Result<()> {
        if let Some(choice) = self.chosen()? {
            self.fixed = choice;
        }
        if let Some(learned) = &mut self.learned {
            learned.frozen = true;
            learned.scores.gradient.fill(0.0);
        }
        Ok(())
    }

    /// Ends a step: counts it, and freezes the wiring when it is time.
    pub(super) fn end_step(&mut self) -> Result<()> {
        self.steps = self.steps.wrapping_add(1);
        let due = self.spec.frozen_after.is_some_and(|batches| self.steps >= batches);
        if due && self.learned.as_ref().is_some_and(|learned| !learned.frozen) {
            self.freeze_wiring()?;
        }
        Ok(())
    }

    /// Nodes, and nodes at every position.
    pub(super) fn cost(&self) -> Cost {
        let luts = self.spec.nodes as u64;
        Cost { luts, unrolled: luts * self.share as u64, ..Cost::default() }
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

    /// Takes over the statistics of a batch.
    pub(super) fn update_statistics(&mut self, moments: impl Iterator<Item = Moments>) {
        let Some(BatchNorm { momentum, .. }) = self.spec.batch_norm else { return };
        let running = self.running_mean.iter_mut().zip(&mut *self.running_variance);
        for ((mean, variance), batch) in running.zip(moments) {
            *mean = *mean * momentum + batch.mean * (1.0 - momentum);
            *variance = *variance * momentum + batch.variance * (1.0 - momentum);
        }
    }

    /// The parameters of one node, or none where one of them is not finite, which `faulty` then
    /// says.
    pub(super) fn finite<'p>(
        &self,
        parameters: &'p [f32],
        node: usize,
        faulty: &AtomicBool,
    ) -> Option<&'p [f32]> {
        let size = self.size();
        let own = &parameters[node * size..(node + 1) * size];
        if finite(own) {
            return Some(own);
        }
        faulty.store(true, Ordering::Relaxed);
        None
    }

    /// An error where a parameter was not finite.
    pub(super) fn check(&self, faulty: &AtomicBool) -> Result<()> {
        if !faulty.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::NotFinite { layer: self.base.path().to_owned(), what: "a parameter".to_owned() })
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

    /// The momentum of batch norm, and what of the model's settings is real numbers.
    pub(super) fn settings(&self) -> Vec<(String, f32)> {
        let momentum = self.spec.batch_norm.map(|norm| ("momentum".to_owned(), norm.momentum));
        let mut settings: Vec<(String, f32)> = momentum.into_iter().collect();
        if let serde_json::Value::Object(config) = self.spec.model.config() {
            let real = config.into_iter().filter(|(_, value)| value.is_f64());
            settings.extend(real.filter_map(|(name, value)| Some((name, value.as_f64()? as f32))));
        }
        settings
    }

    /// Changes one of them: the model is made again with another number.
    pub(super) fn set(&mut self, name: &str, value: f32) -> Result<()> {
        let settings = self.settings();
        if !settings.iter().any(|(own, _)| own == name) {
            return Err(unknown(&self.base, &settings, name));
        }
        if let ("momentum", Some(norm)) = (name, &mut self.spec.batch_norm) {
            if !(0.0..1.0).contains(&value) {
                return Err(self.base.option_error("momentum", "at least 0 and below 1", value));
            }
            norm.momentum = value;
            return Ok(());
        }
        if !value.is_finite() {
            let what = format!("expected {name} to be a finite number, got {value}");
            return Err(self.base.state_error(what));
        }
        let (before, fan_in) = (&self.spec.model, self.spec.fan_in);
        let mut config = before.config();
        config[name] = value.into();
        let layer = || self.base.path().to_owned();
        let wrap = |error| Error::Layer { layer: layer(), source: Box::new(error) };
        let model = crate::registry::model(before.kind(), &config).map_err(wrap)?;
        model.check(fan_in).map_err(wrap)?;
        let form = |model: &dyn LutModel| (model.parameters(fan_in), model.range());
        if form(model.as_ref()) != form(before.as_ref()) {
            let what = format!("`{name}` decides what parameters there are: it cannot change");
            return Err(self.base.state_error(what));
        }
        self.spec.model = model;
        Ok(())
    }

    /// Statistics where there is a batch norm; steps, and whether the wiring is frozen.
    pub(super) fn before_step(&self) -> StepState {
        let arrays = match self.spec.batch_norm {
            Some(_) => vec![self.running_mean.clone(), self.running_variance.clone()],
            None => Vec::new(),
        };
        let frozen = self.learned.as_ref().is_some_and(|learned| learned.frozen);
        StepState { arrays, counts: vec![self.steps, u64::from(frozen)] }
    }

    /// The wiring that was chosen when it was frozen counts no more once it is not.
    pub(super) fn undo_step(&mut self, before: StepState) {
        if let Ok([mean, variance]) = <[Array; 2]>::try_from(before.arrays) {
            (self.running_mean, self.running_variance) = (mean, variance);
        }
        if let [steps, frozen] = before.counts[..] {
            self.steps = steps;
            if let Some(learned) = &mut self.learned {
                learned.frozen = frozen != 0;
            }
        }
    }

    pub(super) fn state(&self) -> Vec<StateTensor> {
        let choice = self.chosen().ok().flatten();
        let fixed = self.kernel.as_ref().map_or(&self.fixed, |kernel| &kernel.wiring);
        let wiring = choice.as_ref().unwrap_or(fixed);
        let mut state = vec![
            StateTensor::u32("wiring", wiring.table()),
            StateTensor::f32("weights", &self.weights.values),
            StateTensor::f32("running_mean", &self.running_mean),
            StateTensor::f32("running_variance", &self.running_variance),
            StateTensor::u32("steps", &[self.steps as u32, (self.steps >> 32) as u32]),
        ];
        state.extend(self.learned.iter().flat_map(Learned::state));
        state
    }

    pub(super) fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let (path, nodes) = (self.base.path(), self.spec.nodes);
        let weights = state_f32(state, "weights", self.weights.values.len(), path)?;
        let mean = state_f32(state, "running_mean", nodes, path)?;
        let variance = state_f32(state, "running_variance", nodes, path)?;
        if variance.iter().any(|&variance| variance <= 0.0) {
            let what = "stored running_variance is not positive".to_owned();
            return Err(Error::State { layer: path.to_owned(), what });
        }
        let table = state_u32(state, "wiring", nodes * self.spec.fan_in, path)?;
        let steps = state_u32(state, "steps", 2, path)?;
        let sources = self.base.input().nodes();
        let learned = self.learned.as_ref().map(|learned| learned.stored(state, sources, path));
        let learned = learned.transpose()?;
        let fixed = match &mut self.kernel {
            None => Wiring::explicit(sources, self.spec.fan_in, table.to_vec())?,
            Some(kernel) => {
                let seen = kernel.wiring.sources();
                kernel.wiring = Wiring::explicit(seen, self.spec.fan_in, table.to_vec())?;
                kernel.expand(&kernel.wiring)?
            }
        };
        self.steps = u64::from(steps[0]) | u64::from(steps[1]) << 32;
        (self.fixed, self.learned) = (fixed, learned);
        self.weights.values.copy_from_slice(weights);
        self.running_mean.copy_from_slice(mean);
        self.running_variance.copy_from_slice(variance);
        Ok(())
    }
}
