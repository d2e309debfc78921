//! Nodes in trouble, and what becomes of their Pods.

use k8s_openapi::api::core::v1::NodeCondition;
use kube::api::{Api, ListParams, PostParams};

use super::*;
use crate::{Cluster, DeleteOptions, controllers::pods};

fn pod(name: &str, tolerations: &Value) -> Value {
    let spec = json!({"containers": [{"name": "c", "image": "i"}], "tolerations": tolerations});
    json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

fn tolerate(seconds: &Value) -> Value {
    json!([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}])
}

async fn taint(bench: &Bench, taints: Value) {
    bench.client.patch::<Node>("", "node", &Patch::Merge(json!({"spec": {"taints": taints}}))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cordoned_node_is_tainted_and_released() {
    let bench = Bench::new(2).await;
    let cordon = |on: bool| Patch::Merge(json!({"spec": {"unschedulable": on}}));
    let taints = || async {
        let node = bench.client.get::<Node>("", "node").await.unwrap();
        node.spec.iter().flat_map(|spec| spec.taints.clone().unwrap_or_default()).map(|taint| taint.key).collect::<Vec<_>>()
    };
    bench.client.patch::<Node>("", "node", &cordon(true)).await.unwrap();
    bench.wait(1).await;
    assert_eq!(taints().await, ["node.kubernetes.io/unschedulable"]);
    bench.client.patch::<Node>("", "node", &cordon(false)).await.unwrap();
    bench.wait(1).await;
    assert!(taints().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hard_taint_evicts_pods_when_their_tolerance_ends() {
    let bench = Bench::new(3).await;
    bench.create::<Pod>(pod("none", &json!([]))).await;
    bench.create::<Pod>(pod("patient", &tolerate(&json!(30)))).await;
    bench.create::<Pod>(pod("always", &tolerate(&Value::Null))).await;
    bench.wait(5).await;
    taint(&bench, json!([{"key": "k", "effect": "NoExecute"}])).await;
    bench.wait(5).await;
    let names = || async { bench.pods().await.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect::<Vec<_>>() };
    assert_eq!(names().await, ["always", "patient"]);
    bench.patch::<Pod>("patient", json!({"metadata": {"labels": {"touched": "now"}}})).await;
    bench.client.patch::<Node>("", "node", &Patch::Merge(json!({"metadata": {"labels": {"touched": "now"}}}))).await.unwrap();
    bench.wait(25).await;
    let reason = pods::condition(&bench.get::<Pod>("patient").await.unwrap(), "DisruptionTarget").unwrap().reason.clone();
    assert_eq!(reason.as_deref(), Some("DeletionByTaintManager"));
    bench.wait(5).await;
    assert_eq!(names().await, ["always"]);
}

/// The time at which a taint was added says nothing: who comes later may stay as long as anybody.
#[tokio::test(start_paused = true)]
async fn an_eviction_is_counted_from_when_it_was_scheduled_and_cancelled_with_its_taint() {
    let bench = Bench::new(5).await;
    let old = json!([{"key": "k", "effect": "NoExecute", "timeAdded": "2025-01-01T00:00:00Z"}]);
    taint(&bench, old).await;
    bench.create::<Pod>(pod("late", &tolerate(&json!(30)))).await;
    bench.wait(20).await;
    assert!(!pods::is_deleting(&bench.get::<Pod>("late").await.unwrap()));
    taint(&bench, json!([])).await;
    bench.wait(30).await;
    assert!(pods::is_active(&bench.get::<Pod>("late").await.unwrap()));
    let told: Vec<_> = bench.events("Pod").await.into_iter().filter(|event| event.starts_with("TaintManager")).collect();
    assert_eq!(told, ["TaintManagerEviction: Cancelling deletion of Pod default/late"]);
}

#[tokio::test(start_paused = true)]
async fn the_pods_of_a_node_that_is_gone_are_collected() {
    let bench = Bench::new(6).await;
    bench.create::<Pod>(pod("left", &json!([]))).await;
    bench.wait(5).await;
    bench.client.delete::<Node>("", "node", &DeleteOptions::default()).await.unwrap();
    bench.wait(35).await;
    assert_eq!(bench.pods().await.len(), 1, "a node may come back");
    let mut watched = bench.client.informer::<Pod>(Selection::all()).unwrap();
    bench.wait(45).await;
    watched.catch_up();
    assert!(bench.pods().await.is_empty());
    let removed = "RemovingNode: Node node event: Removing Node node from Controller".to_owned();
    assert!(bench.events("Node").await.contains(&removed));
}

fn condition(node: &Node, kind: &str) -> NodeCondition {
    let conditions = node.status.as_ref().unwrap().conditions.iter().flatten();
    conditions.into_iter().find(|condition| condition.type_ == kind).unwrap().clone()
}

/// A cluster of two workers with a Pod on each, of which the first is about to be silent.
async fn two_workers() -> (Cluster, Api<Node>, Api<Pod>) {
    let cluster = Cluster::builder().nodes(3).workloads([workload::Workload::from_yaml("image: i").unwrap()].into_iter().collect());
    let cluster = cluster.build();
    cluster.ready().await.unwrap();
    let (nodes, pods) = (Api::all(cluster.client()), Api::<Pod>::default_namespaced(cluster.client()));
    for (name, node) in [("first", "kubesim-worker"), ("second", "kubesim-worker2")] {
        let mut pod = pod(name, &json!([]));
        pod["spec"]["nodeName"] = json!(node);
        pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
        pods.create(&PostParams::default(), &of(pod)).await.unwrap();
    }
    cluster.clock().sleep(Duration::from_secs(20)).await;
    (cluster, nodes, pods)
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_loses_its_pods_and_recovers_when_it_speaks_again() {
    let (cluster, nodes, pods) = two_workers().await;
    cluster.stop_kubelet("kubesim-worker").unwrap();
    cluster.clock().sleep(Duration::from_secs(35)).await;
    assert_eq!(condition(&nodes.get("kubesim-worker").await.unwrap(), "Ready").status, "True");
    cluster.clock().sleep(Duration::from_secs(30)).await;
    let node = nodes.get("kubesim-worker").await.unwrap();
    for kind in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
        let condition = condition(&node, kind);
        assert_eq!((condition.status.as_str(), condition.reason.as_deref()), ("Unknown", Some("NodeStatusUnknown")));
        assert_eq!(condition.message.as_deref(), Some("Kubelet stopped posting node status."));
    }
    let taints = node.spec.unwrap().taints.unwrap_or_default();
    let taints: Vec<_> = taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect();
    assert_eq!(taints, ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]);
    assert!(!pods::is_ready(&pods.get("first").await.unwrap()) && pods::is_ready(&pods.get("second").await.unwrap()));
    let events: Api<Event> = Api::default_namespaced(cluster.client());
    let events = events.list(&ListParams::default()).await.unwrap();
    let not_ready = events.iter().filter(|event| event.reason.as_deref() == Some("NodeNotReady"));
    assert_eq!(
        not_ready.map(|event| event.message.as_deref().unwrap()).collect::<Vec<_>>(),
        ["Node is not ready", "Node kubesim-worker status is now: NodeNotReady"]
    );
    cluster.clock().sleep(Duration::from_secs(310)).await;
    assert!(pods::is_deleting(&pods.get("first").await.unwrap()), "nobody is there to end it");
    cluster.start_kubelet("kubesim-worker").unwrap();
    cluster.clock().sleep(Duration::from_secs(30)).await;
    let node = nodes.get("kubesim-worker").await.unwrap();
    assert_eq!(condition(&node, "Ready").status, "True");
    assert!(node.spec.unwrap().taints.is_none());
    let left: Vec<_> = pods.list(&ListParams::default()).await.unwrap().into_iter().map(|pod| pod.metadata.name.unwrap()).collect();
    assert_eq!(left, ["second"]);
}

/// Where no node at all is heard of the fault may be elsewhere: nobody is evicted.
#[tokio::test(start_paused = true)]
async fn nothing_is_evicted_when_all_nodes_are_silent() {
    let (cluster, nodes, pods) = two_workers().await;
    for node in ["kubesim-control-plane", "kubesim-worker", "kubesim-worker2"] {
        cluster.stop_kubelet(node).unwrap();
    }
    cluster.clock().sleep(Duration::from_mins(10)).await;
    let taints = nodes.get("kubesim-worker").await.unwrap().spec.unwrap().taints.unwrap();
    assert_eq!(taints.iter().map(|taint| taint.effect.as_str()).collect::<Vec<_>>(), ["NoSchedule"]);
    assert!(!pods::is_deleting(&pods.get("first").await.unwrap()));
}
