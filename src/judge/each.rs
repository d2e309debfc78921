//! Judges the objects of a selection one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive, late_look, pass_by};
use super::sequence::Sequence;
use super::view::View;
use super::world::{is_terminating, picks};
use crate::scenario::{Between, Row, Selection, TimedRow};
use crate::verdict::{Deviation, Outcome, Transition, Verdict};

/// A sequence for each object of a selection.
pub(super) struct Each {
    selection: Selection,
    rows: Vec<TimedRow>,
    between: Between,
    count: usize,
    /// By uid.
    objects: BTreeMap<String, One>,
    gaps: Vec<Gap>,
}

/// One object of the selection.
struct One {
    name: String,
    sequence: Sequence,
    verdict: Option<Verdict>,
    /// It was there when the action was sent.
    was_there: bool,
    /// It was there, and has gone since, as the Pods before a roll-out: it is none of those meant.
    has_left: bool,
}

impl One {
    fn has_verdict(&self) -> bool {
        self.has_left || self.verdict.is_some()
    }
}

impl Each {
    pub(super) fn new(selection: Selection, rows: Vec<TimedRow>, between: Between) -> Self {
        let count = selection.count.as_ref().map_or(1, |count| *count.start()) as usize;
        Self { selection, rows, between, count, objects: BTreeMap::new(), gaps: Vec::new() }
    }

    /// When it is given up that more objects come.
    fn given_up(&self) -> Duration {
        let latest = self.rows.first().map_or(Duration::ZERO, |row| row.when.latest);
        latest.saturating_add(late_look(latest))
    }

    fn lacks_objects(&self) -> bool {
        self.meant().count() < self.count
    }

    /// Those that are meant.
    fn meant(&self) -> impl Iterator<Item = &One> {
        self.objects.values().filter(|one| !one.has_left)
    }

    fn decided(&self) -> impl Iterator<Item = (&One, &Verdict)> {
        self.meant().filter_map(|one| Some((one, one.verdict.as_ref()?)))
    }

    /// The verdict on all, as far as those on the single objects make one.
    fn verdict(&self, now: Duration) -> Option<Verdict> {
        let wrong = self.decided().filter(|(_, verdict)| verdict.outcome != Outcome::Pass);
        if let Some((one, verdict)) = wrong.min_by_key(|(one, verdict)| (verdict.decided, &one.name)) {
            let verdict = Verdict { message: format!("{}: {}", one.name, verdict.message), ..verdict.clone() };
            return Some(if verdict.outcome == Outcome::Fail {
                self.unless_hidden(verdict, "others may have done it")
            } else {
                verdict
            });
        }
        // One that is undecided may yet fail, or leave.
        let decided = self.decided().count();
        if decided < self.count || decided < self.meant().count() {
            return None;
        }
        if decided > self.count {
            return Some(self.unless_hidden(self.too_many(now, decided), "some may have left"));
        }
        let messages: Vec<_> = self.decided().map(|(one, verdict)| format!("{} {}", one.name, verdict.message)).collect();
        let evidence = self.decided().flat_map(|(_, verdict)| verdict.evidence.clone()).collect();
        Some(self.unless_hidden(pass_by(self.transitions(), now, messages.join("; "), evidence), "another may have come or failed"))
    }

    /// A verdict that does not stand if there was a gap.
    fn unless_hidden(&self, verdict: Verdict, what: &str) -> Verdict {
        let Some(gap) = self.gaps.last() else { return verdict };
        let message = format!("{}; {what} between {} and {}, when nothing was observed", verdict.message, at(gap.from), at(gap.to));
        inconclusive(verdict.decided, message, verdict.evidence)
    }

    fn too_many(&self, now: Duration, seen: usize) -> Verdict {
        let expected = self.expected();
        let seen = format!("there were {seen}");
        let evidence = self.decided().flat_map(|(_, verdict)| verdict.evidence.clone()).collect();
        let verdict = fail(Deviation::Extra, now, format!("{expected} had to do so, {seen} that did"), evidence);
        Verdict { expected: Some(expected), nearest_miss: Some(seen), ..verdict }
    }

