//! Judges what occurs again and again.

use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive, late_look, pass};
use super::view::View;
use crate::scenario::Row;
use crate::scenario::describe::duration;
use crate::verdict::{Deviation, Verdict};

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
    margin: Option<f64>,
}

impl Every {
    pub(super) fn new(row: Row, rhythm: Rhythm) -> Self {
        Self { row, rhythm, seen: Vec::new(), margin: None }
    }

    /// When the next occurrence is due: from, to.
    fn window(&self) -> (Duration, Duration) {
        let Rhythm { period, tolerance, first_by, .. } = self.rhythm;
        match self.seen.last() {
            None => (Duration::ZERO, first_by),
            Some(last) => (last.seen + period.saturating_sub(tolerance), last.seen + period + tolerance),
        }
    }

    fn evidence(&self, last: Option<Moment>) -> Vec<usize> {
        self.seen.iter().chain(last.iter()).map(|moment| moment.entry).collect()
    }

    fn expected(&self) -> String {
        let Rhythm { period, tolerance, .. } = self.rhythm;
        let (from, to) = self.window();
        format!(
            "{} every {} ± {}: the next one between {} and {}",
            self.row,
            duration(period),
            duration(tolerance),
            at(from),
            at(to)
        )
    }

    fn wrong(&self, deviation: Deviation, decided: Duration, what: &str, last: Option<Moment>) -> Verdict {
        let message = format!("occurrence {} of {} {what}", self.seen.len() + 1, self.rhythm.times);
        let nearest_miss = self.seen.last().map(|last| format!("the one before was seen at {}", at(last.seen)));
        Verdict { expected: Some(self.expected()), nearest_miss, ..fail(deviation, decided, message, self.evidence(last)) }
    }
}

impl ClaimJudge for Every {
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        if !view.is_like(&self.row) {
            return None;
        }
        let (from, to) = self.window();
        if moment.after < moment.seen && (moment.after < from || moment.seen > to) {
            let message =
                format!("an occurrence came between {} and {}, when nothing was observed", at(moment.after), at(moment.seen));
            return Some(inconclusive(moment.seen, message, self.evidence(Some(moment))));
        }
        let seen = format!("was seen at {}", at(moment.seen));
        if moment.seen < from {
            return Some(self.wrong(Deviation::TooEarly, moment.seen, &format!("{seen}, before {}", at(from)), Some(moment)));
        }
        if moment.seen > to {
            return Some(self.wrong(Deviation::TooLate, moment.seen, &format!("{seen}, after {}", at(to)), Some(moment)));
        }
        if !self.seen.is_empty() {
            let nearer = (moment.seen.saturating_sub(from)).min(to.saturating_sub(moment.seen)).as_secs_f64();
            self.margin = Some(self.margin.map_or(nearer, |margin| margin.min(nearer)));
        }
        self.seen.push(moment);
        if self.seen.len() < self.rhythm.times as usize {
            return None;
        }
        let times: Vec<_> = self.seen.iter().map(|moment| at(moment.seen)).collect();
        Some(Verdict { margin: self.margin, ..pass(moment.seen, format!("seen at {}", times.join(", ")), self.evidence(None)) })
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        let due = self.due()?;
        (now >= due).then(|| self.wrong(Deviation::Missing, due, &format!("was not seen by {}", at(self.window().1)), None))
    }

    fn due(&self) -> Option<Duration> {
        Some(self.window().1 + late_look(self.rhythm.period))
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        let message = format!("nothing was observed between {} and {}, when it may have occurred", at(gap.from), at(gap.to));
        Some(inconclusive(gap.to, message, self.evidence(None)))
    }

    fn pending(&self) -> Vec<&Row> {
        vec![&self.row]
    }
}
