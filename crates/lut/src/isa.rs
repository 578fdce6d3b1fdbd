//! Which instruction set kernels and programs use: one answer for all crates that compile code for
//! several.

use std::fmt;
use std::sync::OnceLock;

use crate::{Error, Result};

/// An instruction set that kernels and programs are written or compiled for, in rising order of
/// speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Whatever the compiler targets; on every machine.
    Portable,
    /// AVX2 with FMA, BMI, LZCNT and POPCNT (Haswell, Zen).
    Avx2,
    /// AVX-512 with BW, DQ, VL, VBMI and VPOPCNTDQ, and GFNI (Ice Lake, Zen 4); one without all of
    /// these counts as AVX2.
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
    /// A variable that names no instruction set of this machine is ignored here: programs ask
    /// [`from_environment`](Self::from_environment) first.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let named = Self::from_environment().ok().flatten();
            named.or(Self::available().last().copied()).unwrap_or(Self::Portable)
        })
    }

    /// What the environment variable `LUTWEAVE_ISA` names; none where it is unset or empty.
    ///
    /// # Errors
    ///
    /// [`Error::InstructionSet`] when it names no instruction set of this machine.
    pub fn from_environment() -> Result<Option<Self>> {
        Self::named(&std::env::var("LUTWEAVE_ISA").unwrap_or_default())
    }

    fn named(name: &str) -> Result<Option<Self>> {
        let available = Self::available();
        match available.iter().find(|isa| isa.name() == name) {
            Some(&isa) => Ok(Some(isa)),
            None if name.is_empty() => Ok(None),
            None => {
                let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
                Err(Error::InstructionSet { name: name.to_owned(), available: names.join(", ") })
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
        let avx2 = || {
            has!("avx2")
                && has!("fma")
                && has!("bmi1")
                && has!("bmi2")
                && has!("popcnt")
                && has!("lzcnt")
        };
        match self {
            Self::Portable => true,
            Self::Avx2 => avx2(),
            Self::Avx512 => {
                avx2()
                    && has!("avx512f")
                    && has!("avx512bw")
                    && has!("avx512dq")
                    && has!("avx512vl")
                    && has!("avx512vbmi")
                    && has!("avx512vpopcntdq")
                    && has!("gfni")
            }
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
        assert_eq!(Isa::named("").unwrap(), None);
        assert_eq!(Isa::named("portable").unwrap(), Some(Isa::Portable));
        let error = Isa::named("sse9").unwrap_err().to_string();
        assert!(error.starts_with("instruction set is not available: LUTWEAVE_ISA is `sse9`"));
        assert!(Isa::available().contains(&Isa::best()));
    }
}
