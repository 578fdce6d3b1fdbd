//! Where the numbers of a batch are: on the host, on a device, or on both.

use std::sync::Arc;

use super::FrameBuffer;
use crate::{Remote, Result};

impl FrameBuffer {
    /// What a device has of this buffer, if one has: the same numbers as the host, or the only ones.
    pub fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.storage.remote()
    }

    /// Remembers that a device has the same numbers; without effect where one has them already.
    pub fn mirror(&self, remote: Arc<dyn Remote>) {
        self.storage.mirror(remote);
    }

    /// Gives the buffer the numbers that a device has. The host's are dropped, and fetched when they
    /// are next asked for.
    pub fn move_to(&mut self, remote: Arc<dyn Remote>) {
        self.storage.move_to(remote);
    }

    /// Whether nothing was written since [`zeros`](Self::zeros) or [`reset`](Self::reset), so that a
    /// device need not be sent any numbers. False says nothing.
    pub fn is_blank(&self) -> bool {
        self.storage.is_blank()
    }

    /// All bytes, padding included, row after row: what a device is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) where they lie on a device that does not give them.
    pub fn as_bytes(&self) -> Result<&[u8]> {
        self.storage.fetch()?;
        Ok(self.storage.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Error};

    /// A device that has one number all over, or none.
    #[derive(Debug)]
    struct Fake(Option<f32>);

    impl Remote for Fake {
        fn read(&self, to: &mut [u8]) -> std::result::Result<(), String> {
            let value = self.0.ok_or("it is gone")?;
            bytemuck::cast_slice_mut(to).fill(value);
            Ok(())
        }
    }

    #[test]
    fn numbers_are_fetched_when_read_and_dropped_when_written() {
        let mut x = FrameBuffer::zeros(DType::F32, &[2], 64).unwrap();
        assert!(x.is_blank() && x.remote().is_none());
        x.move_to(Arc::new(Fake(Some(2.5))));
        let copy = x.clone();
        assert!(!x.is_blank() && x.remote().is_some());
        assert_eq!(x.sum().to_bits(), 320f64.to_bits());
        assert!(x.remote().is_some(), "reading keeps what the device has");
        x.row_mut::<f32>(1).unwrap()[3] = 7.0;
        assert!(x.remote().is_none(), "writing drops it");
        assert_eq!(x.row::<f32>(1).unwrap()[2..4], [2.5, 7.0]);
        assert_eq!(copy.row::<f32>(1).unwrap()[3].to_bits(), 2.5f32.to_bits());
        x.reset(DType::F32, &[1], 3).unwrap();
        assert!(x.is_blank() && x.row::<f32>(0).unwrap() == [0.0; 3]);
        let mirrored = FrameBuffer::zeros(DType::F32, &[2], 64).unwrap();
        mirrored.mirror(Arc::new(Fake(None)));
        assert_eq!(mirrored.sum().to_bits(), 0, "the host has them too");
    }

    #[test]
    fn zeros_are_made_when_someone_looks() {
        let mut x = FrameBuffer::zeros(DType::F32, &[3], 64).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(x.rows::<f32>().unwrap() == [0.0; 192]));
            }
        });
        assert!(x.is_blank() && x.clone() == x);
        x.fill(3.0);
        assert!(!x.is_blank() && x.clone() == x);
        // The same memory, with what it held gone; then less and more of it.
        for nodes in [3, 1, 40] {
            x.reset(DType::F32, &[nodes], 64).unwrap();
            assert!(x.is_blank() && x.rows::<f32>().unwrap().iter().all(|&v| v == 0.0));
            assert_eq!(x.rows::<f32>().unwrap().len(), nodes * 64);
            x.fill(2.0);
        }
        assert!(x.reset(DType::F64, &[1 << 30], 1 << 30).is_err());
        assert_eq!(x.sum().to_bits(), f64::to_bits(2.0 * 40.0 * 64.0), "as it was");
    }

    #[test]
    fn a_device_that_is_gone_is_an_error() {
        let mut x = FrameBuffer::zeros(DType::F32, &[2], 5).unwrap();
        x.move_to(Arc::new(Fake(None)));
        let error = Error::Device { op: "fetch", why: "it is gone".into() };
        assert_eq!(x.row::<f32>(0).unwrap_err(), error);
        assert_eq!(x.as_bytes().unwrap_err(), error);
        assert!(!x.is_finite(), "what cannot be fetched is NaN where nothing can be said");
    }
}
