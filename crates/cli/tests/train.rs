//! `lutweave train` as a user runs it: killed, stopped, resumed, and refused.
#![allow(clippy::unwrap_used)] // helpers of tests count as tests

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A network that draws noise, so that random streams must go on where they stopped.
const CONFIG: &str = "\
[data]
set = \"digits\"
[data.augment]
shift = 1
[encoder]
kind = \"thermometer\"
levels = 2
[network]
layers = [
  { kind = \"lut\", nodes = 80 },
  { kind = \"lut\", nodes = 40, real_output = true },
  { kind = \"dropout\", rate = 0.1 },
  { kind = \"dense\", shape = [10] },
]
[optimizer]
kind = \"adam\"
learning_rate = 0.02
[[schedules]]
setting = \"network.rate\"
schedule = { kind = \"exponential\", last = 0.5 }
[[schedules]]
setting = \"optimizer.beta1\"
schedule = { kind = \"one_cycle\", first = 1.05, last = 1.05 }
[training]
epochs = 6
batch = 64
keep_best = true
checkpoint_seconds = 0.0
";

fn train(folder: &Path, arguments: &[&str]) -> Command {
    fs::write(folder.join("config.toml"), CONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lutweave"));
    command.args(["train", "config.toml", "--threads", "2"]).args(arguments).current_dir(folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn model(folder: &Path, out: &str) -> Vec<u8> {
    fs::read(folder.join(out).join("model.lutweave")).unwrap()
}

/// The figures of the log that do not depend on the clock.
fn figures(path: PathBuf) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["seconds"].take();
            line["images_per_s"].take();
            line
        })
        .collect()
}

/// Killed at random moments and gone on with, a training ends with the file of one that was not.
/// `LUTWEAVE_KILLS` says how often.
#[test]
fn what_was_killed_goes_on_to_the_same_file() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let start = Instant::now();
    done(&mut train(folder, &["--out", "whole"]));
    let whole = start.elapsed();
    let kills = std::env::var("LUTWEAVE_KILLS").ok().and_then(|text| text.parse().ok());
    let kills: u32 = kills.unwrap_or(5);
    for kill in 0..kills {
        // Spread over the whole training, in no order that its steps could have.
        let part = f64::from(kill * 7 % kills) / f64::from(kills) + 0.37 / f64::from(kills);
        let out = format!("killed{kill}");
        let mut child: Child = train(folder, &["--out", &out]).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(part));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        done(&mut train(folder, &["--out", &out, "--resume"]));
        assert_eq!(model(folder, &out), model(folder, "whole"), "killed after {part} of the time");
        let log = |out: &str| figures(folder.join(out).join("log.jsonl"));
        assert_eq!(log(&out), log("whole"));
    }
}

#[cfg(unix)]
#[test]
fn sigterm_leaves_a_checkpoint_and_says_how_to_go_on() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let long = ["--set", "training.epochs=100000", "--set", "training.checkpoint_seconds=1e9"];
    let child = train(folder, &[&long[..], &["--out", "out"]].concat()).spawn().unwrap();
    let log = folder.join("out/log.jsonl");
    let began = Instant::now();
    while fs::read_to_string(&log).unwrap_or_default().is_empty() {
        assert!(began.elapsed() < Duration::from_mins(1), "no epoch ends");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!folder.join("out/checkpoint.lutweave").exists(), "none was due");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("--out out --resume"), "{}", text(&output));
    assert!(folder.join("out/checkpoint.lutweave").exists());

    // Other settings are another training.
    let other = train(folder, &["--out", "out", "--resume"]).output().unwrap();
    assert!(!other.status.success());
    let says =
        "other settings: `checkpoint_seconds = 1000000000.0` there, `checkpoint_seconds = 0.0` now";
    assert!(text(&other).contains(says), "{}", text(&other));
}

#[test]
fn a_training_leaves_its_files_and_is_not_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let said = done(&mut train(folder, &["--set", "name=small", "--set", "training.epochs=2"]));
    assert!(said.contains("small: 120 LUTs") && said.contains("frozen accuracy"), "{said}");
    let out = folder.join("out/small");
    for file in ["config.toml", "checkpoint.lutweave", "log.jsonl", "report.html", "model.lutweave"]
    {
        assert!(out.join(file).is_file(), "{file}");
    }
    let log = figures(out.join("log.jsonl"));
    assert_eq!((log.len(), &log[1]["epoch"], &log[1]["luts"]), (2, &2.into(), &120.into()));
    for key in ["loss", "train_accuracy", "test_accuracy", "frozen_accuracy"] {
        assert!(log[1][key].is_number(), "{key}");
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("http-equiv=\"refresh\""));

    let options = ["--set", "name=small", "--set", "training.epochs=2"];
    let again = train(folder, &options).output().unwrap();
    assert!(text(&again).contains("holds an earlier training"), "{}", text(&again));
    // Going on with what is finished changes nothing.
    let before = fs::read(out.join("model.lutweave")).unwrap();
    done(&mut train(folder, &[&options[..], &["--resume"]].concat()));
    assert_eq!(fs::read(out.join("model.lutweave")).unwrap(), before);
}

/// A student learns from the network of another training, judged by samples that were kept aside.
#[test]
fn a_teacher_validation_groups_and_copies() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let short = ["--set", "training.epochs=2"];
    done(&mut train(folder, &[&short[..], &["--out", "teacher"]].concat()));
    let student = [
        "--set",
        "loss={ kind = 'distillation', teacher = 'teacher/model.lutweave', share = 0.9 }",
        "--set",
        "data.validation=137",
        "--set",
        "groups=[{ layers = ['dense'], frozen = true }, \
         { layers = ['2'], optimizer = { kind = 'sgd', learning_rate = 0.5 } }]",
        "--backups",
        "2",
        "--out",
        "student",
    ];
    let student = [&short[..], &student].concat();
    let said = done(&mut train(folder, &student));
    assert!(
        said.contains("1,300 samples of digits to train on, 137 to validate with, 360"),
        "{said}"
    );
    assert!(said.contains("frozen accuracy") && said.contains("on the test samples"), "{said}");
    let log = figures(folder.join("student/log.jsonl"));
    assert!(log[1]["validation_accuracy"].is_number() && log[1]["test_accuracy"].is_null());
    let flips = log[1]["flip_ratio"].as_f64().unwrap();
    assert!(flips > 0.0 && flips < 0.5, "{flips}");
    assert!(fs::read_to_string(folder.join("student/report.html")).unwrap().contains("Flip ratio"));
    let copies: Vec<_> = fs::read_dir(folder.join("student/backups")).unwrap().collect();
    assert!((1..=2).contains(&copies.len()));
    let copy = copies[0].as_ref().unwrap().path().join("checkpoint.lutweave");
    assert!(copy.is_file(), "{}", copy.display());

    // Another teacher is another training.
    fs::copy(copy, folder.join("teacher/model.lutweave")).unwrap();
    let other = train(folder, &[&student[..], &["--resume"]].concat()).output().unwrap();
    assert!(text(&other).contains("other settings: `teacher_crc32 ="), "{}", text(&other));
}