    fn expected(&self) -> String {
        let plural = if self.count == 1 { "" } else { "s" };
        format!("{} {}{plural} with {}", self.count, self.selection.kind.to_lowercase(), self.selection.selector)
    }

    /// Each row when the last object had come to it.
    fn transitions(&self) -> Vec<Transition> {
        let mut rows: Vec<Transition> = Vec::new();
        for (_, verdict) in self.decided() {
            for (i, of_one) in verdict.transitions.iter().enumerate() {
                match rows.get_mut(i) {
                    Some(row) => (row.at, row.margin) = (row.at.max(of_one.at), row.margin.min(of_one.margin)),
                    None => rows.push(of_one.clone()),
                }
            }
        }
        rows
    }

    fn too_few(&self, now: Duration) -> Verdict {
        let expected = self.expected();
        let seen = format!("there were {}", self.meant().count());
        if let Some(gap) = self.gaps.last() {
            let silence = format!("nothing was observed between {} and {}", at(gap.from), at(gap.to));
            return inconclusive(now, format!("{expected} were expected, {seen}, but {silence}"), Vec::new());
        }
        let verdict = fail(Deviation::Missing, now, format!("{expected} were expected, {seen}"), Vec::new());
        Verdict { expected: Some(expected), nearest_miss: Some(seen), ..verdict }
    }
}

impl ClaimJudge for Each {
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        let View::Object(Some(object)) = view else { return None };
        let is_picked = picks(&self.selection, object);
        if is_picked && !self.objects.contains_key(&object.uid) {
            let mut sequence = Sequence::new(self.rows.clone(), self.between);
            if let Some(gap) = self.gaps.last().copied().filter(|gap| gap.to == moment.seen && !moment.is_sure()) {
                // It was found after the gap, so it may have been there, and different, in it.
                sequence.gap(gap);
            }
            let (name, was_there) = (object.name.clone(), moment.is_initial);
            self.objects.insert(object.uid.clone(), One { name, sequence, verdict: None, was_there, has_left: false });
        }
        let one = self.objects.get_mut(&object.uid).filter(|one| !one.has_left)?;
        let is_leaving = !is_picked || (is_terminating(object) && self.selection.terminating != Some(true));
        if one.was_there && is_leaving {
            one.has_left = true;
            return self.verdict(moment.seen);
        }
        if one.verdict.is_some() {
            return None;
        }
        one.verdict = one.sequence.observe(moment, &View::Object(is_picked.then(|| object.clone())));
        if !is_picked && one.verdict.is_none() && !one.sequence.has_begun() {
            // It left before it began.
            self.objects.remove(&object.uid);
            return self.verdict(moment.seen);
        }
        one.verdict.is_some().then(|| self.verdict(moment.seen)).flatten()
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        for one in self.objects.values_mut().filter(|one| !one.has_verdict()) {
            if one.sequence.due().is_some_and(|due| now >= due) {
                one.verdict = one.sequence.advance(now);
            }
        }
        self.verdict(now).or_else(|| (self.lacks_objects() && now >= self.given_up()).then(|| self.too_few(now)))
    }

    fn due(&self) -> Option<Duration> {
        let undecided = self.objects.values().filter(|one| !one.has_verdict());
        undecided.filter_map(|one| one.sequence.due()).chain(self.lacks_objects().then(|| self.given_up())).min()
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        self.gaps.push(gap);
        for one in self.objects.values_mut().filter(|one| !one.has_verdict()) {
            one.verdict = one.sequence.gap(gap);
        }
        self.verdict(gap.to)
    }

    fn pending(&self, uid: &str) -> Vec<&Row> {
        match self.objects.get(uid) {
            Some(one) if one.has_verdict() => Vec::new(),
            Some(one) => one.sequence.pending(uid),
            None => self.rows.iter().map(|row| &row.row).collect(),
        }
    }

    fn gap_before_next(&self, _uid: &str) -> Option<Gap> {
        self.gaps.last().copied()
    }
}
