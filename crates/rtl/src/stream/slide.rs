//! The text of a stage whose window slides.

use std::fmt::Write;

use lutweave_lut::bits_for;

use super::plan::{Axis, StagePlan};
use crate::blocks::{counted, slice};
use crate::verilog::range;

/// What the text of a windowed stage is made of.
pub(super) struct Slide<'a> {
    pub(super) plan: &'a StagePlan,
    pub(super) axes: &'a [Axis; 2],
    /// The word outside the image, if it is a constant.
    pub(super) outside: Option<u64>,
    pub(super) net: Net<'a>,
}

/// The module that holds the netlist of a window.
pub(super) struct Net<'a> {
    /// Its name, and those of its ports.
    pub(super) module: &'a str,
    pub(super) inputs: &'a [String],
    pub(super) output: &'a str,
    pub(super) latency: usize,
    /// Name of the whole.
    pub(super) name: &'a str,
}

impl Slide<'_> {
    /// The body of the module, behind its ports.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        self.scan(&mut text)?;
        self.place(&mut text)?;
        self.lines(&mut text)?;
        self.window(&mut text)?;
        self.net.result(&["elements"], self.plan.output.bits(), &mut text)?;
        Ok(text)
    }

    fn bits(&self) -> usize {
        self.plan.pixel.bits()
    }

    /// The widths of the two counters.
    fn counters(&self) -> [usize; 2] {
        [0, 1].map(|i| bits_for(self.axes[i].scan - 1))
    }

    /// The counters, and what is taken when.
    fn scan(&self, text: &mut String) -> std::fmt::Result {
        let [rows, columns] = self.counters();
        let [y, x] = self.axes;
        let inside = conjunction(&[
            within("row", rows, y.offset, y.offset + y.size - 1, y.scan),
            within("column", columns, x.offset, x.offset + x.size - 1, x.scan),
        ]);
        let step = if self.plan.waits() {
            // The first window lies before the first pixel of the image.
            format!(
                "  wire waits = in_image || (row == {rows}'d0 && column == {columns}'d0);
  wire step = enable && (in_valid ? !restart : !waits);"
            )
        } else {
            "  wire step = enable && (!in_image || (in_valid && !restart));".to_owned()
        };
        write!(
            text,
            "
  // The scan: {} x {} places, those of the image from row {}, column {} on.
  wire enable; // of everything up to the hand-over
  reg {}row;
  reg {}column;
  wire in_image = {inside};
  wire begins = row == {rows}'d{} && column == {columns}'d{}; // here frames begin
  wire restart = in_image && in_valid && in_first && !begins; // a frame was cut short
{step}
  assign in_ready = enable && in_image && !restart;
  wire last_row = row == {rows}'d{};
  wire last_column = column == {columns}'d{};
  wire {}next_column = last_column ? {columns}'d0 : column + {columns}'d1;

  always @(posedge clk) begin
    if (rst || restart) begin
      row <= {rows}'d0;
      column <= {columns}'d0;
    end else if (step) begin
      column <= next_column;
      if (last_column) row <= last_row ? {rows}'d0 : row + {rows}'d1;
    end
  end
",
            y.scan,
            x.scan,
            y.offset,
            x.offset,
            range(rows),
            range(columns),
            y.offset,
            x.offset,
            y.scan - 1,
            x.scan - 1,
            range(columns),
        )
    }

    /// Which places end a window that gives a pixel.
    fn place(&self, text: &mut String) -> std::fmt::Result {
        let mut terms = Vec::new();
        for (i, name) in ["row", "column"].into_iter().enumerate() {
            let (axis, width) = (&self.axes[i], self.counters()[i]);
            terms.push(within(name, width, axis.first_end(), axis.last_end(), axis.scan));
            if axis.stride > 1 && axis.positions > 1 {
                terms.push(self.phase(i, name, text)?);
            }
        }
        let [rows, columns] = self.counters();
        let [y, x] = self.axes;
        write!(
            text,
            "
  // Where a window ends that gives a pixel; its registers are in the window a cycle later.
  wire ends = {};
  reg window_valid, window_first;
  always @(posedge clk) begin
    if (rst) window_valid <= 1'b0;
    else if (enable) window_valid <= step && ends;
    if (step) window_first <= row == {rows}'d{} && column == {columns}'d{};
  end
",
            conjunction(&terms),
            y.first_end(),
            x.first_end()
        )
    }

    /// A counter of the places since a window ended, modulo the stride; gives its condition.
    fn phase(
        &self,
        i: usize,
        name: &str,
        text: &mut String,
    ) -> Result<Option<String>, std::fmt::Error> {
        let axis = &self.axes[i];
        let (period, frames) = (axis.period(), axis.frames);
        let width = bits_for(period - 1);
        let start = (period - axis.first_end() % period) % period;
        let (moves, wraps) =
            if i == 0 { ("last_column", "last_row") } else { ("1'b1", "last_column") };
        let condition = if i == 0 { format!("step && {moves}") } else { "step".to_owned() };
        write!(
            text,
            "
  // The {name} modulo {period}, below {frames} where a window ends.
  reg {}{name}_phase;
  always @(posedge clk) begin
    if (rst || restart) {name}_phase <= {width}'d{start};
    else if ({condition}) begin
      if ({wraps}) {name}_phase <= {width}'d{start};
      else if ({name}_phase == {width}'d{}) {name}_phase <= {width}'d0;
      else {name}_phase <= {name}_phase + {width}'d1;
    end
  end
",
            range(width),
            period - 1
        )?;
        let ends = if frames == 1 { "==" } else { "<=" };
        Ok(Some(format!("{name}_phase {ends} {width}'d{}", frames - 1)))
    }

    /// The line buffers: `strip` is the part of this column that the window covers, topmost pixel
    /// in the lowest bits.
    fn lines(&self, text: &mut String) -> std::fmt::Result {
        let [y, x] = self.axes;
        let bits = self.bits();
        let pixel = match self.outside {
            Some(word) if x.scan > x.size || y.scan > y.size => {
                let (channels, width) = (self.plan.pixel.channels, self.plan.pixel.width);
                format!("in_image ? in_pixel : {{{channels}{{{width}'d{word}}}}}")
            }
            _ => "in_pixel".to_owned(),
        };
        writeln!(text, "\n  wire {}pixel = {pixel};", range(bits))?;
        let above = (y.extent - 1) * bits;
        if above == 0 {
            return writeln!(text, "  wire {}strip = pixel;", range(bits));
        }
        let (wide, all) = (range(above), range(above + bits));
        let kept = slice("strip", bits, above, above + bits);
        write!(
            text,
            "
  // {} above this one. What is left in them of a frame before is read by no window.
",
            counted(y.extent - 1, "line")
        )?;
        if x.scan == 1 {
            return write!(
                text,
                "  reg {wide}above;
  wire {all}strip = {{pixel, above}};
  always @(posedge clk) if (step) above <= {kept};
"
            );
        }
        write!(
            text,
            "  reg {wide}lines [0:{}];
  reg {wide}above;
  wire {all}strip = {{pixel, above}};
  always @(posedge clk) if (step) begin
    above <= lines[next_column];
    lines[column] <= {kept};
  end
",
            x.scan - 1
        )
    }

    /// The registers of the window, and what each of its elements reads.
    fn window(&self, text: &mut String) -> std::fmt::Result {
        let [y, x] = self.axes;
        let bits = self.bits();
        let (strip, row) = (y.extent * bits, x.extent * bits);
        let columns = self.counters()[1];
        let selects = |axis: &Axis| axis.selections.iter().any(|list| !list.is_empty());
        writeln!(text, "\n  // The window: a shift register for each of its rows.")?;
        if selects(x) {
            writeln!(text, "  reg {}at; // the column in which it ends", range(columns))?;
            writeln!(text, "  always @(posedge clk) if (step) at <= column;")?;
        }
        for ky in 0..y.filter {
            let enters = choice(y, ky, "row", self.counters()[0], "\n      ", |place| {
                slice("strip", place * bits, bits, strip)
            });
            let next = if row > bits {
                let kept = slice(&format!("window{ky}"), bits, row - bits, row);
                format!("{{enters{ky}, {kept}}}")
            } else {
                format!("enters{ky}")
            };
            writeln!(text, "  wire {}enters{ky} ={enters};", range(bits))?;
            writeln!(text, "  reg {}window{ky};", range(row))?;
            writeln!(text, "  always @(posedge clk) if (step) window{ky} <= {next};")?;
        }
        let mut reads = Vec::with_capacity(y.filter * x.filter);
        for ky in 0..y.filter {
            for kx in 0..x.filter {
                let name = format!("window{ky}");
                let from = |place: usize| slice(&name, place * bits, bits, row);
                if x.selections.get(kx).is_none_or(Vec::is_empty) {
                    reads.push((name.clone(), kx * x.dilation * bits, row));
                    continue;
                }
                let value = choice(x, kx, "at", columns, "\n      ", from);
                writeln!(text, "  wire {}element{ky}_{kx} ={value};", range(bits))?;
                reads.push((format!("element{ky}_{kx}"), 0, bits));
            }
        }
        self.elements(&reads, text)
    }

    /// The input of the netlist: `[channel, row, column]`, the first element in the lowest bits.
    fn elements(&self, reads: &[(String, usize, usize)], text: &mut String) -> std::fmt::Result {
        let (channels, width) = (self.plan.pixel.channels, self.plan.pixel.width);
        let total = reads.len() * self.bits();
        write!(text, "  wire {}elements = {{", range(total))?;
        let mut line = 0;
        for channel in (0..channels).rev() {
            for (name, first, all) in reads.iter().rev() {
                let item = slice(name, first + channel * width, width, *all);
                if line > 0 {
                    text.push(',');
                }
                text.push_str(if line % 6 == 0 { "\n    " } else { " " });
                text.push_str(&item);
                line += 1;
            }
        }
        text.push_str("\n  };\n");
        Ok(())
    }
}

