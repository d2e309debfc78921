//! A whole cluster and how it is built.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::FutureExt;
use k8s_openapi::{
    api::core::v1::{Namespace, Node, ServiceAccount, Taint},
    jiff::Timestamp,
};
use tokio::task::JoinSet;
use workload::Workloads;

use crate::{
    Clock, Component, LoopbackClient, Random, Version,
    apiserver::ApiServer,
    controllers,
    deaths::{ComponentDied, Deaths},
    kubelet, scheduler,
    selector::Selection,
    store::{DEFAULT_HISTORY, Store},
    watched::Watched,
};

/// When a cluster's history starts unless told otherwise: 2026-01-01T00:00:00Z.
pub const EPOCH: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// How often old changes are forgotten (`--etcd-compaction-interval`).
const COMPACTION: Duration = Duration::from_mins(5);

/// The namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// What a cluster is to be like; see [`Cluster::builder`].
#[derive(Debug)]
#[must_use]
pub struct ClusterBuilder {
    nodes: usize,
    version: Version,
    seed: u64,
    epoch: Timestamp,
    speed: f64,
    history: usize,
    workloads: Workloads,
}

/// A running simulated cluster. Dropping it stops all its components.
#[derive(Debug)]
pub struct Cluster {
    api: ApiServer,
    clock: Clock,
    observer: LoopbackClient,
    /// Whether the kubelet of each node runs.
    nodes: BTreeMap<String, Watched<bool>>,
    deaths: Deaths,
    _components: JoinSet<()>,
}

impl ClusterBuilder {
    /// How many nodes: one is `kubesim-control-plane`, further ones are `kubesim-worker`, `kubesim-worker2` … and the
    /// first then takes no Pods, as in kind. No node at all is a cluster in which nothing is scheduled; more than 250
    /// have no addresses.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The version of Kubernetes.
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The seed: one seed is one history.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The time of day at the start; [`EPOCH`] unless told otherwise.
    pub fn epoch(mut self, epoch: Timestamp) -> Self {
        self.epoch = epoch;
        self
    }

    /// How many times as fast as the runtime's time the cluster's passes; for clusters in real time.
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// How many changes of each resource are kept at most for watches to resume from; none for more than ten minutes.
    pub fn history(mut self, changes: usize) -> Self {
        self.history = changes;
        self
    }

    /// The images that exist and what they do.
    pub fn workloads(mut self, workloads: Workloads) -> Self {
        self.workloads = workloads;
        self
    }

    /// Starts the cluster's components as tasks of the current tokio runtime.
    pub fn build(self) -> Cluster {
        let clock = Clock::scaled(self.epoch, self.speed);
        let root = Random::from_seed(self.seed);
        let store = Store::with_history(self.history);
        let api = ApiServer::new(store.clone(), clock, self.version, root.fork("apiserver"));
        api.bootstrap(&NAMESPACES);
        let (workloads, deaths) = (Arc::new(self.workloads), Deaths::default());
        let component = |manager: &'static str, stream: &str| Component {
            client: LoopbackClient::new(api.clone(), manager, root.fork(stream).fork("client")),
            clock,
            random: root.fork(stream),
            version: self.version,
            workloads: Arc::clone(&workloads),
            deaths: deaths.clone(),
        };
        let names: Vec<String> = (0..self.nodes).map(node_name).collect();
        let mut nodes = BTreeMap::new();
        let mut components = JoinSet::new();
        components.spawn(compact(store, clock));
        components.spawn(controllers::run(component("kube-controller-manager", "controllers")));
        let scheduler = scheduler::run(component("kube-scheduler", "scheduler"));
        components.spawn(deaths.clone().component("scheduler".to_owned(), scheduler));
        for (index, node) in names.iter().enumerate() {
            let taints = if names.len() > 1 && index == 0 { vec![control_plane_taint()] } else { Vec::new() };
            let runs = Watched::new(true);
            let kubelet = kubelet::run(node.clone(), taints, component("kubelet", &format!("kubelet/{node}")), runs.clone());
            components.spawn(deaths.clone().component(format!("kubelet of {node}"), kubelet.map(Ok)));
            nodes.insert(node.clone(), runs);
        }
        let observer = LoopbackClient::new(api.clone(), "kubesim", root.fork("observer"));
        Cluster { api, clock, observer, nodes, deaths, _components: components }
    }
}

