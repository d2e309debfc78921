//! A step from before its action to its end, as a live run and the replay of a recording judge it.

use std::time::Duration;

use super::action::{judge_action, unsettled};
use super::context;
use super::hint::timed_row;
use super::step::StepJudge;
use super::world::World;
use crate::report::{ExpectationReport, StepReport, StepState};
use crate::scenario::{Action, Claim, Expectation, Location, ObjectRef, Row, Step, Subject};
use crate::timeline::{ActionResult, Entry, Observation};
use crate::verdict::{Outcome, Verdict};

/// A step while its timeline grows.
pub struct RunningStep<'a> {
    step: &'a Step,
    judge: Phase,
    /// When the action was sent.
    zero: Option<Duration>,
    /// What was answered, when (since the action), and by which entry.
    result: Option<(ActionResult, Duration, usize)>,
}

/// There is a judge from the moment at which the action is sent.
enum Phase {
    Waiting(World),
    Judging(Box<StepJudge>),
}

impl Phase {
    fn into_world(self) -> World {
        match self {
            Self::Waiting(world) => world,
            Self::Judging(judge) => judge.into_world(),
        }
    }
}

impl<'a> RunningStep<'a> {
    /// A step whose action has not been sent, in the world as the step before has left it.
    pub fn new(step: &'a Step, world: World) -> Self {
        Self { step, judge: Phase::Waiting(world), zero: None, result: None }
    }

    /// The next entry of the timeline and its position; the judge begins with the step's [`Observation::StepStarted`].
    pub fn take(&mut self, position: usize, entry: &Entry) {
        match (&entry.what, &mut self.judge) {
            (Observation::StepStarted { .. }, Phase::Waiting(world)) => {
                let judge = StepJudge::new(self.step, std::mem::take(world), entry.t, position);
                self.zero = Some(entry.t);
                self.judge = Phase::Judging(Box::new(judge));
            }
            (_, Phase::Waiting(world)) => world.apply(position, entry),
            // The API server had not taken the action: it is sent again, and its time begins again.
            (Observation::StepStarted { .. }, Phase::Judging(_)) => {
                let world = std::mem::replace(&mut self.judge, Phase::Waiting(World::default())).into_world();
                self.judge = Phase::Waiting(world);
                self.take(position, entry);
            }
            (what, Phase::Judging(judge)) => {
                if let Observation::Acted { result, .. } = what {
                    let since = entry.t.saturating_sub(self.zero.unwrap_or_default());
                    self.result = Some((result.clone(), since, position));
                }
                judge.take(position, entry);
            }
        }
    }

    /// Nothing was observed before this time of the timeline's clock that has not been taken.
    pub fn advance(&mut self, t: Duration) {
        if let Phase::Judging(judge) = &mut self.judge {
            judge.advance(t);
        }
    }

    /// The time of the timeline's clock at which [`advance`](Self::advance) decides something if nothing happens until then.
    pub fn due(&self) -> Option<Duration> {
        match &self.judge {
            Phase::Waiting(_) => None,
            Phase::Judging(judge) => judge.due(),
        }
    }

    /// Whether nothing more can come of it: everything is decided, or its action could not be done.
    pub fn is_over(&self) -> bool {
        let is_decided = matches!(&self.judge, Phase::Judging(judge) if judge.is_decided());
        self.error().is_some() || self.is_refused() || (is_decided && self.result.is_some())
    }

    /// The verdicts in the order of the step's report; none for what is not decided yet. One on the refusal of an action that need
    /// not be answered in a certain way comes last.
    pub fn verdicts(&self) -> Vec<Option<Verdict>> {
        let judged = || {
            let (result, decided, position) = self.result.as_ref()?;
            judge_action(&self.step.action, result, *decided, *position)
        };
        let is_first = answers(&self.step.action);
        let of_action = is_first.then(judged);
        let of_refusal = (!is_first && self.is_refused()).then(judged);
        let others = match &self.judge {
            Phase::Waiting(_) => vec![None; self.step.expect.len()],
            Phase::Judging(judge) => judge.verdicts().map(|verdict| verdict.map(|v| self.settled(v))).collect(),
        };
        of_action.into_iter().chain(others).chain(of_refusal).collect()
    }

