//! The self-checking test bench of a stream.

use std::fmt::Write;

use lutweave_lut::Pixel;

use super::StreamInfo;
use super::frames::Frames;
use super::plan::{Plan, StagePlan};
use crate::Result;
use crate::bench::CHECK_LINES;
use crate::blocks::byte_bits;
use crate::verilog::range;

/// The bench of `plan` for the images of `frames`.
///
/// As in the bench of a plain netlist, one process makes the clock and does everything in a fixed
/// order: it drives at the start of a cycle, looks after 4 time units, and has the rising edge
/// after 5.
pub(super) fn emit(
    plan: &Plan,
    info: &StreamInfo,
    frames: &Frames,
    module: &str,
) -> Result<String> {
    let mut text = String::new();
    header(module, &mut text)?;
    declarations(plan, info, frames, module, &mut text)?;
    text.push_str(CHECK_LINES);
    probes(plan, frames, &mut text)?;
    check(plan, frames, &mut text)?;
    tick(plan, &mut text)?;
    run(frames, module, &mut text)?;
    Ok(text)
}

fn header(module: &str, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "// Test bench of {module}, by lutweave: streams every image, compares every pixel.
//
// Runs in Icarus Verilog and in Verilator 5 or newer:
//   $ iverilog -g2001 -o {module}.vvp {module}.v {module}_tb.v && vvp -n {module}.vvp
//   $ verilator --binary --timing --top-module {module}_tb {module}.v {module}_tb.v \\
//       && obj_dir/V{module}_tb
//
// Options, with their defaults:
//   +inputs=FILE    pixels of the images, one line of hexadecimal digits each ({module}_inputs.mem)
//   +expected=FILE  pixels expected for them, likewise ({module}_expected.mem)
//   +stalls=N       percent of cycles in which either stream waits, at most 90 (25)
//   +seed=N         random seed of these (1)
//
// Streams all images one after the other; then the beginning of one and at once another, twice, the
// second time with a wrong tlast between them; then the beginning of one, a reset, and a whole one.
// With +stalls=0 it also compares latency and interval with what the module states.
//
// Prints `co-simulation: N/N results equal, latency L cycles` when every pixel, tuser and tlast is
// right, or the first pixels that differ and a line that starts with FAIL.

`default_nettype none

module {module}_tb;
"
    )
}

fn declarations(
    plan: &Plan,
    info: &StreamInfo,
    frames: &Frames,
    module: &str,
    text: &mut String,
) -> std::fmt::Result {
    let pixels = plan.image[0] * plan.image[1];
    let results = plan.output_image[0] * plan.output_image[1];
    let all: usize = plan.stages.iter().map(StagePlan::beats).sum();
    let lines = frames.count * if frames.probes { all } else { results };
    let (s, m) = (byte_bits(plan.input.bits()), byte_bits(plan.output.bits()));
    write!(
        text,
        "  localparam FRAMES = {count};
  localparam PIXELS = {pixels}; // of an image that goes in
  localparam WIDTH = {width}; // of its rows
  localparam RESULTS = {results}; // pixels of an image that comes out
  localparam RESULT_WIDTH = {result_width};
  localparam CUT = {cut}; // pixels of an image that is not finished
  localparam LINES = {lines}; // of expected pixels
  localparam FIRST = {first}; // where those of the last stage begin
  localparam TOTAL = (FRAMES + 3) * RESULTS; // results to be compared
  localparam LATENCY = {latency}; // from pixel to pixel, without stalls
  localparam INTERVAL = {interval}; // from image to image, without stalls
  localparam PATIENCE = 4 * INTERVAL + LATENCY + 1000; // cycles in which nothing happens
  localparam QUIET = INTERVAL + LATENCY + 100; // then nothing will
  localparam MAX_REPORTS = 5; // pixels that differ and are shown

  reg {pixel}inputs [0:FRAMES*PIXELS-1];
  reg {wide}expected [0:LINES-1];
  reg [8*1024-1:0] inputs_path;
  reg [8*1024-1:0] expected_path;

  reg clk;
  reg rst;
  reg {s_range}s_axis_tdata;
  reg s_axis_tvalid, s_axis_tuser, s_axis_tlast;
  wire s_axis_tready;
  wire {m_range}m_axis_tdata;
  wire m_axis_tvalid, m_axis_tuser, m_axis_tlast;
  reg m_axis_tready;
  {module} dut (
    .clk(clk), .rst(rst),
    .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
    .s_axis_tuser(s_axis_tuser), .s_axis_tlast(s_axis_tlast),
    .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
    .m_axis_tuser(m_axis_tuser), .m_axis_tlast(m_axis_tlast)
  );

  reg [31:0] noise;
  integer stalls;
  integer cycle;
  integer idle; // cycles since anything moved
  reg moved_in, moved_out;
  reg streaming; // images follow one another, and inner stages are compared
  integer probe_errors;

  // What is sent: pixels of the images from `next` up to `stop`.
  integer next;
  integer stop;
  reg wrong_last; // tlast is inverted

  // What is expected: pixel `place` of image `frame`. Where an image was cut short, its beginning,
  // of image `cut_frame`, may come before.
  integer place;
  integer frame;
  integer cut_frame;
  reg cut; // pixels may still be those of the image cut short
  integer right; // pixels of this image that were right
  integer right_cut; // and what was right had they been of the image cut short
  integer seen; // pixels of this image
  integer frames_seen;

  integer passed; // results that are right
  integer unexpected; // results that are not of any image, and unknown bits
  integer reports;
  integer start; // the cycle of the first pixel in
  integer latency; // of the first result
  integer last_end; // the cycle of the last result of the image before
  integer interval; // from the second to the third image
  reg held_valid; // a result was offered and not taken
  reg {held}held;
",
        count = frames.count,
        width = plan.image[1],
        result_width = plan.output_image[1],
        cut = pixels * 2 / 3,
        first = lines - frames.count * results,
        latency = info.latency,
        interval = info.clocks_per_frame,
        pixel = range(plan.input.bits()),
        wide = range(widest(plan, frames)),
        s_range = range(s),
        m_range = range(m),
        held = range(m + 2),
    )?;
    Ok(())
}

/// Compares what comes out of the inner stages while all images are streamed.
fn probes(plan: &Plan, frames: &Frames, text: &mut String) -> std::fmt::Result {
    let inner = if frames.probes { plan.stages.len() - 1 } else { 0 };
    let widest = widest(plan, frames);
    let (mut tasks, mut begins, mut ends) = (String::new(), String::new(), String::new());
    let mut first = 0;
    for (index, stage) in plan.stages.iter().enumerate().take(inner) {
        let link = format!("dut.link{}", index + 1);
        let pixels = stage.beats();
        let total = pixels * frames.count;
        let wanted = part(&format!("expected[{first} + probed{index}]"), &stage.output, widest);
        writeln!(text, "  integer probed{index}; // pixels of stage {}", stage.name)?;
        write!(
            tasks,
            "      if ({link}_valid === 1'b1 && {link}_ready === 1'b1) begin
        if (probed{index} >= {total}) probe_errors = probe_errors + 1;
        else if ({link}_pixel !== {wanted}
            || {link}_first !== (probed{index} % {pixels} == 0)) begin
          if (probe_errors < MAX_REPORTS)
            $display(\"stage {}, image %0d, pixel %0d, %0d: expected %h, actual %h\",
                     probed{index} / {pixels}, probed{index} % {pixels} / {width},
                     probed{index} % {width}, {wanted}, {link}_pixel);
          probe_errors = probe_errors + 1;
        end
        probed{index} = probed{index} + 1;
      end
",
            stage.name,
            width = stage.output_image[1] * stage.output_frames,
        )?;
        writeln!(begins, "      probed{index} = 0;")?;
        writeln!(ends, "      if (probed{index} != {total}) probe_errors = probe_errors + 1;")?;
        first += total;
    }
    write!(
        text,
        "
  // Compares what comes out of the inner stages, where that was asked for.
  task probe;
    begin
{tasks}    end
  endtask
  task begin_probes;
    begin
      probe_errors = 0;
{begins}    end
  endtask
  task end_probes;
    begin
{ends}    end
  endtask
"
    )
}

/// Bits of an expected pixel in memory.
fn widest(plan: &Plan, frames: &Frames) -> usize {
    let first = if frames.probes { 0 } else { plan.stages.len() - 1 };
    plan.stages[first..].iter().map(|stage| stage.output.bits()).max().unwrap_or(1)
}

/// The lowest bits of a word of memory.
fn part(word: &str, pixel: &Pixel, widest: usize) -> String {
    match pixel.bits() {
        bits if bits == widest => word.to_owned(),
        bits => format!("{word}[{}:0]", bits - 1),
    }
}

fn check(plan: &Plan, frames: &Frames, text: &mut String) -> std::fmt::Result {
    let (bits, wide) = (plan.output.bits(), byte_bits(plan.output.bits()));
    let wanted = |frame: &str| {
        let word = format!("expected[FIRST + {frame} * RESULTS + place]");
        padded(&part(&word, &plan.output, widest(plan, frames)), bits, wide, "0")
    };
    write!(
        text,
        "
  // Looks at the output: what is offered stays; what is taken is compared.
  task check;
    reg good;
    reg {range}wanted;
    begin
      if (held_valid && (m_axis_tvalid !== 1'b1
          || held !== {{m_axis_tlast, m_axis_tuser, m_axis_tdata}})) begin
        unexpected = unexpected + 1;
        $display(\"image %0d, pixel %0d: it was offered, and changed\", frame, place);
      end
      if (m_axis_tvalid !== 1'b0 && m_axis_tvalid !== 1'b1) unexpected = unexpected + 1;
      held_valid = m_axis_tvalid === 1'b1 && !m_axis_tready;
      held = {{m_axis_tlast, m_axis_tuser, m_axis_tdata}};
      moved_out = m_axis_tvalid === 1'b1 && m_axis_tready;
      if (moved_out) begin
        if (cut && m_axis_tuser === 1'b1) begin
          // What came before, if anything, was of the image cut short.
          if (seen > 0 && {wrong_cut}) unexpected = unexpected + 1;
          if (frames_seen == 1) cut = 1'b0;
          frames_seen = frames_seen + 1;
          place = 0;
          seen = 0;
          right = 0;
          right_cut = 0;
        end
        if (place >= RESULTS) unexpected = unexpected + 1;
        else begin
          if (start >= 0 && latency < 0) latency = cycle - start;
          good = m_axis_tuser === (place == 0)
            && m_axis_tlast === (place % RESULT_WIDTH == RESULT_WIDTH - 1);
          wanted = {wanted_cut};
          if (good && m_axis_tdata === wanted) right_cut = right_cut + 1;
          wanted = {wanted};
          good = good && m_axis_tdata === wanted;
          if (good) right = right + 1;
          else if (!cut && reports < MAX_REPORTS) begin
            reports = reports + 1;
            $display(\"image %0d, pixel %0d, %0d: expected %h, actual %h, tuser %b, tlast %b\",
                     frame, place / RESULT_WIDTH, place % RESULT_WIDTH, wanted,
                     m_axis_tdata, m_axis_tuser, m_axis_tlast);
          end
          seen = seen + 1;
          place = place + 1;
          if (place == RESULTS && streaming) begin
            if (frame == 2) interval = cycle - last_end;
            last_end = cycle;
            if (frame + 1 < FRAMES) begin
              finish_frame;
              frame = frame + 1;
              place = 0;
            end
          end
        end
      end
    end
  endtask

  // Counts the results of an image.
  task finish_frame;
    begin
      passed = passed + right;
      seen = 0;
      right = 0;
      right_cut = 0;
    end
  endtask
",
        range = range(wide),
        // An image that was filled up is whole, whatever its pixels are.
        wrong_cut = if plan.joins() { "seen != RESULTS" } else { "right_cut != seen" },
        wanted = wanted("frame"),
        wanted_cut = wanted("cut_frame"),
    )
}

/// `word` of `bits` bits with enough of `digit` above it to be `wide` bits wide.
fn padded(word: &str, bits: usize, wide: usize, digit: &str) -> String {
    if bits == wide {
        return word.to_owned();
    }
    format!("{{{{{}{{1'b{digit}}}}}, {word}}}", wide - bits)
}

fn tick(plan: &Plan, text: &mut String) -> std::fmt::Result {
    let (bits, wide) = (plan.input.bits(), byte_bits(plan.input.bits()));
    write!(
        text,
        "
  // One clock cycle.
  task tick;
    begin
      noise = noise ^ (noise << 13);
      noise = noise ^ (noise >> 17);
      noise = noise ^ (noise << 5);
      if (!s_axis_tvalid && next < stop && {{16'd0, noise[15:0]}} % 100 >= stalls) begin
        s_axis_tvalid = 1'b1;
        s_axis_tdata = {pixel};
        s_axis_tuser = next % PIXELS == 0;
        s_axis_tlast = (next % WIDTH == WIDTH - 1) ^ wrong_last;
      end
      m_axis_tready = {{16'd0, noise[31:16]}} % 100 >= stalls;
      #4 moved_in = s_axis_tvalid && s_axis_tready === 1'b1;
      if (!rst) begin
        if (moved_in && start < 0) start = cycle;
        check;
        if (streaming) probe;
      end
      #1 clk = 1'b1;
      #5 clk = 1'b0;
      if (moved_in) begin
        s_axis_tvalid = 1'b0;
        s_axis_tdata = ~s_axis_tdata; // what is not valid is wrong
        next = next + 1;
      end
      if (moved_in || moved_out) idle = 0;
      else idle = idle + 1;
      cycle = cycle + 1;
    end
  endtask

  task reset;
    begin
      rst = 1'b1;
      s_axis_tvalid = 1'b0;
      held_valid = 1'b0;
      repeat (3) tick;
      rst = 1'b0;
    end
  endtask

  // Sends pixels `from` to `to` of the images.
  task send(input integer from, input integer to);
    begin
      next = from;
      stop = to;
      idle = 0;
      while (next < stop && idle < PATIENCE) tick;
    end
  endtask

  // Expects image `image` from its beginning, perhaps after a part of image `other`.
  task expect_frame(input integer image, input integer other, input reg after_cut);
    begin
      frame = image;
      cut_frame = other;
      cut = after_cut;
      frames_seen = 0;
      place = 0;
      seen = 0;
      right = 0;
      right_cut = 0;
    end
  endtask

  // Waits for the rest of the image; nothing may come after it.
  task receive;
    begin
      idle = 0;
      while (idle < (cut ? QUIET : PATIENCE) && (cut || place < RESULTS)) tick;
      // Inner stages may have pixels left that no window needs.
      while (streaming && idle < QUIET) tick;
      repeat (8) tick;
      finish_frame;
    end
  endtask
",
        // Bits above the pixel are set, and mean nothing.
        pixel = padded("inputs[next]", bits, wide, "1"),
    )
}

fn run(frames: &Frames, module: &str, text: &mut String) -> std::fmt::Result {
    let other = usize::from(frames.count > 1);
    write!(
        text,
        "
  initial begin
    if (!$value$plusargs(\"inputs=%s\", inputs_path))
      inputs_path = \"{module}_inputs.mem\";
    if (!$value$plusargs(\"expected=%s\", expected_path))
      expected_path = \"{module}_expected.mem\";
    if (!$value$plusargs(\"stalls=%d\", stalls)) stalls = 25;
    if (stalls < 0) stalls = 0;
    if (stalls > 90) stalls = 90;
    if (!$value$plusargs(\"seed=%d\", noise)) noise = 32'd1;
    noise = noise ^ 32'h9e3779b9;
    if (noise == 32'd0) noise = 32'd1;
    check_lines(inputs_path, FRAMES * PIXELS);
    check_lines(expected_path, LINES);
    $readmemh(inputs_path, inputs);
    $readmemh(expected_path, expected);
    clk = 1'b0;
    cycle = 0;
    idle = 0;
    moved_in = 1'b0;
    moved_out = 1'b0;
    next = 0;
    stop = 0;
    wrong_last = 1'b0;
    passed = 0;
    unexpected = 0;
    reports = 0;
    start = -1;
    latency = -1;
    last_end = -1;
    interval = -1;
    s_axis_tdata = 0;
    s_axis_tuser = 1'b0;
    s_axis_tlast = 1'b0;
    expect_frame(0, 0, 1'b0);
    streaming = 1'b1;
    begin_probes;
    reset;

    // All images.
    send(0, FRAMES * PIXELS);
    receive;
    streaming = 1'b0;
    end_probes;

    // An image cut short by the next.
    expect_frame({other}, 0, 1'b1);
    send(0, CUT);
    send({other} * PIXELS, ({other} + 1) * PIXELS);
    receive;

    // The same by a row of another length; what follows of the image belongs to none.
    expect_frame(0, {other}, 1'b1);
    send({other} * PIXELS, {other} * PIXELS + CUT);
    wrong_last = 1'b1;
    send({other} * PIXELS + CUT, {other} * PIXELS + CUT + 1);
    wrong_last = 1'b0;
    send({other} * PIXELS + CUT + 1, ({other} + 1) * PIXELS);
    send(0, PIXELS);
    receive;

    // A reset within an image, of which more comes.
    expect_frame(0, 0, 1'b0);
    send(0, CUT);
    reset;
    expect_frame({other}, 0, 1'b0);
    send(CUT + 1, PIXELS);
    send({other} * PIXELS, ({other} + 1) * PIXELS);
    receive;

    if (stalls == 0) $display(\"latency %0d, interval %0d cycles\", latency, interval);
    if (passed == TOTAL && unexpected == 0 && probe_errors == 0
        && (stalls != 0 || (latency == LATENCY && (FRAMES < 3 || interval == INTERVAL))))
      $display(\"co-simulation: %0d/%0d results equal, latency %0d cycles\",
               passed, TOTAL, latency);
    else begin
      $display(\"FAIL: %0d of %0d results equal, latency %0d cycles\", passed, TOTAL, latency);
      $display(\"FAIL: %0d unexpected, %0d wrong within; stated latency %0d, interval %0d cycles\",
               unexpected, probe_errors, LATENCY, INTERVAL);
    end
    $finish;
  end

endmodule

`default_nettype wire
"
    )
}
