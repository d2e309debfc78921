//! Which of the possible nodes is best (`pkg/scheduler/schedule_one.go:prioritizeNodes`). The weights are those of the
//! default profile; of the spread, only the siblings of the same owner count.

use k8s_openapi::api::core::v1::{Namespace, Pod, PodSpec};

use super::{
    affinity, filter,
    nodes::{NodeInfo, Nodes},
    resources::Amounts,
};
use crate::{Informer, Random, controllers::ownership};

/// The highest score of a plugin.
const MAX: i64 = 100;

/// The best of the candidates; of equally good ones, any.
pub(super) fn best<'a>(
    pod: &Pod,
    spec: &PodSpec,
    requests: &Amounts,
    candidates: &[&'a NodeInfo],
    nodes: &Nodes,
    namespaces: &Informer<Namespace>,
    random: &mut Random,
) -> Option<&'a NodeInfo> {
    if let [only] = candidates {
        return Some(only);
    }
    let each = |score: &dyn Fn(&NodeInfo) -> i64| candidates.iter().map(|node| score(node)).collect::<Vec<_>>();
    let parts = [
        (3, normalised(each(&|node| -avoided_taints(spec, node)))),
        (2, normalised(each(&|node| affinity::node_preference(spec, node)))),
        (2, normalised(affinity::pod_preferences(pod, candidates, nodes, namespaces))),
        (2, normalised(each(&|node| -siblings(pod, node)))),
        (1, each(&|node| free_share(requests, node))),
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

fn siblings(pod: &Pod, node: &NodeInfo) -> i64 {
    let Some(owner) = ownership::controller_of(&pod.metadata) else { return 0 };
    let same = node.pods.values().filter(|other| ownership::is_controlled_by(&other.metadata, &owner.uid));
    i64::try_from(same.count()).unwrap_or(i64::MAX)
}

/// The share of CPU and memory that would be used, in hundredths, each counted at least as a small container
/// (`noderesources/resource_allocation.go`).
fn used_shares(requests: &Amounts, node: &NodeInfo) -> [i64; 2] {
    ["cpu", "memory"].map(|name| {
        let least = if name == "cpu" { 100 } else { 200 * 1_024 * 1_024 * 1_000 };
        let wanted = requests.get(name).copied().unwrap_or(least);
        let used = node.requested.get(name).copied().unwrap_or(0) + wanted;
        let total = node.allocatable.get(name).copied().unwrap_or(0);
        if total == 0 { 100 } else { i64::try_from((used * 100 / total).clamp(0, 100)).unwrap_or(100) }
    })
}

fn free_share(requests: &Amounts, node: &NodeInfo) -> i64 {
    let [cpu, memory] = used_shares(requests, node);
    (MAX - cpu + MAX - memory) / 2
}

fn balance(requests: &Amounts, node: &NodeInfo) -> i64 {
    let [cpu, memory] = used_shares(requests, node);
    MAX - (cpu - memory).abs() / 2
}
