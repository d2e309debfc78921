//! The statuses of containers (`kubelet_pods.go:convertToAPIContainerStatuses`, `prober_manager.go:UpdatePodStatus`).

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
        ContainerUser, LinuxContainerUser, Pod, PodStatus, VolumeMountStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use workload::normalise;

use super::time;
use crate::kubelet::{
    Kubelet,
    actions::should_be_restarted,
    images::image_id,
    pod::{PodEntry, init_containers, is_sidecar, lock},
    runtime::{Exit, Record, RuntimeStatus, State},
};

/// The last lines and bytes of a log that become the termination message.
const MESSAGE_LINES: usize = 80;
const MESSAGE_BYTES: usize = 2_048;
/// The longest termination message that a program writes itself.
const FILE_BYTES: usize = 4_096;

/// What statuses are made from.
pub(super) struct Source<'a> {
    pub(super) kubelet: &'a Kubelet,
    pub(super) entry: &'a Arc<PodEntry>,
    pub(super) pod: &'a Pod,
    pub(super) seen: &'a RuntimeStatus,
    pub(super) old: &'a PodStatus,
    pub(super) is_init: bool,
}

impl Source<'_> {
    /// The statuses of containers, in the order of the specification. Names of containers whose readiness probe is to be
    /// poked go into `unready`.
    pub(super) fn statuses(&self, containers: &[Container], unready: &mut Vec<String>) -> Vec<ContainerStatus> {
        containers.iter().map(|container| self.status(container, unready)).collect()
    }

    fn status(&self, container: &Container, unready: &mut Vec<String>) -> ContainerStatus {
        let list = if self.is_init { &self.old.init_container_statuses } else { &self.old.container_statuses };
        let old = list.iter().flatten().find(|status| status.name == container.name);
        let mut status = self.of_runtime(container, old);
        self.wait_for_restart(container, &mut status);
        status.volume_mounts = mounts(container);
        self.probe(container, &mut status, old, unready);
        status
    }

    /// The newest container is the state, the one before it the last state.
    fn of_runtime(&self, container: &Container, old: Option<&ContainerStatus>) -> ContainerStatus {
        let mut records = self.seen.named(&container.name);
        let Some(newest) = records.next() else { return self.never_seen(container, old) };
        let mut status = self.converted(container, newest);
        match records.next() {
            Some(before) => status.last_state = Some(self.state(container, before)),
            // Since 1.35 a last state that was once reported stays.
            None if self.kubelet.version.at_least(35) => {
                status.last_state = old.and_then(|old| old.last_state.clone()).or(status.last_state);
            }
            None => {}
        }
        status
    }

    fn never_seen(&self, container: &Container, old: Option<&ContainerStatus>) -> ContainerStatus {
        if let Some(old) = old.filter(|old| old.state.as_ref().is_some_and(|state| state.terminated.is_some())) {
            return old.clone();
        }
        let reason = if init_containers(self.pod).is_empty() { "ContainerCreating" } else { "PodInitializing" };
        ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            state: Some(waiting(reason, None)),
            last_state: Some(old.and_then(|old| old.last_state.clone()).unwrap_or_default()),
            restart_count: old.map_or(0, |old| old.restart_count),
            ..ContainerStatus::default()
        }
    }

    fn converted(&self, container: &Container, record: &Record) -> ContainerStatus {
        let image = normalise(&record.image).unwrap_or_else(|_| record.image.clone());
        let resources = container.resources.clone().unwrap_or_default();
        ContainerStatus {
            name: container.name.clone(),
            container_id: Some(record.full_id()),
            image_id: image_id(&image),
            image,
            restart_count: record.restart_count,
            state: Some(self.state(container, record)),
            last_state: Some(ContainerState::default()),
            allocated_resources: resources.requests.clone(),
            resources: Some(resources),
            user: Some(ContainerUser { linux: Some(LinuxContainerUser { gid: 0, uid: 0, supplemental_groups: Some(vec![0]) }) }),
            ..ContainerStatus::default()
        }
    }

    fn state(&self, container: &Container, record: &Record) -> ContainerState {
        match &record.state {
            State::Running(since) => ContainerState {
                running: Some(ContainerStateRunning { started_at: Some(time(self.kubelet, *since)) }),
                ..ContainerState::default()
            },
            State::Exited(exit) => ContainerState {
                terminated: Some(ContainerStateTerminated {
                    container_id: Some(record.full_id()),
                    exit_code: exit.code,
                    reason: Some(exit.reason.to_owned()),
                    message: exit.message.clone().or_else(|| self.message(container, record, exit)),
                    // What never started has started at the epoch.
                    started_at: Some(exit.started.map_or(Time(Timestamp::UNIX_EPOCH), |started| time(self.kubelet, started))),
                    finished_at: Some(time(self.kubelet, exit.finished)),
                    signal: None,
                }),
                ..ContainerState::default()
            },
        }
    }

    /// The termination message (`kuberuntime_container.go:getTerminationMessage`): what the program has written to its file, or the end
    /// of the log.
    fn message(&self, container: &Container, record: &Record, exit: &Exit) -> Option<String> {
        let path = container.termination_message_path.as_deref()?;
        let written = lock(&self.entry.runtime).file(&record.id, path).filter(|text| !text.is_empty());
        if let Some(text) = written {
            return Some(tail(&text, FILE_BYTES).to_owned());
        }
        if exit.code == 0 || container.termination_message_policy.as_deref() != Some("FallbackToLogsOnError") {
            return None;
        }
        let lines = lock(&self.entry.runtime).log(&record.id)?.lines(0);
        let last = lines.get(lines.len().saturating_sub(MESSAGE_LINES)..).unwrap_or_default();
        let text: String = last.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
        Some(tail(&text, MESSAGE_BYTES).to_owned()).filter(|text| !text.is_empty())
    }

    /// A container that is to be started and could not be is waiting, for the reason that the last sync ended with.
    fn wait_for_restart(&self, container: &Container, status: &mut ContainerStatus) {
        let done = self.is_init && self.seen.newest(&container.name).is_some_and(|r| r.exit().is_some_and(|exit| exit.code == 0));
        if done || !should_be_restarted(self.kubelet.version, self.pod, container, self.seen) {
            return;
        }
        let reasons = lock(&self.entry.reasons);
        let Some(failure) = reasons.get(&container.name) else { return };
        if let Some(state) = status.state.take().filter(|state| state.terminated.is_some()) {
            status.last_state = Some(state);
        }
        status.state = Some(waiting(failure.reason, Some(failure.message.clone())));
    }

    /// Whether it has started and is ready, as far as its probes say.
    fn probe(&self, container: &Container, status: &mut ContainerStatus, old: Option<&ContainerStatus>, unready: &mut Vec<String>) {
        let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
        let finished_init =
            self.is_init && status.state.as_ref().is_some_and(|s| s.terminated.as_ref().is_some_and(|t| t.exit_code == 0));
        let id = status.container_id.clone().unwrap_or_default();
        let probes = &self.entry.probes;
        // A restart within one sync leaves the old value until the startup probe notices (since 1.35).
        let kept = self.kubelet.version.at_least(35)
            && old.is_some_and(|old| old.started == Some(true) && old.state.as_ref().is_some_and(|state| state.running.is_some()))
            && !probes.has_verdict_of_startup(&id);
        let started = running && (kept || probes.is_started(container, &id));
        status.started = Some(started);
        status.ready = if self.is_init && !is_sidecar(self.pod, container) {
            finished_init
        } else if started {
            let ready = probes.is_ready(container, &id);
            if !ready {
                unready.push(container.name.clone());
            }
            ready
        } else {
            false
        };
    }
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref().filter(|mounts| !mounts.is_empty())?;
    let status = |mount: &k8s_openapi::api::core::v1::VolumeMount| {
        let read_only = mount.read_only == Some(true);
        VolumeMountStatus {
            mount_path: mount.mount_path.clone(),
            name: mount.name.clone(),
            read_only: read_only.then_some(true),
            recursive_read_only: read_only.then(|| "Disabled".to_owned()),
            ..VolumeMountStatus::default()
        }
    };
    Some(mounts.iter().map(status).collect())
}

/// The end of a text, of so many bytes at most.
fn tail(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    let from = (from..=text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    &text[from..]
}
