//! The program as scripts and CI see it: signals, exit codes, the files that it leaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use labproof::exit_code;
use labproof::report::{Report, json};
use rstest::rstest;

/// A course with one scenario, one wrong scenario and an empty folder.
struct Course(tempfile::TempDir);

const HELLO: &str = "name: hello\nsteps:\n- apply: hello.yaml\n  expect:\n  - {pod: hello, row: {status: Running}, by: 60s}\n";
const WRONG: &str = "name: wrong\nsteps:\n- aply: hello.yaml\n";
/// A day of restarts takes a while to simulate.
const LONG: &str = "name: long\nsteps:\n- apply: crashes.yaml\n  expect:\n  - {pod: crashes, row: {restarts: 9000}, by: 24h}\n";
const CRASHES: &str = "{apiVersion: v1, kind: Pod, metadata: {name: crashes}, spec: {containers: [{name: c, image: 'busybox:1.36.1', command: ['false']}]}}";
const POD: &str =
    "{apiVersion: v1, kind: Pod, metadata: {name: hello}, spec: {containers: [{name: c, image: 'blux2/hello-server:1.6'}]}}";

impl Course {
    fn new() -> Self {
        let course = Self(tempfile::tempdir().unwrap());
        let files = [
            ("scenarios/hello.yaml", HELLO),
            ("manifests/hello.yaml", POD),
            ("long.yaml", LONG),
            ("manifests/crashes.yaml", CRASHES),
            ("wrong.yaml", WRONG),
        ];
        for (path, text) in files {
            fs::create_dir_all(course.path(path).parent().unwrap()).unwrap();
            fs::write(course.path(path), text).unwrap();
        }
        fs::create_dir(course.path("empty")).unwrap();
        course
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_labproof"));
        program.current_dir(self.0.path()).args(arguments).env("LABPROOF_STATE_DIR", self.path("state"));
        program.env_remove("GITHUB_ACTIONS").stdin(Stdio::null());
        program
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    fn report(&self) -> Report {
        json::read(&fs::read(self.path("r.json")).unwrap()).unwrap()
    }
}

fn code(output: &Output) -> u8 {
    u8::try_from(output.status.code().unwrap()).unwrap()
}

#[rstest]
#[case::interrupt("-INT", &["--seeds", "1000000"])]
#[case::terminate("-TERM", &["--seeds", "1000000"])]
#[case::in_a_long_history("-INT", &["long.yaml"])]
fn a_signal_ends_a_simulation_in_an_orderly_way(#[case] signal: &str, #[case] arguments: &[&str]) {
    let course = Course::new();
    let mut program = course.program(&["run", "--report", "json=r.json,junit=r.xml,md=r.md"]);
    program.args(arguments);
    let mut child = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    // It listens before it says this.
    stderr.read_line(&mut said).unwrap();
    assert!(said.starts_with("simulated Kubernetes"), "{said}");
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(i32::from(exit_code::INTERRUPTED)), "{said}");
    assert!(said.lines().last().unwrap().starts_with("interrupted, "), "{said}");
    let report = course.report();
    assert!(report.interrupted && report.histories.is_none_or(|histories| histories.count < 1_000_000));
    assert!(fs::read_to_string(course.path("r.md")).unwrap().contains("labproof: interrupted, "));
    assert!(course.path("r.xml").exists());
}

/// The reports of the run before are not taken for those of a run that did not come about.
#[rstest]
#[case::nothing_selected(&["-f", "no-such"], exit_code::NOTHING_SELECTED)]
#[case::empty_folder(&["empty"], exit_code::NOTHING_SELECTED)]
#[case::wrong_scenario(&["wrong.yaml"], exit_code::USAGE)]
#[case::no_such_folder(&["no/such"], exit_code::USAGE)]
#[case::wrong_workloads(&["--workloads", "no/such"], exit_code::USAGE)]
fn a_run_that_does_not_come_about_leaves_reports(#[case] arguments: &[&str], #[case] expected: u8) {
    let course = Course::new();
    let run = ["run", "--report", "json=r.json,junit=r.xml,md=r.md"];
    assert_eq!(code(&course.output(&run)), exit_code::PASS);
    let output = course.output(&[&run[..], arguments].concat());
    assert_eq!(code(&output), expected, "{output:?}");
    let report = course.report();
    assert_eq!((exit_code::exit_code(&report), report.scenarios.len()), (expected, 0));
    for file in ["r.xml", "r.md"] {
        let text = fs::read_to_string(course.path(file)).unwrap();
        assert!(!text.contains("hello: READY") && text.contains("error") | text.contains("inconclusive"), "{text}");
    }
}

