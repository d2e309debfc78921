//! The end of a Pod (`pkg/kubelet/kubelet.go:SyncTerminatingPod`, `SyncTerminatedPod`; `kuberuntime_container.go:killContainer`).

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{self, BoxFuture, Either, join_all},
};
use k8s_openapi::api::core::v1::Pod;

use super::{
    Kubelet, lifecycle,
    pod::{PodEntry, find_container, init_containers, is_deleting, is_sidecar, lock, spec},
    prober::Kind,
    runtime::RuntimeStatus,
    status, status_manager, sync, timing,
};
use crate::{
    recorder::EventType,
    watched::{Watched, Watcher},
};

/// No container is given less than this, whatever was asked for.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// Stops everything that a Pod runs, and reports how it ended.
pub(super) async fn terminating(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>, seen: &RuntimeStatus) {
    if !entry.is_removed() {
        sync::report_status(kubelet, entry, seen).await;
    }
    entry.probes.stop(&[Kind::Liveness, Kind::Startup]);
    let pod = entry.pod();
    let grace = if entry.is_removed() { LEAST_GRACE } else { deletion_grace(&pod).unwrap_or_else(|| own_grace(&pod)) };
    kill_containers(kubelet, entry, Some(grace)).await;
    entry.stop_sandbox(kubelet).await;
    entry.probes.stop(&Kind::ALL);
    if !entry.is_removed() {
        let now = lock(&entry.runtime).status();
        let generated = status::generate(kubelet, entry, &now, true);
        status_manager::set(kubelet, entry, generated.status);
    }
}

/// Cleans up after a Pod whose containers have ended; its object is deleted if that was asked for.
pub(super) async fn terminated(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>, seen: &RuntimeStatus) {
    if entry.is_removed() {
        return;
    }
    let generated = status::generate(kubelet, entry, seen, true);
    status_manager::set(kubelet, entry, generated.status);
    kubelet.clock.sleep(entry.draw(timing::UNMOUNT)).await;
    status_manager::finish(kubelet, entry);
}

/// Stops all running containers: the regular ones in parallel, then the sidecars, the last one first. `grace` is that of
/// the Pod's deletion.
pub(super) async fn kill_containers(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>, grace: Option<Duration>) {
    let pod = entry.pod();
    let grace = grace.unwrap_or_else(|| own_grace(&pod));
    let began = kubelet.clock.elapsed();
    let running = lock(&entry.runtime).running();
    let sidecar = |name: &str| init_containers(&pod).iter().any(|init| init.name == name && is_sidecar(&pod, init));
    let (mut sidecars, others): (Vec<_>, Vec<_>) = running.into_iter().partition(|(name, _)| sidecar(name));
    let others: Vec<_> = others.into_iter().map(|(name, id)| stop(kubelet, entry, name, id, grace)).collect();
    join_all(others).await;
    let position = |name: &str| init_containers(&pod).iter().position(|init| init.name == name);
    sidecars.sort_by_key(|(name, _)| std::cmp::Reverse(position(name)));
    for (name, id) in sidecars {
        let left = grace.saturating_sub(kubelet.clock.elapsed().saturating_sub(began));
        stop(kubelet, entry, name, id, left).await;
    }
}

fn stop<'a>(kubelet: &'a Arc<Kubelet>, entry: &'a Arc<PodEntry>, name: String, id: String, grace: Duration) -> BoxFuture<'a, ()> {
    let message = format!("Stopping container {name}");
    let deadline = entry.deadline.watch();
    async move { kill_container(kubelet, entry, &name, &id, &message, grace, deadline).await }.boxed()
}

/// Stops one container: its event, its `preStop` hook, SIGTERM, and SIGKILL when its grace is over.
pub(super) async fn kill_container(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    name: &str,
    id: &str,
    message: &str,
    grace: Duration,
    deadline: Watcher<Duration>,
) {
    kubelet.container_event(entry, name, EventType::Normal, "Killing", message);
    let pod = entry.pod();
    let hook = find_container(&pod, name).and_then(|container| Some((container, container.lifecycle.as_ref()?.pre_stop.as_ref()?)));
    let Some((container, hook)) = hook.filter(|_| !grace.is_zero()) else {
        return entry.stop_container(kubelet, id, grace.max(LEAST_GRACE), deadline).await;
    };
    let began = kubelet.clock.elapsed();
    let hook = async {
        if lifecycle::run(kubelet, entry, container, hook).await.is_err() {
            kubelet.container_event(entry, name, EventType::Warning, "FailedPreStopHook", "PreStopHook failed");
        }
    };
    let hook = pin!(hook.fuse());
    let timer = pin!(kubelet.clock.sleep(grace));
    let in_time = future::select(hook, timer).await;
    let spent = Duration::from_secs(kubelet.clock.elapsed().saturating_sub(began).as_secs());
    let left = grace.saturating_sub(spent).max(LEAST_GRACE);
    let stop = entry.stop_container(kubelet, id, left, deadline);
    match in_time {
        Either::Left(_) => stop.await,
        // The hook goes on; a command fails when its container is killed.
        Either::Right(((), hook)) => {
            future::select(pin!(stop), hook.then(|()| future::pending::<()>())).await;
        }
    }
}

/// A deadline that never comes.
pub(super) fn no_deadline() -> Watcher<Duration> {
    Watched::new(Duration::MAX).watch()
}

/// The grace that the Pod's own specification gives.
pub(super) fn own_grace(pod: &Pod) -> Duration {
    seconds(spec(pod).termination_grace_period_seconds.unwrap_or(30))
}

/// The grace of the Pod's deletion, if that was asked for.
pub(super) fn deletion_grace(pod: &Pod) -> Option<Duration> {
    let grace = pod.metadata.deletion_grace_period_seconds.filter(|_| is_deleting(pod))?;
    Some(seconds(grace))
}

/// When the containers of a Pod whose grace became shorter are to be dead.
pub(super) fn shortened_deadline(now: Duration, grace: Duration) -> Duration {
    now.saturating_add(grace.max(LEAST_GRACE))
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
