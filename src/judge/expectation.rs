//! Judges one expectation: finds in each entry what concerns its subject, and hands it to the judge of its claim.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cause;
use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive};
use super::each::Each;
use super::every::{Every, Rhythm};
use super::log_lines::LogLines;
use super::never::Never;
use super::sequence::Sequence;
use super::view::View;
use super::world::{World, is_like};
use crate::scenario::{Claim, CountRange, Expectation, LogSource, ObjectRef, Quantifier, Selection, Subject};
use crate::timeline::{Change, Entry, ObjectObservation, Observation, Stream};
use crate::verdict::{Deviation, Verdict};

/// A stream that stays silent for so long after an expectation was due makes it inconclusive.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

const AT_LEAST_ONE: CountRange = 1..=u32::MAX;

/// Judges one expectation.
pub(super) struct ExpectationJudge {
    watched: Watched,
    claim: Box<dyn ClaimJudge + Send>,
    /// It has no time of its own: it lasts as long as the step.
    open_ended: bool,
    /// The silent streams that concern it, since when.
    silent: BTreeMap<Stream, Duration>,
    verdict: Option<Verdict>,
}

/// A subject with what has to be remembered of it.
enum Watched {
    Object(ObjectRef),
    Together(Selection),
    OneByOne(Selection),
    /// With the occurrences before the step.
    Event(crate::scenario::EventPattern, u32),
    Log(LogSource, LogLines),
}

impl ExpectationJudge {
    /// A judge that has seen the world as it is when the action is sent, at the given entry.
    pub(super) fn new(expectation: &Expectation, world: &World, entry: usize) -> Self {
        let watched = match &expectation.subject {
            Subject::Object(object) => Watched::Object(object.clone()),
            Subject::Selection(s) if s.quantifier == Quantifier::Each && !matches!(expectation.claim, Claim::Never { .. }) => {
                Watched::OneByOne(s.clone())
            }
            Subject::Selection(selection) => Watched::Together(selection.clone()),
            Subject::Event(pattern) => Watched::Event(pattern.clone(), world.occurrences(pattern)),
            Subject::Log(source) => Watched::Log(source.clone(), LogLines::default()),
        };
        let claim = claim_judge(&expectation.claim, &watched);
        let open_ended = matches!(expectation.claim, Claim::Never { hold: None, .. });
        let mut judge = Self { watched, claim, open_ended, silent: BTreeMap::new(), verdict: None };
        for (stream, since) in world.interrupted() {
            judge.interrupt(stream, since);
        }
        judge.look_at_first(world, entry);
        judge
    }

    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Whether only the end of the step can decide it, and it could be decided now.
    pub(super) fn waits_for_step(&self) -> bool {
        self.verdict.is_none() && self.open_ended && self.silent.is_empty()
    }

    /// The step needs no more time.
    pub(super) fn step_over(&mut self, now: Duration) {
        self.verdict.get_or_insert_with(|| Never::passed(now));
    }

    /// The time at which [`advance`](Self::advance) will decide it if nothing happens.
    pub(super) fn due(&self) -> Option<Duration> {
        if self.verdict.is_some() {
            return None;
        }
        match self.silent.values().min() {
            Some(since) => Some((*since + LONGEST_SILENCE).max(self.claim.due().unwrap_or_default())),
            None => self.claim.due(),
        }
    }

    /// Nothing has happened up to and including this time.
    pub(super) fn advance(&mut self, now: Duration) {
        if self.verdict.is_some() {
            return;
        }
        if self.silent.is_empty() {
            self.verdict = self.claim.advance(now);
        } else if self.due().is_some_and(|due| now >= due) {
            let since = self.silent.values().min().copied().unwrap_or_default();
            let message = format!("nothing has been observed since {}: the watch was interrupted and has not come back", at(since));
            self.verdict = Some(inconclusive(now, message, Vec::new()));
        }
    }

    /// The next entry of the timeline, which the world has taken in already; times are those of the moment.
    pub(super) fn take(&mut self, entry: &Entry, moment: Moment, world: &World) {
        self.advance_to_just_before(moment.seen);
        if self.verdict.is_some() {
            return;
        }
        match &entry.what {
            Observation::Object(object) => self.take_object(object, moment, world),
            Observation::Log(line) => {
                if let Watched::Log(source, lines) = &mut self.watched {
                    let shown = lines.take(source, line, world);
                    self.observe_lines(&shown, moment);
                }
            }
            Observation::Interrupted { stream, .. } => self.interrupt(stream, moment.seen),
            Observation::Resumed { stream, gap } => self.resume(stream, *gap, moment.seen),
            _ => {}
        }
    }

    /// A deadline is still kept by what is seen at its very time.
    fn advance_to_just_before(&mut self, now: Duration) {
        self.advance(now.saturating_sub(Duration::from_nanos(1)));
    }

    fn look_at_first(&mut self, world: &World, entry: usize) {
        let moment = Moment { after: Duration::ZERO, seen: Duration::ZERO, entry };
        match &self.watched {
            Watched::Object(object) => {
                let found = world.object(object).cloned();
                self.verdict = self.claim.observe(moment, &View::Object(found.as_ref()));
            }
            Watched::Together(_) => self.observe_selection(moment, world),
            Watched::OneByOne(selection) => {
                let found: Vec<_> = world.selected(selection).cloned().collect();
                for object in &found {
                    self.take_object(object, moment, world);
                }
            }
            Watched::Event(..) | Watched::Log(..) => {}
        }
    }

