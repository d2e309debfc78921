//! Judges a whole recorded timeline, as the live run that recorded it did.

use std::path::Path;
use std::time::Duration;

use super::running::{RunningStep, not_run};
use super::world::World;
use crate::report::{ClusterFacts, REPORT_VERSION, Report, ScenarioReport, StepReport, StepState};
use crate::scenario::{Scenario, Step};
use crate::timeline::{Entry, Observation};

/// A timeline that cannot be judged by a scenario.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecordingError {
    /// It does not say whose it is.
    #[error("the timeline does not begin with `begun`, which says whose it is")]
    Head,
    /// It was recorded of another scenario.
    #[error(
        "the timeline is one of the scenario `{recorded}`, not of `{scenario}`; judge it with the file that it was recorded with"
    )]
    OtherScenario {
        /// The timeline's scenario.
        recorded: String,
        /// The scenario that it should be judged by.
        scenario: String,
    },
    /// It has steps that the scenario does not have.
    #[error(
        "the timeline has a step {step} ({action}), but the scenario `{scenario}` has {steps}; judge it with the file that it was recorded with"
    )]
    TooManySteps {
        /// The step, counted from 1.
        step: usize,
        /// Its action in words.
        action: String,
        /// The scenario.
        scenario: String,
        /// How many steps the scenario has.
        steps: usize,
    },
    /// A step of it did something else.
    #[error(
        "step {step} of the timeline is `{recorded}`, but that of the scenario `{scenario}` is `{action}`; judge it with the file that it was recorded with"
    )]
    OtherAction {
        /// The step, counted from 1.
        step: usize,
        /// The timeline's action in words.
        recorded: String,
        /// The scenario.
        scenario: String,
        /// The scenario's action in words.
        action: String,
    },
    /// Its steps do not follow each other.
    #[error("entry {entry} of the timeline: step {step} {what}; the file was changed, or it is two timelines in one")]
    Disorder {
        /// The entry, counted from 1 as the file's lines.
        entry: usize,
        /// The step, counted from 1.
        step: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The report of a recorded timeline, as of a run of this scenario alone. `timeline` is its file.
pub fn report_of_recording(scenario: &Scenario, entries: &[Entry], timeline: &Path) -> Result<Report, RecordingError> {
    let steps = judge_recording(scenario, entries)?;
    let Some(Observation::Begun(begun)) = entries.first().map(|entry| &entry.what) else { return Err(RecordingError::Head) };
    let duration = entries.last().map_or(Duration::ZERO, |entry| entry.t);
    let scenario = ScenarioReport {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        file: scenario.file.clone(),
        namespace: Some(begun.namespace.clone()),
        started: Duration::ZERO,
        duration,
        steps,
        errors: Vec::new(),
        timeline: Some(timeline.to_owned()),
    };
    Ok(Report {
        version: REPORT_VERSION,
        labproof: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: Some(ClusterFacts {
            provider: begun.provider.clone(),
            name: "recorded".to_owned(),
            kubernetes: begun.kubernetes.clone(),
            node_image: None,
            stand_ins: begun.stand_ins.clone(),
        }),
        started: begun.epoch.clone(),
        duration,
        scenarios: vec![scenario],
        errors: Vec::new(),
        interrupted: false,
        diagnostics: Vec::new(),
        histories: None,
    })
}

/// The steps' reports with the verdicts that the live run gave. Steps that the timeline does not begin are not run; one that it
/// breaks off is cut short.
pub fn judge_recording(scenario: &Scenario, entries: &[Entry]) -> Result<Vec<StepReport>, RecordingError> {
    check_head(scenario, entries)?;
    let mut reports: Vec<StepReport> = Vec::with_capacity(scenario.steps.len());
    let mut world = World::default();
    let mut running: Option<RunningStep<'_>> = None;
    for (position, entry) in entries.iter().enumerate() {
        check_order(entry, position, reports.len(), running.is_some())?;
        if let Observation::StepStarted { action, .. } = &entry.what {
            let step = scenario.steps.get(reports.len()).ok_or_else(|| RecordingError::TooManySteps {
                step: reports.len() + 1,
                action: action.clone(),
                scenario: scenario.name.clone(),
                steps: scenario.steps.len(),
            })?;
            check_action(scenario, step, reports.len(), action)?;
            running.get_or_insert_with(|| RunningStep::new(step, std::mem::take(&mut world)));
        }
        match running.take() {
            None => world.apply(position, entry),
            Some(mut step) => {
                step.take(position, entry);
                if matches!(entry.what, Observation::StepEnded { .. }) {
                    reports.push(step.report(StepState::Done, &entries[..=position]));
                    world = step.into_world();
                } else {
                    running = Some(step);
                }
            }
        }
    }
    reports.extend(running.map(|step| step.report(StepState::CutShort, entries)));
    let rest = scenario.steps.iter().skip(reports.len()).map(not_run).collect::<Vec<_>>();
    reports.extend(rest);
    Ok(reports)
}

fn check_head(scenario: &Scenario, entries: &[Entry]) -> Result<(), RecordingError> {
    match entries.first().map(|entry| &entry.what) {
        Some(Observation::Begun(begun)) if begun.scenario == scenario.name => Ok(()),
        Some(Observation::Begun(begun)) => {
            Err(RecordingError::OtherScenario { recorded: begun.scenario.clone(), scenario: scenario.name.clone() })
        }
        _ => Err(RecordingError::Head),
    }
}

fn check_action(scenario: &Scenario, step: &Step, index: usize, recorded: &str) -> Result<(), RecordingError> {
    let action = step.action.to_string();
    if action == recorded {
        return Ok(());
    }
    Err(RecordingError::OtherAction { step: index + 1, recorded: recorded.to_owned(), scenario: scenario.name.clone(), action })
}

/// Steps begin and end one after the other; `done` of them have ended.
fn check_order(entry: &Entry, position: usize, done: usize, is_running: bool) -> Result<(), RecordingError> {
    let wrong = |step: &usize, what| Err(RecordingError::Disorder { entry: position + 1, step: step + 1, what });
    match &entry.what {
        Observation::StepStarted { step, .. } if is_running && *step != done => {
            wrong(step, "begins before the one before it has ended")
        }
        Observation::StepStarted { step, .. } if *step != done => wrong(step, "begins out of order"),
        Observation::StepEnded { step } if !is_running || *step != done => wrong(step, "ends without having begun"),
        Observation::Acted { step, .. } if !is_running || *step != done => wrong(step, "is answered while it does not run"),
        _ => Ok(()),
    }
}
