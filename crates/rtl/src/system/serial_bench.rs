//! The self-checking test bench of a serial line.

use std::fmt::Write;

use super::{Design, bench};
use crate::Result;
use crate::blocks::byte_bits;

/// Clock cycles of a bit in the test bench.
const BENCH_CLOCKS: usize = 5;
/// Bit times of a pause in the test bench.
const BENCH_PAUSE: usize = 24;

/// The bench of a serial line.
pub(super) fn emit(design: &Design<'_>, digit: bool, samples: usize) -> Result<String> {
    let name = design.module;
    let bytes = design.input_bytes();
    let out_bytes = if digit { 1 } else { design.output_bytes() };
    let mut text = String::new();
    bench::header(
        name,
        "  +jitter=N       percent of bytes that come late, at most 90 (25)\n//   +seed=N         random \
         seed of these (1)",
        "Sends every sample over the serial line, then the beginning of one and a pause, a byte\n// \
         without stop bit, and a reset within a sample, each before a whole one.",
        &mut text,
    )?;
    bench::memories(design, samples, &mut text)?;
    let wide = byte_bits(design.output_bits);
    let wanted = if digit {
        let value = bench::padded("expected[want]", design.output_bits, 8);
        let zero = if design.output_bits == 4 {
            "(expected[want] > 4'd9 ? 8'd55 : 8'd48)"
        } else {
            "8'd48"
        };
        format!("{zero} + {value}")
    } else {
        bench::padded("expected[want]", design.output_bits, wide)
    };
    let width = 8 * out_bytes;
    write!(
        text,
        "  localparam BYTES = {bytes};
  localparam OUT_BYTES = {out_bytes};
  localparam CLOCKS = {BENCH_CLOCKS}; // of a bit
  localparam PAUSE = {BENCH_PAUSE}; // in bits
  localparam PATIENCE = 10 * CLOCKS * (OUT_BYTES + 2) + {latency}; // cycles to an answer

  reg clk, rst, rx;
  wire tx;
  {name} #(.CLKS_PER_BIT(16'd{BENCH_CLOCKS}), .PAUSE(16'd{BENCH_PAUSE})) dut (
    .clk(clk), .rst(rst), .rx(rx), .tx(tx)
  );

  reg [31:0] noise;
  integer jitter;
  /* verilator lint_off UNUSEDSIGNAL */
  integer chosen; // the sample that is sent
  /* verilator lint_on UNUSEDSIGNAL */
  integer want; // the sample whose answer comes next
  integer due; // answers to come
  integer passed;
  integer unexpected;
  integer cycle, start, latency;
  integer listening; // cycles until a bit of the answer is looked at; negative: none
  integer heard; // bits of this byte
  integer at_byte; // of this answer
  reg [{padded}:0] sample;
  reg [7:0] heard_byte;
  reg [{top}:0] actual, wanted;

{TICK}
  // A byte was heard.
  task hear;
    begin
      actual = {shifted};
      at_byte = at_byte + 1;
      if (at_byte == OUT_BYTES) begin
        at_byte = 0;
        wanted = {wanted};
        if (due == 0) unexpected = unexpected + 1;
        else begin
          if (actual === wanted) passed = passed + 1;
          else $display(\"sample %0d: expected %h, actual %h\", want, wanted, actual);
          due = due - 1;
          want = want + 1;
        end
      end
    end
  endtask

{SEND_BYTE}
  // Sends the first bytes of a sample.
  task send(input integer index, input integer count);
    integer at;
    begin
      chosen = index;
      sample = {sample};
      for (at = 0; at < count; at = at + 1) begin
        send_byte(sample[7:0], 1'b1);
        sample = sample >> 8;
      end
    end
  endtask

{ASK}",
        latency = design.latency + 16,
        padded = 8 * bytes - 1,
        top = width - 1,
        shifted = if out_bytes > 1 {
            format!("{{heard_byte, actual[{}:8]}}", width - 1)
        } else {
            "heard_byte".to_owned()
        },
        sample = bench::padded("inputs[chosen]", design.input_bits, 8 * bytes),
    )?;
    text.push_str(crate::bench::CHECK_LINES);
    bench::begin(name, "jitter", &mut text)?;
    text.push_str(RUN);
    bench::verdict(&mut text)?;
    Ok(text)
}

const TICK: &str = "  // One clock cycle, and what it hears.
  task tick;
    begin
      #4 if (!rst && listening < 0) begin
        if (tx === 1'b0) begin
          listening = CLOCKS + CLOCKS / 2 - 1;
          heard = 0;
          if (latency < 0) latency = cycle - start;
        end else if (tx !== 1'b1) unexpected = unexpected + 1;
      end else if (listening > 0) listening = listening - 1;
      else if (listening == 0) begin
        if (heard < 8) begin
          heard_byte = {tx, heard_byte[7:1]};
          heard = heard + 1;
          listening = CLOCKS - 1;
        end else begin
          listening = -1;
          if (tx !== 1'b1) unexpected = unexpected + 1; // the stop bit
          hear;
        end
      end
      #1 clk = 1'b1;
      #5 clk = 1'b0;
      cycle = cycle + 1;
    end
  endtask
";

const SEND_BYTE: &str = "  task send_byte(input [7:0] value, input stop_bit);
    integer place;
    begin
      noise = noise ^ (noise << 13);
      noise = noise ^ (noise >> 17);
      noise = noise ^ (noise << 5);
      if (noise % 100 < jitter) repeat ({16'd0, noise[31:16]} % (5 * CLOCKS)) tick;
      rx = 1'b0;
      repeat (CLOCKS) tick;
      for (place = 0; place < 8; place = place + 1) begin
        rx = value[place];
        repeat (CLOCKS) tick;
      end
      rx = stop_bit;
      start = cycle;
      repeat (CLOCKS) tick;
      rx = 1'b1;
    end
  endtask
";

const ASK: &str = "  // Sends a whole sample, and waits for its answer.
  task ask(input integer index);
    begin
      want = index;
      due = 1;
      send(index, BYTES);
      repeat (PATIENCE) if (due > 0) tick;
      repeat (12 * CLOCKS) tick;
    end
  endtask
";

const RUN: &str = "    clk = 1'b0;
    rst = 1'b1;
    rx = 1'b1;
    want = 0;
    due = 0;
    passed = 0;
    unexpected = 0;
    cycle = 0;
    start = 0;
    latency = -1;
    listening = -1;
    at_byte = 0;
    repeat (4) tick;
    rst = 1'b0;
    repeat (3 * CLOCKS) tick;

    // All samples, as fast as the line goes.
    due = SAMPLES;
    while (want < SAMPLES && unexpected == 0 && sent < SAMPLES) begin
      send(sent, BYTES);
      sent = sent + 1;
    end
    repeat (2 * PATIENCE) if (due > 0) tick;

    // A beginning, and a pause.
    send(0, BYTES / 2);
    repeat (CLOCKS * (PAUSE + 12)) tick;
    ask(SAMPLES - 1);

    // A byte without its stop bit.
    send(0, BYTES - 1);
    send_byte(8'd0, 1'b0);
    repeat (12 * CLOCKS) tick;
    ask(0);

    // A reset.
    send(0, BYTES / 2);
    rst = 1'b1;
    repeat (4) tick;
    rst = 1'b0;
    repeat (3 * CLOCKS) tick;
    ask(SAMPLES - 1);
";
