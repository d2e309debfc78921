//! Affinity: to nodes by their labels, to and against other Pods
//! (`pkg/scheduler/framework/plugins/nodeaffinity`, `interpodaffinity`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{Namespace, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodAffinityTerm, PodSpec};

use super::nodes::{NodeInfo, Nodes};
use crate::{Informer, controllers::ownership, selector::LabelSelector};

/// Whether a node has what the Pod's node selector and its required node affinity demand.
pub(super) fn node_matches(spec: &PodSpec, node: &NodeInfo) -> bool {
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| node.label(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|required| required.node_selector_terms.iter().any(|term| term_matches(term, node)))
}

/// Whether a node has what a term demands; an empty term matches nothing.
pub(super) fn term_matches(term: &NodeSelectorTerm, node: &NodeInfo) -> bool {
    let labels: Vec<_> = term.match_expressions.iter().flatten().collect();
    let fields: Vec<_> = term.match_fields.iter().flatten().collect();
    let field = |requirement: &NodeSelectorRequirement| (requirement.key == "metadata.name").then_some(node.name());
    !(labels.is_empty() && fields.is_empty())
        && labels.iter().all(|requirement| holds(requirement, node.label(&requirement.key)))
        && fields.iter().all(|requirement| holds(requirement, field(requirement)))
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let is_among = |value: &str| values.iter().any(|wanted| wanted == value);
    let numbers = || Some((value?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match requirement.operator.as_str() {
        "In" => value.is_some_and(is_among),
        "NotIn" => !value.is_some_and(is_among),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => numbers().is_some_and(|(value, bound)| value > bound),
        "Lt" => numbers().is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

/// Which other Pods a term of affinity is about.
pub(super) struct Peers<'a> {
    topology_key: &'a str,
    labels: Option<LabelSelector>,
    namespaces: BTreeSet<String>,
}

impl<'a> Peers<'a> {
    fn new(term: &'a PodAffinityTerm, pod: &Pod, namespaces: &Informer<Namespace>) -> Self {
        let mut names: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        match &term.namespace_selector {
            Some(selector) => {
                let selector = LabelSelector::from_api(selector).unwrap_or_default();
                let selected = namespaces.iter().filter(|namespace| selector.matches(namespace.metadata.labels.as_ref()));
                names.extend(selected.map(|namespace| ownership::name(&namespace.metadata).to_owned()));
            }
            None if names.is_empty() => {
                names.insert(ownership::namespace(&pod.metadata).to_owned());
            }
            None => {}
        }
        let labels = term.label_selector.as_ref().and_then(|selector| LabelSelector::from_api(selector).ok());
        Self { topology_key: &term.topology_key, labels, namespaces: names }
    }

    pub(super) fn include(&self, pod: &Pod) -> bool {
        self.namespaces.contains(ownership::namespace(&pod.metadata))
            && self.labels.as_ref().is_some_and(|labels| labels.matches(pod.metadata.labels.as_ref()))
    }
}

fn required_affinity(pod: &Pod) -> impl Iterator<Item = &PodAffinityTerm> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.pod_affinity.as_ref());
    affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref()).into_iter().flatten()
}

fn required_anti_affinity(pod: &Pod) -> impl Iterator<Item = &PodAffinityTerm> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.pod_anti_affinity.as_ref());
    affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref()).into_iter().flatten()
}

type Domain = (String, String);

/// What a Pod and the Pods that exist demand of each other's places.
pub(super) struct PodAffinities<'a> {
    affinity: Vec<Peers<'a>>,
    /// For each term of affinity: the topology domains with Pods that match all terms.
    near: Vec<BTreeSet<String>>,
    /// Whether the Pod is the first of a group that wants to be near itself.
    is_first: bool,
    anti_affinity: Vec<Peers<'a>>,
    far: Vec<BTreeSet<String>>,
    /// The domains where an existing Pod does not want this one.
    refused: BTreeSet<Domain>,
}

