//! The scheduler: what assigns Pods to nodes (`pkg/scheduler`).
//!
//! One Pod at a time is given a node; the assignment itself is written in the background, and the Pod takes up its room
//! from the decision on. Nobody is preempted.

mod affinity;
mod failure;
mod filter;
mod nodes;
mod queue;
mod resources;
mod score;
mod spread;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use k8s_openapi::{
    api::core::v1::{Binding, Namespace, Node, ObjectReference, Pod, PodSpec, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Clock, Component, Delta, Key, LoopbackClient, Patch, Random, StatusError, Version,
    controllers::{control_loop::Source, ownership, pods},
    recorder::{EventType, Recorder, reference},
    selector::Selection,
};
use failure::Failure;
use filter::{Demands, Refusal};
use nodes::{NodeInfo, Nodes};
use queue::{Change, Queue};
use score::Surroundings;

pub(crate) use filter::{is_tolerated, tolerates};
pub(crate) use nodes::Placement;

/// The name by which Pods ask for this scheduler.
const NAME: &str = "default-scheduler";

/// How long the scheduler thinks about a Pod.
const CYCLE: std::ops::Range<Duration> = Duration::from_millis(1)..Duration::from_millis(4);

/// Runs the scheduler for as long as the cluster lives.
///
/// # Errors
/// If it cannot watch what it needs to know.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let mut tasks = JoinSet::new();
    Scheduler::new(component, &mut tasks)?.run().await;
    Ok(())
}

struct Scheduler {
    nodes_source: Source<Node>,
    pods_source: Source<Pod>,
    namespaces: Source<Namespace>,
    services: Source<Service>,
    nodes: Nodes,
    queue: Queue,
    random: Random,
    version: Version,
    clock: Clock,
    binder: Arc<Binder>,
}

/// What writes decisions, in the background.
struct Binder {
    client: LoopbackClient,
    clock: Clock,
    events: Recorder,
}

/// A decision that was written, or not.
struct Written {
    pod: Arc<Pod>,
    result: Result<(), StatusError>,
}

impl Scheduler {
    fn new(component: Component, tasks: &mut JoinSet<()>) -> Result<Self, StatusError> {
        let events = Recorder::start(component.part("events"), NAME, None, tasks);
        Ok(Self {
            nodes_source: Source::new(component.client.informer(Selection::all())?),
            pods_source: Source::new(component.client.informer(Selection::all())?),
            namespaces: Source::new(component.client.informer(Selection::all())?),
            services: Source::new(component.client.informer(Selection::all())?),
            nodes: Nodes::default(),
            queue: Queue::default(),
            random: component.random,
            version: component.version,
            clock: component.clock,
            binder: Arc::new(Binder { client: component.client, clock: component.clock, events }),
        })
    }

    async fn run(mut self) {
        let mut writes: FuturesUnordered<BoxFuture<'static, Written>> = FuturesUnordered::new();
        loop {
            self.catch_up();
            self.queue.flush(self.clock.elapsed());
            if let Some(key) = self.queue.take() {
                let cycle = self.clock.elapsed() + self.random.between(CYCLE);
                self.clock.sleep_until(cycle).await;
                self.catch_up();
                writes.extend(self.schedule(&key));
                continue;
            }
            let flush = self.queue.next_flush().unwrap_or(Duration::MAX);
            tokio::select! {
                biased;
                Some(written) = writes.next() => self.finish(&written),
                () = self.nodes_source.changed() => {}
                () = self.pods_source.changed() => {}
                () = self.namespaces.changed() => {}
                () = self.services.changed() => {}
                () = self.clock.sleep_until(flush) => {}
            }
        }
    }

    fn catch_up(&mut self) {
        for delta in self.nodes_source.changes() {
            match &delta {
                Delta::Deleted(node) => self.nodes.remove_node(ownership::name(&node.metadata)),
                Delta::Added(node) | Delta::Modified { new: node, .. } => self.nodes.set_node(node),
            }
            if is_relevant(&delta) {
                self.queue.wake(Change::Node);
            }
        }
        if !self.namespaces.changes().is_empty() {
            self.queue.wake(Change::Namespace);
        }
        // Services only say how Pods are spread: nobody waits for one.
        let _ = self.services.changes();
        for delta in self.pods_source.changes() {
            self.take_in(&delta);
        }
    }

    fn take_in(&mut self, delta: &Delta<Pod>) {
        let pod = delta.object();
        let key = ownership::key_of(&pod.metadata);
        let is_gone = matches!(delta, Delta::Deleted(_));
        if is_gone || is_out(pod) {
            self.queue.remove(&key);
            if self.nodes.remove_pod(ownership::uid(&pod.metadata)).is_some() {
                self.queue.wake(Change::PodGone);
            }
        } else if nodes::takes_room(pod) {
            self.queue.remove(&key);
            let is_new = self.nodes.set_pod(pod, pods::node_name(pod));
            let relabelled = matches!(delta, Delta::Modified { old, new } if old.metadata.labels != new.metadata.labels);
            if is_new || relabelled || was_unassigned(delta) {
                self.queue.wake(Change::PodPlaced);
            }
        } else if is_ours(pod) && may_be_decided_anew(delta) {
            self.queue.add(key, priority(pod));
        }
    }

