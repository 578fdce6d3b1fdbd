//! The text of all modules of a chain: head, stages, and what joins them.

use std::collections::BTreeMap;
use std::fmt::Write;

use lutweave_lut::bits_for;

use super::guard::guard;
use super::join::{self, Links};
use super::plan::{Plan, StagePlan, Work};
use super::slide::{Net, Slide};
use super::{Stream, StreamInfo, enlarge, modulate};
use crate::blocks::{byte_bits, counted, handover};
use crate::verilog::{self, range};
use crate::{Result, Verilog};

/// What a stage is an instance of.
enum Module {
    Stage(String),
    /// Of a join: a queue for each image.
    Queues(Vec<String>),
}

/// All modules, the outermost last.
pub(super) fn emit(plan: &Plan, info: &StreamInfo, options: &Stream) -> Result<String> {
    let name = options.module();
    let mut text = String::new();
    comment(plan, info, name, &mut text)?;
    text.push_str("// Several modules in one file, so that it stands on its own.\n");
    text.push_str("/* verilator lint_off DECLFILENAME */\n");
    let mut ports = Vec::new();
    for (index, net) in plan.nets.iter().enumerate() {
        let options = Verilog::new(format!("{name}_net{index}")).enable(true);
        let signals = verilog::prepare(net, &options)?;
        ports.push((signals.inputs.clone(), signals.outputs[0].clone()));
        writeln!(text)?;
        verilog::emit(net, &options, &mut text)?;
    }
    text.push_str("\n`default_nettype none\n");
    text.push_str(&handover(name));
    // Stages that differ in nothing are one module.
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    let mut used = Vec::new();
    for (index, stage) in plan.stages.iter().enumerate() {
        if let Work::Join { places } = &stage.work {
            let queues = join::queues(plan, stage, places, name, &mut text)?;
            used.push(Module::Queues(queues));
            continue;
        }
        let (about, body) = stage_text(stage, name, &ports)?;
        let module = modules.entry(body.clone()).or_insert_with(|| format!("{name}_stage{index}"));
        if *module == format!("{name}_stage{index}") {
            write!(text, "\n{about}module {module} ({body}\nendmodule\n")?;
        }
        used.push(Module::Stage(module.clone()));
    }
    guard(plan, name, &mut text)?;
    top(plan, name, &used, &mut text)?;
    text.push_str("\n`default_nettype wire\n/* verilator lint_on DECLFILENAME */\n");
    Ok(text)
}

fn comment(plan: &Plan, info: &StreamInfo, name: &str, text: &mut String) -> std::fmt::Result {
    let ([height, width], [rows, columns]) = (plan.image, plan.output_image);
    let (s, m) = (plan.input, plan.output);
    write!(
        text,
        "// Module {name}, by lutweave: a chain of {} as an AXI4-Stream video filter.
//
// s_axis: images of {height} rows of {width} pixels, a beat a pixel, row by row.
//   tdata: {} of {}, word i at [{}*i +: {}]; bits above are ignored.
// m_axis: images of {rows} rows of {columns} pixels, likewise.
//   tdata: {} of {}, word i at [{}*i +: {}]; bits above are zero.
// tuser: the first pixel of an image; tlast: the last of a row.
//
// Pixels that belong to no image are dropped: those before a tuser, and those behind a row of another
// length. A tuser that comes early begins a new image. In either case {},
// and the next image is whole. With CHECK_TLAST at 0, tlast of s_axis is ignored.
//
// Clock: the rising edge of clk. rst is synchronous and active high: it clears valid bits and
// counters, and the image under way is lost. Data registers and line buffers have no reset.
// Handshakes: every stage ends in registers for both directions of its handshake, and so does the
// input: no path leads from m_axis_tready to s_axis_tready, or from s_axis to m_axis. Stages stop
// when what they give is not taken, each by an enable of its own.
//
// Where nothing waits for s_axis or m_axis:
//   {} clock cycles from the first pixel in to the first out;
//   {} from the first pixel in to the last of its image out;
//   {} from image to image (initiation interval), reached by the third of images in a row.
// A stage takes a cycle for each place of its scan, which is the image with the borders that its
// windows reach over; the interval is at least the largest scan. From a pixel on its input to the
// result of the window that it completes, a stage takes 2 cycles and those of its netlist.
// Where there are several frames of an image, those of a pixel follow one another, a cycle each.
// Where several stages read an image, each takes its pixels by itself; before images are joined again,
// they wait in queues with places for all that one way can be ahead of another.
//
// stage                     image in       image out            scan  netlist  line buffer or queue
",
        counted(plan.stages.len(), "stage"),
        counted(s.channels, "word"),
        counted(s.width, "bit"),
        s.width,
        s.width,
        counted(m.channels, "word"),
        counted(m.width, "bit"),
        m.width,
        m.width,
        if plan.joins() {
            "the image under way is filled up with zeros"
        } else {
            "what was under way comes out"
        },
        info.latency,
        info.frame_latency,
        info.clocks_per_frame
    )?;
    for stage in &info.stages {
        let size = |[h, w]: [usize; 2]| format!("{h} x {w}");
        writeln!(
            text,
            "// {:<20}  {:>13}  {:>14}  {:>14}  {:>3} cycles  {} bits",
            stage.name,
            size(stage.image),
            size(stage.output),
            size(stage.scan),
            stage.netlist_latency,
            stage.line_buffer_bits
        )?;
    }
    writeln!(text, "// Line buffers: {} in all.", counted(info.line_buffer_bits, "bit"))?;
    writeln!(text, "//")
}

