//! Judges what occurs again and again.

use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive, late_look, pass_by};
use super::view::View;
use crate::scenario::Row;
use crate::scenario::describe::duration;
use crate::verdict::{Deviation, Transition, Verdict};

/// How often, and how regularly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub(super) period: Duration,
    pub(super) tolerance: Duration,
    pub(super) times: u32,
    pub(super) first_by: Duration,
}

/// Waits for one occurrence after the other.
pub(super) struct Every {
    row: Row,
    rhythm: Rhythm,
    seen: Vec<Moment>,
    transitions: Vec<Transition>,
}

impl Every {
    pub(super) fn new(row: Row, rhythm: Rhythm) -> Self {
        Self { row, rhythm, seen: Vec::new(), transitions: Vec::new() }
    }

    /// When the next occurrence is due if the last one was at `last`: from, to.
    fn window(&self, last: Option<Duration>) -> (Duration, Duration) {
        let Rhythm { period, tolerance, first_by, .. } = self.rhythm;
        match last {
            None => (Duration::ZERO, first_by),
            Some(last) => {
                (last.saturating_add(period.saturating_sub(tolerance)), last.saturating_add(period).saturating_add(tolerance))
            }
        }
    }

    /// The latest window in which the next occurrence may be due.
    fn next_window(&self) -> (Duration, Duration) {
        self.window(self.seen.last().map(|moment| moment.seen))
    }

    fn evidence(&self, last: Option<Moment>) -> Vec<usize> {
        self.seen.iter().chain(last.iter()).map(|moment| moment.entry).collect()
    }

    fn expected(&self) -> String {
        let Rhythm { period, tolerance, .. } = self.rhythm;
        let (from, to) = self.next_window();
        let row = self.row.to_string();
        let space = if row.is_empty() { "" } else { " " };
        let next = if self.seen.is_empty() { format!("the first one by {}", at(to)) } else { between(from, to) };
        format!("{row}{space}every {} ± {}: {next}", duration(period), duration(tolerance))
    }

    fn wrong(&self, deviation: Deviation, decided: Duration, what: &str, last: Option<Moment>) -> Verdict {
        let message = format!("occurrence {} of {} {what}", self.seen.len() + 1, self.rhythm.times);
        let nearest_miss = self.seen.last().map(|last| format!("the one before was seen at {}", at(last.seen)));
        Verdict { expected: Some(self.expected()), nearest_miss, ..fail(deviation, decided, message, self.evidence(last)) }
    }

    /// Whether the next occurrence keeps the rhythm; each of the two may have happened anywhere between `after` and `seen`.
    fn check(&self, moment: Moment) -> Option<Verdict> {
        let (from, to) = self.next_window();
        let (sooner_from, sooner_to) = self.window(self.seen.last().map(|last| last.after));
        let seen = format!("was seen at {}", at(moment.seen));
        if moment.seen < sooner_from {
            return Some(self.wrong(Deviation::TooEarly, moment.seen, &format!("{seen}, before {}", at(from)), Some(moment)));
        }
        if moment.after > to {
            return Some(self.wrong(Deviation::TooLate, moment.seen, &format!("{seen}, after {}", at(to)), Some(moment)));
        }
        if moment.after < from || moment.seen > sooner_to {
            let last = self.seen.last().filter(|last| !last.is_sure() && moment.is_sure()).unwrap_or(&moment);
            let message = format!("an occurrence came between {} and {}, when nothing was observed", at(last.after), at(last.seen));
            return Some(inconclusive(moment.seen, message, self.evidence(Some(moment))));
        }
        None
    }

    fn note_transition(&mut self, moment: Moment) {
        let (from, to) = self.next_window();
        let late = to.saturating_sub(moment.seen).as_secs_f64();
        let margin = if self.seen.is_empty() { late } else { late.min(moment.seen.saturating_sub(from).as_secs_f64()) };
        let what = format!("occurrence {}", self.seen.len() + 1);
        self.transitions.push(Transition { what, at: moment.seen.as_secs_f64(), margin });
    }
}

fn between(from: Duration, to: Duration) -> String {
    format!("the next one between {} and {}", at(from), at(to))
}

impl ClaimJudge for Every {
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        if !view.is_like(&self.row) {
            return None;
        }
        if let Some(verdict) = self.check(moment) {
            return Some(verdict);
        }
        self.note_transition(moment);
        self.seen.push(moment);
        if self.seen.len() < self.rhythm.times as usize {
            return None;
        }
        let times: Vec<_> = self.seen.iter().map(|moment| at(moment.seen)).collect();
        Some(pass_by(self.transitions.clone(), moment.seen, format!("seen at {}", times.join(", ")), self.evidence(None)))
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        let to = self.next_window().1;
        (now >= to.saturating_add(late_look(self.rhythm.period)))
            .then(|| self.wrong(Deviation::Missing, now, &format!("was not seen by {}", at(to)), None))
    }

    fn due(&self) -> Option<Duration> {
        Some(self.next_window().1.saturating_add(late_look(self.rhythm.period)))
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        let message = format!("nothing was observed between {} and {}, when it may have occurred", at(gap.from), at(gap.to));
        Some(inconclusive(gap.to, message, self.evidence(None)))
    }

    fn pending(&self, _uid: &str) -> Vec<&Row> {
        vec![&self.row]
    }
}
