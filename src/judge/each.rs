//! Judges the objects of a selection one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, fail, late_look, pass};
use super::sequence::Sequence;
use super::view::View;
use crate::scenario::{Between, Row, Selection, TimedRow};
use crate::timeline::Change;
use crate::verdict::{Deviation, Outcome, Verdict};

/// A sequence for each object of a selection.
pub(super) struct Each {
    selection: Selection,
    rows: Vec<TimedRow>,
    between: Between,
    count: usize,
    objects: BTreeMap<String, One>,
}

/// One object of the selection.
struct One {
    name: String,
    sequence: Sequence,
    verdict: Option<Verdict>,
}

impl Each {
    pub(super) fn new(selection: Selection, rows: Vec<TimedRow>, between: Between) -> Self {
        let count = selection.count.as_ref().map_or(1, |count| *count.start()) as usize;
        Self { selection, rows, between, count, objects: BTreeMap::new() }
    }

    fn latest_of_first(&self) -> Duration {
        self.rows.first().map_or(Duration::ZERO, |row| row.when.latest)
    }

    /// The verdict on all, as far as those on the single objects make one.
    fn verdict(&self) -> Option<Verdict> {
        let decided = || self.objects.values().filter_map(|one| Some((one, one.verdict.as_ref()?)));
        if let Some((one, verdict)) = decided().find(|(_, verdict)| verdict.outcome != Outcome::Pass) {
            return Some(Verdict { message: format!("{}: {}", one.name, verdict.message), ..verdict.clone() });
        }
        if decided().count() < self.count {
            return None;
        }
        let messages: Vec<_> = decided().map(|(one, verdict)| format!("{} {}", one.name, verdict.message)).collect();
        let last = decided().map(|(_, verdict)| verdict.decided).max().unwrap_or_default();
        let evidence = decided().flat_map(|(_, verdict)| verdict.evidence.clone()).collect();
        let margin = decided().filter_map(|(_, verdict)| verdict.margin).reduce(f64::min);
        Some(Verdict { margin, ..pass(last, messages.join("; "), evidence) })
    }
}

impl ClaimJudge for Each {
    fn observe(&mut self, moment: Moment, view: &View<'_>) -> Option<Verdict> {
        let View::Object(Some(object)) = view else { return None };
        let terminating = object.object.pointer("/metadata/deletionTimestamp").is_some();
        let is_selected = object.change != Change::Deleted
            && self.selection.selector.matches(&object.object)
            && self.selection.terminating.is_none_or(|wanted| wanted == terminating);
        if is_selected && !self.objects.contains_key(&object.uid) {
            let sequence = Sequence::new(self.rows.clone(), self.between);
            self.objects.insert(object.uid.clone(), One { name: object.name.clone(), sequence, verdict: None });
        }
        let one = self.objects.get_mut(&object.uid).filter(|one| one.verdict.is_none())?;
        one.verdict = one.sequence.observe(moment, &View::Object(is_selected.then_some(*object)));
        self.verdict()
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        for one in self.objects.values_mut().filter(|one| one.verdict.is_none()) {
            one.verdict = one.sequence.advance(now);
        }
        if let Some(verdict) = self.verdict() {
            return Some(verdict);
        }
        let latest = self.latest_of_first();
        let due = latest + late_look(latest);
        if now < due || self.objects.len() >= self.count {
            return None;
        }
        let expected = format!("{} {}s with {}", self.count, self.selection.kind.to_lowercase(), self.selection.selector);
        let seen = format!("there were {}", self.objects.len());
        let verdict = fail(Deviation::Missing, due, format!("{expected} were expected, {seen}"), Vec::new());
        Some(Verdict { expected: Some(expected), nearest_miss: Some(seen), ..verdict })
    }

    fn due(&self) -> Option<Duration> {
        let latest = self.latest_of_first();
        let for_more = (self.objects.len() < self.count).then(|| latest + late_look(latest));
        let undecided = self.objects.values().filter(|one| one.verdict.is_none());
        undecided.filter_map(|one| one.sequence.due()).chain(for_more).min()
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        for one in self.objects.values_mut().filter(|one| one.verdict.is_none()) {
            one.verdict = one.sequence.gap(gap);
        }
        self.verdict()
    }

    fn pending(&self) -> Vec<&Row> {
        self.rows.iter().map(|row| &row.row).collect()
    }
}
