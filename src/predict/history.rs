//! What one seed gives: the changes of each Pod's row in kubectl's table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::timeline::{Entry, ObjectObservation, Observation};

/// Labels that the cluster adds to those of a template.
const GENERATED_LABELS: [&str; 9] = [
    "pod-template-hash",
    "pod-template-generation",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "apps.kubernetes.io/pod-index",
    "statefulset.kubernetes.io/pod-name",
];

/// What kubectl prints of a Pod, but for its name and age.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct State {
    /// READY, such as `1/1`.
    pub ready: String,
    /// STATUS, such as `CrashLoopBackOff`.
    pub status: String,
    /// RESTARTS, without the time of the last one.
    pub restarts: String,
}

/// A Pod came into a state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The state, which differs from the one before.
    pub state: State,
    /// When, since the manifests were sent.
    pub at: Duration,
}

/// What a Pod is called in every seed alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodName {
    /// The manifest names it.
    Given(String),
    /// A controller made it up: `web-<hash>-<1>`. Pods with one stem are counted in the order in which they come; those that come at the
    /// same time are as good as each other, and are counted in the order of what becomes of them.
    Generated {
        /// The name without what is random in it: `web-<hash>-`.
        stem: String,
        /// Which of them, from 1 on.
        number: usize,
    },
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(name) => f.write_str(name),
            Self::Generated { stem, number } => write!(f, "{stem}<{number}>"),
        }
    }
}

/// A Pod, whatever the seed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pod {
    /// Its name.
    pub name: PodName,
    /// The labels of its manifest or template.
    pub labels: BTreeMap<String, String>,
}

/// What became of a Pod.
pub type PodHistory = Vec<Step>;

/// What one seed gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The seed.
    pub seed: u64,
    /// What became of each Pod.
    pub pods: BTreeMap<Pod, PodHistory>,
}

/// A Pod of one seed, of whose name it is not known yet how it will be counted.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Recorded {
    stem: Option<String>,
    /// Pods that come at the same time are as good as each other; those that come later are others.
    batch: usize,
    states: Vec<State>,
    steps: PodHistory,
    name: String,
    labels: BTreeMap<String, String>,
}

/// Makes a [`History`] of the observations of a namespace.
#[derive(Debug, Default)]
pub struct Recorder {
    /// By uid.
    pods: BTreeMap<String, Recorded>,
}

impl Recorder {
    /// Takes the next entry of the timeline; `start` is the time at which the manifests were sent.
    pub fn take(&mut self, entry: &Entry, start: Duration) {
        let Observation::Object(object) = &entry.what else { return };
        if object.kind != "Pod" {
            return;
        }
        let pod = self.pods.entry(object.uid.clone()).or_insert_with(|| Recorded::new(object));
        let state = state(object);
        if pod.states.last() != Some(&state) {
            pod.states.push(state.clone());
            pod.steps.push(Step { state, at: entry.t.saturating_sub(start) });
        }
    }

    /// All that was seen.
    pub fn finish(self, seed: u64) -> History {
        let mut recorded: Vec<_> = self.pods.into_values().collect();
        number_batches(&mut recorded);
        recorded.sort();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let named = recorded.into_iter().map(|pod| {
            let name = match pod.stem {
                None => PodName::Given(pod.name),
                Some(stem) => {
                    let number = counts.entry(stem.clone()).and_modify(|n| *n += 1).or_insert(1);
                    PodName::Generated { number: *number, stem }
                }
            };
            (Pod { name, labels: pod.labels }, pod.steps)
        });
        History { seed, pods: named.collect() }
    }
}

/// A Pod that comes more than a second after the one before it begins a new batch.
fn number_batches(recorded: &mut [Recorded]) {
    let came = |pod: &Recorded| pod.steps.first().map_or(Duration::ZERO, |step| step.at);
    recorded.sort_by_key(came);
    let (mut batch, mut last) = (0, Duration::ZERO);
    for pod in recorded {
        let now = came(pod);
        batch += usize::from(now.saturating_sub(last) > Duration::from_secs(1));
        (pod.batch, last) = (batch, now);
    }
}

impl Recorded {
    fn new(pod: &ObjectObservation) -> Self {
        let text = |pointer| pod.object.pointer(pointer).and_then(serde_json::Value::as_str);
        let labels = pod.object.pointer("/metadata/labels").and_then(serde_json::Value::as_object);
        let labels = labels.into_iter().flatten().filter(|(key, _)| !GENERATED_LABELS.contains(&key.as_str()));
        let minute = text("/metadata/ownerReferences/0/name").and_then(minute_of_cron_job);
        let labels = labels.filter(|(key, _)| minute.is_none() || *key != "batch.kubernetes.io/job-name");
        Self {
            stem: text("/metadata/generateName").map(|stem| match (text("/metadata/labels/pod-template-hash"), minute) {
                (Some(hash), _) => stem.replace(hash, "<hash>"),
                (None, Some(minute)) => stem.replace(minute, "<minute>"),
                (None, None) => stem.to_owned(),
            }),
            batch: 0,
            states: Vec::new(),
            steps: Vec::new(),
            name: pod.name.clone(),
            labels: labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
        }
    }
}

/// The minute, since 1970, for which a CronJob has made a Job of this name (`pkg/controller/cronjob/utils.go:getJobName`).
fn minute_of_cron_job(job: &str) -> Option<&str> {
    let (_, minute) = job.rsplit_once('-')?;
    (minute.len() == 8 && minute.bytes().all(|byte| byte.is_ascii_digit())).then_some(minute)
}

fn state(pod: &ObjectObservation) -> State {
    let cell = |header| pod.columns.get(header).cloned().unwrap_or_default();
    // `2 (3s ago)` changes with the clock.
    let restarts = cell("RESTARTS").split(' ').next().unwrap_or_default().to_owned();
    State { ready: cell("READY"), status: cell("STATUS"), restarts }
}
