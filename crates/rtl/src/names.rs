//! Names that every hardware language accepts.
//!
//! All names that are printed go through one [`Names`] per module. A name it gives
//!
//! - starts with a letter, holds letters, digits and single underscores only, and does not end in
//!   an underscore (VHDL's rule, the strictest; Verilator gives double underscores a meaning);
//! - is no reserved word of Verilog, `SystemVerilog`, VHDL or C++ (which Verilator writes), in any
//!   mixture of capitals;
//! - differs from every other name by more than capitals.
//!
//! ```
//! use lutweave_rtl::names::Names;
//!
//! let mut names = Names::new();
//! assert_eq!(names.claim("pixels"), "pixels");
//! assert_eq!(names.claim("Pixels"), "Pixels_1");
//! assert_eq!(names.claim("out"), "out_1");
//! assert_eq!(names.claim("_two__bits"), "two_bits");
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use lutweave_lut::MAX_NAME;

use crate::{Error, Result};

/// The names of one module.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Every name given so far, in small letters.
    taken: BTreeSet<String>,
    /// The last number tried for a name, so that many equal names cost no quadratic search.
    last_number: BTreeMap<String, usize>,
}

impl Names {
    /// No name is taken yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A legal name as close to `wanted` as possible, never given before.
    ///
    /// A name that is reserved or taken gets the first free number, as in `out_1`.
    pub fn claim(&mut self, wanted: &str) -> String {
        let base = legal(wanted);
        let key = base.to_ascii_lowercase();
        if !is_reserved(&base) && self.taken.insert(key.clone()) {
            return base;
        }
        let number = self.last_number.entry(key.clone()).or_insert(0);
        loop {
            *number += 1;
            if self.taken.insert(format!("{key}_{number}")) {
                return format!("{base}_{number}");
            }
        }
    }
}

/// Whether `name` is a reserved word of one of the languages, in any mixture of capitals.
pub fn is_reserved(name: &str) -> bool {
    static RESERVED: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
        [VERILOG, SYSTEM_VERILOG, VHDL, CPP].iter().flat_map(|s| s.split_whitespace()).collect()
    });
    RESERVED.contains(name.to_ascii_lowercase().as_str())
}

/// Whether `name` can be printed as it is, as far as the name alone can tell.
pub fn is_legal(name: &str) -> bool {
    legal(name) == name && !is_reserved(name)
}

/// Refuses a name that a module cannot have in every language.
pub(crate) fn check_module(name: &str) -> Result<()> {
    let refuse = |what| Err(Error::ModuleName { name: name.chars().take(200).collect(), what });
    if name.len() > MAX_NAME {
        return refuse("it is longer than 128 characters");
    }
    if is_reserved(name) {
        return refuse("it is a reserved word of Verilog, SystemVerilog, VHDL or C++");
    }
    if !is_legal(name) {
        return refuse("expected a letter, then letters, digits and single underscores");
    }
    Ok(())
}

/// `wanted` with every character that is not allowed replaced.
fn legal(wanted: &str) -> String {
    let mut name = String::with_capacity(wanted.len());
    for c in wanted.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.to_owned()
    } else {
        format!("n{name}")
    }
}

/// IEEE 1364-2005, annex B.
const VERILOG: &str = "
    always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign
    default defparam design disable edge else end endcase endconfig endfunction endgenerate
    endmodule endprimitive endspecify endtable endtask event for force forever fork function
    generate genvar highz0 highz1 if ifnone incdir include initial inout input instance integer
    join large liblist library localparam macromodule medium module nand negedge nmos nor
    noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1
    pulldown pullup pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat
    rnmos rpmos rtran rtranif0 rtranif1 scalared showcancelled signed small specify specparam
    strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri tri0 tri1 triand
    trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor";

/// IEEE 1800-2017, annex B, what Verilog does not have.
const SYSTEM_VERILOG: &str = "
    accept_on alias always_comb always_ff always_latch assert assume before bind bins binsof bit
    break byte chandle checker class clocking const constraint context continue cover covergroup
    coverpoint cross dist do endchecker endclass endclocking endgroup endinterface endpackage
    endprogram endproperty endsequence enum eventually expect export extends extern final
    first_match foreach forkjoin global iff ignore_bins illegal_bins implements implies import
    inside int interconnect interface intersect join_any join_none let local logic longint matches
    modport nettype new nexttime null package packed priority program property protected pure rand
    randc randcase randsequence ref reject_on restrict return s_always s_eventually s_nexttime
    s_until s_until_with sequence shortint shortreal soft solve static string strong struct super
    sync_accept_on sync_reject_on tagged this throughout timeprecision timeunit type typedef union
    unique unique0 until until_with untyped var virtual void wait_order weak wildcard with within";

/// IEEE 1076-2008, section 15.10, what the two above do not have.
const VHDL: &str = "
    abs access after all architecture array assume_guarantee attribute block body buffer bus
    component configuration constant disconnect downto elsif entity exit fairness file generic
    group guarded impure in inertial is label linkage literal loop map mod next of on open others
    out parameter port postponed procedure process protected range record register reject rem
    report restrict_guarantee rol ror select severity signal shared sla sll sra srl subtype then
    to transport units until variable vmode vprop vunit when";

/// C++ keywords, which Verilator would have to rename in the code it writes.
const CPP: &str = "
    alignas alignof and_eq asm auto bitand bitor bool catch char char16_t char32_t compl concept
    const_cast constexpr decltype delete double dynamic_cast explicit false float friend goto
    inline long mutable namespace noexcept not_eq nullptr operator or_eq override private public
    reinterpret_cast requires short sizeof static_assert static_cast switch template thread_local
    throw true try typeid typename using volatile wchar_t xor_eq";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_every_name_legal() {
        struct Case {
            wanted: &'static str,
            given: &'static str,
        }
        let cases = [
            Case { wanted: "layer0_17", given: "layer0_17" },
            Case { wanted: "", given: "n" },
            Case { wanted: "_", given: "n_1" },
            Case { wanted: "7seg", given: "n7seg" },
            Case { wanted: "_a__b_", given: "a_b" },
            Case { wanted: "a b", given: "a_b_1" },
            Case { wanted: "A_B", given: "A_B_2" },
            Case { wanted: "a_b_1", given: "a_b_1_1" },
            Case { wanted: "größe", given: "gr_e" },
            Case { wanted: "x\"; $finish; //", given: "x_finish" },
            Case { wanted: "module", given: "module_1" },
            Case { wanted: "logic", given: "logic_1" },
            Case { wanted: "Signal", given: "Signal_1" },
            Case { wanted: "OUT", given: "OUT_1" },
            Case { wanted: "out", given: "out_2" },
            Case { wanted: "template", given: "template_1" },
            Case { wanted: "end_", given: "end_1" },
        ];
        let mut names = Names::new();
        for Case { wanted, given } in cases {
            assert_eq!(names.claim(wanted), given, "for {wanted:?}");
        }
    }

    #[test]
    fn equal_names_get_numbers_in_order() {
        let mut names = Names::new();
        let given: Vec<String> = (0..3).map(|_| names.claim("y")).collect();
        assert_eq!(given, ["y", "y_1", "y_2"]);
    }

    #[test]
    fn tells_what_may_stay_as_it_is() {
        assert!(is_legal("digits") && is_legal("Net2"));
        for name in ["", "Entity", "wire", "a__b", "b_", "_c", "2d", "a-b"] {
            assert!(!is_legal(name), "{name:?}");
        }
    }
}
