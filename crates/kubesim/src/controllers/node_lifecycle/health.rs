//! Which nodes are heard of (`node_lifecycle_controller.go:tryUpdateNodeHealth`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, NodeCondition},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
};
use serde_json::{Value, json};

use crate::{Clock, Informer, controllers::ownership};

/// For how long a node may be silent (`nodeMonitorGracePeriod`), and one that has never spoken (`nodeStartupGracePeriod`).
const GRACE: Duration = Duration::from_secs(50);
const STARTUP_GRACE: Duration = Duration::from_mins(1);

/// What is not known of a node that is not heard of.
const DOUBTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What a kubelet renews: its lease, and the time in its node's status.
type Sign = (Option<MicroTime>, Option<Time>);

/// The last sign of each node, and when it was first seen.
#[derive(Debug, Default)]
pub(super) struct Heartbeats(BTreeMap<String, (Sign, Duration)>);

impl Heartbeats {
    /// Takes in the signs of all nodes; the nodes that have been silent for too long, and whose conditions do not say so.
    pub(super) fn look(&mut self, nodes: &Informer<Node>, leases: &Informer<Lease>, now: Duration) -> BTreeSet<String> {
        self.0.retain(|name, _| nodes.get("", name).is_some());
        let mut silent = BTreeSet::new();
        for node in nodes.iter() {
            let name = ownership::name(&node.metadata);
            let lease = leases.get("kube-node-lease", name).and_then(|lease| lease.spec.as_ref()?.renew_time.clone());
            let ready = condition(node, "Ready");
            let sign = (lease, ready.and_then(|ready| ready.last_heartbeat_time.clone()));
            let (known, since) = self.0.entry(name.to_owned()).or_insert_with(|| (sign.clone(), now));
            if *known != sign {
                (*known, *since) = (sign, now);
            }
            let grace = if ready.is_some() { GRACE } else { STARTUP_GRACE };
            let is_known = |kind: &&str| condition(node, kind).is_none_or(|condition| condition.status != "Unknown");
            if now.saturating_sub(*since) > grace && DOUBTED.iter().any(is_known) {
                silent.insert(name.to_owned());
            }
        }
        silent
    }
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Whether the node's condition Ready is True.
pub(super) fn is_ready(node: &Node) -> bool {
    condition(node, "Ready").is_some_and(|ready| ready.status == "True")
}

/// The conditions by which a silent node becomes unknown, for a patch of its status.
pub(super) fn doubted(node: &Node, clock: Clock) -> Vec<Value> {
    let unknown = |kind: &&str| {
        let known = condition(node, kind);
        if known.is_some_and(|known| known.status == "Unknown") {
            return None;
        }
        let (reason, message) = match known {
            Some(_) => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
            None => ("NodeStatusNeverUpdated", "Kubelet never posted node status."),
        };
        let mut unknown =
            json!({"type": kind, "status": "Unknown", "reason": reason, "message": message, "lastTransitionTime": clock.time()});
        if known.is_none() {
            unknown["lastHeartbeatTime"] = json!(node.metadata.creation_timestamp);
        }
        Some(unknown)
    };
    DOUBTED.iter().filter_map(unknown).collect()
}
