//! The worker of one probe of one container (`pkg/kubelet/prober/worker.go`).

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Probe};
use tokio::sync::Notify;

use super::{Kind, Verdict, probe, probe::Outcome, publish};
use crate::{
    kubelet::{
        Kubelet,
        actions::{restarts_after, restarts_all},
        pod::{PodEntry, all_containers, is_deleting, lock, restart_policy},
    },
    recorder::EventType,
};

/// A worker. It lives as long as the Pod does, across restarts of the container.
#[derive(Debug)]
pub(super) struct Worker {
    entry: Arc<PodEntry>,
    container: Container,
    kind: Kind,
    probe: Probe,
    trigger: Arc<Notify>,
    /// The container that the worker has seen last.
    id: String,
    /// Whether it waits for a new container.
    on_hold: bool,
    last: Verdict,
    run: i32,
}

/// What a worker wants to know of its container's status.
struct Seen {
    /// Its ID, if the worker knows another one.
    new_id: Option<String>,
    /// Since when it runs, in whole seconds of Unix time, if it does.
    started_at: Option<i64>,
    exit_code: Option<i32>,
    has_started: bool,
}

impl Seen {
    /// Nothing if the container has not been made.
    fn of(status: &ContainerStatus, known: &str) -> Option<Self> {
        let id = status.container_id.as_deref().filter(|id| !id.is_empty())?;
        let state = status.state.as_ref();
        let running = state.and_then(|state| state.running.as_ref());
        Some(Self {
            new_id: (id != known).then(|| id.to_owned()),
            started_at: running.map(|running| running.started_at.as_ref().map_or(0, |time| time.0.as_second())),
            exit_code: state.and_then(|state| state.terminated.as_ref()).map(|terminated| terminated.exit_code),
            has_started: status.started == Some(true),
        })
    }
}

impl Worker {
    pub(super) fn new(entry: &Arc<PodEntry>, container: &Container, kind: Kind, probe: &Probe, trigger: Arc<Notify>) -> Self {
        Self {
            entry: Arc::clone(entry),
            container: container.clone(),
            kind,
            probe: probe.clone(),
            trigger,
            id: String::new(),
            on_hold: false,
            last: Verdict::Success,
            run: 0,
        }
    }

    /// Probes at once, and then at each tick of the worker's own ticker or when poked, which starts the ticker anew.
    pub(super) async fn run(mut self, kubelet: Arc<Kubelet>) {
        let period = Duration::from_secs(u64::try_from(self.probe.period_seconds.unwrap_or(10)).unwrap_or(10).max(1));
        let mut next = kubelet.clock.elapsed() + period;
        while self.iterate(&kubelet).await {
            tokio::select! {
                biased;
                () = self.trigger.notified() => next = kubelet.clock.elapsed() + period,
                () = kubelet.clock.sleep_until(next) => {
                    // A tick that fell due during the probe counts once; further ones are lost.
                    let now = kubelet.clock.elapsed();
                    while next <= now {
                        next += period;
                    }
                }
            }
        }
        self.entry.probes.remove_worker(&self.container.name, self.kind);
    }

    /// One iteration. Whether there is to be another.
    async fn iterate(&mut self, kubelet: &Arc<Kubelet>) -> bool {
        kubelet.running().await;
        let (finished, seen) = self.look();
        if finished {
            return false;
        }
        let Some(seen) = seen else { return true };
        if let Some(id) = seen.new_id {
            self.entry.probes.forget(self.kind, &self.id);
            self.id = id;
            self.on_hold = false;
            publish(kubelet, &self.entry, self.kind, &self.id, self.kind.initial());
        }
        if self.on_hold {
            return true;
        }
        let Some(started_at) = seen.started_at else {
            publish(kubelet, &self.entry, self.kind, &self.id, Verdict::Failure);
            return self.comes_back(kubelet, seen.exit_code);
        };
        if is_deleting(&self.entry.pod()) && self.kind != Kind::Readiness {
            publish(kubelet, &self.entry, self.kind, &self.id, Verdict::Success);
            return false;
        }
        let delay = i64::from(self.probe.initial_delay_seconds.unwrap_or(0));
        if kubelet.clock.now().as_second() - started_at < delay {
            return true;
        }
        if seen.has_started == (self.kind == Kind::Startup) {
            return true;
        }
        self.probe_once(kubelet).await;
        true
    }

    /// Whether the Pod is over, and what the kubelet last reported of the container, if there is one.
    fn look(&self) -> (bool, Option<Seen>) {
        let cache = lock(&self.entry.status);
        let Some(status) = cache.known() else { return (false, None) };
        let finished = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let init = status.init_container_statuses.iter().flatten();
        let mut all = init.chain(status.container_statuses.iter().flatten());
        let found = all.find(|container| container.name == self.container.name);
        (finished, found.and_then(|container| Seen::of(container, &self.id)))
    }

    fn comes_back(&self, kubelet: &Kubelet, exit_code: Option<i32>) -> bool {
        let pod = self.entry.pod();
        match exit_code {
            Some(code) => {
                let version = kubelet.version;
                let by_another = all_containers(&pod).any(|container| restarts_all(version, container, None));
                by_another || restarts_after(version, &pod, &self.container, code)
            }
            None => restart_policy(&pod) != "Never",
        }
    }

    async fn probe_once(&mut self, kubelet: &Arc<Kubelet>) {
        let outcome = probe::run(kubelet, &self.entry, &self.container, &self.probe).await;
        let title = self.kind.title();
        let event = |reason, message: String| {
            kubelet.container_event(&self.entry, &self.container.name, EventType::Warning, reason, message);
        };
        let verdict = match outcome {
            Outcome::Success => Verdict::Success,
            Outcome::Warning(output) => {
                event("ProbeWarning", format!("{title} probe warning: {output}"));
                Verdict::Success
            }
            Outcome::Failure(output) => {
                event("Unhealthy", format!("{title} probe failed: {output}"));
                Verdict::Failure
            }
            Outcome::Error(error) => {
                // What could not be asked counts neither way.
                event("Unhealthy", format!("{title} probe errored and resulted in unknown state: {error}"));
                return;
            }
        };
        self.count(kubelet, verdict);
    }

    fn count(&mut self, kubelet: &Arc<Kubelet>, verdict: Verdict) {
        if self.last == verdict {
            self.run += 1;
        } else {
            self.last = verdict;
            self.run = 1;
        }
        let threshold = match verdict {
            Verdict::Success => self.probe.success_threshold.unwrap_or(1),
            _ => self.probe.failure_threshold.unwrap_or(3),
        };
        if self.run < threshold {
            return;
        }
        publish(kubelet, &self.entry, self.kind, &self.id, verdict);
        if self.kind == Kind::Startup || self.kind == Kind::Liveness && verdict == Verdict::Failure {
            self.on_hold = true;
            self.run = 0;
        }
    }
}
