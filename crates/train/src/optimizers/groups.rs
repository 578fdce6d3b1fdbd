//! Optimizers of their own for some parameters.

use std::fmt;

use lutweave_backend::Backend;
use lutweave_nn::{Parameter, StateData, StateTensor};

use super::{Optimizer, cpu};
use crate::{Error, Hyperparameter, Result};

/// Which parameters a group has.
type Claims = Box<dyn Fn(&Parameter) -> bool + Send>;

/// Several optimizers, each for parameters of its own.
///
/// A group claims parameters by a predicate; the default has the rest. A schedule scales all
/// learning rates alike. Which parameter belongs where is settled at the first update.
///
/// ```
/// use lutweave_train::{Adam, Bop, Groups};
///
/// let optimizer = Groups::new(Adam::new(1e-2))
///     .group(Bop::new(1e-4, 1e-8), |parameter| parameter.path.ends_with("binary_dense.weights"));
/// ```
pub struct Groups {
    /// The default comes last.
    optimizers: Vec<Box<dyn Optimizer>>,
    claims: Vec<Claims>,
    /// The optimizer of each parameter, once known.
    members: Vec<u32>,
    /// Whether the last update was the one that settled it.
    fresh: bool,
}

impl Groups {
    /// One optimizer for all parameters that no group claims.
    pub fn new(default: impl Optimizer + 'static) -> Self {
        let (claims, members) = (Vec::new(), Vec::new());
        Self { optimizers: vec![Box::new(default)], claims, members, fresh: false }
    }

    /// Another for those that `claims` is true of.
    #[must_use]
    pub fn group(
        mut self,
        optimizer: impl Optimizer + 'static,
        claims: impl Fn(&Parameter) -> bool + Send + 'static,
    ) -> Self {
        self.optimizers.insert(self.claims.len(), Box::new(optimizer));
        self.claims.push(Box::new(claims));
        self
    }

    /// The group of each parameter; refused where two groups claim one, and where a group claims
    /// none, as neither can be meant.
    fn assign(&self, parameters: &[&mut Parameter]) -> Result<Vec<u32>> {
        let mut members = Vec::with_capacity(parameters.len());
        for (number, parameter) in parameters.iter().enumerate() {
            let mut claimed = (0..self.claims.len()).filter(|&group| self.claims[group](parameter));
            let group = claimed.next().unwrap_or(self.claims.len());
            if let Some(other) = claimed.next() {
                let expected = format!("one group for parameter {number} ({})", parameter.path);
                return Err(wrong(expected, format!("groups {group} and {other}")));
            }
            members.push(group as u32);
        }
        match (0..self.claims.len()).find(|&group| !members.contains(&(group as u32))) {
            Some(group) => Err(wrong(format!("parameters for group {group}"), "none".to_owned())),
            None => Ok(members),
        }
    }
}

fn wrong(expected: String, got: String) -> Error {
    Error::State { optimizer: "groups", expected, got }
}

impl Optimizer for Groups {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        self.update_on(parameters, learning_rate, cpu())
    }

    fn update_on(
        &mut self,
        parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        let own = self.learning_rate();
        let factor = if own > 0.0 { learning_rate / own } else { 0.0 };
        self.fresh = self.members.is_empty();
        if self.fresh {
            self.members = self.assign(&parameters)?;
        } else if self.members.len() != parameters.len() {
            let expected = format!("{} parameters, as before", self.members.len());
            return Err(wrong(expected, parameters.len().to_string()));
        }
        let mut parts: Vec<Vec<&mut Parameter>> =
            self.optimizers.iter().map(|_| Vec::new()).collect();
        for (parameter, &group) in parameters.into_iter().zip(&self.members) {
            parts[group as usize].push(parameter);
        }
        for (optimizer, part) in self.optimizers.iter_mut().zip(parts) {
            if !part.is_empty() {
                let rate = optimizer.learning_rate() * factor;
                optimizer.update_on(part, rate, backend)?;
            }
        }
        Ok(())
    }

    fn undo_count(&mut self) {
        for (group, optimizer) in self.optimizers.iter_mut().enumerate() {
            if self.members.contains(&(group as u32)) {
                optimizer.undo_count();
            }
        }
        if self.fresh {
            self.members.clear();
        }
    }

    /// That of the default.
    fn learning_rate(&self) -> f32 {
        self.optimizers.last().map_or(0.0, Optimizer::learning_rate)
    }

    /// Those of all groups: what has the same name is scaled alike.
    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        self.optimizers.iter_mut().flat_map(|optimizer| optimizer.hyperparameters()).collect()
    }

    /// `members`, then the state of each group with its number before the names: `0/steps`.
    fn state(&self) -> Vec<StateTensor> {
        let data = StateData::U32(self.members.clone());
        let mut state = vec![StateTensor { name: "members".to_owned(), data }];
        for (group, optimizer) in self.optimizers.iter().enumerate() {
            state.extend(optimizer.state().into_iter().map(|tensor| {
                let name = format!("{group}/{}", tensor.name);
                StateTensor { name, data: tensor.data }
            }));
        }
        state
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let groups = self.optimizers.len();
        let members = match state.first() {
            Some(StateTensor { name, data: StateData::U32(members) })
                if name == "members" && members.iter().all(|&group| (group as usize) < groups) =>
            {
                members.clone()
            }
            _ => {
                let expected = format!("stored state to begin with `members` of {groups} groups");
                return Err(wrong(expected, "something else".to_owned()));
            }
        };
        let mut parts = vec![Vec::new(); groups];
        for tensor in &state[1..] {
            let split = tensor.name.split_once('/');
            let group = split.and_then(|(group, name)| Some((group.parse::<usize>().ok()?, name)));
            let Some((group, name)) = group.filter(|&(group, _)| group < groups) else {
                let expected = "stored arrays of a group".to_owned();
                return Err(wrong(expected, format!("`{}`", tensor.name)));
            };
            parts[group].push(StateTensor { name: name.to_owned(), data: tensor.data.clone() });
        }
        let before: Vec<_> = self.optimizers.iter().map(Optimizer::state).collect();
        for (group, part) in parts.iter().enumerate() {
            if let Err(error) = self.optimizers[group].restore(part) {
                // All or nothing: what has been taken over is given back.
                for (optimizer, state) in self.optimizers[..group].iter_mut().zip(&before) {
                    optimizer.restore(state)?;
                }
                return Err(error);
            }
        }
        self.members = members;
        Ok(())
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("optimizers", &self.optimizers).finish_non_exhaustive()
    }
}
