//! What controllers ask about Pods (`pkg/controller/controller_utils.go`, `pkg/api/v1/pod/util.go`).

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{Pod, PodCondition, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
    jiff::{SignedDuration, Timestamp},
};

use serde_json::{Value, json};

use super::ownership;
use crate::{Clock, Key};

/// The phase; `Pending` of a Pod that has none yet.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// The node; empty of a Pod that has none yet.
pub(crate) fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// Whether the Pod has ended for good.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether deletion was requested.
pub(crate) fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether the Pod counts as a replica: neither ended nor being deleted.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !is_deleting(pod)
}

/// Whether the Pod is being deleted and has not ended yet.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    !is_terminal(pod) && is_deleting(pod)
}

/// A condition of the Pod.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// The condition that says why a Pod is about to be deleted, for a patch of its status.
pub(crate) fn disruption(reason: &str, message: &str, clock: Clock) -> Value {
    json!({
        "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message, "lastTransitionTime": clock.time(),
    })
}

/// Whether the Pod's condition Ready is True.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// Since when the Pod's condition Ready has its value.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    condition(pod, "Ready").and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0)
}

/// How long until a ready Pod is available: nothing if it is so already; `None` if it is not ready.
pub(crate) fn time_to_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    if !is_ready(pod) {
        return None;
    }
    if min_ready_seconds <= 0 {
        return Some(Duration::ZERO);
    }
    let since = ready_since(pod)?;
    let from = since.checked_add(SignedDuration::from_secs(i64::from(min_ready_seconds))).ok()?;
    Some(Duration::try_from(from.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Whether the Pod has been ready for long enough.
pub(crate) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    time_to_available(pod, min_ready_seconds, now).is_some_and(|left| left.is_zero())
}

/// How often its containers were restarted, at most.
pub(crate) fn max_restarts(pod: &Pod) -> i32 {
    let Some(status) = &pod.status else { return 0 };
    let containers = status.container_statuses.iter().flatten();
    containers.chain(status.init_container_statuses.iter().flatten()).map(|container| container.restart_count).max().unwrap_or(0)
}

/// A Pod from a template, to be named by the API server after its owner.
pub(crate) fn from_template(template: &PodTemplateSpec, owner: OwnerReference, namespace: &str) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(generated_base(&owner.name)),
            namespace: Some(namespace.to_owned()),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// The base of the names of an owner's Pods.
fn generated_base(owner: &str) -> String {
    format!("{owner}-")
}

/// The controller of this kind that a change of a Pod concerns: before and after it.
pub(crate) fn controllers_concerned(delta: &crate::Delta<Pod>, kind: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    if let crate::Delta::Modified { old, .. } = delta {
        keys.extend(ownership::controller_key(&old.metadata, kind));
    }
    keys.extend(ownership::controller_key(&delta.object().metadata, kind));
    keys.dedup();
    keys
}

/// Whether a change can make an orphaned Pod match a selector: it is new, its labels or its owner have changed.
pub(crate) fn may_be_adopted(delta: &crate::Delta<Pod>) -> bool {
    let pod = delta.object();
    if ownership::controller_of(&pod.metadata).is_some() || is_deleting(pod) {
        return false;
    }
    match delta {
        crate::Delta::Added(_) => true,
        crate::Delta::Deleted(_) => false,
        crate::Delta::Modified { old, new } => {
            old.metadata.labels != new.metadata.labels || ownership::controller_of(&old.metadata).is_some()
        }
    }
}

/// How often all its containers were restarted together.
pub(crate) fn restarts(pod: &Pod) -> i32 {
    let Some(status) = &pod.status else { return 0 };
    let containers = status.container_statuses.iter().flatten();
    containers.chain(status.init_container_statuses.iter().flatten()).map(|container| container.restart_count).sum()
}

/// When the last container of an ended Pod ended; without that, when it became unready.
pub(crate) fn finished_at(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    let ends = containers.filter_map(|container| container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    ends.map(|time| time.0).max().or_else(|| ready_since(pod))
}