#[test]
fn mistakes_have_a_place() {
    let home = tempfile::tempdir().unwrap();
    let refused = |old: &str, new: &str| {
        let mut command = train(home.path(), &[]);
        fs::write(home.path().join("config.toml"), CONFIG.replace(old, new)).unwrap();
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        text(&output)
    };
    let cases = [
        ("epochs = 6", "epoch = 6", "config.toml, line 25, column 1: unknown field `epoch`"),
        ("nodes = 80", "node = 80", "config.toml, line 10, column 19: unknown field `node`"),
        ("nodes = 80", "node = 80", "did you mean `nodes`?"),
        ("rate = 0.1", "rate = 1.5", "line 12, column 3: 3.dropout: expected"),
        ("\"dropout\"", "\"dropuot\"", "there is no layer `dropuot`; did you mean `dropout`?"),
        ("\"digits\"", "\"digit\"", "`digit`"),
        (
            "network.rate",
            "network.rat",
            "there is no `rat` for a schedule to change; there is bias",
        ),
        (
            "shape = [10]",
            "shape = [3]",
            "line 13, column 3: expected the network to give 10 scores",
        ),
        ("[optimizer]", "[loss]\nkind = \"cross_entropy\"\nweights = 1\n[optimizer]", "line 17"),
        (
            "[optimizer]",
            "[loss]\nkind = \"softmax_cross_entropy\"\nweights = [1, 2.5]\n[optimizer]",
            "line 17, column 1: expected 10 weights, one for each class, got 2",
        ),
        (
            "[optimizer]",
            "[loss]\nkind = \"softmax_cross_entropy\"\nweights = \"balance\"\n[optimizer]",
            "did you mean `balanced`?",
        ),
        (
            "[optimizer]",
            "[loss]\nkind = \"softmax_cross_entropy\"\nweights = [1, -2]\n[optimizer]",
            "line 17, column 1: expected weights that are finite and not negative, got -2",
        ),
        (
            "[optimizer]",
            "[loss]\nkind = \"squared_hinge\"\nreduction = \"some\"\n[optimizer]",
            "did you mean `sum`?",
        ),
        ("[data]", "[data]\nvalidation = 1437", "line 2, column 1: expected 1 to 1436 samples"),
    ];
    for (old, new, says) in cases {
        let said = refused(old, new);
        assert!(said.contains(says), "`{says}` is not in\n{said}");
    }
}

