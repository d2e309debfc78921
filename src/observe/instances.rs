//! Which container instances a Pod has, by its status.

use serde_json::Value;

use super::logs::Life;
use crate::timeline::{Change, Instance, ObjectObservation};

/// The instances whose logs the API server can still give: of each container the current one and its predecessor.
pub(super) fn of_pod(pod: &ObjectObservation) -> Vec<(Instance, Life)> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let statuses = lists.iter().filter_map(|pointer| pod.object.pointer(pointer)?.as_array()).flatten();
    statuses.flat_map(|status| of_container(pod, status)).collect()
}

fn of_container(pod: &ObjectObservation, status: &Value) -> Vec<(Instance, Life)> {
    let Some(container) = status.get("name").and_then(Value::as_str) else { return Vec::new() };
    let restarts = status.get("restartCount").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let instance = |restart| Instance { pod: pod.name.clone(), uid: pod.uid.clone(), container: container.to_owned(), restart };
    let has = |pointer| status.pointer(pointer).is_some();
    if pod.change == Change::Deleted {
        return vec![(instance(restarts), Life::Gone)];
    }
    let mut instances = Vec::new();
    if has("/state/running") {
        instances.push((instance(restarts), Life::Running));
    } else if has("/state/terminated") || has("/lastState/terminated") {
        // While a container waits for its back-off, its current log is that of the instance that ended last
        // (`pkg/kubelet/kubelet_pods.go:validateContainerLogStatus`).
        instances.push((instance(restarts), Life::Ended));
        return instances;
    }
    if restarts > 0 && has("/lastState/terminated") {
        instances.push((instance(restarts - 1), Life::Replaced));
    }
    instances
}
