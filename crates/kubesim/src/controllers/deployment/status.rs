//! The status and the conditions of a Deployment (`pkg/controller/deployment/progress.go`, `sync.go:calculateStatus`).

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use std::time::Duration;

use super::size::{Bounds, available, total, wanted};
use crate::controllers::ownership;

/// The reasons of the condition Progressing.
pub(super) mod reason {
    pub(in super::super) const CREATED: &str = "NewReplicaSetCreated";
    pub(in super::super) const CREATE_FAILED: &str = "ReplicaSetCreateError";
    pub(in super::super) const FOUND: &str = "FoundNewReplicaSet";
    pub(in super::super) const UPDATED: &str = "ReplicaSetUpdated";
    pub(in super::super) const COMPLETE: &str = "NewReplicaSetAvailable";
    pub(in super::super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
    pub(in super::super) const PAUSED: &str = "DeploymentPaused";
    pub(in super::super) const RESUMED: &str = "DeploymentResumed";
}

/// A deadline of this many seconds is none (apps/v1 defaults in older releases).
const NO_DEADLINE: i32 = i32::MAX;

/// The progress deadline in seconds, if there is one.
pub(super) fn deadline(deployment: &Deployment) -> Option<i32> {
    let seconds = deployment.spec.progress_deadline_seconds;
    seconds.filter(|seconds| *seconds != NO_DEADLINE)
}

/// A condition that is new now.
pub(super) fn condition(kind: &str, status: &str, reason: &str, message: impl Into<String>, now: Time) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(kind.to_owned()),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.into()),
        last_update_time: Some(now.clone()),
        last_transition_time: Some(now),
    }
}

/// A condition of a status.
pub(super) fn find<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_.as_deref() == Some(kind))
}

/// Whether the condition Progressing has this reason.
pub(super) fn progressing_because(status: &DeploymentStatus, reason: &str) -> bool {
    find(status, "Progressing").is_some_and(|condition| condition.reason.as_deref() == Some(reason))
}

/// Sets a condition, unless it is there with the same status and reason; its transition time stays with its status.
pub(super) fn set(status: &mut DeploymentStatus, mut new: DeploymentCondition) {
    let kind = new.type_.clone().unwrap_or_default();
    if let Some(current) = find(status, &kind)
        && current.status == new.status
    {
        if current.reason == new.reason {
            return;
        }
        new.last_transition_time.clone_from(&current.last_transition_time);
    }
    remove(status, &kind);
    status.conditions.get_or_insert_default().push(new);
}

/// Removes a condition.
pub(super) fn remove(status: &mut DeploymentStatus, kind: &str) {
    let mut conditions = status.conditions.take().unwrap_or_default();
    conditions.retain(|condition| condition.type_.as_deref() != Some(kind));
    status.conditions = (!conditions.is_empty()).then_some(conditions);
}

/// The numbers and the condition Available, from the statuses of the ReplicaSets.
pub(super) fn compute(
    deployment: &Deployment,
    old: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    counts_terminating: bool,
    now: Time,
) -> DeploymentStatus {
    let all = || old.iter().chain(new);
    let actual = |set: &ReplicaSet| set.status.as_ref().map_or(0, |status| status.replicas);
    let ready = |set: &ReplicaSet| set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let terminating = |set: &ReplicaSet| set.status.as_ref().and_then(|status| status.terminating_replicas);
    let counted = |number: i32| (number != 0).then_some(number);
    let available: i32 = all().map(available).sum();
    let before = deployment.status.clone().unwrap_or_default();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: counted(all().map(actual).sum()),
        updated_replicas: counted(new.map_or(0, actual)),
        ready_replicas: counted(all().map(ready).sum()),
        available_replicas: counted(available),
        unavailable_replicas: counted((total(all()) - available).max(0)),
        terminating_replicas: counts_terminating.then(|| all().filter_map(terminating).sum()),
        collision_count: before.collision_count,
        conditions: before.conditions,
    };
    let bounds = Bounds::of(deployment);
    let minimum = if available >= bounds.fewest_available() {
        let message = "Deployment has minimum availability.";
        condition("Available", "True", "MinimumReplicasAvailable", message, now)
    } else {
        let message = "Deployment does not have minimum availability.";
        condition("Available", "False", "MinimumReplicasUnavailable", message, now)
    };
    set(&mut status, minimum);
    status
}

