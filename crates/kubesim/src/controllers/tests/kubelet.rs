//! A kubelet for all nodes: Pods run half a second after they are bound; the annotation `ready-after` says after how many
//! seconds they are ready (or `never`), `ends` how they end a second later: `Succeeded` or `Failed`
//! (their containers with the exit code of `code`), by completion index if there are several words. A deleted Pod takes
//! a second to go.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, Pod},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{Clock, Component, DeleteOptions, Delta, LoopbackClient, Patch, selector::Selection};

pub(super) async fn run(component: Component) {
    let client = Arc::new(component.client);
    let mut pods = client.informer::<Pod>(Selection::all()).unwrap();
    let (mut started, mut stopping) = (BTreeSet::new(), BTreeSet::new());
    let mut tasks = JoinSet::new();
    tasks.spawn(renew_leases(client.fork("leases"), component.clock));
    loop {
        let delta = pods.next().await;
        let pod = Arc::clone(delta.object());
        if matches!(delta, Delta::Deleted(_)) || pod.spec.as_ref().unwrap().node_name.as_deref().unwrap_or("").is_empty() {
            continue;
        }
        let uid = pod.metadata.uid.clone().unwrap();
        if pod.metadata.deletion_timestamp.is_some() {
            if stopping.insert(uid) {
                tasks.spawn(stop(Arc::clone(&client), component.clock, pod));
            }
        } else if started.insert(uid) {
            tasks.spawn(start(Arc::clone(&client), component.clock, pod));
        }
    }
}

/// Renews the leases of all nodes, with which they live on.
async fn renew_leases(client: LoopbackClient, clock: Clock) {
    let mut nodes = client.informer::<Node>(Selection::all()).unwrap();
    loop {
        clock.sleep(Duration::from_secs(20)).await;
        nodes.catch_up();
        for name in nodes.iter().filter_map(|node| node.metadata.name.as_deref()) {
            let spec = json!({"holderIdentity": name, "renewTime": clock.micro_time()});
            let renewed = client.patch::<Lease>("kube-node-lease", name, &Patch::Merge(json!({"spec": spec}))).await;
            if renewed.is_err_and(|error| error.is_not_found()) {
                let lease = json!({"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec});
                client.create::<Lease>(&super::of(lease)).await.unwrap();
            }
        }
    }
}

async fn start(client: Arc<LoopbackClient>, clock: Clock, pod: Arc<Pod>) {
    let annotation = |name: &str| pod.metadata.annotations.as_ref().and_then(|all| all.get(name)).cloned();
    clock.sleep(Duration::from_millis(500)).await;
    set(&client, clock, &pod, "Running", false).await;
    if let Some(ends) = annotation("ends") {
        let index = annotation("batch.kubernetes.io/job-completion-index").and_then(|index| index.parse().ok()).unwrap_or(0);
        let phase = ends.split(' ').nth(index).unwrap_or(&ends);
        clock.sleep(Duration::from_secs(1)).await;
        if let Some(code) = annotation("code").and_then(|code| code.parse::<i32>().ok()) {
            exit(&client, &pod, code).await;
        }
        set(&client, clock, &pod, phase, false).await;
    } else if let Ok(seconds) = annotation("ready-after").unwrap_or("0".to_owned()).parse() {
        clock.sleep(Duration::from_secs(seconds)).await;
        set(&client, clock, &pod, "Running", true).await;
    }
}

async fn stop(client: Arc<LoopbackClient>, clock: Clock, pod: Arc<Pod>) {
    clock.sleep(Duration::from_secs(1)).await;
    set(&client, clock, &pod, "Succeeded", false).await;
    let (namespace, name) = (pod.metadata.namespace.clone().unwrap(), pod.metadata.name.clone().unwrap());
    let _ = client.delete::<Pod>(&namespace, &name, &DeleteOptions::now()).await;
}

async fn exit(client: &LoopbackClient, pod: &Pod, code: i32) {
    let container = json!({
        "name": "c", "image": "i", "imageID": "i", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": code}},
    });
    let patch = Patch::Strategic(json!({"status": {"containerStatuses": [container]}}));
    let (namespace, name) = (pod.metadata.namespace.as_deref().unwrap(), pod.metadata.name.as_deref().unwrap());
    let _ = client.patch_status::<Pod>(namespace, name, &patch).await;
}

async fn set(client: &LoopbackClient, clock: Clock, pod: &Pod, phase: &str, ready: bool) {
    let status = if ready { "True" } else { "False" };
    let condition = json!({"type": "Ready", "status": status, "lastTransitionTime": clock.time()});
    let ip = format!("10.244.0.{}", pod.metadata.resource_version.as_deref().unwrap_or("0"));
    let patch = json!({
        "metadata": {"uid": pod.metadata.uid},
        "status": {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]},
    });
    let (namespace, name) = (pod.metadata.namespace.as_deref().unwrap(), pod.metadata.name.as_deref().unwrap());
    let _ = client.patch_status::<Pod>(namespace, name, &Patch::Strategic(patch)).await;
}
