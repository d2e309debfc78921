//! The real arm, live: with `LABPROOF_CONFORMANCE=kind` all cases are run on a kind cluster by the program itself.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::case::{Case, FOLDERS, WORKLOADS};
use crate::{common, outcome, recorded};

const VARIABLE: &str = "LABPROOF_CONFORMANCE";

/// The test of one case; ignored unless it is asked for.
#[expect(clippy::print_stderr, reason = "tests that do not run say so")]
pub(crate) fn trial(case: &Case, cases: &Arc<Vec<Case>>) -> Trial {
    let name = format!("kind {}", case.name());
    if std::env::var(VARIABLE).is_ok_and(|value| value == "kind") {
        let case = case.clone();
        return common::on_kind(&name, move || check(&case));
    }
    if cases.first().is_some_and(|first| first.name() == case.name()) {
        eprintln!("no case is run live: {VARIABLE}=kind would run all of them on a kind cluster, in about twenty minutes");
    }
    Trial::test(name, || Ok(())).with_kind("live").with_ignored_flag(true)
}

fn check(case: &Case) {
    let path = timelines().path().join(format!("{}.jsonl", case.name()));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{} was not recorded: {error}", case.name()));
    let entries = recorded::read(BufReader::new(file), &path);
    if let Err(differences) = outcome::no_difference(case, &entries) {
        panic!("{differences}");
    }
}

/// Runs all cases once; a case that fails or cannot be run leaves a timeline that differs, or none.
#[expect(clippy::print_stderr, reason = "what the program says is wanted when it fails")]
fn timelines() -> &'static TempDir {
    static RECORDED: OnceLock<TempDir> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for timelines can be made");
        let mut program = Command::new(env!("CARGO_BIN_EXE_labproof"));
        program.args(["run", "--on", "kind", "--jobs", "2", "--workloads", WORKLOADS]);
        program.arg("--record").arg(folder.path()).args(FOLDERS.map(PathBuf::from));
        let output = program.output().expect("the program can be run");
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        // An expectation that is not met shows in the timeline; what is wrong around the scenarios need not.
        assert!(matches!(output.status.code(), Some(0 | 1)), "the run of all cases failed: {}", output.status);
        folder
    })
}
