//! Exchanges by NCCL: what it is called with, by a library that notes it, and what is said where it is
//! missing.
#![cfg(unix)]
#![allow(unsafe_code, clippy::unwrap_used, clippy::panic)]

#[path = "common/compiled.rs"]
mod compiled;

use std::ffi::{CStr, c_char};
use std::path::Path;

use compiled::compile;
use lutweave_backend::{Cuda, Error, GradientKernels, HostReduce, Nccl, Reduce, Schedule};
use lutweave_tensor::Array;

fn emulated(count: u16) -> Vec<Cuda> {
    (0..count).map(|seed| Cuda::emulated_lists(Schedule::Shuffled(seed), 1).unwrap()).collect()
}

fn array(values: &[f32]) -> Array {
    Array::from(values)
}

#[test]
fn every_device_is_called_in_order_and_nothing_crosses() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/fake_nccl.c");
    let path = compile(&source, folder.path());
    // SAFETY: a library of a few functions without initialisers.
    let library = unsafe { libloading::Library::new(&path) }.unwrap();
    // SAFETY: it is of this type.
    let notes =
        unsafe { library.get::<unsafe extern "C" fn() -> *const c_char>(b"fake_notes") }.unwrap();
    // SAFETY: a text that lives as long as the library.
    let notes = || unsafe { CStr::from_ptr(notes()) }.to_str().unwrap().to_owned();

    let cuda = emulated(3);
    let devices: Vec<&Cuda> = cuda.iter().collect();
    // SAFETY: it does what NCCL does, in the memory of emulated devices.
    let nccl = unsafe { Nccl::with_library(&path, &devices) }.unwrap();
    assert_eq!((nccl.name(), notes().as_str()), ("nccl", "init 3: 0 0 0\n"));

    // Numbers that lie on their devices, behind work that still waits there.
    let on = |device: &Cuda, values: &[f32]| {
        let mut x = array(values);
        device.clip_value(vec![&mut x], 50.0).unwrap();
        assert!(x.remote().is_some());
        x
    };
    let of = [[1.0, -2.0, 90.0, 0.5, 3.0], [2.0; 5], [0.25, 0.5, 1.0, 2.0, 4.0]];
    let all = || [0, 1, 2].map(|n| on(&cuda[n], &of[n]));
    let [mut first, mut second, mut third] = all();
    let copy = first.clone(); // keeps what it has
    let before: Vec<_> = cuda.iter().map(Cuda::traffic).collect();
    nccl.sum(&mut first, vec![&mut second, &mut third]).unwrap();
    assert!(second.is_blank() && third.is_blank());
    nccl.share(&first, vec![&mut second, &mut third]).unwrap();
    for (cuda, before) in cuda.iter().zip(before) {
        let crossed = cuda.traffic() - before;
        assert_eq!((crossed.sent, crossed.fetched), (0, 0), "{crossed:?}");
    }
    let [mut want, mut a, mut b] = all();
    HostReduce.sum(&mut want, vec![&mut a, &mut b]).unwrap();
    assert!(first == want && second == want && third == want);
    assert_eq!(copy, [1.0, -2.0, 50.0, 0.5, 3.0]);
    let each = |name: &str, op: i32| -> String {
        let call = |rank| format!("{name} {rank}: 5 of type 7, op {op}, root 0, in place 1\n");
        format!("start\n{}end\n", (0..3).map(call).collect::<String>())
    };
    let want = format!("init 3: 0 0 0\n{}{}", each("reduce", 0), each("broadcast", -1));
    assert_eq!(notes(), want);

    // Arrays without numbers ask for nothing; what does not fit is refused before anything is called.
    nccl.sum(&mut array(&[]), vec![&mut array(&[]), &mut array(&[])]).unwrap();
    let error = nccl.sum(&mut first, vec![&mut second]).unwrap_err().to_string();
    assert_eq!(error, "ncclReduce: expected the others to have 2 devices, got 1");
    let mut short = array(&[1.0]);
    assert!(nccl.share(&first, vec![&mut second, &mut short]).is_err());
    assert_eq!(notes(), want);
    // What the library refuses is said, and the group is ended.
    let [mut a, mut b, mut c] = [1.0, 2.0, 3.0].map(|value| array(&[value; 13]));
    let error = nccl.sum(&mut a, vec![&mut b, &mut c]).unwrap_err();
    assert_eq!(error, Error::Device { op: "ncclReduce", why: "invalid usage".into() });
    assert!(notes().ends_with("op 0, root 0, in place 1\nend\n"));
    assert_eq!((a, b, c), (array(&[1.0; 13]), array(&[2.0; 13]), array(&[3.0; 13])));
    drop(nccl);
    assert!(notes().ends_with("destroy 0\ndestroy 1\ndestroy 2\n"));
    for cuda in &cuda {
        cuda.synchronise().unwrap();
    }
}

#[test]
fn what_is_missing_is_said() {
    let cuda = emulated(2);
    let devices: Vec<&Cuda> = cuda.iter().collect();
    let why = |error: Error| match error {
        Error::Unavailable { what: "NCCL", why } => why,
        other => panic!("{other}"),
    };
    // Whatever the machine has: these are no GPUs, and one is not enough.
    assert!(why(Nccl::new(&devices).unwrap_err()).contains("is no GPU"));
    assert!(why(Nccl::new(&[]).unwrap_err()).contains("two devices or more, not 0"));
    let (reduce, error) = Nccl::or_host(&devices);
    assert_eq!(reduce.name(), "host");
    assert!(why(error.unwrap()).contains("is no GPU"));
    let folder = tempfile::tempdir().unwrap();
    // SAFETY: there is no such library.
    let missing = unsafe { Nccl::with_library(&folder.path().join("none.so"), &devices) };
    assert!(why(missing.unwrap_err()).contains("none.so"));
    let source = folder.path().join("other.c");
    std::fs::write(&source, "int ncclGroupStart(void) { return 0; }\n").unwrap();
    let other = compile(&source, folder.path());
    // SAFETY: a library without initialisers, of which nothing is called.
    let other = unsafe { Nccl::with_library(&other, &devices) };
    assert!(why(other.unwrap_err()).contains("it has no ncclGetErrorString"));
}
