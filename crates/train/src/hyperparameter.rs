//! A number that a schedule may change.

/// A setting of an optimizer or a loss: what it was made with, and what it is now.
///
/// ```
/// let mut decay = lutweave_train::Hyperparameter::new(0.5);
/// decay.scale(0.5);
/// assert_eq!(decay.now(), 0.25);
/// decay.scale(0.5); // of what it was made with
/// assert_eq!((decay.now(), decay.own()), (0.25, 0.5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyperparameter {
    own: f32,
    now: f32,
}

impl Hyperparameter {
    /// One that has not been changed.
    pub fn new(own: f32) -> Self {
        Self { own, now: own }
    }

    /// What it was made with.
    pub fn own(&self) -> f32 {
        self.own
    }

    /// What it is now.
    pub fn now(&self) -> f32 {
        self.now
    }

    /// Makes it `factor` times what it was made with.
    pub fn scale(&mut self, factor: f32) {
        self.now = self.own * factor;
    }
}
