//! Judges rows in their order, each in its window, each staying as long as it must.

use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive, late_look, pass_by, seen_at, wanted};
use super::view::View;
use crate::scenario::{Between, Row, TimedRow};
use crate::verdict::{Deviation, Transition, Verdict};

/// Waits for one row after the other.
pub(super) struct Sequence {
    rows: Vec<TimedRow>,
    between: Between,
    /// When the rows were reached, and by which entries; the last of them is the current row's.
    reached: Vec<Moment>,
    /// The current row has to stay, and that time is not over.
    is_holding: bool,
    /// How much earlier that time may have been over; set for the look that follows.
    slack: Duration,
    /// While the current row has to stay: since when the subject has been like each row.
    like_since: Vec<Option<Moment>>,
    /// When each row was seen last before it was its turn.
    before_its_turn: Vec<Option<Moment>>,
    gaps: Vec<Gap>,
    nearest: Option<Nearest>,
    /// The rows that were reached.
    transitions: Vec<Transition>,
}

/// What came nearest to the next row.
struct Nearest {
    score: usize,
    seen: Duration,
    view: View<'static>,
}

impl Sequence {
    pub(super) fn new(rows: Vec<TimedRow>, between: Between) -> Self {
        let before_its_turn = vec![None; rows.len()];
        Self {
            rows,
            between,
            reached: Vec::new(),
            is_holding: false,
            slack: Duration::ZERO,
            like_since: before_its_turn.clone(),
            before_its_turn,
            gaps: Vec::new(),
            nearest: None,
            transitions: Vec::new(),
        }
    }

    /// Whether a row has been reached.
    pub(super) fn has_begun(&self) -> bool {
        !self.reached.is_empty()
    }

    fn next(&self) -> Option<&TimedRow> {
        self.rows.get(self.reached.len())
    }

    /// The row reached last, and when.
    fn current(&self) -> Option<(&TimedRow, Moment)> {
        let moment = *self.reached.last()?;
        Some((self.rows.get(self.reached.len() - 1)?, moment))
    }

    fn is_complete(&self) -> bool {
        self.reached.len() == self.rows.len() && !self.is_holding
    }

    fn evidence(&self, last: Option<Moment>) -> Vec<usize> {
        let mut entries: Vec<_> = self.reached.iter().chain(last.iter()).map(|moment| moment.entry).collect();
        entries.dedup();
        entries
    }

    /// Until when the current row has to stay.
    fn hold_end(&self) -> Option<Duration> {
        let (row, since) = self.current().filter(|_| self.is_holding)?;
        Some(since.seen.saturating_add(row.when.hold))
    }

    /// The current row has to stay; the view is what has become of it. It came, and went, at an unknown time between `after` and `seen`.
    fn check_hold(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        let (current, since) = self.current().filter(|_| self.is_holding)?;
        if view.is_like(&current.row) {
            return None;
        }
        let (shortest, longest) = (moment.after.saturating_sub(since.seen), moment.seen.saturating_sub(since.after));
        let (row, hold) = (&current.row, current.when.hold);
        if shortest >= hold {
            self.is_holding = false;
            return self.is_complete().then(|| self.passed(moment.seen));
        }
        let seen = view.describe(row);
        let evidence = self.evidence(Some(moment));
        let until = at(since.seen.saturating_add(hold));
        if longest >= hold {
            let message = format!("{row} ended between {} and {}, it had to stay until {until}", at(moment.after), at(moment.seen));
            return Some(inconclusive(moment.seen, message, evidence));
        }
        let message =
            format!("{row} had to stay from {} until {until}, but at {} {seen} was seen", at(since.seen), at(moment.seen));
        let verdict = fail(Deviation::Contradicted, moment.seen, message, evidence);
        let nearest_miss = Some(format!("{seen} at {}", at(moment.seen)));
        Some(Verdict { expected: Some(wanted(current)), nearest_miss, ..verdict })
    }

    /// The current row has to stay, and does; the rows after it may have come meanwhile.
    fn note_while_holding(&mut self, moment: Moment, view: &View<'_>) {
        for (row, since) in self.rows.iter().zip(&mut self.like_since).skip(self.reached.len()) {
            *since = view.is_like(&row.row).then(|| since.unwrap_or(moment));
        }
    }

    /// Goes on to as many rows as the view is like. One that came while the row before had to stay has come then.
    fn reach(&mut self, now: Moment, view: &View<'_>) -> Option<Verdict> {
        while !self.is_holding
            && let Some(next) = self.next()
            && view.is_like(&next.row)
        {
            let holds = !next.when.hold.is_zero();
            let moment = self.like_since.get_mut(self.reached.len()).and_then(Option::take).unwrap_or(now);
            if let Some(verdict) = self.check_window(moment, now.seen, view) {
                return Some(verdict);
            }
            self.transitions.extend(self.transition(moment));
            self.nearest = None;
            self.reached.push(moment);
            self.is_holding = holds;
        }
        if self.is_holding {
            self.note_while_holding(now, view);
        } else {
            self.like_since.fill(None);
        }
        self.is_complete().then(|| self.passed(now.seen))
    }

