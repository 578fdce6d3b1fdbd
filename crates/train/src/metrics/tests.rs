use lutweave_lut::{NetlistBuilder, Role, TruthTable};
use lutweave_tensor::UNLABELLED;

use super::*;

const SCORES: [f32; 12] = [0.1, 0.7, 0.2, 0.5, 0.5, 0.0, 0.3, 0.1, 0.2, 0.0, 0.0, 1.0];

fn scores() -> FrameBuffer {
    FrameBuffer::from_frames(&[3], &SCORES).unwrap()
}

/// Four frames: right, second of a tie, not labelled, wrong.
fn labels() -> Target {
    Target::Classes(vec![1, 1, UNLABELLED, 0])
}

#[test]
fn values_run_over_batches() {
    struct Case {
        metric: Box<dyn Metric>,
        name: &'static str,
        value: f64,
    }
    let case = |metric: Box<dyn Metric>, name, value| Case { metric, name, value };
    let squares = 0.01 + 0.09 + 0.04 + 0.25 + 0.25 + 1.0 + 1.0;
    let cases = [
        case(Box::new(CategoricalAccuracy::new()), "accuracy", 1.0 / 3.0),
        case(Box::new(TopK::new(1).unwrap()), "top-1 accuracy", 1.0 / 3.0),
        case(Box::new(TopK::new(2).unwrap()), "top-2 accuracy", 1.0),
        case(Box::new(Confusion::new(3).unwrap()), "accuracy", 1.0 / 3.0),
        case(Box::new(BinaryAccuracy::new()), "binary accuracy", 6.0 / 9.0),
        case(Box::new(MeanSquaredError::new()), "mean squared error", squares / 9.0),
    ];
    for Case { mut metric, name, value } in cases {
        assert_eq!((metric.name(), metric.value().to_bits()), (name, 0));
        for _ in 0..2 {
            metric.add(&scores(), &labels()).unwrap();
            assert!((metric.value() - value).abs() < 1e-6, "{metric:?}: {}", metric.value());
        }
        metric.clear();
        assert_eq!(metric.value().to_bits(), 0);
        assert_eq!(metric.more_is_better(), name != "mean squared error");
        // What does not fit is refused, and not counted.
        let real =
            |shape: &[usize]| Target::Real(FrameBuffer::from_frames(shape, &[1f32; 8]).unwrap());
        for wrong in [Target::Classes(vec![0]), Target::Classes(vec![3; 4]), real(&[2])] {
            assert!(metric.add(&scores(), &wrong).is_err(), "{metric:?}");
        }
        let bytes = FrameBuffer::from_frames(&[3], &[0u8; 12]).unwrap();
        assert!(metric.add(&bytes, &labels()).is_err());
        assert_eq!(metric.value().to_bits(), 0);
    }
    assert!(TopK::new(0).is_err());
}

#[test]
fn one_hot_numbers_and_positions_count_like_classes() {
    // The same four frames as one frame of four positions: axis 0 is the classes.
    let turned: Vec<f32> = (0..12).map(|i| SCORES[i % 4 * 3 + i / 4]).collect();
    let map = FrameBuffer::from_frames(&[3, 2, 2], &turned).unwrap();
    let labels_map = FrameBuffer::from_frames(&[2, 2], &[1, 1, UNLABELLED, 0]).unwrap();
    let mut one_hot = [0f32; 12];
    (one_hot[1], one_hot[4], one_hot[9]) = (1.0, 1.0, 1.0);
    let one_hot = Target::Real(FrameBuffer::from_frames(&[3], &one_hot).unwrap());
    let metrics: [fn() -> Box<dyn Metric>; 3] = [
        || Box::new(CategoricalAccuracy::new()),
        || Box::new(TopK::new(2).unwrap()),
        || Box::new(Confusion::new(3).unwrap()),
    ];
    for make in metrics {
        let value = |y: &FrameBuffer, target: &Target| {
            let mut metric = make();
            metric.add(y, target).unwrap();
            metric.value().to_bits()
        };
        let want = value(&scores(), &labels());
        assert_eq!(value(&map, &Target::Pixels(labels_map.clone())), want);
        assert_eq!(value(&scores(), &one_hot), want);
    }
    let bits = FrameBuffer::from_frame_bits(&[2], &[true, false, true, true]).unwrap();
    let mut accuracy = BinaryAccuracy::new();
    accuracy.add(&bits, &Target::Classes(vec![0, 0])).unwrap();
    assert!((accuracy.value() - 0.75).abs() < 1e-12);
}

#[test]
fn confusion_gives_precision_and_recall() {
    let mut confusion = Confusion::new(3).unwrap();
    confusion.add(&scores(), &labels()).unwrap();
    assert_eq!(confusion.counts(), [0, 0, 1, 1, 1, 0, 0, 0, 0]);
    assert_eq!(
        (confusion.count(1, 0), confusion.count(0, 3), confusion.count(usize::MAX, 0)),
        (1, 0, 0)
    );
    let all = |of: fn(&Confusion, usize) -> f64| {
        [0, 1, 2].map(|class| (of(&confusion, class) * 2.0) as u32)
    };
    assert_eq!(all(Confusion::precision), [0, 2, 0]);
    assert_eq!(all(Confusion::recall), [0, 1, 0]);
    assert!((confusion.f1(1) - 2.0 / 3.0).abs() < 1e-12 && confusion.f1(0) == 0.0);
    assert!(Confusion::new(0).is_err() && Confusion::new(1 << 40).is_err());
    assert!(Confusion::new(4).unwrap().add(&scores(), &labels()).is_err());
}

#[test]
fn flips_are_counted_by_name() {
    let table = |name: &str, bits: &[bool]| (name.to_owned(), bits.to_vec());
    let before = Snapshot::from_tables([table("a", &[false; 4]), table("gone", &[true; 2])]);
    let now = [table("a", &[true, false, false, false]), table("new", &[true; 2])];
    let flips = Snapshot::from_tables(now).since(&before).unwrap();
    assert_eq!(flips, Flips { tables: 1, tables_changed: 1, entries: 4, flipped: 1 });
    assert!((flips.ratio() - 0.25).abs() < 1e-12);
    assert!((Flips::default().ratio()).abs() < 1e-12);
    assert!(Snapshot::from_tables([table("a", &[true; 8])]).since(&before).is_err());
    let netlist = |table: u64| {
        let mut build = NetlistBuilder::new("n").unwrap();
        let x = build.input("x", 2, 1).unwrap();
        build.group("luts", Role::Core).unwrap();
        let y = build.lut("y", &x, TruthTable::new(2, [table, 0, 0, 0]).unwrap()).unwrap();
        build.output("z", 1, &[y]).unwrap();
        Snapshot::of(&build.finish().unwrap())
    };
    let flips = netlist(0b1000).since(&netlist(0b1011)).unwrap();
    assert_eq!((flips.tables, flips.entries, flips.flipped), (1, 4, 2));
}