impl Net<'_> {
    /// The netlist on these vectors, one a port, where `window_valid` and `window_first` say so, and
    /// the hand-over behind it.
    pub(super) fn result(
        &self,
        vectors: &[&str],
        bits: usize,
        text: &mut String,
    ) -> std::fmt::Result {
        writeln!(text, "\n  wire result_valid, result_first;")?;
        writeln!(text, "  wire {}result;", range(bits))?;
        let pins = if self.latency == 0 {
            text.push_str("  assign result_valid = window_valid;\n");
            text.push_str("  assign result_first = window_first;\n");
            String::new()
        } else {
            let next = match self.latency {
                1 => "window_first".to_owned(),
                2 => "{firsts[0], window_first}".to_owned(),
                n => format!("{{firsts[{}:0], window_first}}", n - 2),
            };
            let last = slice("firsts", self.latency - 1, 1, self.latency);
            writeln!(text, "  reg {}firsts;", range(self.latency))?;
            writeln!(text, "  always @(posedge clk) if (enable) firsts <= {next};")?;
            writeln!(text, "  assign result_first = {last};")?;
            "\n    .clk(clk), .rst(rst), .enable(enable),\n    .in_valid(window_valid), \
             .out_valid(result_valid),"
                .to_owned()
        };
        let inputs = self.inputs.iter().zip(vectors);
        let inputs: Vec<String> = inputs.map(|(port, from)| format!(".{port}({from})")).collect();
        let (inputs, output, module) = (inputs.join(", "), self.output, self.module);
        writeln!(text, "  {module} net ({pins}\n    {inputs}, .{output}(result)\n  );")?;
        text.push_str(&handed_over(self.name, bits));
        Ok(())
    }
}

