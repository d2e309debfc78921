//! What the kubelet knows of one Pod.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod, PodSpec};

use super::{
    back_off::BackOff, pleg::Cached, pod_worker::Inbox, prober::Probes, runtime::PodRuntime, status_manager::Cache,
    sync::StartFailure, timing::skewed,
};
use crate::{LoopbackClient, Random, recorder::reference, watched::Watched};

/// One Pod of the node: its specification, its containers, and what each part of the kubelet remembers of it.
#[derive(Debug)]
pub(super) struct PodEntry {
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) client: LoopbackClient,
    spec: Mutex<Arc<Pod>>,
    /// Whether the object is gone from the API server.
    removed: AtomicBool,
    /// Whether it is to go.
    going: Watched<bool>,
    /// The names of its volumes that are not mounted, once mounting them has begun.
    pub(super) unmounted: Watched<Option<Vec<String>>>,
    /// Whether they are being mounted anew.
    pub(super) remounts: AtomicBool,
    /// Whether its containers have been stopped for good.
    stopped: AtomicBool,
    /// When its containers are to be dead, if their grace was cut short.
    pub(super) deadline: Watched<Duration>,
    random: Mutex<Random>,
    /// Requests to its worker.
    pub(super) inbox: Inbox,
    /// The containers as they are.
    pub(super) runtime: Mutex<PodRuntime>,
    /// Changes whenever a container has exited.
    pub(super) exits: Watched<()>,
    /// The containers as the last relist saw them.
    pub(super) relisted: Watched<Cached>,
    /// Crash-loop back-offs by container.
    pub(super) back_off: Mutex<BackOff>,
    /// Why containers could not be started (`pkg/kubelet/reason_cache.go`).
    pub(super) reasons: Mutex<BTreeMap<String, StartFailure>>,
    pub(super) probes: Probes,
    pub(super) status: Mutex<Cache>,
}

/// A lock that nobody can leave in a bad state: every critical section is complete in itself.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PodEntry {
    pub(super) fn new(pod: Arc<Pod>, client: LoopbackClient, random: Random) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Self {
            uid: text(&pod.metadata.uid),
            namespace: text(&pod.metadata.namespace),
            name: text(&pod.metadata.name),
            client,
            spec: Mutex::new(pod),
            removed: AtomicBool::new(false),
            going: Watched::new(false),
            unmounted: Watched::new(None),
            remounts: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            deadline: Watched::new(Duration::MAX),
            random: Mutex::new(random),
            inbox: Inbox::default(),
            runtime: Mutex::default(),
            exits: Watched::new(()),
            relisted: Watched::new(Cached::default()),
            back_off: Mutex::default(),
            reasons: Mutex::default(),
            probes: Probes::default(),
            status: Mutex::default(),
        }
    }

    /// The Pod as the API server last said.
    pub(super) fn pod(&self) -> Arc<Pod> {
        Arc::clone(&lock(&self.spec))
    }

    pub(super) fn set_pod(&self, pod: Arc<Pod>) {
        let deleting = is_deleting(&pod);
        *lock(&self.spec) = pod;
        if deleting {
            self.going.set(true);
        }
    }

    pub(super) fn set_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
        self.going.set(true);
    }

    /// Waits until it is to go.
    pub(super) async fn going(&self) {
        self.going.watch().until(|going| *going).await;
    }

    pub(super) fn is_mounted(&self) -> bool {
        self.unmounted.get().as_ref().is_some_and(Vec::is_empty)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn set_stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// Whether it is to go: its deletion was requested, or has happened.
    pub(super) fn is_going(&self) -> bool {
        self.is_removed() || is_deleting(&self.pod())
    }

    /// A latency out of a range.
    pub(super) fn draw(&self, range: [Duration; 2]) -> Duration {
        skewed(&mut lock(&self.random), range)
    }

    /// Uses the Pod's own chance.
    pub(super) fn chance<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut lock(&self.random))
    }

    /// What events about the Pod refer to.
    pub(super) fn reference(&self) -> ObjectReference {
        reference(&*self.pod())
    }

    /// What events about one of its containers refer to.
    pub(super) fn container_reference(&self, container: &str) -> ObjectReference {
        let pod = self.pod();
        let is_init = init_containers(&pod).iter().any(|init| init.name == container);
        let field = if is_init { "initContainers" } else { "containers" };
        ObjectReference { field_path: Some(format!("spec.{field}{{{container}}}")), ..reference(&*pod) }
    }

    /// The Pod's IP; empty before there is a sandbox.
    pub(super) fn ip(&self) -> String {
        lock(&self.runtime).sandbox.as_ref().map(|sandbox| sandbox.ip.clone()).unwrap_or_default()
    }

    /// `NAME_NAMESPACE(UID)`, as back-off messages name it.
    pub(super) fn full_name(&self) -> String {
        format!("{}_{}({})", self.name, self.namespace, self.uid)
    }
}

/// The Pod's specification; every stored Pod has one.
pub(super) fn spec(pod: &Pod) -> &PodSpec {
    static NONE: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
    pod.spec.as_ref().unwrap_or(&NONE)
}

pub(super) fn init_containers(pod: &Pod) -> &[Container] {
    spec(pod).init_containers.as_deref().unwrap_or_default()
}

/// The init containers, then the others.
pub(super) fn all_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    init_containers(pod).iter().chain(&spec(pod).containers)
}

pub(super) fn find_container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    all_containers(pod).find(|container| container.name == name)
}

/// Whether an init container goes on running beside the others.
pub(super) fn is_sidecar(pod: &Pod, container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always") && init_containers(pod).iter().any(|init| init.name == container.name)
}

pub(super) fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// The Pod's restart policy.
pub(super) fn restart_policy(pod: &Pod) -> &str {
    spec(pod).restart_policy.as_deref().unwrap_or("Always")
}
