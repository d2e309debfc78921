//! The `labproof` program.
fn main() {}
