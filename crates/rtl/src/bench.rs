//! The self-checking test bench of a module.

use std::fmt::{Result, Write};

use crate::verilog::{Signals, Style, range};

/// Most bits that one `$display` shows; Verilator refuses more than 8192.
const MAX_DISPLAYED: usize = 2048;

/// Prints the bench of `module` for vector files of `samples` lines, those of inputs for `hold` samples
/// each.
///
/// One process makes the clock and does everything in a fixed order, so no result depends on the
/// order in which a simulator runs things: each cycle drives at its start, compares after 4 time
/// units, and has the rising edge after 5. A result of latency 0 is compared in the cycle that
/// drove it.
pub(crate) fn emit(
    signals: &Signals<'_>,
    module: &str,
    (samples, hold): (usize, usize),
    out: &mut impl Write,
) -> Result {
    header(signals.style, module, out)?;
    declarations(signals, module, (samples, hold), out)?;
    instance(signals, module, out)?;
    out.write_str(CHECK_LINES)?;
    check(signals, out)?;
    clock(signals, out)?;
    run(signals.style, module, hold, out)
}

fn header(style: Style, module: &str, out: &mut impl Write) -> Result {
    let gaps = match style {
        Style::StateMachine => String::new(),
        _ => "//   +gaps=N         percent of cycles without a sample, at most 90 (25)\n\
              //   +seed=N         random seed of these gaps (1)\n"
            .to_owned(),
    };
    write!(
        out,
        "// Test bench of {module}, by lutweave: drives every sample, compares every result.
//
// Runs in Icarus Verilog and in Verilator 5 or newer:
//   $ iverilog -g2001 -o {module}.vvp {module}.v {module}_tb.v && vvp -n {module}.vvp
//   $ verilator --binary --timing --top-module {module}_tb {module}.v {module}_tb.v \\
//       && obj_dir/V{module}_tb
//
// Options, with their defaults:
//   +inputs=FILE    samples, one line of bits each ({module}_inputs.mem)
//   +expected=FILE  outputs expected for them, likewise ({module}_expected.mem)
{gaps}//
// Prints `co-simulation: N/N results equal, latency L cycles` when every result is right, or
// the first samples that differ and a line that starts with FAIL.

`default_nettype none

module {module}_tb;
"
    )
}

fn declarations(
    signals: &Signals<'_>,
    module: &str,
    (samples, hold): (usize, usize),
    out: &mut impl Write,
) -> Result {
    let inputs = signals.netlist.input_bits();
    let outputs: usize = signals.netlist.outputs().iter().map(|port| port.nets.len()).sum();
    let latency = signals.style.latency();
    let (inputs, outputs) = (range(inputs), range(outputs));
    let held = if hold == 1 {
        String::new()
    } else {
        format!("  localparam HOLD = {hold}; // clock cycles that each line of inputs is for\n")
    };
    let last = if hold == 1 { "SAMPLES-1" } else { "SAMPLES/HOLD-1" };
    write!(
        out,
        "  localparam SAMPLES = {samples};
{held}  localparam LATENCY = {latency};
  localparam MAX_REPORTS = 5; // samples that differ and are shown

  reg {inputs}inputs [0:{last}];
  reg {outputs}expected [0:SAMPLES-1];
  integer driven [0:SAMPLES-1]; // the cycle in which each sample was driven
  reg [8*1024-1:0] inputs_path;
  reg [8*1024-1:0] expected_path;

  integer cycle;
  integer sent; // samples driven
  integer received; // results seen
  integer passed; // results that are right
  integer unexpected; // results without a sample, and unknown valid bits
  integer late; // results at another latency than LATENCY
  integer latency; // of the first result
"
    )?;
    match signals.style {
        Style::StateMachine => writeln!(out, "  reg clk;")?,
        Style::Combinational => {}
        Style::Pipeline { .. } => writeln!(out, "  reg clk;\n  reg rst;")?,
    }
    if signals.enable {
        writeln!(out, "  reg enable;")?;
    }
    if signals.style != Style::StateMachine {
        writeln!(out, "  integer gaps;\n  reg [31:0] noise;")?;
    }
    writeln!(out, "  reg in_valid;\n  reg {inputs}stimulus;\n  wire {outputs}actual;")?;
    match signals.style {
        Style::Pipeline { .. } => writeln!(out, "  wire out_valid;")?,
        _ => writeln!(out, "  wire out_valid = in_valid; // {module} answers in the same cycle")?,
    }
    Ok(())
}

fn instance(signals: &Signals<'_>, module: &str, out: &mut impl Write) -> Result {
    let fixed: &[&str] = match signals.style {
        Style::Combinational => &[],
        Style::Pipeline { .. } => &["clk", "rst", "in_valid", "out_valid"],
        Style::StateMachine => &["clk"],
    };
    let enable: &[&str] = if signals.enable { &["enable"] } else { &[] };
    let mut pins: Vec<String> =
        fixed.iter().chain(enable).map(|pin| format!(".{pin}({pin})")).collect();
    for (vector, ports) in [("stimulus", inputs(signals)), ("actual", outputs(signals))] {
        for port in ports {
            let part = port.select(port.first, port.bits);
            pins.push(format!(".{}({vector}{part})", port.name));
        }
    }
    writeln!(out, "\n  {module} dut (\n    {}\n  );", pins.join(",\n    "))
}

/// A data port, as a part of the bench's vector of all inputs or of all outputs.
struct Port<'a> {
    name: &'a str,
    first: usize,
    bits: usize,
    /// Bits of the whole vector.
    total: usize,
}

impl Port<'_> {
    /// The part select of `bits` bits of the vector from bit `first` on.
    fn select(&self, first: usize, bits: usize) -> String {
        match bits {
            _ if bits == self.total => String::new(),
            1 => format!("[{first}]"),
            _ => format!("[{}:{first}]", first + bits - 1),
        }
    }

    /// The port in pieces that simulators can display: a name and a part select each.
    fn pieces(&self) -> Vec<(String, String)> {
        let starts = (0..self.bits).step_by(MAX_DISPLAYED);
        starts
            .map(|start| {
                let bits = MAX_DISPLAYED.min(self.bits - start);
                let name = if bits == self.bits {
                    self.name.to_owned()
                } else {
                    format!("{}[{}:{start}]", self.name, start + bits - 1)
                };
                (name, self.select(self.first + start, bits))
            })
            .collect()
    }
}

fn ports<'a>(names: &'a [String], bits: impl Iterator<Item = usize> + Clone) -> Vec<Port<'a>> {
    let total = bits.clone().sum();
    let mut first = 0;
    let mut place = |(name, bits): (&'a String, usize)| {
        let port = Port { name, first, bits, total };
        first += bits;
        port
    };
    names.iter().zip(bits).map(&mut place).collect()
}

fn inputs<'a>(signals: &'a Signals<'_>) -> Vec<Port<'a>> {
    let bits = signals.netlist.inputs().iter().map(|port| port.words * port.width);
    ports(&signals.inputs, bits)
}

fn outputs<'a>(signals: &'a Signals<'_>) -> Vec<Port<'a>> {
    ports(&signals.outputs, signals.netlist.outputs().iter().map(|port| port.nets.len()))
}

/// Checks that a file has as many lines as are needed: a simulator that lacks a file, or some lines
/// of it, may go on with zeros, and find them equal.
pub(crate) const CHECK_LINES: &str = "
  // Ends the run when a file is missing or has another number of lines.
  task check_lines(input [8*1024-1:0] path, input integer needed);
    integer file;
    integer lines;
    integer length;
    reg [8*128-1:0] unused_piece; // all but its last character
    reg ends; // the last piece read ended in a line feed
    begin
      file = $fopen(path, \"r\");
      lines = 0;
      if (file == 0) $display(\"FAIL: cannot open %0s\", path);
      else begin
        ends = 1'b1;
        length = $fgets(unused_piece, file);
        while (length != 0) begin
          if (ends) lines = lines + 1;
          ends = unused_piece[7:0] == 8'd10;
          length = $fgets(unused_piece, file);
        end
        $fclose(file);
        if (lines != needed)
          $display(\"FAIL: expected %0d lines in %0s, got %0d\", needed, path, lines);
      end
      if (lines != needed) $finish;
    end
  endtask
";

/// Cycles before this one in which the enable is low: they do not count.
const STANDS_STILL: &str = "      noise = noise ^ (noise << 13);
      noise = noise ^ (noise >> 17);
      noise = noise ^ (noise << 5);
      while (!rst && {16'd0, noise[15:0]} % 100 < gaps) begin
        enable = 1'b0;
        #5 clk = 1'b1;
        #5 clk = 1'b0;
        noise = noise ^ (noise << 13);
        noise = noise ^ (noise >> 17);
        noise = noise ^ (noise << 5);
      end
      enable = 1'b1;
";

/// Compares the result of this cycle, if there is one.
fn check(signals: &Signals<'_>, out: &mut impl Write) -> Result {
    let width = range(signals.netlist.outputs().iter().map(|port| port.nets.len()).sum());
    write!(
        out,
        "
  // Compares the result of this cycle, if there is one.
  task check;
    reg {width}wanted;
    begin
      if (out_valid === 1'b1 && received < sent) begin
        wanted = expected[received];
        if (actual === wanted) passed = passed + 1;
        else if (received - passed < MAX_REPORTS) begin
"
    )?;
    for (name, part) in outputs(signals).iter().flat_map(Port::pieces) {
        write!(
            out,
            "          if (actual{part} !== wanted{part})
            $display(\"sample %0d: {name} expected %h, actual %h\", received,
                     wanted{part}, actual{part});
"
        )?;
    }
    out.write_str(
        "        end
        if (received == 0) latency = cycle - driven[0];
        if (cycle - driven[received] != LATENCY) late = late + 1;
        received = received + 1;
      end else if (out_valid !== 1'b0) unexpected = unexpected + 1;
    end
  endtask
",
    )
}

fn clock(signals: &Signals<'_>, out: &mut impl Write) -> Result {
    let (check, edges) = match signals.style {
        Style::Combinational => ("check;", "      #6"),
        Style::StateMachine => ("check;", "      #1 clk = 1'b1;\n      #5 clk = 1'b0;\n     "),
        Style::Pipeline { .. } => {
            ("if (!rst) check;", "      #1 clk = 1'b1;\n      #5 clk = 1'b0;\n     ")
        }
    };
    write!(
        out,
        "
  // One clock cycle.
  task tick;
    begin
{stands}      #4 {check}
{edges} cycle = cycle + 1;
    end
  endtask
",
        stands = if signals.enable { STANDS_STILL } else { "" }
    )
}

fn run(style: Style, module: &str, hold: usize, out: &mut impl Write) -> Result {
    let gaps = match style {
        Style::StateMachine => "",
        _ => {
            "
    if (!$value$plusargs(\"gaps=%d\", gaps)) gaps = 25;
    if (gaps < 0) gaps = 0;
    if (gaps > 90) gaps = 90;
    if (!$value$plusargs(\"seed=%d\", noise)) noise = 32'd1;
    noise = noise ^ 32'h9e3779b9;
    if (noise == 32'd0) noise = 32'd1;"
        }
    };
    let reset = match style {
        Style::StateMachine => "    clk = 1'b0;\n",
        Style::Combinational => "",
        Style::Pipeline { .. } => {
            "    clk = 1'b0;
    // Nothing of what is driven during reset may come out.
    rst = 1'b1;
    in_valid = 1'b1;
    stimulus = inputs[0];
    tick;
    tick;
    rst = 1'b0;
"
        }
    };
    let drive = match style {
        Style::StateMachine => {
            "      in_valid = 1'b1;
      stimulus = inputs[sent];
"
        }
        _ => {
            "      noise = noise ^ (noise << 13);
      noise = noise ^ (noise >> 17);
      noise = noise ^ (noise << 5);
      in_valid = noise % 100 >= gaps;
      stimulus = in_valid ? inputs[sent] : ~inputs[sent]; // a gap has wrong data
"
        }
    };
    let line = if hold == 1 { "inputs[sent]" } else { "inputs[sent / HOLD]" };
    let drive = drive.replace("inputs[sent]", line);
    let lines = if hold == 1 { "SAMPLES" } else { "SAMPLES / HOLD" };
    write!(
        out,
        "
  initial begin
    if (!$value$plusargs(\"inputs=%s\", inputs_path))
      inputs_path = \"{module}_inputs.mem\";
    if (!$value$plusargs(\"expected=%s\", expected_path))
      expected_path = \"{module}_expected.mem\";{gaps}
    check_lines(inputs_path, {lines});
    check_lines(expected_path, SAMPLES);
    $readmemb(inputs_path, inputs);
    $readmemb(expected_path, expected);
    cycle = 0;
    sent = 0;
    received = 0;
    passed = 0;
    unexpected = 0;
    late = 0;
    latency = -1;
{reset}    while (sent < SAMPLES) begin
{drive}      if (in_valid) begin
        driven[sent] = cycle;
        sent = sent + 1;
      end
      tick;
    end
    in_valid = 1'b0;
    repeat (LATENCY + 4) tick;
    if (passed == SAMPLES && unexpected == 0 && late == 0)
      $display(\"co-simulation: %0d/%0d results equal, latency %0d cycles\",
               passed, SAMPLES, latency);
    else begin
      $display(\"FAIL: %0d of %0d results equal, latency %0d cycles\", passed, SAMPLES, latency);
      $display(\"FAIL: %0d differ, %0d missing, %0d unexpected, %0d not after %0d cycles\",
               received - passed, SAMPLES - received, unexpected, late, LATENCY);
    end
    $finish;
  end

endmodule

`default_nettype wire
"
    )
}
