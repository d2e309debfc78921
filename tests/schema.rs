//! The schema file is as generated, and every scenario keeps to it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::path::PathBuf;

use labproof::scenario;
use rstest::rstest;

const FILE: &str = "schema/scenario.schema.json";

/// Write the file anew with `LABPROOF_WRITE_SCHEMA=1 cargo test --test schema`.
#[test]
fn the_schema_file_is_up_to_date() {
    let generated = format!("{:#}\n", scenario::schema());
    if std::env::var_os("LABPROOF_WRITE_SCHEMA").is_some() {
        std::fs::create_dir_all("schema").unwrap();
        std::fs::write(FILE, &generated).unwrap();
    }
    let written = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(written == generated, "{FILE} is out of date: run `LABPROOF_WRITE_SCHEMA=1 cargo test --test schema`");
}

fn errors(text: &str) -> Vec<String> {
    let instance: serde_json::Value = serde_yaml::from_str(text).unwrap();
    let validator = jsonschema::validator_for(&scenario::schema()).unwrap();
    validator.iter_errors(&instance).map(|error| format!("{}: {error}", error.instance_path)).collect()
}

#[rstest]
fn scenarios_keep_to_the_schema(#[files("scenarios/**/*.yaml")] file: PathBuf) {
    let found = errors(&std::fs::read_to_string(&file).unwrap());
    assert!(found.is_empty(), "{found:#?}");
}

/// What the decoder refuses because of its form alone is refused by the schema too.
#[rstest]
#[case("name: x\n")]
#[case("name: X y\nsteps: [{observe: {}}]\n")]
#[case("name: x\ncolour: red\nsteps: [{apply: a.yaml}]\n")]
#[case("name: x\nsteps: []\n")]
#[case("name: x\nsteps: [{}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, delete: a.yaml}]\n")]
#[case("name: x\nsteps: [{apply: a.txt}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{row: {ready: 1/1}}]}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{pod: a, deployment: b, row: {ready: 1/1}}]}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{pod: a, row: {ready: 1/1}, rows: [{ready: 1/1}]}]}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{pod: a, row: {ready: 1/1, by: 5s}}]}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{pod: a, row: {ready: 1/1}, by: 5}]}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{pod: a, row: {ready: 1/1}, at: 5s}]}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{pod: a, row: {ready: 1/1}, at: 5s..6s, by: 6s}]}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{event: {}}]}]\n")]
#[case("name: x\nsteps: [{apply: a.yaml, expect: [{log: {pod: a}}]}]\n")]
fn what_is_refused_is_refused_by_both(#[case] text: &str) {
    assert!(!errors(text).is_empty());
    assert!(scenario::parse(text, std::path::Path::new("x.yaml")).is_err());
}
