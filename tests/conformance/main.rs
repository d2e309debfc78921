//! The simulated Kubernetes against real ones, case by case: chapter 7 and the cases of `cases/`.
//!
//! A case is an ordinary scenario. It is simulated with many seeds, which gives what may happen and when; what happened on a real
//! cluster must be among it. Real timelines are recorded by `scripts/record-conformance` and committed, so the comparison runs everywhere; with
//! `LABPROOF_CONFORMANCE=kind` the cases are also run live. `docs/conformance.md` is written by these tests:
//! `UPDATE_CONFORMANCE=1 cargo test --test conformance` writes it anew.

#![expect(clippy::panic, reason = "that is how a test fails")]

mod case;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod document;
mod explained;
mod history;
mod live;
mod outcome;
mod possible;
mod recorded;
mod simulated;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Trial;

fn main() -> ExitCode {
    let cases = Arc::new(case::all());
    let recordings = Arc::new(recorded::all());
    let mut tests = Vec::new();
    tests.extend(cases.iter().map(|case| {
        let (name, case) = (format!("simulated {}", case.name()), case.clone());
        trial(name, move || simulated::passes(&case))
    }));
    tests.extend(recordings.iter().map(|recording| {
        let (name, recording, cases) = (format!("recorded {recording}"), recording.clone(), Arc::clone(&cases));
        trial(name, move || outcome::conforms(&cases, &recording))
    }));
    tests.extend(cases.iter().map(|case| live::trial(case, &cases)));
    tests.push(trial("every case has a recording".to_owned(), {
        let (cases, recordings) = (Arc::clone(&cases), Arc::clone(&recordings));
        move || recorded::covers(&cases, &recordings)
    }));
    tests.push(trial("docs/conformance.md is up to date".to_owned(), move || document::is_current(&cases, &recordings)));
    common::run(tests, std::thread::available_parallelism().map_or(1, usize::from))
}

fn trial(name: String, test: impl FnOnce() -> Result<(), String> + Send + 'static) -> Trial {
    Trial::test(name, move || test().map_err(Into::into))
}
