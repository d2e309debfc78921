//! The DaemonSet controller: one Pod on each node that takes it (`pkg/controller/daemon`).

mod back_off;
mod history;
mod nodes;
mod status;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture, future::join_all};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet},
    core::v1::{Node, Pod},
};
use tokio::task::JoinSet;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    owned_pods::OwnedPods,
    ownership, pods,
    replicaset::is_namespace_terminating,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, DeleteOptions, Delta, Key, LoopbackClient, StatusError,
    recorder::{EventType, Recorder, reference},
    selector::{LabelSelector, Selection},
};
use back_off::BackOff;

/// The label that tells the Pods of one template from those of another.
const REVISION_HASH: &str = "controller-revision-hash";

/// Runs the DaemonSet controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let mut tasks = JoinSet::new();
    let events = Recorder::start(component.part("events"), "daemonset-controller", None, &mut tasks);
    let controller = DaemonSetController {
        sets: Source::new(component.client.informer(Selection::all())?),
        revisions: Source::new(component.client.informer(Selection::all())?),
        nodes: Source::new(component.client.informer(Selection::all())?),
        pods: OwnedPods::new(component.client.informer(Selection::all())?),
        means: Arc::new(Means { events, clock: component.clock, client: component.client, back_off: Mutex::default() }),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct DaemonSetController {
    sets: Source<DaemonSet>,
    revisions: Source<ControllerRevision>,
    nodes: Source<Node>,
    pods: OwnedPods,
    means: Arc<Means>,
}

struct Means {
    client: LoopbackClient,
    clock: Clock,
    events: Recorder,
    back_off: Mutex<BackOff>,
}

/// What one look at a set finds.
struct Found {
    set: Arc<DaemonSet>,
    nodes: Vec<Arc<Node>>,
    pods: Vec<Arc<Pod>>,
    revisions: Vec<Arc<ControllerRevision>>,
}

impl Controller for DaemonSetController {
    type Item = Key;

    fn catch_up(&mut self, queue: &mut WorkQueue<Key>) {
        for delta in self.sets.changes() {
            if let Delta::Deleted(set) = &delta {
                self.means.back_off().forget(ownership::uid(&set.metadata));
            }
            queue.add(ownership::key_of(&delta.object().metadata));
        }
        for delta in self.nodes.changes() {
            let matters = match &delta {
                Delta::Modified { old, new } => old.metadata.labels != new.metadata.labels || old.spec != new.spec,
                _ => true,
            };
            if matters {
                self.sets.cache().iter().for_each(|set| queue.add(ownership::key_of(&set.metadata)));
            }
        }
        self.revisions.changes();
        for delta in self.pods.changes() {
            for key in pods::controllers_concerned(&delta, "DaemonSet") {
                queue.add(key);
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.sets.changed() => {}
            () = self.nodes.changed() => {}
            () = self.pods.changed() => {}
        }
    }

    fn reconcile(&mut self, key: &Key) -> BoxFuture<'static, Outcome> {
        let Some(set) = self.sets.get(&key.namespace, &key.name) else { return futures::future::ready(Ok(None)).boxed() };
        let uid = ownership::uid(&set.metadata);
        let revisions = self.revisions.cache().in_namespace(&key.namespace);
        let found = Found {
            nodes: self.nodes.cache().iter().cloned().collect(),
            pods: self.pods.candidates(&set.metadata),
            revisions: revisions.filter(|one| ownership::is_controlled_by(&one.metadata, uid)).cloned().collect(),
            set,
        };
        Arc::clone(&self.means).reconcile(found).boxed()
    }
}

impl Means {
    async fn reconcile(self: Arc<Self>, mut found: Found) -> Outcome {
        let set = Arc::clone(&found.set);
        let selector = LabelSelector::from_api(&set.spec.selector).unwrap_or_default();
        if set.metadata.deletion_timestamp.is_some() || selector.is_empty() {
            return Ok(None);
        }
        found.pods = ownership::claim::<DaemonSet, Pod>(&self.client, &set.metadata, &selector, found.pods).await;
        let hash = match history::record(&self.client, &set, &found.revisions).await {
            Err(error) if is_namespace_terminating(&error) => return Ok(None),
            other => other?,
        };
        let plan = self.plan(&found, &hash);
        let changed = self.carry_out(&found, &plan, &hash).await;
        let status = status::compute(&found, &plan, &hash, self.clock.now());
        if set.status.as_ref() != Some(&status) {
            let mut updated = DaemonSet::clone(&set);
            updated.status = Some(status);
            match self.client.update_status(&updated).await {
                // Somebody has written meanwhile: the change queues the set again, and it is looked at anew.
                Err(error) if error.is_conflict() || error.is_not_found() => return Ok(None),
                other => other?,
            };
        }
        changed?;
        Ok(plan.again)
    }

    fn back_off(&self) -> std::sync::MutexGuard<'_, BackOff> {
        self.back_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self, found: &Found, hash: &str) -> nodes::Plan {
        let (mut back_off, now) = (self.back_off(), self.clock.elapsed());
        let uid = ownership::uid(&found.set.metadata);
        nodes::Plan::new(found, hash, self.clock.now(), |node| back_off.wait(uid, node, now))
    }

    async fn carry_out(&self, found: &Found, plan: &nodes::Plan, hash: &str) -> Result<(), StatusError> {
        for pod in &plan.ended {
            let key = ownership::key_of(&pod.metadata);
            let (kind, reason, end, what) = match pods::phase(pod) {
                "Failed" => (EventType::Warning, "FailedDaemonPod", "failed", "kill"),
                _ => (EventType::Normal, "SucceededDaemonPod", "succeeded", "delete"),
            };
            let node = pods::node_name(pod);
            let message = format!("Found {end} daemon pod {}/{} on node {node}, will try to {what} it", key.namespace, key.name);
            self.events.event(&reference(&*found.set), kind, reason, message);
        }
        let (mut left, mut batch) = (plan.to_create.as_slice(), 1);
        while !left.is_empty() {
            let (now, later) = left.split_at(batch.min(left.len()));
            let creations = join_all(now.iter().map(|node| self.create_pod(&found.set, node, hash))).await;
            creations.into_iter().collect::<Result<(), _>>()?;
            (left, batch) = (later, batch * 2);
        }
        let deletions = join_all(plan.to_delete.iter().map(|pod| self.delete_pod(&found.set, pod))).await;
        deletions.into_iter().collect()
    }

    async fn create_pod(&self, set: &DaemonSet, node: &str, hash: &str) -> Result<(), StatusError> {
        let owner = ownership::controller_reference::<DaemonSet>(&set.metadata);
        let mut pod = pods::from_template(&set.spec.template, owner, ownership::namespace(&set.metadata));
        let labels: &mut BTreeMap<_, _> = pod.metadata.labels.get_or_insert_default();
        labels.insert(REVISION_HASH.to_owned(), hash.to_owned());
        let generation = set.metadata.generation.unwrap_or(1);
        labels.insert("pod-template-generation".to_owned(), generation.to_string());
        nodes::tie(&mut pod, node);
        match self.client.create(&pod).await {
            Ok(pod) => {
                let message = format!("Created pod: {}", ownership::name(&pod.metadata));
                self.events.event(&reference(set), EventType::Normal, "SuccessfulCreate", message);
                Ok(())
            }
            Err(error) if is_namespace_terminating(&error) => Ok(()),
            Err(error) => {
                let message = format!("Error creating: {error}");
                self.events.event(&reference(set), EventType::Warning, "FailedCreate", message);
                Err(error)
            }
        }
    }

    async fn delete_pod(&self, set: &DaemonSet, pod: &Pod) -> Result<(), StatusError> {
        let key = ownership::key_of(&pod.metadata);
        match self.client.delete::<Pod>(&key.namespace, &key.name, &DeleteOptions::default()).await {
            Ok(()) => {
                let message = format!("Deleted pod: {}", key.name);
                self.events.event(&reference(set), EventType::Normal, "SuccessfulDelete", message);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
