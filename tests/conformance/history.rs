//! What a timeline tells of each Pod and of events, with the names of one run taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use labproof::timeline::{Change, Entry, ObjectObservation, Observation};
use regex::Regex;
use serde_json::Value;

/// Pods that were made within so much time of each other are made together: their order says nothing.
const TOGETHER: Duration = Duration::from_secs(1);

/// What was seen in a run.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By what they belong to, such as `pod/web` and `pods of replicaset/web-1`. In an order that two runs agree on.
    pub(crate) pods: BTreeMap<String, Vec<Vec<Transition>>>,
    /// Types and reasons of the events, such as `Normal Started`, by what they are about.
    pub(crate) reasons: BTreeMap<String, BTreeSet<String>>,
}

/// The moment at which a Pod's line of `kubectl get` became another one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transition {
    pub(crate) row: Row,
    /// Since the step's action.
    pub(crate) at: Duration,
    /// A container has started: how long that takes depends on how busy the machine is.
    pub(crate) starts: bool,
}

/// The line that a Pod changed to, and the step in which it did.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    /// Counted from 1, as people do.
    pub(crate) step: usize,
    /// READY, STATUS and RESTARTS; or `gone`.
    pub(crate) cells: String,
}

impl History {
    /// Reads a timeline.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut reader = Reader::default();
        for entry in entries {
            match &entry.what {
                Observation::StepStarted { step, .. } => (reader.step, reader.acted) = (step + 1, entry.t),
                Observation::Object(object) if object.kind == "Pod" => reader.pod(entry.t, object),
                _ => {}
            }
        }
        // An event may be delivered before the Pod that it is about.
        for entry in entries {
            match &entry.what {
                Observation::Object(object) if object.kind == "Event" => reader.event(&object.object),
                _ => {}
            }
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    step: usize,
    acted: Duration,
    /// By uid.
    pods: BTreeMap<String, Pod>,
    /// Of the ReplicaSets of Deployments: their number by name, in the order in which they were seen.
    replica_sets: BTreeMap<String, usize>,
    reasons: BTreeMap<String, BTreeSet<String>>,
}

struct Pod {
    group: String,
    made: Duration,
    transitions: Vec<Transition>,
    /// The ids of the containers that were seen.
    containers: BTreeSet<String>,
}

impl Reader {
    fn pod(&mut self, t: Duration, object: &ObjectObservation) {
        let group = match controller(&object.object) {
            Some((kind, name)) => format!("pods of {}", self.subject(kind, name)),
            None => format!("pod/{}", object.name),
        };
        let pod = self.pods.entry(object.uid.clone()).or_insert_with(|| Pod {
            group,
            made: t,
            transitions: Vec::new(),
            containers: BTreeSet::new(),
        });
        let known = pod.containers.len();
        pod.containers.extend(container_ids(&object.object));
        let starts = pod.containers.len() > known;
        let row = Row { step: self.step, cells: cells(object) };
        if pod.transitions.last().is_none_or(|last| last.row.cells != row.cells) {
            pod.transitions.push(Transition { row, at: t.saturating_sub(self.acted), starts });
        }
    }

    fn event(&mut self, event: &Value) {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let about = match self.pods.get(text("/involvedObject/uid")) {
            Some(pod) => pod.group.clone(),
            None => self.subject(text("/involvedObject/kind"), text("/involvedObject/name")),
        };
        let reason = format!("{} {}", text("/type"), text("/reason"));
        self.reasons.entry(about).or_default().insert(reason);
    }

    /// A name for an object that is the same in every run: hashes become numbers.
    fn subject(&mut self, kind: &str, name: &str) -> String {
        static HASHED: LazyLock<Regex> = LazyLock::new(|| Regex::new("^(.+)-[4-9bcdf]{5,10}$").expect("it is one"));
        let kind = kind.to_lowercase();
        match HASHED.captures(name).filter(|_| kind == "replicaset") {
            Some(captures) => {
                let next = self.replica_sets.len() + 1;
                let number = self.replica_sets.entry(name.to_owned()).or_insert(next);
                format!("{kind}/{}-{number}", &captures[1])
            }
            None => format!("{kind}/{name}"),
        }
    }

    fn finish(self) -> History {
        let mut groups: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
        for pod in self.pods.into_values() {
            groups.entry(pod.group.clone()).or_default().push(pod);
        }
        let pods = groups.into_iter().map(|(group, pods)| (group, in_order(pods))).collect();
        History { pods, reasons: self.reasons }
    }
}

/// The Pods of a group in the order of their making; those that were made together in the order in which they came to their ends.
fn in_order(mut pods: Vec<Pod>) -> Vec<Vec<Transition>> {
    pods.sort_by_key(|pod| pod.made);
    let end = |pod: &Pod| pod.transitions.last().map(|last| (last.row.step, last.at));
    for together in pods.chunk_by_mut(|a, b| b.made.saturating_sub(a.made) < TOGETHER) {
        together.sort_by_key(end);
    }
    pods.into_iter().map(|pod| pod.transitions).collect()
}

fn cells(object: &ObjectObservation) -> String {
    if object.change == Change::Deleted {
        return "gone".to_owned();
    }
    let cell = |name: &str| object.columns.get(name).map_or("", String::as_str);
    // `4 (49s ago)` counts as 4.
    let restarts = cell("RESTARTS").split(' ').next().unwrap_or_default();
    format!("{} {} {restarts}", cell("READY"), cell("STATUS"))
}

fn controller(object: &Value) -> Option<(&str, &str)> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["kind"].as_str()?, owner["name"].as_str()?))
}

fn container_ids(object: &Value) -> impl Iterator<Item = String> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"].into_iter();
    let statuses = lists.filter_map(|list| object.pointer(list)?.as_array()).flatten();
    statuses.filter_map(|status| Some(status.get("containerID")?.as_str()?.to_owned()))
}
