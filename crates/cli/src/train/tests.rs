//! Trainings on several devices, which stand for GPUs.

use std::fs;
use std::path::Path;

use clap::Parser;
use lutweave::train::Epoch;

use super::*;
use crate::device::several::tests::Emulated;

/// A small network, and few samples to train on.
const CONFIG: &str = "\
[data]
set = \"digits\"
validation = 1380
[encoder]
kind = \"thermometer\"
levels = 1
[network]
layers = [
  { kind = \"lut\", nodes = 20, fan_in = 3 },
  { kind = \"group_sum\", classes = 10 },
]
[optimizer]
kind = \"sgd\"
learning_rate = 0.02
[training]
steps = 3
batch = 20
soft_samples = 10
";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: TrainOptions,
}

/// Trains into a folder on these devices, of so many.
fn run(out: &Path, there: usize, options: &[&str], set: &[&str]) -> Result<Option<Trained>> {
    let options = Line::parse_from([&["test"], options].concat()).options;
    let set: Vec<String> = set.iter().map(|&change| change.to_owned()).collect();
    let source = Source::of("test.toml".to_owned(), CONFIG.to_owned(), &set)?;
    let (interrupt, gpus) = (Interrupt::default(), Emulated(there));
    let job = Job { interrupt: &interrupt, name: "test", arguments: &options, gpus: &gpus };
    job.run(&source, &source.parse()?, out)
}

/// The tables and the losses of a training.
fn what_came(out: &Path) -> (Vec<u32>, Vec<f32>) {
    let (mut net, done) = store::load_checkpoint(out.join(CHECKPOINT)).unwrap();
    let values = net.parameters_mut().iter().flat_map(|p| p.values.to_vec()).collect::<Vec<_>>();
    let losses = done.history.iter().map(|epoch: &Epoch| epoch.loss).collect();
    (values.into_iter().map(f32::to_bits).collect(), losses)
}

#[test]
fn several_devices_train_as_one_with_the_parts_of_a_batch_and_say_so() {
    let home = tempfile::tempdir().unwrap();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    run(&one, 1, &["--device", "cuda:0"], &["training.chunk=10"]).unwrap();
    let trained = run(&two, 2, &["--device", "cuda:all", "--exchange", "host"], &[]).unwrap();
    assert_eq!(trained.unwrap().device, "cuda:0,cuda:1");
    assert!(what_came(&one) == what_came(&two));
    let log = fs::read_to_string(two.join("log.jsonl")).unwrap();
    assert!(log.contains("\"device\":\"cuda:0,cuda:1\""), "{log}");
    let page = fs::read_to_string(two.join(REPORT)).unwrap();
    assert!(page.contains("Trained on cuda:0, cuda:1 side by side"), "{page}");
}

#[test]
fn a_training_goes_on_with_the_parts_that_its_batches_had() {
    let home = tempfile::tempdir().unwrap();
    let (whole, parts) = (home.path().join("whole"), home.path().join("parts"));
    let three = ["--device", "cuda:0,cuda:1,cuda:2", "--exchange", "host"];
    // Epochs of one step, the first of which leaves a copy of the checkpoint.
    let set = ["data.validation=1417"];
    run(&whole, 3, &[&three[..], &["--backups", "0"]].concat(), &set).unwrap();
    let mut copies: Vec<_> =
        fs::read_dir(whole.join("backups")).unwrap().map(|copy| copy.unwrap().path()).collect();
    copies.sort();
    fs::create_dir(&parts).unwrap();
    let back = || fs::copy(copies[0].join(CHECKPOINT), parts.join(CHECKPOINT)).unwrap();
    back();
    let resume = |devices: &[&str]| {
        run(&parts, 9, &[devices, &["--resume"][..]].concat(), &set).map(|done| done.is_some())
    };
    let said = resume(&["--device", "cuda:0,cuda:1,cuda:2,cuda:3"]).unwrap_err().text();
    for says in ["3 parts for as many devices, and there are 4 now", "at most 3 with --device"] {
        assert!(said.contains(says), "{says}: {said}");
    }
    for devices in [&["--device", "cuda:1,cuda:0"][..], &["--device", "cuda:0"], &three] {
        back();
        assert!(store::load_checkpoint(parts.join(CHECKPOINT)).unwrap().1.position.epoch < 3);
        assert!(resume(devices).unwrap());
        assert!(what_came(&whole) == what_came(&parts), "{devices:?}");
        let (_, done) = store::load_checkpoint(parts.join(CHECKPOINT)).unwrap();
        assert!(done.note.lines().any(|line| line == "devices = 3"), "{}", done.note);
    }
    let said = run(&home.path().join("d"), 2, &["--device", "cuda:all"], &["descent.sweeps=1"]);
    assert!(said.unwrap_err().text().contains("[descent] works on one device"));
}
