//! A node, a store, and an observer that writes down what a `kubectl get pods --watch` would print.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Binding, ContainerStatus, Event, Pod};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use workload::{Workload, Workloads};

use crate::{
    Clock, Component, Delta, LoopbackClient, Random, Version,
    apiserver::{ApiServer, DeleteOptions},
    deaths::Deaths,
    kubelet::pod::lock,
    node_api::NodeApi,
    selector::Selection,
    store::Store,
    watched::Watched,
};

pub(super) const NODE: &str = "node";

const WORKLOADS: [&str; 4] = [
    include_str!("../../../../../workloads/delayfailserver-1.1.yaml"),
    include_str!("../../../../../workloads/hello-server-1.6.yaml"),
    include_str!("../../../../../workloads/hello-server-1.7.yaml"),
    include_str!("../../../../../workloads/busybox-1.36.1.yaml"),
];
const SLOW: &str = include_str!("../../../../../workloads/slow-starter-1.0.yaml");

/// One row of the watch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Seconds since the Pod was made.
    pub(super) at: f64,
    pub(super) cells: String,
    pub(super) pod: Arc<Pod>,
    pub(super) deleted: bool,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.3} {}", self.at, self.cells)
    }
}

pub(super) struct Lab {
    pub(super) client: LoopbackClient,
    pub(super) api: ApiServer,
    pub(super) clock: Clock,
    pub(super) rows: Arc<Mutex<Vec<Row>>>,
    began: Duration,
    tasks: JoinSet<()>,
}

impl Lab {
    pub(super) fn new(seed: u64, version: &str) -> Self {
        Self::with_workloads(seed, version, &[])
    }

    pub(super) fn with_workloads(seed: u64, version: &str, more: &[&str]) -> Self {
        let clock = Clock::starting_at("2026-01-01T00:00:00.3Z".parse().unwrap());
        let version: Version = version.parse().unwrap();
        let random = Random::from_seed(seed);
        let api = ApiServer::new(Store::default(), clock, version, random.fork("api"));
        api.bootstrap(&["default", "kube-node-lease"]);
        let workloads: Workloads =
            WORKLOADS.iter().chain([&SLOW]).chain(more).map(|text| Workload::from_yaml(text).unwrap()).collect();
        let component = Component {
            client: LoopbackClient::new(api.clone(), "kubelet", random.fork("client")),
            clock,
            random: random.fork("kubelet"),
            version,
            workloads: Arc::new(workloads),
            deaths: Deaths::default(),
        };
        let client = LoopbackClient::new(api.clone(), "test", random.fork("test"));
        let mut tasks = JoinSet::new();
        let rows = Arc::new(Mutex::new(Vec::new()));
        tasks.spawn(follow(client.fork("watch"), clock, Arc::clone(&rows)));
        tasks.spawn(crate::kubelet::run(NODE.to_owned(), Vec::new(), component, Watched::new(true)));
        Self { client, api, clock, rows, began: clock.elapsed(), tasks }
    }

    /// Makes a Pod and binds it to the node; time counts from now on.
    pub(super) async fn start(&mut self, name: &str, mut spec: Value) {
        // Not always at the same place of the tickers' seconds.
        self.clock.sleep(Duration::from_millis(1_700)).await;
        self.began = self.clock.elapsed();
        // The token volume that the API server gives to every Pod: waiting for it is part of the start.
        spec["volumes"] =
            json!(spec["volumes"].as_array().cloned().unwrap_or_else(|| vec![json!({"name": "token", "projected": {}})]));
        let pod = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
        self.client.create::<Pod>(&serde_json::from_value(pod).unwrap()).await.unwrap();
        let binding = json!({"metadata": {"name": name, "namespace": "default"}, "target": {"kind": "Node", "name": NODE}});
        self.client.bind(&serde_json::from_value::<Binding>(binding).unwrap()).await.unwrap();
    }

    /// Lets time pass until so many seconds after the start.
    pub(super) async fn until(&self, second: f64) {
        self.clock.sleep_until(self.began + Duration::from_secs_f64(second)).await;
    }

    pub(super) async fn delete(&self, name: &str, options: &DeleteOptions) {
        self.client.delete::<Pod>("default", name, options).await.unwrap();
    }

    /// The rows in which a cell changed, with their times since the Pod was made.
    pub(super) fn changes(&self, name: &str) -> Vec<Row> {
        let mut rows = self.all(name);
        rows.dedup_by(|row, before| row.cells == before.cells);
        rows
    }

    /// All rows of a Pod.
    pub(super) fn all(&self, name: &str) -> Vec<Row> {
        let began = self.began.as_secs_f64();
        let of = |row: &&Row| row.pod.metadata.name.as_deref() == Some(name);
        lock(&self.rows).iter().filter(of).cloned().map(|row| Row { at: row.at - began, ..row }).collect()
    }

    /// The cells of the changes, without times.
    pub(super) fn cells(&self, name: &str) -> Vec<String> {
        self.changes(name).into_iter().map(|row| row.cells).collect()
    }

    /// When a Pod first showed these cells.
    pub(super) fn when(&self, name: &str, cells: &str) -> f64 {
        let found = self.changes(name).into_iter().find(|row| row.cells == cells);
        found.unwrap_or_else(|| panic!("never {cells}: {}", self.print(name))).at
    }

