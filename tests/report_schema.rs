//! `schema/report.schema.json` is what the code says. After a change of the format: `UPDATE_SCHEMA=1 cargo test --test report_schema`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, fs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/report.schema.json");

#[test]
fn the_schema_has_not_drifted() {
    let schema = serde_json::to_string_pretty(&labproof::report::json::schema()).unwrap() + "\n";
    if env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(FILE, &schema).unwrap();
    }
    let committed = fs::read_to_string(FILE).unwrap_or_default();
    assert!(committed == schema, "schema/report.schema.json has drifted; run `UPDATE_SCHEMA=1 cargo test --test report_schema`");
}
