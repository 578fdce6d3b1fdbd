//! Small Verilog modules that larger ones are made of, and what all generated text shares.

use lutweave_lut::MAX_NAME;

use crate::{Error, Result, names};

/// Characters that the names of submodules add to the name of a module, as in `<name>_stage7`.
const SUFFIX: usize = 24;

/// Refuses a module name that cannot be printed as it is, or with [`SUFFIX`] more characters.
pub(crate) fn check_name(name: &str) -> Result<()> {
    names::check_module(name)?;
    if name.len() + SUFFIX > MAX_NAME {
        let what = "it is longer than 104 characters, which leaves room for the names of its parts";
        return Err(Error::ModuleName { name: name.to_owned(), what });
    }
    Ok(())
}

/// Whole bytes that hold so many bits, in bits.
pub(crate) fn byte_bits(bits: usize) -> usize {
    bits.div_ceil(8) * 8
}

/// `1 bit`, `2 bits`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `vector[high:low]` of `bits` bits from bit `first` on, of a vector of `total` bits.
pub(crate) fn slice(vector: &str, first: usize, bits: usize, total: usize) -> String {
    match bits {
        _ if bits == total => vector.to_owned(),
        1 => format!("{vector}[{first}]"),
        _ => format!("{vector}[{}:{first}]", first + bits - 1),
    }
}

/// The module `<name>_handover`: a register in either direction of a handshake, with room for two
/// words, so that no path leads through it from input to output.
pub(crate) fn handover(name: &str) -> String {
    format!(
        "
// A hand-over between two stages: what goes on and whether there is room are registers both, so
// that no path leads through it. Room for two words; a word a clock cycle; one cycle of latency.
module {name}_handover #(
  parameter WIDTH = 1
) (
  input  wire clk,
  input  wire rst, // synchronous: forgets what it holds
  input  wire in_valid,
  output wire in_ready,
  input  wire [WIDTH-1:0] in_data,
  output wire out_valid,
  input  wire out_ready,
  output wire [WIDTH-1:0] out_data
);

  reg valid; // data holds a word
  reg full; // and spare another
  reg [WIDTH-1:0] data, spare;
  wire moves = !valid || out_ready;

  always @(posedge clk) begin
    if (rst) begin
      valid <= 1'b0;
      full <= 1'b0;
    end else if (moves) begin
      valid <= full || in_valid;
      full <= 1'b0;
    end else if (in_valid) full <= 1'b1;
    if (moves) data <= full ? spare : in_data;
    if (!full) spare <= in_data;
  end

  assign in_ready = !full;
  assign out_valid = valid;
  assign out_data = data;

endmodule
"
    )
}
