//! The texts of a stage that makes frames of each pixel, and of one that adds them up.
//!
//! The frames of a pixel follow one another before the next pixel comes, so that no image has to be
//! kept. A pixel is taken or given with all of its frames, and where an image is cut short it is
//! between two pixels; so neither stage has to know its place in the image.

use std::fmt::Write;

use lutweave_lut::bits_for;

use super::plan::StagePlan;
use super::slide::{Net, handed_over};
use crate::blocks::slice;
use crate::verilog::range;

/// The body of the module of a modulation, behind its ports.
pub(super) fn text(plan: &StagePlan, net: &Net<'_>) -> Result<String, std::fmt::Error> {
    let frames = plan.output_frames;
    let width = bits_for(frames - 1);
    let (digits, pixel) = (range(width), range(plan.pixel.bits()));
    let mut text = format!(
        "
  // Each pixel is held for {frames} frames.
  wire enable; // of everything up to the hand-over
  reg {digits}frame;
  wire fresh = frame == {width}'d0; // a pixel is taken
  wire step = enable && (!fresh || in_valid);
  assign in_ready = enable && fresh;
  reg window_valid, window_first;
  reg {pixel}window;
  reg {digits}number; // of the frame in it
  always @(posedge clk) begin
    if (rst) frame <= {width}'d0;
    else if (step) frame <= frame == {width}'d{last} ? {width}'d0 : frame + {width}'d1;
    if (rst) window_valid <= 1'b0;
    else if (enable) window_valid <= step;
    if (step) begin
      window_first <= fresh && in_first;
      if (fresh) window <= in_pixel;
      number <= frame;
    end
  end
",
        last = frames - 1
    );
    net.result(&["window", "number"], plan.output.bits(), &mut text)?;
    Ok(text)
}

/// The body of the module of a sum, behind its ports.
pub(super) fn sum(plan: &StagePlan, name: &str) -> Result<String, std::fmt::Error> {
    let frames = plan.frames;
    let width = bits_for(frames - 1);
    let (from, to) = (plan.pixel.width, plan.output.width);
    let (digits, wide) = (range(width), range(plan.output.bits()));
    let mut text = format!(
        "
  // Sums over {frames} frames.
  wire enable; // of everything up to the hand-over
  assign in_ready = enable;
  wire step = enable && in_valid;
  reg {digits}frame;
  wire {digits}now = in_first ? {width}'d0 : frame;
  wire anew = now == {width}'d0;
  wire last = now == {width}'d{};
  reg {wide}result;
  wire {wide}sums;
",
        frames - 1
    );
    for channel in 0..plan.output.channels {
        let word = slice("in_pixel", channel * from, from, plan.pixel.bits());
        let word = if to > from { format!("{{{}'d0, {word}}}", to - from) } else { word };
        let sum = |vector: &str| slice(vector, channel * to, to, plan.output.bits());
        let before = sum("result");
        writeln!(text, "  assign {} = {word} + (anew ? {to}'d0 : {before});", sum("sums"))?;
    }
    write!(
        text,
        "
  reg result_valid, result_first;
  always @(posedge clk) begin
    if (rst) frame <= {width}'d0;
    else if (step) frame <= last ? {width}'d0 : now + {width}'d1;
    if (rst) result_valid <= 1'b0;
    else if (enable) result_valid <= step && last;
    if (step) begin
      if (anew) result_first <= in_first;
      result <= sums;
    end
  end
"
    )?;
    text.push_str(&handed_over(name, plan.output.bits()));
    Ok(text)
}
