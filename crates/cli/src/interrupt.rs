//! Ctrl-C: once to end training at the end of the epoch, twice to end the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Nothing to finish: Ctrl-C ends the program.
const IDLE: u8 = 0;
/// Training runs: the first Ctrl-C asks it to stop.
const TRAINING: u8 = 1;
/// Training was asked to stop.
const STOPPING: u8 = 2;
/// The exit status of a program that was interrupted: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

/// Whether training should stop. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// An interrupt that follows Ctrl-C from now on. Where no handler can be set, Ctrl-C goes on
    /// to end the program at once.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        let pressed = interrupt.clone();
        // Only a second handler in one process can fail, as in tests.
        let _ = ctrlc::set_handler(move || {
            if !pressed.press() {
                std::process::exit(INTERRUPTED);
            }
        });
        interrupt
    }

    /// Training begins.
    pub(crate) fn begin(&self) {
        self.0.store(TRAINING, Ordering::SeqCst);
    }

    /// Training has ended; says whether it was asked to.
    pub(crate) fn end(&self) -> bool {
        self.0.swap(IDLE, Ordering::SeqCst) == STOPPING
    }

    /// Whether training was asked to stop.
    pub(crate) fn stopping(&self) -> bool {
        self.0.load(Ordering::SeqCst) == STOPPING
    }

    /// Ctrl-C was pressed; whether that was the first time in training.
    fn press(&self) -> bool {
        self.0.compare_exchange(TRAINING, STOPPING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_press_in_training_is_gentle() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.press(), "before training");
        interrupt.begin();
        assert!(!interrupt.stopping());
        assert!(interrupt.press() && interrupt.stopping());
        assert!(!interrupt.press(), "the second time");
        assert!(interrupt.end());
        assert!(!interrupt.press(), "after training");
        interrupt.begin();
        assert!(!interrupt.end());
    }
}
