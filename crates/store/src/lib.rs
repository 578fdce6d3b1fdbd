#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backups;
mod error;
mod file;
mod format;
mod safetensors;

pub use backups::{Backups, NO_DELETE, date_name, is_date_name};
pub use error::{Error, Result};
pub use file::{load, load_checkpoint, save, save_checkpoint, write_atomic};
pub use format::{checkpoint_from_bytes, checkpoint_to_bytes, from_bytes, to_bytes};
pub use safetensors::{export_safetensors, from_safetensors, import_safetensors, to_safetensors};
