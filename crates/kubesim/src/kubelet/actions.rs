//! What is to be done to the containers of a Pod (`kuberuntime/kuberuntime_manager.go:computePodActions`,
//! `kuberuntime_container.go:computeInitContainerActions`, `container/helpers.go:ShouldContainerBeRestarted`).

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, Pod, Probe};

use super::{
    Kubelet,
    pod::{PodEntry, all_containers, init_containers, is_deleting, is_sidecar, restart_policy, spec},
    prober::{Kind, Verdict},
    runtime::{Record, RuntimeStatus},
};
use crate::Version;

/// What a sync is to do.
#[derive(Debug, Default)]
pub(super) struct Actions {
    /// All containers and the sandbox are to be stopped; nothing else matters then.
    pub(super) kill_pod: bool,
    /// All containers are to be stopped and started anew, the init containers first; nothing else matters then.
    pub(super) restart_all: bool,
    pub(super) create_sandbox: bool,
    pub(super) kill: Vec<Kill>,
    /// The init containers to start.
    pub(super) start_init: Vec<Container>,
    /// The names of the containers to start.
    pub(super) start: Vec<String>,
}

/// A container to be stopped.
#[derive(Debug)]
pub(super) struct Kill {
    pub(super) name: String,
    pub(super) id: String,
    /// The event's.
    pub(super) message: String,
    pub(super) grace: Duration,
}

impl Actions {
    /// Whether there is anything to do.
    pub(super) fn any(&self) -> bool {
        let starts = self.create_sandbox || !self.start_init.is_empty() || !self.start.is_empty();
        self.kill_pod || self.restart_all || !self.kill.is_empty() || starts
    }
}

/// Decides what to do with a Pod.
pub(super) fn compute(kubelet: &Kubelet, entry: &PodEntry, pod: &Pod, seen: &RuntimeStatus) -> Actions {
    let exit_code = |container: &Container| seen.current(&container.name)?.exit().map(|exit| exit.code);
    let asks_for_all = |container| exit_code(container).is_some_and(|code| restarts_all(kubelet.version, container, Some(code)));
    if all_containers(pod).any(asks_for_all) {
        return Actions { restart_all: true, ..Actions::default() };
    }
    let ready = seen.sandbox.as_ref().is_some_and(|sandbox| sandbox.ready);
    let mut actions = Actions { create_sandbox: !ready, ..Actions::default() };
    let initialised = init(kubelet, entry, pod, seen, &mut actions);
    if !initialised {
        return actions;
    }
    let mut kept = 0;
    for container in &spec(pod).containers {
        match seen.newest(&container.name) {
            Some(record) if record.is_running() && ready => {
                if let Some(reason) = failed(entry, container, record) {
                    let restart = own_policy(kubelet.version, pod, container) != "Never" || reason == DEFINITION_CHANGED;
                    kill(pod, container, record, reason, restart, &mut actions);
                } else {
                    kept += 1;
                }
            }
            _ if should_be_restarted(kubelet.version, pod, container, seen) => actions.start.push(container.name.clone()),
            _ => {}
        }
    }
    let kill_pod = kept == 0 && actions.start.is_empty();
    if kill_pod { Actions { kill_pod, ..Actions::default() } } else { actions }
}

const DEFINITION_CHANGED: &str = "definition changed";

/// Why a running container is to be stopped, if it is.
fn failed(entry: &PodEntry, container: &Container, record: &Record) -> Option<&'static str> {
    let verdict = |kind| entry.probes.verdict(kind, &record.full_id());
    if container.image.as_deref() != Some(record.image.as_str()) {
        Some(DEFINITION_CHANGED)
    } else if verdict(Kind::Liveness) == Some(Verdict::Failure) {
        Some("failed liveness probe")
    } else if verdict(Kind::Startup) == Some(Verdict::Failure) {
        Some("failed startup probe")
    } else {
        None
    }
}

