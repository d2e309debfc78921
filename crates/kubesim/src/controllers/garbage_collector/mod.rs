//! The garbage collector: what nobody owns any longer goes (`pkg/controller/garbagecollector`).

mod graph;

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;

use super::{
    control_loop::{self, Controller, Outcome},
    workqueue::WorkQueue,
};
use crate::{
    Component, DeleteOptions, LoopbackClient, Patch, Propagation, StatusError,
    object::Object,
    resource::{RESOURCES, Resource, find_kind},
    store::{ChangeType, Watch},
};
use graph::{FOREGROUND, Graph, Node, ORPHAN};

/// Runs the garbage collector for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    // Events own nothing and nobody owns them, and there are many.
    let resources = RESOURCES.iter().filter(|resource| resource.plural != "events");
    let (mut sources, mut first) = (Vec::new(), Vec::new());
    for resource in resources {
        let (objects, watch) = component.client.follow(resource);
        first.extend(objects.into_iter().map(|object| (*resource, object)));
        sources.push((*resource, watch));
    }
    let collector = GarbageCollector { sources, first, graph: Graph::default(), client: Arc::new(component.client) };
    control_loop::run(collector, component.clock).await;
    Ok(())
}

struct GarbageCollector {
    sources: Vec<(&'static Resource, Watch)>,
    /// What existed at the start and is not in the graph yet.
    first: Vec<(&'static Resource, Arc<Object>)>,
    graph: Graph,
    client: Arc<LoopbackClient>,
}

impl Controller for GarbageCollector {
    /// The UID of an object.
    type Item = String;
    const WORKERS: usize = 20;

    fn catch_up(&mut self, queue: &mut WorkQueue<String>) {
        for (resource, object) in std::mem::take(&mut self.first) {
            self.set(resource, &object, queue);
        }
        for index in 0..self.sources.len() {
            let (resource, watch) = &mut self.sources[index];
            let resource = *resource;
            let mut changes = Vec::new();
            loop {
                match watch.try_next() {
                    Ok(Some(change)) => changes.push(change),
                    Ok(None) => break,
                    // Too far behind to say what went; what exists is taken in anew, and what went is found missing
                    // when it is to be deleted.
                    Err(_) => {
                        let (objects, anew) = self.client.follow(resource);
                        *watch = anew;
                        self.first.extend(objects.into_iter().map(|object| (resource, object)));
                    }
                }
            }
            for change in changes {
                if change.kind == ChangeType::Deleted {
                    self.remove(change.object.uid(), queue);
                } else {
                    self.set(resource, &change.object, queue);
                }
            }
        }
        for (resource, object) in std::mem::take(&mut self.first) {
            self.set(resource, &object, queue);
        }
    }

    async fn changed(&mut self) {
        let waits = self.sources.iter_mut().map(|(_, watch)| watch.ready().boxed());
        futures::future::select_all(waits).await;
    }

    fn reconcile(&mut self, uid: &String) -> BoxFuture<'static, Outcome> {
        let client = Arc::clone(&self.client);
        let Some(action) = self.graph.get(uid).and_then(|node| self.action(node)) else {
            return futures::future::ready(Ok(None)).boxed();
        };
        async move {
            match action.perform(&client).await {
                Err(error) if error.is_not_found() || error.is_conflict() => Ok(None),
                other => other.map(|()| None),
            }
        }
        .boxed()
    }
}

/// What is to be done about an object.
#[derive(Debug)]
enum Action {
    Delete {
        node: Node,
        propagation: Propagation,
    },
    /// It loses these owners and stays.
    DropOwners {
        node: Node,
        owners: Vec<String>,
    },
    /// What it owns loses it as an owner, then the finalizer goes.
    Orphan {
        node: Node,
        dependents: Vec<Node>,
    },
    /// Nothing is in the way any longer.
    RemoveFinalizer {
        node: Node,
        finalizer: &'static str,
    },
}

impl GarbageCollector {
    fn set(&mut self, resource: &'static Resource, object: &Object, queue: &mut WorkQueue<String>) {
        let node = Node::new(resource, object);
        let uid = node.uid.clone();
        let concerns_itself = !node.owners.is_empty() || node.orphans_dependents();
        let concerns_dependents = node.waits_for_dependents();
        if !self.graph.set(node) {
            return;
        }
        if concerns_itself || concerns_dependents {
            queue.add(uid.clone());
        }
        if concerns_dependents {
            self.graph.dependents(&uid).into_iter().for_each(|dependent| queue.add(dependent));
        }
    }

