//! What a report consists of: one case an expectation, and one for everything else that went wrong. Every format prints and counts
//! these and nothing else, so that they agree.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{ExpectationReport, Report, ScenarioReport, StepReport, StepState};
use super::text::{count, printable};
use crate::diagnostic::Diagnostic;
use crate::scenario::Location;
use crate::verdict::{Outcome, Verdict};

/// What came of a case, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Pass,
    NotRun,
    Inconclusive,
    Fail,
    Error,
}

/// One thing that was to be proven, or one thing that went wrong.
#[derive(Clone)]
pub(super) struct Case<'a> {
    pub(super) status: Status,
    /// What was to be proven.
    pub(super) title: &'a str,
    /// The step and its number, counted from 1.
    pub(super) step: Option<(usize, &'a StepReport)>,
    /// The file that says it; none for what went wrong around the steps.
    pub(super) file: Option<&'a Path>,
    /// Where it stands in that file; none if the file as a whole is meant.
    pub(super) location: Option<Location>,
    /// Why it came to its status.
    pub(super) message: Option<Cow<'a, str>>,
    /// Its expectation, if it is one's.
    pub(super) expectation: Option<&'a ExpectationReport>,
}

/// How many cases came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Counts {
    pub(super) pass: usize,
    pub(super) not_run: usize,
    pub(super) inconclusive: usize,
    pub(super) fail: usize,
    pub(super) error: usize,
}

/// The cases that belong to no scenario: what went wrong around them all.
pub(super) fn of_run(report: &Report) -> Vec<Case<'_>> {
    let mut cases: Vec<_> = report.diagnostics.iter().map(Case::diagnostic).collect();
    cases.extend(report.errors.iter().map(|error| Case::trouble(Status::Error, "environment", error)));
    if report.interrupted {
        cases.push(Case::trouble(Status::Inconclusive, "interrupted", "a signal ended the run"));
    } else if report.scenarios.is_empty() && cases.is_empty() {
        cases.push(Case::trouble(Status::Inconclusive, "selection", "no scenario was selected, so nothing is proven"));
    }
    let counts: Counts = cases.iter().cloned().chain(report.scenarios.iter().flat_map(of_scenario)).collect();
    if counts.not_run > 0 && counts.worst() == Status::NotRun {
        let message = format!("{} not run, and nothing says why", count(counts.not_run, "case"));
        cases.push(Case::trouble(Status::Inconclusive, "completeness", message));
    }
    cases
}

/// The cases of a scenario: those of its steps, then what went wrong around them.
pub(super) fn of_scenario(scenario: &ScenarioReport) -> Vec<Case<'_>> {
    let steps = scenario.steps.iter().enumerate().flat_map(|(i, step)| of_step(&scenario.file, i + 1, step));
    let around = scenario.errors.iter().map(|error| Case::trouble(Status::Error, "environment", error));
    steps.chain(around).collect()
}

/// The cases of a step, counted from 1: one an expectation, and one for its action where that has something to say that they do not.
pub(super) fn of_step<'a>(file: &'a Path, number: usize, step: &'a StepReport) -> Vec<Case<'a>> {
    let undecided = match (&step.error, step.state) {
        (Some(_), _) => (Status::NotRun, "the step's action could not be done"),
        (None, StepState::NotRun) => (Status::NotRun, "the step was not begun"),
        (None, StepState::CutShort) => (Status::Inconclusive, "the step was cut short before it was decided"),
        (None, StepState::Done) => (Status::Inconclusive, "it was not judged"),
    };
    let all_decided = step.expectations.iter().all(|e| e.verdict.is_some());
    let action = match (&step.error, step.state) {
        (Some(error), _) => Some((Status::Error, Some(error.as_str()))),
        (None, StepState::Done) if step.expectations.is_empty() => Some((Status::Pass, None)),
        (None, StepState::CutShort) if all_decided => Some((Status::Inconclusive, Some("the step was cut short"))),
        (None, StepState::NotRun) if all_decided => Some((Status::NotRun, None)),
        (None, _) => None,
    };
    let action = action.map(|(status, message)| Case {
        status,
        title: &step.name,
        step: Some((number, step)),
        file: Some(file),
        location: Some(step.location),
        message: message.map(Cow::Borrowed),
        expectation: None,
    });
    let expectations = step.expectations.iter().map(|expectation| {
        let (status, message) = expectation.verdict.as_ref().map_or(undecided, |v| (v.outcome.into(), v.message.as_str()));
        Case {
            status,
            title: &expectation.expectation,
            step: Some((number, step)),
            file: Some(file),
            location: Some(expectation.location),
            message: Some(message.into()),
            expectation: Some(expectation),
        }
    });
    action.into_iter().chain(expectations).collect()
}