    pub(super) fn print(&self, name: &str) -> String {
        self.changes(name).iter().map(|row| format!("{row}\n")).collect::<Vec<_>>().concat()
    }

    pub(super) async fn pod(&self, name: &str) -> Arc<Pod> {
        self.client.get::<Pod>("default", name).await.unwrap()
    }

    /// The events, as `TYPE REASON xCOUNT MESSAGE`, in the order of their making.
    pub(super) async fn events(&self) -> Vec<String> {
        let mut events = self.client.list::<Event>(&Selection::all()).await.unwrap();
        let nanos =
            |event: &Event| event.metadata.name.as_ref().and_then(|name| name.rsplit_once('.').map(|(_, hex)| hex.to_owned()));
        events.sort_by_key(|event| nanos(event));
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let line = |event: &Arc<Event>| {
            let count = event.count.unwrap_or_default();
            format!("{} {} x{count} {}", text(&event.type_), text(&event.reason), text(&event.message))
        };
        events.iter().map(line).collect()
    }

    /// The count of the first event with this reason.
    pub(super) async fn count(&self, reason: &str) -> i32 {
        let events = self.client.list::<Event>(&Selection::all()).await.unwrap();
        let count = events.iter().find(|event| event.reason.as_deref() == Some(reason)).and_then(|event| event.count);
        count.unwrap_or_default()
    }

    /// The lines of a container's log.
    pub(super) async fn log(&self, pod: &str, container: &str, previous: bool) -> Result<Vec<String>, String> {
        let pod = self.pod(pod).await;
        let log = self.node().log(&pod, container, previous)?;
        Ok(log.lines(0).into_iter().map(|line| line.text).collect())
    }

    pub(super) fn node(&self) -> Arc<dyn NodeApi> {
        self.api.node(NODE).unwrap()
    }

    /// Whether everything still runs: a task that panics would end the simulation silently.
    pub(super) fn assert_alive(&mut self) {
        assert!(self.tasks.try_join_next().is_none(), "a component has ended");
    }
}

async fn follow(client: LoopbackClient, clock: Clock, rows: Arc<Mutex<Vec<Row>>>) {
    let mut pods = client.informer::<Pod>(Selection::all()).unwrap();
    loop {
        let delta = pods.next().await;
        let deleted = matches!(delta, Delta::Deleted(_));
        let pod = Arc::clone(delta.object());
        let row = Row { at: clock.elapsed().as_secs_f64(), cells: cells(&pod), pod, deleted };
        lock(&rows).push(row);
    }
}

/// READY, STATUS and RESTARTS (`pkg/printers/internalversion/printers.go:printPod`), without sidecars.
pub(super) fn cells(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let phase = status.phase.clone().unwrap_or_default();
    let mut reason = phase.clone();
    let containers = status.container_statuses.unwrap_or_default();
    let init = status.init_container_statuses.unwrap_or_default();
    let total = pod.spec.as_ref().map_or(0, |spec| spec.containers.len());
    let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();
    let unfinished = init.iter().position(|status| {
        let terminated = status.state.as_ref().and_then(|state| state.terminated.as_ref());
        terminated.is_none_or(|terminated| terminated.exit_code != 0) && status.started != Some(true)
    });
    let (mut ready, mut running) = (0, false);
    if let Some(index) = unfinished {
        reason = match cause(&init[index]) {
            Some(cause) if cause != "PodInitializing" => format!("Init:{cause}"),
            _ => format!("Init:{index}/{}", init.len()),
        };
    } else {
        for container in containers.iter().rev() {
            if let Some(cause) = cause(container) {
                reason = cause;
            } else if container.ready {
                ready += 1;
                running = true;
            }
        }
        if reason == "Completed" && running {
            reason = "Running".to_owned();
        }
    }
    if pod.metadata.deletion_timestamp.is_some() && !matches!(phase.as_str(), "Succeeded" | "Failed") {
        reason = "Terminating".to_owned();
    }
    format!("{ready}/{total} {reason} {restarts}")
}

fn cause(status: &ContainerStatus) -> Option<String> {
    let state = status.state.as_ref()?;
    let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
    waiting.or_else(|| state.terminated.as_ref()?.reason.clone())
}

/// Runs a future on a runtime in which time is virtual.
pub(super) fn simulate<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// A spec of one container.
pub(super) fn one(container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("c");
    json!({"containers": [container]})
}

/// The HTTP probe of the course: a delay of 5 s, a period of 5 s.
pub(super) fn probe(path: &str, port: u16) -> Value {
    json!({"httpGet": {"path": path, "port": port}, "initialDelaySeconds": 5, "periodSeconds": 5})
}

pub(super) fn readiness() -> Value {
    one(json!({"image": "blux2/delayfailserver:1.1", "readinessProbe": probe("/healthz", 8080)}))
}

pub(super) fn liveness() -> Value {
    one(json!({"image": "blux2/delayfailserver:1.1", "livenessProbe": probe("/healthz", 8080)}))
}

pub(super) fn shell(script: &str) -> Value {
    one(json!({"image": "busybox:1.36.1", "command": ["sh", "-c", script]}))
}
