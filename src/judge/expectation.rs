//! Judges one expectation: finds in each entry what concerns its subject, and hands it to the judge of its claim.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::cause::{self, Cause};
use super::claim::{ClaimJudge, Gap, Moment, at, fail, inconclusive};
use super::each::Each;
use super::every::{Every, Rhythm};
use super::log_lines;
use super::never::Never;
use super::occurrences::is_like;
use super::prospects::Prospects;
use super::sequence::Sequence;
use super::view::View;
use super::watched::{Watched, together};
use super::world::{Known, World, picks};
use crate::scenario::{Claim, Expectation};
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
        if !is_blind {
            judge.look(world, Duration::ZERO, Duration::ZERO);
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
                self.look(world, now, now);
            }
        }
    }

    /// An object has changed, which the world has taken in already; what it knows of the object of that name now.
    pub(super) fn take_object(&mut self, object: &Arc<ObjectObservation>, known: Option<&Known>, moment: Moment, world: &World) {
        if self.verdict.is_some() || self.is_blind {
            return;
        }
        if self.watched.is_about(object) && !self.is_listing {
            self.observe_object(object, known.map(|known| &known.observed), self.widened(moment));
        }
        if self.verdict.is_none() && object.kind == "Pod" {
            self.update_prospects(object, known, moment, world);
        }
    }

    /// A line of a log was written.
    pub(super) fn take_line(&mut self, line: &LogLine, moment: Moment, world: &World) {
        let Watched::Log(source, lines) = &mut self.watched else { return };
        if self.verdict.is_none() && !self.is_blind && lines.take(source, line, moment.entry, world) {
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
            self.look(world, since.unwrap_or(now), now);
        }
        if self.verdict.is_none() && self.is_blind && self.silent.is_empty() {
            self.is_blind = false;
            self.verdict = self.claim.gap(Gap { from: Duration::ZERO, to: now });
            self.look(world, Duration::ZERO, now);
        }
    }

    /// While one of several streams is silent, it is not known in which order things happen.
    fn widened(&self, moment: Moment) -> Moment {
        let late = self.late_logs.filter(|(_, until)| moment.seen <= *until).map(|(from, _)| from);
        let since = self.silent.values().copied().chain(late).min();
        Moment { after: since.map_or(moment.after, |since| moment.after.min(since)), ..moment }
    }

    /// Looks at what lasts: it has become so after the first time, and is so at the second.
    fn look(&mut self, world: &World, after: Duration, seen: Duration) {
        for (entry, view) in self.watched.look(world) {
            if self.verdict.is_none() {
                self.verdict = self.claim.observe(Moment { after, seen, entry }, &view);
            }
        }
        for name in self.watched.pods(world) {
            if let Some(pod) = world.named("v1", "Pod", &name).filter(|_| self.verdict.is_none()) {
                self.update_prospects(&pod.observed, Some(pod), Moment { after, seen, entry: pod.last }, world);
            }
        }
    }

    fn observe_object(&mut self, object: &Arc<ObjectObservation>, known: Option<&Arc<ObjectObservation>>, moment: Moment) {
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
            Watched::Log(source, lines) => {
                for (entry, line) in lines.take_pod(source, object) {
                    if self.verdict.is_none() {
                        self.verdict = self.claim.observe(Moment { entry, ..moment }, &View::Line(Cow::Owned(line)));
                    }
                }
            }
        }
    }

    /// A Pod has changed; can what is expected still come?
    fn update_prospects(&mut self, pod: &ObjectObservation, known: Option<&Known>, moment: Moment, world: &World) {
        let name = match &self.watched {
            Watched::Object(object) if object.kind == "Deployment" || (object.kind == "Pod" && object.name == pod.name) => {
                &object.name
            }
            Watched::Together(s, _) | Watched::OneByOne(s) if s.kind == "Pod" && s.selector.matches(&pod.object) => &pod.name,
            Watched::Log(source, _) if log_lines::is_picked(source, pod) => &pod.name,
            _ => return,
        };
        let cause = self.find_cause(name, known, world);
        self.prospects.update(name, cause, moment);
    }

    /// Why the object of this name does not become what is expected; `pod` is what is known of the Pod if it is one.
    fn find_cause(&self, name: &str, pod: Option<&Known>, world: &World) -> Option<Cause> {
        if let Watched::Object(object) = &self.watched
            && object.kind == "Deployment"
        {
            let deployment = &world.object(object)?.observed;
            return cause::of_deployment(&self.claim.pending(&deployment.uid), deployment, self.step, world);
        }
        let pod = pod?;
        let pending = self.claim.pending(&pod.observed.uid);
        match &self.watched {
            Watched::Object(_) => cause::of_pod(&pending, pod, self.step, world),
            Watched::Log(..) if !pending.is_empty() => cause::of_container(&pod.observed),
            Watched::Together(..) | Watched::OneByOne(_) => {
                let cause = cause::of_pod(&pending, pod, self.step, world)?;
                Some(Cause { text: format!("pod {name}: {}", cause.text), ..cause })
            }
            _ => None,
        }
    }

    /// What is lost for certain is given up at once.
    fn find_lost(&mut self, now: Duration, world: &World) -> Option<Verdict> {
        for name in self.prospects.certain(now) {
            let (_, entry) = self.prospects.of(&name)?;
            let cause = self.find_cause(&name, world.named("v1", "Pod", &name), world);
            if cause.as_ref().is_none_or(|cause| cause.certain_after.is_none()) {
                self.prospects.update(&name, cause, Moment { after: now, seen: now, entry });
                continue;
            }
            let expected = self.expected(&name, world);
            let cause = cause?.text;
            let verdict = fail(Deviation::Missing, now, format!("{expected} can no longer be reached: {cause}"), vec![entry]);
            return Some(Verdict { expected: Some(expected), cause: Some(cause), ..verdict });
        }
        None
    }

    /// The row that the object of this name must become like next.
    fn expected(&self, name: &str, world: &World) -> String {
        let uid = match &self.watched {
            Watched::Object(object) => world.object(object),
            _ => world.named("v1", "Pod", name),
        };
        let pending = self.claim.pending(uid.map_or("", |known| &known.observed.uid));
        pending.first().map(ToString::to_string).unwrap_or_default()
    }

    /// What is missing at its deadline may be so for a reason.
    fn with_cause(&self, verdict: Verdict) -> Verdict {
        if verdict.outcome != Outcome::Fail || verdict.deviation != Some(Deviation::Missing) || verdict.cause.is_some() {
            return verdict;
        }
        Verdict { cause: self.prospects.any().map(str::to_owned), ..verdict }
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
