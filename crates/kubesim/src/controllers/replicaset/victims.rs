//! Which Pods go first when a ReplicaSet shrinks (`pkg/controller/controller_utils.go:ActivePodsWithRanks`).

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};

use crate::controllers::{ownership, pods};

/// The annotation that makes a Pod dearer to delete than others.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` Pods of `candidates` to delete. `related` are the active Pods of all ReplicaSets of the same owner: a Pod
/// goes earlier the more of them its node has.
pub(super) fn choose(mut candidates: Vec<Arc<Pod>>, related: &[Arc<Pod>], count: usize, now: Timestamp) -> Vec<Arc<Pod>> {
    if count >= candidates.len() {
        return candidates;
    }
    let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related.iter().filter(|pod| pods::is_active(pod)) {
        *on_node.entry(pods::node_name(pod)).or_default() += 1;
    }
    let siblings = |pod: &Pod| on_node.get(pods::node_name(pod)).copied().unwrap_or(0);
    candidates.sort_by(|a, b| order(a, b, siblings(a), siblings(b), now));
    candidates.truncate(count);
    candidates
}

/// Whether `a` goes before (`Less`) or after `b`: the first rule by which they differ decides.
fn order(a: &Pod, b: &Pod, siblings_a: usize, siblings_b: usize, now: Timestamp) -> Ordering {
    let assigned = |pod: &Pod| !pods::node_name(pod).is_empty();
    let uid = |pod: &Pod| ownership::uid(&pod.metadata).to_owned();
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    assigned(a)
        .cmp(&assigned(b))
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| pods::is_ready(a).cmp(&pods::is_ready(b)))
        .then_with(|| deletion_cost(a).cmp(&deletion_cost(b)))
        .then_with(|| siblings_b.cmp(&siblings_a))
        .then_with(|| {
            let since = |pod: &Pod| pods::ready_since(pod).filter(|_| pods::is_ready(pod));
            younger_first(since(a), since(b), now).unwrap_or_else(|| uid(a).cmp(&uid(b)))
        })
        .then_with(|| pods::max_restarts(b).cmp(&pods::max_restarts(a)))
        .then_with(|| younger_first(created(a), created(b), now).unwrap_or_else(|| uid(a).cmp(&uid(b))))
}

fn phase_rank(pod: &Pod) -> u8 {
    match pods::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(DELETION_COST)).and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

/// Compares ages by the power of two of their nanoseconds. Equal times are equal; different times of the same power are
/// `None`: the UIDs decide.
fn younger_first(a: Option<Timestamp>, b: Option<Timestamp>, now: Timestamp) -> Option<Ordering> {
    match (a, b) {
        (a, b) if a == b => Some(Ordering::Equal),
        (None, _) => Some(Ordering::Less),
        (_, None) => Some(Ordering::Greater),
        (Some(a), Some(b)) => Some(magnitude(a, now).cmp(&magnitude(b, now))).filter(|order| order.is_ne()),
    }
}

fn magnitude(time: Timestamp, now: Timestamp) -> Option<u32> {
    let age = now.as_nanosecond() - time.as_nanosecond();
    u128::try_from(age).ok().and_then(u128::checked_ilog2)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(uid: &str, change: impl FnOnce(&mut Value)) -> Arc<Pod> {
        let mut pod = json!({
            "metadata": {"name": uid, "uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {}},
            "spec": {"nodeName": "n", "containers": []},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}],
                "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0}],
            },
        });
        change(&mut pod);
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    /// The changed Pod has the greater UID, so that it is not chosen unless the rule says so.
    #[rstest]
    #[case::unassigned("/spec/nodeName", json!(""), true)]
    #[case::pending("/status/phase", json!("Pending"), true)]
    #[case::unknown("/status/phase", json!("Unknown"), true)]
    #[case::not_ready("/status/conditions/0/status", json!("False"), true)]
    #[case::cheap("/metadata/annotations", json!({DELETION_COST: "-1"}), true)]
    #[case::dear("/metadata/annotations", json!({DELETION_COST: "7"}), false)]
    #[case::ready_for_a_shorter_time("/status/conditions/0/lastTransitionTime", json!("2026-01-01T00:00:59Z"), true)]
    #[case::restarted("/status/containerStatuses/0/restartCount", json!(3), true)]
    #[case::younger("/metadata/creationTimestamp", json!("2026-01-01T00:00:59Z"), true)]
    #[case::younger_by_less_than_a_power_of_two("/metadata/creationTimestamp", json!("2026-01-01T00:00:02Z"), false)]
    fn the_changed_pod_goes_first(#[case] pointer: &str, #[case] value: Value, #[case] expected: bool) {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let changed = pod("z", |pod| *pod.pointer_mut(pointer).unwrap() = value);
        let pods = vec![pod("a", |_| ()), changed];
        let victims = choose(pods.clone(), &pods, 1, now);
        assert_eq!(victims[0].metadata.name.as_deref() == Some("z"), expected);
    }

    #[test]
    fn the_node_with_more_siblings_loses_one() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let pods = vec![pod("a", |pod| pod["spec"]["nodeName"] = json!("m")), pod("b", |_| ()), pod("c", |_| ())];
        assert_eq!(choose(pods.clone(), &pods, 1, now)[0].metadata.name.as_deref(), Some("b"));
    }
}
