//! Element types.

use std::fmt;

/// The type of the elements of a tensor or frame buffer.
///
/// [`code`](Self::code) is the number that stands for the type in files. Where `BinaryBrain` has
/// the type, it is `BinaryBrain`'s number; its FP16 (declared there, never used) is `F16` here, and
/// `BF16` is 0x0111, which it does not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the names say it
pub enum DType {
    Bit,
    F16,
    BF16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl DType {
    /// Every type.
    pub const ALL: [Self; 13] = [
        Self::Bit,
        Self::F16,
        Self::BF16,
        Self::F32,
        Self::F64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
    ];

    /// The number that stands for the type in files.
    pub fn code(self) -> u16 {
        match self {
            Self::Bit => 0x0001,
            Self::F16 => 0x0110,
            Self::BF16 => 0x0111,
            Self::F32 => 0x0120,
            Self::F64 => 0x0140,
            Self::I8 => 0x0208,
            Self::I16 => 0x0210,
            Self::I32 => 0x0220,
            Self::I64 => 0x0240,
            Self::U8 => 0x0308,
            Self::U16 => 0x0310,
            Self::U32 => 0x0320,
            Self::U64 => 0x0340,
        }
    }

    /// The type with this code, if there is one.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.code() == code)
    }

    /// The type with this [`name`](Self::name), if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Bits of one element.
    pub fn bits(self) -> usize {
        match self {
            Self::Bit => 1,
            Self::I8 | Self::U8 => 8,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 16,
            Self::F32 | Self::I32 | Self::U32 => 32,
            Self::F64 | Self::I64 | Self::U64 => 64,
        }
    }

    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bit => "bit",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A plain number that can be the element of a tensor or frame buffer.
pub trait Element: bytemuck::Pod + Send + Sync + PartialOrd + fmt::Debug {
    /// Its type.
    const DTYPE: DType;
    /// Its value as f64; exact except for 64-bit integers past 2^53.
    fn to_f64(self) -> f64;
    /// The nearest value of this type: floats round to nearest even, integers truncate toward
    /// zero and saturate, NaN becomes integer 0.
    fn from_f64(value: f64) -> Self;
}

macro_rules! elements {
    ($($type:ty, $dtype:ident);*) => {$(
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
            #[allow(clippy::cast_lossless)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[allow(clippy::cast_sign_loss, clippy::cast_lossless)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }
        }
    )*};
}
elements!(f32, F32; f64, F64; i8, I8; i16, I16; i32, I32; i64, I64; u8, U8; u16, U16; u32, U32; u64, U64);

impl Element for half::f16 {
    const DTYPE: DType = DType::F16;
    fn to_f64(self) -> f64 {
        self.to_f64()
    }
    fn from_f64(value: f64) -> Self {
        Self::from_f64(value)
    }
}

impl Element for half::bf16 {
    const DTYPE: DType = DType::BF16;
    fn to_f64(self) -> f64 {
        self.to_f64()
    }
    fn from_f64(value: f64) -> Self {
        Self::from_f64(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_come_back() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_code(dtype.code()), Some(dtype));
        }
        assert_eq!(DType::from_code(2), None);
    }

    #[test]
    fn from_f64_saturates() {
        assert_eq!(u8::from_f64(300.0), 255);
        assert_eq!(u8::from_f64(-1.0), 0);
        assert_eq!(i8::from_f64(-1.9), -1);
        assert_eq!(i32::from_f64(f64::NAN), 0);
        assert_eq!(half::f16::from_f64(1.0 / 3.0).to_bits(), 0x3555);
    }
}