/// The instance of the hand-over behind `result`, and the enable that waits for it.
pub(super) fn handed_over(name: &str, bits: usize) -> String {
    format!(
        "
  wire room;
  assign enable = !result_valid || room;
  {name}_handover #(.WIDTH({})) handover (
    .clk(clk), .rst(rst),
    .in_valid(result_valid), .in_ready(room), .in_data({{result_first, result}}),
    .out_valid(out_valid), .out_ready(out_ready), .out_data({{out_first, out_pixel}})
  );
",
        bits + 1
    )
}

/// Whether a counter that stays below `scan` is from `first` to `last`; none where it always is.
fn within(name: &str, width: usize, first: usize, last: usize, scan: usize) -> Option<String> {
    let mut terms = Vec::new();
    if first == last && scan > 1 {
        terms.push(format!("{name} == {width}'d{first}"));
    } else {
        if first > 0 {
            terms.push(format!("{name} >= {width}'d{first}"));
        }
        if last + 1 < scan {
            terms.push(format!("{name} <= {width}'d{last}"));
        }
    }
    (!terms.is_empty()).then(|| terms.join(" && "))
}

/// All of the conditions there are.
fn conjunction(terms: &[Option<String>]) -> String {
    let terms: Vec<&str> = terms.iter().flatten().map(String::as_str).collect();
    if terms.is_empty() { "1'b1".to_owned() } else { terms.join(" && ") }
}

/// What element `element` reads: its own place, or another where `counter` says that it lies over
/// the border.
fn choice(
    axis: &Axis,
    element: usize,
    counter: &str,
    width: usize,
    line: &str,
    from: impl Fn(usize) -> String,
) -> String {
    let own = from(element * axis.dilation);
    let mut list = axis.selections.get(element).cloned().unwrap_or_default();
    list.sort_by_key(|&(end, place)| (place, end));
    let mut text = String::new();
    for same in list.chunk_by(|a, b| a.1 == b.1) {
        let ends: Vec<String> =
            same.iter().map(|(end, _)| format!("{counter} == {width}'d{end}")).collect();
        let ends = ends.join(" || ");
        text += &[line, "(", &ends, ") ? ", &from(same[0].1), " :"].concat();
    }
    if text.is_empty() { format!(" {own}") } else { format!("{text}{line}{own}") }
}
