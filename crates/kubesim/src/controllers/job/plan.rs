//! What one look at a Job finds, and what is to be done about it (`job_controller.go:syncJob`, `manageJob`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::Pod,
    },
    jiff::{SignedDuration, Timestamp},
};

use super::{indexes, is_tracked, policy};
use crate::controllers::{ownership, pods};

/// How long the replacement of a failed Pod waits: doubled with each further failure, up to a limit
/// (`backoff_utils.go`).
const BACKOFF: Duration = Duration::from_secs(10);
const MAX_BACKOFF: Duration = Duration::from_mins(10);

/// How many Pods one look makes or deletes at most (`job_controller.go:MaxPodCreateDeletePerSync`).
const MAX_CHANGES: usize = 500;

/// Why a Job fails.
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) message: String,
}

impl Failure {
    fn new(reason: &str, message: &str) -> Self {
        Self { reason: reason.to_owned(), message: message.to_owned() }
    }
}

/// A Pod to make: its index, and for a Job that limits the failures of each index how often those before it have failed, and how
/// often without counting.
pub(super) struct NewPod {
    pub(super) index: Option<i32>,
    pub(super) failures: Option<(i32, i32)>,
}

/// A look at a Job.
pub(super) struct Plan {
    pub(super) succeeded: Vec<Arc<Pod>>,
    pub(super) failed: Vec<Arc<Pod>>,
    /// How many have succeeded and failed, these included.
    pub(super) total_succeeded: i32,
    pub(super) total_failed: i32,
    pub(super) completed_indexes: Option<BTreeSet<i32>>,
    /// Of a Job that limits the failures of each index.
    pub(super) failed_indexes: Option<BTreeSet<i32>>,
    /// How many are active after what is to be deleted, not counting what is to be made.
    pub(super) active: usize,
    pub(super) ready: usize,
    pub(super) terminating: usize,
    pub(super) failure: Option<Failure>,
    /// Why the Job is complete, if it is.
    pub(super) success: Option<(&'static str, String)>,
    pub(super) is_suspended: bool,
    pub(super) to_delete: Vec<Arc<Pod>>,
    pub(super) to_create: Vec<NewPod>,
    /// When to look again if nothing happens.
    pub(super) again: Option<Duration>,
}

impl Plan {
    pub(super) fn new(job: &Job, all: &[Arc<Pod>], now: Timestamp) -> Self {
        let default = JobSpec::default();
        let spec = job.spec.as_ref().unwrap_or(&default);
        let status = job.status.clone().unwrap_or_default();
        let tracked =
            |is: &dyn Fn(&Pod) -> bool| -> Vec<Arc<Pod>> { all.iter().filter(|pod| is_tracked(pod) && is(pod)).cloned().collect() };
        let succeeded = tracked(&|pod| pods::phase(pod) == "Succeeded");
        let failed = tracked(&|pod| policy::is_failed(spec, pod));
        let counted = failed.iter().filter(|pod| policy::verdict(spec, pod).0 != "Ignore").count();
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
        let failed_indexes = spec.backoff_limit_per_index.filter(|_| is_indexed).map(|_| {
            let mut gone = indexes::parse(status.failed_indexes.as_deref().unwrap_or_default(), spec.completions.unwrap_or(0));
            gone.extend(failed.iter().filter(|pod| policy::fails_index(spec, pod)).filter_map(|pod| indexes::of(pod)));
            gone
        });
        let mut plan = Self {
            total_succeeded,
            total_failed: status.failed.unwrap_or(0) + number(counted),
            succeeded,
            failed,
            completed_indexes,
            failed_indexes,
            ready: active.iter().filter(|pod| pods::is_ready(pod)).count(),
            terminating: all.iter().filter(|pod| pods::is_terminating(pod)).count(),
            active: active.len(),
            failure: None,
            success: None,
            is_suspended: spec.suspend.unwrap_or(false),
            to_delete: Vec::new(),
            to_create: Vec::new(),
            again: None,
        };
        plan.failure = plan.failure_of(job, spec, &active, now);
        plan.success = plan.failure.is_none().then(|| plan.success_of(spec)).flatten();
        if plan.failure.is_some() {
            // What has not ended when the Job fails has failed (`trackJobStatusAndRemoveFinalizers`).
            let unfinished = tracked(&|pod| !pods::is_terminal(pod) && !policy::is_failed(spec, pod));
            plan.total_failed += number(unfinished.len());
            plan.failed.extend(unfinished);
        }
        if plan.is_over() || plan.is_suspended {
            plan.delete(active);
        } else {
            plan.fill_up(spec, active, all, now);
            plan.watch_deadline(job, spec, now);
        }
        plan
    }