/// Segmentation and auto-encoding by settings alone, from training to what `eval` says.
#[test]
fn targets_may_be_made_of_the_samples() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let settings = |targets: &str, layers: &str, more: &str| {
        format!(
            "[data]\nset = 'digits'\ntargets = {targets}\naugment.noise = 1.0\n\
             [encoder]\nkind = 'thermometer'\nlevels = 3\n\
             [network]\nlayers = [{layers}]\n{more}\
             [training]\nepochs = 6\nbatch = 64\n"
        )
    };
    let run = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lutweave"));
        command.args(["train", name, "--out", "out", "--overwrite"]).current_dir(folder);
        command.output().unwrap()
    };
    let look = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lutweave"));
        command.args(&arguments[..1]).arg("out/model.lutweave").args(&arguments[1..]);
        command.current_dir(folder).output().unwrap()
    };
    let eval = || {
        let said = look(&["eval", "--json"]);
        assert!(said.status.success(), "{}", text(&said));
        serde_json::from_slice::<serde_json::Value>(&said.stdout).unwrap()
    };
    let says = |arguments: &[&str], says: &str| {
        let said = text(&look(arguments));
        assert!(said.contains(says), "{arguments:?}: `{says}` is not in\n{said}");
    };
    let chain = "{ kind = 'lut', nodes = 128 }, { kind = 'lut', nodes = 512 }, \
                 { kind = 'binary_to_real', output = [1, 8, 8] }";
    let squares = "[loss]\nkind = 'mean_squared_error'\n\
                   [optimizer]\nkind = 'adam'\nlearning_rate = 0.02\nepsilon = 1e-6\n";
    let coded = settings("'samples'", chain, squares);
    let trained = run("coded.toml", &coded);
    assert!(trained.status.success(), "{}", text(&trained));
    let log = figures(folder.join("out/log.jsonl"));
    let error = log[5]["frozen_mean_squared_error"].as_f64().unwrap();
    assert!(error < 0.06, "{error}: answering the mean image gives 0.07");
    assert_eq!(eval()["frozen"].as_f64(), Some(error));
    assert!(fs::read_to_string(folder.join("out/report.html")).unwrap().contains("squared error"));
    says(&["inspect"], "influence");
    says(&["explain", "--sample", "3"], "expected the one to explain, --at 0 to 63, got nothing");
    says(&["explain", "--sample", "3", "--at", "27"], "sample 3, number 27: answer 0.");

    let window = "{ kind = 'convolution', filter = [1, 1], \
                  layers = [{ kind = 'lut', nodes = 12, fan_in = 3 }] }, \
                  { kind = 'binary_to_real', depth = 6 }";
    let adam = "[optimizer]\nkind = 'adam'\nlearning_rate = 0.02\n";
    let masks = settings("{ mask = 8 }", window, adam);
    let trained = run("masks.toml", &masks);
    assert!(trained.status.success(), "{}", text(&trained));
    let right = eval()["frozen"].as_f64().unwrap();
    assert!(right > 0.9, "{right} of the pixels");
    says(&["inspect"], "influence");
    says(&["explain", "--sample", "3", "--at", "27"], "sample 3, position 27: answer ");
    says(&["eval"], "mostly taken for");
    assert!(fs::read_to_string(folder.join("out/report.html")).unwrap().contains("read rightly"));

    // From 5 to 8 a third of the pixels are bright: where these weigh more, all are taken for it.
    let recall = || eval()["frozen_classes"]["classes"][1]["recall"].as_f64().unwrap();
    let before = recall();
    let weights = "[loss]\nkind = 'softmax_cross_entropy'\nweights = [1, 50.0]\n";
    let trained = run("weighted.toml", &format!("{masks}{weights}"));
    assert!(trained.status.success(), "{}", text(&trained));
    assert!(before < 0.97 && recall() > 0.99, "{before}, then {}", recall());

    let cases = [
        (coded.replace("mean_squared_error", "cross_entropy"), "line 10, column 1: the loss"),
        (coded.replace("noise = 1.0", "shift = 1"), "`shift` moves the pixels"),
        (coded.replace("'samples'", "'sample'"), "line 3, column 11: unknown variant `sample`"),
        (coded.replace("'samples'", "{ numbers = ['a'] }"), "line 3, column 1: open data set"),
        (
            masks.replace("depth = 6", "depth = 12"),
            "line 9, column 107: expected the network to give the shape [2, 8, 8]",
        ),
        (
            masks.replace("12,", "2,").replace(", { kind = 'binary_to_real', depth = 6 }", ""),
            "line 9, column 11: the loss needs real numbers, and the network gives Bit",
        ),
        (coded.replace("1e-6", "-1.0"), "line 12, column 1: training: expected epsilon"),
    ];
    for (settings, says) in cases {
        let refused = run("refused.toml", &settings);
        assert!(!refused.status.success());
        assert!(text(&refused).contains(says), "`{says}` is not in\n{}", text(&refused));
    }
}

