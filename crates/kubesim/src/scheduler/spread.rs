//! Topology spread constraints (`pkg/scheduler/framework/plugins/podtopologyspread`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec, TopologySpreadConstraint};

use super::{
    affinity, filter,
    nodes::{NodeInfo, Nodes},
};
use crate::{
    controllers::{ownership, pods},
    selector::LabelSelector,
};

/// The hard constraints of a Pod, with what is in each domain.
pub(super) struct Spread<'a> {
    constraints: Vec<Constraint<'a>>,
}

struct Constraint<'a> {
    rule: &'a TopologySpreadConstraint,
    /// How many matching Pods are in each domain.
    counts: BTreeMap<String, i32>,
    /// Whether the Pod itself will count.
    counts_itself: bool,
}

impl<'a> Spread<'a> {
    pub(super) fn new(pod: &'a Pod, spec: &'a PodSpec, nodes: &Nodes) -> Self {
        let rules = spec.topology_spread_constraints.iter().flatten();
        let hard: Vec<_> = rules.filter(|rule| rule.when_unsatisfiable == "DoNotSchedule").collect();
        let has_all_keys = |node: &NodeInfo| hard.iter().all(|rule| node.label(&rule.topology_key).is_some());
        let constraint = |rule: &'a TopologySpreadConstraint| {
            let selector = selector_of(rule, pod);
            let mut counts = BTreeMap::new();
            for node in nodes.iter().filter(|node| has_all_keys(node) && is_counted(rule, spec, node)) {
                let domain = node.label(&rule.topology_key).unwrap_or_default().to_owned();
                *counts.entry(domain).or_default() += matching(node, pod, &selector);
            }
            Constraint { rule, counts, counts_itself: selector.matches(pod.metadata.labels.as_ref()) }
        };
        Self { constraints: hard.iter().map(|rule| constraint(rule)).collect() }
    }

    /// Whether the Pod may be on a node; else why not, and whether removing Pods from it would not help.
    pub(super) fn check(&self, node: &NodeInfo) -> Result<(), (&'static str, bool)> {
        for constraint in &self.constraints {
            let Some(domain) = node.label(&constraint.rule.topology_key) else {
                return Err(("node(s) didn't match pod topology spread constraints (missing required label)", true));
            };
            let here = constraint.counts.get(domain).copied().unwrap_or(0) + i32::from(constraint.counts_itself);
            if here - constraint.fewest() > constraint.rule.max_skew {
                return Err(("node(s) didn't match pod topology spread constraints", false));
            }
        }
        Ok(())
    }
}

impl Constraint<'_> {
    /// The fewest Pods in a domain; none as long as there are fewer domains than asked for.
    fn fewest(&self) -> i32 {
        let wanted = usize::try_from(self.rule.min_domains.unwrap_or(1)).unwrap_or(1);
        if self.counts.len() < wanted { 0 } else { self.counts.values().copied().min().unwrap_or(0) }
    }
}

fn selector_of(rule: &TopologySpreadConstraint, pod: &Pod) -> LabelSelector {
    let mut selector = rule.label_selector.clone().unwrap_or_default();
    for key in rule.match_label_keys.iter().flatten() {
        if let Some(value) = pod.metadata.labels.as_ref().and_then(|labels| labels.get(key)) {
            selector.match_labels.get_or_insert_default().insert(key.clone(), value.clone());
        }
    }
    LabelSelector::from_api(&selector).unwrap_or_default()
}

/// Whether a node's domain takes part: by default only those that the Pod could select.
fn is_counted(rule: &TopologySpreadConstraint, spec: &PodSpec, node: &NodeInfo) -> bool {
    let honours = |policy: &Option<String>, default: &str| policy.as_deref().unwrap_or(default) == "Honor";
    let by_affinity = !honours(&rule.node_affinity_policy, "Honor") || affinity::node_matches(spec, node);
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let is_hard = |effect: &str| matches!(effect, "NoSchedule" | "NoExecute");
    let by_taints = !honours(&rule.node_taints_policy, "Ignore")
        || node.taints().all(|taint| !is_hard(&taint.effect) || filter::is_tolerated(taint, tolerations));
    by_affinity && by_taints
}

fn matching(node: &NodeInfo, pod: &Pod, selector: &LabelSelector) -> i32 {
    let namespace = ownership::namespace(&pod.metadata);
    let counts = |other: &Pod| {
        ownership::namespace(&other.metadata) == namespace
            && !pods::is_deleting(other)
            && selector.matches(other.metadata.labels.as_ref())
    };
    i32::try_from(node.pods.values().filter(|other| counts(other)).count()).unwrap_or(i32::MAX)
}
