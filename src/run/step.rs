//! Runs one step: acts, observes and judges at the same time, until every expectation is decided.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::recording::Recording;
use crate::act::Actor;
use crate::clock::Clock;
use crate::judge::{StepJudge, World, judge_action, unsettled};
use crate::observe::Observer;
use crate::progress::Progress;
use crate::report::{ExpectationReport, StepReport, StepState};
use crate::scenario::{Action, Step};
use crate::timeline::{ActionResult, Entry, Observation};
use crate::verdict::Verdict;

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

/// A step while it runs.
struct Running<'a> {
    index: usize,
    step: &'a Step,
    judge: Judge,
    /// When the action was sent.
    zero: Duration,
    result: Option<(ActionResult, Duration, usize)>,
    /// How many verdicts have been told, by expectation.
    told: Vec<bool>,
}

/// There is a judge from the moment at which the action is sent.
enum Judge {
    Waiting(World),
    Judging(StepJudge),
}

impl Judge {
    fn into_world(self) -> World {
        match self {
            Self::Waiting(world) => world,
            Self::Judging(judge) => judge.into_world(),
        }
    }
}

impl Stage<'_> {
    /// Runs a step; gives its report, and the world as it is after it.
    pub(super) async fn run_step(&mut self, index: usize, step: &Step, objects: &[Value], world: World) -> (StepReport, World) {
        (self.progress)(Progress::StepStarted { scenario: self.scenario, step: index });
        let begun = self.clock.elapsed();
        let told = vec![false; step.expect.len()];
        let mut running = Running { index, step, judge: Judge::Waiting(world), zero: begun, result: None, told };
        let state = self.observe_and_judge(&mut running, objects).await;
        let ended = self.recording.entries.last().map_or(begun, |entry| entry.t);
        let report = StepReport {
            name: step.name.clone().unwrap_or_else(|| step.action.to_string()),
            location: step.location,
            state,
            started: running.zero,
            duration: ended.saturating_sub(running.zero),
            expectations: running.expectations(),
            error: running.error(),
        };
        (report, running.judge.into_world())
    }

    async fn observe_and_judge(&mut self, running: &mut Running<'_>, objects: &[Value]) -> StepState {
        let sink = self.observer.sink();
        let (index, action) = (running.index, &running.step.action);
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
                    let is_end = matches!(entry.what, Observation::StepEnded { .. });
                    let position = self.recording.append(entry);
                    running.take(position, &self.recording.entries[position]);
                    (self.progress)(Progress::Observed { scenario: self.scenario, entry: Box::new(self.recording.entries[position].clone()) });
                    if is_end {
                        return StepState::Done;
                    }
                }
                () = self.clock.sleep_until(due), if due < Duration::MAX => running.advance(due),
            }
            running.tell(self.scenario, self.progress);
            if running.is_over() && !is_ending {
                is_ending = true;
                sink.put(None, Observation::StepEnded { step: index });
            }
        }
    }
}

impl Running<'_> {
    fn take(&mut self, position: usize, entry: &Entry) {
        match &entry.what {
            Observation::StepStarted { .. } => {
                let world = std::mem::replace(&mut self.judge, Judge::Waiting(World::default())).into_world();
                self.zero = entry.t;
                self.judge = Judge::Judging(StepJudge::new(self.step, world, entry.t, position));
            }
            Observation::Acted { result, .. } => {
                self.result = Some((result.clone(), entry.t.saturating_sub(self.zero), position));
                self.feed(position, entry);
            }
            _ => self.feed(position, entry),
        }
    }

    fn feed(&mut self, position: usize, entry: &Entry) {
        match &mut self.judge {
            Judge::Waiting(world) => world.apply(entry),
            Judge::Judging(judge) => judge.take(position, entry),
        }
    }

    fn advance(&mut self, now: Duration) {
        if let Judge::Judging(judge) = &mut self.judge {
            judge.advance(now);
        }
    }

    fn due(&self) -> Option<Duration> {
        match &self.judge {
            Judge::Waiting(_) => None,
            Judge::Judging(judge) => judge.due(),
        }
    }

    fn is_over(&self) -> bool {
        let is_decided = matches!(&self.judge, Judge::Judging(judge) if judge.is_decided());
        self.error().is_some() || (is_decided && self.result.is_some())
    }

    fn error(&self) -> Option<String> {
        match &self.result {
            Some((ActionResult::Failed { error }, ..)) => Some(error.clone()),
            _ => None,
        }
    }

    fn verdicts(&self) -> Vec<Option<Verdict>> {
        match &self.judge {
            Judge::Waiting(_) => vec![None; self.step.expect.len()],
            Judge::Judging(judge) => judge.verdicts().map(|verdict| verdict.map(|v| self.settled(v))).collect(),
        }
    }

    /// If it is not known when the action was carried out, no verdict stands.
    fn settled(&self, verdict: &Verdict) -> Verdict {
        match &self.result {
            Some((ActionResult::Unsure { reason }, ..)) => unsettled(verdict, reason),
            _ => verdict.clone(),
        }
    }

    fn action_verdict(&self) -> Option<Verdict> {
        let (result, decided, position) = self.result.as_ref()?;
        judge_action(&self.step.action, result, *decided, *position)
    }

    fn expectations(&self) -> Vec<ExpectationReport> {
        let answers = matches!(self.step.action, Action::Exec(_) | Action::Request(_));
        let of_action = answers.then(|| ExpectationReport {
            expectation: format!("{}: the answer", self.step.action),
            location: self.step.location,
            verdict: self.action_verdict(),
            context: None,
        });
        let others = self.step.expect.iter().zip(self.verdicts()).map(|(expectation, verdict)| ExpectationReport {
            expectation: expectation.to_string(),
            location: expectation.location,
            verdict,
            context: None,
        });
        of_action.into_iter().chain(others).collect()
    }

    /// Tells of each verdict once. The position is that in the step's report.
    fn tell(&mut self, scenario: usize, progress: &dyn Fn(Progress)) {
        let first = self.expectations().len() - self.step.expect.len();
        for (i, verdict) in self.verdicts().into_iter().enumerate() {
            if let Some(verdict) = verdict.filter(|_| !self.told[i]) {
                self.told[i] = true;
                let text = self.step.expect[i].to_string();
                let (step, expectation) = (self.index, first + i);
                progress(Progress::Decided { scenario, step, expectation, text, verdict: Box::new(verdict) });
            }
        }
    }
}
