//! `--to stream`: a spatial network as a video filter with AXI4-Stream ports.

use std::path::PathBuf;

use lutweave::lut::Operation;
use lutweave::nn::{Filter, Head};
use lutweave::prelude::*;
use lutweave::rtl::{Stream, StreamInfo, names, stream};

use super::ExportArguments;
use crate::error::{Error, Result};
use crate::eval::SampleArguments;
use crate::report::{count, grouped};
use crate::spatial::{Spatial, open_network, png};

/// Images of the test bench.
const FRAMES: usize = 3;

/// Writes the filter, its bench, its images and their answers, and says what it takes.
pub(super) fn run(arguments: &ExportArguments) -> Result<()> {
    let Some(image) = arguments.image else {
        let what = "--to stream needs the size of the images: --image HxW, such as --image 120x160";
        return Err(Error::Options(what.to_owned()));
    };
    if arguments.pipeline > 0 {
        let what = "--pipeline is not for --to stream, which has registers after every group";
        return Err(Error::Options(what.to_owned()));
    }
    let network = open_network(&arguments.input)?;
    let name = arguments.name.clone().unwrap_or_else(|| {
        let stem = arguments.input.file_stem().unwrap_or_default().to_string_lossy();
        names::Names::new().claim(&stem.chars().take(100).collect::<String>())
    });
    let spatial = Spatial::new(&network, "filter", image)?;
    let mut export = Stream::new(&name).image(image);
    let mut tiles = None;
    if let Some(data) = &arguments.data {
        let (data, data_dir) = (Some(data.clone()), arguments.data_dir.clone());
        let (_, test) = SampleArguments { data, data_dir }.open(&arguments.input)?;
        let frames = spatial.tiles(&network, &test, FRAMES)?;
        export = export.frames(&frames);
        tiles = Some(frames);
    }
    let stages = spatial.stages();
    stream::validate(stages, &export)?;
    let info = export.info(stages)?;
    // Everything is made before anything is written.
    let mut pictures = Vec::new();
    if let Some(frames) = tiles {
        let first = &frames[..spatial.channels() * image[0] * image[1]];
        let output = stages.stages().last().map_or(stages.input(), |stage| stage.output);
        let answer = stages.evaluate(image, first)?;
        pictures.push(("inputs", png(first, stages.input(), image)?));
        pictures.push(("expected", png(&answer, output, info.output)?));
    }
    let folder = arguments.out.clone().unwrap_or_else(|| PathBuf::from(&name));
    let files = export.write(stages, &folder)?;
    let mut written = vec![files.module, files.bench, files.inputs, files.expected];
    for (what, bytes) in pictures {
        let path = folder.join(format!("{name}_{what}.png"));
        store::write_atomic(&path, &bytes)?;
        written.push(path);
    }
    for path in written {
        let size = std::fs::metadata(&path).map_err(Error::io("read", &path))?.len();
        say!("{}  {}", path.display(), count(size as usize, "byte"));
    }
    say_info(&spatial, &info);
    Ok(())
}

/// What the filter takes and costs, stage by stage.
fn say_info(spatial: &Spatial, info: &StreamInfo) {
    let size = |[height, width]: [usize; 2]| format!("{height}x{width}");
    say!("{:<20} {:>10} {:>10} {:>8} {:>12}", "stage", "image", "gives", "LUTs", "line bits");
    for (stage, cost) in spatial.stages().stages().iter().zip(&info.stages) {
        let (image, output) = (size(cost.image), size(cost.output));
        let luts = match &stage.operation {
            Operation::Slide { netlist, .. } | Operation::Modulate { netlist, .. } => {
                netlist.summary().total()
            }
            _ => 0,
        };
        let (luts, bits) = (grouped(luts), grouped(cost.line_buffer_bits));
        say!("{:<20} {image:>10} {output:>10} {luts:>8} {bits:>12}", cost.name);
    }
    say!(
        "images of {} give {}: latency {} to the first pixel, {} to the last, {} from image to image",
        size(spatial.image),
        size(info.output),
        count(info.latency, "clock cycle"),
        grouped(info.frame_latency),
        grouped(info.clocks_per_frame)
    );
    let Filter { heads, channels, .. } = &spatial.filter;
    if heads.len() > 1 {
        let mut first = 0;
        let one = |(head, &channels): (&Head, &usize)| {
            first += channels;
            format!("{} in channels {} to {}", head.port, first - channels, first - 1)
        };
        let all: Vec<String> = heads.iter().zip(channels).map(one).collect();
        say!("heads: {}", all.join(", "));
    }
    say!(
        "{} in line buffers, {} in window registers",
        count(info.line_buffer_bits, "bit"),
        grouped(info.window_bits)
    );
}
