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
use crate::{clock::floor_to_seconds, recorder::EventType};

/// What is said of a Pod that has been active for longer than it may.
const OVERDUE: &str = "Pod was active on the node longer than the specified deadline";

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
    let mut phase = phase::phase(kubelet.version, &pod, &init, &regular, ended);
    let (mut reason, mut message) = (None, None);
    let is_overdue = deadline(kubelet, &pod, &old).is_some_and(|deadline| deadline <= kubelet.clock.elapsed());
    if is_overdue {
        // Each look tells it anew (`pkg/kubelet/active_deadline.go:ShouldEvict`).
        kubelet.recorder.event(&entry.reference(), EventType::Normal, "DeadlineExceeded", OVERDUE);
    }
    if let Some(kept @ ("Succeeded" | "Failed")) = old.phase.as_deref() {
        phase = if kept == "Failed" { "Failed" } else { "Succeeded" };
        (reason, message) = (old.reason.clone(), old.message.clone());
    } else if is_overdue {
        phase = "Failed";
        reason = Some("DeadlineExceeded".to_owned());
        message = Some(OVERDUE.to_owned());
    }
    let ip = seen.sandbox.as_ref().map(|sandbox| sandbox.ip.clone());
    let shown = ip.or_else(|| old.pod_ip.clone());
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
        message,
        phase: Some(phase.to_owned()),
        pod_ips: shown.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: shown,
        qos_class: old.qos_class.clone(),
        reason,
        resources: kubelet.version.at_least(36).then(ResourceRequirements::default),
        start_time: old.start_time.clone().or_else(|| Some(kubelet.clock.time())),
        ..PodStatus::default()
    };
    Generated { status, unready }
}

/// When a Pod may no longer run, if its specification says so.
pub(super) fn deadline_of(kubelet: &Kubelet, entry: &PodEntry) -> Option<Duration> {
    let pod = entry.pod();
    spec(&pod).active_deadline_seconds?;
    deadline(kubelet, &pod, &lock(&entry.status).current(&pod))
}

/// The same for a Pod with this status (`pkg/kubelet/active_deadline.go`).
fn deadline(kubelet: &Kubelet, pod: &Pod, status: &PodStatus) -> Option<Duration> {
    let seconds = u64::try_from(spec(pod).active_deadline_seconds?).ok()?;
    let passed = kubelet.clock.now().duration_since(status.start_time.as_ref()?.0);
    let began = kubelet.clock.elapsed().saturating_sub(Duration::try_from(passed).unwrap_or_default());
    Some(began.saturating_add(Duration::from_secs(seconds)))
}

/// An instant as statuses show it.
fn time(kubelet: &Kubelet, elapsed: Duration) -> Time {
    Time(floor_to_seconds(kubelet.clock.at(elapsed)))
}

/// The conditions that readiness gates ask for, by the names of their types.
fn gates(pod: &Pod) -> impl Iterator<Item = &str> {
    spec(pod).readiness_gates.iter().flatten().map(|gate| gate.condition_type.as_str())
}
