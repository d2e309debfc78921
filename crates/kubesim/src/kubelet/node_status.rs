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
const CPUS: u32 = 8;
const PODS: u32 = 110;

/// Registers the node, and says from then on that it is well.
pub(super) async fn run(kubelet: Arc<Kubelet>, client: LoopbackClient) {
    register(&kubelet, &client).await;
    let namespace = "kube-node-lease";
    let lease = json!({
        "metadata": {"name": kubelet.node, "namespace": namespace},
        "spec": {"holderIdentity": kubelet.node, "leaseDurationSeconds": 40, "renewTime": kubelet.clock.micro_time()},
    });
    create::<Lease>(&client, lease).await;
    for renewal in 1_u32.. {
        kubelet.clock.sleep(RENEW).await;
        let renewed = Patch::Merge(json!({"spec": {"renewTime": kubelet.clock.micro_time()}}));
        if client.patch::<Lease>(namespace, &kubelet.node, &renewed).await.is_err_and(|error| error.is_not_found()) {
            register(&kubelet, &client).await;
        }
        if renewal.is_multiple_of(REPORT) {
            heartbeat(&kubelet, &client).await;
        }
    }
}

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
    let resources = json!({
        "cpu": CPUS.to_string(), "memory": format!("{}Ki", NODE_MEMORY >> 10), "pods": PODS.to_string(),
        "ephemeral-storage": "263112772Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    let status = json!({
        "addresses": [{"type": "InternalIP", "address": kubelet.node_ip}, {"type": "Hostname", "address": name}],
        "allocatable": resources,
        "capacity": resources,
        "conditions": conditions(kubelet, None),
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
