//! Streams of images: what comes out of the hardware is what the stages say, with stalls, resets
//! and images cut short.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_hdl_tests::{folder, lint, random_stages, simulate};

use lutweave_rtl::{Simulator, Stream};

#[test]
fn dbg_one() {
    let (a, b) = (std::env::var("A").map_or(0, |x| x.parse().unwrap()), std::env::var("N").map_or(4, |x| x.parse().unwrap()));
    for seed in a..b {
        let (stages, image) = random_stages("chain", seed);
        let dir = folder();
        let stream = Stream::new("chain").image(image).probes(true);
        let files = match stream.write(&stages, dir.path()) { Ok(f)=>f, Err(e)=>{println!("{seed}: {image:?} {e}"); continue} };
        let info = stream.info(&stages).unwrap();
        println!("{seed}: {image:?} {:?}", info.stages.iter().map(|s| (s.name.as_str(), s.image, s.scan, s.output)).collect::<Vec<_>>());
        std::fs::create_dir_all("/tmp/target-pool/dbg").unwrap();
        for f in [&files.module,&files.bench,&files.inputs,&files.expected] { std::fs::copy(f, std::path::Path::new("/tmp/target-pool/dbg").join(f.file_name().unwrap())).unwrap(); }
        if std::env::var("LINT").is_ok() { let found = std::panic::catch_unwind(|| lint(&files, dir.path())); println!("LINT {:?}", found.is_ok()); continue; }
        for options in [&["+stalls=0"][..], &["+stalls=30"], &["+stalls=70","+seed=5"]] {
            let t=std::time::Instant::now();
            let found = simulate(Simulator::Icarus, &files, dir.path(), options).unwrap();
            println!("  {options:?} {:?} {}", t.elapsed(), found.report.trim());
        }
        if std::env::var("LINT").is_ok() { lint(&files, dir.path()); }
    }
}
