//! Memory of large buffers, kept for the next.
//!
//! A training step asks for the same buffers as the one before. The system gives and takes large
//! ones page by page, which costs more than what most kernels do with them; so they are kept here
//! when a buffer is dropped, and handed out again.

use std::sync::{Mutex, PoisonError};

use crate::storage::{LINE_BYTES, Line};

/// Lines of the smallest buffer kept; smaller ones the allocator keeps itself.
const SMALLEST: usize = (256 << 10) / LINE_BYTES;
/// Most lines kept.
const MOST: usize = (1 << 30) / LINE_BYTES;
/// A kept buffer serves where more than one part in so many of it is asked for.
const WASTE: usize = 2;

/// What is kept, the latest last.
static KEPT: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());

/// A kept buffer of at least so many lines, the smallest that there is, emptied.
pub(crate) fn take(lines: usize) -> Option<Vec<Line>> {
    if lines < SMALLEST {
        return None;
    }
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |buffer: &Vec<Line>| {
        let capacity = buffer.capacity();
        capacity >= lines && capacity / WASTE <= lines
    };
    let fitting = kept.iter().enumerate().filter(|(_, buffer)| fits(buffer));
    let (best, _) = fitting.min_by_key(|(_, buffer)| buffer.capacity())?;
    Some(kept.remove(best))
}

/// Keeps a buffer that is no longer needed, in place of older ones where there are too many.
pub(crate) fn give(mut buffer: Vec<Line>) {
    let size = buffer.capacity();
    if !(SMALLEST..=MOST).contains(&size) {
        return;
    }
    buffer.clear();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut total: usize = kept.iter().map(Vec::capacity).sum();
    let mut old = 0;
    while total + size > MOST {
        total -= kept[old].capacity();
        old += 1;
    }
    kept.drain(..old);
    kept.push(buffer);
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    #[test]
    fn what_is_given_comes_back_where_it_fits() {
        // A size that no other test asks for.
        let lines = 3 * SMALLEST + 12_345;
        let mut buffer = Vec::with_capacity(lines);
        buffer.push(Line::zeroed());
        let (capacity, place) = (buffer.capacity(), buffer.as_ptr());
        give(buffer);
        assert!(take(SMALLEST - 1).is_none(), "small ones are not kept");
        assert!(take(capacity + 1).is_none_or(|other| other.as_ptr() != place));
        let again = take(capacity - 1).unwrap();
        assert!(again.is_empty() && again.as_ptr() == place);
    }
}