/// Forgets what happened five to ten minutes ago (`apiserver/pkg/storage/etcd3/compact.go`).
async fn compact(store: Store, clock: Clock) {
    let mut old = store.revision();
    loop {
        clock.sleep(COMPACTION).await;
        store.compact(old);
        old = store.revision();
    }
}

impl Cluster {
    /// A cluster of one node, of the latest version, with seed 0 and no images, until told otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            nodes: 1,
            version: Version::LATEST,
            seed: 0,
            epoch: EPOCH,
            speed: 1.0,
            history: DEFAULT_HISTORY,
            workloads: Workloads::new(),
        }
    }

    /// A client of the cluster, in the namespace `default`.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.api.http(), "default")
    }

    /// The cluster's API as an HTTP service, for those who serve it themselves.
    pub fn api(&self) -> &ApiServer {
        &self.api
    }

    /// The cluster's time.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Waits until the cluster is as `kind create cluster --wait` leaves it: every node Ready, and the default service
    /// account there. Gives up after two minutes of the cluster's time.
    ///
    /// # Errors
    /// What is still missing then.
    pub async fn ready(&self) -> Result<(), NotReady> {
        let deadline = self.clock.elapsed() + Duration::from_mins(2);
        loop {
            let missing = self.missing().await;
            match missing {
                None => return Ok(()),
                Some(missing) if self.clock.elapsed() > deadline => return Err(NotReady { missing }),
                Some(_) => self.clock.sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Waits for a component to die: what the cluster does from then on says nothing about a real one.
    pub async fn died(&self) -> ComponentDied {
        self.deaths.first().await
    }

    /// Stops the kubelet of a node, as when it hangs or the machine loses its network: its containers run on, and nobody
    /// hears of them.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn stop_kubelet(&self, node: &str) -> Result<(), NoSuchNode> {
        self.set_kubelet(node, false)
    }

    /// Starts the kubelet of a node again: it registers the node and takes up its Pods as they are then. Nothing happens if it runs.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn start_kubelet(&self, node: &str) -> Result<(), NoSuchNode> {
        self.set_kubelet(node, true)
    }

    fn set_kubelet(&self, node: &str, runs: bool) -> Result<(), NoSuchNode> {
        let all = || self.nodes.keys().cloned().collect::<Vec<_>>().join(", ");
        let kubelet = self.nodes.get(node).ok_or_else(|| NoSuchNode { node: node.to_owned(), nodes: all() })?;
        kubelet.set(runs);
        Ok(())
    }

    async fn missing(&self) -> Option<String> {
        for name in self.nodes.keys() {
            let node = self.observer.get::<Node>("", name).await.ok();
            let conditions = node.and_then(|node| node.status.as_ref()?.conditions.clone()).unwrap_or_default();
            if !conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
                return Some(format!("node {name} is not Ready"));
            }
        }
        let namespaces = self.observer.list::<Namespace>(&Selection::all()).await.unwrap_or_default();
        let has_default = self.observer.get::<ServiceAccount>("default", "default").await.is_ok();
        if namespaces.is_empty() || !has_default {
            return Some("the service account default/default does not exist".to_owned());
        }
        None
    }
}

/// The cluster did not become ready in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulated cluster did not become ready in two minutes of its time: {missing}")]
pub struct NotReady {
    missing: String,
}

/// A name that no node of the cluster has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulated cluster has no node {node:?}; its nodes are {nodes}")]
pub struct NoSuchNode {
    node: String,
    nodes: String,
}

