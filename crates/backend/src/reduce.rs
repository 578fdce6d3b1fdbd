//! Sums over devices: what data parallelism exchanges.

use std::fmt::Debug;

use lutweave_tensor::Array;
use rayon::prelude::*;

use crate::Result;
use crate::check::check_size;

/// Numbers that a thread sees to at a time.
const BLOCK: usize = 1 << 14;

/// How several copies of a network, each on a device of its own, exchange gradients and parameters.
///
/// A training step sums the gradients of all copies into those of the first, which the optimizer then
/// changes, and shares its parameters with the others.
pub trait Reduce: Debug + Send + Sync {
    /// The name in messages and reports.
    fn name(&self) -> &'static str;

    /// Adds the others to the first, in their order, and clears them.
    ///
    /// # Errors
    ///
    /// [`Error::Size`](crate::Error::Size) unless all are equally long, and what a device says.
    fn sum(&self, first: &mut Array, others: Vec<&mut Array>) -> Result<()>;

    /// Gives all others the numbers of the first.
    ///
    /// # Errors
    ///
    /// As [`sum`](Self::sum).
    fn share(&self, first: &Array, others: Vec<&mut Array>) -> Result<()>;
}

/// Exchanges by way of the host's memory: any devices, any mixture of them. The same bits each time, and
/// those of one device that is given the parts of a batch one after the other.
///
/// A step copies the gradients of every device down and the parameters up: 8 bytes a parameter and
/// device, at the speed of the bus.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostReduce;

impl Reduce for HostReduce {
    fn name(&self) -> &'static str {
        "host"
    }

    fn sum(&self, first: &mut Array, others: Vec<&mut Array>) -> Result<()> {
        for other in others {
            check_size("sum over devices", "an array", "values", first.len(), other.len())?;
            if !other.is_blank() {
                let from = other.fetch()?;
                first.fetch()?;
                let blocks = first.par_chunks_mut(BLOCK).zip(from.par_chunks(BLOCK));
                blocks.for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(a, b)| *a += b));
            }
            other.clear();
        }
        Ok(())
    }

    fn share(&self, first: &Array, others: Vec<&mut Array>) -> Result<()> {
        let values = first.fetch()?;
        for other in others {
            check_size("share over devices", "an array", "values", values.len(), other.len())?;
            *other = Array::from(values);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_summed_in_order_and_shared() {
        let array = |values: &[f32]| Array::from(values);
        // In this order the small number is lost; in the other it is not.
        let mut first = array(&[1e8, 1.0]);
        let (mut second, mut third) = (array(&[1.0, 2.0]), array(&[-1e8, 3.0]));
        HostReduce.sum(&mut first, vec![&mut second, &mut third]).unwrap();
        assert_eq!(first, [0.0, 6.0]);
        assert!(second.is_blank() && third == [0.0; 2]);
        HostReduce.share(&first, vec![&mut second, &mut third]).unwrap();
        assert!(second == first && third == first);
        let error = HostReduce.sum(&mut first, vec![&mut array(&[1.0])]).unwrap_err();
        assert!(error.to_string().contains("2 values, got 1"), "{error}");
        assert!(HostReduce.share(&first, vec![&mut array(&[1.0])]).is_err());
    }
}
