//! The text where an image goes to several stages, and where several images are joined.

use std::fmt::Write;

use super::plan::{Plan, Reader, StagePlan};
use super::queue;
use crate::blocks::{counted, slice};
use crate::verilog::range;

/// Prints the queues of a join that there are not yet; gives the module of each.
pub(super) fn queues(
    plan: &Plan,
    stage: &StagePlan,
    places: &[usize],
    name: &str,
    text: &mut String,
) -> Result<Vec<String>, std::fmt::Error> {
    let mut used = Vec::new();
    for (&image, &places) in stage.inputs.iter().zip(places) {
        let bits = plan.pixel(image).bits();
        let module = format!("{name}_queue_{bits}_{places}");
        if !text.contains(&format!("\nmodule {module} (")) {
            write!(
                text,
                "
// A queue before a join: {} places for pixels of {}.
module {module} (
  input  wire clk,
  input  wire rst,
  input  wire in_valid,
  output wire in_ready,
  input  wire in_first, // the first pixel of an image
  input  wire {pixel}in_pixel,
  output wire out_valid,
  input  wire out_ready,
  output wire out_first,
  output wire {pixel}out_pixel
);
{}
endmodule
",
                1usize << places,
                counted(bits, "bit"),
                queue::text(bits, places),
                pixel = range(bits),
            )?;
        }
        used.push(module);
    }
    Ok(used)
}

/// The names of the wires from image to stage.
pub(super) struct Links<'a> {
    plan: &'a Plan,
    readers: Vec<Vec<Reader>>,
}

/// The handshake by which a stage takes the pixels of an image.
pub(super) struct Link {
    pub(super) image: usize,
    pub(super) valid: String,
    pub(super) ready: String,
}

impl<'a> Links<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self { plan, readers: plan.readers() }
    }

    /// Of the image that stage `stage` reads as number `side`.
    pub(super) fn of(&self, stage: usize, side: usize) -> Link {
        let image = self.plan.stages[stage].inputs[side];
        let readers = &self.readers[image];
        let at = readers.iter().position(|&reader| reader == Reader { stage, side });
        let number = match at {
            Some(at) if readers.len() > 1 => at.to_string(),
            _ => String::new(),
        };
        let wire = |what: &str| format!("link{image}_{what}{number}");
        Link { image, valid: wire("valid"), ready: wire("ready") }
    }

    /// The ways to all stages that read an image, where there are several: each takes a pixel when
    /// it can, and the next comes when all have it.
    pub(super) fn fork(&self, image: usize, text: &mut String) -> std::fmt::Result {
        let count = self.readers[image].len();
        if count < 2 {
            return Ok(());
        }
        writeln!(text, "\n  // To {count} readers, each in its time.")?;
        let mut all = Vec::new();
        for number in 0..count {
            let own = |what: &str| format!("link{image}_{what}{number}");
            let (valid, ready, done) = (own("valid"), own("ready"), own("done"));
            write!(
                text,
                "  reg {done};
  wire {ready};
  wire {valid} = link{image}_valid && !{done};
  always @(posedge clk) begin
    if (rst) {done} <= 1'b0;
    else if (link{image}_valid) {done} <= !link{image}_ready && ({done} || {ready});
  end
"
            )?;
            all.push(format!("({done} || {ready})"));
        }
        writeln!(text, "  assign link{image}_ready = {};", all.join(" && "))
    }

    /// Joins the images that stage `stage` reads: pixels go on together. Images are whole, so each
    /// is at the same place.
    pub(super) fn join(
        &self,
        stage: usize,
        queues: &[String],
        name: &str,
        text: &mut String,
    ) -> std::fmt::Result {
        let (planned, o) = (&self.plan.stages[stage], stage + 1);
        let own = |side: usize, what: &str| format!("stage{stage}_{what}{side}");
        let sides = || 0..queues.len();
        for side in sides() {
            let from = self.of(stage, side);
            let bits = self.plan.pixel(from.image).bits();
            let [valid, ready, first, pixel] =
                ["valid", "ready", "first", "pixel"].map(|what| own(side, what));
            write!(
                text,
                "  wire {valid}, {first};
  wire {wide}{pixel};
  wire {ready};
  {queue} stage{stage}_queue{side} (
    .clk(clk), .rst(rst),
    .in_valid({in_valid}), .in_ready({in_ready}), .in_first(link{image}_first),
    .in_pixel(link{image}_pixel),
    .out_valid({valid}), .out_ready({ready}), .out_first({first}),
    .out_pixel({pixel})
  );
",
                wide = range(bits),
                queue = queues[side],
                in_valid = from.valid,
                in_ready = from.ready,
                image = from.image,
            )?;
        }
        let all: Vec<String> = sides().map(|side| own(side, "valid")).collect();
        write!(
            text,
            "  wire stage{stage}_all = {};
  wire stage{stage}_room;
  wire {}stage{stage}_joined;
  {name}_handover #(.WIDTH({})) stage{stage} (
    .clk(clk), .rst(rst),
    .in_valid(stage{stage}_all), .in_ready(stage{stage}_room),
    .in_data({{{}, stage{stage}_joined}}),
    .out_valid(link{o}_valid), .out_ready(link{o}_ready),
    .out_data({{link{o}_first, link{o}_pixel}})
  );
",
            all.join(" && "),
            range(planned.output.bits()),
            planned.output.bits() + 1,
            own(0, "first"),
        )?;
        for side in sides() {
            let ready = own(side, "ready");
            writeln!(text, "  assign {ready} = stage{stage}_all && stage{stage}_room;")?;
        }
        let rest: Vec<String> = sides().skip(1).map(|side| own(side, "first")).collect();
        if !rest.is_empty() {
            writeln!(text, "  wire stage{stage}_unused_ok = &{{1'b0, {}}};", rest.join(", "))?;
        }
        // Channel 0 of the first image in the lowest bits.
        let mut words = Vec::new();
        for (side, &image) in planned.inputs.iter().enumerate() {
            let pixel = self.plan.pixel(image);
            let zeros = planned.output.width - pixel.width;
            for channel in 0..pixel.channels {
                let vector = own(side, "pixel");
                let word = slice(&vector, channel * pixel.width, pixel.width, pixel.bits());
                words.push(if zeros > 0 { format!("{zeros}'d0, {word}") } else { word });
            }
        }
        words.reverse();
        let lines: Vec<String> = words.chunks(6).map(|line| line.join(", ")).collect();
        writeln!(text, "  assign stage{stage}_joined = {{\n    {}\n  }};", lines.join(",\n    "))
    }
}
