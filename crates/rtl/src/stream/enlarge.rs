//! The text of a stage that repeats pixels, or lays their channels side by side as windows.

use lutweave_lut::bits_for;

use super::plan::StagePlan;
use super::slide::handed_over;
use crate::blocks::slice;
use crate::verilog::range;

/// A counter from 0 to `count` - 1; always 0 where there is one value.
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

    /// Whether it is at its end, which is `at_edge` where `edge` holds.
    fn last(&self, at_edge: usize, edge: &str) -> String {
        if at_edge == self.count {
            return self.is(self.count - 1);
        }
        let width = self.width();
        let (inner, outer) = (self.count - 1, at_edge - 1);
        format!("{} == ({edge} ? {width}'d{outer} : {width}'d{inner})", self.name)
    }
}

/// The body of the module of an enlargement by `factors`, behind its ports.
pub(super) fn enlarge(plan: &StagePlan, factors: [usize; 2], name: &str) -> String {
    text(plan, factors, factors, name, "pixel")
}

/// The body of the module that lays windows of `filter` pixels `stride` apart, behind its ports.
pub(super) fn spread(
    plan: &StagePlan,
    filter: [usize; 2],
    stride: [usize; 2],
    name: &str,
) -> String {
    let [downs, acrosses] = stride.map(|count| bits_for(count - 1));
    let (width, all) = (plan.pixel.width, plan.pixel.bits());
    let words = |down: usize, across: usize| {
        let word = |channel: usize| {
            let channel = (channel * filter[0] + down) * filter[1] + across;
            slice("pixel", channel * width, width, all)
        };
        let words: Vec<String> = (0..plan.output.channels).rev().map(word).collect();
        format!("{{{}}}", words.join(", "))
    };
    let taps = (0..filter[0]).flat_map(|down| (0..filter[1]).map(move |across| (down, across)));
    let mut choices: Vec<String> = taps
        .map(|(down, across)| {
            let here = format!("down == {downs}'d{down} && across == {acrosses}'d{across}");
            format!("({here}) ? {} :\n        ", words(down, across))
        })
        .collect();
    // Where no zeros lie between windows, the last choice is the only one left.
    if filter == stride {
        choices.pop();
        choices.push(words(filter[0] - 1, filter[1] - 1));
    } else {
        choices.push(format!("{}'d0", plan.output.bits()));
    }
    text(plan, stride, filter, name, &choices.concat())
}

/// Every pixel `[down, across]` = `factors` times, but `edge` times in the last row and column;
/// `result` is what is made of it.
fn text(
    plan: &StagePlan,
    factors: [usize; 2],
    edge: [usize; 2],
    name: &str,
    result: &str,
) -> String {
    let [down, across] = factors;
    let [height, width] = plan.image;
    // From the slowest to the fastest: a row, its repetitions, its pixels, their repetitions, their
    // frames.
    let counters = [
        ("row", height),
        ("down", down),
        ("column", width),
        ("across", across),
        ("frame", plan.frames),
    ];
    let counters = counters.map(|(name, count)| Counter { name, count });
    let [row, downs, column, acrosses, frame] = &counters;
    let mut text = String::from(
        "\n  // A row, its repetitions, its pixels, their repetitions, the frames of these.\n",
    );
    for counter in &counters {
        text.push_str(&counter.declaration());
    }
    let zeros = counters.iter().map(|c| format!("      {} <= {}'d0;\n", c.name, c.width()));
    let zeros: String = zeros.collect();
    let next = |c: &Counter, last: &str| {
        format!("{} <= {last} ? {w}'d0 : {} + {w}'d1;", c.name, c.name, w = c.width())
    };
    let scan = format!(
        "  wire enable; // of everything up to the hand-over
  wire fresh = {} && {}; // a pixel is taken
  wire begins = {} && {} && {}; // here images begin
  wire restart = fresh && in_valid && in_first && !begins; // one was cut short
  wire step = enable && (!fresh || (in_valid && !restart));
  assign in_ready = enable && fresh && !restart;
  wire last_row = {};
  wire last_column = {};
  wire last_down = {};
  wire last_frame = {};
  wire last_across = {};
  wire last_of_pixel = last_frame && last_across;

  always @(posedge clk) begin
    if (rst || restart) begin
{zeros}    end else if (step) begin
      {}
      if (last_frame) {}
      if (last_of_pixel) {}
      if (last_of_pixel && last_column) {}
      if (last_of_pixel && last_column && last_down) {}
    end
  end
",
        downs.is(0),
        acrosses.is(0),
        row.is(0),
        column.is(0),
        frame.is(0),
        row.is(row.count - 1),
        column.is(column.count - 1),
        downs.last(edge[0], "last_row"),
        frame.is(frame.count - 1),
        acrosses.last(edge[1], "last_column"),
        next(frame, "last_frame"),
        next(acrosses, "last_across"),
        next(column, "last_column"),
        next(downs, "last_down"),
        next(row, "last_row"),
    );
    text.push_str(&scan);
    if plan.frames > 1 {
        text.push_str(&pixel_of_frames(plan, factors, column, frame));
    } else {
        text.push_str(&pixel(plan, factors, downs, acrosses, column));
    }
    let wide = range(plan.output.bits());
    let result = format!(
        "
  reg result_valid, result_first;
  reg {wide}result;
  always @(posedge clk) begin
    if (rst) result_valid <= 1'b0;
    else if (enable) result_valid <= step;
    if (step) begin
      result_first <= fresh && begins;
      result <= {result};
    end
  end
"
    );
    text.push_str(&result);
    text.push_str(&handed_over(name, plan.output.bits()));
    text
}

/// The pixel at this place, with frames: the one that comes in, or one that came in before. What is
/// read in a cycle was written a cycle before at the latest, as each pixel has frames enough.
fn pixel_of_frames(
    plan: &StagePlan,
    factors: [usize; 2],
    column: &Counter,
    frame: &Counter,
) -> String {
    let wide = range(plan.pixel.bits());
    if factors == [1, 1] {
        return format!("\n  wire {wide}pixel = in_pixel;\n");
    }
    let (columns, frames) = (column.width(), frame.width());
    let next_column = format!(
        "  wire {}next_column = !last_of_pixel ? column : last_column ? {columns}'d0 : column + \
         {columns}'d1;\n",
        range(columns)
    );
    // A column of pixels needs no address of its own.
    let (next_column, next, now) = if column.count == 1 {
        (String::new(), "next_frame", "frame")
    } else {
        (next_column, "{next_column, next_frame}", "{column, frame}")
    };
    format!(
        "
  // The line that is repeated, each pixel with its frames.
  reg {wide}line [0:{last}];
  reg {wide}again; // of it, what belongs here
  wire {}next_frame = last_frame ? {frames}'d0 : frame + {frames}'d1;
{next_column}  always @(posedge clk) if (step) begin
    again <= line[{next}];
    if (fresh) line[{now}] <= in_pixel;
  end
  wire {wide}pixel = fresh ? in_pixel : again;
",
        range(frames),
        last = plan.kept_line(factors) - 1,
    )
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
    let (words, hold) = (plan.kept_line(factors), factors[1] > 1);
    let held = format!(
        "\n  reg {wide}held; // while it is repeated\n  always @(posedge clk) if (step && fresh) held \
         <= in_pixel;\n"
    );
    if words == 0 {
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
        words - 1,
        range(width),
        down.is(0)
    )
}
