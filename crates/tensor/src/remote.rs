//! Buffers whose numbers lie on a device.

use std::any::Any;
use std::fmt::Debug;

/// The memory of a buffer on a device, as its backend keeps it, which
/// finds its own type again through [`Any`].
///
/// A [`FrameBuffer`](crate::FrameBuffer) may have its numbers in the host's memory, on a device, or in
/// both. Whatever reads it on the host fetches them once; whatever writes to it there drops what the
/// device has. So results stay where the next kernel wants them, and are copied when someone looks.
pub trait Remote: Any + Debug + Send + Sync {
    /// Copies everything to the host: as many bytes as the buffer has, padding included.
    ///
    /// # Errors
    ///
    /// What the device says.
    fn read(&self, to: &mut [u8]) -> std::result::Result<(), String>;
}
