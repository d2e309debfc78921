//! Pods leave nodes with a taint `NoExecute` that they do not tolerate, or no longer (`pkg/controller/tainteviction`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership, pods,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, DeleteOptions, Delta, Key, LoopbackClient, Patch,
    recorder::{EventType, Recorder, reference},
    scheduler::tolerates,
    selector::Selection,
};

/// Runs the controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), crate::StatusError> {
    let mut tasks = JoinSet::new();
    let events = Recorder::start(component.part("events"), "taint-eviction-controller", None, &mut tasks);
    let controller = TaintEvictionController {
        nodes: Source::new(component.client.informer(Selection::all())?),
        pods: Source::new(component.client.informer(Selection::all())?),
        scheduled: BTreeMap::new(),
        clock: component.clock,
        events,
        client: Arc::new(component.client),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct TaintEvictionController {
    nodes: Source<Node>,
    pods: Source<Pod>,
    /// The Pods that are to go, and since when: a further taint does not let them stay for longer.
    scheduled: BTreeMap<Key, (Arc<Pod>, Duration)>,
    clock: Clock,
    events: Recorder,
    client: Arc<LoopbackClient>,
}

impl Controller for TaintEvictionController {
    type Item = Key;

    fn catch_up(&mut self, queue: &mut WorkQueue<Key>) {
        for delta in self.pods.changes() {
            match &delta {
                Delta::Modified { old, new } if old.spec == new.spec => {}
                _ => queue.add(ownership::key_of(&delta.object().metadata)),
            }
        }
        for delta in self.nodes.changes() {
            let same = matches!(&delta, Delta::Modified { old, new } if hard_taints(old).eq(hard_taints(new)));
            if same {
                continue;
            }
            let node = ownership::name(&delta.object().metadata);
            let own = self.pods.cache().iter().filter(|pod| pods::node_name(pod) == node);
            own.for_each(|pod| queue.add(ownership::key_of(&pod.metadata)));
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.nodes.changed() => {}
            () = self.pods.changed() => {}
        }
    }

    fn reconcile(&mut self, key: &Key) -> BoxFuture<'static, Outcome> {
        let pod = self.pods.get(&key.namespace, &key.name);
        if self.scheduled.get(key).is_some_and(|(known, _)| pod.as_ref().is_none_or(|pod| pod.metadata.uid != known.metadata.uid)) {
            self.cancel(key);
        }
        let Some(pod) = pod.filter(|pod| !pods::is_deleting(pod)) else { return nothing() };
        // The Pods of a node that is gone are the garbage collector's.
        let Some(node) = self.nodes.get("", pods::node_name(&pod)) else { return nothing() };
        let now = self.clock.elapsed();
        let Some(stays) = toleration(&pod, &node) else {
            self.cancel(key);
            return nothing();
        };
        let since = self.scheduled.get(key).map_or(now, |(_, since)| *since);
        if stays.is_zero() {
            self.cancel(key);
        } else if since.saturating_add(stays) > now {
            self.scheduled.insert(key.clone(), (pod, since));
            let left = since.saturating_add(stays).saturating_sub(now);
            return futures::future::ready(Ok(Some(left))).boxed();
        }
        self.scheduled.remove(key);
        self.tell(&pod, "Marking for deletion");
        evict(Arc::clone(&self.client), self.clock, pod).boxed()
    }
}

impl TaintEvictionController {
    fn cancel(&mut self, key: &Key) {
        if let Some((pod, _)) = self.scheduled.remove(key) {
            self.tell(&pod, "Cancelling deletion of");
        }
    }

    fn tell(&self, pod: &Pod, what: &str) {
        let key = ownership::key_of(&pod.metadata);
        let message = format!("{what} Pod {}/{}", key.namespace, key.name);
        self.events.event(&reference(pod), EventType::Normal, "TaintManagerEviction", message);
    }
}

fn nothing() -> BoxFuture<'static, Outcome> {
    futures::future::ready(Ok(None)).boxed()
}

fn hard_taints(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref()).into_iter().flatten();
    taints.filter(|taint| taint.effect == "NoExecute")
}

/// How long a Pod may stay on a node from when its eviction was scheduled; `None` is for ever. Of several tolerations for a
/// taint the first counts.
fn toleration(pod: &Pod, node: &Node) -> Option<Duration> {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let stays = |taint: &Taint| {
        let used: Option<&Toleration> = tolerations.iter().find(|toleration| tolerates(toleration, taint));
        let Some(used) = used else { return Some(Duration::ZERO) };
        used.toleration_seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    };
    hard_taints(node).filter_map(stays).min()
}

async fn evict(client: Arc<LoopbackClient>, clock: Clock, pod: Arc<Pod>) -> Outcome {
    let key = ownership::key_of(&pod.metadata);
    let condition = pods::disruption("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", clock);
    let patch = Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}));
    let options = DeleteOptions { uid: pod.metadata.uid.clone(), ..DeleteOptions::default() };
    let deleted = match client.patch_status::<Pod>(&key.namespace, &key.name, &patch).await {
        Ok(_) => client.delete::<Pod>(&key.namespace, &key.name, &options).await,
        Err(error) => Err(error),
    };
    match deleted {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => Ok(None),
    }
}