impl<'a> Case<'a> {
    fn trouble(status: Status, title: &'a str, message: impl Into<Cow<'a, str>>) -> Self {
        Self { status, title, step: None, file: None, location: None, message: Some(message.into()), expectation: None }
    }

    fn diagnostic(diagnostic: &'a Diagnostic) -> Self {
        let message = match &diagnostic.help {
            Some(help) => Cow::Owned(format!("{}\nhelp: {help}", diagnostic.message)),
            None => Cow::Borrowed(diagnostic.message.as_str()),
        };
        let of_file = Self::trouble(Status::Error, "wrong file", message);
        Self { file: Some(&diagnostic.file), location: diagnostic.location, ..of_file }
    }

    /// `scenarios/liveness.yaml:8:5`.
    pub(super) fn place(&self) -> Option<String> {
        let file = printable(&self.file?.to_string_lossy());
        Some(match self.location {
            Some(Location { line, column }) => format!("{file}:{line}:{column}"),
            None => file,
        })
    }

    pub(super) fn verdict(&self) -> Option<&'a Verdict> {
        self.expectation?.verdict.as_ref()
    }

    /// When it was decided, since its step's action.
    pub(super) fn decided(&self) -> Option<Duration> {
        self.verdict().map(|verdict| verdict.decided)
    }

    /// Its status in words: `fail (too late)`.
    pub(super) fn words(&self) -> String {
        match self.verdict().and_then(|verdict| verdict.deviation) {
            Some(deviation) => format!("{} ({})", self.status.word(), deviation.words()),
            None => self.status.word().to_owned(),
        }
    }
}

impl Status {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Pass => Outcome::Pass.word(),
            Self::NotRun => "not run",
            Self::Inconclusive => Outcome::Inconclusive.word(),
            Self::Fail => Outcome::Fail.word(),
            Self::Error => Outcome::Error.word(),
        }
    }

    /// Whether the reader must be told what went wrong.
    pub(super) const fn is_trouble(self) -> bool {
        matches!(self, Self::Inconclusive | Self::Fail | Self::Error)
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Inconclusive => Self::Inconclusive,
            Outcome::Fail => Self::Fail,
            Outcome::Error => Self::Error,
        }
    }
}

impl Counts {
    /// The counts of all cases of a report.
    pub(super) fn of(report: &Report) -> Self {
        of_run(report).into_iter().chain(report.scenarios.iter().flat_map(of_scenario)).collect()
    }

    /// Each status that occurs, the worst first.
    pub(super) fn occurring(self) -> impl Iterator<Item = (usize, Status)> {
        let all = [
            (self.error, Status::Error),
            (self.fail, Status::Fail),
            (self.inconclusive, Status::Inconclusive),
            (self.not_run, Status::NotRun),
            (self.pass, Status::Pass),
        ];
        all.into_iter().filter(|(n, _)| *n > 0)
    }

    /// `1 error, 2 failed, 3 passed`, each part as `paint` makes it.
    pub(super) fn in_words(self, paint: impl Fn(Status, &str) -> String) -> String {
        let word = |n, status| match status {
            Status::Pass => "passed",
            Status::Fail => "failed",
            Status::Error if n != 1 => "errors",
            status => status.word(),
        };
        let parts: Vec<_> = self.occurring().map(|(n, status)| paint(status, &format!("{n} {}", word(n, status)))).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }

    fn worst(self) -> Status {
        self.occurring().next().map_or(Status::Pass, |(_, status)| status)
    }
}

impl<'a> FromIterator<Case<'a>> for Counts {
    fn from_iter<I: IntoIterator<Item = Case<'a>>>(cases: I) -> Self {
        let mut counts = Self::default();
        for case in cases {
            *match case.status {
                Status::Pass => &mut counts.pass,
                Status::NotRun => &mut counts.not_run,
                Status::Inconclusive => &mut counts.inconclusive,
                Status::Fail => &mut counts.fail,
                Status::Error => &mut counts.error,
            } += 1;
        }
        counts
    }
}
