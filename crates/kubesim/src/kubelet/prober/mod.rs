//! Probes: their workers, and what they have found (`pkg/kubelet/prober/prober_manager.go`).

mod probe;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use k8s_openapi::api::core::v1::{Container, Probe};
use tokio::{sync::Notify, task::AbortHandle};

use super::{
    Kubelet,
    pod::{PodEntry, init_containers, is_sidecar, lock, spec},
    status_manager,
};
use crate::Random;

pub(super) use probe::port_number;

/// How often the kubelet's main loop hands a verdict on only when the worker has begun the sync that it was about to begin.
const OVERTAKEN: f64 = 0.25;

/// The kinds of probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Startup,
    Readiness,
    Liveness,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];

    /// As events begin.
    fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }

    fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
        }
    }

    /// What is assumed of a new container.
    fn initial(self) -> Verdict {
        match self {
            Self::Startup => Verdict::Unknown,
            Self::Readiness => Verdict::Failure,
            Self::Liveness => Verdict::Success,
        }
    }
}

/// What a probe has found, beyond its thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    Failure,
    Unknown,
}

/// The probe workers of a Pod and their published verdicts.
#[derive(Debug, Default)]
pub(super) struct Probes {
    workers: Mutex<Vec<Handle>>,
    /// By the full ID of the container; of each kind, in the order of [`Kind::ALL`].
    verdicts: Mutex<BTreeMap<String, [Option<Verdict>; 3]>>,
    added: std::sync::atomic::AtomicBool,
}

#[derive(Debug)]
struct Handle {
    container: String,
    kind: Kind,
    trigger: Arc<Notify>,
    task: AbortHandle,
}

impl Probes {
    /// The published verdict on a container, by its full ID.
    pub(super) fn verdict(&self, kind: Kind, id: &str) -> Option<Verdict> {
        lock(&self.verdicts).get(id).and_then(|verdicts| verdicts[kind as usize])
    }

    pub(super) fn has_verdict_of_startup(&self, id: &str) -> bool {
        self.verdict(Kind::Startup, id).is_some()
    }

    /// Whether a running container counts as started.
    pub(super) fn is_started(&self, container: &Container, id: &str) -> bool {
        match self.verdict(Kind::Startup, id) {
            Some(verdict) => verdict == Verdict::Success,
            None => !self.has_worker(&container.name, Kind::Startup),
        }
    }

    /// Whether a running and started container counts as ready.
    pub(super) fn is_ready(&self, container: &Container, id: &str) -> bool {
        match self.verdict(Kind::Readiness, id) {
            Some(Verdict::Success) => true,
            _ => !self.has_worker(&container.name, Kind::Readiness),
        }
    }

    /// Has the readiness probes of these containers run at once. Whether there were any.
    pub(super) fn poke(&self, containers: &[String]) -> bool {
        let workers = lock(&self.workers);
        let mut any = false;
        for worker in workers.iter().filter(|worker| worker.kind == Kind::Readiness && containers.contains(&worker.container)) {
            worker.trigger.notify_one();
            any = true;
        }
        any
    }

    /// Ends the workers of some kinds.
    pub(super) fn stop(&self, kinds: &[Kind]) {
        lock(&self.workers).retain(|worker| {
            let stops = kinds.contains(&worker.kind);
            if stops {
                worker.task.abort();
            }
            !stops
        });
    }

    fn has_worker(&self, container: &str, kind: Kind) -> bool {
        lock(&self.workers).iter().any(|worker| worker.kind == kind && worker.container == container)
    }

    fn remove_worker(&self, container: &str, kind: Kind) {
        lock(&self.workers).retain(|worker| worker.kind != kind || worker.container != container);
    }

    fn forget(&self, kind: Kind, id: &str) {
        let mut all = lock(&self.verdicts);
        if let Some(verdicts) = all.get_mut(id) {
            verdicts[kind as usize] = None;
            if verdicts.iter().all(Option::is_none) {
                all.remove(id);
            }
        }
    }

    /// Sets a verdict. Whether it is new or another one.
    fn set(&self, kind: Kind, id: &str, verdict: Verdict) -> bool {
        let mut all = lock(&self.verdicts);
        if !all.contains_key(id) {
            all.insert(id.to_owned(), [None; 3]);
        }
        all.get_mut(id).is_some_and(|verdicts| verdicts[kind as usize].replace(verdict) != Some(verdict))
    }
}

/// Starts the workers of a Pod, once in its life.
pub(super) fn add_pod(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>) {
    if entry.probes.added.swap(true, std::sync::atomic::Ordering::Relaxed) {
        return;
    }
    let pod = entry.pod();
    let sidecars = init_containers(&pod).iter().filter(|container| is_sidecar(&pod, container));
    for container in sidecars.chain(&spec(&pod).containers) {
        for kind in Kind::ALL {
            let Some(probe) = kind.of(container) else { continue };
            let trigger = Arc::new(Notify::new());
            let worker = worker::Worker::new(entry, container, kind, probe, Arc::clone(&trigger));
            let task = kubelet.spawn(worker.run(Arc::clone(kubelet)));
            lock(&entry.probes.workers).push(Handle { container: container.name.clone(), kind, trigger, task });
        }
    }
}

/// Publishes a verdict; what is new or changed reaches the status and the Pod's worker
/// (prober/results, `kubelet.go:syncLoopIteration`).
fn publish(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>, kind: Kind, id: &str, verdict: Verdict) {
    if !entry.probes.set(kind, id, verdict) {
        return;
    }
    match kind {
        Kind::Liveness if verdict != Verdict::Failure => return,
        Kind::Liveness => {}
        Kind::Readiness => status_manager::set_ready(kubelet, entry, id, verdict == Verdict::Success),
        Kind::Startup => status_manager::set_started(kubelet, entry, id, verdict == Verdict::Success),
    }
    if entry.chance(Random::unit) < OVERTAKEN { entry.inbox.request_overtaken() } else { entry.inbox.request() }
}
