//! The kubelet: what runs the Pods of one node.

mod actions;
mod back_off;
mod container_gc;
mod environment;
mod images;
mod lifecycle;
mod node_status;
mod pleg;
mod pod;
mod pod_worker;
mod prober;
mod runtime;
mod server;
mod start;
mod status;
mod status_manager;
mod sync;
mod terminate;
mod timing;
mod volumes;
mod wording;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::core::v1::{Pod, Taint};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};
use workload::Workloads;

use crate::{
    Clock, Component, Delta, LoopbackClient, Random, Version,
    deaths::Deaths,
    recorder::{EventType, Recorder},
    selector::Selection,
    watched::Watched,
};
use pleg::Pleg;
use pod::{PodEntry, is_deleting, lock};
use timing::Ticker;

/// What all parts of a kubelet share.
#[derive(Debug)]
struct Kubelet {
    node: String,
    /// With which it registers the node.
    taints: Vec<Taint>,
    node_ip: String,
    /// The third number of the IPs of its Pods.
    subnet: u32,
    clock: Clock,
    version: Version,
    workloads: Arc<Workloads>,
    recorder: Recorder,
    pleg: Pleg,
    /// When Pods that are due are synced.
    sync_ticks: Ticker,
    /// When statuses that the API server does not have are sent again.
    status_ticks: Ticker,
    /// When ended containers are collected.
    container_gc: Ticker,
    /// Whether it runs; see [`Cluster::stop_kubelet`](crate::Cluster::stop_kubelet).
    runs: Watched<bool>,
    statuses: mpsc::UnboundedSender<Arc<PodEntry>>,
    pods: Mutex<BTreeMap<String, Arc<PodEntry>>>,
    next_ip: AtomicU32,
    random: Random,
    client: LoopbackClient,
    deaths: Deaths,
    tasks: Mutex<JoinSet<()>>,
}

/// How often statuses are reconciled (`status_manager.go:syncPeriod`).
const RECONCILE: Duration = Duration::from_secs(10);

/// Ends the tasks of a kubelet with it.
struct StopTasks(Arc<Kubelet>);

impl Drop for StopTasks {
    fn drop(&mut self) {
        lock(&self.0.tasks).abort_all();
    }
}

/// Runs the kubelet of the node `node`, which it registers with these taints, for as long as the cluster lives. While `runs` is
/// false it does nothing, and its containers go on.
pub(crate) async fn run(node: String, taints: Vec<Taint>, component: Component, runs: Watched<bool>) {
    let mut random = component.random.fork("ticks");
    let second = Duration::ZERO..Duration::from_secs(1);
    let takes = timing::skewed(&mut random, timing::RELIST);
    let (recorder, recording) = Recorder::new(component.part("events"), "kubelet", Some(&node));
    let (statuses, changed) = mpsc::unbounded_channel();
    let index = node_index(&node);
    let kubelet = Arc::new(Kubelet {
        node_ip: format!("172.18.0.{}", index + 2),
        subnet: index,
        clock: component.clock,
        version: component.version,
        workloads: Arc::clone(&component.workloads),
        recorder,
        pleg: Pleg::new(random.between(second.clone()), takes),
        sync_ticks: Ticker::new(random.between(second), Duration::from_secs(1)),
        status_ticks: Ticker::new(random.between(Duration::ZERO..RECONCILE), RECONCILE),
        container_gc: container_gc::rounds(&mut random),
        runs,
        statuses,
        pods: Mutex::default(),
        // On a control plane of kind the first three are taken: twice CoreDNS, and the storage provisioner.
        next_ip: AtomicU32::new(if index == 0 { 5 } else { 2 }),
        random: component.random,
        client: component.client,
        deaths: component.deaths,
        tasks: Mutex::default(),
        node,
        taints,
    });
    let _guard = StopTasks(Arc::clone(&kubelet));
    kubelet.spawn(recording);
    kubelet.spawn(status_manager::run(Arc::clone(&kubelet), kubelet.client.fork("status"), changed));
    kubelet.spawn(pleg::run(Arc::clone(&kubelet)));
    kubelet.spawn(node_status::run(Arc::clone(&kubelet), kubelet.client.fork("node")));
    kubelet.client.serve_node(&kubelet.node, Arc::new(server::Server(Arc::downgrade(&kubelet))));
    let selection = Selection::all().field("spec.nodeName", &kubelet.node);
    let mut pods = match kubelet.client.informer::<Pod>(selection) {
        Ok(pods) => pods,
        Err(error) => {
            tracing::error!(%error, "the kubelet cannot watch Pods");
            return;
        }
    };
    loop {
        let delta = pods.next().await;
        kubelet.running().await;
        match delta {
            Delta::Added(pod) | Delta::Modified { new: pod, .. } => kubelet.update(pod),
            Delta::Deleted(pod) => kubelet.remove(&pod),
        }
    }
}

