//! What one look at a Job finds, and what is to be done about it (`job_controller.go:syncJob`, `manageJob`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::Pod,
    },
    jiff::{SignedDuration, Timestamp},
};

use super::{indexes, is_tracked};
use crate::controllers::{ownership, pods};

/// How long the replacement of a failed Pod waits: doubled with each further failure, up to a limit
/// (`backoff_utils.go`).
const BACKOFF: Duration = Duration::from_secs(10);
const MAX_BACKOFF: Duration = Duration::from_mins(10);

/// How many Pods one look makes or deletes at most (`job_controller.go:MaxPodCreateDeletePerSync`).
const MAX_CHANGES: usize = 500;

/// Why a Job fails.
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
}

/// A look at a Job.
pub(super) struct Plan {
    pub(super) succeeded: Vec<Arc<Pod>>,
    pub(super) failed: Vec<Arc<Pod>>,
    /// How many have succeeded and failed, these included.
    pub(super) total_succeeded: i32,
    pub(super) total_failed: i32,
    pub(super) completed_indexes: Option<BTreeSet<i32>>,
    /// How many are active after what is to be deleted, not counting what is to be made.
    pub(super) active: usize,
    pub(super) ready: usize,
    pub(super) terminating: usize,
    pub(super) failure: Option<Failure>,
    pub(super) is_complete: bool,
    pub(super) is_suspended: bool,
    pub(super) to_delete: Vec<Arc<Pod>>,
    /// The Pods to make, with their indexes.
    pub(super) to_create: Vec<Option<i32>>,
    /// When to look again if nothing happens.
    pub(super) again: Option<Duration>,
}

impl Plan {
    pub(super) fn new(job: &Job, all: &[Arc<Pod>], now: Timestamp) -> Self {
        let default = JobSpec::default();
        let spec = job.spec.as_ref().unwrap_or(&default);
        let status = job.status.clone().unwrap_or_default();
        let finished = |phase: &str| -> Vec<Arc<Pod>> {
            all.iter().filter(|pod| pods::phase(pod) == phase && is_tracked(pod)).cloned().collect()
        };
        let (succeeded, failed) = (finished("Succeeded"), finished("Failed"));
        let active: Vec<_> = all.iter().filter(|pod| pods::is_active(pod)).cloned().collect();
        let is_indexed = spec.completion_mode.as_deref() == Some("Indexed");
        let completed_indexes = is_indexed.then(|| {
            let mut done = indexes::parse(status.completed_indexes.as_deref().unwrap_or_default(), spec.completions.unwrap_or(0));
            done.extend(succeeded.iter().filter_map(|pod| indexes::of(pod)));
            done
        });
        let total_succeeded = match &completed_indexes {
            Some(done) => number(done.len()),
            None => status.succeeded.unwrap_or(0) + number(succeeded.len()),
        };
        let mut plan = Self {
            total_succeeded,
            total_failed: status.failed.unwrap_or(0) + number(failed.len()),
            succeeded,
            failed,
            completed_indexes,
            ready: active.iter().filter(|pod| pods::is_ready(pod)).count(),
            terminating: all.iter().filter(|pod| pods::is_terminating(pod)).count(),
            active: active.len(),
            failure: None,
            is_complete: false,
            is_suspended: spec.suspend.unwrap_or(false),
            to_delete: Vec::new(),
            to_create: Vec::new(),
            again: None,
        };
        plan.failure = plan.failure_of(job, spec, &active, now);
        plan.is_complete = plan.failure.is_none() && plan.reaches_completions(spec);
        if plan.failure.is_some() || plan.is_complete || plan.is_suspended {
            plan.delete(active);
        } else {
            plan.fill_up(spec, active, all, now);
            plan.watch_deadline(job, spec, now);
        }
        plan
    }

    /// The Pods that are counted by this look.
    pub(super) fn newly_finished(&self) -> Vec<Arc<Pod>> {
        self.succeeded.iter().chain(&self.failed).cloned().collect()
    }

    fn delete(&mut self, pods: Vec<Arc<Pod>>) {
        self.active -= pods.len();
        self.ready -= pods.iter().filter(|pod| pods::is_ready(pod)).count();
        self.terminating += pods.iter().filter(|pod| !pods::node_name(pod).is_empty()).count();
        self.to_delete = pods;
    }

