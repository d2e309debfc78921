//! The status manager: what the kubelet last said of each Pod, and telling the API server (`pkg/kubelet/status/status_manager.go`).

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    Kubelet,
    pod::{PodEntry, is_deleting, lock, spec},
    status::conditions::{self, View},
    timing,
};
use crate::{Clock, DeleteOptions, LoopbackClient, Patch};

/// The status of a Pod as the kubelet has it.
#[derive(Debug, Default)]
pub(super) struct Cache {
    status: Option<PodStatus>,
    /// Raised by each change.
    version: u64,
    /// The version that the API server has.
    synced: u64,
    /// Whether the Pod is over, so that its object may be deleted.
    finished: bool,
}

impl Cache {
    /// The status that probes see: none before the first sync.
    pub(super) fn known(&self) -> Option<&PodStatus> {
        self.status.as_ref()
    }

    /// The status to build on: the kubelet's own, else what the API server gave with the Pod.
    pub(super) fn current(&self, pod: &Pod) -> PodStatus {
        self.status.clone().or_else(|| pod.status.clone()).unwrap_or_default()
    }

    fn put(&mut self, status: PodStatus) {
        self.status = Some(status);
        self.version += 1;
    }
}

/// Takes in a new status; the API server is told if something changed.
pub(super) fn set(kubelet: &Kubelet, entry: &Arc<PodEntry>, mut status: PodStatus) {
    let mut cache = lock(&entry.status);
    let old = cache.current(&entry.pod());
    keep_transitions(&mut status, &old, &kubelet.clock.time());
    if cache.status.as_ref() != Some(&status) {
        cache.put(status);
        kubelet.push_status(entry);
    }
}

/// A condition's time changes only when its status does.
fn keep_transitions(status: &mut PodStatus, old: &PodStatus, now: &Time) {
    for condition in status.conditions.iter_mut().flatten() {
        let before = old.conditions.iter().flatten().find(|other| other.type_ == condition.type_);
        let same = before.filter(|before| before.status == condition.status);
        condition.last_transition_time = same.and_then(|before| before.last_transition_time.clone()).or_else(|| Some(now.clone()));
    }
}

/// Says that the sandbox of a Pod is ready, ahead of everything else.
pub(super) fn set_sandbox_ready(kubelet: &Kubelet, entry: &Arc<PodEntry>) {
    change(kubelet, entry, |pod, status| {
        for condition in status.conditions.iter_mut().flatten().filter(|c| c.type_ == "PodReadyToStartContainers") {
            let observed_generation = pod.metadata.generation;
            *condition = PodCondition {
                type_: condition.type_.clone(),
                status: "True".to_owned(),
                observed_generation,
                ..PodCondition::default()
            };
        }
    });
}

/// Says that a container has become ready or unready (`SetContainerReadiness`).
pub(super) fn set_ready(kubelet: &Kubelet, entry: &Arc<PodEntry>, id: &str, ready: bool) {
    change(kubelet, entry, |pod, status| {
        if with_id(status, id).is_some_and(|container| std::mem::replace(&mut container.ready, ready) != ready) {
            refresh_readiness(kubelet, pod, status);
        }
    });
}

/// Says that a container has started, as its startup probe sees it (`SetContainerStartup`).
pub(super) fn set_started(kubelet: &Kubelet, entry: &Arc<PodEntry>, id: &str, started: bool) {
    change(kubelet, entry, |_, status| {
        if let Some(container) = with_id(status, id) {
            container.started = Some(started);
        }
    });
}

fn with_id<'a>(status: &'a mut PodStatus, id: &str) -> Option<&'a mut ContainerStatus> {
    let init = status.init_container_statuses.iter_mut().flatten();
    init.chain(status.container_statuses.iter_mut().flatten()).find(|container| container.container_id.as_deref() == Some(id))
}

fn refresh_readiness(kubelet: &Kubelet, pod: &Pod, status: &mut PodStatus) {
    let mut containers = status.container_statuses.clone().unwrap_or_default();
    let place = |name: &str| spec(pod).containers.iter().position(|container| container.name == name);
    containers.sort_by_key(|container| place(&container.name));
    let init = status.init_container_statuses.clone().unwrap_or_default();
    let phase = status.phase.clone().unwrap_or_default();
    let view = View { pod, init: &init, containers: &containers, phase: &phase, version: kubelet.version };
    for new in conditions::readiness(&view) {
        if let Some(old) = status.conditions.iter_mut().flatten().find(|condition| condition.type_ == new.type_) {
            *old = new;
        }
    }
}

