//! The conditions of a Pod, in the order in which the kubelet writes them (`pkg/kubelet/status/generate.go`).

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

use crate::{
    Version,
    kubelet::{
        actions::restarts_all,
        pod::{all_containers, find_container, init_containers, is_sidecar},
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
    let scheduled = condition(view, "PodScheduled", Ok(()));
    let mut all = vec![sandbox_ready(view, sandbox), initialised(view), ready, containers_ready, scheduled];
    all.extend(all_restarting(view));
    all
}

/// Whether all containers are being started anew; only if the rules of one may ask for it (since 1.36).
fn all_restarting(view: &View<'_>) -> Option<PodCondition> {
    let restarts =
        |name: &str, code| find_container(view.pod, name).is_some_and(|container| restarts_all(view.version, container, code));
    let ended = |status: &ContainerStatus| {
        let waits = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
        let state = if waits { &status.last_state } else { &status.state };
        state.as_ref().and_then(|state| state.terminated.as_ref()).map(|terminated| terminated.exit_code)
    };
    all_containers(view.pod).any(|container| restarts(&container.name, None)).then(|| {
        let mut statuses = view.init.iter().chain(view.containers);
        let restarting = statuses.any(|status| ended(status).is_some_and(|code| restarts(&status.name, Some(code))));
        condition(view, "AllContainersRestarting", if restarting { Ok(()) } else { Err(("", String::new())) })
    })
}

/// The conditions Ready and `ContainersReady`.
pub(in crate::kubelet) fn readiness(view: &View<'_>) -> [PodCondition; 2] {
    let containers = containers_ready(view);
    let faults: Vec<String> = super::gates(view.pod).filter_map(|gate| gate_fault(view.pod, gate)).collect();
    let ready = match &containers {
        Ok(()) if !faults.is_empty() => Err(("ReadinessGatesNotReady", faults.join(", "))),
        other => other.clone(),
    };
    [condition(view, "Ready", ready), condition(view, "ContainersReady", containers)]
}

/// What is wrong with the condition that a readiness gate asks for.
fn gate_fault(pod: &Pod, gate: &str) -> Option<String> {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    match conditions.find(|condition| condition.type_ == gate) {
        None => Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.")),
        Some(condition) if condition.status == "True" => None,
        Some(condition) => Some(format!("the status of pod readiness gate \"{gate}\" is not \"True\", but {}", condition.status)),
    }
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
