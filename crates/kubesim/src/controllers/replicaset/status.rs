//! The status of a ReplicaSet (`pkg/controller/replicaset/replica_set_utils.go:calculateStatus`).

use std::sync::Arc;

use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};

use super::{min_ready_seconds, replicas};
use crate::{StatusError, clock::floor_to_seconds, controllers::pods, selector::LabelSelector};

/// The status of a set with these active Pods, after the attempt to have as many as asked for.
pub(super) fn compute(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    terminating: Option<usize>,
    failure: Option<&StatusError>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let labels = set.spec.template.as_ref().and_then(|template| template.metadata.as_ref()?.labels.clone());
    let template = LabelSelector::from_labels(&labels.unwrap_or_default());
    let min_ready_seconds = min_ready_seconds(set);
    let count = |counts: &dyn Fn(&Pod) -> bool| number(active.iter().filter(|pod| counts(pod)).count());
    let counted = |number: i32| (number != 0).then_some(number);
    ReplicaSetStatus {
        replicas: number(active.len()),
        fully_labeled_replicas: counted(count(&|pod| template.matches(pod.metadata.labels.as_ref()))),
        ready_replicas: counted(count(&pods::is_ready)),
        available_replicas: counted(count(&|pod| pods::is_available(pod, min_ready_seconds, now))),
        terminating_replicas: terminating.map(number),
        observed_generation: set.metadata.generation,
        conditions: conditions(set, active.len(), failure, now),
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn conditions(set: &ReplicaSet, active: usize, failure: Option<&StatusError>, now: Timestamp) -> Option<Vec<ReplicaSetCondition>> {
    let mut conditions = set.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let is_failure = |condition: &ReplicaSetCondition| condition.type_.as_deref() == Some("ReplicaFailure");
    let known = conditions.iter().any(is_failure);
    match failure {
        Some(error) if !known => {
            let reason = if number(active) < replicas(set) { "FailedCreate" } else { "FailedDelete" };
            conditions.push(ReplicaSetCondition {
                type_: Some("ReplicaFailure".to_owned()),
                status: Some("True".to_owned()),
                reason: Some(reason.to_owned()),
                message: Some(error.to_string()),
                last_transition_time: Some(Time(floor_to_seconds(now))),
            });
        }
        None => conditions.retain(|condition| !is_failure(condition)),
        Some(_) => {}
    }
    (!conditions.is_empty()).then_some(conditions)
}