impl<'a> PodAffinities<'a> {
    pub(super) fn new(pod: &'a Pod, nodes: &Nodes, namespaces: &Informer<Namespace>) -> Self {
        let peers = |term| Peers::new(term, pod, namespaces);
        let affinity: Vec<_> = required_affinity(pod).map(peers).collect();
        let anti_affinity: Vec<_> = required_anti_affinity(pod).map(peers).collect();
        let domains = |term: &Peers<'_>, matches: &dyn Fn(&Pod) -> bool| {
            let with_peers = nodes.iter().filter(|node| node.pods.values().any(|other| matches(other)));
            with_peers.filter_map(|node| node.label(term.topology_key).map(str::to_owned)).collect::<BTreeSet<_>>()
        };
        let matches_all = |other: &Pod| affinity.iter().all(|term| term.include(other));
        let near: Vec<_> = affinity.iter().map(|term| domains(term, &matches_all)).collect();
        let far = anti_affinity.iter().map(|term| domains(term, &|other| term.include(other))).collect();
        let is_first = near.iter().all(BTreeSet::is_empty) && matches_all(pod);
        let refused = refused_domains(pod, nodes, namespaces);
        Self { affinity, near, is_first, anti_affinity, far, refused }
    }

    /// Whether the Pod may be on a node; else why not, and whether removing Pods from it would not help.
    pub(super) fn check(&self, node: &NodeInfo) -> Result<(), (&'static str, bool)> {
        for (term, near) in self.affinity.iter().zip(&self.near) {
            let is_near = node.label(term.topology_key).is_some_and(|domain| self.is_first || near.contains(domain));
            if !is_near {
                return Err(("node(s) didn't match pod affinity rules", true));
            }
        }
        for (term, far) in self.anti_affinity.iter().zip(&self.far) {
            if node.label(term.topology_key).is_some_and(|domain| far.contains(domain)) {
                return Err(("node(s) didn't match pod anti-affinity rules", false));
            }
        }
        let is_refused = |(key, value): &Domain| node.label(key) == Some(value);
        if self.refused.iter().any(is_refused) {
            return Err(("node(s) didn't satisfy existing pods anti-affinity rules", false));
        }
        Ok(())
    }
}

fn refused_domains(pod: &Pod, nodes: &Nodes, namespaces: &Informer<Namespace>) -> BTreeSet<Domain> {
    let mut refused = BTreeSet::new();
    for node in nodes.iter() {
        for other in node.pods.values() {
            for term in required_anti_affinity(other) {
                if let Some(domain) = node.label(&term.topology_key)
                    && Peers::new(term, other, namespaces).include(pod)
                {
                    refused.insert((term.topology_key.clone(), domain.to_owned()));
                }
            }
        }
    }
    refused
}

/// How much a node is preferred by the Pod's node affinity.
pub(super) fn node_preference(spec: &PodSpec, node: &NodeInfo) -> i64 {
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let preferred = affinity.and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
    let matching = preferred.into_iter().flatten().filter(|preferred| term_matches(&preferred.preference, node));
    matching.map(|preferred| i64::from(preferred.weight)).sum()
}

/// How much each node is preferred by the Pod's affinity to other Pods, in the order of the nodes.
pub(super) fn pod_preferences(pod: &Pod, candidates: &[&NodeInfo], nodes: &Nodes, namespaces: &Informer<Namespace>) -> Vec<i64> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let towards = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
    let towards = towards.and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
    let against = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let against = against.and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
    let towards = towards.into_iter().flatten().map(|term| (&term.pod_affinity_term, i64::from(term.weight)));
    let against = against.into_iter().flatten().map(|term| (&term.pod_affinity_term, -i64::from(term.weight)));
    let mut scores = vec![0; candidates.len()];
    for (term, weight) in towards.chain(against) {
        let peers = Peers::new(term, pod, namespaces);
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for node in nodes.iter() {
            let count = node.pods.values().filter(|other: &&Arc<Pod>| peers.include(other)).count();
            if let Some(domain) = node.label(peers.topology_key) {
                *counts.entry(domain).or_default() += i64::try_from(count).unwrap_or(i64::MAX);
            }
        }
        for (score, node) in scores.iter_mut().zip(candidates) {
            let count = node.label(peers.topology_key).and_then(|domain| counts.get(domain)).copied().unwrap_or(0);
            *score += weight * count;
        }
    }
    scores
}
