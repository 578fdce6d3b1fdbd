//! Which instruction set programs run with.

use std::fmt;
use std::sync::OnceLock;

use crate::{Error, Result};

/// An instruction set that programs are run with, in rising order of speed. All give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Words of 64 bits; on every machine.
    Portable,
    /// AVX2: words of 256 bits.
    Avx2,
    /// AVX-512 F and BW: words of 512 bits, any function of three of them in one instruction.
    Avx512,
}

impl Isa {
    /// Every instruction set.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The name, as in `LUTWEAVE_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Those this machine has, slowest first. Asked of the CPU once.
    pub fn available() -> &'static [Self] {
        static AVAILABLE: OnceLock<Vec<Isa>> = OnceLock::new();
        AVAILABLE.get_or_init(|| Self::ALL.into_iter().filter(|isa| isa.detect()).collect())
    }

    /// The fastest this machine has, or what the environment variable `LUTWEAVE_ISA` lowers it to.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when the variable names no instruction set of this machine.
    pub fn best() -> Result<Self> {
        Self::named(&std::env::var("LUTWEAVE_ISA").unwrap_or_default())
    }

    fn named(name: &str) -> Result<Self> {
        let available = Self::available();
        let fastest = available.last().copied().unwrap_or(Self::Portable);
        match available.iter().find(|isa| isa.name() == name) {
            Some(&isa) => Ok(isa),
            None if name.is_empty() => Ok(fastest),
            None => {
                let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
                let why =
                    format!("LUTWEAVE_ISA is `{name}`; this machine has {}", names.join(", "));
                Err(Error::Unavailable { what: "instruction set", why })
            }
        }
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        Self::available().contains(&self)
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn detect(self) -> bool {
        use std::arch::is_x86_feature_detected as has;
        match self {
            Self::Portable => true,
            Self::Avx2 => has!("avx2"),
            Self::Avx512 => has!("avx2") && has!("avx512f") && has!("avx512bw"),
        }
    }

    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    fn detect(self) -> bool {
        self == Self::Portable
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_instruction_set_of_this_machine_or_an_error() {
        assert_eq!(Isa::named("portable").unwrap(), Isa::Portable);
        assert!(Isa::named("").unwrap().is_available());
        let error = Isa::named("sse9").unwrap_err().to_string();
        assert!(error.starts_with("instruction set is not available: LUTWEAVE_ISA is `sse9`"));
    }
}
