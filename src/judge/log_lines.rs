//! Which log lines a log expectation is about.

use std::collections::BTreeMap;

use serde_json::Value;

use super::world::World;
use crate::scenario::{LogSource, ObjectRef, PodPick};
use crate::timeline::{Instance, LogLine, ObjectObservation};

/// How many lines of a container instance are kept until it is known to be a previous one.
const MOST_LINES: usize = 10_000;

/// The lines of container instances that may yet become previous ones.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    kept: BTreeMap<Instance, Vec<String>>,
}

impl LogLines {
    /// The lines to look at now that this one was written.
    pub(super) fn take(&mut self, source: &LogSource, line: &LogLine, world: &World) -> Vec<String> {
        let pod = ObjectRef { api_version: "v1".to_owned(), kind: "Pod".to_owned(), name: line.instance.pod.clone() };
        let pod = world.object(&pod);
        if !Self::concerns(source, &line.instance) || !pod.is_none_or(|pod| is_picked(source, pod)) {
            return Vec::new();
        }
        if !source.previous || pod.is_some_and(|pod| is_previous(&line.instance, pod)) {
            return vec![line.line.clone()];
        }
        let kept = self.kept.entry(line.instance.clone()).or_default();
        if kept.len() < MOST_LINES {
            kept.push(line.line.clone());
        }
        Vec::new()
    }

    /// The lines to look at now that the Pod has changed: those of instances that are previous ones from now on.
    pub(super) fn take_pod(&mut self, source: &LogSource, pod: &ObjectObservation) -> Vec<String> {
        if !source.previous || !is_picked(source, pod) {
            return Vec::new();
        }
        let previous: Vec<_> = self.kept.keys().filter(|instance| is_previous(instance, pod)).cloned().collect();
        previous.iter().filter_map(|instance| self.kept.remove(instance)).flatten().collect()
    }

    /// Whether the source may be about this instance.
    pub(super) fn concerns(source: &LogSource, instance: &Instance) -> bool {
        let pod = match &source.pod {
            PodPick::Name(name) => *name == instance.pod,
            PodPick::Selector(_) => true,
        };
        pod && source.container.as_ref().is_none_or(|container| *container == instance.container)
    }
}

fn is_picked(source: &LogSource, pod: &ObjectObservation) -> bool {
    match &source.pod {
        PodPick::Name(name) => *name == pod.name,
        PodPick::Selector(selector) => selector.matches(&pod.object),
    }
}

/// `kubectl logs --previous` shows `lastState.terminated`: the instance before the one that runs, or the dead one while its successor
/// waits for its back-off (`pkg/kubelet/kubelet_pods.go:validateContainerLogStatus`).
fn is_previous(instance: &Instance, pod: &ObjectObservation) -> bool {
    let statuses = pod.object.pointer("/status/containerStatuses").and_then(Value::as_array);
    let status = statuses.into_iter().flatten().find(|s| s.get("name").and_then(Value::as_str) == Some(&instance.container));
    let Some(status) = status.filter(|_| pod.uid == instance.uid) else { return false };
    let restarts = status.get("restartCount").and_then(Value::as_u64).unwrap_or(0);
    let waits = status.pointer("/state/waiting").is_some() && status.pointer("/lastState/terminated").is_some();
    restarts > u64::from(instance.restart) || (waits && restarts == u64::from(instance.restart))
}
