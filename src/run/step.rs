//! Runs one step: acts, observes and judges at the same time, until every expectation is decided.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::recording::Recording;
use crate::act::Actor;
use crate::clock::Clock;
use crate::judge::{RunningStep, World, answer, not_run};
use crate::observe::Observer;
use crate::progress::Progress;
use crate::report::{StepReport, StepState};
use crate::scenario::{Action, Step};
use crate::timeline::Observation;

/// What the steps of a scenario share.
pub(super) struct Stage<'a> {
    pub(super) scenario: usize,
    pub(super) actor: Actor,
    pub(super) observer: Observer,
    pub(super) recording: Recording,
    pub(super) clock: Clock,
    pub(super) progress: &'a dyn Fn(Progress),
    pub(super) cancel: &'a CancellationToken,
}

/// Tells of each verdict once.
struct Teller<'a> {
    scenario: usize,
    step: usize,
    progress: &'a dyn Fn(Progress),
    /// The expectations in words; the last one is that the action is not refused.
    texts: Vec<String>,
    told: Vec<usize>,
}

impl Stage<'_> {
    /// Runs a step; gives its report, and the world as it is after it.
    pub(super) async fn run_step(&mut self, index: usize, step: &Step, objects: &[Value], world: World) -> (StepReport, World) {
        (self.progress)(Progress::StepStarted { scenario: self.scenario, step: index });
        let mut running = RunningStep::new(step, world);
        let expected = not_run(step).expectations.into_iter().map(|expectation| expectation.expectation);
        let texts = expected.chain([answer(&step.action)]).collect();
        let teller = Teller { scenario: self.scenario, step: index, progress: self.progress, texts, told: Vec::new() };
        let state = self.observe_and_judge(index, &step.action, objects, &mut running, teller).await;
        (running.report(state, &self.recording.entries), running.into_world())
    }

    async fn observe_and_judge(
        &mut self,
        index: usize,
        action: &Action,
        objects: &[Value],
        running: &mut RunningStep<'_>,
        mut teller: Teller<'_>,
    ) -> StepState {
        let sink = self.observer.sink();
        let words = action.to_string();
        let mut sending = || sink.put(None, Observation::StepStarted { step: index, action: words.clone() });
        let mut acting = std::pin::pin!(self.actor.act(action, objects, &mut sending));
        let mut has_acted = false;
        let mut is_ending = false;
        loop {
            let due = running.due().unwrap_or(Duration::MAX);
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return StepState::CutShort,
                result = &mut acting, if !has_acted => {
                    has_acted = true;
                    sink.put(None, Observation::Acted { step: index, result });
                }
                entry = self.observer.next() => {
                    // The observer lives as long as its sink, which is held here.
                    let Some(entry) = entry else { return StepState::CutShort };
                    let position = self.recording.append(entry);
                    let entry = &self.recording.entries[position];
                    running.take(position, entry);
                    (self.progress)(Progress::Observed { scenario: self.scenario, entry: Box::new(entry.clone()) });
                    if matches!(entry.what, Observation::StepEnded { .. }) {
                        return StepState::Done;
                    }
                }
                () = self.clock.sleep_until(due), if due < Duration::MAX => running.advance(due),
            }
            teller.tell(running);
            if running.is_over() && !is_ending {
                is_ending = true;
                sink.put(None, Observation::StepEnded { step: index });
            }
        }
    }
}

impl Teller<'_> {
    fn tell(&mut self, running: &RunningStep<'_>) {
        for (expectation, verdict) in running.verdicts().into_iter().enumerate() {
            if let Some(verdict) = verdict.filter(|_| !self.told.contains(&expectation)) {
                self.told.push(expectation);
                let (scenario, step, text) = (self.scenario, self.step, self.texts[expectation].clone());
                (self.progress)(Progress::Decided { scenario, step, expectation, text, verdict: Box::new(verdict) });
            }
        }
    }
}
