//! The status of a Pod, out of what the runtime says (`pkg/kubelet/kubelet_pods.go:generateAPIPodStatus`).

pub(super) mod conditions;
mod containers;
mod phase;

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{HostIP, Pod, PodIP, PodStatus, ResourceRequirements},
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{
    Kubelet,
    pod::{PodEntry, init_containers, lock, spec},
    runtime::RuntimeStatus,
};
use crate::clock::floor_to_seconds;

/// A status, and what generating it found out.
#[derive(Debug)]
pub(super) struct Generated {
    pub(super) status: PodStatus,
    /// The running, started containers whose readiness probe has not succeeded.
    pub(super) unready: Vec<String>,
}

/// Generates the status of a Pod. `ended` says that all its containers have been stopped for good.
pub(super) fn generate(kubelet: &Kubelet, entry: &Arc<PodEntry>, seen: &RuntimeStatus, ended: bool) -> Generated {
    let pod = entry.pod();
    let old = lock(&entry.status).current(&pod);
    let mut unready = Vec::new();
    let statuses = |list, is_init, unready: &mut Vec<String>| {
        let source = containers::Source { kubelet, entry, pod: &pod, seen, old: &old, is_init };
        source.statuses(list, unready)
    };
    let init = statuses(init_containers(&pod), true, &mut unready);
    let mut regular = statuses(&spec(&pod).containers, false, &mut unready);
    let mut phase = phase::phase(&pod, &init, &regular, ended);
    if let Some(kept @ ("Succeeded" | "Failed")) = old.phase.as_deref() {
        phase = if kept == "Failed" { "Failed" } else { "Succeeded" };
    }
    let ip = seen.sandbox.as_ref().map(|sandbox| sandbox.ip.clone());
    // An IP is shown once a container has been seen; a sandbox alone is reported by its condition only.
    let shown = ip.filter(|_| !seen.containers.is_empty()).or_else(|| old.pod_ip.clone());
    let view = conditions::View { pod: &pod, init: &init, containers: &regular, phase, version: kubelet.version };
    let conditions = conditions::all(&view, seen.sandbox.as_ref());
    regular.sort_by(|a, b| a.name.cmp(&b.name));
    let status = PodStatus {
        conditions: Some(conditions),
        container_statuses: Some(regular),
        init_container_statuses: (!init.is_empty()).then_some(init),
        host_ip: Some(kubelet.node_ip.clone()),
        host_ips: Some(vec![HostIP { ip: kubelet.node_ip.clone() }]),
        observed_generation: pod.metadata.generation,
        phase: Some(phase.to_owned()),
        pod_ips: shown.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: shown,
        qos_class: old.qos_class.clone(),
        resources: kubelet.version.at_least(36).then(ResourceRequirements::default),
        start_time: old.start_time.clone().or_else(|| Some(kubelet.clock.time())),
        ..PodStatus::default()
    };
    Generated { status, unready }
}

/// An instant as statuses show it.
fn time(kubelet: &Kubelet, elapsed: Duration) -> Time {
    Time(floor_to_seconds(kubelet.clock.at(elapsed)))
}

/// The conditions that readiness gates ask for, by the names of their types.
fn gates(pod: &Pod) -> impl Iterator<Item = &str> {
    spec(pod).readiness_gates.iter().flatten().map(|gate| gate.condition_type.as_str())
}
