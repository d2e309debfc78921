//! Which of the possible nodes is best (`pkg/scheduler/schedule_one.go:prioritizeNodes`). The weights are those of the
//! default profile.

use k8s_openapi::api::core::v1::{Namespace, Pod, PodSpec, Service};

use super::{
    affinity, filter,
    nodes::{NodeInfo, Nodes},
    resources::{self, Amounts},
    spread::Preference,
};
use crate::{Informer, Random};

/// The highest score of a plugin.
const MAX: i64 = 100;

/// What else there is in the cluster that matters to where a Pod is best.
pub(super) struct Surroundings<'a> {
    pub(super) nodes: &'a Nodes,
    pub(super) namespaces: &'a Informer<Namespace>,
    pub(super) services: &'a Informer<Service>,
}

/// The best of the candidates; of equally good ones, any.
pub(super) fn best<'a>(
    pod: &Pod,
    spec: &PodSpec,
    requests: &Amounts,
    candidates: &[&'a NodeInfo],
    surroundings: &Surroundings<'_>,
    random: &mut Random,
) -> Option<&'a NodeInfo> {
    if let [only] = candidates {
        return Some(only);
    }
    let each = |score: &dyn Fn(&NodeInfo) -> i64| candidates.iter().map(|node| score(node)).collect::<Vec<_>>();
    let Surroundings { nodes, namespaces, services } = *surroundings;
    let presumed = resources::presumed(pod);
    let parts = [
        (3, normalised(each(&|node| -avoided_taints(spec, node)))),
        (2, normalised(each(&|node| affinity::node_preference(spec, node)))),
        (2, normalised(affinity::pod_preferences(pod, candidates, nodes, namespaces))),
        (2, Preference::new(pod, spec, candidates, nodes, services).scores(candidates)),
        (1, each(&|node| free_share(&presumed, node))),
        (1, each(&|node| balance(requests, node))),
    ];
    let total = |index: usize| parts.iter().map(|(weight, scores)| weight * scores[index]).sum::<i64>();
    let totals: Vec<i64> = (0..candidates.len()).map(total).collect();
    let highest = totals.iter().max()?;
    let best: Vec<&NodeInfo> =
        candidates.iter().zip(&totals).filter(|(_, total)| *total == highest).map(|(node, _)| *node).collect();
    best.get(random.below(best.len())).copied()
}

/// Scores spread over 0 to 100; all 0 where they do not differ.
fn normalised(scores: Vec<i64>) -> Vec<i64> {
    let (Some(least), Some(most)) = (scores.iter().min().copied(), scores.iter().max().copied()) else { return scores };
    if least == most {
        return vec![0; scores.len()];
    }
    scores.into_iter().map(|score| (score - least) * MAX / (most - least)).collect()
}

fn avoided_taints(spec: &PodSpec, node: &NodeInfo) -> i64 {
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let avoided = node.taints().filter(|taint| taint.effect == "PreferNoSchedule" && !filter::is_tolerated(taint, tolerations));
    i64::try_from(avoided.count()).unwrap_or(i64::MAX)
}

/// The shares of CPU and memory that would be used, in hundredths (`noderesources/resource_allocation.go`).
fn used_shares(wanted: &Amounts, used: &Amounts, node: &NodeInfo) -> [i64; 2] {
    ["cpu", "memory"].map(|name| {
        let amount = |amounts: &Amounts| amounts.get(name).copied().unwrap_or(0);
        let (used, total) = (amount(used).saturating_add(amount(wanted)), amount(&node.allocatable));
        if total == 0 { 100 } else { i64::try_from((used.saturating_mul(100) / total).clamp(0, 100)).unwrap_or(100) }
    })
}

fn free_share(presumed: &Amounts, node: &NodeInfo) -> i64 {
    let [cpu, memory] = used_shares(presumed, &node.presumed, node);
    (MAX - cpu + MAX - memory) / 2
}

/// How evenly CPU and memory would be used; the same everywhere for a Pod that requests neither.
fn balance(requests: &Amounts, node: &NodeInfo) -> i64 {
    if ["cpu", "memory"].iter().all(|name| requests.get(*name).is_none_or(|amount| *amount == 0)) {
        return 0;
    }
    let [cpu, memory] = used_shares(requests, &node.requested, node);
    MAX - (cpu - memory).abs() / 2
}
