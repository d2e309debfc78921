//! Judges what must not be seen at any moment.

use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive, pass, seen_at};
use super::view::View;
use crate::scenario::Row;
use crate::verdict::{Deviation, Verdict};

/// Waits for what must not come.
pub(super) struct Never {
    row: Row,
    hold: Option<Duration>,
    /// The first gap in which it may have come. It may still be seen for certain after that.
    gap: Option<Gap>,
}

impl Never {
    pub(super) fn new(row: Row, hold: Option<Duration>) -> Self {
        Self { row, hold, gap: None }
    }

    /// It has not been seen for as long as it was looked for.
    fn over(&self, until: Duration, now: Duration) -> Verdict {
        match self.gap {
            None => pass(now, format!("not seen until {}", at(until)), Vec::new()),
            Some(gap) => {
                let message = format!(
                    "not seen until {}, but nothing was observed between {} and {}, when it may have come",
                    at(until),
                    at(gap.from),
                    at(gap.to)
                );
                inconclusive(now, message, Vec::new())
            }
        }
    }
}

impl ClaimJudge for Never {
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        if let Some(hold) = self.hold.filter(|hold| moment.after >= *hold) {
            return Some(self.over(hold, moment.seen));
        }
        if !view.violates(&self.row) {
            return None;
        }
        let seen = view.describe_violation(&self.row);
        if self.hold.is_some_and(|hold| moment.seen >= hold) {
            let message = format!("{seen} came between {} and {}, when nothing was observed", at(moment.after), at(moment.seen));
            return Some(inconclusive(moment.seen, message, vec![moment.entry]));
        }
        let message = format!("{seen} {}, which must never be", seen_at(moment));
        let verdict = fail(Deviation::Contradicted, moment.seen, message, vec![moment.entry]);
        let row = self.row.to_string();
        let expected = if row.is_empty() { "never the event".to_owned() } else { format!("never {row}") };
        Some(Verdict { expected: Some(expected), nearest_miss: Some(format!("{seen} at {}", at(moment.seen))), ..verdict })
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        self.hold.filter(|hold| now >= *hold).map(|hold| self.over(hold, now))
    }

    fn due(&self) -> Option<Duration> {
        self.hold
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        if self.hold.is_none_or(|hold| gap.from < hold) {
            self.gap.get_or_insert(gap);
        }
        None
    }

    fn pending(&self, _uid: &str) -> Vec<&Row> {
        Vec::new()
    }

    fn is_open_ended(&self) -> bool {
        self.hold.is_none()
    }

    fn step_over(&self, now: Duration) -> Option<Verdict> {
        self.is_open_ended().then(|| self.over(now, now))
    }
}
