//! Flat arrays that training changes: parameters, gradients, moments, statistics.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::storage::Storage;
use crate::{Element, Remote, Result};

/// Numbers in a row, on the host, on a device, or on both.
///
/// On the host it is a slice, by [`Deref`]. Whoever reads the slice of an array whose numbers lie on a
/// device alone fetches them, once; whoever writes to it drops what the device has. So arrays stay
/// where the last kernel left them, and cross when someone looks: for a checkpoint, an export, or a
/// function that no kernel does. [`len`](Self::len) looks at nothing.
///
/// ```
/// use lutweave_tensor::Array;
///
/// let mut weights = Array::from(vec![0.5f32, -1.0]);
/// weights[1] = 2.0;
/// assert_eq!((weights.len(), &weights[..]), (2, &[0.5, 2.0][..]));
/// # assert!(weights.remote().is_none());
/// ```
pub struct Array<T: Element = f32> {
    storage: Storage,
    length: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: Element> Array<T> {
    /// Zeros. They need no memory of the host before someone looks.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`](crate::Error::Memory) when there is too little memory.
    pub fn zeros(length: usize) -> Result<Self> {
        let mut array = Self::default();
        array.reset(length)?;
        Ok(array)
    }

    /// How many numbers; wherever they are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes of the numbers.
    pub fn bytes(&self) -> usize {
        self.length * size_of::<T>()
    }

    /// Makes this so many zeros, reusing memory.
    ///
    /// # Errors
    ///
    /// As [`zeros`](Self::zeros); the array is then as it was.
    pub fn reset(&mut self, length: usize) -> Result<()> {
        let bytes = length.saturating_mul(size_of::<T>());
        if bytes > crate::frames::MAX_BYTES {
            return Err(crate::Error::Memory { bytes });
        }
        self.storage.reset(bytes)?;
        self.length = length;
        Ok(())
    }

    /// Makes all numbers zero, which takes no time before someone looks.
    pub fn clear(&mut self) {
        self.storage.clear();
    }

    /// Gives the array this length. Its numbers are then whatever they were: for scratch that is
    /// written in full.
    ///
    /// # Errors
    ///
    /// As [`zeros`](Self::zeros).
    pub fn resize(&mut self, length: usize) -> Result<()> {
        if length == self.length { Ok(()) } else { self.reset(length) }
    }

    /// The numbers on the host.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) where a device does not give them; reading the array
    /// as a slice then gives NaN, or all ones.
    pub fn fetch(&self) -> Result<&[T]> {
        self.storage.fetch()?;
        Ok(self)
    }

    /// What a device has of this array, if one has: the same numbers as the host, or the only ones.
    pub fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.storage.remote()
    }

    /// Remembers that a device has the same numbers; without effect where one has them already.
    pub fn mirror(&self, remote: Arc<dyn Remote>) {
        self.storage.mirror(remote);
    }

    /// Gives the array the numbers that a device has; those of the host are dropped.
    pub fn move_to(&mut self, remote: Arc<dyn Remote>) {
        self.storage.move_to(remote);
    }

    /// Whether nothing was written since all was zero. False says nothing.
    pub fn is_blank(&self) -> bool {
        self.storage.is_blank()
    }
}

impl<T: Element> Default for Array<T> {
    /// No numbers.
    fn default() -> Self {
        let element = std::marker::PhantomData;
        Self { storage: Storage::default(), length: 0, element }
    }
}

impl<T: Element> From<&[T]> for Array<T> {
    fn from(values: &[T]) -> Self {
        let storage = Storage::of(bytemuck::cast_slice(values));
        Self { storage, length: values.len(), element: std::marker::PhantomData }
    }
}

impl<T: Element> From<Vec<T>> for Array<T> {
    fn from(values: Vec<T>) -> Self {
        values.as_slice().into()
    }
}

impl<T: Element> FromIterator<T> for Array<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        values.into_iter().collect::<Vec<T>>().into()
    }
}

impl<T: Element> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        if self.length == 0 {
            return &[]; // of a size that no device is asked for
        }
        &self.storage.as_slice()[..self.length]
    }
}

impl<T: Element> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        if self.length == 0 {
            return &mut [];
        }
        &mut self.storage.as_mut_slice()[..self.length]
    }
}

impl<'a, T: Element> IntoIterator for &'a Array<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Element> IntoIterator for &'a mut Array<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: Element> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self { storage: self.storage.clone(), length: self.length, element: self.element }
    }
}

impl<T: Element + PartialEq> PartialEq for Array<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Element + PartialEq, const N: usize> PartialEq<[T; N]> for Array<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        **self == other[..]
    }
}

impl<T: Element + PartialEq> PartialEq<Vec<T>> for Array<T> {
    fn eq(&self, other: &Vec<T>) -> bool {
        **self == other[..]
    }
}

impl<T: Element> fmt::Debug for Array<T> {
    /// The size: the numbers would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.length, T::DTYPE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Error;

    /// A device that has one number all over, or none, and counts how often it is asked.
    #[derive(Debug)]
    struct Fake(Option<f32>, AtomicUsize);

    impl Remote for Fake {
        fn read(&self, to: &mut [u8]) -> std::result::Result<(), String> {
            self.1.fetch_add(1, Ordering::Relaxed);
            bytemuck::cast_slice_mut(to).fill(self.0.ok_or("it is gone")?);
            Ok(())
        }
    }

    #[test]
    fn numbers_cross_when_someone_looks() {
        let mut x = Array::from(vec![1f32, 2.0, 3.0]);
        let there = Arc::new(Fake(Some(2.5), AtomicUsize::new(0)));
        x.move_to(there.clone());
        let copy = x.clone();
        assert_eq!((x.len(), x.bytes(), there.1.load(Ordering::Relaxed)), (3, 12, 0));
        assert!(x == [2.5; 3] && x.iter().sum::<f32>() > 7.0);
        assert_eq!(there.1.load(Ordering::Relaxed), 1, "once");
        assert!(x.remote().is_some(), "reading keeps what the device has");
        x[1] = 7.0;
        assert!(x.remote().is_none() && x == [2.5, 7.0, 2.5] && copy == [2.5; 3]);
        x.clear();
        assert!(x.is_blank() && x == [0.0; 3]);
        x.reset(2).unwrap();
        assert!(x.is_blank() && x == vec![0.0; 2]);
        x.resize(2).unwrap();
        x.fill(3.0);
        x.resize(2).unwrap();
        assert_eq!(x, [3.0; 2], "as it was");
    }

    #[test]
    fn what_is_lost_or_too_large_is_an_error() {
        let mut x = Array::<f32>::zeros(5).unwrap();
        x.move_to(Arc::new(Fake(None, AtomicUsize::new(0))));
        assert_eq!(x.fetch().unwrap_err(), Error::Device { op: "fetch", why: "it is gone".into() });
        assert!(x[4].is_nan());
        assert!(Array::<u32>::zeros(usize::MAX).is_err() && Array::<u32>::zeros(1 << 45).is_err());
        assert!(Array::<u32>::default().is_empty() && Array::<u32>::default() == [0u32; 0]);
    }
}
