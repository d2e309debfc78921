//! What a run found out: the one value that every report format is made from.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::scenario::Location;
use crate::timeline::seconds;
use crate::verdict::{Outcome, Verdict};

/// The version of the JSON report; a reader refuses a higher one.
pub const REPORT_VERSION: u32 = 1;

/// What a run found out. Its JSON form also says what follows from it, see [`json`](super::json).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Report {
    /// [`REPORT_VERSION`] of the writer.
    pub version: u32,
    /// The version of labproof.
    pub labproof: String,
    /// Where the scenarios ran; none if the cluster never came up, or for a report of `judge`.
    pub cluster: Option<ClusterFacts>,
    /// When the run began, RFC 3339, UTC.
    pub started: String,
    /// How long it took, in seconds.
    #[serde(with = "seconds")]
    pub duration: Duration,
    /// The scenarios, in the order in which they were selected, those that were not run included.
    pub scenarios: Vec<ScenarioReport>,
    /// What went wrong outside of any scenario: provisioning, the environment, the teardown of the cluster.
    pub errors: Vec<String>,
    /// What is wrong with files that the run was to use; if there is anything, nothing was run.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
    /// A signal ended the run.
    pub interrupted: bool,
    /// The simulated histories that this report tells as one; none for a single run.
    #[serde(default)]
    pub histories: Option<Histories>,
}

/// Simulated histories that are told as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Histories {
    /// The seed of the first one; the others follow.
    pub first_seed: u64,
    /// How many there are.
    pub count: usize,
    /// The seeds of those that did not pass.
    pub not_passed: Vec<u64>,
}

/// Where the scenarios ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterFacts {
    /// `kind`, `context`, `sim`.
    pub provider: String,
    /// The cluster's (or the context's) name.
    pub name: String,
    /// The API server's version, such as `v1.37.2`.
    pub kubernetes: String,
    /// The node image, if the provider chose it.
    pub node_image: Option<String>,
    /// Images that stand-ins played.
    pub stand_ins: Vec<String>,
}

/// What came of one scenario.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ScenarioReport {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: Option<String>,
    /// Its file, as it was named on the command line.
    pub file: PathBuf,
    /// The namespace in which it ran; none if it was not run.
    pub namespace: Option<String>,
    /// When it began, in seconds since the run began.
    #[serde(with = "seconds")]
    pub started: Duration,
    /// How long it took, teardown included, in seconds.
    #[serde(with = "seconds")]
    pub duration: Duration,
    /// Its steps, those that were not run included.
    pub steps: Vec<StepReport>,
    /// What went wrong outside of its steps: its namespace, its watches, its time limit, its teardown.
    pub errors: Vec<String>,
    /// Where its timeline was recorded.
    pub timeline: Option<PathBuf>,
}

/// What came of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// Its name, or its action in words.
    pub name: String,
    /// Where it stands in the scenario's file.
    pub location: Location,
    /// Whether it was run; a step after a failed one is not.
    pub state: StepState,
    /// When its action was sent, in seconds since the scenario began.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub started: Duration,
    /// How long it took, in seconds.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub duration: Duration,
    /// Its expectations, in the order of the file. An action that must answer something (exec, request) comes first.
    pub expectations: Vec<ExpectationReport>,
    /// Why its action could not be done.
    pub error: Option<String>,
}

/// Whether a step was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It was run to its end.
    Done,
    /// It was begun and cut short, by a signal or an error.
    CutShort,
    /// It was not begun.
    NotRun,
}

/// What came of one expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationReport {
    /// The expectation in words, one line: `pod httpserver: READY 1/1, STATUS Running, by 15s`.
    pub expectation: String,
    /// Where it stands in the scenario's file.
    pub location: Location,
    /// The verdict; none if it was not judged (its step was not run, or was cut short before it was decided).
    pub verdict: Option<Verdict>,
    /// What was seen around a failure; none if it passed.
    pub context: Option<FailureContext>,
    /// What came of it in all simulated histories, whose worst verdict this is; none for a single run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histories: Option<ExpectationHistories>,
}

