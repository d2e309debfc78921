//! Judges rows in their order, each in its window, each staying as long as it must.

use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive, late_look, pass};
use super::view::View;
use crate::scenario::{Between, Row, TimedRow};
use crate::verdict::{Deviation, Verdict};

/// Waits for one row after the other.
pub(super) struct Sequence {
    rows: Vec<TimedRow>,
    between: Between,
    /// How many rows have been reached; the last of them is the current one.
    reached: usize,
    /// Until when the current row has to stay, while that time is not over.
    holding_until: Option<Duration>,
    /// When the rows were reached, and by which entries.
    moments: Vec<Moment>,
    gaps: Vec<Gap>,
    nearest: Option<Nearest>,
    margin: Option<f64>,
}

/// What came nearest to the next row.
struct Nearest {
    score: usize,
    text: String,
}

impl Sequence {
    pub(super) fn new(rows: Vec<TimedRow>, between: Between) -> Self {
        Self { rows, between, reached: 0, holding_until: None, moments: Vec::new(), gaps: Vec::new(), nearest: None, margin: None }
    }

    fn next(&self) -> Option<&TimedRow> {
        self.rows.get(self.reached)
    }

    fn current(&self) -> Option<&TimedRow> {
        self.rows.get(self.reached.checked_sub(1)?)
    }

    fn evidence(&self, last: Option<Moment>) -> Vec<usize> {
        self.moments.iter().chain(last.iter()).map(|moment| moment.entry).collect()
    }

    /// The current row must stay; the view is what has become of it.
    fn check_hold(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        let until = self.holding_until?;
        let current = self.current()?;
        if moment.after >= until {
            return self.advance(until);
        }
        if view.is_like(&current.row) {
            return None;
        }
        let reached = self.moments.last().map_or(Duration::ZERO, |m| m.seen);
        let (row, seen) = (current.row.to_string(), view.describe(&current.row));
        let evidence = self.evidence(Some(moment));
        if moment.seen > until {
            let message =
                format!("{row} ended between {} and {}, it had to stay until {}", at(moment.after), at(moment.seen), at(until));
            return Some(inconclusive(moment.seen, message, evidence));
        }
        let message =
            format!("{row} had to stay from {} until {}, but at {} {seen} was seen", at(reached), at(until), at(moment.seen));
        let verdict = fail(Deviation::Contradicted, moment.seen, message, evidence);
        Some(Verdict { expected: Some(current.to_string()), nearest_miss: Some(seen), ..verdict })
    }

    /// Goes on to as many rows as the view is like.
    fn reach(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        while self.holding_until.is_none()
            && let Some(next) = self.next()
            && view.is_like(&next.row)
        {
            if let Some(verdict) = self.check_window(moment, view) {
                return Some(verdict);
            }
            let when = self.rows[self.reached].when;
            self.note_margin(moment);
            self.moments.push(moment);
            self.nearest = None;
            self.reached += 1;
            if !when.hold.is_zero() {
                self.holding_until = Some(moment.seen + when.hold);
            } else if self.reached == self.rows.len() {
                return Some(self.passed(moment.seen));
            }
        }
        None
    }

    /// The next row is seen; was it time?
    fn check_window(&self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        let next = self.next()?;
        let when = next.when;
        let row = named(&next.row, view);
        let unsure = |message: String| Some(inconclusive(moment.seen, message, self.evidence(Some(moment))));
        let wrong = |deviation, message: String| {
            let verdict = fail(deviation, moment.seen, message, self.evidence(Some(moment)));
            Some(Verdict {
                expected: Some(next.to_string()),
                nearest_miss: Some(format!("{row} at {}", at(moment.seen))),
                ..verdict
            })
        };
        if moment.seen < when.earliest {
            return wrong(Deviation::TooEarly, format!("{row} was seen at {}, before {}", at(moment.seen), at(when.earliest)));
        }
        if moment.after > when.latest {
            if let Some(gap) = self.gap_before(when.latest) {
                return unsure(format!(
                    "{row} was seen at {}, after {}; it may have been there before, between {} and {}, when nothing was observed",
                    at(moment.seen),
                    at(when.latest),
                    at(gap.from),
                    at(gap.to)
                ));
            }
            return wrong(Deviation::TooLate, format!("{row} was seen at {}, after {}", at(moment.seen), at(when.latest)));
        }
        if moment.after < when.earliest || (moment.seen > when.latest) && moment.after < moment.seen {
            let window = format!("{}..{}", at(when.earliest), at(when.latest));
            return unsure(format!(
                "{row} came between {} and {}, when nothing was observed; its window is {window}",
                at(moment.after),
                at(moment.seen)
            ));
        }
        if moment.seen > when.latest {
            return wrong(Deviation::TooLate, format!("{row} was seen at {}, after {}", at(moment.seen), at(when.latest)));
        }
        if let Some(gap) = self.gap_before(when.earliest) {
            return unsure(format!(
                "{row} was seen at {}; it may have been there before, between {} and {}, when nothing was observed",
                at(moment.seen),
                at(gap.from),
                at(gap.to)
            ));
        }
        None
    }

