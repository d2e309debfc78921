//! The node itself: its object, its conditions, its lease (`pkg/kubelet/kubelet_node_status.go`, nodelease).

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, NodeCondition},
};
use serde_json::{Value, json};

use super::{Kubelet, runtime::NODE_MEMORY};
use crate::{LoopbackClient, Patch};

/// How often the lease is renewed: a quarter of its 40 s.
const RENEW: Duration = Duration::from_secs(10);
/// How often the node's status is written though nothing has changed, in renewals: every five minutes.
const REPORT: u32 = 30;
/// The processors of a node, and how many Pods it takes.
pub(super) const CPUS: u32 = 8;
const PODS: u32 = 110;

/// Registers the node, and says from then on that it is well.
pub(super) async fn run(kubelet: Arc<Kubelet>, client: LoopbackClient) {
    register(&kubelet, &client).await;
    renew_lease(&kubelet, &client).await;
    for renewal in 1_u32.. {
        kubelet.clock.sleep(RENEW).await;
        if !kubelet.is_running() {
            kubelet.running().await;
            register(&kubelet, &client).await;
        }
        renew_lease(&kubelet, &client).await;
        if renewal.is_multiple_of(REPORT) || is_doubted(&kubelet, &client).await {
            heartbeat(&kubelet, &client).await;
        }
    }
}

/// Renews the lease of the node, or makes it: it belongs to the node, and without one there is none
/// (component-helpers/apimachinery/lease).
async fn renew_lease(kubelet: &Kubelet, client: &LoopbackClient) {
    let (namespace, name) = ("kube-node-lease", kubelet.node.as_str());
    let renewed = Patch::Merge(json!({"spec": {"renewTime": kubelet.clock.micro_time()}}));
    if !client.patch::<Lease>(namespace, name, &renewed).await.is_err_and(|error| error.is_not_found()) {
        return;
    }
    let Ok(node) = client.get::<Node>("", name).await else { return };
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.metadata.uid});
    let lease = json!({
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": [owner]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": kubelet.clock.micro_time()},
    });
    create::<Lease>(client, lease).await;
}

/// Whether the API server has the node as not well, which the kubelet corrects at once.
async fn is_doubted(kubelet: &Kubelet, client: &LoopbackClient) -> bool {
    let Ok(node) = client.get::<Node>("", &kubelet.node).await else { return false };
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let holds = |kind: &str, status: &str| conditions.iter().any(|condition| condition.type_ == kind && condition.status == status);
    !holds("Ready", "True") || ["MemoryPressure", "DiskPressure", "PIDPressure"].into_iter().any(|kind| !holds(kind, "False"))
}

/// Makes the node, if there is none, and says that it is well. A kubelet does so when it starts only: a node that is deleted stays
/// away until then.
async fn register(kubelet: &Kubelet, client: &LoopbackClient) {
    let name = kubelet.node.as_str();
    let mut node = json!({
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
            },
            "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": {"podCIDR": kubelet.pod_cidr(), "podCIDRs": [kubelet.pod_cidr()], "providerID": format!("kind://docker/kubesim/{name}")},
    });
    if name.ends_with("-control-plane") {
        node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
    }
    if !kubelet.taints.is_empty() {
        node["spec"]["taints"] = json!(kubelet.taints);
    }
    create::<Node>(client, node).await;
    let known = client.get::<Node>("", name).await.ok();
    let known = known.as_ref().and_then(|node| node.status.as_ref()?.conditions.as_deref());
    let resources = json!({
        "cpu": CPUS.to_string(), "memory": format!("{}Ki", NODE_MEMORY >> 10), "pods": PODS.to_string(),
        "ephemeral-storage": "263112772Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    let status = json!({
        "addresses": [{"type": "InternalIP", "address": kubelet.node_ip}, {"type": "Hostname", "address": name}],
        "allocatable": resources,
        "capacity": resources,
        "conditions": conditions(kubelet, known),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64", "bootID": id(kubelet, "boot"), "containerRuntimeVersion": "containerd://2.3.7",
            "kernelVersion": "6.8.0-kubesim", "kubeProxyVersion": "", "kubeletVersion": kubelet.version.to_string(),
            "machineID": id(kubelet, "machine").replace('-', ""), "operatingSystem": "linux",
            "osImage": "Debian GNU/Linux 12 (bookworm)", "systemUUID": id(kubelet, "system"),
        },
    });
    write_status(client, name, status).await;
}

async fn heartbeat(kubelet: &Kubelet, client: &LoopbackClient) {
    let known = client.get::<Node>("", &kubelet.node).await.ok();
    let known = known.as_ref().and_then(|node| node.status.as_ref()?.conditions.as_deref());
    write_status(client, &kubelet.node, json!({"conditions": conditions(kubelet, known)})).await;
}

async fn write_status(client: &LoopbackClient, name: &str, status: Value) {
    if let Err(error) = client.patch_status::<Node>("", name, &Patch::Strategic(json!({"status": status}))).await {
        tracing::warn!(%error, "the node's status was not written");
    }
}

async fn create<K: crate::Kind>(client: &LoopbackClient, object: Value) {
    let Ok(object) = serde_json::from_value::<K>(object) else { return };
    if let Err(error) = client.create(&object).await
        && !error.is_already_exists()
    {
        tracing::warn!(%error, "the node was not registered");
    }
}

/// All is well; the time of each condition's last change is kept.
fn conditions(kubelet: &Kubelet, known: Option<&[NodeCondition]>) -> Value {
    let now = kubelet.clock.time();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let before = known.unwrap_or_default().iter().find(|condition| condition.type_ == kind && condition.status == status);
        let changed = before.and_then(|before| before.last_transition_time.clone()).unwrap_or_else(|| now.clone());
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": changed,
        })
    };
    json!([
        condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ])
}

fn id(kubelet: &Kubelet, name: &str) -> String {
    kubelet.random(name).uuid()
}