/// Whether all Pods are of the current template and available, and no others are left.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = wanted(deployment);
    let is_wanted = |number: Option<i32>| number.unwrap_or(0) == wanted;
    is_wanted(status.updated_replicas)
        && is_wanted(status.replicas)
        && is_wanted(status.available_replicas)
        && status.observed_generation >= deployment.metadata.generation
}

/// Whether a status is a step forward from the one before.
fn is_progress(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    let old_pods = |status: &DeploymentStatus| status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0);
    after.updated_replicas > before.updated_replicas
        || old_pods(after) < old_pods(before)
        || after.ready_replicas > before.ready_replicas
        || after.available_replicas > before.available_replicas
}

/// When the condition Progressing will have gone without progress for as long as the deadline allows.
fn times_out_at(deployment: &Deployment, status: &DeploymentStatus) -> Option<Timestamp> {
    let updated = find(status, "Progressing")?.last_update_time.as_ref()?.0;
    updated.checked_add(SignedDuration::from_secs(i64::from(deadline(deployment)?))).ok()
}

/// Sets the condition Progressing of a status that was computed after `deployment.status`.
pub(super) fn judge_progress(deployment: &Deployment, status: &mut DeploymentStatus, new: Option<&ReplicaSet>, now: Timestamp) {
    if deadline(deployment).is_none() {
        remove(status, "Progressing");
        return;
    }
    let default = DeploymentStatus::default();
    let before = deployment.status.as_ref().unwrap_or(&default);
    if status.replicas == status.updated_replicas && progressing_because(before, reason::COMPLETE) {
        return;
    }
    let time = Time(crate::floor_to_seconds(now));
    let subject = match new {
        Some(set) => format!("ReplicaSet {:?}", ownership::name(&set.metadata)),
        None => format!("Deployment {:?}", ownership::name(&deployment.metadata)),
    };
    if is_complete(deployment, status) {
        let message = format!("{subject} has successfully progressed.");
        set(status, condition("Progressing", "True", reason::COMPLETE, message, time));
    } else if is_progress(before, status) {
        let message = format!("{subject} is progressing.");
        let mut progressing = condition("Progressing", "True", reason::UPDATED, message, time);
        if let Some(current) = find(before, "Progressing") {
            if current.status.as_deref() == Some("True") {
                progressing.last_transition_time.clone_from(&current.last_transition_time);
            }
            // Every progress is noted, also with the same reason as before.
            remove(status, "Progressing");
        }
        set(status, progressing);
    } else if has_timed_out(deployment, status, now) {
        let message = format!("{subject} has timed out progressing.");
        set(status, condition("Progressing", "False", reason::TIMED_OUT, message, time));
    }
}

fn has_timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    if progressing_because(status, reason::COMPLETE) {
        return false;
    }
    progressing_because(status, reason::TIMED_OUT) || times_out_at(deployment, status).is_some_and(|time| time < now)
}

/// How long until the deadline must be looked at: a second after it.
pub(super) fn time_to_deadline(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<Duration> {
    if is_complete(deployment, status) || progressing_because(status, reason::TIMED_OUT) {
        return None;
    }
    let left = times_out_at(deployment, status)?.duration_since(now);
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO) + Duration::from_secs(1))
}

/// The failure of the newest ReplicaSet that has one, as the Deployment's condition ReplicaFailure.
pub(super) fn take_over_failures(status: &mut DeploymentStatus, old: &[ReplicaSet], new: Option<&ReplicaSet>) {
    let failure_of = |set: &ReplicaSet| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|condition| condition.type_.as_deref() == Some("ReplicaFailure")).cloned()
    };
    let failure = new.and_then(failure_of).or_else(|| old.iter().find_map(failure_of));
    let Some(failure) = failure else {
        remove(status, "ReplicaFailure");
        return;
    };
    let failure = DeploymentCondition {
        type_: failure.type_,
        status: failure.status,
        reason: failure.reason,
        message: failure.message,
        last_update_time: failure.last_transition_time.clone(),
        last_transition_time: failure.last_transition_time,
    };
    set(status, failure);
}
