//! Judges one expectation: finds in each entry what concerns its subject, and hands it to the judge of its claim.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::cause::{self, Cause};
use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive};
use super::each::Each;
use super::every::{Every, Rhythm};
use super::never::Never;
use super::occurrences::is_like;
use super::prospects::Prospects;
use super::sequence::Sequence;
use super::view::View;
use super::watched::{Watched, together};
use super::world::{Known, World, picks};
use crate::scenario::{Claim, Expectation, Row};
use crate::timeline::{Change, LogLine, ObjectObservation, Stream};
use crate::verdict::{Deviation, Outcome, Verdict};

/// A stream that stays silent for so long makes what is due inconclusive.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// After an interruption of the Pods' watch, the logs of containers that were started meanwhile are read within this time.
const LOGS_CATCH_UP: Duration = Duration::from_secs(5);

/// Judges one expectation.
pub(super) struct ExpectationJudge {
    watched: Watched,
    claim: Box<dyn ClaimJudge + Send>,
    prospects: Prospects,
    /// The entry with which the step began.
    step: usize,
    /// The silent streams that concern it, since when.
    silent: BTreeMap<Stream, Duration>,
    /// A stream has been silent since before the step: it is not known what the subject looks like.
    is_blind: bool,
    /// The objects are listed after a gap: until all have been told, they are not what they are together.
    is_listing: bool,
    /// Until the second time, log lines may be as old as the first.
    late_logs: Option<(Duration, Duration)>,
    verdict: Option<Verdict>,
}

impl ExpectationJudge {
    /// A judge that has seen the world as it is when the action is sent: at `zero` of the timeline, at the given entry.
    pub(super) fn new(expectation: &Expectation, world: &World, zero: Duration, step: usize) -> Self {
        let watched = Watched::new(&expectation.subject, &expectation.claim);
        let claim = claim_judge(&expectation.claim, &watched);
        let silent = world.silent().filter(|(stream, _)| watched.concerns(stream, world));
        let silent: BTreeMap<_, _> = silent.map(|(stream, since)| (stream.clone(), since.saturating_sub(zero))).collect();
        let is_blind = !silent.is_empty();
        let prospects = Prospects::default();
        let mut judge =
            Self { watched, claim, prospects, step, silent, is_blind, is_listing: false, late_logs: None, verdict: None };
        let unwatched = judge.watched.kinds().into_iter().find(|(api_version, kind)| !world.is_watched(api_version, kind));
        if let Some((_, kind)) = unwatched {
            judge.verdict = Some(inconclusive(Duration::ZERO, format!("no {kind} was watched when this was recorded"), Vec::new()));
        } else if !is_blind {
            judge.look(world, Moment { is_initial: true, ..since(Duration::ZERO, Duration::ZERO) });
        }
        judge
    }

    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Whether only the end of the step can decide it, and it could be decided now.
    pub(super) fn waits_for_step(&self) -> bool {
        self.verdict.is_none() && self.silent.is_empty() && self.claim.is_open_ended()
    }

    /// The step needs no more time.
    pub(super) fn step_over(&mut self, now: Duration) {
        if self.verdict.is_none() {
            self.verdict = self.claim.step_over(now);
        }
    }

    /// The time at which [`advance`](Self::advance) decides something if nothing happens until then.
    pub(super) fn due(&self) -> Option<Duration> {
        if self.verdict.is_some() {
            return None;
        }
        match self.silent.values().min() {
            Some(since) => Some(since.saturating_add(LONGEST_SILENCE).max(self.claim.due().unwrap_or_default())),
            None => self.claim.due().into_iter().chain(self.prospects.due()).min(),
        }
    }