fn kill(pod: &Pod, container: &Container, record: &Record, reason: &'static str, restart: bool, actions: &mut Actions) {
    let suffix = if restart { ", will be restarted" } else { "" };
    let probe = match reason {
        "failed liveness probe" => container.liveness_probe.as_ref(),
        "failed startup probe" => container.startup_probe.as_ref(),
        _ => None,
    };
    let own = |probe: &Probe| probe.termination_grace_period_seconds;
    let grace = probe.and_then(own).or(spec(pod).termination_grace_period_seconds).unwrap_or(30);
    actions.kill.push(Kill {
        name: container.name.clone(),
        id: record.id.clone(),
        message: format!("Container {} {reason}{suffix}", container.name),
        grace: Duration::from_secs(u64::try_from(grace).unwrap_or(0)),
    });
    if restart {
        actions.start.push(container.name.clone());
    }
}

/// Decides about the init containers. Whether all is done that has to be before the other containers start.
fn init(kubelet: &Kubelet, entry: &PodEntry, pod: &Pod, seen: &RuntimeStatus, actions: &mut Actions) -> bool {
    // Once a container has been there, only sidecars are cared for.
    let initialised = spec(pod).containers.iter().any(|container| seen.current(&container.name).is_some());
    for container in init_containers(pod) {
        let sidecar = is_sidecar(pod, container);
        let record = seen.current(&container.name);
        let waits = match record {
            Some(record) if record.is_running() => {
                let reason = failed(entry, container, record).filter(|_| sidecar);
                if let Some(reason) = reason {
                    let mut own = Actions::default();
                    kill(pod, container, record, reason, true, &mut own);
                    actions.kill.extend(own.kill);
                    actions.start_init.push(container.clone());
                }
                !sidecar || reason.is_some() || !entry.probes.is_started(container, &record.full_id())
            }
            Some(record) if !sidecar && (initialised || record.exit().is_some_and(|exit| exit.code == 0)) => false,
            None if initialised && !sidecar => false,
            _ => {
                let starts = sidecar && !is_deleting(pod) || should_be_restarted(kubelet.version, pod, container, seen);
                if starts {
                    actions.start_init.push(container.clone());
                }
                true
            }
        };
        if waits && !initialised {
            return false;
        }
    }
    true
}

/// Whether a container that does not run is to be started (again).
pub(super) fn should_be_restarted(version: Version, pod: &Pod, container: &Container, seen: &RuntimeStatus) -> bool {
    if is_deleting(pod) {
        return false;
    }
    match seen.current(&container.name) {
        None => true,
        Some(record) => record.exit().is_some_and(|exit| restarts_after(version, pod, container, exit.code)),
    }
}

/// Whether a container restarts after an exit with this code: its rules, its own policy, the Pod's.
pub(super) fn restarts_after(version: Version, pod: &Pod, container: &Container, code: i32) -> bool {
    rule_for(version, container, code).is_some()
        || match own_policy(version, pod, container) {
            "Never" => false,
            "OnFailure" => code != 0,
            _ => true,
        }
}

/// The restart policy that holds for a container: since 1.35 each may have its own.
fn own_policy<'a>(version: Version, pod: &'a Pod, container: &'a Container) -> &'a str {
    let own = container.restart_policy.as_deref().filter(|_| version.at_least(35) || is_sidecar(pod, container));
    own.unwrap_or_else(|| restart_policy(pod))
}

/// The action of the container's first rule for an exit code (since 1.35).
fn rule_for(version: Version, container: &Container, code: i32) -> Option<&str> {
    let rules = container.restart_policy_rules.as_deref().filter(|_| version.at_least(35)).unwrap_or_default();
    let matches = |rule: &&ContainerRestartRule| {
        rule.exit_codes.as_ref().is_some_and(|codes| {
            let named = codes.values.as_deref().unwrap_or_default().contains(&code);
            if codes.operator == "In" { named } else { !named }
        })
    };
    let action = rules.iter().find(matches).map(|rule| rule.action.as_str());
    action.filter(|action| *action == "Restart" || version.at_least(36))
}

/// Whether a rule of a container restarts all containers of its Pod, after this exit code or, without one, after any.
pub(super) fn restarts_all(version: Version, container: &Container, code: Option<i32>) -> bool {
    const ACTION: &str = "RestartAllContainers";
    match code {
        Some(code) => rule_for(version, container, code) == Some(ACTION),
        None => version.at_least(36) && container.restart_policy_rules.iter().flatten().any(|rule| rule.action == ACTION),
    }
}