    fn gap_before(&self, time: Duration) -> Option<Gap> {
        let since = self.moments.last().map_or(Duration::ZERO, |m| m.seen);
        self.gaps.iter().copied().find(|gap| gap.from < time && gap.to >= since)
    }

    fn note_margin(&mut self, moment: Moment) {
        let Some(when) = self.next().map(|next| next.when) else { return };
        let late = (when.latest.saturating_sub(moment.seen)).as_secs_f64();
        let early = (!when.earliest.is_zero()).then(|| moment.seen.saturating_sub(when.earliest).as_secs_f64());
        let nearer = early.map_or(late, |early| early.min(late));
        self.margin = Some(self.margin.map_or(nearer, |margin| margin.min(nearer)));
    }

    /// Neither the current row nor the next one is seen.
    fn check_between(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        let current = self.current()?;
        if self.between == Between::Any || view.is_like(&current.row) {
            return None;
        }
        let expected = self.next().map_or_else(|| current.to_string(), TimedRow::to_string);
        let seen = view.describe(self.next().map_or(&current.row, |next| &next.row));
        let skipped = self.rows.iter().skip(self.reached + 1).any(|later| view.is_like(&later.row));
        let (deviation, what) =
            if skipped { (Deviation::OutOfOrder, "a later row") } else { (Deviation::Extra, "a row that is not listed") };
        let message = format!("{seen} was seen at {}: {what}, where {expected} was to come", at(moment.seen));
        let verdict = fail(deviation, moment.seen, message, self.evidence(Some(moment)));
        Some(Verdict { expected: Some(expected), nearest_miss: Some(seen), ..verdict })
    }

    fn note_nearest(&mut self, moment: Moment, view: &View<'_>) {
        let Some(next) = self.next() else { return };
        let score = view.score(&next.row);
        if self.nearest.as_ref().is_none_or(|nearest| score >= nearest.score) {
            self.nearest = Some(Nearest { score, text: format!("{} at {}", view.describe(&next.row), at(moment.seen)) });
        }
    }

    fn passed(&self, decided: Duration) -> Verdict {
        let times: Vec<_> = self.moments.iter().map(|moment| at(moment.seen)).collect();
        let held = self.rows.last().is_some_and(|row| !row.when.hold.is_zero());
        let until = if held { format!(", stayed until {}", at(decided)) } else { String::new() };
        Verdict { margin: self.margin, ..pass(decided, format!("seen at {}{until}", times.join(", ")), self.evidence(None)) }
    }

    fn missing(&self, decided: Duration) -> Option<Verdict> {
        let next = self.next()?;
        if let Some(gap) = self.gap_before(next.when.latest) {
            let message = format!("{next} was not seen, but nothing was observed between {} and {}", at(gap.from), at(gap.to));
            return Some(inconclusive(decided, message, self.evidence(None)));
        }
        let expected = next.to_string();
        let verdict = fail(Deviation::Missing, decided, format!("{expected} was not seen"), self.evidence(None));
        let nearest_miss = self.nearest.as_ref().map(|nearest| nearest.text.clone());
        Some(Verdict { expected: Some(expected), nearest_miss, ..verdict })
    }
}

/// The row in words; an event has none of its own.
fn named(row: &Row, view: &View<'_>) -> String {
    let text = row.to_string();
    if text.is_empty() { view.describe(row) } else { text }
}

impl ClaimJudge for Sequence {
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        if self.holding_until.is_some() {
            if let Some(verdict) = self.check_hold(moment, view) {
                return Some(verdict);
            }
            if self.holding_until.is_some() {
                return None;
            }
        }
        let before = self.reached;
        if let Some(verdict) = self.reach(moment, view) {
            return Some(verdict);
        }
        if self.reached > before {
            return None;
        }
        self.note_nearest(moment, view);
        self.check_between(moment, view)
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        if let Some(until) = self.holding_until {
            if now < until {
                return None;
            }
            self.holding_until = None;
            if self.reached == self.rows.len() {
                return Some(self.passed(until));
            }
        }
        let latest = self.next()?.when.latest;
        let due = latest + late_look(latest);
        if now >= due { self.missing(due) } else { None }
    }

    fn due(&self) -> Option<Duration> {
        if self.holding_until.is_some() {
            return self.holding_until;
        }
        let latest = self.next()?.when.latest;
        Some(latest + late_look(latest))
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        self.gaps.push(gap);
        let depends = self.holding_until.is_some() || (self.reached > 0 && self.between == Between::Listed);
        let message =
            || format!("nothing was observed between {} and {}, when another row may have come", at(gap.from), at(gap.to));
        depends.then(|| inconclusive(gap.to, message(), self.evidence(None)))
    }

    fn pending(&self) -> Vec<&Row> {
        self.rows[self.reached..].iter().map(|row| &row.row).collect()
    }
}