/// What came of an expectation in many simulated histories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationHistories {
    /// In how many its step was begun.
    pub judged: usize,
    /// The seeds of those in which it did not pass.
    pub not_passed: Vec<u64>,
    /// The seed of the history whose verdict is reported.
    pub seed: u64,
    /// When its rows came in those in which they came, in time or not.
    pub spread: Vec<Spread>,
}

/// When a row came, over many histories. Times are seconds since the step's action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// What came, with its window: `READY 1/1, by 15s`.
    pub what: String,
    /// In the history in which it came first.
    pub earliest: f64,
    /// In the middle one.
    pub median: f64,
    /// In the history in which it came last.
    pub latest: f64,
    /// Seconds to the nearer edge of its window, where it came closest; negative if it came outside of it.
    pub margin: f64,
}

/// What was seen around a failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureContext {
    /// The last rows of the objects concerned, oldest first, as kubectl prints them; each carries its own headers, none is a header.
    pub rows: Vec<ObservedRow>,
    /// The last events of the namespace, oldest first: `t+12.0s  Warning  Unhealthy  pod/x  Readiness probe failed: …`.
    pub events: Vec<String>,
    /// The last log lines, oldest first: `t+12.0s  pod/container[restart]  line`.
    pub log: Vec<String>,
    /// What the reader may try.
    pub hint: Option<String>,
}

/// A row as kubectl prints it, with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedRow {
    /// In seconds since the step's action; negative before it.
    pub t: f64,
    /// What it is about, as `pod/httpserver`.
    pub object: String,
    /// Header and cell, in kubectl's order.
    pub cells: Vec<(String, String)>,
    /// The row that decided the verdict.
    pub decisive: bool,
}

impl Report {
    /// The report of a run that has just begun and knows no scenario.
    pub fn begun(started: String) -> Self {
        Self {
            version: REPORT_VERSION,
            labproof: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: None,
            started,
            duration: Duration::ZERO,
            scenarios: Vec::new(),
            errors: Vec::new(),
            diagnostics: Vec::new(),
            interrupted: false,
            histories: None,
        }
    }

    /// The worst outcome of all; errors outside of scenarios count. A run that was interrupted or ran nothing is inconclusive at
    /// best: only a run that proved everything it was asked to prove passes.
    pub fn outcome(&self) -> Outcome {
        let own = if !self.errors.is_empty() || !self.diagnostics.is_empty() {
            Outcome::Error
        } else if self.interrupted || self.scenarios.is_empty() {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        self.scenarios.iter().map(ScenarioReport::outcome).fold(own, Outcome::max)
    }
}

impl ScenarioReport {
    /// The worst outcome of its steps; errors outside of them count.
    pub fn outcome(&self) -> Outcome {
        let own = if self.errors.is_empty() { Outcome::Pass } else { Outcome::Error };
        self.steps.iter().map(StepReport::outcome).fold(own, Outcome::max)
    }

    /// Whether none of its steps was begun.
    pub fn not_run(&self) -> bool {
        self.steps.iter().all(|step| step.state == StepState::NotRun)
    }
}

impl StepReport {
    /// The worst outcome of its expectations. What was not begun, cut short or not judged is inconclusive at best: nothing is
    /// proven. (It never hides why it was not run, because that is worse or the same.)
    pub fn outcome(&self) -> Outcome {
        let own = match (&self.error, self.state) {
            (Some(_), _) => Outcome::Error,
            (None, StepState::CutShort | StepState::NotRun) => Outcome::Inconclusive,
            (None, StepState::Done) => Outcome::Pass,
        };
        self.expectations.iter().map(ExpectationReport::outcome).fold(own, Outcome::max)
    }
}

impl ExpectationReport {
    /// Its verdict's outcome; inconclusive without one.
    pub fn outcome(&self) -> Outcome {
        self.verdict.as_ref().map_or(Outcome::Inconclusive, |verdict| verdict.outcome)
    }
}
