//! Which log lines a log expectation is about.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::world::World;
use crate::scenario::{LogSource, PodPick};
use crate::timeline::{Instance, LogLine, ObjectObservation};

/// How much of an instance's log is kept, in bytes: its last lines, each with what it costs to keep it.
const MOST_BYTES: usize = 128 * 1024;
const LINE_COST: usize = 64;

/// The last lines of the container instances that are, or may become, previous ones.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptLogs(BTreeMap<Instance, KeptLog>);

/// The last lines of one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptLog {
    /// Each with its entry.
    lines: VecDeque<(usize, String)>,
    bytes: usize,
    /// There were lines that are not kept, or that nobody has seen.
    has_lost: bool,
}

impl KeptLogs {
    pub(super) fn keep(&mut self, entry: usize, line: &LogLine) {
        // An entry is only made for an instance that is new: its key is long.
        let log = match self.0.get_mut(&line.instance) {
            Some(log) => log,
            None => self.0.entry(line.instance.clone()).or_default(),
        };
        log.bytes += line.line.len() + LINE_COST;
        log.lines.push_back((entry, line.line.clone()));
        while log.bytes > MOST_BYTES
            && let Some((_, first)) = log.lines.pop_front()
        {
            log.bytes -= first.len() + LINE_COST;
            log.has_lost = true;
        }
    }

    pub(super) fn lose(&mut self, instance: &Instance) {
        self.0.entry(instance.clone()).or_default().has_lost = true;
    }

    /// Forgets what `kubectl logs --previous` could not even show in this state of the Pod.
    pub(super) fn forget_older(&mut self, pod: &ObjectObservation) {
        let is_older =
            |instance: &Instance| restarts(instance, pod).is_some_and(|restarts| restarts > u64::from(instance.restart) + 1);
        self.0.retain(|instance, _| !is_older(instance));
    }

    pub(super) fn forget_pod(&mut self, uid: &str) {
        self.0.retain(|instance, _| instance.uid != uid);
    }

    fn of_pod<'a>(&'a self, pod: &'a ObjectObservation) -> impl Iterator<Item = (&'a Instance, &'a KeptLog)> {
        self.0.iter().filter(|(instance, _)| instance.uid == pod.uid)
    }
}

/// Lines that are looked at all at once.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Each with its entry.
    pub(super) lines: Vec<(usize, String)>,
    /// There were others.
    pub(super) has_lost: bool,
}

/// The previous instances whose lines have been looked at; from then on each line is looked at when it comes.
#[derive(Debug, Default)]
pub(super) struct LogLines(BTreeSet<Instance>);

impl LogLines {
    /// Whether the line is to be looked at now. One that may be looked at later is kept by the world.
    pub(super) fn take(&mut self, source: &LogSource, line: &LogLine, world: &World) -> bool {
        if !concerns(source, &line.instance, world) {
            return false;
        }
        if !source.previous {
            return true;
        }
        let pod = world.named("v1", "Pod", &line.instance.pod);
        let is_previous = pod.is_some_and(|pod| is_previous(&line.instance, &pod.observed));
        if is_previous && !self.0.contains(&line.instance) {
            self.0.insert(line.instance.clone());
        }
        is_previous
    }

    /// The lines to look at now that the Pod is in this state: those of instances that are previous ones from now on.
    pub(super) fn take_pod(&mut self, source: &LogSource, pod: &ObjectObservation, logs: &KeptLogs) -> Shown {
        let mut shown = Shown::default();
        if !source.previous || !is_picked(source, pod) {
            return shown;
        }
        let is_meant = |instance: &Instance| {
            source.container.as_ref().is_none_or(|container| *container == instance.container) && is_previous(instance, pod)
        };
        for (instance, log) in logs.of_pod(pod).filter(|(instance, _)| is_meant(instance)) {
            if self.0.insert(instance.clone()) {
                shown.lines.extend(log.lines.iter().cloned());
                shown.has_lost |= log.has_lost;
            }
        }
        shown
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
    let Some(status) = status(instance, pod) else { return false };
    let waits = status.pointer("/state/waiting").is_some() && status.pointer("/lastState/terminated").is_some();
    let restarts = restart_count(status);
    restarts > u64::from(instance.restart) || (waits && restarts == u64::from(instance.restart))
}

fn restarts(instance: &Instance, pod: &ObjectObservation) -> Option<u64> {
    status(instance, pod).map(restart_count)
}

fn restart_count(status: &Value) -> u64 {
    status.get("restartCount").and_then(Value::as_u64).unwrap_or(0)
}

fn status<'a>(instance: &Instance, pod: &'a ObjectObservation) -> Option<&'a Value> {
    let lists = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let mut statuses = lists.iter().filter_map(|pointer| pod.object.pointer(pointer).and_then(Value::as_array)).flatten();
    let is_its_own = |status: &&Value| status.get("name").and_then(Value::as_str) == Some(&instance.container);
    statuses.find(is_its_own).filter(|_| pod.uid == instance.uid)
}