fn change(kubelet: &Kubelet, entry: &Arc<PodEntry>, change: impl FnOnce(&Pod, &mut PodStatus)) {
    let changed = lock(&entry.status).status.clone().map(|mut status| {
        change(&entry.pod(), &mut status);
        status
    });
    if let Some(status) = changed {
        set(kubelet, entry, status);
    }
}

/// Says that a Pod is over: what did not end counts as failed, and the object goes if its deletion was asked for
/// (`status_manager.go:TerminatePod`).
pub(super) fn finish(kubelet: &Kubelet, entry: &Arc<PodEntry>) {
    change(kubelet, entry, |_, status| {
        for container in status.container_statuses.iter_mut().flatten() {
            if container.state.as_ref().is_none_or(|state| state.terminated.is_none()) {
                container.state = Some(lost());
            }
        }
        if !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            status.phase = Some("Failed".to_owned());
        }
    });
    {
        let mut cache = lock(&entry.status);
        cache.finished = true;
        // Written in any case: the phase may have been held back until now.
        cache.version += 1;
    }
    kubelet.push_status(entry);
}

fn lost() -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// Deletes the object of a Pod that is over, as soon as its deletion is asked for.
pub(super) fn deletion_requested(kubelet: &Kubelet, entry: &Arc<PodEntry>) {
    if lock(&entry.status).finished {
        kubelet.push_status(entry);
    }
}

/// Tells the API server what changed, one Pod after the other.
pub(super) async fn run(clock: Clock, client: LoopbackClient, mut changed: mpsc::UnboundedReceiver<Arc<PodEntry>>) {
    while let Some(entry) = changed.recv().await {
        if entry.is_removed() {
            continue;
        }
        clock.sleep(entry.draw(timing::STATUS)).await;
        let (status, version) = {
            let cache = lock(&entry.status);
            let unsent = cache.version != cache.synced;
            (cache.status.clone().filter(|_| unsent), cache.version)
        };
        if let Some(mut status) = status {
            clock.sleep(entry.draw(timing::STATUS)).await;
            hold_back_end(&entry, &mut status);
            let patch = Patch::Strategic(patch(&entry, &status));
            if let Err(error) = client.patch_status::<Pod>(&entry.namespace, &entry.name, &patch).await {
                tracing::debug!(%error, pod = entry.name, "the status was not written");
            }
            lock(&entry.status).synced = version;
        }
        let finished = lock(&entry.status).finished;
        if finished && is_deleting(&entry.pod()) {
            let options = DeleteOptions { uid: Some(entry.uid.clone()), ..DeleteOptions::now() };
            // Somebody else may have been faster.
            let _ = client.delete::<Pod>(&entry.namespace, &entry.name, &options).await;
        }
    }
}

/// No Pod is over as long as its containers are not known to be stopped (`status_manager.go:mergePodStatus`).
fn hold_back_end(entry: &PodEntry, status: &mut PodStatus) {
    let is_over = |phase: &Option<String>| matches!(phase.as_deref(), Some("Succeeded" | "Failed"));
    if !is_over(&status.phase) || entry.is_stopped() {
        return;
    }
    let phase = entry.pod().status.as_ref().and_then(|status| status.phase.clone());
    if !is_over(&phase) {
        status.phase = phase;
    }
}

/// The fields of a condition that may be absent; a merge must remove them then.
const OPTIONAL: [&str; 2] = ["message", "reason"];

fn patch(entry: &PodEntry, status: &PodStatus) -> Value {
    let mut status = json!(status);
    let mut order = Vec::new();
    if let Some(conditions) = status["conditions"].as_array_mut() {
        for condition in conditions {
            order.push(json!({"type": condition["type"]}));
            for field in OPTIONAL {
                if condition.get(field).is_none() {
                    condition[field] = Value::Null;
                }
            }
        }
    }
    status["$setElementOrder/conditions"] = Value::Array(order);
    json!({"metadata": {"uid": entry.uid}, "status": status})
}
