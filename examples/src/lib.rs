//! Examples: `cargo run --release -p lutweave-examples --example digits`.
