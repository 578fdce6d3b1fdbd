//! The self-checking test bench of a design with a handshake, and what all benches here share.

use std::fmt::Write;

use super::{Design, Interface};
use crate::Result;
use crate::bench::CHECK_LINES;
use crate::blocks::byte_bits;
use crate::verilog::range;

/// The bench of a design whose samples and answers are beats.
pub(super) fn emit(design: &Design<'_>, samples: usize) -> Result<String> {
    let name = design.module;
    let axi = design.interface == Interface::AxiStream;
    let mut text = String::new();
    header(
        name,
        "  +stalls=N       percent of cycles in which either side waits, at most 90 (25)\n//   \
         +seed=N         random seed of these (1)",
        "Sends every sample, then bursts that are too short and too long where there are bursts, then\n\
         // a reset with a sample under way, each before a whole one. With +stalls=0 it compares the\n\
         // latency with what the module states.",
        &mut text,
    )?;
    memories(design, samples, &mut text)?;
    let widths = Widths::of(design);
    declarations(design, &widths, &mut text)?;
    tasks(design, &widths, &mut text)?;
    text.push_str(CHECK_LINES);
    begin(name, "stalls", &mut text)?;
    run(axi, &mut text);
    verdict(&mut text)?;
    Ok(text)
}

/// How wide things are, in bits.
struct Widths {
    /// Of a beat, and how many of them a sample is.
    beat: usize,
    beats: usize,
    /// Of all beats.
    sample: usize,
    answer: usize,
}

impl Widths {
    fn of(design: &Design<'_>) -> Self {
        if design.interface == Interface::AxiStream {
            let (beats, answer) = (design.input_bytes(), byte_bits(design.output_bits));
            Self { beat: 8, beats, sample: 8 * beats, answer }
        } else {
            let (sample, answer) = (design.input_bits, design.output_bits);
            Self { beat: sample, beats: 1, sample, answer }
        }
    }
}

fn declarations(design: &Design<'_>, widths: &Widths, text: &mut String) -> std::fmt::Result {
    let (name, axi) = (design.module, design.interface == Interface::AxiStream);
    let latency = if axi { design.latency + 2 } else { design.latency + 1 };
    let pins = if axi {
        ".s_axis_tdata(in_data), .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
    .s_axis_tlast(in_last),
    .m_axis_tdata(out_data), .m_axis_tvalid(out_valid), .m_axis_tready(out_ready),
    .m_axis_tlast(out_last)"
    } else {
        ".in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)"
    };
    let last = if axi {
        "  wire out_last;\n"
    } else {
        "  wire out_last = 1'b1;\n  wire unused_ok = &{1'b0, in_last};\n"
    };
    write!(
        text,
        "  localparam BEATS = {beats}; // of a sample
  localparam LATENCY = {latency}; // from the last beat of a sample to its answer, without stalls
  localparam PATIENCE = 100 * (LATENCY + 10); // cycles in which nothing comes
  localparam MAX_REPORTS = 5; // samples that differ and are shown

  reg clk, rst;
  reg in_valid, in_last;
  wire in_ready;
  reg {beat_range}in_data;
  wire out_valid;
  reg out_ready;
  wire {answer_range}out_data;
{last}  {name} dut (
    .clk(clk), .rst(rst),
    {pins}
  );

  reg [31:0] noise;
  integer stalls;
  integer cycle, start, latency;
  /* verilator lint_off UNUSEDSIGNAL */
  integer chosen; // the sample that is sent
  /* verilator lint_on UNUSEDSIGNAL */
  integer want; // the sample whose answer comes next
  integer due; // answers to come
  integer passed;
  integer reports;
  integer unexpected;
  reg moved;
  reg held_valid; // an answer was offered and not taken
  reg {answer_range}held;
  reg {answer_range}wanted;
  reg {all_range}sample;
",
        beats = widths.beats,
        beat_range = range(widths.beat),
        answer_range = range(widths.answer),
        all_range = range(widths.sample),
    )
}

