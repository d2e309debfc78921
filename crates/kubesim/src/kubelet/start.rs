//! Starting one container (`kuberuntime/kuberuntime_container.go:startContainer`).

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{Container, Pod},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{
    Kubelet, container_gc, environment, images, lifecycle,
    pod::{PodEntry, lock, spec},
    runtime::NewContainer,
    sync::StartFailure,
    terminate, timing, volumes, wording,
};
use crate::{quantity::Amount, recorder::EventType};

/// Pulls the image if need be, makes the container, starts it, and runs its `postStart` hook.
pub(super) async fn start_container(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    pod: &Pod,
    container: &Container,
) -> Result<(), StartFailure> {
    let name = container.name.as_str();
    let failed = |message: &str| kubelet.container_event(entry, name, EventType::Warning, "Failed", format!("Error: {message}"));
    let workload = images::ensure(kubelet, entry, container).await.inspect_err(|failure| failed(failure.reason))?;
    let config_error = |message: String| {
        failed(&message);
        StartFailure::new("CreateContainerConfigError", message)
    };
    let env = environment::resolve(kubelet, entry, pod, container).await.map_err(config_error)?;
    verify_non_root(entry, pod, container).map_err(config_error)?;
    let mut files = volumes::files(entry, pod, container, &workload.files().map(str::to_owned).collect::<Vec<_>>()).await;
    if workload.shell {
        files.extend(volumes::all_files(entry, pod, container).await);
    }
    let restart_count = lock(&entry.runtime).status().newest(name).map_or(0, |record| record.restart_count + 1);
    let new = NewContainer {
        name: name.to_owned(),
        image: container.image.clone().unwrap_or_default(),
        restart_count,
        workload,
        command: expand_all(container.command.as_deref(), &env),
        args: expand_all(container.args.as_deref(), &env),
        env,
        files,
        folders: volumes::folders(pod, container),
        memory_limit: memory_limit(container),
    };
    kubelet.clock.sleep(entry.draw(timing::CREATE)).await;
    kubelet.container_event(entry, name, EventType::Normal, "Created", wording::created(kubelet.version, name));
    let start = entry.draw(timing::START);
    let created = kubelet.clock.elapsed();
    kubelet.clock.sleep(start / 2).await;
    container_gc::collect(kubelet, entry, name, created..kubelet.clock.elapsed());
    let started = entry.start_container(kubelet, new);
    kubelet.clock.sleep(start / 2).await;
    let id = started.map_err(|message| {
        failed(&message);
        StartFailure::new("RunContainerError", message)
    })?;
    kubelet.container_event(entry, name, EventType::Normal, "Started", wording::started(kubelet.version, name));
    let Some(hook) = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref()) else { return Ok(()) };
    if let Err(message) = lifecycle::run(kubelet, entry, container, hook).await {
        kubelet.container_event(entry, name, EventType::Warning, "FailedPostStartHook", "PostStartHook failed");
        let grace = terminate::own_grace(pod);
        terminate::kill_container(kubelet, entry, name, &id, "FailedPostStartHook", grace, terminate::no_deadline()).await;
        return Err(StartFailure::new("PostStartHookError", message));
    }
    Ok(())
}

/// Refuses a container that would run as root and must not (`kuberuntime/security_context.go:verifyRunAsNonRoot`). No image
/// names a user.
fn verify_non_root(entry: &PodEntry, pod: &Pod, container: &Container) -> Result<(), String> {
    let (own, shared) = (container.security_context.as_ref(), spec(pod).security_context.as_ref());
    let must_not_be_root = own.and_then(|own| own.run_as_non_root).or(shared.and_then(|shared| shared.run_as_non_root));
    if must_not_be_root != Some(true) {
        return Ok(());
    }
    let problem = match own.and_then(|own| own.run_as_user).or(shared.and_then(|shared| shared.run_as_user)) {
        None => "container has runAsNonRoot and image will run as root",
        Some(0) => "container's runAsUser breaks non-root policy",
        Some(_) => return Ok(()),
    };
    Err(format!("{problem} (pod: \"{}\", container: {})", entry.full_name(), container.name))
}

fn expand_all(words: Option<&[String]>, env: &BTreeMap<String, String>) -> Vec<String> {
    words.unwrap_or_default().iter().map(|word| environment::expand(word, env)).collect()
}

fn memory_limit(container: &Container) -> Option<u64> {
    let limit: &Quantity = container.resources.as_ref()?.limits.as_ref()?.get("memory")?;
    u64::try_from(limit.0.parse::<Amount>().ok()?.units()).ok()
}