/// A comment on a stage, and its module from the ports on.
fn stage_text(
    stage: &StagePlan,
    name: &str,
    ports: &[(Vec<String>, String)],
) -> Result<(String, String)> {
    let modules: Vec<String> = (0..ports.len()).map(|net| format!("{name}_net{net}")).collect();
    let net = |net: usize, latency: usize| {
        let (inputs, output) = &ports[net];
        Net { module: &modules[net], inputs, output, latency, name }
    };
    let bits = counted(stage.pixel.bits(), "bit");
    let [height, width] = stage.image;
    let (about, body) = match &stage.work {
        Work::Slide { axes, constant, outside, net: index, latency } => {
            let [y, x] = axes.as_ref();
            let about = format!(
                "// Stage {}: windows of {} x {}, {} x {} apart, on {} x {} pixels of {}.\n",
                stage.name,
                y.filter,
                x.filter,
                y.stride,
                x.stride,
                stage.image[0],
                stage.image[1],
                counted(stage.pixel.bits(), "bit")
            );
            let (outside, net) = (constant.then_some(*outside), net(*index, *latency));
            (about, Slide { plan: stage, axes, outside, net }.text()?)
        }
        Work::Enlarge { factors } => {
            let [down, across] = factors;
            let about = format!(
                "// Stage {}: repeats each of {height} x {width} pixels of {bits} {down} x {across} \
                 times.\n",
                stage.name,
            );
            (about, enlarge::enlarge(stage, *factors, name))
        }
        Work::Spread { filter, stride } => {
            let about = format!(
                "// Stage {}: each of {height} x {width} pixels of {bits} is a window of {} x {}, {} x \
                 {} apart.\n",
                stage.name, filter[0], filter[1], stride[0], stride[1],
            );
            (about, enlarge::spread(stage, *filter, *stride, name))
        }
        Work::Modulate { net: index, latency } => {
            let about = format!(
                "// Stage {}: {} frames of each pixel of {bits}.\n",
                stage.name, stage.output_frames
            );
            (about, modulate::text(stage, &net(*index, *latency))?)
        }
        Work::Sum | Work::Join { .. } => {
            let about = format!("// Stage {}: sums over {} frames.\n", stage.name, stage.frames);
            (about, modulate::sum(stage, name)?)
        }
    };
    let ports = format!(
        "
  input  wire clk,
  input  wire rst,
  input  wire in_valid,
  output wire in_ready,
  input  wire in_first, // the first pixel of an image
  input  wire {}in_pixel,
  output wire out_valid,
  input  wire out_ready,
  output wire out_first,
  output wire {}out_pixel
);
{body}",
        range(stage.pixel.bits()),
        range(stage.output.bits())
    );
    Ok((about, ports))
}

