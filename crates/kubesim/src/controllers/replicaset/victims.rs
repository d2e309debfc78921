//! Which Pods go first when a ReplicaSet shrinks (`pkg/controller/controller_utils.go:ActivePodsWithRanks`).

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

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
    let rank = |pod: &Arc<Pod>| (rank(pod, siblings(pod)), age_bucket(ready_since(pod), now));
    candidates.sort_by_cached_key(rank);
    for equals in candidates.chunk_by_mut(|a, b| rank(a) == rank(b)) {
        order_equals(equals, now);
    }
    candidates.truncate(count);
    candidates
}

/// What decides before any age: the lesser goes first.
type Rank = (bool, u8, bool, i32, Reverse<usize>);

fn rank(pod: &Pod, siblings: usize) -> Rank {
    let is_assigned = !pods::node_name(pod).is_empty();
    (is_assigned, phase_rank(pod), pods::is_ready(pod), deletion_cost(pod), Reverse(siblings))
}

/// Orders Pods of one rank that have been ready about as long. Of two that became ready at different times, Kubernetes lets
/// the UIDs decide; of two that became ready at the same time, their restarts. Among three that is no order (a before b before c
/// before a), so here the UIDs decide unless all times are the same.
fn order_equals(pods: &mut [Arc<Pod>], now: Timestamp) {
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let uid = |pod: &Pod| ownership::uid(&pod.metadata).to_owned();
    if pods.windows(2).all(|pair| ready_since(&pair[0]) == ready_since(&pair[1])) {
        pods.sort_by_cached_key(|pod| (Reverse(pods::max_restarts(pod)), age_bucket(created(pod), now), uid(pod)));
    } else {
        pods.sort_by_cached_key(|pod| uid(pod));
    }
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    pods::ready_since(pod).filter(|_| pods::is_ready(pod))
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

/// The power of two of an age in nanoseconds: the younger go first, and before them those without a time.
fn age_bucket(time: Option<Timestamp>, now: Timestamp) -> (bool, Option<u32>) {
    let age = time.and_then(|time| u128::try_from(now.as_nanosecond() - time.as_nanosecond()).ok());
    (time.is_some(), age.and_then(u128::checked_ilog2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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

    proptest! {
        /// Times that differ by little and by much, so that Pods share powers of two, times and restarts.
        #[test]
        fn the_choice_does_not_depend_on_the_order_of_the_candidates(
            drawn in proptest::collection::vec((0_u32..100, 0_u32..40, 0_u32..3, any::<u32>()), 30..80),
            count in 1_usize..30,
        ) {
            let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
            let pods: Vec<_> = drawn.iter().enumerate().map(|(index, (ready, created, restarts, uid))| {
                let time = |seconds: u32| format!("2026-01-01T00:{:02}:{:02}Z", 57 + seconds / 60, seconds % 60);
                pod(&format!("{uid}-{index}"), |pod| {
                    pod["metadata"]["creationTimestamp"] = json!(time(*created));
                    pod["status"]["conditions"][0]["lastTransitionTime"] = json!(time(*ready));
                    pod["status"]["containerStatuses"][0]["restartCount"] = json!(restarts);
                })
            }).collect();
            let names = |victims: Vec<Arc<Pod>>| victims.iter().map(|pod| pod.metadata.name.clone()).collect::<Vec<_>>();
            let reversed: Vec<_> = pods.iter().rev().cloned().collect();
            prop_assert_eq!(names(choose(pods.clone(), &pods, count, now)), names(choose(reversed, &pods, count, now)));
        }
    }
}