    /// Nothing has happened up to this time.
    pub(super) fn advance(&mut self, now: Duration, world: &World) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        if let Some(since) = self.silent.values().min() {
            let message =
                format!("nothing has been observed since {}: the watch was interrupted and has not come back", at(*since));
            self.verdict = Some(inconclusive(now, message, Vec::new()));
            return;
        }
        self.verdict = self.find_lost(now, world);
        if self.verdict.is_none() && self.claim.due().is_some_and(|due| now >= due) {
            self.verdict = self.claim.advance(now).map(|verdict| self.with_cause(verdict));
            if self.verdict.is_none() {
                self.look(world, since(now, now));
            }
        }
    }

    /// An object has changed, which the world has taken in already; what it knows of the object of that name now.
    pub(super) fn take_object(&mut self, object: &Arc<ObjectObservation>, known: Option<&Known>, moment: Moment, world: &World) {
        if self.verdict.is_some() || self.is_blind {
            return;
        }
        if self.watched.is_about(object) && !self.is_listing {
            self.observe_object(object, known.map(|known| &known.observed), self.widened(moment), world);
        }
        if self.verdict.is_none() && object.kind == "Pod" {
            self.update_prospects(Some(&object.name), moment, world);
        }
    }

    /// A line of a log was written.
    pub(super) fn take_line(&mut self, line: &LogLine, moment: Moment, world: &World) {
        let Watched::Log(source, lines) = &mut self.watched else { return };
        if self.verdict.is_none() && !self.is_blind && lines.take(source, line, world) {
            let moment = self.widened(moment);
            self.verdict = self.claim.observe(moment, &View::Line(Cow::Borrowed(&line.line)));
        }
    }

    pub(super) fn interrupt(&mut self, stream: &Stream, since: Duration, world: &World) {
        if self.verdict.is_none() && self.watched.concerns(stream, world) {
            self.silent.entry(stream.clone()).or_insert(since);
        }
    }

    /// A stream goes on: with a gap, or with what it could not say before.
    pub(super) fn resume(&mut self, stream: &Stream, gap: bool, now: Duration) {
        let Some(since) = self.silent.get(stream).copied() else { return };
        if self.verdict.is_some() || self.is_blind {
            return;
        }
        if gap {
            self.verdict = self.claim.gap(Gap { from: since, to: now });
            self.is_listing = matches!(self.watched, Watched::Together(..));
        }
        if matches!((&self.watched, stream), (Watched::Log(..), Stream::Watch { .. })) {
            self.late_logs = Some((since, now.saturating_add(LOGS_CATCH_UP)));
        }
    }

    /// The stream has said what it could not say before.
    pub(super) fn resumed(&mut self, stream: &Stream, now: Duration, world: &World) {
        let since = self.silent.remove(stream);
        if self.verdict.is_none() && std::mem::take(&mut self.is_listing) {
            self.look(world, self::since(since.unwrap_or(now), now));
        }
        if self.verdict.is_none() && self.is_blind && self.silent.is_empty() {
            self.is_blind = false;
            self.verdict = self.claim.gap(Gap { from: Duration::ZERO, to: now });
            self.look(world, self::since(Duration::ZERO, now));
        }
    }

    /// While one of several streams is silent, it is not known in which order things happen.
    fn widened(&self, moment: Moment) -> Moment {
        let late = self.late_logs.filter(|(_, until)| moment.seen <= *until).map(|(from, _)| from);
        let since = self.silent.values().copied().chain(late).min();
        Moment { after: since.map_or(moment.after, |since| moment.after.min(since)), ..moment }
    }

    /// Looks at what lasts: it has become so after the first time, and is so at the second.
    fn look(&mut self, world: &World, moment: Moment) {
        for (entry, view) in self.watched.look(world) {
            if self.verdict.is_none() {
                self.verdict = self.claim.observe(Moment { entry, ..moment }, &view);
            }
        }
        for pod in world.of_kind("v1", "Pod") {
            self.look_at_previous_logs(&pod.observed, moment, world);
        }
        if self.verdict.is_none() {
            self.update_prospects(None, moment, world);
        }
    }

    /// The previous log of a Pod in this state, as far as it has not been looked at.
    fn look_at_previous_logs(&mut self, pod: &ObjectObservation, moment: Moment, world: &World) {
        let Watched::Log(source, lines) = &mut self.watched else { return };
        let shown = lines.take_pod(source, pod, world.logs());
        if shown.has_lost && self.verdict.is_none() {
            self.verdict = self.claim.gap(Gap { from: moment.after, to: moment.seen });
        }
        for (entry, line) in shown.lines {
            if self.verdict.is_none() {
                self.verdict = self.claim.observe(Moment { entry, ..moment }, &View::Line(Cow::Owned(line)));
            }
        }
    }

    fn observe_object(
        &mut self,
        object: &Arc<ObjectObservation>,
        known: Option<&Arc<ObjectObservation>>,
        moment: Moment,
        world: &World,
    ) {
        match &mut self.watched {
            Watched::Object(_) => self.verdict = self.claim.observe(moment, &View::Object(known.cloned())),
            Watched::Together(selection, members) => {
                let known = known.filter(|known| picks(selection, known)).cloned();
                if known.is_none() && !members.contains_key(&object.name) {
                    return;
                }
                match known {
                    Some(known) => Arc::make_mut(members).insert(object.name.clone(), known),
                    None => Arc::make_mut(members).remove(&object.name),
                };
                let view = together(selection, members);
                self.verdict = self.claim.observe(moment, &view);
            }
            Watched::OneByOne(_) => self.verdict = self.claim.observe(moment, &View::Object(Some(Arc::clone(object)))),
            Watched::Event(pattern, occurrences) if object.change != Change::Deleted && is_like(pattern, &object.object) => {
                if object.change == Change::Initial && moment.is_sure() {
                    return occurrences.know(object);
                }
                if let Some(occurred) = occurrences.add(object) {
                    self.verdict = self.claim.observe(moment, &View::Occurrences(occurred, pattern.count));
                }
            }
            Watched::Event(..) => {}
            Watched::Log(..) => self.look_at_previous_logs(object, moment, world),
        }
    }

    /// A Pod has changed, or all may have: can what is expected still come?
    fn update_prospects(&mut self, pod: Option<&str>, moment: Moment, world: &World) {
        let sources = self.watched.sources(world);
        let is_concerned = |known: &&&Known| pod.is_none_or(|pod| known.observed.kind != "Pod" || known.observed.name == pod);
        let causes: Vec<_> = sources
            .iter()
            .filter(is_concerned)
            .map(|known| (known.observed.name.clone(), self.find_cause(known, world), known.last))
            .collect();
        if let Some(pod) = pod.filter(|pod| sources.iter().all(|known| known.observed.name != **pod)) {
            self.prospects.update(pod, None, moment);
        }
        for (name, cause, entry) in causes {
            self.prospects.update(&name, cause, Moment { entry, ..moment });
        }
    }

    /// Why this Pod, or this maker of Pods, does not become what is expected.
    fn find_cause(&self, known: &Known, world: &World) -> Option<Cause> {
        let pending = self.claim.pending(&known.observed.uid);
        if pending.is_empty() {
            return None;
        }
        match &self.watched {
            Watched::Log(source, _) => cause::of_log(source, known, self.step, world),
            Watched::Event(pattern, _) => cause::of_event(pattern, known, self.step, world),
            _ if known.observed.kind != "Pod" => cause::of_workload(&pending, &known.observed, self.step, world),
            Watched::Object(_) => cause::of_pod(&pending, known, self.step, world),
            Watched::Together(..) | Watched::OneByOne(_) => {
                cause::of_pod(&pending, known, self.step, world).map(|cause| cause.of_one_named(&known.observed.name))
            }
        }
    }

    /// What is lost for certain is given up at once.
    fn find_lost(&mut self, now: Duration, world: &World) -> Option<Verdict> {
        let certain = self.prospects.certain(now);
        if certain.is_empty() {
            return None;
        }
        if world.pods_are_silent() {
            self.prospects.begin_anew(now);
            return None;
        }
        for name in certain {
            let (_, entry) = self.prospects.of(&name)?;
            let known = self.watched.sources(world).into_iter().find(|known| known.observed.name == name);
            let cause = known.and_then(|known| self.find_cause(known, world));
            let Some(lost) = cause.clone().filter(|cause| cause.certain_after.is_some()) else {
                let moment = Moment { after: now, seen: now, entry, is_initial: false };
                self.prospects.update(&name, cause, moment);
                continue;
            };
            let uid = known.map_or("", |known| &known.observed.uid);
            let expected = self.claim.pending(uid).first().map(|row| self.in_words(row)).unwrap_or_default();
            let message = format!("{expected} can no longer be reached: {}", lost.text);
            if let Some(gap) = self.claim.gap_before_next(uid) {
                let hidden = format!(
                    "{message}; it may have been there between {} and {}, when nothing was observed",
                    at(gap.from),
                    at(gap.to)
                );
                return Some(Verdict { cause: Some(lost.text), ..inconclusive(now, hidden, vec![entry]) });
            }
            let verdict = fail(Deviation::Missing, now, message, vec![entry]);
            return Some(Verdict { expected: Some(expected), cause: Some(lost.text), ..verdict });
        }
        None
    }

    /// A row in words; an event has none of its own.
    fn in_words(&self, row: &Row) -> String {
        match &self.watched {
            Watched::Event(pattern, _) => format!("the {pattern}"),
            _ => row.to_string(),
        }
    }

    /// What is missing at its deadline may be so for a reason.
    fn with_cause(&self, verdict: Verdict) -> Verdict {
        if verdict.outcome != Outcome::Fail || verdict.deviation != Some(Deviation::Missing) || verdict.cause.is_some() {
            return verdict;
        }
        Verdict { cause: self.prospects.any().map(str::to_owned), ..verdict }
    }
}

/// What is so at the second time has become so after the first.
fn since(after: Duration, seen: Duration) -> Moment {
    Moment { after, seen, entry: 0, is_initial: false }
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