/// Where no more can be written the checkpoint of before stays valid, and the message says what is
/// wrong. A limit on the size of files is as good as a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_checkpoint_of_before() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    done(&mut train(folder, &["--out", "whole"]));
    let mut child = train(folder, &["--out", "out"]).spawn().unwrap();
    while !folder.join("out/checkpoint.lutweave").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = fs::read(folder.join("out/checkpoint.lutweave")).unwrap();
    let lutweave = env!("CARGO_BIN_EXE_lutweave");
    let blocks = before.len() / 2048; // half of what it needs, in units of 1,024 bytes
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec {lutweave} train config.toml --out out --resume"
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(folder).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("cannot write out/checkpoint.lutweave"), "{}", text(&output));
    assert!(text(&output).contains("try: "), "{}", text(&output));
    assert_eq!(fs::read(folder.join("out/checkpoint.lutweave")).unwrap(), before);
    done(&mut train(folder, &["--out", "out", "--resume"]));
    assert_eq!(model(folder, "out"), model(folder, "whole"));

    let nowhere = train(folder, &["--out", "/proc/lutweave"]).output().unwrap();
    assert!(text(&nowhere).contains("make output folder `/proc/lutweave`"), "{}", text(&nowhere));
}

#[test]
fn gradients_come_before_a_descent() {
    let folder = tempfile::tempdir().unwrap();
    let config = "\
name = \"both\"
[data]
set = \"digits\"
[encoder]
kind = \"thermometer\"
levels = 2
[network]
layers = [
  { kind = \"lut\", nodes = 120 },
  { kind = \"lut\", nodes = 40 },
  { kind = \"group_sum\", classes = 10 },
]
[training]
epochs = 3
batch = 64
[descent]
sweeps = 2
switches = 0
";
    let run = |arguments: &[&str]| {
        let mut command = train(folder.path(), arguments);
        fs::write(folder.path().join("config.toml"), config).unwrap();
        done(&mut command)
    };
    run(&[]);
    let log = |out: &str| figures(folder.path().join(out).join("log.jsonl"));
    let (first, then) = (log("out/both/training"), log("out/both"));
    assert_eq!((first.len(), then.len()), (3, 2));
    let right = |epoch: &serde_json::Value| epoch["frozen_accuracy"].as_f64().unwrap();
    // The descent goes on from what the gradients have come to.
    assert!(right(&then[1]) > right(&first[2]), "{first:?}, {then:?}");
    assert!(right(&then[0]) > 0.5, "{then:?}");
    // A descent that cannot be is refused before the gradients.
    let mut refused = train(folder.path(), &["--out", "out/no"]);
    let dense = config
        .replace("{ kind = \"group_sum\", classes = 10 }", "{ kind = \"dense\", shape = [10] }");
    fs::write(folder.path().join("config.toml"), dense).unwrap();
    let said = text(&refused.output().unwrap());
    assert!(
        said.contains("ends in lut layers and group_sum") && !folder.path().join("out/no").exists(),
        "{said}"
    );
    // Without the descent's own checkpoint, what the gradients have come to is taken as it is.
    let all = model(folder.path(), "out/both");
    fs::remove_file(folder.path().join("out/both/checkpoint.lutweave")).unwrap();
    fs::remove_file(folder.path().join("out/both/log.jsonl")).unwrap();
    run(&["--resume"]);
    assert_eq!(model(folder.path(), "out/both"), all);
    assert_eq!((log("out/both/training"), log("out/both").len()), (first, 2));
}
