//! Judges all expectations of a step at the same time.

use std::time::Duration;

use super::claim::Moment;
use super::expectation::ExpectationJudge;
use super::world::World;
use crate::scenario::Step;
use crate::timeline::Entry;
use crate::verdict::Verdict;

/// Judges a step while its timeline grows. What it says depends on the entries alone, not on when it is asked.
pub struct StepJudge {
    expectations: Vec<ExpectationJudge>,
    world: World,
    /// The time of the step's action.
    zero: Duration,
    now: Duration,
}

impl StepJudge {
    /// A judge of a step whose action is sent at `zero`, by the timeline's clock; `entry` is the timeline's entry that says so.
    pub fn new(step: &Step, world: World, zero: Duration, entry: usize) -> Self {
        let expectations = step.expect.iter().map(|e| ExpectationJudge::new(e, &relative(&world, zero), entry)).collect();
        let mut judge = Self { expectations, world, zero, now: Duration::ZERO };
        judge.decide_open_ended();
        judge
    }

    /// The next entry of the timeline and its position.
    pub fn take(&mut self, position: usize, entry: &Entry) {
        self.now = entry.t.saturating_sub(self.zero);
        let after = entry.after.map_or(self.now, |after| after.saturating_sub(self.zero).min(self.now));
        let moment = Moment { after, seen: self.now, entry: position };
        self.world.apply(entry);
        for expectation in &mut self.expectations {
            expectation.take(entry, moment, &self.world);
        }
        self.decide_open_ended();
    }

    /// Nothing was observed up to and including this time of the timeline's clock.
    pub fn advance(&mut self, t: Duration) {
        self.now = t.saturating_sub(self.zero);
        for expectation in &mut self.expectations {
            expectation.advance(self.now);
        }
        self.decide_open_ended();
    }

    /// The time of the timeline's clock at which [`advance`](Self::advance) decides something if nothing happens until then.
    pub fn due(&self) -> Option<Duration> {
        self.expectations.iter().filter_map(ExpectationJudge::due).min().map(|due| self.zero + due)
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

    /// A `never` lasts as long as the other expectations need.
    fn decide_open_ended(&mut self) {
        if self.expectations.iter().all(|e| e.verdict().is_some() || e.waits_for_step()) {
            for expectation in &mut self.expectations {
                expectation.step_over(self.now);
            }
        }
    }
}

/// The world with the times of its interrupted streams counted from the step's action.
fn relative(world: &World, zero: Duration) -> World {
    let mut world = world.clone();
    world.count_from(zero);
    world
}
