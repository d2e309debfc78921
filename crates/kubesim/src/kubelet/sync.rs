//! One sync of a Pod: what there is, what there should be, and making it so (`pkg/kubelet/kubelet.go:SyncPod`,
//! `kuberuntime/kuberuntime_manager.go:SyncPod`).

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{
    Kubelet,
    actions::{self, Actions, Kill},
    pod::{PodEntry, is_sidecar, lock, spec},
    prober,
    runtime::{RuntimeStatus, Sandbox},
    start, status, status_manager, terminate, timing, volumes, wording,
};
use crate::recorder::EventType;

/// How a sync ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All containers have ended for good.
    Finished,
    /// The Pod's deletion came before its containers were touched.
    Going,
    /// Without errors; whether anything was done.
    Done { acted: bool },
    /// With errors.
    Failed(Vec<StartFailure>),
}

/// Why a container was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StartFailure {
    /// The reason of its waiting state.
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// When it is worth trying again, if that is known.
    pub(super) expiry: Option<Duration>,
}

impl StartFailure {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), expiry: None }
    }
}

/// Syncs a Pod, with what the last relist saw of it.
pub(super) async fn sync_pod(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>, seen: &RuntimeStatus) -> Outcome {
    let pod = entry.pod();
    let generated = report_status(kubelet, entry, seen).await;
    if matches!(generated.as_deref(), Some("Succeeded" | "Failed")) {
        return Outcome::Finished;
    }
    if !volumes::wait(kubelet, entry).await {
        return if entry.is_going() { Outcome::Going } else { Outcome::Failed(Vec::new()) };
    }
    prober::add_pod(kubelet, entry);
    let actions = actions::compute(kubelet, entry, &pod, seen);
    if actions.any() && entry.is_going() {
        // The deletion cancels the context of the sync.
        return Outcome::Going;
    }
    if actions.kill_pod {
        terminate::kill_containers(kubelet, entry, None).await;
        entry.stop_sandbox(kubelet).await;
        return Outcome::Done { acted: true };
    }
    if actions.restart_all {
        terminate::kill_containers(kubelet, entry, None).await;
        lock(&entry.runtime).restart_all(kubelet.clock.elapsed());
        kubelet.pleg.mark(entry, kubelet.clock.elapsed());
        entry.inbox.request();
        return Outcome::Done { acted: true };
    }
    let failures = run_actions(kubelet, entry, &pod, seen, &actions).await;
    if failures.is_empty() { Outcome::Done { acted: actions.any() } } else { Outcome::Failed(failures) }
}

/// Generates the Pod's status and hands it on; gives its phase.
///
/// Generating it pokes the readiness probes, before it is handed on. So a poked probe may still see the old status.
pub(super) async fn report_status(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>, seen: &RuntimeStatus) -> Option<String> {
    let generated = status::generate(kubelet, entry, seen, false);
    let poked = entry.probes.poke(&generated.unready);
    if poked && entry.chance(crate::Random::unit) < 0.5 {
        // The worker looks at the status; its probe takes longer than the sync needs to hand on the new one.
        tokio::task::yield_now().await;
    }
    let phase = generated.status.phase.clone();
    status_manager::set(kubelet, entry, generated.status);
    phase
}

async fn run_actions(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    pod: &Pod,
    seen: &RuntimeStatus,
    actions: &Actions,
) -> Vec<StartFailure> {
    for Kill { id, name, message, grace } in &actions.kill {
        terminate::kill_container(kubelet, entry, name, id, message, *grace, terminate::no_deadline()).await;
    }
    if actions.create_sandbox {
        make_sandbox(kubelet, entry).await;
    }
    let mut failures = Vec::new();
    for container in &actions.start_init {
        if let Err(failure) = start_one(kubelet, entry, pod, container, seen).await {
            let goes_on = is_sidecar(pod, container);
            failures.push(failure);
            if !goes_on {
                return failures;
            }
        }
    }
    for container in &spec(pod).containers {
        if actions.start.contains(&container.name)
            && let Err(failure) = start_one(kubelet, entry, pod, container, seen).await
        {
            failures.push(failure);
        }
    }
    failures
}

/// Makes the sandbox, with the Pod's IP. Since 1.36 its readiness is a status of its own.
async fn make_sandbox(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>) {
    kubelet.clock.sleep(entry.draw(timing::SANDBOX)).await;
    let host_network = spec(&entry.pod()).host_network == Some(true);
    let ip = if host_network { kubelet.node_ip.clone() } else { kubelet.allocate_ip() };
    lock(&entry.runtime).sandbox = Some(Sandbox { ip, ready: true });
    kubelet.pleg.mark(entry, kubelet.clock.elapsed());
    if kubelet.version.at_least(36) {
        status_manager::set_sandbox_ready(kubelet, entry);
    }
}

/// Starts a container unless it is in back-off, and remembers why if it was not started.
async fn start_one(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    pod: &Pod,
    container: &Container,
    seen: &RuntimeStatus,
) -> Result<(), StartFailure> {
    let started = match crash_loop(kubelet, entry, container, seen) {
        Some(failure) => Err(failure),
        None => start::start_container(kubelet, entry, pod, container).await,
    };
    let mut reasons = lock(&entry.reasons);
    match &started {
        Ok(()) => reasons.remove(&container.name),
        Err(failure) => reasons.insert(container.name.clone(), failure.clone()),
    };
    started
}

/// The back-off check. `seen` is what there was when the sync began: if the sync itself has killed the container, the
/// last death known is that of the one before (`kuberuntime_manager.go:doBackOff`).
fn crash_loop(kubelet: &Kubelet, entry: &PodEntry, container: &Container, seen: &RuntimeStatus) -> Option<StartFailure> {
    let died = seen.newest_exit(&container.name)?.finished;
    let image = container.image.as_deref().unwrap_or_default();
    let resources = container.resources.as_ref().map(|resources| format!("{resources:?}")).unwrap_or_default();
    let key = [container.name.as_str(), image, &resources].join("\0");
    let wait = lock(&entry.back_off).start(&key, died, kubelet.clock.elapsed()).err()?;
    let full_name = entry.full_name();
    let message = format!("Back-off restarting failed container {} in pod {full_name}", container.name);
    kubelet.container_event(entry, &container.name, EventType::Warning, "BackOff", message);
    let message = format!("back-off {} restarting failed container={} pod={full_name}", wording::duration(wait), container.name);
    Some(StartFailure { expiry: Some(died + wait), ..StartFailure::new("CrashLoopBackOff", message) })
}
