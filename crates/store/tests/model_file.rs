//! Model files and checkpoints: what comes back, and what is refused.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, unreachable_pub)] // shared with the fuzz targets
#[path = "fuzz/bodies.rs"]
mod bodies;

use std::fs;

use bodies::{net, training, with_header};
use lutweave_nn::{Add, Dense, Graph, LutLayer, Sequential, Signal, StateTensor};
use lutweave_store::{
    checkpoint_from_bytes, checkpoint_to_bytes, export_safetensors, from_bytes, from_safetensors,
    import_safetensors, load, load_checkpoint, save, save_checkpoint, to_bytes, to_safetensors,
};
use lutweave_tensor::{DType, FrameBuffer};

#[test]
fn what_is_saved_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lutweave");
    save(&path, &net()).unwrap();
    let again = load(&path).unwrap();
    assert_eq!(again.state(), net().state());
    assert_eq!(again.spec().config(), net().spec().config());
    assert_eq!((again.seed(), again.input()), (5, net().input()));
    assert_eq!(to_bytes(&again).unwrap(), to_bytes(&net()).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_checkpoint_comes_back_and_is_a_model_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lutweave");
    let (net, checkpoint) = training();
    assert!(checkpoint.best.is_some() && checkpoint.position.step == 1);
    save_checkpoint(&path, &net, &checkpoint).unwrap();
    let (again, found) = load_checkpoint(&path).unwrap();
    assert_eq!((again.state(), &found), (net.state(), &checkpoint));
    assert_eq!(load(&path).unwrap().state(), net.state());
    let bytes = checkpoint_to_bytes(&again, &found).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes, "the same bytes again");
    // Every array begins on a line of 64 bytes.
    let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    assert_eq!((bytes.len() % 64, (24 + header).next_multiple_of(64) % 64), (0, 0));

    save(&path, &net).unwrap();
    let error = load_checkpoint(&path).unwrap_err().to_string();
    assert!(error.contains("a model without the state of a training"), "{error}");
}

#[test]
fn networks_of_several_inputs_come_back() {
    let net = Graph::new()
        .input("a", Signal::reals(&[3]))
        .input("b", Signal::reals(&[4]))
        .node("c", Dense::new(&[4]), &["a"])
        .node("sum", Add::new(), &["b", "c"])
        .output("sum")
        .build(7)
        .unwrap();
    let again = from_bytes(&to_bytes(&net).unwrap()).unwrap();
    assert_eq!((again.inputs(), again.state()), (net.inputs(), net.state()));
}

/// Files of earlier versions can be read for ever. Each was written by the version it is of.
#[test]
fn files_of_every_version_can_be_read() {
    let files = [
        include_bytes!("golden/model-v1.lutweave").as_slice(),
        include_bytes!("golden/model-v2.lutweave").as_slice(),
        include_bytes!("golden/model-v3.lutweave").as_slice(),
    ];
    for file in files {
        let again = from_bytes(file).unwrap();
        assert_eq!(again.state(), net().state());
        assert_eq!((again.spec().config(), again.seed()), (net().spec().config(), 5));
    }
    assert_eq!(to_bytes(&net()).unwrap(), files[2], "this version's file is what it was");
    let files = [
        include_bytes!("golden/checkpoint-v2.lutweave").as_slice(),
        include_bytes!("golden/checkpoint-v3.lutweave").as_slice(),
    ];
    for (file, has_flips) in files.into_iter().zip([false, true]) {
        let (net, checkpoint) = checkpoint_from_bytes(file).unwrap();
        assert_eq!((net.luts(), checkpoint.note.as_str()), (6, "a note"));
        assert_eq!((checkpoint.position.epoch, checkpoint.history.len()), (1, 1));
        assert_eq!(checkpoint.history[0].flips.is_some(), has_flips);
        assert_eq!(checkpoint.bits.is_empty(), !has_flips);
    }
}

/// Makes the golden files of this version; run by hand when there is a new one.
#[test]
#[ignore = "overwrites the golden files in the source tree: run by hand when the format has a new version"]
fn write_golden_files() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let (trained, checkpoint) = training();
    fs::write(format!("{folder}/model-v3.lutweave"), to_bytes(&net()).unwrap()).unwrap();
    let bytes = checkpoint_to_bytes(&trained, &checkpoint).unwrap();
    fs::write(format!("{folder}/checkpoint-v3.lutweave"), bytes).unwrap();
}

#[test]
fn the_failed_check_is_named() {
    let bytes = to_bytes(&net()).unwrap();
    let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let array = (24 + header).next_multiple_of(64);
    let edit = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] ^= value;
        bytes
    };
    let cases = [
        (Vec::new(), "file length"),
        (bytes[..23].to_vec(), "file length"),
        (bytes[..40].to_vec(), "file length"),
        (bytes[..bytes.len() - 1].to_vec(), "file length"),
        ([&bytes[..], &[0; 64]].concat(), "file length"),
        (edit(0, 1), "magic"),
        (edit(8, 0x10), "format version"),
        (edit(15, 0xff), "header length"),
        (edit(30, 1), "header checksum"),
        (edit(21, 1), "header"),
        (edit(array, 1), "array checksum"),
        (edit(24 + header, 1), "padding"),
    ];
    for (bytes, check) in cases {
        let error = from_bytes(&bytes).unwrap_err().to_string();
        assert!(error.starts_with(&format!("not a usable file: {check}: ")), "{check}: {error}");
    }
}

