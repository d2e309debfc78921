//! Which nodes a Pod can run on, and why not on the others (`pkg/scheduler/framework/plugins`).

use k8s_openapi::api::core::v1::{Pod, PodSpec, Taint, Toleration};

use super::{
    affinity::{self, PodAffinities},
    nodes::NodeInfo,
    resources::{self, Amounts},
    spread::Spread,
};
use crate::Version;

/// What refuses nodes: the plugins, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Plugin {
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    PodTopologySpread,
    InterPodAffinity,
}

/// Why a node is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) plugin: Plugin,
    pub(super) reasons: Vec<String>,
    /// Whether removing Pods from the node would not help.
    pub(super) is_final: bool,
}

impl Refusal {
    fn new(plugin: Plugin, reason: impl Into<String>, is_final: bool) -> Self {
        Self { plugin, reasons: vec![reason.into()], is_final }
    }
}

/// All that a Pod demands, computed once for all nodes.
pub(super) struct Demands<'a> {
    spec: &'a PodSpec,
    requests: Amounts,
    affinities: PodAffinities<'a>,
    spread: Spread<'a>,
    version: Version,
}

impl<'a> Demands<'a> {
    pub(super) fn new(
        pod: &'a Pod,
        spec: &'a PodSpec,
        affinities: PodAffinities<'a>,
        spread: Spread<'a>,
        version: Version,
    ) -> Self {
        Self { spec, requests: resources::requests(pod), affinities, spread, version }
    }

    pub(super) fn requests(&self) -> &Amounts {
        &self.requests
    }

    /// Whether the Pod can run on a node.
    ///
    /// # Errors
    /// Why it cannot: what the first plugin says that refuses the node.
    pub(super) fn check(&self, node: &NodeInfo) -> Result<(), Refusal> {
        self.check_unschedulable(node)?;
        self.check_name(node)?;
        self.check_taints(node)?;
        if !affinity::node_matches(self.spec, node) {
            let reason = "node(s) didn't match Pod's node affinity/selector";
            return Err(Refusal::new(Plugin::NodeAffinity, reason, true));
        }
        self.check_ports(node)?;
        self.check_resources(node)?;
        self.spread.check(node).map_err(|(reason, is_final)| Refusal::new(Plugin::PodTopologySpread, reason, is_final))?;
        self.affinities.check(node).map_err(|(reason, is_final)| Refusal::new(Plugin::InterPodAffinity, reason, is_final))
    }

    fn tolerations(&self) -> &[Toleration] {
        self.spec.tolerations.as_deref().unwrap_or_default()
    }

    fn check_unschedulable(&self, node: &NodeInfo) -> Result<(), Refusal> {
        let taint =
            Taint { key: "node.kubernetes.io/unschedulable".to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
        if node.is_unschedulable() && !is_tolerated(&taint, self.tolerations()) {
            return Err(Refusal::new(Plugin::NodeUnschedulable, "node(s) were unschedulable", true));
        }
        Ok(())
    }

    fn check_name(&self, node: &NodeInfo) -> Result<(), Refusal> {
        let wanted = self.spec.node_name.as_deref().unwrap_or_default();
        if !wanted.is_empty() && wanted != node.name() {
            return Err(Refusal::new(Plugin::NodeName, "node(s) didn't match the requested node name", true));
        }
        Ok(())
    }

    fn check_taints(&self, node: &NodeInfo) -> Result<(), Refusal> {
        let mut hard = node.taints().filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
        let Some(taint) = hard.find(|taint| !is_tolerated(taint, self.tolerations())) else { return Ok(()) };
        let reason = if self.version.at_least(35) {
            "node(s) had untolerated taint(s)".to_owned()
        } else {
            let value = taint.value.as_deref().unwrap_or_default();
            format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)
        };
        Err(Refusal::new(Plugin::TaintToleration, reason, true))
    }

    fn check_ports(&self, node: &NodeInfo) -> Result<(), Refusal> {
        let wanted = host_ports(self.spec);
        if wanted.is_empty() {
            return Ok(());
        }
        let mut used = node.pods.values().filter_map(|pod| pod.spec.as_ref()).flat_map(host_ports);
        if used.any(|port| wanted.iter().any(|wanted| wanted.conflicts_with(&port))) {
            let reason = "node(s) didn't have free ports for the requested pod ports";
            return Err(Refusal::new(Plugin::NodePorts, reason, false));
        }
        Ok(())
    }

    fn check_resources(&self, node: &NodeInfo) -> Result<(), Refusal> {
        let mut refusal = Refusal { plugin: Plugin::NodeResourcesFit, reasons: Vec::new(), is_final: false };
        let has = |name: &str| node.allocatable.get(name).copied().unwrap_or(0);
        let pods = i128::try_from(node.pods.len()).unwrap_or(i128::MAX);
        if (pods + 1) * 1_000 > has("pods") {
            refusal.reasons.push("Too many pods".to_owned());
        }
        for name in in_order(&self.requests) {
            let wanted = self.requests.get(name).copied().unwrap_or(0);
            let used = node.requested.get(name).copied().unwrap_or(0);
            if wanted > 0 && wanted > has(name) - used {
                refusal.reasons.push(format!("Insufficient {name}"));
                refusal.is_final |= wanted > has(name);
            }
        }
        if refusal.reasons.is_empty() { Ok(()) } else { Err(refusal) }
    }
}

/// The names of resources as they are reported: the basic ones first.
fn in_order(requests: &Amounts) -> impl Iterator<Item = &str> {
    let basic = ["cpu", "memory", "ephemeral-storage"];
    basic.into_iter().chain(requests.keys().map(String::as_str).filter(move |name| !basic.contains(name)))
}

/// Whether one of these tolerations is for a taint (`core/v1/toleration.go:ToleratesTaint`).
pub(crate) fn is_tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// Whether a toleration is for a taint.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (effect, key) = (text(&toleration.effect), text(&toleration.key));
    if (!effect.is_empty() && effect != taint.effect) || (!key.is_empty() && key != taint.key) {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or_default() {
        "Exists" => true,
        "" | "Equal" => text(&toleration.value) == text(&taint.value),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq)]
struct HostPort {
    address: String,
    protocol: String,
    port: i32,
}

impl HostPort {
    fn conflicts_with(&self, other: &Self) -> bool {
        let everywhere = |port: &Self| port.address.is_empty() || port.address == "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (everywhere(self) || everywhere(other) || self.address == other.address)
    }
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten().filter(|init| init.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(HostPort {
                address: port.host_ip.clone().unwrap_or_default(),
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                port: port.host_port.filter(|port| *port > 0)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case(json!({"operator": "Exists"}), true)]
    #[case(json!({"key": "k", "operator": "Exists"}), true)]
    #[case(json!({"key": "k", "value": "v"}), true)]
    #[case(json!({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}), true)]
    #[case(json!({"key": "k", "value": "w"}), false)]
    #[case(json!({"key": "other", "operator": "Exists"}), false)]
    #[case(json!({"key": "k", "value": "v", "effect": "NoExecute"}), false)]
    fn tolerations_are_for_taints(#[case] toleration: Value, #[case] expected: bool) {
        let taint = Taint { key: "k".to_owned(), value: Some("v".to_owned()), effect: "NoSchedule".to_owned(), time_added: None };
        assert_eq!(is_tolerated(&taint, &[serde_json::from_value(toleration).unwrap()]), expected);
    }
}
