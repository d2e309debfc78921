//! Plays a workload inside a real container.
fn main() {}