    /// Whether the Job has succeeded or failed, and waits for its last Pods at most.
    pub(super) fn is_over(&self) -> bool {
        self.failure.is_some() || self.success.is_some()
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
        if let Some(target) = super::status::condition(job, "FailureTarget") {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            return Some(Failure { reason: text(&target.reason), message: text(&target.message) });
        }
        let fatal = self.failed.iter().map(|pod| policy::verdict(spec, pod)).find(|(action, _)| *action == "FailJob");
        if let Some((_, message)) = fatal {
            return Some(Failure::new("PodFailurePolicy", &message));
        }
        let limit = spec.backoff_limit.unwrap_or(if self.failed_indexes.is_some() { i32::MAX } else { 6 });
        let restarts: i32 = active.iter().map(|pod| pods::restarts(pod)).sum();
        let restarts_in_place = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some("OnFailure");
        let restarted_too_often = restarts_in_place && restarts > 0 && restarts >= limit;
        if self.total_failed > limit || restarted_too_often {
            return Some(Failure::new("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        let passed = deadline(job, spec).is_some_and(|end| end <= now);
        if passed && !self.is_suspended {
            return Some(Failure::new("DeadlineExceeded", "Job was active longer than specified deadline"));
        }
        let failed = number(self.failed_indexes.as_ref().map_or(0, BTreeSet::len));
        if spec.max_failed_indexes.is_some_and(|most| failed > most) {
            let message = "Job has exceeded the specified maximal number of failed indexes";
            return Some(Failure::new("MaxFailedIndexesExceeded", message));
        }
        let is_exhausted = failed > 0 && failed + self.total_succeeded >= spec.completions.unwrap_or(0);
        is_exhausted.then(|| Failure::new("FailedIndexes", "Job has failed indexes"))
    }

    fn success_of(&self, spec: &JobSpec) -> Option<(&'static str, String)> {
        let policy = self.completed_indexes.as_ref().and_then(|completed| policy::success(spec, completed));
        if let Some(message) = policy {
            return Some(("SuccessPolicy", message));
        }
        let is_reached = match spec.completions {
            Some(completions) => self.total_succeeded >= completions,
            // Without a number, the first success is enough, once the others have ended too.
            None => self.total_succeeded > 0 && self.active == 0,
        };
        is_reached.then(|| ("CompletionsReached", "Reached expected number of succeeded pods".to_owned()))
    }

    fn fill_up(&mut self, spec: &JobSpec, mut active: Vec<Arc<Pod>>, all: &[Arc<Pod>], now: Timestamp) {
        let parallelism = spec.parallelism.unwrap_or(1).max(0);
        let wanted = match spec.completions {
            Some(completions) => {
                let failed = number(self.failed_indexes.as_ref().map_or(0, BTreeSet::len));
                (completions - self.total_succeeded - failed).clamp(0, parallelism)
            }
            None if self.total_succeeded > 0 => number(active.len()).min(parallelism),
            None => parallelism,
        };
        let wanted = usize::try_from(wanted).unwrap_or(0);
        if active.len() > wanted {
            active.sort_by_key(|pod| (pods::is_ready(pod), ownership::uid(&pod.metadata).to_owned()));
            active.truncate((active.len() - wanted).min(MAX_CHANGES));
            self.delete(active);
            return;
        }
        // What goes keeps its place where only the ended are replaced.
        let going = if policy::replaces_only_failed(spec) { self.terminating } else { 0 };
        let missing = wanted.saturating_sub(active.len() + going).min(MAX_CHANGES);
        if missing == 0 {
            return;
        }
        let wait = if self.failed_indexes.is_some() { Duration::ZERO } else { backoff(spec, all, now) };
        if wait.is_zero() {
            self.create(spec, &active, all, missing, now);
        } else {
            self.again = Some(wait);
        }
    }

    fn create(&mut self, spec: &JobSpec, active: &[Arc<Pod>], all: &[Arc<Pod>], count: usize, now: Timestamp) {
        let Some(done) = &self.completed_indexes else {
            self.to_create = (0..count).map(|_| NewPod { index: None, failures: None }).collect();
            self.again = (count == MAX_CHANGES).then_some(super::BATCH);
            return;
        };
        let mut taken: BTreeSet<i32> = active.iter().filter_map(|pod| indexes::of(pod)).collect();
        taken.extend(self.failed_indexes.iter().flatten());
        if policy::replaces_only_failed(spec) {
            taken.extend(all.iter().filter(|pod| pods::is_terminating(pod)).filter_map(|pod| indexes::of(pod)));
        }
        for index in (0..spec.completions.unwrap_or(0)).filter(|index| !done.contains(index) && !taken.contains(index)) {
            if self.to_create.len() == count {
                break;
            }
            let mut failures = None;
            if self.failed_indexes.is_some() {
                let (counted, ignored, wait) = policy::failures(spec, all, index, now);
                if !wait.is_zero() {
                    self.again = Some(self.again.map_or(wait, |again| again.min(wait)));
                    continue;
                }
                failures = Some((counted, ignored));
            }
            self.to_create.push(NewPod { index: Some(index), failures });
        }
        if self.to_create.len() == MAX_CHANGES {
            self.again = Some(super::BATCH);
        }
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
fn backoff(spec: &JobSpec, all: &[Arc<Pod>], now: Timestamp) -> Duration {
    let mut ended: Vec<(Timestamp, bool)> = all
        .iter()
        .filter(|pod| pods::is_terminal(pod) || policy::is_failed(spec, pod))
        .map(|pod| (ended_at(pod, now), policy::is_failed(spec, pod)))
        .collect();
    ended.sort_unstable();
    let failures = ended.iter().rev().take_while(|(_, failed)| *failed).count();
    ended.last().map_or(Duration::ZERO, |(last, _)| wait(failures, *last, now))
}

/// When a Pod has ended; when its deletion was requested, if it has not.
pub(super) fn ended_at(pod: &Pod, now: Timestamp) -> Timestamp {
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
    let requested = pod.metadata.deletion_timestamp.as_ref().and_then(|time| time.0.checked_sub(grace).ok());
    let requested = requested.filter(|_| !pods::is_terminal(pod));
    requested.or_else(|| pods::finished_at(pod)).unwrap_or(now)
}

/// How long is left to wait after so many failures, of which the last was at `last`.
pub(super) fn wait(failures: usize, last: Timestamp, now: Timestamp) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let factor = 2_u32.saturating_pow(u32::try_from(doublings).unwrap_or(u32::MAX));
    let wait = BACKOFF.saturating_mul(factor).min(MAX_BACKOFF);
    let passed = Duration::try_from(now.duration_since(last)).unwrap_or(Duration::ZERO);
    wait.saturating_sub(passed)
}
