//! The controllers and the scheduler, on an API server of their own and with a kubelet that obeys annotations.

mod collection;
mod cronjob;
mod daemonset;
mod deployment;
mod job;
mod kubelet;
mod nodes;
mod scale;
mod services;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{Event, Node, Pod},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Clock, Component, LoopbackClient, Patch, Random, StatusError, Version, apiserver::ApiServer, deaths::Deaths, loopback::Kind,
    scheduler, selector::Selection, store::Store,
};

/// A cluster without kubelets of its own.
pub(crate) struct Bench {
    pub(crate) client: LoopbackClient,
    pub(crate) clock: Clock,
    _tasks: JoinSet<()>,
}

pub(crate) fn of<K: Kind>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

impl Bench {
    /// A cluster with the namespaces `default` and `kube-node-lease`, and no nodes.
    pub(crate) fn empty(seed: u64) -> Self {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let root = Random::from_seed(seed);
        let api = ApiServer::new(Store::default(), clock, Version::LATEST, root.fork("apiserver"));
        api.bootstrap(&["default", "kube-node-lease"]);
        let component = |name: &'static str| Component {
            client: LoopbackClient::new(api.clone(), name, root.fork(name).fork("client")),
            clock,
            random: root.fork(name),
            version: Version::LATEST,
            workloads: Arc::default(),
            deaths: Deaths::default(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(super::run(component("controllers")));
        let scheduler = scheduler::run(component("scheduler"));
        tasks.spawn(async move { scheduler.await.unwrap() });
        tasks.spawn(kubelet::run(component("kubelet")));
        Self { client: component("test").client, clock, _tasks: tasks }
    }

    /// A cluster with one node of 4 CPUs.
    pub(crate) async fn new(seed: u64) -> Self {
        let bench = Self::empty(seed);
        bench.add_node("node", json!({})).await;
        bench
    }

    pub(crate) async fn add_node(&self, name: &str, labels: Value) {
        let room = json!({"cpu": "4", "memory": "8Gi", "pods": "2000"});
        let node = json!({"metadata": {"name": name, "labels": labels}, "spec": {}});
        let node = self.create::<Node>(node).await;
        let conditions = json!([{"type": "Ready", "status": "True"}]);
        let mut node = Node::clone(&node);
        node.status =
            Some(serde_json::from_value(json!({"allocatable": room, "capacity": room, "conditions": conditions})).unwrap());
        self.client.update_status(&node).await.unwrap();
    }

    pub(crate) async fn create<K: Kind>(&self, value: Value) -> Arc<K> {
        self.client.create(&of::<K>(value)).await.unwrap()
    }

    pub(crate) async fn get<K: Kind>(&self, name: &str) -> Result<Arc<K>, StatusError> {
        self.client.get("default", name).await
    }

    pub(crate) async fn list<K: Kind>(&self) -> Vec<Arc<K>> {
        self.client.list(&Selection::all()).await.unwrap()
    }

    pub(crate) async fn patch<K: Kind>(&self, name: &str, patch: Value) -> Arc<K> {
        self.client.patch("default", name, &Patch::Merge(patch)).await.unwrap()
    }

    pub(crate) async fn wait(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// The `reason: message` of all events about an object of this kind, in the order in which they were recorded.
    pub(crate) async fn events(&self, kind: &str) -> Vec<String> {
        let mut events = self.list::<Event>().await;
        events.retain(|event| event.involved_object.kind.as_deref() == Some(kind));
        events.sort_by_key(|event| event.metadata.resource_version.as_ref().map(|version| version.parse::<u64>().unwrap()));
        let line = |event: &Arc<Event>| {
            format!("{}: {}", event.reason.as_deref().unwrap_or_default(), event.message.as_deref().unwrap_or_default())
        };
        events.iter().map(line).collect()
    }

    pub(crate) async fn deployment(&self) -> Deployment {
        Deployment::clone(&*self.get("web").await.unwrap())
    }

    /// The sizes of the ReplicaSets, by revision.
    pub(crate) async fn sizes(&self) -> Vec<i32> {
        let mut sets = self.list::<ReplicaSet>().await;
        sets.sort_by_key(|set| revision(set));
        sets.iter().map(|set| set.spec.replicas.unwrap_or(0)).collect()
    }

    pub(crate) async fn pods(&self) -> Vec<Arc<Pod>> {
        self.list().await
    }
}

pub(crate) fn revision(set: &ReplicaSet) -> i64 {
    set.metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"].parse().unwrap()
}

/// The Deployment `web`; its Pods become ready a second after they run, or never.
pub(crate) fn web(replicas: i32, image: &str, becomes_ready: bool) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "default", "annotations": {"team": "a"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": template(image, becomes_ready),
        },
    })
}

pub(crate) fn template(image: &str, becomes_ready: bool) -> Value {
    let ready = if becomes_ready { "1" } else { "never" };
    json!({
        "metadata": {"labels": {"app": "web"}, "annotations": {"ready-after": ready}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    })
}
