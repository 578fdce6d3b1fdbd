//! Which instruction set the kernels use.

use std::fmt;
use std::sync::OnceLock;

/// An instruction set that the CPU kernels are written or compiled for, in rising order of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Whatever the compiler targets; on every machine.
    Portable,
    /// AVX2 with FMA, BMI and POPCNT: the portable loops compiled for it.
    Avx2,
    /// AVX-512 with BW, DQ, VL, VBMI and VPOPCNTDQ: kernels of its own.
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
    /// A name that is unknown or not available is ignored.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let wanted = std::env::var("LUTWEAVE_ISA").unwrap_or_default();
            let available = Self::available();
            let named = available.iter().find(|isa| isa.name() == wanted);
            named.or(available.last()).copied().unwrap_or(Self::Portable)
        })
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
