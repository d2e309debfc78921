//! Reports are written where they were asked for, or it is said why not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rstest::rstest;

use super::fixtures;
use crate::report::{Destination, DestinationError, check_all, github, json, markdown, write_all};

fn destination(format: &str, file: &Path) -> Destination {
    format!("{format}={}", file.display()).parse().unwrap()
}

#[rstest]
#[case("junit", "`junit` is not FORMAT=FILE, as in `junit=report.xml`")]
#[case("xml=a", "there is no format `xml`; there are junit, json and md")]
#[case("md=", "`md=` names no file; `-` is standard output")]
fn a_wrong_argument_is_explained(#[case] argument: &str, #[case] error: &str) {
    assert_eq!(argument.parse::<Destination>().unwrap_err(), error);
}

#[test]
fn all_formats_are_written_and_directories_made() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("a/b");
    let destinations =
        [destination("junit", &deep.join("r.xml")), destination("json", &deep.join("r.json")), "md=-".parse().unwrap()];
    check_all(&destinations).unwrap();
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 0, "a check leaves nothing behind");
    let (_, report) = fixtures::all().remove(1);
    let mut stdout = Vec::new();
    write_all(&report, &destinations, &mut stdout).unwrap();
    assert_eq!(json::read(&fs::read(deep.join("r.json")).unwrap()).unwrap(), report);
    assert!(fs::read_to_string(deep.join("r.xml")).unwrap().starts_with("<?xml"));
    assert_eq!(String::from_utf8(stdout).unwrap(), markdown::render(&report));
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 2, "no temporary file is left");
    fs::write(deep.join("plain"), "").unwrap();
    let mode = |name| fs::metadata(deep.join(name)).unwrap().permissions().mode();
    assert_eq!(mode("r.xml"), mode("plain"), "who may read it is as for any other file");
}

#[test]
fn a_link_stays_a_link_and_the_file_behind_it_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let (_, report) = fixtures::all().remove(0);
    write_all(&report, &[destination("json", &link)], &mut Vec::new()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(json::read(&fs::read(&file).unwrap()).unwrap(), report);
}

#[test]
fn one_that_cannot_be_written_does_not_keep_the_others_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("r.md");
    let destinations =
        [destination("junit", Path::new("/dev/full")), destination("json", Path::new("/proc/x.json")), destination("md", &file)];
    let (_, report) = fixtures::all().remove(0);
    let errors = write_all(&report, &destinations, &mut Vec::new()).unwrap_err();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("junit=/dev/full: the report cannot be written: No space left on device"), "{errors:?}");
    assert_eq!(errors[1], "json=/proc/x.json: the report cannot be written: No such file or directory (os error 2)");
    assert_eq!(fs::read_to_string(file).unwrap(), markdown::render(&report));
}

#[test]
fn what_cannot_be_written_is_known_before_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let (file, read_only) = (directory.path().join("file"), directory.path().join("read-only"));
    for path in [&file, &read_only] {
        fs::write(path, "").unwrap();
    }
    let mut permissions = fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&read_only, permissions).unwrap();
    let destinations = [
        destination("md", directory.path()),
        destination("md", &read_only),
        destination("md", &file.join("below/r.md")),
        destination("md", Path::new("/proc/r.md")),
        destination("md", &file),
        destination("json", &directory.path().join("./file")),
        "md=-".parse().unwrap(),
        "json=-".parse().unwrap(),
    ];
    let errors = check_all(&destinations).unwrap_err();
    assert!(
        matches!(
            errors.as_slice(),
            [
                DestinationError::Directory(_),
                DestinationError::ReadOnly(_),
                DestinationError::CreateDirectory { .. },
                DestinationError::Write { .. },
                DestinationError::SameFile(..),
                DestinationError::TwoToStdout(..)
            ]
        ),
        "{errors:#?}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (_, report) = fixtures::all().remove(0);
    write_all(&report, &["json=-".parse().unwrap()], &mut Closed).unwrap();
}

#[test]
fn the_summary_of_a_step_is_appended_as_far_as_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("summary");
    let (_, report) = fixtures::all().remove(1);
    let page = markdown::render(&report);
    fs::write(&file, "before\n").unwrap();
    github::append_summary(&report, &file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("before\n{page}"));

    for room in [page.len() / 2, 10] {
        fs::write(&file, "x".repeat(github::SUMMARY_LIMIT - room)).unwrap();
        github::append_summary(&report, &file).unwrap();
        let size = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
        assert!(size <= github::SUMMARY_LIMIT, "{size}");
        assert_eq!(size > github::SUMMARY_LIMIT - room, room > 10, "it uses the room that there is");
    }
}

#[rstest]
#[case::cut_off("{\"version\": 1, \"labproof\"", "not JSON, or cut off: ")]
#[case::something_else("{\"t\": 0.0, \"what\": {}}", "not a report of `labproof run --report json=FILE`: missing field `version`")]
#[case::newer(
    "{\"version\": 9, \"labproof\": \"9.0\"}",
    "the report has version 9, this program reads up to 1; use a newer labproof"
)]
#[case::damaged("{\"version\": 1, \"labproof\": \"0.1.0\"}", "the report is damaged: missing field `started`")]
#[case::empty("", "not JSON, or cut off: EOF")]
fn what_is_no_report_is_refused(#[case] json: &str, #[case] error: &str) {
    let said = json::read(json.as_bytes()).unwrap_err().to_string();
    assert!(said.starts_with(error), "{said}");
}

/// GitHub takes `file=` as a path from the workspace, wherever the program was started.
#[test]
fn annotations_name_files_from_the_workspace() {
    let workspace = tempfile::tempdir().unwrap();
    let (_, mut report) = fixtures::all().remove(1);
    let file = workspace.path().join("course/scenarios/x.yaml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "").unwrap();
    report.scenarios[0].file = workspace.path().join("course/../course/scenarios/x.yaml");
    assert!(github::render(&report, Some(workspace.path())).contains("file=course/scenarios/x.yaml,line="));
    report.scenarios[0].file = "/elsewhere/x.yaml".into();
    assert!(github::render(&report, Some(workspace.path())).contains("file=/elsewhere/x.yaml,line="));
}
