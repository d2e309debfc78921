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
    if entry.is_mounted() || volumes.is_empty() {
        return true;
    }
    let began = kubelet.clock.elapsed();
    let mut retry = FIRST_RETRY;
    kubelet.clock.sleep(entry.draw(timing::MOUNT)).await;
    loop {
        let mut missing = Vec::new();
        for volume in volumes {
            if let Err(problem) = content(entry, volume).await {
                let message = format!("MountVolume.SetUp failed for volume \"{}\" : {problem}", volume.name);
                kubelet.recorder.event(&entry.reference(), EventType::Warning, "FailedMount", message);
                missing.push(volume.name.as_str());
            }
        }
        if missing.is_empty() {
            break;
        }
        let now = kubelet.clock.elapsed();
        if now.saturating_sub(began) + retry > PATIENCE {
            let message = format!(
                "Unable to attach or mount volumes: unmounted volumes=[{}], unattached volumes=[], failed to process volumes=[]: \
                 context deadline exceeded",
                missing.join(" ")
            );
            kubelet.recorder.event(&entry.reference(), EventType::Warning, "FailedMount", message);
            return false;
        }
        let next = now + retry;
        retry = (retry * 2).min(LAST_RETRY);
        tokio::select! {
            biased;
            () = entry.going() => return false,
            () = kubelet.clock.sleep_until(next) => {}
        }
    }
    // The kubelet looks at once, and then every 300 ms.
    let passed = kubelet.clock.elapsed().saturating_sub(began);
    let polls = passed.as_nanos() / timing::VOLUMES_POLL.as_nanos() + 1;
    kubelet.clock.sleep_until(began + timing::VOLUMES_POLL * u32::try_from(polls).unwrap_or(1)).await;
    entry.set_mounted();
    true
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

/// The files of a volume by path.
async fn content(entry: &PodEntry, volume: &Volume) -> Result<Files, String> {
    let mut files = Files::new();
    if let Some(source) = &volume.config_map {
        let optional = source.optional == Some(true);
        let data = environment::config_map(entry, &source.name, optional).await?;
        files.extend(project(data, source.items.as_deref(), optional)?);
    }
    if let Some(source) = &volume.secret {
        let optional = source.optional == Some(true);
        let data = environment::secret(entry, source.secret_name.as_deref().unwrap_or_default(), optional).await?;
        files.extend(project(data, source.items.as_deref(), optional)?);
    }
    let projected = volume.projected.as_ref().and_then(|projected| projected.sources.as_deref()).unwrap_or_default();
    for source in projected {
        // The API server puts the cluster's certificate into every token volume; its ConfigMap is always there in time.
        if let Some(source) = source.config_map.as_ref().filter(|source| source.name != "kube-root-ca.crt") {
            let optional = source.optional == Some(true);
            let data = environment::config_map(entry, &source.name, optional).await?;
            files.extend(project(data, source.items.as_deref(), optional)?);
        }
        if let Some(source) = &source.secret {
            let optional = source.optional == Some(true);
            let data = environment::secret(entry, &source.name, optional).await?;
            files.extend(project(data, source.items.as_deref(), optional)?);
        }
    }
    Ok(files)
}

/// Keys as files: all of them, or those asked for under the paths asked for.
fn project(data: Option<Files>, items: Option<&[KeyToPath]>, optional: bool) -> Result<Files, String> {
    let data = data.unwrap_or_default();
    let Some(items) = items else { return Ok(data) };
    let mut files = Files::new();
    for item in items {
        match data.get(&item.key) {
            Some(text) => {
                files.insert(item.path.clone(), text.clone());
            }
            None if optional => {}
            None => return Err(format!("references non-existent config key: {}", item.key)),
        }
    }
    Ok(files)
}