    /// What has come of it so far, by the timeline so far.
    pub fn report(&self, state: StepState, entries: &[Entry]) -> StepReport {
        let ended = entries.last().map_or(Duration::ZERO, |entry| entry.t);
        let started = self.zero.unwrap_or(ended);
        let mut expectations = expectations(self.step);
        if self.is_refused() && !answers(&self.step.action) {
            expectations.push(undecided(answer(&self.step.action), self.step.location));
        }
        for (i, (report, verdict)) in expectations.iter_mut().zip(self.verdicts()).enumerate() {
            let expectation = i.checked_sub(usize::from(answers(&self.step.action))).and_then(|i| self.step.expect.get(i));
            if let (Some(expectation), Some(verdict)) = (expectation, &verdict)
                && verdict.outcome != Outcome::Pass
            {
                report.context = Some(context::around(entries, started, expectation, verdict));
                report.location = place(expectation, verdict);
            }
            if let (None, Some(verdict)) = (expectation, &verdict)
                && verdict.outcome != Outcome::Pass
            {
                report.context = target(self.step).map(|target| context::around(entries, started, &target, verdict));
            }
            report.verdict = verdict;
        }
        let duration = ended.saturating_sub(started);
        StepReport { state, started, duration, expectations, error: self.error(), ..not_run(self.step) }
    }

    /// The world as it is now, for the next step.
    pub fn into_world(self) -> World {
        self.judge.into_world()
    }

    fn error(&self) -> Option<String> {
        match &self.result {
            Some((ActionResult::Failed { error }, ..)) => Some(error.clone()),
            _ => None,
        }
    }

    fn is_refused(&self) -> bool {
        matches!(&self.result, Some((ActionResult::Refused { .. }, ..)))
    }

    /// If it is not known when the action was carried out, no verdict stands.
    fn settled(&self, verdict: &Verdict) -> Verdict {
        match &self.result {
            Some((ActionResult::Unsure { reason }, ..)) => unsettled(verdict, reason),
            _ => verdict.clone(),
        }
    }
}

/// The report of a step that was not begun.
pub fn not_run(step: &Step) -> StepReport {
    StepReport {
        name: step.name.clone().unwrap_or_else(|| step.action.to_string()),
        location: step.location,
        state: StepState::NotRun,
        started: Duration::ZERO,
        duration: Duration::ZERO,
        expectations: expectations(step),
        error: None,
    }
}

/// Where what failed stands in the file: the row, if it is one of several.
fn place(expectation: &Expectation, verdict: &Verdict) -> Location {
    let is_one_of_several = matches!(&expectation.claim, Claim::Sequence { rows, .. } if rows.len() > 1);
    let row = timed_row(expectation, verdict).filter(|_| is_one_of_several);
    row.map_or(expectation.location, |row| row.location)
}

/// The expectations of a step without verdicts; what the action must answer comes first.
fn expectations(step: &Step) -> Vec<ExpectationReport> {
    let of_action = answers(&step.action).then(|| undecided(answer(&step.action), step.location));
    of_action.into_iter().chain(step.expect.iter().map(|e| undecided(e.to_string(), e.location))).collect()
}

/// What is looked at around an answer that is not the expected one: the Pod or Service that gave it.
fn target(step: &Step) -> Option<Expectation> {
    let object = match &step.action {
        Action::Exec(exec) => ObjectRef { api_version: "v1".to_owned(), kind: "Pod".to_owned(), name: exec.pod.clone() },
        Action::Request(request) => request.to.clone(),
        _ => return None,
    };
    let claim = Claim::Never { row: Row::default(), hold: None };
    Some(Expectation { subject: Subject::Object(object), claim, location: step.location })
}

fn undecided(expectation: String, location: Location) -> ExpectationReport {
    ExpectationReport { expectation, location, verdict: None, context: None, histories: None }
}

/// What an action is expected to do, in words.
pub fn answer(action: &Action) -> String {
    format!("{action}: the answer")
}

/// Whether the action must be answered in a certain way.
fn answers(action: &Action) -> bool {
    matches!(action, Action::Exec(_) | Action::Request(_))
}
