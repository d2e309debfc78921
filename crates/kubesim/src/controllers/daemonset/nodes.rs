//! Which node gets, keeps or loses a daemon Pod (`daemon_controller.go:podsShouldBeOnNode`,
//! `update.go:rollingUpdate`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        apps::v1::RollingUpdateDaemonSet,
        core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration},
    },
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

/// What is to be done, node by node.
pub(super) struct Plan {
    /// The nodes that should have a Pod, with those that they have, the oldest first.
    pub(super) wanted: BTreeMap<String, Vec<Arc<Pod>>>,
    /// How many nodes have a Pod that they should not have.
    pub(super) misplaced: usize,
    pub(super) to_create: Vec<String>,
    pub(super) to_delete: Vec<Arc<Pod>>,
    /// Those of `to_delete` that have ended.
    pub(super) ended: Vec<Arc<Pod>>,
    pub(super) again: Option<Duration>,
}

impl Plan {
    /// What is to be done; `wait` says for how long a Pod that has ended on a node must stay before it goes, if it must.
    pub(super) fn new(found: &Found, hash: &str, now: Timestamp, mut wait: impl FnMut(&str) -> Option<Duration>) -> Self {
        let surges = rolling(found).is_some_and(|rolling| share(rolling.max_surge.as_ref(), found.nodes.len(), 0) > 0);
        let mut by_node: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in &found.pods {
            by_node.entry(target(pod).to_owned()).or_default().push(Arc::clone(pod));
        }
        let mut plan = Self {
            wanted: BTreeMap::new(),
            misplaced: 0,
            to_create: Vec::new(),
            to_delete: Vec::new(),
            ended: Vec::new(),
            again: None,
        };
        for node in &found.nodes {
            let name = ownership::name(&node.metadata);
            let mut own = by_node.remove(name).unwrap_or_default();
            own.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), ownership::name(&pod.metadata).to_owned()));
            let (runs, stays) = fits(found, node);
            let present = plan.clear_away(name, own, &mut wait);
            let doubles = |own: &[Arc<Pod>]| if surges { surplus(found, own, hash, now) } else { own[1..].to_vec() };
            plan.decide(name, present, (runs, stays), doubles);
        }
        // What is left is tied to nodes that are gone.
        plan.to_delete.extend(by_node.into_values().flatten().filter(|pod| !pods::is_deleting(pod)));
        if plan.is_settled() {
            plan.update(found, hash, now);
        }
        plan
    }

    /// Has the Pods deleted that have ended; the others, unless they are ended and going.
    fn clear_away(&mut self, node: &str, own: Vec<Arc<Pod>>, wait: &mut impl FnMut(&str) -> Option<Duration>) -> Vec<Arc<Pod>> {
        let kept: Vec<_> = own.into_iter().filter(|pod| !(pods::is_deleting(pod) && pods::is_terminal(pod))).collect();
        for pod in kept.iter().filter(|pod| pods::is_terminal(pod)) {
            if let Some(left) = wait(node) {
                self.again = Some(self.again.map_or(left, |again| again.min(left)));
            } else {
                self.ended.push(Arc::clone(pod));
                self.to_delete.push(Arc::clone(pod));
            }
        }
        kept
    }

    /// A Pod keeps its place until it is gone.
    fn decide(
        &mut self,
        node: &str,
        own: Vec<Arc<Pod>>,
        (runs, stays): (bool, bool),
        doubles: impl Fn(&[Arc<Pod>]) -> Vec<Arc<Pod>>,
    ) {
        let is_free = own.is_empty();
        let mut present: Vec<_> = own.into_iter().filter(|pod| pods::is_active(pod)).collect();
        if !runs {
            self.misplaced += usize::from(!present.is_empty());
            if !stays {
                self.to_delete.append(&mut present);
            }
            return;
        }
        if is_free {
            self.to_create.push(node.to_owned());
        }
        if present.len() > 1 {
            let surplus = doubles(&present);
            present.retain(|pod| !surplus.iter().any(|one| Arc::ptr_eq(one, pod)));
            self.to_delete.extend(surplus);
        }
        self.wanted.insert(node.to_owned(), present);
    }

    fn is_settled(&self) -> bool {
        self.to_create.is_empty() && self.to_delete.is_empty()
    }

    /// Replaces Pods of old templates: first the new one where the strategy lets there be two, else first the deletion, for as
    /// many at a time as may be unavailable.
    fn update(&mut self, found: &Found, hash: &str, now: Timestamp) {
        let strategy = found.set.spec.update_strategy.as_ref();
        if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
            return;
        }
        let rolling = rolling(found);
        let surge = share(rolling.and_then(|rolling| rolling.max_surge.as_ref()), self.wanted.len(), 0);
        if surge > 0 {
            self.surge(found, hash, surge, now);
            return;
        }
        let most = share(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), self.wanted.len(), 1).max(1);
        let is_available = |pod: &Arc<Pod>| is_available(found, pod, now);
        let unavailable = self.wanted.values().filter(|own| !own.iter().any(is_available)).count();
        let (available, broken): (Vec<_>, Vec<_>) =
            self.wanted.values().flatten().filter(|pod| !has(pod, hash)).cloned().partition(|pod| is_available(pod));
        // Broken Pods are replaced at once: they are missing already.
        self.to_delete.extend(broken);
        self.to_delete.extend(available.into_iter().take(most.saturating_sub(unavailable)));
    }

    /// Makes new Pods beside old ones: wherever the old one is unavailable, and on `surge` nodes more.
    fn surge(&mut self, found: &Found, hash: &str, surge: usize, now: Timestamp) {
        let mut under_way = 0;
        let mut candidates = Vec::new();
        for (node, own) in &self.wanted {
            let (new, old): (Vec<_>, Vec<_>) = own.iter().partition(|pod| has(pod, hash));
            match (old.first(), new.first()) {
                (Some(_), Some(_)) => under_way += 1,
                (Some(old), None) if is_available(found, old, now) => candidates.push(node.clone()),
                (Some(_), None) => self.to_create.push(node.clone()),
                (None, _) => {}
            }
        }
        self.to_create.extend(candidates.into_iter().take(surge.saturating_sub(under_way)));
    }
}

fn rolling(found: &Found) -> Option<&RollingUpdateDaemonSet> {
    found.set.spec.update_strategy.as_ref()?.rolling_update.as_ref()
}

fn has(pod: &Pod, hash: &str) -> bool {
    pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_HASH)).is_some_and(|own| own == hash)
}

fn is_available(found: &Found, pod: &Pod, now: Timestamp) -> bool {
    pods::is_available(pod, found.set.spec.min_ready_seconds.unwrap_or(0), now)
}

/// Which of a node's Pods are too many where one of the old template and one of the new may be there: the old one goes when it is
/// not ready, or the new one is available.
fn surplus(found: &Found, own: &[Arc<Pod>], hash: &str, now: Timestamp) -> Vec<Arc<Pod>> {
    let (new, old): (Vec<_>, Vec<_>) = own.iter().cloned().partition(|pod| has(pod, hash));
    let replaced = match (old.first(), new.first()) {
        (Some(old), Some(new)) if !pods::is_ready(old) || is_available(found, new, now) => Some(Arc::clone(old)),
        _ => None,
    };
    old.into_iter().skip(1).chain(new.into_iter().skip(1)).chain(replaced).collect()
}

/// A number of nodes, or a share of `nodes` rounded up.
fn share(value: Option<&IntOrString>, nodes: usize, default: usize) -> usize {
    match value {
        None => default,
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
