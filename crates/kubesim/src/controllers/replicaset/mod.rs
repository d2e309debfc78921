//! The ReplicaSet controller: as many Pods as asked for (`pkg/controller/replicaset/replica_set.go`).

mod status;
mod victims;

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture, future::join_all};
use k8s_openapi::api::{
    apps::v1::{ReplicaSet, ReplicaSetStatus},
    core::v1::Pod,
};
use tokio::task::JoinSet;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    owned_pods::OwnedPods,
    ownership, pods,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, DeleteOptions, Delta, Key, LoopbackClient, StatusError, Version,
    recorder::{EventType, Recorder, reference},
    selector::{LabelSelector, Selection},
};

/// How many Pods one reconciliation makes or deletes at most.
const BURST: usize = 500;

/// Runs the ReplicaSet controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let mut tasks = JoinSet::new();
    let events = Recorder::start(component.part("events"), "replicaset-controller", None, &mut tasks);
    let controller = ReplicaSetController {
        sets: Source::new(component.client.informer(Selection::all())?),
        pods: OwnedPods::new(component.client.informer(Selection::all())?),
        means: Arc::new(Means { events, clock: component.clock, version: component.version, client: component.client }),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct ReplicaSetController {
    sets: Source<ReplicaSet>,
    pods: OwnedPods,
    means: Arc<Means>,
}

/// What a reconciliation works with.
struct Means {
    client: LoopbackClient,
    clock: Clock,
    version: Version,
    events: Recorder,
}

impl Controller for ReplicaSetController {
    type Item = Key;

    fn catch_up(&mut self, queue: &mut WorkQueue<Key>) {
        for delta in self.sets.changes() {
            queue.add(ownership::key_of(&delta.object().metadata));
        }
        for delta in self.pods.changes() {
            for key in pods::controllers_concerned(&delta, "ReplicaSet") {
                queue.add(key);
            }
            if pods::may_be_adopted(&delta) {
                self.queue_adopters(&delta, queue);
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.sets.changed() => {}
            () = self.pods.changed() => {}
        }
    }

    fn reconcile(&mut self, key: &Key) -> BoxFuture<'static, Outcome> {
        let Some(set) = self.sets.get(&key.namespace, &key.name) else {
            return futures::future::ready(Ok(None)).boxed();
        };
        let candidates = self.pods.candidates(&set.metadata);
        let related = self.related(&set);
        Arc::clone(&self.means).reconcile(set, candidates, related).boxed()
    }
}

impl ReplicaSetController {
    fn queue_adopters(&self, delta: &Delta<Pod>, queue: &mut WorkQueue<Key>) {
        let pod = delta.object();
        for set in self.sets.cache().in_namespace(ownership::namespace(&pod.metadata)) {
            if selector(set).is_some_and(|selector| selector.matches(pod.metadata.labels.as_ref())) {
                queue.add(ownership::key_of(&set.metadata));
            }
        }
    }

    /// The active Pods of all ReplicaSets with the same owner, if the set has more than it should: they decide which go.
    fn related(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let own = ownership::uid(&set.metadata);
        let active = |uid: &str| -> Vec<Arc<Pod>> { self.pods.of(uid).filter(|pod| pods::is_active(pod)).cloned().collect() };
        let Some(owner) = ownership::controller_of(&set.metadata) else { return active(own) };
        if active(own).len() <= usize::try_from(replicas(set)).unwrap_or(0) {
            return Vec::new();
        }
        let sets = self.sets.cache().in_namespace(ownership::namespace(&set.metadata));
        let siblings = sets.filter(|other| ownership::is_controlled_by(&other.metadata, &owner.uid));
        siblings.flat_map(|sibling| active(ownership::uid(&sibling.metadata))).collect()
    }
}

/// What the set selects; nothing if its selector is empty, which the API server refuses.
fn selector(set: &ReplicaSet) -> Option<LabelSelector> {
    LabelSelector::from_api(&set.spec.selector).ok().filter(|selector| !selector.is_empty())
}

impl Means {
    async fn reconcile(self: Arc<Self>, set: Arc<ReplicaSet>, candidates: Vec<Arc<Pod>>, related: Vec<Arc<Pod>>) -> Outcome {
        let Some(selector) = selector(&set) else { return Ok(None) };
        let (live, terminating): (Vec<_>, Vec<_>) =
            candidates.into_iter().filter(|pod| !pods::is_terminal(pod)).partition(|pod| pods::is_active(pod));
        let terminating =
            terminating.iter().filter(|pod| ownership::is_controlled_by(&pod.metadata, ownership::uid(&set.metadata))).count();
        let active = ownership::claim::<ReplicaSet, Pod>(&self.client, &set.metadata, &selector, live).await;
        let managed = if set.metadata.deletion_timestamp.is_some() { Ok(()) } else { self.manage(&set, &active, &related).await };
        let terminating = self.version.at_least(35).then_some(terminating);
        let now = self.clock.now();
        let status = status::compute(&set, &active, terminating, managed.as_ref().err(), now);
        self.update_status(&set, status).await?;
        managed?;
        Ok(next_availability(&set, &active, self.clock))
    }

    /// Makes or deletes Pods until there are as many as asked for.
    async fn manage(&self, set: &ReplicaSet, active: &[Arc<Pod>], related: &[Arc<Pod>]) -> Result<(), StatusError> {
        let wanted = usize::try_from(replicas(set)).unwrap_or(0);
        if active.len() < wanted {
            self.create_pods(set, (wanted - active.len()).min(BURST)).await
        } else {
            let count = (active.len() - wanted).min(BURST);
            let victims = if count == 0 { Vec::new() } else { victims::choose(active.to_vec(), related, count, self.clock.now()) };
            let deletions = join_all(victims.iter().map(|pod| self.delete_pod(set, pod))).await;
            deletions.into_iter().find(Result::is_err).unwrap_or(Ok(()))
        }
    }

    /// Makes Pods in batches of 1, 2, 4 …, each at once, so that what fails for all of them fails for one first.
    async fn create_pods(&self, set: &ReplicaSet, count: usize) -> Result<(), StatusError> {
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            let size = batch.min(left);
            let creations = join_all((0..size).map(|_| self.create_pod(set))).await;
            if let Some(failed) = creations.into_iter().find(Result::is_err) {
                return failed;
            }
            left -= size;
            batch = size * 2;
        }
        Ok(())
    }

    async fn create_pod(&self, set: &ReplicaSet) -> Result<(), StatusError> {
        let Some(template) = set.spec.template.as_ref() else { return Ok(()) };
        let owner = ownership::controller_reference::<ReplicaSet>(&set.metadata);
        let pod = pods::from_template(template, owner, ownership::namespace(&set.metadata));
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

    async fn delete_pod(&self, set: &ReplicaSet, pod: &Pod) -> Result<(), StatusError> {
        let (namespace, name) = (ownership::namespace(&pod.metadata), ownership::name(&pod.metadata));
        match self.client.delete::<Pod>(namespace, name, &DeleteOptions::default()).await {
            Ok(()) => {
                let message = format!("Deleted pod: {name}");
                self.events.event(&reference(set), EventType::Normal, "SuccessfulDelete", message);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => {
                let message = format!("Error deleting: {error}");
                self.events.event(&reference(set), EventType::Warning, "FailedDelete", message);
                Err(error)
            }
        }
    }

    async fn update_status(&self, set: &ReplicaSet, status: ReplicaSetStatus) -> Result<(), StatusError> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut changed = set.clone();
        changed.status = Some(status);
        match self.client.update_status(&changed).await {
            // Somebody has written the spec meanwhile: the change queues the set again, and it is looked at anew.
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }
}

/// Whether an object cannot be made because its namespace is going, which no repetition helps.
pub(super) fn is_namespace_terminating(error: &StatusError) -> bool {
    error.code() == 403 && error.message().contains("because it is being terminated")
}

fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

fn min_ready_seconds(set: &ReplicaSet) -> i32 {
    set.spec.min_ready_seconds.unwrap_or(0)
}

/// How long until the next ready Pod counts as available.
fn next_availability(set: &ReplicaSet, active: &[Arc<Pod>], clock: Clock) -> Option<Duration> {
    let (min_ready_seconds, now) = (min_ready_seconds(set), clock.now());
    let left = active.iter().filter_map(|pod| pods::time_to_available(pod, min_ready_seconds, now));
    left.filter(|left| !left.is_zero()).min()
}
