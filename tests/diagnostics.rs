//! What is said of scenario files that are wrong: each file in `tests/diagnostics` has its text in `tests/snapshots`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::path::{Path, PathBuf};

use labproof::diagnostic::render;
use labproof::scenario;
use rstest::rstest;

#[rstest]
fn wrong_scenarios_are_explained(#[files("tests/diagnostics/*.yaml")] file: PathBuf) {
    let text = std::fs::read_to_string(&file).unwrap();
    let name = file.file_name().unwrap();
    let diagnostics = scenario::parse(&text, Path::new(name)).unwrap_err();
    assert!(diagnostics.iter().all(|d| d.location.is_some()), "each one has its place");
    insta::assert_snapshot!(name.to_str().unwrap(), render(&diagnostics, false));
}

#[test]
fn colour_adds_nothing_but_colour() {
    let diagnostics = scenario::parse("nmae: x\n", Path::new("x.yaml")).unwrap_err();
    let coloured = render(&diagnostics, true);
    assert!(coloured.contains("\u{1b}["));
    let plain = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(&coloured, "").into_owned();
    assert_eq!(plain, render(&diagnostics, false));
}