/// What keeps Pods off a control plane that has other nodes beside it (kubeadm marks every control plane so, and kind takes
/// the mark from one that is alone: kind/pkg/cluster/internal/create/actions/kubeadminit).
fn control_plane_taint() -> Taint {
    Taint { key: "node-role.kubernetes.io/control-plane".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() }
}

/// The names that kind gives to the nodes of a cluster `kubesim`.
fn node_name(index: usize) -> String {
    match index {
        0 => "kubesim-control-plane".to_owned(),
        1 => "kubesim-worker".to_owned(),
        further => format!("kubesim-worker{further}"),
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use k8s_openapi::api::coordination::v1::Lease;
    use kube::api::{Api, PostParams};
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::alone(1, "kubesim-control-plane")]
    #[case::with_a_worker(2, "kubesim-worker")]
    #[tokio::test(start_paused = true)]
    async fn a_control_plane_takes_pods_only_when_it_is_alone(#[case] nodes: usize, #[case] expected: &str) {
        let cluster = Cluster::builder().nodes(nodes).build();
        cluster.ready().await.unwrap();
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::default_namespaced(cluster.client());
        for index in 0..4 {
            let pod = json!({"metadata": {"name": format!("p{index}")}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
            pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
        }
        cluster.clock().sleep(Duration::from_secs(5)).await;
        for pod in pods.list(&kube::api::ListParams::default()).await.unwrap() {
            assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some(expected));
        }
    }

    /// What runs on a node whose kubelet is stopped runs on, and nothing is reported until it starts again.
    #[tokio::test(start_paused = true)]
    async fn a_stopped_kubelet_reports_nothing() {
        let workload = workload::Workload::from_yaml("{image: 'a:1', timers: [{after: 5s, exit: 1}]}").unwrap();
        let cluster = Cluster::builder().workloads([workload].into_iter().collect()).build();
        cluster.ready().await.unwrap();
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::default_namespaced(cluster.client());
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}});
        pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
        cluster.clock().sleep(Duration::from_secs(4)).await;
        let restarts = async || pods.get("p").await.unwrap().status.unwrap().container_statuses.unwrap()[0].restart_count;
        cluster.stop_kubelet("kubesim-control-plane").unwrap();
        let lease = async || {
            let lease = cluster.observer.get::<Lease>("kube-node-lease", "kubesim-control-plane").await.unwrap();
            lease.spec.clone().unwrap().renew_time
        };
        cluster.clock().sleep(Duration::from_secs(11)).await;
        let renewed = lease().await;
        cluster.clock().sleep(Duration::from_mins(1)).await;
        assert_eq!((restarts().await, lease().await == renewed), (0, true));
        cluster.start_kubelet("kubesim-control-plane").unwrap();
        cluster.clock().sleep(Duration::from_secs(15)).await;
        assert!(restarts().await > 0 && lease().await != renewed);
        let error = cluster.stop_kubelet("other").unwrap_err();
        assert_eq!(error.to_string(), "the simulated cluster has no node \"other\"; its nodes are kubesim-control-plane");
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_cannot_start_ten_minutes_ago() {
        let cluster = Cluster::builder().nodes(0).build();
        cluster.ready().await.unwrap();
        let names =
            ["a", "b"].map(|name| json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}));
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::default_namespaced(cluster.client());
        let [first, _] = [
            pods.create(&PostParams::default(), &serde_json::from_value(names[0].clone()).unwrap()).await.unwrap(),
            pods.create(&PostParams::default(), &serde_json::from_value(names[1].clone()).unwrap()).await.unwrap(),
        ];
        let first = first.metadata.resource_version.unwrap();
        let begins = async || {
            let mut events = pods.watch(&kube::api::WatchParams::default(), &first).await.unwrap().boxed();
            matches!(events.next().await, Some(Ok(kube::core::WatchEvent::Added(_))))
        };
        cluster.clock().sleep(Duration::from_mins(4)).await;
        assert!(begins().await);
        cluster.clock().sleep(Duration::from_mins(7)).await;
        assert!(!begins().await);
    }
}
