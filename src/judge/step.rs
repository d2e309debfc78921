//! Judges all expectations of a step at the same time.

use std::time::Duration;

use super::claim::Moment;
use super::expectation::ExpectationJudge;
use super::world::World;
use crate::scenario::Step;
use crate::timeline::{Entry, Observation, Stream};
use crate::verdict::Verdict;

/// Judges a step while its timeline grows. What it says depends on the entries alone, not on when it is asked: what is due at the
/// time of an entry is decided before the entry.
pub struct StepJudge {
    expectations: Vec<ExpectationJudge>,
    world: World,
    /// The time of the step's action.
    zero: Duration,
    /// Since the step's action.
    now: Duration,
    /// The action has been answered.
    has_acted: bool,
}

impl StepJudge {
    /// A judge of a step whose action is sent at `zero`, by the timeline's clock; `entry` is the timeline's entry that says so.
    pub fn new(step: &Step, mut world: World, zero: Duration, entry: usize) -> Self {
        world.forget_older_logs();
        let expectations = step.expect.iter().map(|e| ExpectationJudge::new(e, &world, zero, entry)).collect();
        Self { expectations, world, zero, now: Duration::ZERO, has_acted: false }
    }

    /// The next entry of the timeline and its position.
    pub fn take(&mut self, position: usize, entry: &Entry) {
        self.pass_time(entry.t.saturating_sub(self.zero));
        if self.world.holds(position, entry) {
            return;
        }
        match &entry.what {
            Observation::Interrupted { stream, .. } => {
                self.world.interrupt(stream, entry.t);
                for expectation in &mut self.expectations {
                    expectation.interrupt(stream, self.now, &self.world);
                }
            }
            Observation::Resumed { stream, gap } => self.resume(stream, *gap),
            Observation::Acted { .. } => self.has_acted = true,
            _ => self.observe(position, entry),
        }
        self.decide_open_ended();
    }

    /// Nothing was observed before this time of the timeline's clock that has not been taken.
    pub fn advance(&mut self, t: Duration) {
        self.pass_time(t.saturating_sub(self.zero));
    }

    /// The time of the timeline's clock at which [`advance`](Self::advance) decides something if nothing happens until then.
    pub fn due(&self) -> Option<Duration> {
        self.next_due().map(|due| self.zero.saturating_add(due.max(self.now)))
    }

    /// Whether every expectation is decided: the step is over.
    pub fn is_decided(&self) -> bool {
        self.expectations.iter().all(|e| e.verdict().is_some())
    }

    /// The verdicts, in the order of the expectations; none for those that are not decided yet.
    pub fn verdicts(&self) -> impl Iterator<Item = Option<&Verdict>> {
        self.expectations.iter().map(ExpectationJudge::verdict)
    }

    /// The state of the world after the entries taken so far, for the judge of the next step.
    pub fn into_world(self) -> World {
        self.world
    }

    fn next_due(&self) -> Option<Duration> {
        self.expectations.iter().filter_map(ExpectationJudge::due).min()
    }

    /// Decides what is due, one time after the other, so that it does not matter how often it is asked.
    fn pass_time(&mut self, until: Duration) {
        while let Some(due) = self.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            for expectation in &mut self.expectations {
                expectation.advance(self.now, &self.world);
            }
            self.decide_open_ended();
        }
        self.now = self.now.max(until);
    }

    fn resume(&mut self, stream: &Stream, gap: bool) {
        let held = self.world.resume(stream, gap);
        for expectation in &mut self.expectations {
            expectation.resume(stream, gap, self.now);
        }
        for (position, entry) in held {
            self.observe(position, &entry);
        }
        for expectation in &mut self.expectations {
            expectation.resumed(stream, self.now, &self.world);
        }
    }

    /// What was held back is seen now: it may have happened at any time since the interruption.
    fn observe(&mut self, position: usize, entry: &Entry) {
        let after = entry.after.unwrap_or(entry.t).saturating_sub(self.zero).min(self.now);
        let moment = Moment { after, seen: self.now, entry: position, is_initial: false };
        self.world.know(position, entry);
        match &entry.what {
            Observation::Object(object) => {
                let known = self.world.named(&object.api_version, &object.kind, &object.name);
                for expectation in &mut self.expectations {
                    expectation.take_object(object, known, moment, &self.world);
                }
            }
            Observation::Log(line) => {
                for expectation in &mut self.expectations {
                    expectation.take_line(line, moment, &self.world);
                }
            }
            _ => {}
        }
    }

    /// A `never` lasts as long as the action and the other expectations need.
    fn decide_open_ended(&mut self) {
        if self.has_acted && self.expectations.iter().all(|e| e.verdict().is_some() || e.waits_for_step()) {
            for expectation in &mut self.expectations {
                expectation.step_over(self.now);
            }
        }
    }
}
