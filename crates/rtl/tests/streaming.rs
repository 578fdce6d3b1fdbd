//! Streams: the text of a small one, what they cost, and what is refused.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_lut::{
    Border, Netlist, NetlistBuilder, Padding, Pixel, Role, Stages, TruthTable, Window,
};
use lutweave_rtl::stream::{emit, validate};
use lutweave_rtl::{Error, Stream};

/// The OR of all bits.
fn or(words: usize) -> Netlist {
    let mut build = NetlistBuilder::new("or").unwrap();
    let x = build.input("x", words, 1).unwrap();
    build.group("or", Role::Core).unwrap();
    let y = match TruthTable::from_fn(words, |k| k > 0) {
        Ok(table) => build.lut("y", &x, table).unwrap(),
        Err(_) => x[0], // too many for a table: what is computed does not matter here
    };
    build.output("y", 1, &[y]).unwrap();
    build.finish().unwrap()
}

fn chain(window: Window) -> Stages {
    let mut stages = Stages::new("chain", Pixel { channels: 1, width: 1 }).unwrap();
    stages.slide("only", window, 1, or(window.filter[0] * window.filter[1])).unwrap();
    stages
}

fn same(filter: usize, border: Border) -> Window {
    Window::new([filter, filter]).padding(Padding::Same).border(border)
}

#[test]
fn text_of_a_small_stream() {
    let mut stages = chain(same(2, Border::Replicate).stride([1, 2]));
    stages.enlarge("up", [2, 1]).unwrap();
    let stream = Stream::new("filter").image([3, 4]);
    let text = stream.module_text(&stages).unwrap();
    insta::assert_snapshot!("stream", text);
    let mut emitted = String::new();
    emit(&stages, &stream, &mut emitted).unwrap();
    assert_eq!(emitted, text);
}

#[test]
fn what_a_stream_costs() {
    struct Case(Window, [usize; 2], [usize; 2], usize, usize);
    // Window, image, scan, bits of line buffers, least clock cycles from image to image.
    let cases = [
        Case(Window::new([3, 3]), [28, 28], [28, 28], 2 * 28, 784),
        Case(same(3, Border::Constant), [28, 28], [30, 30], 2 * 30, 900),
        Case(same(3, Border::Reflect101).dilation([2, 1]), [28, 40], [32, 42], 4 * 42, 1344),
        Case(Window::new([2, 2]).stride([2, 2]), [27, 28], [27, 28], 28, 756),
        Case(Window::new([28, 28]), [28, 28], [28, 28], 27 * 28, 784),
        Case(Window::new([1, 1]), [1080, 1920], [1080, 1920], 0, 1080 * 1920),
    ];
    for Case(window, image, scan, line_bits, clocks) in cases {
        let info = Stream::new("s").image(image).info(&chain(window)).unwrap();
        assert_eq!((info.stages[0].scan, info.line_buffer_bits), (scan, line_bits), "{window:?}");
        assert_eq!(info.clocks_per_frame, clocks, "{window:?}");
        assert!(info.frame_latency >= info.latency && info.latency >= 3);
    }
}

#[test]
fn equal_modules_are_printed_once() {
    let mut stages = chain(same(3, Border::Constant));
    for name in ["second", "third"] {
        stages.slide(name, same(3, Border::Constant), 1, or(9)).unwrap();
    }
    let text = Stream::new("three").image([9, 9]).module_text(&stages).unwrap();
    assert_eq!(text.matches("\nmodule three_net").count(), 1);
    assert_eq!(text.matches("\nmodule three_stage").count(), 1);
    assert_eq!(text.matches("\n  three_stage0 stage").count(), 3);
}