#[test]
fn settings_out_of_proportion_are_refused_before_anything_is_built() {
    let dense = Sequential::new(&[9]).reading(DType::F32).then(Dense::new(&[9])).build(1).unwrap();
    let cases = [
        (net(), "\"nodes\":6", "\"nodes\":9999999", "speak of 9999999 nodes"),
        (net(), "\"classes\":2", "\"classes\":9999999", "a size of 9999999"),
        (dense, "\"shape\":[9]", "\"shape\":[9999,999]", "a size of 9989001"),
    ];
    for (net, old, new, says) in cases {
        let bytes = to_bytes(&net).unwrap();
        let header = bodies::header_of(&bytes);
        let at = header.windows(old.len()).position(|part| part == old.as_bytes()).unwrap();
        let mut changed = [&header[..at], new.as_bytes(), &header[at + old.len()..]].concat();
        // The settings are a text of which the length comes first, here in one byte or two.
        let text = header.iter().position(|&byte| byte == b'{').unwrap();
        let grown = net.spec().config().to_string().len() + new.len() - old.len();
        let varint = if grown < 128 {
            vec![grown as u8]
        } else {
            vec![grown as u8 | 0x80, (grown >> 7) as u8]
        };
        let was = if net.spec().config().to_string().len() < 128 { 1 } else { 2 };
        changed.splice(text - was..text, varint);
        let error = from_bytes(&with_header(&bytes, &changed)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_folder_that_refuses_is_an_error_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/such/net.lutweave");
    let error = save(&path, &net()).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.ends_with("net.lutweave"), "{error}");
    assert!(load(&path).is_err());
}

/// `/dev/full` has no room, ever; a folder that is in the way of a name is as good as read-only,
/// also to root.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lutweave");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "old").unwrap();
    let (net, checkpoint) = training();
    assert!(save_checkpoint(&path, &net, &checkpoint).is_err());
    assert_eq!(fs::read(path.join("inside")).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    assert!(save_checkpoint("/proc/lutweave", &net, &checkpoint).is_err());
}

#[test]
fn safetensors_go_out_and_in() {
    let net = net();
    let bytes = export_safetensors(&net).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header["__metadata__"]["kind"], "sequential");
    assert_eq!(header["1.weights"]["dtype"], "F32");
    assert_eq!(header["1.weights"]["shape"], serde_json::json!([48]));

    let mut other = bodies::net();
    other.parameters_mut()[0].values.fill(0.25);
    import_safetensors(&mut other, &bytes).unwrap();
    assert_eq!(other.state(), net.state());
    assert!(import_safetensors(&mut training().0, &bytes).is_err(), "of another network");
}

#[test]
fn safetensors_of_others_are_checked() {
    let file = |header: &str, data: &[u8]| {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    };
    // Two axes, in another order, and text besides.
    let good = r#"{"b":{"dtype":"U32","shape":[1],"data_offsets":[8,12]},
        "a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"by":"hand"}}  "#;
    let data: Vec<u8> = [1f32.to_le_bytes(), 2f32.to_le_bytes(), 3u32.to_le_bytes()].concat();
    let want = [StateTensor::f32("a", &[1.0, 2.0]), StateTensor::u32("b", &[3])];
    assert_eq!(from_safetensors(&file(good, &data)).unwrap(), want);
    assert!(to_safetensors(&[want[0].clone(), want[0].clone()], &[]).is_err());

    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let cases = [
        (one("F16", "[3]", "[0,12]"), "type"),
        (one("F32", "[2]", "[0,12]"), "offsets"),
        (one("F32", "[3]", "[4,16]"), "offsets"),
        (one("F32", "[3]", "[12,0]"), "offsets"),
        (one("F32", "[18446744073709551615,4]", "[0,12]"), "offsets"),
        (one("F32", "[2]", "[0,8]"), "file length"),
        (one("F32", "[3]", "0"), "header"),
        ("{".to_owned(), "header"),
        ("[]".to_owned(), "header"),
    ];
    for (header, check) in cases {
        let error = from_safetensors(&file(&header, &data)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("not a usable file: {check}: ")), "{check}: {error}");
    }
    assert!(from_safetensors(&[0; 7]).is_err());
    assert!(from_safetensors(&u64::MAX.to_le_bytes()).is_err());
}

/// The answer of a network that was read is that of the one that was written.
#[test]
fn answers_are_the_same() {
    let net = Sequential::new(&[8]).reading(DType::Bit).then(LutLayer::new(4)).build(1).unwrap();
    let again = from_bytes(&to_bytes(&net).unwrap()).unwrap();
    let bits: Vec<bool> = (0..800).map(|bit| bit % 3 == 0).collect();
    let x = FrameBuffer::from_frame_bits(&[8], &bits).unwrap();
    let cpu = lutweave_backend::Cpu::new();
    assert_eq!(again.evaluate(&x, &cpu).unwrap(), net.evaluate(&x, &cpu).unwrap());
}
