//! What the scheduler knows about nodes and the Pods on them (`pkg/scheduler/framework/types.go:NodeInfo`).

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Taint};

use super::{
    affinity,
    resources::{self, Amounts},
};
use crate::controllers::{ownership, pods};

/// A node, the Pods on it, and what is left of it.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeInfo {
    /// Nothing as long as only Pods of the node are known.
    pub(super) node: Option<Arc<Node>>,
    pub(super) allocatable: Amounts,
    pub(super) requested: Amounts,
    /// The same with what containers are taken to use where they request nothing.
    pub(super) presumed: Amounts,
    /// The Pods by UID, those included that are only about to be bound.
    pub(super) pods: BTreeMap<String, Arc<Pod>>,
}

impl NodeInfo {
    pub(super) fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.node.as_ref()?.metadata.labels.as_ref()
    }

    pub(super) fn name(&self) -> &str {
        self.node.as_ref().map_or("", |node| ownership::name(&node.metadata))
    }

    pub(super) fn taints(&self) -> impl Iterator<Item = &Taint> {
        let spec = self.node.as_ref().and_then(|node| node.spec.as_ref());
        spec.and_then(|spec| spec.taints.as_ref()).into_iter().flatten()
    }

    pub(super) fn is_unschedulable(&self) -> bool {
        self.node.as_ref().and_then(|node| node.spec.as_ref()?.unschedulable).unwrap_or(false)
    }

    /// The value of a label of the node.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.labels()?.get(key).map(String::as_str)
    }
}

/// A node, for controllers that decide themselves which Pods it takes.
pub(crate) struct Placement(NodeInfo);

impl Placement {
    /// The node without its Pods.
    pub(crate) fn of(node: &Arc<Node>) -> Self {
        Self(NodeInfo { node: Some(Arc::clone(node)), ..NodeInfo::default() })
    }

    /// The node's taints.
    pub(crate) fn taints(&self) -> impl Iterator<Item = &Taint> {
        self.0.taints()
    }

    /// Whether the node has what a Pod's node selector and required node affinity demand.
    pub(crate) fn is_selected_by(&self, spec: &PodSpec) -> bool {
        affinity::node_matches(spec, &self.0)
    }
}

/// All nodes by name.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    all: BTreeMap<String, NodeInfo>,
    /// The node that each Pod is counted on.
    places: BTreeMap<String, String>,
}

impl Nodes {
    /// The nodes that exist.
    pub(super) fn iter(&self) -> impl Iterator<Item = &NodeInfo> {
        self.all.values().filter(|info| info.node.is_some())
    }

    pub(super) fn set_node(&mut self, node: &Arc<Node>) {
        let info = self.all.entry(ownership::name(&node.metadata).to_owned()).or_default();
        info.allocatable = resources::amounts(node.status.as_ref().and_then(|status| status.allocatable.as_ref()));
        info.node = Some(Arc::clone(node));
    }

    pub(super) fn remove_node(&mut self, name: &str) {
        if let Some(info) = self.all.get_mut(name) {
            info.node = None;
            if info.pods.is_empty() {
                self.all.remove(name);
            }
        }
    }

    /// Counts a Pod on a node, or what it has become; whether it was not counted before.
    pub(super) fn set_pod(&mut self, pod: &Arc<Pod>, node: &str) -> bool {
        let is_new = self.remove_pod(ownership::uid(&pod.metadata)).is_none();
        let info = self.all.entry(node.to_owned()).or_default();
        resources::add(&mut info.requested, &resources::requests(pod));
        resources::add(&mut info.presumed, &resources::presumed(pod));
        info.pods.insert(ownership::uid(&pod.metadata).to_owned(), Arc::clone(pod));
        self.places.insert(ownership::uid(&pod.metadata).to_owned(), node.to_owned());
        is_new
    }

    /// No longer counts a Pod.
    pub(super) fn remove_pod(&mut self, uid: &str) -> Option<Arc<Pod>> {
        let node = self.places.remove(uid)?;
        let info = self.all.get_mut(&node)?;
        let pod = info.pods.remove(uid)?;
        resources::subtract(&mut info.requested, &resources::requests(&pod));
        resources::subtract(&mut info.presumed, &resources::presumed(&pod));
        if info.pods.is_empty() && info.node.is_none() {
            self.all.remove(&node);
        }
        Some(pod)
    }
}

/// Whether a Pod takes room on a node: it has one and has not ended.
pub(super) fn takes_room(pod: &Pod) -> bool {
    !pods::node_name(pod).is_empty() && !pods::is_terminal(pod)
}