/// What is done in a cycle, and with a sample.
fn tasks(design: &Design<'_>, widths: &Widths, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "
{TICK}
  task check;
    begin
      if (held_valid && (out_valid !== 1'b1 || out_data !== held)) unexpected = unexpected + 1;
      if (out_valid !== 1'b0 && out_valid !== 1'b1) unexpected = unexpected + 1;
      held_valid = out_valid === 1'b1 && !out_ready;
      held = out_data;
      if (out_valid === 1'b1 && out_ready) begin
        if (due == 0 || out_last !== 1'b1) unexpected = unexpected + 1;
        else begin
          wanted = {wanted};
          if (latency < 0) latency = cycle - start;
          if (out_data === wanted) passed = passed + 1;
          else if (reports < MAX_REPORTS) begin
            reports = reports + 1;
            $display(\"sample %0d: expected %h, actual %h\", want, wanted, out_data);
          end
          due = due - 1;
          want = want + 1;
        end
      end
    end
  endtask

  // Sends the first beats of a sample; the last of them ends the burst, if `ends`.
  task send(input integer index, input integer count, input ends);
    integer at;
    integer waited;
    begin
      chosen = index;
      sample = {sample};
      for (at = 0; at < count; at = at + 1) begin
        in_valid = 1'b0;
        in_data = {{{beat}{{1'b1}}}};
        while ({{16'd0, noise[15:0]}} % 100 < stalls) tick;
        in_valid = 1'b1;
        in_data = sample{low};
        in_last = ends && at == count - 1;
        if (start < 0 && at == BEATS - 1) start = cycle; // without stalls it is taken now
        moved = 1'b0;
        waited = 0;
        while (!moved && waited < PATIENCE) begin
          tick;
          waited = waited + 1;
        end
        in_valid = 1'b0;
        sample = sample >> {beat};
      end
    end
  endtask

{RECEIVE}",
        beat = widths.beat,
        wanted = padded("expected[want]", design.output_bits, widths.answer),
        sample = padded("inputs[chosen]", design.input_bits, widths.sample),
        low = if widths.beats > 1 { "[7:0]" } else { "" },
    )
}

fn run(axi: bool, text: &mut String) {
    text.push_str(
        "    clk = 1'b0;
    rst = 1'b1;
    in_valid = 1'b0;
    in_last = 1'b0;
    in_data = 0;
    out_ready = 1'b0;
    moved = 1'b0;
    held_valid = 1'b0;
    want = 0;
    due = 0;
    passed = 0;
    reports = 0;
    unexpected = 0;
    cycle = 0;
    start = -1;
    latency = -1;
    repeat (3) tick;
    rst = 1'b0;

    // All samples.
    due = SAMPLES;
    while (sent < SAMPLES) begin
      send(sent, BEATS, 1'b1);
      sent = sent + 1;
    end
    receive;
",
    );
    if axi {
        text.push_str(
            "
    // A burst that is too short, and one that is too long.
    if (BEATS > 1) send(0, BEATS / 2, 1'b1);
    ask(SAMPLES - 1);
    send(0, BEATS + 2, 1'b1);
    ask(SAMPLES - 1);
",
        );
    } else {
        text.push_str("\n    // Two more.\n    ask(SAMPLES - 1);\n    ask(0);\n");
    }
    text.push_str(
        "
    // A reset, with a beat under way that is never answered.
    send(0, (BEATS + 1) / 2, 1'b0);
    rst = 1'b1;
    held_valid = 1'b0;
    repeat (3) tick;
    rst = 1'b0;
    ask(SAMPLES - 1);
    if (stalls == 0 && latency != LATENCY) begin
      unexpected = unexpected + 1;
      $display(\"stated latency %0d\", LATENCY);
    end
",
    );
}

const TICK: &str = "  // One clock cycle: looks at the answer, and at whether the beat was taken.
  task tick;
    begin
      noise = noise ^ (noise << 13);
      noise = noise ^ (noise >> 17);
      noise = noise ^ (noise << 5);
      out_ready = {16'd0, noise[31:16]} % 100 >= stalls;
      #4 moved = in_valid && in_ready === 1'b1 && !rst;
      if (!rst) check;
      #1 clk = 1'b1;
      #5 clk = 1'b0;
      cycle = cycle + 1;
    end
  endtask
";

const RECEIVE: &str = "  // Waits for the answers, and a little longer.
  task receive;
    integer waited;
    begin
      waited = 0;
      while (due > 0 && waited < PATIENCE * SAMPLES) begin
        tick;
        waited = waited + 1;
      end
      repeat (LATENCY + 20) tick;
      if (due > 0) unexpected = unexpected + 1;
    end
  endtask

  // Sends a whole sample, and waits for its answer.
  task ask(input integer index);
    begin
      want = index;
      due = 1;
      send(index, BEATS, 1'b1);
      receive;
    end
  endtask
";

/// The comment at the top, and the beginning of the module.
pub(super) fn header(
    name: &str,
    options: &str,
    about: &str,
    text: &mut String,
) -> std::fmt::Result {
    write!(
        text,
        "// Test bench of {name}, by lutweave.
//
// Runs in Icarus Verilog and in Verilator 5 or newer:
//   $ iverilog -g2001 -o {name}.vvp {name}.v {name}_tb.v && vvp -n {name}.vvp
//   $ verilator --binary --timing --top-module {name}_tb {name}.v {name}_tb.v && obj_dir/V{name}_tb
//
// Options, with their defaults:
//   +inputs=FILE    samples, one line of bits each ({name}_inputs.mem)
//   +expected=FILE  answers expected for them, likewise ({name}_expected.mem)
// {options}
//
// {about}
//
// Prints `co-simulation: N/N results equal, latency L cycles` when every answer is right, or the
// first samples that differ and a line that starts with FAIL.

`default_nettype none

module {name}_tb;
"
    )
}

/// The vectors.
pub(super) fn memories(design: &Design<'_>, samples: usize, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "  localparam SAMPLES = {samples};
  localparam TOTAL = SAMPLES + 3; // answers to be compared

  reg {}inputs [0:SAMPLES-1];
  reg {}expected [0:SAMPLES-1];
  reg [8*1024-1:0] inputs_path;
  reg [8*1024-1:0] expected_path;
  integer sent;
",
        range(design.input_bits),
        range(design.output_bits)
    )
}

/// The beginning of the run: options and files.
pub(super) fn begin(name: &str, option: &str, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "
  initial begin
    if (!$value$plusargs(\"inputs=%s\", inputs_path))
      inputs_path = \"{name}_inputs.mem\";
    if (!$value$plusargs(\"expected=%s\", expected_path))
      expected_path = \"{name}_expected.mem\";
    if (!$value$plusargs(\"{option}=%d\", {option})) {option} = 25;
    if ({option} < 0) {option} = 0;
    if ({option} > 90) {option} = 90;
    if (!$value$plusargs(\"seed=%d\", noise)) noise = 32'd1;
    noise = noise ^ 32'h9e3779b9;
    if (noise == 32'd0) noise = 32'd1;
    check_lines(inputs_path, SAMPLES);
    check_lines(expected_path, SAMPLES);
    $readmemb(inputs_path, inputs);
    $readmemb(expected_path, expected);
    sent = 0;
"
    )
}

/// The end of the run.
pub(super) fn verdict(text: &mut String) -> std::fmt::Result {
    text.write_str(
        "
    if (passed == TOTAL && unexpected == 0)
      $display(\"co-simulation: %0d/%0d results equal, latency %0d cycles\",
               passed, TOTAL, latency);
    else begin
      $display(\"FAIL: %0d of %0d results equal, latency %0d cycles\", passed, TOTAL, latency);
      $display(\"FAIL: %0d unexpected\", unexpected);
    end
    $finish;
  end

endmodule

`default_nettype wire
",
    )
}

/// `word` of `bits` bits with zeros above it, `wide` bits in all.
pub(super) fn padded(word: &str, bits: usize, wide: usize) -> String {
    if bits == wide { word.to_owned() } else { format!("{{{}'d0, {word}}}", wide - bits) }
}
