//! The report for programs: the [`Report`] itself and what follows from it (`outcome`, `exit_code`, `counts`), pretty-printed. Times are
//! seconds; strings are as they were observed, nothing is cut or escaped beyond JSON's own escapes.
//!
//! The format has a version ([`REPORT_VERSION`]) that goes up when a field changes its meaning or goes away; fields may be added
//! without. `schema/report.schema.json` describes it.

use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize, Serializer};

use super::case::Counts;
use super::model::{ClusterFacts, Histories, REPORT_VERSION, Report, ScenarioReport, StepReport};
use crate::diagnostic::Diagnostic;
use crate::exit_code::exit_code;
use crate::timeline::seconds;
use crate::verdict::Outcome;

/// A file that is not a report, or none that this program can read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON at all, or cut off.
    #[error("not JSON, or cut off: {0}")]
    Syntax(serde_json::Error),
    /// JSON of another kind.
    #[error("not a report of `labproof run --report json=FILE`: {0} (a timeline is read by `labproof judge`)")]
    NotAReport(serde_json::Error),
    /// Written by a later labproof.
    #[error("the report has version {0}, this program reads up to {REPORT_VERSION}; use a newer labproof")]
    Version(u32),
    /// A report in which something is wrong.
    #[error("the report is damaged: {0}")]
    Content(serde_json::Error),
}

/// The report as JSON, with a line end at its end.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(report).map(|json| json + "\n")
}

/// Reads what [`render`] has written. What follows from the report is found out anew.
pub fn read(json: &[u8]) -> Result<Report, ReadError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
        #[serde(rename = "labproof")]
        _labproof: String,
    }
    let head: Head = serde_json::from_slice(json).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ReadError::NotAReport(error),
        _ => ReadError::Syntax(error),
    })?;
    if head.version > REPORT_VERSION {
        return Err(ReadError::Version(head.version));
    }
    serde_json::from_slice(json).map_err(ReadError::Content)
}

/// The JSON Schema of the report.
pub fn schema() -> Schema {
    schema_for!(Document)
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Document::serialize(self, serializer)
    }
}

impl Serialize for ScenarioReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ScenarioDocument::serialize(self, serializer)
    }
}

/// What a run of labproof found out.
#[derive(Serialize, JsonSchema)]
#[serde(remote = "Report")]
#[schemars(rename = "Report")]
struct Document {
    /// The version of this format.
    version: u32,
    /// The version of labproof.
    labproof: String,
    /// The worst outcome of all.
    #[serde(getter = "Report::outcome")]
    outcome: Outcome,
    /// The exit code of the run: 0 where `outcome` is `pass`, and only there.
    #[serde(getter = "exit_code")]
    exit_code: u8,
    /// How many cases came to what: expectations, actions without any, and errors outside of them.
    #[serde(getter = "Counts::of")]
    counts: Counts,
    /// Where the scenarios ran; null if the cluster never came up, or if a recorded timeline was judged.
    cluster: Option<ClusterFacts>,
    /// When the run began, RFC 3339, UTC.
    started: String,
    /// How long it took, in seconds.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    duration: Duration,
    /// The scenarios, in the order in which they were selected, those that were not run included.
    #[schemars(with = "Vec<ScenarioDocument>")]
    scenarios: Vec<ScenarioReport>,
    /// What went wrong outside of any scenario: provisioning, the environment, the teardown of the cluster.
    errors: Vec<String>,
    /// What is wrong with files that the run was to use; left out if nothing is. If there is anything, nothing was run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<Diagnostic>,
    /// A signal ended the run.
    interrupted: bool,
    /// The simulated histories that this report tells as one; left out for a single run.
    #[serde(skip_serializing_if = "Option::is_none")]
    histories: Option<Histories>,
}

/// What came of one scenario.
#[derive(Serialize, JsonSchema)]
#[serde(remote = "ScenarioReport")]
#[schemars(rename = "ScenarioReport")]
struct ScenarioDocument {
    /// Its name.
    name: String,
    /// Its title.
    title: Option<String>,
    /// Its file, as it was named on the command line.
    #[serde(getter = "file")]
    file: String,
    /// The worst outcome of its steps; errors outside of them count.
    #[serde(getter = "ScenarioReport::outcome")]
    outcome: Outcome,
    /// The namespace in which it ran; null if it was not run.
    namespace: Option<String>,
    /// When it began, in seconds since the run began.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    started: Duration,
    /// How long it took, teardown included, in seconds.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    duration: Duration,
    /// Its steps, those that were not run included.
    steps: Vec<StepReport>,
    /// What went wrong outside of its steps: its namespace, its watches, its time limit, its teardown.
    errors: Vec<String>,
    /// Where its timeline was recorded.
    #[serde(getter = "timeline")]
    timeline: Option<String>,
}

/// A path that is not UTF-8 must not cost the report.
fn file(scenario: &ScenarioReport) -> String {
    scenario.file.to_string_lossy().into_owned()
}

fn timeline(scenario: &ScenarioReport) -> Option<String> {
    scenario.timeline.as_ref().map(|path: &PathBuf| path.to_string_lossy().into_owned())
}