    /// Decides about one Pod, and begins to write the decision.
    fn schedule(&mut self, key: &Key) -> Option<BoxFuture<'static, Written>> {
        let pod = self.pods_source.get(&key.namespace, &key.name)?;
        if !is_ours(&pod) || !pods::node_name(&pod).is_empty() || pods::is_deleting(&pod) {
            return None;
        }
        let spec = pod.spec.as_ref()?;
        let binder = Arc::clone(&self.binder);
        match self.decide(&pod, spec) {
            Ok(node) => {
                self.nodes.set_pod(&pod, &node);
                Some(Box::pin(async move { binder.bind(pod, &node).await }))
            }
            Err(failure) => {
                let message = failure.message;
                self.queue.wait(key.clone(), priority(&pod), failure.refused_by, self.clock.elapsed());
                Some(Box::pin(async move { binder.refuse(pod, message).await }))
            }
        }
    }

    fn decide(&mut self, pod: &Pod, spec: &PodSpec) -> Result<String, Failure> {
        let namespaces = self.namespaces.cache();
        let affinities = affinity::PodAffinities::new(pod, &self.nodes, namespaces);
        let spread = spread::Spread::new(pod, spec, &self.nodes);
        let demands = Demands::new(pod, spec, affinities, spread, self.version);
        let (mut candidates, mut refusals): (Vec<&NodeInfo>, Vec<Refusal>) = (Vec::new(), Vec::new());
        for node in self.nodes.iter() {
            match demands.check(node) {
                Ok(()) => candidates.push(node),
                Err(refusal) => refusals.push(refusal),
            }
        }
        if candidates.is_empty() && refusals.is_empty() {
            return Err(Failure::no_nodes());
        }
        let surroundings = Surroundings { nodes: &self.nodes, namespaces, services: self.services.cache() };
        score::best(pod, spec, demands.requests(), &candidates, &surroundings, &mut self.random)
            .map(|node| node.name().to_owned())
            .ok_or_else(|| Failure::refused(spec, &refusals, self.version))
    }

    /// A decision was written. A Pod that could not be bound no longer takes room, and is tried again if it still waits.
    fn finish(&mut self, written: &Written) {
        let Err(error) = &written.result else { return };
        tracing::debug!(%error, "a scheduling decision is not written");
        let key = ownership::key_of(&written.pod.metadata);
        let waits = self.pods_source.get(&key.namespace, &key.name).filter(|pod| pods::node_name(pod).is_empty());
        if let Some(pod) = waits {
            self.nodes.remove_pod(ownership::uid(&pod.metadata));
            if !pods::is_deleting(&pod) {
                self.queue.add(key, priority(&pod));
            }
        }
    }
}

impl Binder {
    async fn bind(&self, pod: Arc<Pod>, node: &str) -> Written {
        let binding = Binding {
            metadata: ObjectMeta {
                name: pod.metadata.name.clone(),
                namespace: pod.metadata.namespace.clone(),
                uid: pod.metadata.uid.clone(),
                ..ObjectMeta::default()
            },
            target: ObjectReference { kind: Some("Node".to_owned()), name: Some(node.to_owned()), ..ObjectReference::default() },
        };
        let result = self.client.bind(&binding).await;
        if result.is_ok() {
            let key = ownership::key_of(&pod.metadata);
            let message = format!("Successfully assigned {}/{} to {node}", key.namespace, key.name);
            self.events.event(&reference(&*pod), EventType::Normal, "Scheduled", message);
        }
        Written { pod, result }
    }

    async fn refuse(&self, pod: Arc<Pod>, message: String) -> Written {
        self.events.event(&reference(&*pod), EventType::Warning, "FailedScheduling", message.clone());
        let known = pods::condition(&pod, "PodScheduled");
        let since =
            known.filter(|condition| condition.status == "False").and_then(|condition| condition.last_transition_time.clone());
        let condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": null,
            "lastTransitionTime": since.unwrap_or_else(|| self.clock.time()),
            "observedGeneration": pod.metadata.generation,
        });
        let patch = Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}));
        let key = ownership::key_of(&pod.metadata);
        if let Err(error) = self.client.patch_status::<Pod>(&key.namespace, &key.name, &patch).await {
            // The Pod is gone or has been bound by somebody else: nothing waits for this condition.
            tracing::debug!(%error, "a Pod is not marked as unschedulable");
        }
        Written { pod, result: Ok(()) }
    }
}

fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

/// Whether the Pod waits for this scheduler, without gates.
fn is_ours(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    spec.scheduler_name.as_deref().unwrap_or(NAME) == NAME && !gated
}

/// Whether the Pod neither takes room nor will any more.
fn is_out(pod: &Pod) -> bool {
    pods::is_terminal(pod) || (pods::node_name(pod).is_empty() && pods::is_deleting(pod))
}

fn was_unassigned(delta: &Delta<Pod>) -> bool {
    matches!(delta, Delta::Modified { old, .. } if pods::node_name(old).is_empty())
}

/// Whether a Pod without a node is new or has changed in a way that may matter; its status does not.
fn may_be_decided_anew(delta: &Delta<Pod>) -> bool {
    match delta {
        Delta::Modified { old, new } => old.spec != new.spec || old.metadata.labels != new.metadata.labels,
        _ => true,
    }
}

/// Whether a change of a node may matter to a Pod that waits; heartbeats do not.
fn is_relevant(delta: &Delta<Node>) -> bool {
    let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    match delta {
        Delta::Deleted(_) => false,
        Delta::Added(_) => true,
        Delta::Modified { old, new } => {
            old.metadata.labels != new.metadata.labels || old.spec != new.spec || allocatable(old) != allocatable(new)
        }
    }
}

#[cfg(test)]
mod tests;
