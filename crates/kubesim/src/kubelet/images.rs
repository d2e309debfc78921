//! Images: those that a workload has are on the node, all others a registry does not have
//! (`pkg/kubelet/images/image_manager.go:EnsureImageExists`).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Container;
use workload::{Workload, normalise};

use super::{
    Kubelet,
    pod::{PodEntry, lock},
    sync::StartFailure,
    timing, wording,
};
use crate::recorder::EventType;

/// The size that pulled images say they have: that of the course's small servers.
const IMAGE_SIZE: u64 = 7_340_032;

/// Sees to it that a container's image is on the node, with the events that tell of it.
pub(super) async fn ensure(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    container: &Container,
) -> Result<Arc<Workload>, StartFailure> {
    let image = container.image.as_deref().unwrap_or_default();
    let event = |kind, reason, message: String| kubelet.container_event(entry, &container.name, kind, reason, message);
    let full_name = normalise(image).map_err(|invalid| {
        let problem = invalid.reference_error();
        let message = format!("Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {problem}");
        event(EventType::Warning, "InspectFailed", message.clone());
        StartFailure::new("InvalidImageName", message)
    })?;
    let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
    let workload = kubelet.workloads.get(image).cloned();
    match (workload, policy) {
        (Some(workload), "IfNotPresent" | "Never") => {
            event(EventType::Normal, "Pulled", wording::present(kubelet.version, image));
            Ok(workload)
        }
        (None, "Never") => {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            event(EventType::Warning, "ErrImageNeverPull", message.clone());
            Err(StartFailure::new("ErrImageNeverPull", message))
        }
        (Some(workload), _) => {
            event(EventType::Normal, "Pulling", format!("Pulling image \"{image}\""));
            let took = entry.draw(timing::PULL);
            kubelet.clock.sleep(took).await;
            let took = wording::duration(took);
            let message = format!(
                "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: {IMAGE_SIZE} bytes."
            );
            event(EventType::Normal, "Pulled", message);
            Ok(workload)
        }
        (None, _) => Err(fail_to_pull(kubelet, entry, container, image, &full_name).await),
    }
}

async fn fail_to_pull(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    container: &Container,
    image: &str,
    full_name: &str,
) -> StartFailure {
    let event = |kind, reason, message: String| kubelet.container_event(entry, &container.name, kind, reason, message);
    let key = format!("image\0{full_name}");
    let error = pull_error(kubelet, full_name);
    if lock(&entry.back_off).is_waiting(&key, kubelet.clock.elapsed()) {
        let message = format!("Back-off pulling image \"{image}\"");
        event(EventType::Normal, "BackOff", message.clone());
        return StartFailure::new("ImagePullBackOff", format!("{message}: ErrImagePull: {error}"));
    }
    event(EventType::Normal, "Pulling", format!("Pulling image \"{image}\""));
    kubelet.clock.sleep(entry.draw(timing::PULL)).await;
    event(EventType::Warning, "Failed", format!("Failed to pull image \"{image}\": {error}"));
    lock(&entry.back_off).advance(&key, kubelet.clock.elapsed());
    StartFailure::new("ErrImagePull", error)
}

/// What a registry says: that the tag does not exist if it has others of the repository, that there is none otherwise. Of the
/// registries only Docker Hub and those of the known images exist.
fn pull_error(kubelet: &Kubelet, full_name: &str) -> String {
    let split = |name: &str| {
        let (repository, reference) = name.rsplit_once(['@', ':']).unwrap_or((name, ""));
        // A digest has a colon of its own.
        let repository = repository.strip_suffix("@sha256").unwrap_or(repository);
        (repository.to_owned(), reference.to_owned())
    };
    let host = |repository: &str| repository.split('/').next().unwrap_or_default().to_owned();
    let known: Vec<String> = kubelet.workloads.iter().map(|(name, _)| split(name).0).collect();
    let (wanted, reference) = split(full_name);
    let registry = host(&wanted);
    let problem = if known.contains(&wanted) {
        format!("{full_name}: not found")
    } else if registry == "docker.io" || known.iter().any(|name| host(name) == registry) {
        "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: \
         authorization failed"
            .to_owned()
    } else {
        let path = wanted.split_once('/').map_or("", |(_, path)| path);
        let reference = if full_name.contains('@') { format!("sha256:{reference}") } else { reference };
        let name = registry.split(':').next().unwrap_or_default();
        format!(
            "failed to do request: Head \"https://{registry}/v2/{path}/manifests/{reference}\": dial tcp: lookup {name} on \
             172.18.0.1:53: no such host"
        )
    };
    format!("failed to pull and unpack image \"{full_name}\": failed to resolve reference \"{full_name}\": {problem}")
}

/// What statuses show as an image's ID: a digest that depends on the name only.
pub(super) fn image_id(full_name: &str) -> String {
    let repository = full_name.rsplit_once([':', '@']).map_or(full_name, |(repository, _)| repository);
    let digest = crate::Random::from_seed(0).fork(full_name).hex(64);
    format!("{repository}@sha256:{digest}")
}
