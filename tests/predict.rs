//! What is predicted holds: the scenario that `labproof predict --output rows` writes passes with other seeds.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use rstest::rstest;

fn labproof(arguments: &[&str], state: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_labproof"));
    let output = command.args(arguments).env("LABPROOF_STATE_DIR", state).env("NO_COLOR", "1").output().expect("labproof runs");
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "labproof {arguments:?}: {stdout}{stderr}");
    stdout
}

/// What the documentation shows; each line of its block that is no command is one of the program.
#[test]
fn the_documentation_shows_what_is_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string("docs/simulation.md").unwrap();
    let block = text.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let (command, shown) = block.split_once('\n').unwrap();
    let arguments: Vec<_> = command.strip_prefix("$ labproof ").unwrap().split(' ').collect();
    assert_eq!(labproof(&arguments, folder.path()), shown);
}

#[rstest]
#[case::alone(&["pod-liveness"])]
#[case::ways_part(&["pod-startup-killed"])]
#[case::replicas(&["deployment-destruction"])]
#[case::together(&["pod-readiness", "pod-startup"])]
fn a_predicted_scenario_passes_with_other_seeds(#[case] manifests: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(Path::new("manifests").canonicalize().unwrap(), folder.path().join("manifests")).unwrap();
    let files: Vec<_> = manifests.iter().map(|name| format!("manifests/chapter-07/{name}.yaml")).collect();
    let options = ["--seeds", "20", "--for", "2m", "--output", "rows"];
    let arguments: Vec<_> = ["predict"].into_iter().chain(files.iter().map(String::as_str)).chain(options).collect();
    let text = labproof(&arguments, folder.path());

    let scenario = folder.path().join("predicted.yaml");
    fs::write(&scenario, &text).unwrap();
    let scenario = scenario.to_str().unwrap();
    labproof(&["lint", scenario], folder.path());
    assert!(text.contains("rows:\n"), "{text}");
    labproof(&["run", scenario, "--seed", "1000", "--seeds", "10"], folder.path());

    // A row that does not come fails, so the others were judged.
    let wrong = text.replacen("status: ", "status: Not", 1);
    assert_ne!(wrong, text);
    fs::write(scenario, wrong).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_labproof"));
    command.args(["run", scenario]).env("LABPROOF_STATE_DIR", folder.path()).assert().code(1);
}
