//! Benchmarks. Run them with `cargo bench -p lutweave-benches`; what they showed is in
//! `docs/perf.md`.
