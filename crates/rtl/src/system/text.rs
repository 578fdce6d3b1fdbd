//! The text of the modules.

use std::fmt::Write;

use lutweave_lut::bits_for;

use super::{Design, Interface, serial};
use crate::blocks::{byte_bits, handover, slice};
use crate::verilog::{self, range};
use crate::{Result, Verilog};

/// All modules, the outermost last.
pub(super) fn emit(design: &Design<'_>) -> Result<String> {
    let name = design.module;
    let mut text = String::new();
    comment(design, &mut text)?;
    text.push_str("// Several modules in one file, so that it stands on its own.\n");
    text.push_str("/* verilator lint_off DECLFILENAME */\n\n");
    let options = Verilog::new(format!("{name}_net")).enable(true);
    verilog::emit(design.netlist, &options, &mut text)?;
    text.push_str("\n`default_nettype none\n");
    text.push_str(&handover(name));
    match design.interface {
        Interface::ValidReady => core(design, name, &mut text)?,
        Interface::AxiStream => {
            core(design, &format!("{name}_core"), &mut text)?;
            bytes(design, &mut text)?;
            axi(design, &mut text)?;
        }
        Interface::Serial { clocks_per_bit, digit } => {
            core(design, &format!("{name}_core"), &mut text)?;
            bytes(design, &mut text)?;
            serial::emit(design, clocks_per_bit, digit, &mut text)?;
        }
    }
    text.push_str("\n`default_nettype wire\n/* verilator lint_on DECLFILENAME */\n");
    Ok(text)
}

fn comment(design: &Design<'_>, text: &mut String) -> std::fmt::Result {
    let how = match design.interface {
        Interface::ValidReady => "with a handshake",
        Interface::AxiStream => "behind an AXI4-Stream",
        Interface::Serial { .. } => "behind a serial line",
    };
    writeln!(
        text,
        "// Module {}, by lutweave: netlist `{}` {how}.\n//",
        design.module,
        design.netlist.name()
    )?;
    let mut first = 0;
    writeln!(text, "// A sample has {} bits:", design.input_bits)?;
    for port in design.netlist.inputs() {
        layout(&port.name, &mut first, port.words, port.width, text)?;
    }
    first = 0;
    writeln!(text, "// An answer has {} bits:", design.output_bits)?;
    for port in design.netlist.outputs() {
        layout(&port.name, &mut first, port.words, port.width, text)?;
    }
    let (input, output) = (design.input_bytes(), design.output_bytes());
    match design.interface {
        Interface::ValidReady => writeln!(
            text,
            "//
// in_valid and in_ready take a sample, out_valid and out_ready give an answer: {} clock cycles
// later where nothing waits, one a cycle.",
            design.latency + 1
        )?,
        Interface::AxiStream => writeln!(
            text,
            "//
// s_axis: a sample is a burst of {input} bytes, lowest first, with tlast at the last; a burst of
// another length is dropped. m_axis: an answer is a beat of {output} bytes, tlast always set;
// {} clock cycles after the last byte of its sample where nothing waits.",
            design.latency + 2
        )?,
        Interface::Serial { digit, .. } => {
            let answer = if digit {
                "one digit, 0 to 9 and A to F".to_owned()
            } else {
                format!("{output} bytes, lowest first")
            };
            writeln!(
                text,
                "//
// A serial line of 8 data bits, no parity and one stop bit, CLKS_PER_BIT clock cycles a bit. rx: a
// sample is {input} bytes, lowest first. tx: its answer is {answer}.
// A byte without stop bit drops its sample; a pause of PAUSE bits begins a new one.
// Wait for the answer before the next sample but one.",
            )?;
        }
    }
    writeln!(
        text,
        "//
// Clock: the rising edge of clk. rst is synchronous and active high: it clears valid bits and
// counters, and drops what is under way; data registers have no reset. The netlist stops by an
// enable while its answer is not taken; no path leads from one side's ready to the other's.
//"
    )
}

/// Where the words of a port are.
fn layout(
    name: &str,
    first: &mut usize,
    words: usize,
    width: usize,
    text: &mut String,
) -> std::fmt::Result {
    let bits = words * width;
    let last = *first + bits - 1;
    writeln!(text, "//   [{last}:{first}] {name}: {words} x {width} bits, first word lowest")?;
    *first += bits;
    Ok(())
}

