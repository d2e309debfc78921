//! Topology spread constraints (`pkg/scheduler/framework/plugins/podtopologyspread`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec, Service, TopologySpreadConstraint};

use super::{
    affinity, filter,
    nodes::{NodeInfo, Nodes},
};
use crate::{
    Informer,
    controllers::{ownership, pods},
    selector::LabelSelector,
};

/// The highest score of a plugin.
const MAX: i64 = 100;

/// The label of a node's name; each node is a domain of its own.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The constraints of Pods that have none of their own: the label of the domain, and the skew that does not matter
/// (`plugin.go:systemDefaultConstraints`).
const DEFAULTS: [(&str, i32); 2] = [(HOSTNAME, 3), ("topology.kubernetes.io/zone", 5)];

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

/// The soft constraints of a Pod, with what is in each domain that it could go to
/// (`podtopologyspread/scoring.go`).
pub(super) struct Preference {
    constraints: Vec<SoftConstraint>,
    /// Whether a node that lacks the label of a domain is no good; else the constraint does not count there.
    needs_all_labels: bool,
}

struct SoftConstraint {
    key: String,
    max_skew: i32,
    /// How many matching Pods are in each domain; of nodes, by their names.
    counts: BTreeMap<String, i32>,
    /// The more domains, the more a Pod in one of them weighs.
    weight: f64,
}

impl Preference {
    pub(super) fn new(pod: &Pod, spec: &PodSpec, candidates: &[&NodeInfo], nodes: &Nodes, services: &Informer<Service>) -> Self {
        let own = spec.topology_spread_constraints.as_deref().unwrap_or_default();
        let soft: Vec<_> = own.iter().filter(|rule| rule.when_unsatisfiable == "ScheduleAnyway").collect();
        let needs_all_labels = !own.is_empty();
        let has_all = |node: &NodeInfo| !needs_all_labels || soft.iter().all(|rule| node.label(&rule.topology_key).is_some());
        let candidates: Vec<&NodeInfo> = candidates.iter().copied().filter(|node| has_all(node)).collect();
        let constraints = if needs_all_labels {
            let of_rule = |rule: &&TopologySpreadConstraint| {
                let selector = selector_of(rule, pod);
                let counted = nodes.iter().filter(|node| has_all(node) && is_counted(rule, spec, node));
                SoftConstraint::new(&rule.topology_key, rule.max_skew, &candidates, counted, |node| matching(node, pod, &selector))
            };
            soft.iter().map(of_rule).collect()
        } else {
            let kin = Kin::of(pod, services);
            let of_default = |(key, max_skew): (&str, i32)| {
                let counted = nodes.iter().filter(|node| affinity::node_matches(spec, node));
                SoftConstraint::new(key, max_skew, &candidates, counted, |node| kin.count(pod, node))
            };
            if kin.is_none() { Vec::new() } else { DEFAULTS.map(of_default).into() }
        };
        Self { constraints, needs_all_labels }
    }

    /// How good each node is, from 0 to 100: the fewer Pods in its domains the better; in the order of the nodes.
    pub(super) fn scores(&self, nodes: &[&NodeInfo]) -> Vec<i64> {
        if self.constraints.is_empty() {
            return vec![0; nodes.len()];
        }
        let crowds: Vec<Option<i64>> = nodes.iter().map(|node| self.crowd(node)).collect();
        let (most, least) = (crowds.iter().flatten().max().copied().unwrap_or(0), crowds.iter().flatten().min().copied());
        let score = |crowd: i64| if most == 0 { MAX } else { MAX * (most + least.unwrap_or(0) - crowd) / most };
        crowds.into_iter().map(|crowd| crowd.map_or(0, score)).collect()
    }

    /// How crowded the domains of a node are; nothing if it lacks one that it should have.
    fn crowd(&self, node: &NodeInfo) -> Option<i64> {
        let mut crowd = 0.0;
        for constraint in &self.constraints {
            match node.label(&constraint.key) {
                Some(domain) => {
                    let count = constraint.counts.get(domain).copied().unwrap_or(0);
                    crowd += f64::from(count) * constraint.weight + f64::from(constraint.max_skew - 1);
                }
                None if self.needs_all_labels => return None,
                None => {}
            }
        }
        // Far below what an integer holds.
        #[allow(clippy::cast_possible_truncation)]
        Some(crowd.round() as i64)
    }
}

impl SoftConstraint {
    fn new<'a>(
        key: &str,
        max_skew: i32,
        candidates: &[&NodeInfo],
        counted: impl Iterator<Item = &'a NodeInfo>,
        count: impl Fn(&NodeInfo) -> i32,
    ) -> Self {
        let mut counts: BTreeMap<String, i32> = BTreeMap::new();
        counts.extend(candidates.iter().filter_map(|node| Some((node.label(key)?.to_owned(), 0))));
        for node in counted {
            if let Some(total) = node.label(key).and_then(|domain| counts.get_mut(domain)) {
                *total += count(node);
            }
        }
        let domains = if key == HOSTNAME { candidates.len() } else { counts.len() };
        let weight = f64::from(u32::try_from(domains).unwrap_or(u32::MAX) + 2).ln();
        Self { key: key.to_owned(), max_skew, counts, weight }
    }
}

/// The Pods that a Pod without constraints is spread from: those of its owner and of its Services
/// (`plugins/helper/spread.go:DefaultSelector`).
struct Kin {
    owner: Option<String>,
    selectors: Vec<BTreeMap<String, String>>,
}

impl Kin {
    fn of(pod: &Pod, services: &Informer<Service>) -> Self {
        let is_set = |kind: &str| matches!(kind, "ReplicaSet" | "StatefulSet");
        let owner = ownership::controller_of(&pod.metadata).filter(|owner| is_set(&owner.kind)).map(|owner| owner.uid.clone());
        let own = services.in_namespace(ownership::namespace(&pod.metadata));
        let selectors = own.filter_map(|service| service.spec.as_ref()?.selector.clone());
        let selectors = selectors.filter(|selector| !selector.is_empty() && has_labels(pod, selector)).collect();
        Self { owner, selectors }
    }

    fn is_none(&self) -> bool {
        self.owner.is_none() && self.selectors.is_empty()
    }

    fn count(&self, pod: &Pod, node: &NodeInfo) -> i32 {
        let namespace = ownership::namespace(&pod.metadata);
        let is_kin = |other: &Pod| {
            ownership::namespace(&other.metadata) == namespace
                && !pods::is_deleting(other)
                && self.owner.as_ref().is_none_or(|uid| ownership::is_controlled_by(&other.metadata, uid))
                && self.selectors.iter().all(|selector| has_labels(other, selector))
        };
        i32::try_from(node.pods.values().filter(|other| is_kin(other)).count()).unwrap_or(i32::MAX)
    }
}

fn has_labels(pod: &Pod, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| pod.metadata.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value))
}
