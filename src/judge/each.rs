//! Judges the objects of a selection one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive, late_look, pass_by};
use super::sequence::Sequence;
use super::view::View;
use super::world::picks;
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
        self.objects.len() < self.count
    }

    /// A gap in which an object that nobody saw may have come, failed and gone.
    fn gap_with_failures(&self) -> Option<Gap> {
        let may_fail = |gap: &&Gap| {
            self.rows.len() > 1 || self.rows.iter().any(|row| row.when.earliest > gap.from || !row.when.hold.is_zero())
        };
        self.gaps.iter().find(may_fail).copied()
    }

    fn decided(&self) -> impl Iterator<Item = (&One, &Verdict)> {
        self.objects.values().filter_map(|one| Some((one, one.verdict.as_ref()?)))
    }

    /// The verdict on all, as far as those on the single objects make one.
    fn verdict(&self, now: Duration) -> Option<Verdict> {
        let wrong = self.decided().filter(|(_, verdict)| verdict.outcome != Outcome::Pass);
        if let Some((one, verdict)) = wrong.min_by_key(|(one, verdict)| (verdict.decided, &one.name)) {
            let message = format!("{}: {}", one.name, verdict.message);
            return Some(match self.gaps.last().filter(|_| verdict.outcome == Outcome::Fail) {
                None => Verdict { message, ..verdict.clone() },
                Some(gap) => {
                    let others = format!("others may have done it between {} and {}", at(gap.from), at(gap.to));
                    inconclusive(
                        verdict.decided,
                        format!("{message}; {others}, when nothing was observed"),
                        verdict.evidence.clone(),
                    )
                }
            });
        }
        if self.decided().count() < self.count {
            return None;
        }
        let messages: Vec<_> = self.decided().map(|(one, verdict)| format!("{} {}", one.name, verdict.message)).collect();
        let evidence = self.decided().flat_map(|(_, verdict)| verdict.evidence.clone()).collect();
        if let Some(gap) = self.gap_with_failures() {
            let others = format!("another may have failed between {} and {}", at(gap.from), at(gap.to));
            return Some(inconclusive(now, format!("{}; {others}, when nothing was observed", messages.join("; ")), evidence));
        }
        Some(pass_by(self.transitions(), now, messages.join("; "), evidence))
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
        let expected = format!("{} {}s with {}", self.count, self.selection.kind.to_lowercase(), self.selection.selector);
        let seen = format!("there were {}", self.objects.len());
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
            self.objects.insert(object.uid.clone(), One { name: object.name.clone(), sequence, verdict: None });
        }
        let one = self.objects.get_mut(&object.uid).filter(|one| one.verdict.is_none())?;
        one.verdict = one.sequence.observe(moment, &View::Object(is_picked.then(|| object.clone())));
        if !is_picked && one.verdict.is_none() && !one.sequence.has_begun() {
            // It left before it began, such as a Pod of the ReplicaSet before: it is none of those meant.
            self.objects.remove(&object.uid);
            return None;
        }
        one.verdict.is_some().then(|| self.verdict(moment.seen)).flatten()
    }

    fn advance(&mut self, now: Duration) -> Option<Verdict> {
        for one in self.objects.values_mut().filter(|one| one.verdict.is_none()) {
            if one.sequence.due().is_some_and(|due| now >= due) {
                one.verdict = one.sequence.advance(now);
            }
        }
        self.verdict(now).or_else(|| (self.lacks_objects() && now >= self.given_up()).then(|| self.too_few(now)))
    }

    fn due(&self) -> Option<Duration> {
        let undecided = self.objects.values().filter(|one| one.verdict.is_none());
        undecided.filter_map(|one| one.sequence.due()).chain(self.lacks_objects().then(|| self.given_up())).min()
    }

    fn gap(&mut self, gap: Gap) -> Option<Verdict> {
        self.gaps.push(gap);
        for one in self.objects.values_mut().filter(|one| one.verdict.is_none()) {
            one.verdict = one.sequence.gap(gap);
        }
        self.verdict(gap.to)
    }

    fn pending(&self, uid: &str) -> Vec<&Row> {
        match self.objects.get(uid) {
            Some(One { verdict: Some(_), .. }) => Vec::new(),
            Some(one) => one.sequence.pending(uid),
            None => self.rows.iter().map(|row| &row.row).collect(),
        }
    }
}
