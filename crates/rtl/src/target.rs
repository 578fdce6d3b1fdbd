//! The devices that hardware is made for: their look-up tables and multiplexers, and scripts for
//! their tools.

mod scripts;

use std::fmt;

use lutweave_lut::MAX_FAN_IN;

pub use scripts::Script;

/// A family of FPGAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Target {
    /// Any: plain Verilog, no primitives.
    #[default]
    Generic,
    /// Xilinx 7 series: LUTs of six inputs, `MUXF7` and `MUXF8`.
    Xilinx7,
    /// Xilinx UltraScale and UltraScale+: as the 7 series.
    UltraScale,
    /// Lattice iCE40: `SB_LUT4` alone.
    Ice40,
    /// Lattice ECP5: `LUT4`, `PFUMX` and `L6MUX21`.
    Ecp5,
    /// Gowin: LUTs of four inputs, `MUX2_LUT5` to `MUX2_LUT8`.
    Gowin,
}

/// A two-way multiplexer of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mux {
    pub(crate) module: &'static str,
    /// Pins of the values chosen by 0 and by 1, of the choice, and of the output.
    pub(crate) pins: [&'static str; 4],
}

/// A look-up table of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lut {
    pub(crate) module: &'static str,
    pub(crate) parameter: &'static str,
    /// Input 0 of the table first. A family may have a larger one than is asked for.
    pub(crate) inputs: &'static [&'static str],
    pub(crate) output: &'static str,
}

const XILINX_PINS: [&str; 6] = ["I0", "I1", "I2", "I3", "I4", "I5"];

impl Target {
    /// Every target.
    pub const ALL: [Self; 6] =
        [Self::Generic, Self::Xilinx7, Self::UltraScale, Self::Ice40, Self::Ecp5, Self::Gowin];

    /// Its name, as in `xilinx7`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Xilinx7 => "xilinx7",
            Self::UltraScale => "ultrascale",
            Self::Ice40 => "ice40",
            Self::Ecp5 => "ecp5",
            Self::Gowin => "gowin",
        }
    }

    /// Inputs of its largest single LUT; six for [`Generic`](Self::Generic).
    pub fn lut_inputs(self) -> usize {
        match self {
            Self::Generic | Self::Xilinx7 | Self::UltraScale => 6,
            Self::Ice40 | Self::Ecp5 | Self::Gowin => 4,
        }
    }

    /// LUTs that a table of `fan_in` inputs takes as primitives; the multiplexers between them are
    /// not counted where the family has them beside its LUTs.
    ///
    /// A table with more inputs than a LUT is split at its last inputs (Shannon's expansion). With
    /// LUTs of four inputs, six inputs take four of them and two multiplexer levels; iCE40 makes
    /// a four-way multiplexer of two LUTs.
    ///
    /// ```
    /// use lutweave_rtl::Target;
    ///
    /// let luts = |target: Target| [1, 4, 5, 6, 7, 8].map(|fan_in| target.luts(fan_in));
    /// assert_eq!(luts(Target::Xilinx7), [1, 1, 1, 1, 2, 4]);
    /// assert_eq!(luts(Target::Ecp5), [1, 1, 2, 4, 8, 17]);
    /// assert_eq!(luts(Target::Ice40), [1, 1, 3, 6, 13, 26]);
    /// ```
    pub fn luts(self, fan_in: usize) -> usize {
        match self.split(fan_in) {
            Split::Single => 1,
            Split::Two(Some(_)) => 2 * self.luts(fan_in - 1),
            Split::Two(None) => 2 * self.luts(fan_in - 1) + 1,
            Split::Four => 4 * self.luts(fan_in - 2) + 2,
        }
    }

    /// How a table of so many inputs is built.
    pub(crate) fn split(self, fan_in: usize) -> Split {
        let spare = fan_in.min(MAX_FAN_IN).saturating_sub(self.lut_inputs());
        match (spare, self.mux(fan_in)) {
            (0, _) => Split::Single,
            (_, Some(mux)) => Split::Two(Some(mux)),
            (_, None) if spare.is_multiple_of(2) && self.mux(fan_in - 1).is_none() => Split::Four,
            (_, None) => Split::Two(None),
        }
    }

    /// The multiplexer whose result is a function of `fan_in` inputs, if it is no LUT.
    fn mux(self, fan_in: usize) -> Option<Mux> {
        let (module, pins) = match (self, fan_in) {
            (Self::Xilinx7 | Self::UltraScale, 7) => ("MUXF7", ["I0", "I1", "S", "O"]),
            (Self::Xilinx7 | Self::UltraScale, 8) => ("MUXF8", ["I0", "I1", "S", "O"]),
            (Self::Ecp5, 5) => ("PFUMX", ["BLUT", "ALUT", "C0", "Z"]),
            (Self::Ecp5, 6 | 7) => ("L6MUX21", ["D0", "D1", "SD", "Z"]),
            (Self::Gowin, 5) => ("MUX2_LUT5", ["I0", "I1", "S0", "O"]),
            (Self::Gowin, 6) => ("MUX2_LUT6", ["I0", "I1", "S0", "O"]),
            (Self::Gowin, 7) => ("MUX2_LUT7", ["I0", "I1", "S0", "O"]),
            (Self::Gowin, 8) => ("MUX2_LUT8", ["I0", "I1", "S0", "O"]),
            _ => return None,
        };
        Some(Mux { module, pins })
    }

    /// The LUT for a table of `fan_in` inputs, one to [`lut_inputs`](Self::lut_inputs); none for
    /// the generic target.
    pub(crate) fn lut(self, fan_in: usize) -> Option<Lut> {
        let named = ["LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6"];
        let (module, parameter, inputs, output) = match self {
            Self::Generic => return None,
            Self::Xilinx7 | Self::UltraScale => {
                (*named.get(fan_in.checked_sub(1)?)?, "INIT", &XILINX_PINS[..fan_in], "O")
            }
            Self::Gowin => {
                (*named[..4].get(fan_in.checked_sub(1)?)?, "INIT", &XILINX_PINS[..fan_in], "F")
            }
            Self::Ice40 => ("SB_LUT4", "LUT_INIT", &XILINX_PINS[..4], "O"),
            Self::Ecp5 => ("LUT4", "INIT", &["A", "B", "C", "D"][..], "Z"),
        };
        Some(Lut { module, parameter, inputs, output })
    }
}

/// How a table is built of primitives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// One LUT.
    Single,
    /// Two halves and a multiplexer, which is a LUT where the family has none.
    Two(Option<Mux>),
    /// Four quarters, and two LUTs of four inputs between them.
    Four,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
