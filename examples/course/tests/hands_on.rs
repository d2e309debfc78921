//! A test for each scenario of the course: on a simulated cluster always, on a real one where it is asked for.

use std::path::{Path, PathBuf};

use labproof::testing::Lab;
use rstest::rstest;

/// Failures name their timelines; here they are kept until `cargo clean`.
fn timelines(place: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("timelines").join(place)
}

#[rstest]
fn simulated(#[files("scenarios/**/*.yaml")] scenario: PathBuf) {
    Lab::simulated().workloads("workloads").timelines(timelines("simulated")).check(&scenario);
}

#[rstest]
#[ignore = "needs Docker and kind: cargo test --package course-example -- --ignored"]
fn on_kind(#[files("scenarios/**/*.yaml")] scenario: PathBuf) {
    Lab::kind().workloads("workloads").timelines(timelines("kind")).check(&scenario);
}