/// The module that joins everything.
fn top(plan: &Plan, name: &str, used: &[Module], text: &mut String) -> std::fmt::Result {
    let (s, m) = (plan.input.bits(), plan.output.bits());
    let (s_wide, m_wide) = (byte_bits(s), byte_bits(m));
    write!(
        text,
        "
// The whole filter.
module {name} #(
  parameter [0:0] CHECK_TLAST = 1'b1
) (
  input  wire clk,
  input  wire rst,
  input  wire {}s_axis_tdata,
  input  wire s_axis_tvalid,
  output wire s_axis_tready,
  input  wire s_axis_tuser,
  input  wire s_axis_tlast,
  output wire {}m_axis_tdata,
  output wire m_axis_tvalid,
  input  wire m_axis_tready,
  output wire m_axis_tuser,
  output wire m_axis_tlast
);

  wire given_valid, given_ready, given_first, given_last;
  wire {}given_pixel;
  {name}_handover #(.WIDTH({})) entry (
    .clk(clk), .rst(rst),
    .in_valid(s_axis_tvalid), .in_ready(s_axis_tready),
    .in_data({{s_axis_tlast, s_axis_tuser, {}}}),
    .out_valid(given_valid), .out_ready(given_ready),
    .out_data({{given_last, given_first, given_pixel}})
  );

  wire link0_valid, link0_ready, link0_first;
  wire {}link0_pixel;
  {name}_guard #(.CHECK_TLAST(CHECK_TLAST)) guard (
    .clk(clk), .rst(rst),
    .in_valid(given_valid), .in_ready(given_ready), .in_first(given_first),
    .in_last(given_last), .in_pixel(given_pixel),
    .out_valid(link0_valid), .out_ready(link0_ready), .out_first(link0_first),
    .out_pixel(link0_pixel)
  );
",
        range(s_wide),
        range(m_wide),
        range(s),
        s + 2,
        crate::blocks::slice("s_axis_tdata", 0, s, s_wide),
        range(s)
    )?;
    instances(plan, name, used, text)?;
    let last = plan.stages.len();
    let width = plan.output_image[1];
    let columns = bits_for(width - 1);
    let data = if m == m_wide {
        format!("link{last}_pixel")
    } else {
        format!("{{{}'d0, link{last}_pixel}}", m_wide - m)
    };
    write!(
        text,
        "
  // The ends of the rows that come out.
  reg {wide}column;
  wire {wide}at = link{last}_first ? {columns}'d0 : column;
  always @(posedge clk) begin
    if (rst) column <= {columns}'d0;
    else if (m_axis_tvalid && m_axis_tready)
      column <= m_axis_tlast ? {columns}'d0 : at + {columns}'d1;
  end
  assign m_axis_tvalid = link{last}_valid;
  assign link{last}_ready = m_axis_tready;
  assign m_axis_tdata = {data};
  assign m_axis_tuser = link{last}_first;
  assign m_axis_tlast = at == {columns}'d{};
",
        width - 1,
        wide = range(columns)
    )?;
    if s < s_wide {
        let rest = crate::blocks::slice("s_axis_tdata", s, s_wide - s, s_wide);
        write!(text, "\n  wire unused_ok = &{{1'b0, {rest}}};\n")?;
    }
    writeln!(text, "\nendmodule")
}

/// All stages, and the wires between them.
fn instances(plan: &Plan, name: &str, used: &[Module], text: &mut String) -> std::fmt::Result {
    let links = Links::new(plan);
    links.fork(0, text)?;
    for (index, (stage, module)) in plan.stages.iter().zip(used).enumerate() {
        let o = index + 1;
        write!(
            text,
            "
  // {}
  wire link{o}_valid, link{o}_ready, link{o}_first;
  wire {}link{o}_pixel;
",
            stage.name,
            range(stage.output.bits())
        )?;
        match module {
            Module::Queues(queues) => links.join(index, queues, name, text)?,
            Module::Stage(module) => {
                let from = links.of(index, 0);
                write!(
                    text,
                    "  {module} stage{index} (
    .clk(clk), .rst(rst),
    .in_valid({}), .in_ready({}), .in_first(link{image}_first),
    .in_pixel(link{image}_pixel),
    .out_valid(link{o}_valid), .out_ready(link{o}_ready), .out_first(link{o}_first),
    .out_pixel(link{o}_pixel)
  );
",
                    from.valid,
                    from.ready,
                    image = from.image,
                )?;
            }
        }
        links.fork(o, text)?;
    }
    Ok(())
}