/// The place of a node among those of the cluster, as [`Cluster`](crate::Cluster) names them.
fn node_index(node: &str) -> u32 {
    let digits = node.rsplit_once("-worker").map(|(_, number)| number);
    match digits {
        None => 0,
        Some("") => 1,
        Some(number) => number.parse().unwrap_or(1),
    }
}

impl Kubelet {
    /// Starts a task that ends with the kubelet.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(self.deaths.clone().task(format!("kubelet of {}", self.node), task))
    }

    /// Waits until the kubelet runs.
    async fn running(&self) {
        // Without anybody to stop it, it runs.
        self.runs.watch().until(|runs| *runs).await;
    }

    fn is_running(&self) -> bool {
        self.runs.get()
    }

    /// A stream of chance of its own.
    fn random(&self, name: &str) -> Random {
        self.random.fork(name)
    }

    /// Takes in a Pod that is new or has changed.
    fn update(self: &Arc<Self>, pod: Arc<Pod>) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let Some(entry) = self.entry(&uid) else {
            self.add(&uid, pod);
            return;
        };
        let old = entry.pod();
        let shorter = terminate::deletion_grace(&old).zip(terminate::deletion_grace(&pod)).filter(|(old, new)| new < old);
        let relevant = old.spec != pod.spec || old.metadata.generation != pod.metadata.generation || is_relabelled(&old, &pod);
        let deleting = is_deleting(&pod);
        entry.set_pod(pod);
        if let Some((_, grace)) = shorter {
            entry.deadline.set(terminate::shortened_deadline(self.clock.elapsed(), grace));
        }
        if deleting && entry.inbox.is_closed() {
            status_manager::deletion_requested(self, &entry);
        } else if relevant {
            entry.inbox.request();
        } else {
            status_manager::reconcile(self, &entry);
        }
    }

    fn add(self: &Arc<Self>, uid: &str, pod: Arc<Pod>) {
        // A Pod that was over before the kubelet saw it is nothing to run.
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if matches!(phase, Some("Succeeded" | "Failed")) {
            return;
        }
        let entry = Arc::new(PodEntry::new(pod, self.client.fork(uid), self.random(uid)));
        lock(&self.pods).insert(uid.to_owned(), Arc::clone(&entry));
        entry.inbox.request();
        self.spawn(pod_worker::run(Arc::clone(self), entry));
    }

    /// Takes in that a Pod's object is gone; what it still runs is stopped.
    fn remove(&self, pod: &Pod) {
        let Some(entry) = self.entry(pod.metadata.uid.as_deref().unwrap_or_default()) else { return };
        entry.set_removed();
        entry.deadline.set(terminate::shortened_deadline(self.clock.elapsed(), Duration::ZERO));
        entry.inbox.request();
        if entry.inbox.is_closed() {
            self.forget_if_removed(&entry);
        }
    }

    /// Forgets a Pod whose object is gone.
    fn forget_if_removed(&self, entry: &PodEntry) {
        if entry.is_removed() {
            entry.probes.stop(&prober::Kind::ALL);
            lock(&self.pods).remove(&entry.uid);
        }
    }

    fn entry(&self, uid: &str) -> Option<Arc<PodEntry>> {
        lock(&self.pods).get(uid).cloned()
    }

    /// Has the status manager look at a Pod.
    fn push_status(&self, entry: &Arc<PodEntry>) {
        // The queue closes with the kubelet.
        let _ = self.statuses.send(Arc::clone(entry));
    }

    fn container_event(&self, entry: &PodEntry, container: &str, kind: EventType, reason: &str, message: impl Into<String>) {
        self.recorder.event(&entry.container_reference(container), kind, reason, message);
    }

    fn pod_cidr(&self) -> String {
        format!("10.244.{}.0/24", self.subnet)
    }

    /// The next IP of a Pod; they begin anew after the last one of the subnet.
    fn allocate_ip(&self) -> String {
        let number = (self.next_ip.fetch_add(1, Ordering::Relaxed) - 2) % 252 + 2;
        format!("10.244.{}.{number}", self.subnet)
    }
}

fn is_relabelled(old: &Pod, new: &Pod) -> bool {
    old.metadata.labels != new.metadata.labels || old.metadata.annotations != new.metadata.annotations
}

#[cfg(test)]
mod tests;
