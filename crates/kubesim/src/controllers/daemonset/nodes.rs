//! Which node gets, keeps or loses a daemon Pod (`daemon_controller.go:podsShouldBeOnNode`,
//! `update.go:rollingUpdate`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration},
    apimachinery::pkg::util::intstr::IntOrString,
    jiff::Timestamp,
};

use super::{Found, REVISION_HASH};
use crate::{
    controllers::{ownership, pods},
    scheduler::{Placement, is_tolerated},
};

/// What every daemon Pod tolerates: the troubles of nodes.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// How long the replacement of a failed daemon Pod waits at first.
const FAILED_BACKOFF: Duration = Duration::from_secs(1);

/// What is to be done, node by node.
pub(super) struct Plan {
    /// The nodes that should have a Pod, with those that they have, the oldest first.
    pub(super) wanted: BTreeMap<String, Vec<Arc<Pod>>>,
    /// How many nodes have a Pod that they should not have.
    pub(super) misplaced: usize,
    pub(super) to_create: Vec<String>,
    pub(super) to_delete: Vec<Arc<Pod>>,
    pub(super) failed: Vec<Arc<Pod>>,
    pub(super) again: Option<Duration>,
}

impl Plan {
    pub(super) fn new(found: &Found, hash: &str, now: Timestamp) -> Self {
        let mut by_node: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in &found.pods {
            by_node.entry(target(pod).to_owned()).or_default().push(Arc::clone(pod));
        }
        let mut plan = Self {
            wanted: BTreeMap::new(),
            misplaced: 0,
            to_create: Vec::new(),
            to_delete: Vec::new(),
            failed: Vec::new(),
            again: None,
        };
        for node in &found.nodes {
            let name = ownership::name(&node.metadata);
            let mut own = by_node.remove(name).unwrap_or_default();
            own.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), ownership::name(&pod.metadata).to_owned()));
            let (runs, stays) = fits(found, node);
            plan.decide(name, own, runs, stays);
        }
        // What is left is tied to nodes that are gone.
        plan.to_delete.extend(by_node.into_values().flatten().filter(|pod| !pods::is_deleting(pod)));
        if plan.is_settled() {
            plan.update(found, hash, now);
        }
        plan
    }

    fn decide(&mut self, node: &str, own: Vec<Arc<Pod>>, runs: bool, stays: bool) {
        let (failed, alive): (Vec<_>, Vec<_>) = own.into_iter().partition(|pod| pods::phase(pod) == "Failed");
        for pod in failed.into_iter().filter(|pod| !pods::is_deleting(pod)) {
            self.failed.push(Arc::clone(&pod));
            self.to_delete.push(pod);
            self.again = Some(FAILED_BACKOFF);
        }
        // A Pod that goes keeps its place until it is gone, unless it has ended.
        let taken = alive.iter().any(|pod| pods::is_deleting(pod) && !pods::is_terminal(pod));
        let mut present: Vec<_> = alive.into_iter().filter(|pod| !pods::is_deleting(pod) && !pods::is_terminal(pod)).collect();
        if !runs {
            self.misplaced += usize::from(!present.is_empty());
            if !stays {
                self.to_delete.append(&mut present);
            }
            return;
        }
        if present.is_empty() && !taken && self.again.is_none() {
            self.to_create.push(node.to_owned());
        }
        if present.len() > 1 {
            self.to_delete.extend(present.split_off(1));
        }
        self.wanted.insert(node.to_owned(), present);
    }

    fn is_settled(&self) -> bool {
        self.to_create.is_empty() && self.to_delete.is_empty()
    }

    /// Deletes Pods of old templates, as many at a time as may be unavailable.
    fn update(&mut self, found: &Found, hash: &str, now: Timestamp) {
        let strategy = found.set.spec.update_strategy.as_ref();
        if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
            return;
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let most = most_unavailable(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), self.wanted.len());
        let min_ready_seconds = found.set.spec.min_ready_seconds.unwrap_or(0);
        let is_available = |pod: &Arc<Pod>| pods::is_available(pod, min_ready_seconds, now);
        let old = |pod: &&Arc<Pod>| {
            pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_HASH)).is_none_or(|own| own != hash)
        };
        let unavailable = self.wanted.values().filter(|own| !own.iter().any(is_available)).count();
        let (available, broken): (Vec<_>, Vec<_>) =
            self.wanted.values().flatten().filter(old).cloned().partition(|pod| is_available(pod));
        // Broken Pods are replaced at once: they are missing already.
        self.to_delete.extend(broken);
        self.to_delete.extend(available.into_iter().take(most.saturating_sub(unavailable)));
    }
}

fn most_unavailable(value: Option<&IntOrString>, nodes: usize) -> usize {
    match value {
        None => 1,
        Some(IntOrString::Int(number)) => usize::try_from(*number).unwrap_or(0),
        Some(IntOrString::String(share)) => {
            let percent: usize = share.trim_end_matches('%').parse().unwrap_or(0);
            (nodes * percent).div_ceil(100)
        }
    }
}

/// Whether a node takes the set's Pods, and whether it keeps one that it has.
fn fits(found: &Found, node: &Arc<Node>) -> (bool, bool) {
    let mut spec = found.set.spec.template.spec.clone().unwrap_or_default();
    add_tolerations(&mut spec);
    let placement = Placement::of(node);
    if !placement.is_selected_by(&spec) {
        return (false, false);
    }
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let refuses = |effect: &str| placement.taints().any(|taint| taint.effect == effect && !is_tolerated(taint, tolerations));
    let evicts = refuses("NoExecute");
    (!evicts && !refuses("NoSchedule"), !evicts)
}

fn add_tolerations(spec: &mut PodSpec) {
    let mut tolerated = TOLERATED.to_vec();
    if spec.host_network == Some(true) {
        tolerated.push(("node.kubernetes.io/network-unavailable", "NoSchedule"));
    }
    let tolerations = spec.tolerations.get_or_insert_default();
    tolerations.extend(tolerated.into_iter().map(|(key, effect)| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some(effect.to_owned()),
        ..Toleration::default()
    }));
}

/// Lets a Pod go to one node only, whatever troubles that has.
pub(super) fn tie(pod: &mut Pod, node: &str) {
    let spec = pod.spec.get_or_insert_default();
    add_tolerations(spec);
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let required = affinity.required_during_scheduling_ignored_during_execution.get_or_insert_default();
    let name =
        NodeSelectorRequirement { key: "metadata.name".to_owned(), operator: "In".to_owned(), values: Some(vec![node.to_owned()]) };
    required.node_selector_terms = vec![NodeSelectorTerm { match_expressions: None, match_fields: Some(vec![name]) }];
}

/// The node that a Pod is on or tied to.
pub(super) fn target(pod: &Pod) -> &str {
    let bound = pods::node_name(pod);
    if !bound.is_empty() {
        return bound;
    }
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let fields =
        required.into_iter().flat_map(|required| &required.node_selector_terms).filter_map(|term| term.match_fields.as_ref());
    let name = fields.flatten().find(|field| field.key == "metadata.name").and_then(|field| field.values.as_ref()?.first());
    name.map_or("", String::as_str)
}
