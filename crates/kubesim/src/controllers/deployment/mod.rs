//! The Deployment controller: Pods of one template are replaced by those of the next, through ReplicaSets
//! (`pkg/controller/deployment`).

mod history;
mod rolling;
mod rollout;
mod scale;
mod size;
mod status;

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
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
    Clock, Component, Delta, Key, LoopbackClient, StatusError, Version,
    recorder::Recorder,
    selector::{LabelSelector, Selection},
};
pub(crate) use history::template_hash;
use rollout::Rollout;

/// Runs the Deployment controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let mut tasks = JoinSet::new();
    let events = Recorder::start(component.part("events"), "deployment-controller", None, &mut tasks);
    let controller = DeploymentController {
        deployments: Source::new(component.client.informer(Selection::all())?),
        sets: Source::new(component.client.informer(Selection::all())?),
        pods: OwnedPods::new(component.client.informer(Selection::all())?),
        means: Arc::new(Means { events, clock: component.clock, version: component.version, client: component.client }),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct DeploymentController {
    deployments: Source<Deployment>,
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

impl Controller for DeploymentController {
    type Item = Key;

    fn catch_up(&mut self, queue: &mut WorkQueue<Key>) {
        for delta in self.deployments.changes() {
            queue.add(ownership::key_of(&delta.object().metadata));
        }
        for delta in self.sets.changes() {
            self.queue_owners(&delta, queue);
        }
        for delta in self.pods.changes() {
            if let Delta::Deleted(pod) = delta {
                self.queue_if_emptied(&pod, queue);
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.deployments.changed() => {}
            () = self.sets.changed() => {}
            () = self.pods.changed() => {}
        }
    }

    fn reconcile(&mut self, key: &Key) -> BoxFuture<'static, Outcome> {
        let Some(deployment) = self.deployments.get(&key.namespace, &key.name) else {
            return futures::future::ready(Ok(None)).boxed();
        };
        let uid = ownership::uid(&deployment.metadata);
        let concerns = |set: &&Arc<ReplicaSet>| ownership::controller_of(&set.metadata).is_none_or(|owner| owner.uid == uid);
        let sets = self.sets.cache().in_namespace(&key.namespace).filter(concerns).cloned().collect();
        let pods = if size::is_rolling(&deployment) { Vec::new() } else { self.pods_of(&deployment) };
        Arc::clone(&self.means).reconcile(deployment, sets, pods).boxed()
    }
}

impl DeploymentController {
    fn queue_owners(&self, delta: &Delta<ReplicaSet>, queue: &mut WorkQueue<Key>) {
        let set = delta.object();
        if let Delta::Modified { old, .. } = delta
            && let Some(key) = ownership::controller_key(&old.metadata, "Deployment")
        {
            queue.add(key);
        }
        if let Some(key) = ownership::controller_key(&set.metadata, "Deployment") {
            queue.add(key);
        } else if ownership::controller_of(&set.metadata).is_none() && !matches!(delta, Delta::Deleted(_)) {
            for deployment in self.deployments.cache().in_namespace(ownership::namespace(&set.metadata)) {
                if selector(deployment).is_some_and(|selector| selector.matches(set.metadata.labels.as_ref())) {
                    queue.add(ownership::key_of(&deployment.metadata));
                }
            }
        }
    }

    /// Looks at a Deployment with the strategy Recreate again when the last of its Pods is gone.
    fn queue_if_emptied(&self, pod: &Pod, queue: &mut WorkQueue<Key>) {
        let namespace = ownership::namespace(&pod.metadata);
        let set = ownership::controller_key(&pod.metadata, "ReplicaSet").and_then(|key| self.sets.get(namespace, &key.name));
        let Some(key) = set.and_then(|set| ownership::controller_key(&set.metadata, "Deployment")) else { return };
        if let Some(deployment) = self.deployments.get(namespace, &key.name)
            && !size::is_rolling(&deployment)
            && self.pods_of(&deployment).is_empty()
        {
            queue.add(key);
        }
    }

    /// The Pods of all ReplicaSets of a Deployment.
    fn pods_of(&self, deployment: &Deployment) -> Vec<Arc<Pod>> {
        let namespace = ownership::namespace(&deployment.metadata);
        let uid = ownership::uid(&deployment.metadata);
        let sets = self.sets.cache().in_namespace(namespace).filter(|set| ownership::is_controlled_by(&set.metadata, uid));
        sets.flat_map(|set| self.pods.of(ownership::uid(&set.metadata))).cloned().collect()
    }
}

/// What the Deployment selects; nothing if its selector is empty, which the API server refuses.
fn selector(deployment: &Deployment) -> Option<LabelSelector> {
    LabelSelector::from_api(&deployment.spec.selector).ok().filter(|selector| !selector.is_empty())
}

impl Means {
    /// One look at a Deployment (`deployment_controller.go:syncDeployment`).
    async fn reconcile(self: Arc<Self>, deployment: Arc<Deployment>, sets: Vec<Arc<ReplicaSet>>, pods: Vec<Arc<Pod>>) -> Outcome {
        let Some(selector) = selector(&deployment) else { return Ok(None) };
        let sets = ownership::claim::<Deployment, ReplicaSet>(&self.client, &deployment.metadata, &selector, sets).await;
        let is_deleting = deployment.metadata.deletion_timestamp.is_some();
        let mut rollout = Rollout::new(&self, &deployment, sets.iter().map(|set| ReplicaSet::clone(set)).collect());
        let outcome = if is_deleting { rollout.sync_status(false).await } else { rollout.advance(&pods).await };
        match outcome {
            // Somebody has written meanwhile: the change queues the Deployment again, and it is looked at anew.
            Err(error) if error.is_conflict() || super::replicaset::is_namespace_terminating(&error) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            other => other,
        }
    }
}

/// Whether a Pod of a template that is no longer current still runs, so that Recreate must wait
/// (`recreate.go:oldPodsRunning`).
fn is_old_and_running(pod: &Pod, new: Option<&ReplicaSet>) -> bool {
    let is_new = new.is_some_and(|new| ownership::is_controlled_by(&pod.metadata, ownership::uid(&new.metadata)));
    !is_new && !pods::is_terminal(pod)
}
