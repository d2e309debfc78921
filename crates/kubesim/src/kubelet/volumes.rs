//! Volumes, as far as programs see them: `ConfigMaps` and Secrets as files (pkg/kubelet/volumemanager).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, Volume};

use super::{
    Kubelet, environment,
    pod::{PodEntry, spec},
    timing,
};
use crate::recorder::EventType;

/// How long one sync waits for the volumes.
const PATIENCE: Duration = Duration::from_secs(123);
/// The wait after a mount that failed, doubled each time up to about two minutes.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(122);

type Files = BTreeMap<String, String>;

/// Waits until the Pod's volumes are mounted. False if they are not: it takes too long, or the Pod is to go.
pub(super) async fn wait(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>) -> bool {
    let pod = entry.pod();
    let volumes = spec(&pod).volumes.as_deref().unwrap_or_default();
    if volumes.is_empty() || entry.is_mounted() {
        return true;
    }
    let began = kubelet.clock.elapsed();
    if entry.unmounted.get().is_none() {
        let names = volumes.iter().map(|volume| volume.name.clone()).collect();
        entry.unmounted.set(Some(names));
        kubelet.spawn(mount_all(Arc::clone(kubelet), Arc::clone(entry)));
    }
    let mut unmounted = entry.unmounted.watch();
    tokio::select! {
        biased;
        () = entry.going() => return false,
        () = unmounted.until(|names| names.as_ref().is_some_and(Vec::is_empty)) => {}
        () = kubelet.clock.sleep(PATIENCE) => {
            let names = entry.unmounted.get().unwrap_or_default();
            let message = format!(
                "Unable to attach or mount volumes: unmounted volumes=[{}], unattached volumes=[], failed to process volumes=[]: \
                 context deadline exceeded",
                names.join(" ")
            );
            kubelet.recorder.event(&entry.reference(), EventType::Warning, "FailedMount", message);
            return false;
        }
    }
    // The kubelet looks at once, and then every 300 ms.
    let passed = kubelet.clock.elapsed().saturating_sub(began);
    let polls = passed.as_nanos() / timing::VOLUMES_POLL.as_nanos() + 1;
    kubelet.clock.sleep_until(began + timing::VOLUMES_POLL * u32::try_from(polls).unwrap_or(1)).await;
    true
}

/// Mounts the Pod's volumes, each with a back-off of its own, for as long as the Pod is to stay: whether a sync waits for them or not
/// (`pkg/util/goroutinemap/exponentialbackoff`).
async fn mount_all(kubelet: Arc<Kubelet>, entry: Arc<PodEntry>) {
    kubelet.clock.sleep(entry.draw(timing::MOUNT)).await;
    let pod = entry.pod();
    let now = kubelet.clock.elapsed();
    let volumes = spec(&pod).volumes.as_deref().unwrap_or_default();
    let mut pending: Vec<(&Volume, Duration, Duration)> = volumes.iter().map(|volume| (volume, now, FIRST_RETRY)).collect();
    while !pending.is_empty() && !entry.is_going() {
        let mut failed = Vec::new();
        for (volume, due, wait) in pending {
            if due > kubelet.clock.elapsed() {
                failed.push((volume, due, wait));
            } else if let Err(problem) = content(&entry, volume).await {
                let message = format!("MountVolume.SetUp failed for volume \"{}\" : {problem}", volume.name);
                kubelet.recorder.event(&entry.reference(), EventType::Warning, "FailedMount", message);
                failed.push((volume, kubelet.clock.elapsed() + wait, (wait * 2).min(LAST_RETRY)));
            }
        }
        pending = failed;
        entry.unmounted.set(Some(pending.iter().map(|(volume, ..)| volume.name.clone()).collect()));
        if let Some(next) = pending.iter().map(|(_, due, _)| *due).min() {
            kubelet.clock.sleep_until(next).await;
            kubelet.running().await;
        }
    }
}

