//! Judges what must not be seen at any moment.

use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive, pass};
use super::view::View;
use crate::scenario::Row;
use crate::verdict::{Deviation, Verdict};

/// Waits for what must not come.
pub(super) struct Never {
    row: Row,
    hold: Option<Duration>,
}

impl Never {
    pub(super) fn new(row: Row, hold: Option<Duration>) -> Self {
        Self { row, hold }
    }

    /// The verdict when the step needs no more time, which is now; only for a `never` that has no time of its own.
    pub(super) fn passed(now: Duration) -> Verdict {
        pass(now, format!("not seen until {}", at(now)), Vec::new())
    }
}

impl ClaimJudge for Never {
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        if let Some(hold) = self.hold
            && moment.after >= hold
        {
            return Some(Self::passed(hold));
        }
        if !view.violates(&self.row) {
            return None;
        }
        let seen = view.describe(&self.row);
        if self.hold.is_some_and(|hold| moment.seen > hold) {
            let message = format!("{seen} came between {} and {}, when nothing was observed", at(moment.after), at(moment.seen));
            return Some(inconclusive(moment.seen, message, vec![moment.entry]));
        }
        let message = format!("{seen} was seen at {}, which must never be", at(moment.seen));
        let verdict = fail(Deviation::Contradicted, moment.seen, message, vec![moment.entry]);
        Some(Verdict { expected: Some(format!("never {}", self.row)), nearest_miss: Some(seen), ..verdict })
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        self.hold.filter(|hold| now >= *hold).map(Self::passed)
    }

    fn due(&self) -> Option<Duration> {
        self.hold
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        let message = format!("nothing was observed between {} and {}, when it may have been seen", at(gap.from), at(gap.to));
        Some(inconclusive(gap.to, message, Vec::new()))
    }

    fn pending(&self) -> Vec<&Row> {
        Vec::new()
    }
}