#[test]
fn refusals_name_the_stage_and_a_remedy() {
    struct Case(Stages, [usize; 2], &'static str);
    let error = |stages: &Stages, image: [usize; 2]| {
        validate(stages, &Stream::new("s").image(image)).unwrap_err().to_string()
    };
    let wrap = error(&chain(same(3, Border::Wrap)), [5, 6]);
    assert!(
        wrap.starts_with(
            "stream of stage `only`: border Wrap: the window at position 0 of the rows needs row 4"
        ),
        "{wrap}"
    );
    let around = Padding::Explicit { top: 0, left: 0, bottom: 0, right: 4 };
    let far = chain(Window::new([1, 3]).padding(around).border(Border::Reflect));
    let far = error(&far, [5, 6]);
    assert!(far.contains("of the columns needs column") && far.contains("less padding"), "{far}");

    let enlarged = |factor| {
        let mut stages = chain(Window::new([1, 1]));
        stages.enlarge("up", [factor, 1]).unwrap();
        stages
    };
    let wide = {
        let mut stages = Stages::new("wide", Pixel { channels: 3000, width: 32 }).unwrap();
        stages.enlarge("up", [1, 1]).unwrap();
        stages
    };
    let thick = {
        let mut stages = Stages::new("thick", Pixel { channels: 64, width: 1 }).unwrap();
        let window = same(2, Border::Replicate).dilation([900, 1]);
        stages.slide("only", window, 0, or(256)).unwrap();
        stages
    };
    let cases = [
        Case(chain(Window::new([3, 3])), [2, 5], "stage `only`: window: height: a window of 3"),
        Case(chain(Window::new([1, 1])), [0, 5], "expected an image of 1 to"),
        Case(chain(Window::new([1, 1])), [1, 70_000], "use a smaller image"),
        Case(enlarged(1), [60_000, 4_000], "for 2 stages: use a smaller image"),
        Case(enlarged(70_000), [1, 1], "stage `up`: it scans 70000 x 1"),
        Case(chain(same(300, Border::Constant)), [400, 400], "too many registers"),
        Case(chain(same(300, Border::Reflect)), [400, 400], "299 rows of windows of 300"),
        Case(thick, [9, 5000], "line buffers"),
        Case(wide, [2, 2], "stage `wide`: pixels of 3000 words of 32 bits are too wide"),
        Case(Stages::new("none", Pixel { channels: 1, width: 1 }).unwrap(), [2, 2], "one stage"),
    ];
    for Case(stages, image, expected) in cases {
        let message = error(&stages, image);
        assert!(message.contains(expected), "{message}");
    }
    let huge = Padding::Explicit { top: 1 << 27, left: 0, bottom: 0, right: 0 };
    let huge = chain(Window::new([2, 1]).padding(huge).border(Border::Replicate));
    assert!(error(&huge, [2, 1]).contains("less padding"), "{}", error(&huge, [2, 1]));
    for name in ["", "module", "a b", &"x".repeat(120)] {
        let result = validate(&chain(Window::new([1, 1])), &Stream::new(name));
        assert!(matches!(result, Err(Error::ModuleName { .. })), "{name}");
    }
}

#[test]
fn nothing_is_written_when_the_frames_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let stages = chain(Window::new([2, 2]));
    for frames in [&[][..], &[0; 9], &[2; 16]] {
        let stream = Stream::new("s").image([4, 4]).frames(frames);
        assert!(stream.write(&stages, dir.path().join("out")).is_err());
    }
    let large = Stream::new("s").image([12_000, 12_000]).write(&stages, dir.path().join("out"));
    assert!(large.unwrap_err().to_string().contains("too large for a test bench"));
    assert!(!dir.path().join("out").exists());
}

#[test]
fn branches_that_cannot_be_streamed_name_their_stage() {
    let error = |stages: &Stages| {
        let options = Stream::new("top").image([4, 4]);
        validate(stages, &options).unwrap_err().to_string()
    };
    let mut stages = Stages::new("net", Pixel { channels: 2, width: 1 }).unwrap();
    stages.enlarge("big", [2, 2]).unwrap();
    stages.enlarge("bigger", [2, 2]).unwrap();
    stages.read(1).unwrap();
    stages.enlarge("other", [2, 2]).unwrap();
    assert!(error(&stages).contains("bigger") && error(&stages).contains("no stage reads"));
    stages.join("both", &[2, 3]).unwrap();
    let stream = Stream::new("top").image([4, 4]);
    let info = stream.info(&stages).unwrap();
    // Two queues of pixels and a flag each, with room for what one pixel of the image becomes.
    assert_eq!((info.output, info.stages[3].line_buffer_bits), ([16, 16], 2 * 64 * 3));
    stages.join("sizes", &[1, 4]).unwrap();
    assert!(error(&stages).contains("joins images of one size"));
}