    /// The next row is seen; was it time?
    fn check_window(&self, moment: Moment, decided: Duration, view: &View<'_>) -> Option<Verdict> {
        let next = self.next()?;
        let when = next.when;
        let row = named(&next.row, view);
        let unsure = |message: String| Some(inconclusive(decided, message, self.evidence(Some(moment))));
        let seen = seen_at(moment);
        let wrong = |deviation, message: String| {
            let verdict = fail(deviation, decided, message, self.evidence(Some(moment)));
            let nearest_miss = Some(format!("{row} at {}", at(moment.seen)));
            let transitions = self.transitions.iter().cloned().chain(self.transition(moment)).collect();
            Some(Verdict { expected: Some(wanted(next)), nearest_miss, transitions, ..verdict })
        };
        let gap = |gap: Gap| format!("between {} and {}, when nothing was observed", at(gap.from), at(gap.to));
        if moment.seen < when.earliest {
            return wrong(Deviation::TooEarly, format!("{row} {seen}, before {}", at(when.earliest)));
        }
        if moment.after > when.latest {
            let after = format!("{row} {seen}, after {}", at(when.latest));
            return match self.gap_until(when.latest) {
                Some(before) => unsure(format!("{after}; it may have been there before, {}", gap(before))),
                None => wrong(Deviation::TooLate, after),
            };
        }
        if !moment.is_sure() && (moment.after < when.earliest || moment.seen > when.latest) {
            let came = gap(Gap { from: moment.after, to: moment.seen });
            return unsure(format!("{row} came {came}; its window is {}..{}", at(when.earliest), at(when.latest)));
        }
        // A row that must stay from its first time on must not have come and gone before it was seen.
        let first_time = if when.hold.is_zero() { when.earliest } else { moment.seen };
        let before = self.gap_before(first_time)?;
        unsure(format!("{row} {seen}; it may have been there before, {}", gap(before)))
    }

    /// A gap after the current row was reached and before this time.
    fn gap_before(&self, time: Duration) -> Option<Gap> {
        let since = self.reached.last().map_or(Duration::ZERO, |moment| moment.after);
        self.gaps.iter().copied().find(|gap| gap.from < time && gap.to >= since)
    }

    /// The same, if it may have come at this very time too.
    fn gap_until(&self, time: Duration) -> Option<Gap> {
        self.gap_before(time.saturating_add(Duration::from_nanos(1)))
    }

    /// The next row, which came at this moment.
    fn transition(&self, moment: Moment) -> Option<Transition> {
        let next = self.next()?;
        let [earliest, latest, at] = [next.when.earliest, next.when.latest, moment.seen].map(|time| time.as_secs_f64());
        let early = if next.when.earliest.is_zero() { f64::INFINITY } else { at - earliest };
        Some(Transition { what: wanted(next), at, margin: early.min(latest - at) })
    }

    /// The next row is not seen; may what is seen come before it?
    fn check_between(&self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        let (current, _) = self.current()?;
        if self.between == Between::Any || view.is_like(&current.row) {
            return None;
        }
        let next = self.next().unwrap_or(current);
        let (seen, expected) = (view.describe(&both(&current.row, &next.row)), wanted(next));
        let is_later = self.rows.iter().skip(self.reached.len() + 1).any(|later| view.is_like(&later.row));
        let (deviation, what) =
            if is_later { (Deviation::OutOfOrder, "a later row") } else { (Deviation::Extra, "a row that is not listed") };
        let message = format!("{seen} was seen at {}: {what}, where {expected} was to come", at(moment.seen));
        let verdict = fail(deviation, moment.seen, message, self.evidence(Some(moment)));
        let nearest_miss = Some(format!("{seen} at {}", at(moment.seen)));
        Some(Verdict { expected: Some(expected), nearest_miss, ..verdict })
    }

    fn note_nearest(&mut self, moment: Moment, view: &View<'_>) {
        let Some(next) = self.next() else { return };
        let score = view.score(&next.row);
        // The first of equals for a selection, which is not kept cheaply; the last of equals otherwise.
        let is_cheap = !matches!(view, View::Selection(..));
        if self.nearest.as_ref().is_none_or(|nearest| score > nearest.score || (is_cheap && score == nearest.score)) {
            self.nearest = Some(Nearest { score, seen: moment.seen, view: view.clone().into_owned() });
        }
    }