    fn failure_of(&self, job: &Job, spec: &JobSpec, active: &[Arc<Pod>], now: Timestamp) -> Option<Failure> {
        // A Job that has begun to fail fails for the reason that it began to fail for.
        let target = super::status::condition(job, "FailureTarget").and_then(|condition| condition.reason.as_deref());
        let limit = spec.backoff_limit.unwrap_or(6);
        let restarts: i32 = active.iter().map(|pod| pods::restarts(pod)).sum();
        let restarts_in_place = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some("OnFailure");
        let restarted_too_often = restarts_in_place && restarts > 0 && restarts >= limit;
        let passed = deadline(job, spec).is_some_and(|end| end <= now);
        if target == Some("BackoffLimitExceeded") || self.total_failed > limit || restarted_too_often {
            return Some(Failure { reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit" });
        }
        (target == Some("DeadlineExceeded") || (passed && !self.is_suspended))
            .then_some(Failure { reason: "DeadlineExceeded", message: "Job was active longer than specified deadline" })
    }

    fn reaches_completions(&self, spec: &JobSpec) -> bool {
        match spec.completions {
            Some(completions) => self.total_succeeded >= completions,
            // Without a number, the first success is enough, once the others have ended too.
            None => self.total_succeeded > 0 && self.active == 0,
        }
    }

    fn fill_up(&mut self, spec: &JobSpec, mut active: Vec<Arc<Pod>>, all: &[Arc<Pod>], now: Timestamp) {
        let parallelism = spec.parallelism.unwrap_or(1).max(0);
        let wanted = match spec.completions {
            Some(completions) => (completions - self.total_succeeded).clamp(0, parallelism),
            None if self.total_succeeded > 0 => number(active.len()).min(parallelism),
            None => parallelism,
        };
        let wanted = usize::try_from(wanted).unwrap_or(0);
        if active.len() > wanted {
            active.sort_by_key(|pod| (pods::is_ready(pod), ownership::uid(&pod.metadata).to_owned()));
            active.truncate((active.len() - wanted).min(MAX_CHANGES));
            self.delete(active);
        } else if active.len() < wanted {
            let wait = backoff(all, now);
            if wait.is_zero() {
                self.to_create = self.indexes_to_create(spec, &active, (wanted - active.len()).min(MAX_CHANGES));
                self.again = (self.to_create.len() == MAX_CHANGES).then_some(super::BATCH);
            } else {
                self.again = Some(wait);
            }
        }
    }

    fn indexes_to_create(&self, spec: &JobSpec, active: &[Arc<Pod>], count: usize) -> Vec<Option<i32>> {
        let Some(done) = &self.completed_indexes else { return vec![None; count] };
        let taken: BTreeSet<i32> = active.iter().filter_map(|pod| indexes::of(pod)).collect();
        let free = (0..spec.completions.unwrap_or(0)).filter(|index| !done.contains(index) && !taken.contains(index));
        free.take(count).map(Some).collect()
    }

    fn watch_deadline(&mut self, job: &Job, spec: &JobSpec, now: Timestamp) {
        let end = if job.status.as_ref().and_then(|status| status.start_time.as_ref()).is_some() {
            deadline(job, spec)
        } else {
            spec.active_deadline_seconds.and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok())
        };
        let Some(left) = end.and_then(|end| Duration::try_from(end.duration_since(now)).ok()) else { return };
        self.again = Some(self.again.map_or(left, |again| again.min(left)));
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn deadline(job: &Job, spec: &JobSpec) -> Option<Timestamp> {
    let start = job.status.as_ref()?.start_time.as_ref()?.0;
    start.checked_add(SignedDuration::from_secs(spec.active_deadline_seconds?)).ok()
}

/// How long the next Pod must wait because of the failures since the last success.
fn backoff(all: &[Arc<Pod>], now: Timestamp) -> Duration {
    let mut ended: Vec<(Timestamp, bool)> = all
        .iter()
        .filter(|pod| pods::is_terminal(pod))
        .map(|pod| (pods::finished_at(pod).unwrap_or(now), pods::phase(pod) == "Failed"))
        .collect();
    ended.sort_unstable();
    let failures = ended.iter().rev().take_while(|(_, failed)| *failed).count();
    let (Some((last, _)), Some(doublings)) = (ended.last(), failures.checked_sub(1)) else { return Duration::ZERO };
    let factor = 2_u32.saturating_pow(u32::try_from(doublings).unwrap_or(u32::MAX));
    let wait = BACKOFF.saturating_mul(factor).min(MAX_BACKOFF);
    let passed = Duration::try_from(now.duration_since(*last)).unwrap_or(Duration::ZERO);
    wait.saturating_sub(passed)
}