    fn remove(&mut self, uid: &str, queue: &mut WorkQueue<String>) {
        if let Some(node) = self.graph.remove(uid) {
            node.owners.into_iter().for_each(|owner| queue.add(owner.uid));
        }
        self.graph.dependents(uid).into_iter().for_each(|dependent| queue.add(dependent));
    }

    /// What is to be done about an object as things are (`garbagecollector.go:attemptToDeleteItem`,
    /// `processDeletingDependentsItem`, `attemptToOrphanWorker`).
    fn action(&self, node: &Node) -> Option<Action> {
        let dependents = || self.graph.dependent_nodes(&node.uid);
        if node.orphans_dependents() {
            return Some(Action::Orphan { node: node.clone(), dependents: dependents() });
        }
        if node.waits_for_dependents() {
            let is_blocked = dependents().iter().any(|dependent| dependent.blocks(&node.uid));
            return (!is_blocked).then(|| Action::RemoveFinalizer { node: node.clone(), finalizer: FOREGROUND });
        }
        if node.is_deleting || node.owners.is_empty() {
            return None;
        }
        let (solid, gone): (Vec<_>, Vec<_>) = node.owners.iter().partition(|owner| self.is_solid(node, owner));
        if gone.is_empty() {
            return None;
        }
        if !solid.is_empty() {
            let owners = gone.into_iter().map(|owner| owner.uid.clone()).collect();
            return Some(Action::DropOwners { node: node.clone(), owners });
        }
        let owner_waits = gone.iter().any(|owner| self.graph.get(&owner.uid).is_some());
        let propagation = if owner_waits && !dependents().is_empty() { Propagation::Foreground } else { own_policy(node) };
        Some(Action::Delete { node: node.clone(), propagation })
    }

    /// Whether an owner exists and is not going in the foreground. One of a kind that is not served is left alone.
    fn is_solid(&self, node: &Node, owner: &OwnerReference) -> bool {
        let Some(resource) = find_kind(&owner.api_version, &owner.kind) else { return true };
        self.graph.get(&owner.uid).is_some_and(|found| {
            let same_place = !resource.namespaced || found.key.namespace == node.key.namespace;
            same_place && !found.waits_for_dependents()
        })
    }
}

/// How an object wants to be deleted, by the finalizers that it has already.
fn own_policy(node: &Node) -> Propagation {
    let has = |finalizer: &str| node.finalizers.iter().any(|name| name == finalizer);
    if has(ORPHAN) {
        Propagation::Orphan
    } else if has(FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    }
}

impl Action {
    async fn perform(self, client: &LoopbackClient) -> Result<(), StatusError> {
        match self {
            Self::Delete { node, propagation } => {
                let options = DeleteOptions { propagation: Some(propagation), uid: Some(node.uid), ..DeleteOptions::default() };
                client.delete_object(node.resource, &node.key, &options).await
            }
            Self::DropOwners { node, owners } => drop_owners(client, &node, &owners).await,
            Self::Orphan { node, dependents } => {
                for dependent in dependents {
                    match drop_owners(client, &dependent, std::slice::from_ref(&node.uid)).await {
                        Err(error) if !error.is_not_found() => return Err(error),
                        _ => {}
                    }
                }
                remove_finalizer(client, &node, ORPHAN).await
            }
            Self::RemoveFinalizer { node, finalizer } => remove_finalizer(client, &node, finalizer).await,
        }
    }
}

async fn drop_owners(client: &LoopbackClient, node: &Node, owners: &[String]) -> Result<(), StatusError> {
    let references: Vec<_> = owners.iter().map(|uid| json!({"$patch": "delete", "uid": uid})).collect();
    let patch = Patch::Strategic(json!({"metadata": {"ownerReferences": references, "uid": node.uid}}));
    client.patch_object(node.resource, &node.key, &patch).await
}

async fn remove_finalizer(client: &LoopbackClient, node: &Node, finalizer: &str) -> Result<(), StatusError> {
    let patch = Patch::Strategic(json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [finalizer], "uid": node.uid}}));
    client.patch_object(node.resource, &node.key, &patch).await
}