/// The netlist with a handshake on either side.
fn core(design: &Design<'_>, module: &str, text: &mut String) -> Result<()> {
    let name = design.module;
    let options = Verilog::new(format!("{name}_net")).enable(true);
    let signals = verilog::prepare(design.netlist, &options)?;
    let mut pins = Vec::new();
    let mut first = 0;
    for (port, input) in signals.inputs.iter().zip(design.netlist.inputs()) {
        let bits = input.words * input.width;
        pins.push(format!(".{port}({})", slice("in_data", first, bits, design.input_bits)));
        first += bits;
    }
    first = 0;
    for (port, output) in signals.outputs.iter().zip(design.netlist.outputs()) {
        let bits = output.nets.len();
        pins.push(format!(".{port}({})", slice("result", first, bits, design.output_bits)));
        first += bits;
    }
    let (ready, clocked) = if signals.style == verilog::Style::Combinational {
        ("\n  assign result_valid = in_valid;\n  assign in_ready = room;\n", "")
    } else {
        (
            "
  wire enable = !result_valid || room; // of the netlist: its answer is taken, or there is none
  assign in_ready = enable;
",
            "\n    .clk(clk), .rst(rst), .enable(enable),\n    .in_valid(in_valid), \
             .out_valid(result_valid),",
        )
    };
    write!(
        text,
        "
// The netlist with a handshake on either side.
module {module} (
  input  wire clk,
  input  wire rst,
  input  wire in_valid,
  output wire in_ready,
  input  wire {i}in_data,
  output wire out_valid,
  input  wire out_ready,
  output wire {o}out_data
);

  wire result_valid, room;
  wire {o}result;{ready}
  {name}_net net ({clocked}
    {pins}
  );
  {name}_handover #(.WIDTH({output})) handover (
    .clk(clk), .rst(rst),
    .in_valid(result_valid), .in_ready(room), .in_data(result),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
  );

endmodule
",
        i = range(design.input_bits),
        o = range(design.output_bits),
        pins = pins.join(",\n    "),
        output = design.output_bits,
    )?;
    Ok(())
}

/// The core behind bytes: `<name>_bytes` collects the bytes of a sample.
fn bytes(design: &Design<'_>, text: &mut String) -> std::fmt::Result {
    let name = design.module;
    let (bytes, bits) = (design.input_bytes(), design.input_bits);
    let all = 8 * bytes;
    let width = bits_for(bytes - 1);
    let next = if bytes > 1 {
        format!("{{in_byte, {}}}", slice("sample", 8, all - 8, all))
    } else {
        "in_byte".to_owned()
    };
    let unused = if bits < all {
        let rest = slice("sample", bits, all - bits, all);
        format!("\n  wire unused_ok = &{{1'b0, {rest}}};\n")
    } else {
        String::new()
    };
    write!(
        text,
        "
// Collects the bytes of a sample, and hands it to the core.
module {name}_bytes (
  input  wire clk,
  input  wire rst,
  input  wire drop, // forgets the bytes of this sample
  input  wire in_valid,
  output wire in_ready,
  input  wire in_last, // the burst ends
  input  wire [7:0] in_byte,
  output wire begun, // some bytes of a sample are there
  output wire last_byte, // and all but one
  output wire out_valid,
  input  wire out_ready,
  output wire {out}out_data
);

  reg [{top}:0] sample; // the latest byte on top
  reg {counter}count; // of its bytes
  reg complete;
  reg skip; // the burst was too long: its rest is dropped
  assign last_byte = count == {width}'d{last};
  wire core_ready;
  assign in_ready = !complete || core_ready;
  assign begun = count != {width}'d0;

  always @(posedge clk) begin
    if (rst) begin
      count <= {width}'d0;
      complete <= 1'b0;
      skip <= 1'b0;
    end else begin
      if (core_ready) complete <= 1'b0;
      if (drop) count <= {width}'d0;
      else if (in_valid && in_ready) begin
        skip <= !in_last && (skip || last_byte);
        count <= in_last || last_byte || skip ? {width}'d0 : count + {width}'d1;
        if (in_last && last_byte && !skip) complete <= 1'b1;
      end
    end
    if (in_valid && in_ready) sample <= {next};
  end

  {name}_core core (
    .clk(clk), .rst(rst),
    .in_valid(complete), .in_ready(core_ready), .in_data({data}),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
  );
{unused}
endmodule
",
        out = range(design.output_bits),
        top = all - 1,
        counter = range(width),
        last = bytes - 1,
        data = slice("sample", 0, bits, all),
    )
}

fn axi(design: &Design<'_>, text: &mut String) -> std::fmt::Result {
    let name = design.module;
    let (bits, wide) = (design.output_bits, byte_bits(design.output_bits));
    let answer =
        if bits == wide { "answer".to_owned() } else { format!("{{{}'d0, answer}}", wide - bits) };
    write!(
        text,
        "
// The whole design.
module {name} (
  input  wire clk,
  input  wire rst,
  input  wire [7:0] s_axis_tdata,
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  input  wire s_axis_tlast,
  output wire {m}m_axis_tdata,
  output wire m_axis_tvalid,
  input  wire m_axis_tready,
  output wire m_axis_tlast
);

  wire {a}answer;
  wire unused_begun, unused_last;
  {name}_bytes bytes (
    .clk(clk), .rst(rst), .drop(1'b0), .begun(unused_begun), .last_byte(unused_last),
    .in_valid(s_axis_tvalid), .in_ready(s_axis_tready), .in_last(s_axis_tlast),
    .in_byte(s_axis_tdata),
    .out_valid(m_axis_tvalid), .out_ready(m_axis_tready), .out_data(answer)
  );
  assign m_axis_tdata = {answer};
  assign m_axis_tlast = 1'b1;

endmodule
",
        m = range(wide),
        a = range(bits),
    )
}
