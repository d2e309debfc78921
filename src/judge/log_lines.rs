//! Which log lines a log expectation is about.

use std::collections::BTreeMap;

use serde_json::Value;

use super::world::World;
use crate::scenario::{LogSource, PodPick};
use crate::timeline::{Instance, LogLine, ObjectObservation};

/// How many lines of a container instance are kept until it is known to be a previous one.
const MOST_LINES: usize = 10_000;

/// The lines of container instances that may yet become previous ones, each with its entry.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    kept: BTreeMap<Instance, Vec<(usize, String)>>,
}

impl LogLines {
    /// Whether the line is to be looked at now. One that may be looked at later is kept.
    pub(super) fn take(&mut self, source: &LogSource, line: &LogLine, entry: usize, world: &World) -> bool {
        if !concerns(source, &line.instance, world) {
            return false;
        }
        if !source.previous {
            return true;
        }
        let pod = world.named("v1", "Pod", &line.instance.pod);
        if pod.is_some_and(|pod| is_previous(&line.instance, &pod.observed)) {
            return true;
        }
        let kept = self.kept.entry(line.instance.clone()).or_default();
        if kept.len() < MOST_LINES {
            kept.push((entry, line.line.clone()));
        }
        false
    }

    /// The lines to look at now that the Pod has changed: those of instances that are previous ones from now on.
    pub(super) fn take_pod(&mut self, source: &LogSource, pod: &ObjectObservation) -> Vec<(usize, String)> {
        if !source.previous || !is_picked(source, pod) {
            return Vec::new();
        }
        let previous: Vec<_> = self.kept.keys().filter(|instance| is_previous(instance, pod)).cloned().collect();
        previous.iter().filter_map(|instance| self.kept.remove(instance)).flatten().collect()
    }
}

/// Whether the source is about this instance, as far as is known.
pub(super) fn concerns(source: &LogSource, instance: &Instance, world: &World) -> bool {
    let pod = match &source.pod {
        PodPick::Name(name) => *name == instance.pod,
        PodPick::Selector(selector) => {
            world.named("v1", "Pod", &instance.pod).is_none_or(|pod| selector.matches(&pod.observed.object))
        }
    };
    pod && source.container.as_ref().is_none_or(|container| *container == instance.container)
}

pub(super) fn is_picked(source: &LogSource, pod: &ObjectObservation) -> bool {
    match &source.pod {
        PodPick::Name(name) => *name == pod.name,
        PodPick::Selector(selector) => selector.matches(&pod.object),
    }
}

/// `kubectl logs --previous` shows `lastState.terminated`: the instance before the one that runs, or the dead one while its successor
/// waits for its back-off (`pkg/kubelet/kubelet_pods.go:validateContainerLogStatus`).
fn is_previous(instance: &Instance, pod: &ObjectObservation) -> bool {
    let lists = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let mut statuses = lists.iter().filter_map(|pointer| pod.object.pointer(pointer).and_then(Value::as_array)).flatten();
    let status = statuses.find(|s| s.get("name").and_then(Value::as_str) == Some(&instance.container));
    let Some(status) = status.filter(|_| pod.uid == instance.uid) else { return false };
    let restarts = status.get("restartCount").and_then(Value::as_u64).unwrap_or(0);
    let waits = status.pointer("/state/waiting").is_some() && status.pointer("/lastState/terminated").is_some();
    restarts > u64::from(instance.restart) || (waits && restarts == u64::from(instance.restart))
}
