//! Volumes, as far as programs see them: `ConfigMaps` and Secrets as files (pkg/kubelet/volumemanager).

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, Volume, VolumeMount};

use super::{
    Kubelet, environment,
    pod::{PodEntry, find_container, lock, spec},
    runtime::FolderMount,
    timing,
};
use crate::recorder::EventType;

/// How long one sync waits for the volumes.
const PATIENCE: Duration = Duration::from_secs(123);
/// The wait after a mount that failed, doubled each time up to about two minutes.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(122);

/// The ConfigMap of the cluster's certificate.
const ROOT_CA: &str = "kube-root-ca.crt";

type Files = BTreeMap<String, String>;

/// Waits until the Pod's volumes are mounted. False if they are not: it takes too long, or the Pod is to go.
pub(super) async fn wait(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>) -> bool {
    let pod = entry.pod();
    let volumes = spec(&pod).volumes.as_deref().unwrap_or_default();
    if volumes.is_empty() {
        return true;
    }
    if entry.is_mounted() {
        remount(kubelet, entry);
        return true;
    }
    let began = kubelet.clock.elapsed();
    if entry.unmounted.get().is_none() {
        let names = volumes.iter().map(|volume| volume.name.clone()).collect();
        entry.unmounted.set(Some(names));
        let mounting = Arc::clone(entry);
        let note = move |unmounted| mounting.unmounted.set(Some(unmounted));
        kubelet.spawn(mount_all(Arc::clone(kubelet), Arc::clone(entry), volumes.to_vec(), note));
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

/// Mounts what may have changed anew, as every sync asks for: so running programs see new content within some time, 60 to 90 s if nothing
/// else happens to the Pod (`volumemanager/cache/desired_state_of_world_populator.go:ReprocessPod`).
fn remount(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>) {
    let pod = entry.pod();
    let volumes: Vec<Volume> = spec(&pod).volumes.iter().flatten().filter(|volume| changes(volume)).cloned().collect();
    if volumes.is_empty() || entry.remounts.swap(true, Ordering::Relaxed) {
        return;
    }
    let (kubelet, entry) = (Arc::clone(kubelet), Arc::clone(entry));
    kubelet.clone().spawn(async move {
        mount_all(kubelet, Arc::clone(&entry), volumes, |_| ()).await;
        entry.remounts.store(false, Ordering::Relaxed);
    });
}

/// Whether what a volume holds can change while it is mounted, but for the token of every Pod.
fn changes(volume: &Volume) -> bool {
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let mut own =
        sources.filter(|source| source.secret.is_some() || source.config_map.as_ref().is_some_and(|map| map.name != ROOT_CA));
    volume.config_map.is_some() || volume.secret.is_some() || own.next().is_some()
}

/// Mounts volumes, each with a back-off of its own, for as long as the Pod is to stay: whether a sync waits for them or not
/// (`pkg/util/goroutinemap/exponentialbackoff`). `note` is told which are left.
async fn mount_all(kubelet: Arc<Kubelet>, entry: Arc<PodEntry>, volumes: Vec<Volume>, note: impl Fn(Vec<String>) + Send) {
    kubelet.clock.sleep(entry.draw(timing::MOUNT)).await;
    let now = kubelet.clock.elapsed();
    let mut pending: Vec<(&Volume, Duration, Duration)> = volumes.iter().map(|volume| (volume, now, FIRST_RETRY)).collect();
    while !pending.is_empty() && !entry.is_going() {
        let mut failed = Vec::new();
        for (volume, due, wait) in pending {
            if due > kubelet.clock.elapsed() {
                failed.push((volume, due, wait));
                continue;
            }
            match content(&entry, volume).await {
                Ok(content) => update_files(&entry, volume, &content),
                Err(problem) => {
                    let message = format!("MountVolume.SetUp failed for volume \"{}\" : {problem}", volume.name);
                    kubelet.recorder.event(&entry.reference(), EventType::Warning, "FailedMount", message);
                    failed.push((volume, kubelet.clock.elapsed() + wait, (wait * 2).min(LAST_RETRY)));
                }
            }
        }
        pending = failed;
        note(pending.iter().map(|(volume, ..)| volume.name.clone()).collect());
        if let Some(next) = pending.iter().map(|(_, due, _)| *due).min() {
            kubelet.clock.sleep_until(next).await;
            kubelet.running().await;
        }
    }
}

/// Lets running containers see what a volume holds now. A part of it that is mounted by a `subPath` stays as it was.
fn update_files(entry: &PodEntry, volume: &Volume, content: &Files) {
    let pod = entry.pod();
    for (name, file_system) in lock(&entry.runtime).file_systems() {
        let mounts = find_container(&pod, &name).and_then(|container| container.volume_mounts.as_deref()).unwrap_or_default();
        let is_mount = |path: &str| mounts.iter().any(|mount| mount.mount_path.starts_with(path));
        for mount in mounts.iter().filter(|mount| mount.name == volume.name && mount.sub_path.is_none()) {
            let root = mount.mount_path.trim_end_matches('/');
            for name in file_system.list(root).unwrap_or_default() {
                let (path, within) = (format!("{root}/{name}"), format!("{name}/"));
                let is_there = content.keys().any(|path| *path == name || path.starts_with(&within));
                if !is_there && !is_mount(&path) {
                    let _ = file_system.remove(&path);
                }
            }
            for (path, text) in content {
                let path = format!("{root}/{path}");
                for (end, _) in path.match_indices('/').skip(1) {
                    // It is there already, as a rule.
                    let _ = file_system.make_folder(&path[..end]);
                }
                let _ = file_system.write(&path, text, false);
            }
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

/// Where a container sees the Pod's `emptyDir` volumes.
pub(super) fn folders(pod: &Pod, container: &Container) -> Vec<FolderMount> {
    let is_empty_dir =
        |name: &str| spec(pod).volumes.iter().flatten().any(|volume| volume.name == name && volume.empty_dir.is_some());
    let mounts = container.volume_mounts.iter().flatten().filter(|mount| is_empty_dir(&mount.name));
    let folder = |mount: &VolumeMount| FolderMount {
        volume: mount.name.clone(),
        path: mount.mount_path.clone(),
        sub_path: mount.sub_path.clone().unwrap_or_default(),
    };
    mounts.map(folder).collect()
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
        if let Some(source) = source.config_map.as_ref().filter(|source| source.name != ROOT_CA) {
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
