//! Who controls an object: owner references, and their adoption and release
//! (`pkg/controller/controller_ref_manager.go`).

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use serde_json::json;

use crate::{Key, LoopbackClient, Patch, loopback::Kind, selector::LabelSelector};

/// The key of an object.
pub(crate) fn key_of(meta: &ObjectMeta) -> Key {
    Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

/// The UID; empty if there is none.
pub(crate) fn uid(meta: &ObjectMeta) -> &str {
    meta.uid.as_deref().unwrap_or_default()
}

/// The name; empty if there is none.
pub(crate) fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

/// The namespace; empty if there is none.
pub(crate) fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or_default()
}

/// The reference to the owner that controls the object.
pub(crate) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether the object is controlled by the one with this UID.
pub(crate) fn is_controlled_by(meta: &ObjectMeta, owner: &str) -> bool {
    controller_of(meta).is_some_and(|reference| reference.uid == owner)
}

/// The key of the controller of this kind that the object names.
pub(crate) fn controller_key(meta: &ObjectMeta, kind: &str) -> Option<Key> {
    let owner = controller_of(meta).filter(|owner| owner.kind == kind)?;
    Some(Key::new(namespace(meta), owner.name.as_str()))
}

/// The reference by which an object of kind `K` controls what it makes.
pub(crate) fn controller_reference<K: k8s_openapi::Resource>(owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: K::API_VERSION.to_owned(),
        kind: K::KIND.to_owned(),
        name: name(owner).to_owned(),
        uid: uid(owner).to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// What an owner has to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// It is the owner's.
    Owned,
    /// It is nobody's and matches: the owner takes it.
    Adopt,
    /// It is the owner's and no longer matches: the owner lets it go.
    Release,
    /// It does not concern the owner.
    Ignore,
}

fn claim_on(meta: &ObjectMeta, owner: &ObjectMeta, selector: &LabelSelector) -> Claim {
    let matches = selector.matches(meta.labels.as_ref());
    let owner_is_deleting = owner.deletion_timestamp.is_some();
    match controller_of(meta) {
        Some(reference) if reference.uid != uid(owner) => Claim::Ignore,
        Some(_) if matches => Claim::Owned,
        Some(_) if owner_is_deleting => Claim::Ignore,
        Some(_) => Claim::Release,
        None if owner_is_deleting || !matches || meta.deletion_timestamp.is_some() => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// The objects that belong to an owner: its own and those it adopts, without those it releases. What cannot be adopted
/// or released is left for the next time.
pub(crate) async fn claim<O, K>(
    client: &LoopbackClient,
    owner: &ObjectMeta,
    selector: &LabelSelector,
    candidates: Vec<Arc<K>>,
) -> Vec<Arc<K>>
where
    O: k8s_openapi::Resource,
    K: Kind + kube::Resource,
{
    let mut claimed = Vec::new();
    for object in candidates {
        match claim_on(object.meta(), owner, selector) {
            Claim::Owned => claimed.push(object),
            Claim::Adopt => {
                let reference = controller_reference::<O>(owner);
                let patch = json!({"metadata": {"ownerReferences": [reference], "uid": object.uid()}});
                if let Ok(adopted) = patch_object(client, &*object, patch).await {
                    claimed.push(adopted);
                }
            }
            Claim::Release => {
                let reference = json!({"$patch": "delete", "uid": uid(owner)});
                let patch = json!({"metadata": {"ownerReferences": [reference], "uid": object.uid()}});
                if let Err(error) = patch_object(client, &*object, patch).await {
                    tracing::debug!(%error, "an object is not released");
                }
            }
            Claim::Ignore => {}
        }
    }
    claimed
}

async fn patch_object<K: Kind + kube::Resource>(
    client: &LoopbackClient,
    object: &K,
    patch: serde_json::Value,
) -> Result<Arc<K>, crate::StatusError> {
    client.patch::<K>(namespace(object.meta()), name(object.meta()), &Patch::Strategic(patch)).await
}