/// The files that a program reads, out of the volumes mounted into its container.
pub(super) async fn files(entry: &Arc<PodEntry>, pod: &Pod, container: &Container, wanted: &[String]) -> Files {
    let mut files = Files::new();
    for path in wanted {
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        let found = mounts.iter().filter_map(|mount| Some((mount, path.strip_prefix(mount.mount_path.trim_end_matches('/'))?)));
        // The deepest mount wins.
        let Some((mount, rest)) = found.max_by_key(|(mount, _)| mount.mount_path.len()) else { continue };
        let file = match (&mount.sub_path, rest.trim_start_matches('/')) {
            (Some(sub_path), "") => sub_path.clone(),
            (Some(sub_path), rest) => format!("{sub_path}/{rest}"),
            (None, rest) => rest.to_owned(),
        };
        let volume = spec(pod).volumes.iter().flatten().find(|volume| volume.name == mount.name);
        if let Some(volume) = volume
            && let Ok(mut content) = content(entry, volume).await
            && let Some(text) = content.remove(&file)
        {
            files.insert(path.clone(), text);
        }
    }
    files
}

/// All files of the volumes mounted into a container, by their paths.
pub(super) async fn all_files(entry: &Arc<PodEntry>, pod: &Pod, container: &Container) -> Files {
    let mut files = Files::new();
    for mount in container.volume_mounts.as_deref().unwrap_or_default() {
        let Some(volume) = spec(pod).volumes.iter().flatten().find(|volume| volume.name == mount.name) else { continue };
        for (path, text) in content(entry, volume).await.unwrap_or_default() {
            let below = match &mount.sub_path {
                None => Some(format!("/{path}")),
                Some(sub_path) => {
                    path.strip_prefix(sub_path.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned)
                }
            };
            files.extend(below.map(|below| (format!("{}{below}", mount.mount_path.trim_end_matches('/')), text)));
        }
    }
    files
}

/// The files of a volume by path.
async fn content(entry: &PodEntry, volume: &Volume) -> Result<Files, String> {
    let mut files = Files::new();
    if let Some(source) = &volume.config_map {
        let optional = source.optional == Some(true);
        let data = environment::config_map(entry, &source.name, optional).await?;
        files.extend(project(data, source.items.as_deref(), optional, "config")?);
    }
    if let Some(source) = &volume.secret {
        let optional = source.optional == Some(true);
        let data = environment::secret(entry, source.secret_name.as_deref().unwrap_or_default(), optional).await?;
        files.extend(project(data, source.items.as_deref(), optional, "secret")?);
    }
    let projected = volume.projected.as_ref().and_then(|projected| projected.sources.as_deref()).unwrap_or_default();
    for source in projected {
        // The API server puts the cluster's certificate into every token volume; its ConfigMap is always there in time.
        if let Some(source) = source.config_map.as_ref().filter(|source| source.name != "kube-root-ca.crt") {
            let optional = source.optional == Some(true);
            let data = environment::config_map(entry, &source.name, optional).await?;
            files.extend(project(data, source.items.as_deref(), optional, "config")?);
        }
        if let Some(source) = &source.secret {
            let optional = source.optional == Some(true);
            let data = environment::secret(entry, &source.name, optional).await?;
            files.extend(project(data, source.items.as_deref(), optional, "secret")?);
        }
    }
    Ok(files)
}

/// Keys as files: all of them, or those asked for under the paths asked for. `kind` is the kubelet's word for where they come from.
fn project(data: Option<Files>, items: Option<&[KeyToPath]>, optional: bool, kind: &str) -> Result<Files, String> {
    let data = data.unwrap_or_default();
    let Some(items) = items else { return Ok(data) };
    let mut files = Files::new();
    for item in items {
        match data.get(&item.key) {
            Some(text) => {
                files.insert(item.path.clone(), text.clone());
            }
            None if optional => {}
            None => return Err(format!("references non-existent {kind} key: {}", item.key)),
        }
    }
    Ok(files)
}
