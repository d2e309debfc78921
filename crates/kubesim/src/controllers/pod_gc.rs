//! The garbage collector of Pods whose node is gone: nobody is left to end them (`pkg/controller/podgc`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;

use super::{ownership, pods};
use crate::{Clock, Component, DeleteOptions, LoopbackClient, Patch, StatusError, selector::Selection};

/// How often it looks (`gcCheckPeriod`), and for how long a node must be missing before its Pods go (`quarantineTime`).
const PERIOD: Duration = Duration::from_secs(20);
const QUARANTINE: Duration = Duration::from_secs(40);

/// Runs the collector for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let Component { client, clock, .. } = component;
    let mut nodes = client.informer::<Node>(Selection::all())?;
    let mut pods = client.informer::<Pod>(Selection::all())?;
    let mut missing: BTreeMap<String, Duration> = BTreeMap::new();
    loop {
        clock.sleep(PERIOD).await;
        nodes.catch_up();
        pods.catch_up();
        let is_missing = |node: &str| !node.is_empty() && nodes.get("", node).is_none();
        missing.retain(|node, _| is_missing(node));
        let mut orphans: Vec<Arc<Pod>> = Vec::new();
        for pod in pods.iter().filter(|pod| is_missing(pods::node_name(pod))) {
            let now = clock.elapsed();
            let since = *missing.entry(pods::node_name(pod).to_owned()).or_insert(now);
            if since + QUARANTINE <= now {
                orphans.push(Arc::clone(pod));
            }
        }
        for pod in orphans {
            if let Err(error) = collect(&client, clock, &pod).await {
                tracing::debug!(%error, "the Pod of a missing node is collected next time");
            }
        }
    }
}

/// Says that the Pod has failed and why, and deletes it without grace.
async fn collect(client: &LoopbackClient, clock: Clock, pod: &Pod) -> Result<(), StatusError> {
    let key = ownership::key_of(&pod.metadata);
    let mut status = json!({"conditions": [pods::disruption("DeletionByPodGC", "PodGC: node no longer exists", clock)]});
    if !pods::is_terminal(pod) {
        status["phase"] = json!("Failed");
    }
    let patch = Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": status}));
    client.patch_status::<Pod>(&key.namespace, &key.name, &patch).await?;
    let options = DeleteOptions { uid: pod.metadata.uid.clone(), ..DeleteOptions::now() };
    client.delete::<Pod>(&key.namespace, &key.name, &options).await
}
