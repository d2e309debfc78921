//! Workload files: reading, checking, writing.

use std::fmt;

use crate::{
    image::normalise,
    model::{Answer, Health, Timer, Workload},
};

/// Why a workload file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The file has not the form of a workload; the message names the field and, for YAML, line and column.
    #[error("not a workload: {0}")]
    Form(String),
    /// The file has the right form and says impossible things; all of them.
    #[error("not a possible workload: {}", list(.0))]
    Content(Vec<Problem>),
}

/// One thing that a workload cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, as a path: `http./healthz[0].until`.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Workload {
    /// Reads and checks a workload file.
    #[cfg(feature = "yaml")]
    pub fn from_yaml(text: &str) -> Result<Self, ParseError> {
        serde_yaml::from_str::<Self>(text).map_err(|error| ParseError::Form(error.to_string()))?.checked()
    }

    /// Reads and checks what [`to_json`](Self::to_json) has written.
    pub fn from_json(text: &str) -> Result<Self, ParseError> {
        serde_json::from_str::<Self>(text).map_err(|error| ParseError::Form(error.to_string()))?.checked()
    }

    /// The workload as JSON; equal workloads give equal bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and maps with string keys are always valid JSON")
    }

    fn checked(self) -> Result<Self, ParseError> {
        let problems = self.problems();
        if problems.is_empty() { Ok(self) } else { Err(ParseError::Content(problems)) }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        for image in self.images() {
            if let Err(error) = normalise(image) {
                found.add("image", error.to_string());
            }
        }
        if self.listen.as_ref().is_some_and(|listen| listen.port == 0) {
            found.add("listen.port", "must be between 1 and 65535");
        }
        if self.listen.is_none() && !self.http.is_empty() {
            found.add("http", "nothing listens; add `listen: {port: …}`");
        }
        if self.listen.is_none() && !self.grpc.is_empty() {
            found.add("grpc", "nothing listens; add `listen: {port: …}`");
        }
        for (service, states) in &self.grpc {
            let runs_out = |state: &Health| state.until.is_some();
            if !states.split_last().is_some_and(|(last, others)| !runs_out(last) && others.iter().all(runs_out)) {
                found.add(format!("grpc.{service}"), "every state but the last one, and only they, must have `until`");
            }
        }
        if !self.run.is_empty() && !self.shell {
            found.add("run", "the image has no commands; add `shell: true`");
        }
        for (path, answers) in &self.http {
            found.add_path(path, answers);
        }
        for (index, timer) in self.timers.iter().enumerate() {
            found.add_timer(&format!("timers[{index}]"), timer);
        }
        found.0
    }
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }

    fn add_path(&mut self, path: &str, answers: &[Answer]) {
        let field = format!("http.{path}");
        if path != "*" && !path.starts_with('/') {
            self.add(&field, "a path starts with `/`; `*` is every path not named");
        }
        if answers.is_empty() {
            self.add(&field, "has no answers");
        }
        let last = answers.len().saturating_sub(1);
        for (index, answer) in answers.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let runs_out = answer.until.is_some() || answer.times.is_some();
            if index == last && runs_out {
                self.add(&field, "the last answer must not run out; leave `until` and `times` out or add another");
            }
            if index != last && !runs_out {
                self.add(&field, "never runs out, so the next one is never given; add `until` or `times`");
            }
            self.add_answer(&field, answer);
        }
    }

    fn add_answer(&mut self, field: &str, answer: &Answer) {
        if answer.status.is_some_and(|status| !(200..=599).contains(&status)) {
            self.add(format!("{field}.status"), "must be between 200 and 599");
        }
        let says = answer.status.is_some() || answer.body.is_some() || answer.body_file.is_some();
        if answer.hang && (says || answer.delay.is_some()) {
            self.add(format!("{field}.hang"), "an answer that never comes has no status, body or delay");
        }
        if answer.memory.is_some_and(|growth| growth.every.is_some_and(|every| every.0.is_zero())) {
            self.add(format!("{field}.memory.every"), "must be longer than 0s");
        }
    }

    fn add_timer(&mut self, field: &str, timer: &Timer) {
        if timer.log.is_none() && timer.memory.is_none() && timer.exit.is_none() {
            self.add(field, "does nothing; add `log`, `memory` or `exit`");
        }
        if timer.every.is_some_and(|every| every.0.is_zero()) {
            self.add(format!("{field}.every"), "must be longer than 0s");
        }
        if timer.every.is_some() && timer.exit.is_some() {
            self.add(format!("{field}.every"), "an exit happens once");
        }
    }
}
