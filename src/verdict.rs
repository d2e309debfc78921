//! What the judge says of an expectation.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::timeline::seconds;

/// The lattice of conformance testing (ETSI ES 201 873-1): the worst of many is their maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As expected.
    #[default]
    Pass,
    /// Cannot be told: it depends on a time at which nothing was observed.
    Inconclusive,
    /// Not as expected.
    Fail,
    /// Could not be judged: the environment, or labproof itself, failed.
    Error,
}

/// In which way an expectation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// Never seen.
    Missing,
    /// Seen before its window.
    TooEarly,
    /// Seen after its window.
    TooLate,
    /// A later row was seen before this one.
    OutOfOrder,
    /// It did not stay, or what must never be was seen.
    Contradicted,
    /// Something was seen that is not listed.
    Extra,
}

/// What the judge says of one expectation. Times are counted from the step's action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Passed or not.
    pub outcome: Outcome,
    /// In which way it failed.
    pub deviation: Option<Deviation>,
    /// When it was decided, in seconds since the step's action.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub decided: Duration,
    /// One sentence: what decided it.
    pub message: String,
    /// The row, line or event that was expected when it failed; empty if it passed.
    pub expected: Option<String>,
    /// What came nearest to it.
    pub nearest_miss: Option<String>,
    /// Why it can no longer happen, if the judge knows.
    pub cause: Option<String>,
    /// The observations that decided it: positions in the timeline, counted from 0 (its line number less one).
    pub evidence: Vec<usize>,
    /// How close a passed window was to failing: seconds to its nearer edge.
    #[serde(default)]
    pub margin: Option<f64>,
    /// The rows, or occurrences, that came, in their order; if it failed because one came too early or too late, that one is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
}

/// A row, or an occurrence, that came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// What came, with its window: `READY 1/1, by 15s`.
    pub what: String,
    /// When, in seconds since the step's action; of several objects, when the last one had come so far.
    pub at: f64,
    /// Seconds from there to the nearer edge of its window, negative outside it; of several objects, the least.
    pub margin: f64,
}

/// The least margin of all.
pub(crate) fn least_margin(transitions: &[Transition]) -> Option<f64> {
    transitions.iter().map(|transition| transition.margin).reduce(f64::min)
}

impl Outcome {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }
}

impl Deviation {
    /// The words in reports.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::TooEarly => "too early",
            Self::TooLate => "too late",
            Self::OutOfOrder => "out of order",
            Self::Contradicted => "contradicted",
            Self::Extra => "extra",
        }
    }
}
