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
    pod::{PodEntry, init_containers, is_deleting, is_sidecar, lock, spec},
    status::conditions::{self, View},
    timing,
};
use crate::{DeleteOptions, LoopbackClient, Patch};

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
    /// Whether it is looked at again at the next tick.
    due: bool,
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
    change(kubelet, entry, |pod, status| {
        // What never had its turn has not been lost.
        let initialised = has_initialised(pod, status);
        for container in status.container_statuses.iter_mut().flatten().filter(|_| initialised) {
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

/// Whether the init containers of a Pod had all ended well, or a regular one has been there (`status_manager.go:hasPodInitialized`).
fn has_initialised(pod: &Pod, status: &PodStatus) -> bool {
    let succeeded = |state: Option<&ContainerState>| {
        state.and_then(|state| state.terminated.as_ref()).is_some_and(|terminated| terminated.exit_code == 0)
    };
    let was_there = |container: &ContainerStatus| container.container_id.is_some();
    let Some(last) = init_containers(pod).last() else { return true };
    status.container_statuses.iter().flatten().any(was_there)
        || status.init_container_statuses.iter().flatten().any(|container| {
            let state = container.state.as_ref();
            let running = state.is_some_and(|state| state.running.is_some());
            let started = is_sidecar(pod, last) && running && container.started == Some(true);
            container.name == last.name && (started || succeeded(state))
        })
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

/// Has a Pod looked at again at the next tick of the reconciliation: the API server has another status of it, or refused its
/// own. Only such Pods are looked at, whereas the real kubelet looks at all of them at each tick.
fn look_again(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>) {
    if std::mem::replace(&mut lock(&entry.status).due, true) {
        return;
    }
    let (kubelet, entry) = (Arc::clone(kubelet), Arc::clone(entry));
    kubelet.clone().spawn(async move {
        kubelet.clock.sleep_until(kubelet.status_ticks.after(kubelet.clock.elapsed())).await;
        kubelet.push_status(&entry);
    });
}

/// Takes in the status that the API server has: another one than the kubelet's is repaired, and conditions that readiness gates
/// ask for may make the Pod ready (`kubelet.go:HandlePodReconcile`).
pub(super) fn reconcile(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>) {
    let pod = entry.pod();
    let (drifted, unready) = {
        let cache = lock(&entry.status);
        let Some(own) = cache.status.as_ref() else { return };
        (cache.version == cache.synced && has_drifted(entry, &pod, own), gates_differ(kubelet, &pod, own))
    };
    if unready {
        entry.inbox.request();
    } else if drifted {
        look_again(kubelet, entry);
    }
}

/// Whether the API server's status of a Pod is not what the kubelet wrote (`status_manager.go:needsReconcile`).
fn has_drifted(entry: &PodEntry, pod: &Pod, own: &PodStatus) -> bool {
    let Some(theirs) = pod.status.as_ref() else { return true };
    let is_theirs = |condition: &PodCondition| theirs.conditions.iter().flatten().any(|other| other == condition);
    theirs.container_statuses != own.container_statuses
        || theirs.init_container_statuses != own.init_container_statuses
        || theirs.phase != own.phase && !is_held_back(entry, own)
        || theirs.pod_ip != own.pod_ip
        || !own.conditions.iter().flatten().all(is_theirs)
}

/// Whether the gates of a Pod say something else than its condition Ready (`kubelet/status/generate.go`,
/// `NeedToReconcilePodReadiness`).
fn gates_differ(kubelet: &Kubelet, pod: &Pod, own: &PodStatus) -> bool {
    if spec(pod).readiness_gates.is_none() {
        return false;
    }
    let mut new = own.clone();
    refresh_readiness(kubelet, pod, &mut new);
    let ready = |status: &PodStatus| {
        let found = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
        found.map(|condition| (condition.status.clone(), condition.message.clone()))
    };
    ready(&new) != ready(own)
}

/// Tells the API server what changed, one Pod after the other.
pub(super) async fn run(kubelet: Arc<Kubelet>, client: LoopbackClient, mut changed: mpsc::UnboundedReceiver<Arc<PodEntry>>) {
    let clock = kubelet.clock;
    while let Some(entry) = changed.recv().await {
        kubelet.running().await;
        if entry.is_removed() {
            continue;
        }
        clock.sleep(entry.draw(timing::STATUS)).await;
        let (status, version) = {
            let mut cache = lock(&entry.status);
            let due = std::mem::take(&mut cache.due);
            let is_unsent = cache.version != cache.synced;
            let unsent = |status: &PodStatus| is_unsent || due && has_drifted(&entry, &entry.pod(), status);
            (cache.status.clone().filter(unsent), cache.version)
        };
        if let Some(mut status) = status {
            clock.sleep(entry.draw(timing::STATUS)).await;
            hold_back_end(&entry, &mut status);
            let patch = Patch::Strategic(patch(&entry, &status));
            match client.patch_status::<Pod>(&entry.namespace, &entry.name, &patch).await {
                Err(error) if !error.is_not_found() => {
                    tracing::debug!(%error, pod = entry.name, "the status was not written");
                    look_again(&kubelet, &entry);
                }
                _ => lock(&entry.status).synced = version,
            }
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
    if is_held_back(entry, status) {
        let known = entry.pod().status.clone().unwrap_or_default();
        (status.phase, status.reason, status.message) = (known.phase, known.reason, known.message);
    }
}

/// Whether the end of a Pod is not told yet.
fn is_held_back(entry: &PodEntry, status: &PodStatus) -> bool {
    let is_over = |status: &PodStatus| matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    is_over(status) && !entry.is_stopped() && !entry.pod().status.as_ref().is_some_and(is_over)
}

/// The fields of a condition that may be absent; a merge must remove them then.
const OPTIONAL: [&str; 2] = ["message", "reason"];

fn patch(entry: &PodEntry, status: &PodStatus) -> Value {
    let own = |kind: &str| status.conditions.iter().flatten().any(|condition| condition.type_ == kind);
    let pod = entry.pod();
    let known = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    // The conditions of others come first.
    let mut order: Vec<Value> =
        known.filter(|condition| !own(&condition.type_)).map(|condition| json!({"type": condition.type_})).collect();
    let mut status = json!(status);
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
