//! The Pods of the cluster by their controllers, so that nobody looks through all of them for his own.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{control_loop::Source, ownership};
use crate::{Delta, Informer, Key};

/// All Pods, by the UID of their controller; those without one under an empty UID.
#[derive(Debug)]
pub(crate) struct OwnedPods {
    source: Source<Pod>,
    by_owner: BTreeMap<String, BTreeMap<Key, Arc<Pod>>>,
}

impl OwnedPods {
    /// The Pods of an informer.
    pub(crate) fn new(informer: Informer<Pod>) -> Self {
        Self { source: Source::new(informer), by_owner: BTreeMap::new() }
    }

    /// All changes that have happened and were not given yet.
    pub(crate) fn changes(&mut self) -> Vec<Delta<Pod>> {
        let changes = self.source.changes();
        for change in &changes {
            match change {
                Delta::Added(pod) => self.insert(pod),
                Delta::Deleted(pod) => self.remove(pod),
                Delta::Modified { old, new } => {
                    self.remove(old);
                    self.insert(new);
                }
            }
        }
        changes
    }

    /// Waits until there is a change. Cancelling it loses nothing.
    pub(crate) async fn changed(&mut self) {
        self.source.changed().await;
    }

    /// The Pods that an object with this UID controls, in the order of their names.
    pub(crate) fn of(&self, uid: &str) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_owner.get(uid).into_iter().flat_map(BTreeMap::values)
    }

    /// The Pods that an owner may claim: its own and those that nobody controls.
    pub(crate) fn candidates(&self, owner: &ObjectMeta) -> Vec<Arc<Pod>> {
        let namespace = ownership::namespace(owner);
        let orphans = self.of("").filter(|pod| ownership::namespace(&pod.metadata) == namespace);
        self.of(ownership::uid(owner)).chain(orphans).cloned().collect()
    }

    fn insert(&mut self, pod: &Arc<Pod>) {
        let owned = self.by_owner.entry(owner_of(pod).to_owned()).or_default();
        owned.insert(ownership::key_of(&pod.metadata), Arc::clone(pod));
    }

    fn remove(&mut self, pod: &Pod) {
        let owner = owner_of(pod);
        if let Some(owned) = self.by_owner.get_mut(owner) {
            owned.remove(&ownership::key_of(&pod.metadata));
            if owned.is_empty() {
                self.by_owner.remove(owner);
            }
        }
    }
}

fn owner_of(pod: &Pod) -> &str {
    ownership::controller_of(&pod.metadata).map_or("", |owner| owner.uid.as_str())
}