    fn note_before_its_turn(&mut self, moment: Moment, view: &View<'_>) {
        // What comes before the first row is free, and what is like the current row is no later one.
        if self.current().is_none_or(|(current, _)| view.is_like(&current.row)) {
            return;
        }
        let later = self.rows.iter().zip(&mut self.before_its_turn).skip(self.reached.len() + 1);
        later.filter(|(row, _)| view.is_like(&row.row)).for_each(|(_, seen)| *seen = Some(moment));
    }

    fn passed(&self, decided: Duration) -> Verdict {
        let times: Vec<_> = self.reached.iter().map(|moment| at(moment.seen)).collect();
        let hold = self.current().filter(|(row, _)| !row.when.hold.is_zero());
        let until =
            hold.map_or(String::new(), |(row, since)| format!(", stayed until {}", at(since.seen.saturating_add(row.when.hold))));
        pass_by(self.transitions.clone(), decided, format!("seen at {}{until}", times.join(", ")), self.evidence(None))
    }

    fn missing(&self, decided: Duration) -> Option<Verdict> {
        let next = self.next()?;
        let row = wanted(next);
        if let Some(gap) = self.gap_until(next.when.latest) {
            let message = format!("{row} was not seen, but nothing was observed between {} and {}", at(gap.from), at(gap.to));
            return Some(inconclusive(decided, message, self.evidence(None)));
        }
        let expected = Some(row.clone());
        if let Some(before) = self.before_its_turn.get(self.reached.len()).copied().flatten() {
            let message = format!("{row} was not seen after the row before it, but earlier, at {}", at(before.seen));
            let verdict = fail(Deviation::OutOfOrder, decided, message, self.evidence(Some(before)));
            return Some(Verdict { expected, nearest_miss: Some(format!("{} at {}", next.row, at(before.seen))), ..verdict });
        }
        let verdict = fail(Deviation::Missing, decided, format!("{row} was not seen"), self.evidence(None));
        let nearest_miss =
            self.nearest.as_ref().map(|nearest| format!("{} at {}", nearest.view.describe(&next.row), at(nearest.seen)));
        Some(Verdict { expected, nearest_miss, transitions: self.transitions.clone(), ..verdict })
    }

    /// When the next row is given up.
    fn given_up(&self) -> Option<Duration> {
        let latest = self.next()?.when.latest;
        Some(latest.saturating_add(late_look(latest)))
    }
}

/// All that two rows ask about.
fn both(current: &Row, next: &Row) -> Row {
    let mut both = next.clone();
    current.columns.iter().for_each(|(header, wanted)| _ = both.columns.entry(header.clone()).or_insert_with(|| wanted.clone()));
    current.fields.iter().for_each(|(path, wanted)| _ = both.fields.entry(path.clone()).or_insert_with(|| wanted.clone()));
    both.last_termination = next.last_termination.clone().or_else(|| current.last_termination.clone());
    both
}

/// The row in words; an event has none of its own.
fn named(row: &Row, view: &View<'_>) -> String {
    let text = row.to_string();
    if text.is_empty() { view.describe(row) } else { text }
}

impl ClaimJudge for Sequence {
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        let moment = Moment { after: moment.after.saturating_sub(std::mem::take(&mut self.slack)), ..moment };
        if self.is_holding {
            let verdict = self.check_hold(moment, view);
            if verdict.is_some() {
                return verdict;
            }
            if self.is_holding {
                self.note_while_holding(moment, view);
                return None;
            }
        }
        let before = self.reached.len();
        if let Some(verdict) = self.reach(moment, view) {
            return Some(verdict);
        }
        if self.reached.len() > before {
            return None;
        }
        self.note_before_its_turn(moment, view);
        self.note_nearest(moment, view);
        self.check_between(moment, view)
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        if let Some(until) = self.hold_end() {
            if now < until {
                return None;
            }
            self.is_holding = false;
            self.slack = self.current().map_or(Duration::ZERO, |(_, since)| since.seen.saturating_sub(since.after));
            return self.is_complete().then(|| self.passed(now));
        }
        self.given_up().filter(|due| now >= *due).and_then(|_| self.missing(now))
    }

    fn due(&self) -> Option<Duration> {
        self.hold_end().or_else(|| self.given_up())
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        self.gaps.push(gap);
        let depends = self.is_holding || (self.has_begun() && self.between == Between::Listed);
        let message =
            || format!("nothing was observed between {} and {}, when another row may have come", at(gap.from), at(gap.to));
        depends.then(|| inconclusive(gap.to, message(), self.evidence(None)))
    }

    fn pending(&self, _uid: &str) -> Vec<&Row> {
        self.rows[self.reached.len()..].iter().map(|row| &row.row).collect()
    }

    fn gap_before_next(&self, _uid: &str) -> Option<Gap> {
        self.gap_before(Duration::MAX)
    }
}
