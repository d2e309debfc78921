//! What the judges of the three kinds of claims have in common.

use std::time::Duration;

use crate::judge::view::View;
use crate::scenario::{Row, TimedRow};
use crate::verdict::{Deviation, Outcome, Transition, Verdict, least_margin};

/// A moment at which a subject may have changed. Times are counted from the step's action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The earliest time at which it may have happened; equal to `seen` unless the watch had been interrupted.
    pub(super) after: Duration,
    /// When it was seen.
    pub(super) seen: Duration,
    /// The timeline's entry.
    pub(super) entry: usize,
    /// It was so already when the action was sent.
    pub(super) is_initial: bool,
}

impl Moment {
    pub(super) fn is_sure(self) -> bool {
        self.after == self.seen
    }
}

/// A stretch of time of which changes may be missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// Judges one claim about one subject. The caller sees to the order of time, calls `advance` at every `due` before anything that
/// comes at or after it, and calls nothing more once there is a verdict.
pub(super) trait ClaimJudge {
    /// The subject looks like this now.
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict>;

    /// Nothing has happened to the subject up to this time. If it is due and gives no verdict, a row has stayed as long as it had
    /// to, and the judge wants to see what the subject looks like now.
    fn advance(&mut self, now: Duration) -> Option<Verdict>;

    /// The time at which `advance` decides something if nothing happens until then.
    fn due(&self) -> Option<Duration>;

    /// Changes may be missing.
    fn gap(&mut self, gap: Gap) -> Option<Verdict>;

    /// The rows that the object of this uid must still become like, the next one first.
    fn pending(&self, uid: &str) -> Vec<&Row>;

    /// A gap in which the next of them may have come, and gone.
    fn gap_before_next(&self, _uid: &str) -> Option<Gap> {
        None
    }

    /// Whether it has no time of its own: it lasts as long as the step.
    fn is_open_ended(&self) -> bool {
        false
    }

    /// The step needs no more time; only an open-ended claim has a verdict then.
    fn step_over(&self, _now: Duration) -> Option<Verdict> {
        None
    }
}

/// How long the judge looks on after a deadline, so as to tell what comes late from what never comes: a quarter of the time
/// allowed, between two and fifteen seconds.
pub(crate) fn late_look(allowed: Duration) -> Duration {
    (allowed / 4).clamp(Duration::from_secs(2), Duration::from_secs(15))
}

/// What a verdict's message says of what is older than the step.
pub(super) const THERE_BEFORE: &str = "was there already when the action was sent";

/// A time as reports print it: `t+25.3s`.
pub(crate) fn at(time: Duration) -> String {
    format!("t+{:.1}s", time.as_secs_f64())
}

/// When something was seen, in words.
pub(super) fn seen_at(moment: Moment) -> String {
    if moment.is_initial { THERE_BEFORE.to_owned() } else { format!("was seen at {}", at(moment.seen)) }
}

/// A row and when it is due, in words; an event has no row of its own.
pub(super) fn wanted(timed: &TimedRow) -> String {
    let event = if timed.row.to_string().is_empty() { "the event, " } else { "" };
    format!("{event}{timed}")
}

pub(super) fn pass(decided: Duration, message: String, evidence: Vec<usize>) -> Verdict {
    Verdict {
        outcome: Outcome::Pass,
        deviation: None,
        decided,
        message,
        expected: None,
        nearest_miss: None,
        cause: None,
        evidence,
        margin: None,
        transitions: Vec::new(),
    }
}

/// A pass by these rows or occurrences.
pub(super) fn pass_by(transitions: Vec<Transition>, decided: Duration, message: String, evidence: Vec<usize>) -> Verdict {
    Verdict { margin: least_margin(&transitions), transitions, ..pass(decided, message, evidence) }
}

pub(super) fn inconclusive(decided: Duration, message: String, evidence: Vec<usize>) -> Verdict {
    Verdict { outcome: Outcome::Inconclusive, ..pass(decided, message, evidence) }
}

pub(super) fn fail(deviation: Deviation, decided: Duration, message: String, evidence: Vec<usize>) -> Verdict {
    Verdict { outcome: Outcome::Fail, deviation: Some(deviation), ..pass(decided, message, evidence) }
}
