//! Sums over devices: what data parallelism exchanges.

use std::fmt::Debug;
use std::path::Path;

use lutweave_tensor::Array;
use rayon::prelude::*;

use crate::check::check_size;
use crate::{Cuda, Result};

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

/// Exchanges between GPUs past the host, by NVIDIA's library NCCL (`libnccl.so.2`), which is looked for
/// when this is made.
///
/// The order in which NCCL adds is its own. Between two devices it is the only one there is, and the bits
/// are those of [`HostReduce`]; between more they may differ from it, and from those on a machine whose
/// GPUs are wired otherwise.
///
/// Calls go to the streams of the kernels and wait for nothing. Arrays are given in the order of the
/// devices.
#[derive(Debug)]
pub struct Nccl {
    #[cfg(any(feature = "cuda", feature = "emulate"))]
    exchange: crate::cuda::Exchange,
    /// There is no such value.
    #[cfg(not(any(feature = "cuda", feature = "emulate")))]
    exchange: std::convert::Infallible,
}

impl Nccl {
    /// Between these GPUs, the first of which sums go to.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) without the feature `cuda`, the library, or two
    /// GPUs; [`Error::Device`](crate::Error::Device) where NCCL cannot connect them.
    pub fn new(devices: &[&Cuda]) -> Result<Self> {
        #[cfg(any(feature = "cuda", feature = "emulate"))]
        return crate::cuda::Exchange::new(devices).map(|exchange| Self { exchange });
        #[cfg(not(any(feature = "cuda", feature = "emulate")))]
        Err(Self::missing(devices))
    }

    /// The same with this library.
    ///
    /// # Safety
    ///
    /// It has the functions of NCCL 2, for the memory of these devices.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[allow(unsafe_code)]
    pub unsafe fn with_library(path: &Path, devices: &[&Cuda]) -> Result<Self> {
        #[cfg(any(feature = "cuda", feature = "emulate"))]
        // SAFETY: as the caller promises.
        return unsafe { crate::cuda::Exchange::with_library(path, devices) }
            .map(|exchange| Self { exchange });
        #[cfg(not(any(feature = "cuda", feature = "emulate")))]
        {
            let _ = path;
            Err(Self::missing(devices))
        }
    }

    #[cfg(not(any(feature = "cuda", feature = "emulate")))]
    fn missing(devices: &[&Cuda]) -> crate::Error {
        let why = "this program was built without the feature `cuda`";
        let why = format!("between {} devices: {why}", devices.len());
        crate::Error::Unavailable { what: "NCCL", why }
    }

    /// Whether this machine has the library, whatever its GPUs.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable) without the feature `cuda`, or where the library is
    /// not found or lacks a function.
    pub fn available() -> Result<()> {
        #[cfg(feature = "cuda")]
        return crate::cuda::Exchange::available();
        #[cfg(not(feature = "cuda"))]
        {
            let why = "this program was built without the feature `cuda`".to_owned();
            Err(crate::Error::Unavailable { what: "NCCL", why })
        }
    }

    /// NCCL between these devices where it is there, and else the way of the host; and why, then.
    pub fn or_host(devices: &[&Cuda]) -> (Box<dyn Reduce>, Option<crate::Error>) {
        match Self::new(devices) {
            Ok(nccl) => (Box::new(nccl), None),
            Err(error) => (Box::new(HostReduce), Some(error)),
        }
    }
}

#[cfg(any(feature = "cuda", feature = "emulate"))]
impl Reduce for Nccl {
    fn name(&self) -> &'static str {
        self.exchange.name()
    }

    fn sum(&self, first: &mut Array, others: Vec<&mut Array>) -> Result<()> {
        self.exchange.sum(first, others)
    }

    fn share(&self, first: &Array, others: Vec<&mut Array>) -> Result<()> {
        self.exchange.share(first, others)
    }
}

#[cfg(not(any(feature = "cuda", feature = "emulate")))]
impl Reduce for Nccl {
    fn name(&self) -> &'static str {
        match self.exchange {}
    }

    fn sum(&self, _first: &mut Array, _others: Vec<&mut Array>) -> Result<()> {
        match self.exchange {}
    }

    fn share(&self, _first: &Array, _others: Vec<&mut Array>) -> Result<()> {
        match self.exchange {}
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
