//! Every scenario of this repository on kind, a test each: those of the course must pass, and the negative ones must fail for the
//! reason that their first line gives.

mod common;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use labproof::report::{Palette, Report, console};
use labproof::testing;
use labproof::verdict::{Deviation, Outcome};

#[expect(clippy::print_stderr, reason = "that is how a test fails that is none")]
fn main() -> ExitCode {
    let folders = ["scenarios/chapter-07", "scenarios/negative"].map(PathBuf::from);
    let files = labproof::scenario::find(&folders).expect("the scenarios are there");
    let tests = files.into_iter().map(|file| common::on_kind(&file.display().to_string(), move || check(&file))).collect();
    let ended = common::run(tests, 4);
    if let Err(error) = testing::tear_down() {
        eprintln!("the cluster was not torn down: {error}");
        return ExitCode::FAILURE;
    }
    ended
}

fn check(file: &Path) {
    let text = std::fs::read_to_string(file).expect("the scenario can be read");
    match text.lines().next().and_then(|line| line.strip_prefix("# fails: ")) {
        None => testing::check(file),
        Some(reason) => {
            let report = testing::Lab::kind().run(file).expect("the scenario can be run");
            let text = console::full(&report, Palette::PLAIN);
            assert_eq!(report.outcome(), Outcome::Fail, "{text}");
            assert_eq!(failure(&report), reason, "{text}");
        }
    }
}

/// The first failure as the first line of a negative scenario words it: `too-early in step 1`.
fn failure(report: &Report) -> String {
    let steps = report.scenarios[0].steps.iter().enumerate();
    let failures =
        steps.flat_map(|(i, step)| step.expectations.iter().filter_map(move |e| Some((i + 1, e.verdict.as_ref()?.deviation?))));
    let words = |deviation: Deviation| deviation.words().replace(' ', "-");
    let all: std::collections::BTreeSet<_> =
        failures.map(|(step, deviation)| format!("{} in step {step}", words(deviation))).collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}