#[rstest]
#[case::run("run")]
#[case::lint("lint")]
fn github_is_told_where_a_scenario_is_wrong(#[case] command: &str) {
    let course = Course::new();
    let mut program = course.program(&[command, "../wrong.yaml"]);
    program.current_dir(course.path("scenarios")).env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", course.0.path());
    let output = program.env("GITHUB_STEP_SUMMARY", course.path("summary")).output().unwrap();
    assert_eq!(code(&output), exit_code::USAGE);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("::error file=wrong.yaml,line=3,col=3,title="), "{said}");
    assert!(fs::read_to_string(course.path("summary")).unwrap().contains("labproof: error"));
}

#[rstest]
#[case::schema(&["schema"])]
#[case::list(&["list"])]
#[case::plan(&["plan"])]
#[case::report(&["report", "r.json"])]
fn output_that_is_lost_is_a_failure(#[case] arguments: &[&str]) {
    let course = Course::new();
    course.output(&["run", "--report", "json=r.json"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = course.program(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(code(&output), exit_code::ENVIRONMENT);
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output cannot be written to: No space left on device"));
}

#[test]
fn a_summary_and_a_report_that_cannot_be_written_are_both_told() {
    let course = Course::new();
    let mut program = course.program(&["run", "--report", "md=/dev/full"]);
    let output = program.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", "/dev/full").output().unwrap();
    assert_eq!(code(&output), exit_code::ENVIRONMENT);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("md=/dev/full: ") && said.contains("the step summary cannot be written"), "{said}");
}

#[test]
fn a_simulation_needs_no_place_for_its_timelines() {
    let course = Course::new();
    let mut program = course.program(&["run"]);
    let output = program.env_clear().env("HOME", "/proc").output().unwrap();
    assert_eq!(code(&output), exit_code::PASS, "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("note: no timeline is recorded: /proc/.local/state/labproof/timelines/"), "{said}");
    let output = course.program(&["run"]).env_clear().output().unwrap();
    assert_eq!(code(&output), exit_code::PASS, "{output:?}");
}

#[test]
fn a_folder_for_timelines_that_cannot_be_used_is_told_before_the_run() {
    let output = Course::new().output(&["run", "--record", "/proc/labproof"]);
    assert_eq!(code(&output), exit_code::USAGE);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("--record /proc/labproof: no timeline can be written there") && !said.contains("scenario hello"),
        "{said}"
    );
}

#[test]
fn each_run_records_in_a_folder_of_its_own() {
    let course = Course::new();
    let files: Vec<PathBuf> = (0..2)
        .map(|_| {
            course.output(&["run", "--report", "json=r.json"]);
            course.report().scenarios[0].timeline.clone().unwrap()
        })
        .collect();
    assert_ne!(files[0], files[1]);
    assert!(files.iter().all(|file| file.exists()));
}

#[test]
fn quiet_says_only_what_must_be_said() {
    let course = Course::new();
    let output = course.output(&["lint", "-q"]);
    assert_eq!((code(&output), output.stderr.len(), output.stdout.len()), (exit_code::PASS, 0, 0));
    let output = course.output(&["run", "-q", "--report", "json=r.json"]);
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 2, "the cluster and the summary");
    let full = course.output(&["report", "r.json"]).stdout.len();
    assert!(course.output(&["report", "-q", "r.json"]).stdout.len() < full);
}

#[test]
fn the_times_of_many_histories_are_data() {
    let output = Course::new().output(&["run", "--seeds", "3"]);
    assert_eq!(code(&output), exit_code::PASS);
    let (data, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(data.contains("EARLIEST") && data.contains("3 of 3 histories passed") && !said.contains("EARLIEST"), "{data}{said}");
}

#[test]
fn a_recording_is_judged_from_standard_input() {
    let course = Course::new();
    course.output(&["run", "--record", "timelines"]);
    let mut program = course.program(&["judge", "-", "scenarios/hello.yaml"]);
    let output = program.stdin(File::open(course.path("timelines/hello.jsonl")).unwrap()).output().unwrap();
    assert_eq!(code(&output), exit_code::PASS, "{output:?}");
}

#[rstest]
#[case::never(&["--color", "never", "--help"], "", false)]
#[case::forced(&["--help"], "1", true)]
#[case::always(&["--color=always", "run", "--help"], "", true)]
fn help_heeds_the_choice_of_colours(#[case] arguments: &[&str], #[case] force: &str, #[case] is_colored: bool) {
    let output = Course::new().program(arguments).env("CLICOLOR_FORCE", force).env_remove("NO_COLOR").output().unwrap();
    assert_eq!(output.stdout.contains(&0x1b), is_colored);
}