    fn take_object(&mut self, object: &ObjectObservation, moment: Moment, world: &World) {
        let is_kind = |api_version: &str, kind: &str| object.api_version == api_version && object.kind == kind;
        match &mut self.watched {
            Watched::Object(wanted) if is_kind(&wanted.api_version, &wanted.kind) && object.name == wanted.name => {
                let exists = object.change != Change::Deleted;
                self.verdict = self.claim.observe(moment, &View::Object(exists.then_some(object)));
            }
            Watched::Together(selection) if is_kind(&selection.api_version, &selection.kind) => {
                self.observe_selection(moment, world);
            }
            Watched::OneByOne(selection) if is_kind(&selection.api_version, &selection.kind) => {
                self.verdict = self.claim.observe(moment, &View::Object(Some(object)));
            }
            Watched::Event(pattern, before) if is_kind("v1", "Event") && is_like(pattern, &object.object) => {
                let occurred = world.occurrences(pattern).saturating_sub(*before);
                let is_new = !matches!(object.change, Change::Deleted | Change::Initial) || moment.after < moment.seen;
                if is_new && occurred > 0 {
                    self.verdict = self.claim.observe(moment, &View::Occurrences(occurred, pattern.count));
                }
            }
            Watched::Log(source, lines) if is_kind("v1", "Pod") => {
                let shown = lines.take_pod(source, object);
                self.observe_lines(&shown, moment);
            }
            _ => {}
        }
        if self.verdict.is_none() && is_kind("v1", "Pod") {
            self.verdict = self.find_cause(object, moment, world);
        }
    }

    fn observe_selection(&mut self, moment: Moment, world: &World) {
        if let Watched::Together(selection) = &self.watched {
            let objects: Vec<_> = world.selected(selection).collect();
            let count = selection.count.as_ref().unwrap_or(&AT_LEAST_ONE);
            self.verdict = self.claim.observe(moment, &View::Selection(objects, count));
        }
    }

    fn observe_lines(&mut self, lines: &[String], moment: Moment) {
        for line in lines {
            if self.verdict.is_none() {
                self.verdict = self.claim.observe(moment, &View::Line(line));
            }
        }
    }

    /// A Pod has changed; can what is expected still come?
    fn find_cause(&self, pod: &ObjectObservation, moment: Moment, world: &World) -> Option<Verdict> {
        let pending = self.claim.pending();
        let cause = match &self.watched {
            Watched::Object(object) if object.kind == "Pod" => cause::of_pod(&pending, world.object(object)?, world),
            Watched::Object(object) if object.kind == "Deployment" => cause::of_deployment(&pending, world.object(object)?, world),
            Watched::Together(s) | Watched::OneByOne(s)
                if s.kind == "Pod" && s.selector.matches(&pod.object) && pod.change != Change::Deleted =>
            {
                cause::of_pod(&pending, pod, world).map(|cause| format!("pod {}: {cause}", pod.name))
            }
            _ => None,
        }?;
        let expected = pending.first()?.to_string();
        let message = format!("{expected} can no longer be reached: {cause}");
        let verdict = fail(Deviation::Missing, moment.seen, message, vec![moment.entry]);
        Some(Verdict { expected: Some(expected), cause: Some(cause), ..verdict })
    }

    fn interrupt(&mut self, stream: &Stream, since: Duration) {
        if self.concerns(stream) {
            self.silent.entry(stream.clone()).or_insert(since);
        }
    }

    fn resume(&mut self, stream: &Stream, gap: bool, now: Duration) {
        let Some(from) = self.silent.remove(stream) else { return };
        if gap {
            self.verdict = self.claim.gap(Gap { from, to: now });
        }
        if self.verdict.is_none() && self.silent.is_empty() {
            self.advance_to_just_before(now);
        }
    }

    fn concerns(&self, stream: &Stream) -> bool {
        match (&self.watched, stream) {
            (Watched::Object(object), Stream::Watch { api_version, kind }) => {
                *api_version == object.api_version && *kind == object.kind
            }
            (Watched::Together(s) | Watched::OneByOne(s), Stream::Watch { api_version, kind }) => {
                *api_version == s.api_version && *kind == s.kind
            }
            (Watched::Event(..), Stream::Watch { kind, .. }) => kind == "Event",
            (Watched::Log(..), Stream::Watch { kind, .. }) => kind == "Pod",
            (Watched::Log(source, _), Stream::Log(instance)) => LogLines::concerns(source, instance),
            (_, Stream::Log(_)) => false,
        }
    }
}

fn claim_judge(claim: &Claim, watched: &Watched) -> Box<dyn ClaimJudge + Send> {
    match claim {
        Claim::Sequence { rows, between } => match watched {
            Watched::OneByOne(selection) => Box::new(Each::new(selection.clone(), rows.clone(), *between)),
            _ => Box::new(Sequence::new(rows.clone(), *between)),
        },
        Claim::Never { row, hold } => Box::new(Never::new(row.clone(), *hold)),
        Claim::Every { row, period, tolerance, times, first_by } => {
            let rhythm = Rhythm { period: *period, tolerance: *tolerance, times: *times, first_by: *first_by };
            Box::new(Every::new(row.clone(), rhythm))
        }
    }
}
