//! Recordings of real runs are judged again: the scenarios must still pass on them, by the code of today.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use labproof::judge::report_of_recording;
use labproof::report::{Palette, StepState, console};
use labproof::scenario;
use labproof::timeline;
use labproof::verdict::Outcome;
use rstest::rstest;

#[rstest]
fn a_recording_of_a_real_run_passes(#[files("tests/recordings/*.jsonl")] recording: PathBuf) {
    let name = recording.file_stem().and_then(|name| name.to_str()).expect("a recording is named after its scenario");
    let scenario = scenario::load(Path::new(&format!("scenarios/chapter-07/{name}.yaml"))).expect("the scenario can be read");
    let file = File::open(&recording).expect("the recording can be read");
    let entries = timeline::read(BufReader::new(file)).expect("the recording can be read");
    let report = report_of_recording(&scenario, &entries, &recording).expect("the recording is of this scenario");
    assert_eq!(report.outcome(), Outcome::Pass, "{}", console::full(&report, Palette::PLAIN));
    assert!(report.scenarios[0].steps.iter().all(|step| step.state == StepState::Done), "a step of it was not run to its end");
}
