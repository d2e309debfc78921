//! Which container instances a Pod has, by its status.

use serde_json::Value;

use super::logs::Life;
use crate::timeline::{Change, Instance, ObjectObservation};

/// The instances whose logs the API server can still give: of each container the current one and its predecessor.
pub(super) fn of_pod(pod: &ObjectObservation) -> Vec<(Instance, Life)> {
    let of_container = |status| {
        let container = name(status)?.to_owned();
        let lives = if pod.change == Change::Deleted { vec![(restarts(status), Life::Gone)] } else { lives(status) };
        let instance =
            move |restart| Instance { pod: pod.name.clone(), uid: pod.uid.clone(), container: container.clone(), restart };
        Some(lives.into_iter().map(move |(restart, life)| (instance(restart), life)))
    };
    statuses(&pod.object).filter_map(of_container).flatten().collect()
}

/// What the status of a Pod of that name says of an instance.
pub(super) fn life_of(instance: &Instance, pod: &Value) -> Life {
    let is_same = pod.pointer("/metadata/uid").and_then(Value::as_str) == Some(&instance.uid);
    let status = statuses(pod).find(|status| is_same && name(status) == Some(&instance.container));
    let lives = status.map(lives).unwrap_or_default();
    lives.into_iter().find(|(restart, _)| *restart == instance.restart).map_or(Life::Gone, |(_, life)| life)
}

fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    lists.into_iter().filter_map(|pointer| pod.pointer(pointer)?.as_array()).flatten()
}

fn name(status: &Value) -> Option<&str> {
    status.get("name").and_then(Value::as_str)
}

fn restarts(status: &Value) -> u32 {
    status.get("restartCount").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// The instances of a container by how many there were before.
fn lives(status: &Value) -> Vec<(u32, Life)> {
    let restarts = restarts(status);
    let has = |pointer| status.pointer(pointer).is_some();
    let mut lives = Vec::new();
    if has("/state/running") {
        lives.push((restarts, Life::Running));
    } else if has("/state/terminated") || has("/lastState/terminated") {
        // While a container waits for its back-off, its current log is that of the instance that ended last
        // (`pkg/kubelet/kubelet_pods.go:validateContainerLogStatus`).
        lives.push((restarts, Life::Ended));
        return lives;
    }
    if let Some(before) = restarts.checked_sub(1) {
        // The kubelet may have removed it before it said how it ended (`pkg/kubelet/kuberuntime/kuberuntime_gc.go`).
        lives.push((before, if has("/lastState/terminated") { Life::Replaced } else { Life::Gone }));
    }
    lives
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::runs(0, json!({"running": {}}), json!({}), 0, Life::Running)]
    #[case::restarted(1, json!({"running": {}}), json!({"terminated": {}}), 0, Life::Replaced)]
    #[case::restarted_twice(2, json!({"running": {}}), json!({"terminated": {}}), 0, Life::Gone)]
    #[case::ended(0, json!({"terminated": {}}), json!({}), 0, Life::Ended)]
    #[case::backs_off(1, json!({"waiting": {}}), json!({"terminated": {}}), 1, Life::Ended)]
    #[case::backs_off_once_more(2, json!({"waiting": {}}), json!({"terminated": {}}), 1, Life::Gone)]
    #[case::not_started(0, json!({"waiting": {}}), json!({}), 0, Life::Gone)]
    fn a_status_says_which_logs_there_are(
        #[case] restarts: u32,
        #[case] state: Value,
        #[case] last: Value,
        #[case] asked: u32,
        #[case] life: Life,
    ) {
        let status = json!({"name": "c", "restartCount": restarts, "state": state, "lastState": last});
        let pod = |uid: &str| json!({"metadata": {"name": "p", "uid": uid}, "status": {"containerStatuses": [status]}});
        let instance = Instance { pod: "p".to_owned(), uid: "u".to_owned(), container: "c".to_owned(), restart: asked };
        assert_eq!(life_of(&instance, &pod("u")), life);
        assert_eq!(life_of(&instance, &pod("other")), Life::Gone);
    }

    /// Who follows it is told that it has ended.
    #[test]
    fn a_container_that_was_removed_before_its_end_was_told_is_gone() {
        let status = json!({"name": "c", "restartCount": 1, "state": {"running": {}}, "lastState": {}});
        assert_eq!(lives(&status), [(1, Life::Running), (0, Life::Gone)]);
    }
}
