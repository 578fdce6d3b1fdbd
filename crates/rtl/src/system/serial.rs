//! The modules of the serial line.

use std::fmt::Write;

use lutweave_lut::bits_for;

use super::Design;
use crate::blocks::byte_bits;
use crate::verilog::range;

/// Bit times after which a sample is not gone on with.
const PAUSE: usize = 4096;

/// Receiver, sender, and the module that joins them.
pub(super) fn emit(
    design: &Design<'_>,
    clocks_per_bit: u16,
    digit: bool,
    text: &mut String,
) -> std::fmt::Result {
    let name = design.module;
    write!(text, "{}", receiver(name))?;
    write!(text, "{}", sender(name))?;
    let bytes = if digit { 1 } else { design.output_bytes() };
    let sent = if bytes > 1 { several(bytes) } else { String::new() };
    let next = if bytes > 1 {
        ".in_valid(sending), .in_ready(tx_ready), .in_byte(rest[7:0])"
    } else {
        ".in_valid(answer_valid), .in_ready(answer_ready), .in_byte(all)"
    };
    write!(
        text,
        "
// The whole design.
module {name} #(
  parameter [15:0] CLKS_PER_BIT = 16'd{clocks_per_bit}, // 4 to 65535
  parameter [15:0] PAUSE = 16'd{PAUSE} // bit times, at least 12
) (
  input  wire clk,
  input  wire rst,
  input  wire rx,
  output wire tx
);

  wire byte_valid, byte_wrong;
  wire [7:0] byte_in;
  {name}_rx receive (
    .clk(clk), .rst(rst), .bit_clocks(CLKS_PER_BIT), .rx(rx),
    .out_valid(byte_valid), .out_wrong(byte_wrong), .out_byte(byte_in)
  );

  // A pause: that many bit times without a byte.
  wire begun, last;
  reg [15:0] clocks, bits;
  wire paused = bits == PAUSE;
  always @(posedge clk) begin
    if (rst || byte_valid || !begun) begin
      clocks <= 16'd0;
      bits <= 16'd0;
    end else if (clocks != CLKS_PER_BIT - 16'd1) clocks <= clocks + 16'd1;
    else begin
      clocks <= 16'd0;
      bits <= bits + 16'd1;
    end
  end

  wire answer_valid, answer_ready;
  wire {a}answer;
  wire unused_ready; // a sample takes longer than its answer
  {name}_bytes bytes (
    .clk(clk), .rst(rst), .drop(byte_wrong || paused), .begun(begun), .last_byte(last),
    .in_valid(byte_valid), .in_ready(unused_ready), .in_last(last), .in_byte(byte_in),
    .out_valid(answer_valid), .out_ready(answer_ready), .out_data(answer)
  );
{answer}{sent}
  {name}_tx send (
    .clk(clk), .rst(rst), .bit_clocks(CLKS_PER_BIT),
    {next},
    .tx(tx)
  );

endmodule
",
        a = range(design.output_bits),
        answer = answer(design, digit),
    )
}

/// What is sent, as `all`.
fn answer(design: &Design<'_>, digit: bool) -> String {
    let (bits, wide) = (design.output_bits, byte_bits(design.output_bits));
    let answer =
        if bits == wide { "answer".to_owned() } else { format!("{{{}'d0, answer}}", wide - bits) };
    if !digit {
        return format!("  wire {}all = {answer};\n", range(wide));
    }
    let digit =
        if bits == 4 { "answer > 4'd9 ? value + 8'd55 : value + 8'd48" } else { "value + 8'd48" };
    format!("  wire [7:0] value = {answer};\n  wire [7:0] all = {digit};\n")
}

/// The bytes of an answer, one after the other.
fn several(bytes: usize) -> String {
    let width = bits_for(bytes - 1);
    format!(
        "
  // The bytes of an answer, lowest first.
  wire tx_ready;
  reg [{top}:0] rest;
  reg {counter}left; // bytes after this one
  reg sending;
  assign answer_ready = !sending;
  always @(posedge clk) begin
    if (rst) begin
      sending <= 1'b0;
      left <= {width}'d0;
    end else if (!sending) begin
      sending <= answer_valid;
      left <= {width}'d{last};
    end else if (tx_ready) begin
      sending <= left != {width}'d0;
      left <= left - {width}'d1;
    end
    if (!sending) rest <= all;
    else if (tx_ready) rest <= {{8'd0, rest[{top}:8]}};
  end
",
        top = 8 * bytes - 1,
        counter = range(width),
        last = bytes - 1,
    )
}

fn receiver(name: &str) -> String {
    format!(
        "
// Receives bytes: eight bits, lowest first, between a start bit 0 and a stop bit 1.
module {name}_rx (
  input  wire clk,
  input  wire rst,
  input  wire [15:0] bit_clocks,
  input  wire rx,
  output reg  out_valid, // for one cycle
  output reg  out_wrong, // likewise: the stop bit is missing
  output wire [7:0] out_byte
);

  reg [3:0] line; // of the last cycles; two registers against metastability
  reg busy;
  reg [15:0] clocks; // until a bit is looked at, in its middle
  reg [3:0] place; // of this bit
  reg [7:0] shift;
  assign out_byte = shift;

  always @(posedge clk) begin
    if (rst) line <= 4'b1111;
    else line <= {{line[2:0], rx}};
    if (rst) begin
      busy <= 1'b0;
      out_valid <= 1'b0;
      out_wrong <= 1'b0;
    end else begin
      out_valid <= 1'b0;
      out_wrong <= 1'b0;
      if (!busy) begin
        busy <= line[3] && !line[2]; // a start bit begins
        clocks <= (bit_clocks >> 1) - 16'd1;
        place <= 4'd0;
      end else if (clocks != 16'd0) clocks <= clocks - 16'd1;
      else begin
        clocks <= bit_clocks - 16'd1;
        place <= place + 4'd1;
        if (place == 4'd0) busy <= !line[2]; // or it was no start bit
        else if (place != 4'd9) shift <= {{line[2], shift[7:1]}};
        else begin
          busy <= 1'b0;
          out_valid <= line[2];
          out_wrong <= !line[2];
        end
      end
    end
  end

endmodule
"
    )
}

fn sender(name: &str) -> String {
    format!(
        "
// Sends bytes in the same form.
module {name}_tx (
  input  wire clk,
  input  wire rst,
  input  wire [15:0] bit_clocks,
  input  wire in_valid,
  output wire in_ready,
  input  wire [7:0] in_byte,
  output reg  tx
);

  reg [3:0] left; // bits
  reg [9:0] shift;
  reg [15:0] clocks;
  assign in_ready = left == 4'd0;

  always @(posedge clk) begin
    if (rst) begin
      left <= 4'd0;
      tx <= 1'b1;
    end else begin
      tx <= left == 4'd0 || shift[0];
      if (left == 4'd0) begin
        left <= in_valid ? 4'd10 : 4'd0;
        shift <= {{1'b1, in_byte, 1'b0}};
        clocks <= bit_clocks - 16'd1;
      end else if (clocks != 16'd0) clocks <= clocks - 16'd1;
      else begin
        clocks <= bit_clocks - 16'd1;
        left <= left - 4'd1;
        shift <= {{1'b1, shift[9:1]}};
      end
    end
  end

endmodule
"
    )
}
