//! The conditions of a Pod, in the order in which the kubelet writes them (`pkg/kubelet/status/generate.go`).

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};

use crate::{
    Version,
    kubelet::{
        pod::{init_containers, is_sidecar},
        runtime::Sandbox,
    },
};

/// What conditions are made from.
pub(in crate::kubelet) struct View<'a> {
    pub(in crate::kubelet) pod: &'a Pod,
    pub(in crate::kubelet) init: &'a [ContainerStatus],
    pub(in crate::kubelet) containers: &'a [ContainerStatus],
    pub(in crate::kubelet) phase: &'a str,
    pub(in crate::kubelet) version: Version,
}

/// Why a condition does not hold.
type Fault = (&'static str, String);

/// All conditions of a Pod.
pub(in crate::kubelet) fn all(view: &View<'_>, sandbox: Option<&Sandbox>) -> Vec<PodCondition> {
    let [ready, containers_ready] = readiness(view);
    vec![sandbox_ready(view, sandbox), initialised(view), ready, containers_ready, condition(view, "PodScheduled", Ok(()))]
}

/// The conditions Ready and `ContainersReady`.
pub(in crate::kubelet) fn readiness(view: &View<'_>) -> [PodCondition; 2] {
    let containers = containers_ready(view);
    let missing: Vec<&str> = super::gates(view.pod).filter(|gate| !holds(view.pod.status.as_ref(), gate)).collect();
    let ready = match &containers {
        Ok(()) if !missing.is_empty() => {
            let messages: Vec<String> = missing
                .iter()
                .map(|gate| format!("corresponding condition of pod readiness gate \"{gate}\" does not exist."))
                .collect();
            Err(("ReadinessGatesNotReady", messages.join(", ")))
        }
        other => other.clone(),
    };
    [condition(view, "Ready", ready), condition(view, "ContainersReady", containers)]
}

/// Whether a status has a condition that is true.
fn holds(status: Option<&PodStatus>, kind: &str) -> bool {
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}

fn condition(view: &View<'_>, kind: &str, state: Result<(), Fault>) -> PodCondition {
    let fault = state.err();
    PodCondition {
        type_: kind.to_owned(),
        status: if fault.is_some() { "False" } else { "True" }.to_owned(),
        reason: fault.as_ref().map(|(reason, _)| (*reason).to_owned()).filter(|reason| !reason.is_empty()),
        message: fault.map(|(_, message)| message).filter(|message| !message.is_empty()),
        observed_generation: view.pod.metadata.generation,
        ..PodCondition::default()
    }
}

fn sandbox_ready(view: &View<'_>, sandbox: Option<&Sandbox>) -> PodCondition {
    let fault = match sandbox {
        None => "no pod sandbox exists",
        Some(sandbox) if !sandbox.ready => "pod sandbox is not ready",
        Some(_) => return condition(view, "PodReadyToStartContainers", Ok(())),
    };
    // Before 1.36 it said no reason.
    let fault = if view.version.at_least(36) { ("PodSandboxNotReady", fault.to_owned()) } else { ("", String::new()) };
    condition(view, "PodReadyToStartContainers", Err(fault))
}

fn initialised(view: &View<'_>) -> PodCondition {
    let incomplete = |status: &&ContainerStatus| {
        let sidecar = init_containers(view.pod).iter().any(|c| c.name == status.name && is_sidecar(view.pod, c));
        let state = status.state.as_ref();
        let done = state.and_then(|state| state.terminated.as_ref()).is_some_and(|terminated| terminated.exit_code == 0);
        if sidecar { status.started != Some(true) && !done } else { !done }
    };
    let names: Vec<&str> = view.init.iter().filter(incomplete).map(|status| status.name.as_str()).collect();
    if view.phase == "Succeeded" {
        return PodCondition { reason: Some("PodCompleted".to_owned()), ..condition(view, "Initialized", Ok(())) };
    }
    // Once a regular container has run, init containers no longer matter.
    let ran = view.containers.iter().any(|status| status.container_id.is_some());
    if names.is_empty() || ran {
        return condition(view, "Initialized", Ok(()));
    }
    let message = format!("containers with incomplete status: [{}]", names.join(" "));
    condition(view, "Initialized", Err(("ContainersNotInitialized", message)))
}

fn containers_ready(view: &View<'_>) -> Result<(), Fault> {
    match view.phase {
        "Succeeded" => return Err(("PodCompleted", String::new())),
        "Failed" => return Err(("PodFailed", String::new())),
        _ => {}
    }
    let sidecar = |status: &&ContainerStatus| {
        init_containers(view.pod).iter().any(|container| container.name == status.name && is_sidecar(view.pod, container))
    };
    let counted = view.init.iter().filter(sidecar).chain(view.containers);
    let unready: Vec<&str> = counted.filter(|status| !status.ready).map(|status| status.name.as_str()).collect();
    if unready.is_empty() {
        return Ok(());
    }
    Err(("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))))
}
