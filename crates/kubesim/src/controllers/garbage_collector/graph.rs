//! Who owns whom: all objects of the cluster with their owners
//! (`pkg/controller/garbagecollector/graph_builder.go`).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Deserialize;

use crate::{
    object::{Key, Object, at},
    resource::Resource,
};

/// The finalizers by which the API server asks the garbage collector to act before an object goes.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";

/// An object as the garbage collector sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) resource: &'static Resource,
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) finalizers: Vec<String>,
    pub(super) is_deleting: bool,
}

impl Node {
    pub(super) fn new(resource: &'static Resource, object: &Object) -> Self {
        let list = |pointer: &str| at(object.value(), pointer);
        Self {
            resource,
            key: object.key(),
            uid: object.uid().to_owned(),
            owners: list("/metadata/ownerReferences").and_then(|owners| Vec::deserialize(owners).ok()).unwrap_or_default(),
            finalizers: list("/metadata/finalizers").and_then(|names| Vec::deserialize(names).ok()).unwrap_or_default(),
            is_deleting: object.is_deleting(),
        }
    }

    fn waits_for(&self, finalizer: &str) -> bool {
        self.is_deleting && self.finalizers.iter().any(|name| name == finalizer)
    }

    /// Whether it goes only after what it owns.
    pub(super) fn waits_for_dependents(&self) -> bool {
        self.waits_for(FOREGROUND)
    }

    /// Whether what it owns is to be left without an owner before it goes.
    pub(super) fn orphans_dependents(&self) -> bool {
        self.waits_for(ORPHAN)
    }

    /// Whether it must be gone before its owner `uid` goes in the foreground.
    pub(super) fn blocks(&self, uid: &str) -> bool {
        self.owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion == Some(true))
    }
}

/// All objects by UID.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    dependents: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The UIDs of what an object owns, also one that is gone.
    pub(super) fn dependents(&self, uid: &str) -> Vec<String> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// What an object owns.
    pub(super) fn dependent_nodes(&self, uid: &str) -> Vec<Node> {
        self.dependents(uid).iter().filter_map(|uid| self.nodes.get(uid)).cloned().collect()
    }

    /// Takes in an object. Whether it is new or has changed in what counts here: most changes are of statuses.
    pub(super) fn set(&mut self, node: Node) -> bool {
        if self.nodes.get(&node.uid) == Some(&node) {
            return false;
        }
        self.unlink(&node.uid);
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(node.uid.clone());
        }
        self.nodes.insert(node.uid.clone(), node);
        true
    }

    /// Takes out an object that is gone. Its dependents remain known as such.
    pub(super) fn remove(&mut self, uid: &str) -> Option<Node> {
        self.unlink(uid);
        self.nodes.remove(uid)
    }

    fn unlink(&mut self, uid: &str) {
        let owners = self.nodes.get(uid).map(|node| node.owners.clone()).unwrap_or_default();
        for owner in owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }
}
