//! The module before the first stage: lets images through, and nothing that is none.

use std::fmt::Write;

use lutweave_lut::bits_for;

use super::plan::Plan;
use crate::verilog::range;

/// Writes the guard: one that lets beginnings of images through, or where branches join, which have to be
/// equally long, whole images alone.
pub(super) fn guard(plan: &Plan, name: &str, text: &mut String) -> std::fmt::Result {
    let [height, width] = plan.image;
    let pixel = range(plan.input.bits());
    let (about, body) = if plan.joins() {
        let about =
            "an image. An image that goes wrong is filled up with zeros while the input waits.";
        (about, filling(plan))
    } else {
        ("an image, and the rest of an image that goes wrong.", cutting(plan))
    };
    write!(
        text,
        "
// Lets rows of {width} pixels through, {height} of them after each start of an image; drops what does
// not belong to {about}
module {name}_guard #(
  parameter [0:0] CHECK_TLAST = 1'b1
) (
  input  wire clk,
  input  wire rst,
  input  wire in_valid,
  output wire in_ready,
  input  wire in_first,
  input  wire in_last,
  input  wire {pixel}in_pixel,
  output wire out_valid,
  input  wire out_ready,
  output wire out_first,
  output wire {pixel}out_pixel
);

  reg running; // in an image, of which this pixel comes next
{body}
endmodule
"
    )
}

/// An image that goes wrong ends there.
fn cutting(plan: &Plan) -> String {
    let [height, width] = plan.image;
    let (rows, columns) = (bits_for(height - 1), bits_for(width - 1));
    format!(
        "  reg {}row;
  reg {}column;
  wire last_column = (in_first ? {columns}'d0 : column) == {columns}'d{};
  wire last_row = (in_first ? {rows}'d0 : row) == {rows}'d{};
  wire right = (in_first || running) && (in_last == last_column || !CHECK_TLAST);
  assign out_valid = in_valid && right;
  assign in_ready = out_ready || !right;
  assign out_first = in_first;
  assign out_pixel = in_pixel;

  always @(posedge clk) begin
    if (rst) begin
      running <= 1'b0;
      row <= {rows}'d0;
      column <= {columns}'d0;
    end else if (in_valid && in_ready) begin
      running <= right && !(last_column && last_row);
      if (last_column) column <= {columns}'d0;
      else column <= (in_first ? {columns}'d0 : column) + {columns}'d1;
      if (in_first) row <= last_column ? {} : {rows}'d0;
      else if (last_column) row <= row + {rows}'d1;
    end
  end
",
        range(rows),
        range(columns),
        width - 1,
        height - 1,
        if height > 1 { format!("{rows}'d1") } else { format!("{rows}'d0") },
    )
}

/// What is missing of an image is filled up with zeros.
fn filling(plan: &Plan) -> String {
    let [height, width] = plan.image;
    let (rows, columns) = (bits_for(height - 1), bits_for(width - 1));
    let bits = plan.input.bits();
    format!(
        "  reg filling;
  reg {}row;
  reg {}column;
  wire last_column = column == {columns}'d{};
  wire last_row = row == {rows}'d{};
  wire right = in_first != running && (in_last == last_column || !CHECK_TLAST);
  assign out_valid = filling || (in_valid && right);
  assign in_ready = !filling && (right ? out_ready : !running);
  assign out_first = !running;
  assign out_pixel = filling ? {bits}'d0 : in_pixel;

  always @(posedge clk) begin
    if (rst) begin
      running <= 1'b0;
      filling <= 1'b0;
      row <= {rows}'d0;
      column <= {columns}'d0;
    end else if (out_valid && out_ready) begin
      running <= !(last_column && last_row);
      filling <= filling && !(last_column && last_row);
      column <= last_column ? {columns}'d0 : column + {columns}'d1;
      if (last_column) row <= last_row ? {rows}'d0 : row + {rows}'d1;
    end else if (in_valid && running && !right) filling <= 1'b1;
  end
",
        range(rows),
        range(columns),
        width - 1,
        height - 1,
    )
}
