//! The templates that a DaemonSet has had, as ControllerRevisions (`pkg/controller/daemon/update.go`).

use std::sync::Arc;

use k8s_openapi::{
    api::apps::v1::{ControllerRevision, DaemonSet},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, runtime::RawExtension},
};
use serde_json::json;

use super::REVISION_HASH;
use crate::{
    DeleteOptions, LoopbackClient, Patch, StatusError,
    controllers::{deployment::template_hash, ownership},
};

/// Sees to it that the current template is the newest revision; the hash that its Pods carry.
pub(super) async fn record(
    client: &LoopbackClient,
    set: &DaemonSet,
    revisions: &[Arc<ControllerRevision>],
) -> Result<String, StatusError> {
    let hash = template_hash(&set.spec.template, set.status.as_ref().and_then(|status| status.collision_count));
    let is_current = |revision: &&Arc<ControllerRevision>| {
        revision.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_HASH)) == Some(&hash)
    };
    let newest = revisions.iter().filter_map(|revision| revision.revision).max().unwrap_or(0);
    match revisions.iter().find(is_current) {
        Some(current) if current.revision == Some(newest) => {}
        Some(current) => {
            let key = ownership::key_of(&current.metadata);
            let patch = Patch::Merge(json!({"revision": newest + 1}));
            client.patch::<ControllerRevision>(&key.namespace, &key.name, &patch).await?;
        }
        None => create(client, set, &hash, newest + 1).await?,
    }
    clean_up(client, set, &hash, revisions).await?;
    Ok(hash)
}

async fn create(client: &LoopbackClient, set: &DaemonSet, hash: &str, number: i64) -> Result<(), StatusError> {
    let mut labels = set.spec.template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
    labels.insert(REVISION_HASH.to_owned(), hash.to_owned());
    let mut template = json!(set.spec.template);
    template["$patch"] = json!("replace");
    let revision = ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", ownership::name(&set.metadata))),
            namespace: set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: set.metadata.annotations.clone(),
            owner_references: Some(vec![ownership::controller_reference::<DaemonSet>(&set.metadata)]),
            ..ObjectMeta::default()
        },
        data: RawExtension(json!({"spec": {"template": template}})),
        revision: Some(number),
    };
    match client.create(&revision).await {
        Err(error) if error.is_already_exists() => Ok(()),
        other => other.map(drop),
    }
}

/// Deletes the oldest revisions beyond the history limit.
async fn clean_up(
    client: &LoopbackClient,
    set: &DaemonSet,
    hash: &str,
    revisions: &[Arc<ControllerRevision>],
) -> Result<(), StatusError> {
    let limit = usize::try_from(set.spec.revision_history_limit.unwrap_or(10)).unwrap_or(0);
    let current = format!("{}-{hash}", ownership::name(&set.metadata));
    let mut old: Vec<_> = revisions.iter().filter(|revision| ownership::name(&revision.metadata) != current).collect();
    old.sort_by_key(|revision| revision.revision);
    for revision in old.iter().take(old.len().saturating_sub(limit)) {
        let key = ownership::key_of(&revision.metadata);
        match client.delete::<ControllerRevision>(&key.namespace, &key.name, &DeleteOptions::default()).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
