//! The text of a stage that repeats pixels.

use lutweave_lut::bits_for;

use super::plan::StagePlan;
use super::slide::handed_over;
use crate::verilog::range;

/// A counter from 0 to `count` - 1 that moves when `moves`; nothing where there is one value.
struct Counter {
    name: &'static str,
    count: usize,
}

impl Counter {
    fn width(&self) -> usize {
        bits_for(self.count - 1)
    }

    fn is(&self, value: usize) -> String {
        format!("{} == {}'d{value}", self.name, self.width())
    }

    fn declaration(&self) -> String {
        format!("  reg {}{};\n", range(self.width()), self.name)
    }
}

/// The body of the module, behind its ports.
pub(super) fn text(plan: &StagePlan, factors: [usize; 2], name: &str) -> String {
    let [down, across] = factors;
    let [height, width] = plan.image;
    // From the slowest to the fastest: a row, its repetitions, its pixels, their repetitions.
    let counters = [("row", height), ("down", down), ("column", width), ("across", across)];
    let counters = counters.map(|(name, count)| Counter { name, count });
    let [row, downs, column, acrosses] = &counters;
    let bits = plan.pixel.bits();
    let mut text = String::from("\n  // A row, its repetitions, its pixels, their repetitions.\n");
    for counter in &counters {
        text.push_str(&counter.declaration());
    }
    let lasts: Vec<String> = counters.iter().map(|counter| counter.is(counter.count - 1)).collect();
    let zeros = counters.iter().map(|c| format!("      {} <= {}'d0;\n", c.name, c.width()));
    let zeros: String = zeros.collect();
    let [last_row, last_down, last_column, last_across] = lasts.as_slice() else {
        return text; // four counters have four ends
    };
    let next = |c: &Counter, last: &str| {
        format!("{} <= {last} ? {w}'d0 : {} + {w}'d1;", c.name, c.name, w = c.width())
    };
    let scan = format!(
        "  wire enable; // of everything up to the hand-over
  wire fresh = {} && {}; // a pixel is taken
  wire begins = {} && {}; // here frames begin
  wire restart = fresh && in_valid && in_first && !begins; // a frame was cut short
  wire step = enable && (!fresh || (in_valid && !restart));
  assign in_ready = enable && fresh && !restart;
  wire last_across = {last_across};
  wire last_column = {last_column};
  wire last_down = {last_down};
  wire last_row = {last_row};

  always @(posedge clk) begin
    if (rst || restart) begin
{zeros}    end else if (step) begin
      {}
      if (last_across) {}
      if (last_across && last_column) {}
      if (last_across && last_column && last_down) {}
    end
  end
",
        downs.is(0),
        acrosses.is(0),
        row.is(0),
        column.is(0),
        next(acrosses, "last_across"),
        next(column, "last_column"),
        next(downs, "last_down"),
        next(row, "last_row"),
    );
    text.push_str(&scan);
    text.push_str(&pixel(plan, factors, downs, acrosses, column));
    let wide = range(bits);
    let result = format!(
        "
  reg result_valid, result_first;
  reg {wide}result;
  always @(posedge clk) begin
    if (rst) result_valid <= 1'b0;
    else if (enable) result_valid <= step;
    if (step) begin
      result_first <= fresh && begins;
      result <= pixel;
    end
  end
"
    );
    text.push_str(&result);
    text.push_str(&handed_over(name, bits));
    text
}

/// The pixel at this place: the one that comes in, the one held, or one of the line.
fn pixel(
    plan: &StagePlan,
    factors: [usize; 2],
    down: &Counter,
    across: &Counter,
    column: &Counter,
) -> String {
    let wide = range(plan.pixel.bits());
    let (line, hold) = (plan.keeps_a_line(factors), factors[1] > 1);
    let held = format!(
        "\n  reg {wide}held; // while it is repeated\n  always @(posedge clk) if (step && fresh) held \
         <= in_pixel;\n"
    );
    if !line {
        return if factors == [1, 1] {
            format!("\n  wire {wide}pixel = in_pixel;\n")
        } else {
            format!("{held}  wire {wide}pixel = fresh ? in_pixel : held;\n")
        };
    }
    let width = column.width();
    let first =
        if hold { format!("({} ? in_pixel : held)", across.is(0)) } else { "in_pixel".to_owned() };
    format!(
        "{}
  // The line that is repeated.
  reg {wide}line [0:{}];
  reg {wide}again; // its pixel at this column
  wire {}next_column = !last_across ? column : last_column ? {width}'d0 : column + {width}'d1;
  always @(posedge clk) if (step) begin
    again <= line[next_column];
    if (fresh) line[column] <= in_pixel;
  end
  wire {wide}pixel = ({}) ? {first} : again;
",
        if hold { held } else { String::new() },
        plan.image[1] - 1,
        range(width),
        down.is(0)
    )
}
