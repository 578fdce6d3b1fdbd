//! The serial line: its modules and its bench.

use std::fmt::Write;

use lutweave_lut::bits_for;

use super::Design;
use super::bench;
use crate::Result;
use crate::blocks::byte_bits;
use crate::verilog::range;

/// Bit times after which a sample is not gone on with.
const PAUSE: usize = 4096;
/// Clock cycles of a bit in the test bench.
const BENCH_CLOCKS: usize = 5;
/// Bit times of a pause in the test bench.
const BENCH_PAUSE: usize = 24;

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
    let (bits, wide) = (design.output_bits, byte_bits(design.output_bits));
    let answer = if digit {
        let value = if bits == 8 { "answer".to_owned() } else { format!("{{{}'d0, answer}}", 8 - bits) };
        let digit = if bits == 4 {
            "answer > 4'd9 ? value + 8'd55 : value + 8'd48"
        } else {
            "value + 8'd48"
        };
        format!("  wire [7:0] value = {value};\n  wire [7:0] all = {digit};\n")
    } else if bits == wide {
        format!("  wire {}all = answer;\n", range(wide))
    } else {
        format!("  wire {}all = {{{}'d0, answer}};\n", range(wide), wide - bits)
    };
    let width = bits_for(bytes - 1);
    let (sent, next) = if bytes > 1 {
        let register = format!(
            "
  // The bytes of an answer, lowest first.
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
        );
        (register, [".in_valid(sending)", ".in_ready(tx_ready)", ".in_byte(rest[7:0])"])
    } else {
        let pins = [".in_valid(answer_valid)", ".in_ready(answer_ready)", ".in_byte(all)"];
        (String::new(), pins)
    };
    let ready = if bytes > 1 { "\n  wire tx_ready;" } else { "" };
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
{answer}{ready}{sent}
  {name}_tx send (
    .clk(clk), .rst(rst), .bit_clocks(CLKS_PER_BIT),
    {pins},
    .tx(tx)
  );

endmodule
",
        a = range(bits),
        pins = next.join(", "),
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

/// The bench of a serial line.
pub(super) fn bench(design: &Design<'_>, digit: bool, samples: usize) -> Result<String> {
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
  {name} #(.CLKS_PER_BIT(16'd{BENCH_CLOCKS}), .PAUSE(16'd{BENCH_PAUSE})) dut (.clk(clk), .rst(rst), .rx(rx), .tx(tx));

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

  // One clock cycle, and what it hears.
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
          heard_byte = {{tx, heard_byte[7:1]}};
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

  task send_byte(input [7:0] value, input stop_bit);
    integer place;
    begin
      noise = noise ^ (noise << 13);
      noise = noise ^ (noise >> 17);
      noise = noise ^ (noise << 5);
      if (noise % 100 < jitter) repeat ({{16'd0, noise[31:16]}} % (5 * CLOCKS)) tick;
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

  // Sends a whole sample, and waits for its answer.
  task ask(input integer index);
    begin
      want = index;
      due = 1;
      send(index, BYTES);
      repeat (PATIENCE) if (due > 0) tick;
      repeat (12 * CLOCKS) tick;
    end
  endtask
",
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
    write!(
        text,
        "    clk = 1'b0;
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
"
    )?;
    bench::verdict(&mut text)?;
    Ok(text)
}
