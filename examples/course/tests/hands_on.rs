//! A test for each scenario of the course.

use std::path::PathBuf;

use rstest::rstest;

#[rstest]
#[ignore = "needs Docker and kind: cargo test --package course-example -- --ignored"]
fn hands_on(#[files("scenarios/**/*.yaml")] scenario: PathBuf) {
    labproof::testing::check(&scenario);
}
