//! Nodes in trouble: their conditions become taints, and taints evict Pods
//! (`pkg/controller/nodelifecycle`, `pkg/controller/tainteviction`).

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture, future::join_all};
use k8s_openapi::{
    api::core::v1::{Node, Pod, Taint, Toleration},
    jiff::{SignedDuration, Timestamp},
};
use tokio::task::JoinSet;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership, pods,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, DeleteOptions, LoopbackClient, StatusError,
    recorder::{EventType, Recorder, reference},
    scheduler::tolerates,
    selector::Selection,
};

/// Which value of a condition becomes which taint.
const TAINTS: [(&str, &str, &str); 6] = [
    ("Ready", "False", "node.kubernetes.io/not-ready"),
    ("Ready", "Unknown", "node.kubernetes.io/unreachable"),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Runs the controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let mut tasks = JoinSet::new();
    let events = Recorder::start(component.part("events"), "taint-eviction-controller", None, &mut tasks);
    let controller = NodeLifecycleController {
        nodes: Source::new(component.client.informer(Selection::all())?),
        pods: Source::new(component.client.informer(Selection::all())?),
        means: Arc::new(Means { events, clock: component.clock, client: component.client }),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct NodeLifecycleController {
    nodes: Source<Node>,
    pods: Source<Pod>,
    means: Arc<Means>,
}

struct Means {
    client: LoopbackClient,
    clock: Clock,
    events: Recorder,
}

impl Controller for NodeLifecycleController {
    /// The name of a node.
    type Item = String;

    fn catch_up(&mut self, queue: &mut WorkQueue<String>) {
        for delta in self.nodes.changes() {
            queue.add(ownership::name(&delta.object().metadata).to_owned());
        }
        for delta in self.pods.changes() {
            let node = pods::node_name(delta.object());
            let evicts = self.nodes.cache().get("", node).is_some_and(|node| hard_taints(node).next().is_some());
            if evicts && !pods::is_deleting(delta.object()) {
                queue.add(node.to_owned());
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.nodes.changed() => {}
            () = self.pods.changed() => {}
        }
    }

    fn reconcile(&mut self, name: &String) -> BoxFuture<'static, Outcome> {
        let Some(node) = self.nodes.get("", name) else { return futures::future::ready(Ok(None)).boxed() };
        let evicts = hard_taints(&node).next().is_some();
        let own = self.pods.cache().iter().filter(|pod| evicts && pods::node_name(pod) == name && !pods::is_deleting(pod));
        let own = own.cloned().collect();
        Arc::clone(&self.means).reconcile(node, own).boxed()
    }
}

fn hard_taints(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref()).into_iter().flatten();
    taints.filter(|taint| taint.effect == "NoExecute")
}

impl Means {
    async fn reconcile(self: Arc<Self>, node: Arc<Node>, pods: Vec<Arc<Pod>>) -> Outcome {
        self.taint(&node).await?;
        let taints: Vec<Taint> = hard_taints(&node).cloned().collect();
        if taints.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        let (mut due, mut next) = (Vec::new(), None::<Duration>);
        for pod in &pods {
            match time_left(pod, &taints, now) {
                Some(left) if left.is_zero() => due.push(pod),
                Some(left) => next = Some(next.map_or(left, |next| next.min(left))),
                None => {}
            }
        }
        join_all(due.into_iter().map(|pod| self.evict(pod))).await.into_iter().collect::<Result<(), _>>()?;
        Ok(next)
    }

    /// Gives the node the taints that its conditions and its being cordoned ask for, and no others of these.
    async fn taint(&self, node: &Node) -> Result<(), StatusError> {
        let wanted = wanted_taints(node);
        let spec = node.spec.clone().unwrap_or_default();
        let known = spec.taints.clone().unwrap_or_default();
        let is_ours = |key: &str| key == UNSCHEDULABLE || TAINTS.iter().any(|(.., ours)| *ours == key);
        let same = |a: &Taint, b: &Taint| a.key == b.key && a.effect == b.effect;
        let mut taints: Vec<Taint> =
            known.iter().filter(|taint| !is_ours(&taint.key) || wanted.iter().any(|wanted| same(wanted, taint))).cloned().collect();
        for mut taint in wanted {
            if !taints.iter().any(|known| same(known, &taint)) {
                taint.time_added = Some(self.clock.time());
                taints.push(taint);
            }
        }
        if taints == known {
            return Ok(());
        }
        let mut updated = node.clone();
        updated.spec.get_or_insert_default().taints = (!taints.is_empty()).then_some(taints);
        match self.client.update(&updated).await {
            // Somebody has written meanwhile: the change queues the node again, and it is looked at anew.
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn evict(&self, pod: &Pod) -> Result<(), StatusError> {
        let key = ownership::key_of(&pod.metadata);
        let message = format!("Marking for deletion Pod {}/{}", key.namespace, key.name);
        self.events.event(&reference(pod), EventType::Normal, "TaintManagerEviction", message);
        match self.client.delete::<Pod>(&key.namespace, &key.name, &DeleteOptions::default()).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

fn wanted_taints(node: &Node) -> Vec<Taint> {
    let taint = |key: &str, effect: &str| Taint { key: key.to_owned(), effect: effect.to_owned(), ..Taint::default() };
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut wanted = Vec::new();
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        wanted.push(taint(UNSCHEDULABLE, "NoSchedule"));
    }
    for (kind, status, key) in TAINTS {
        let holds = |condition: &k8s_openapi::api::core::v1::NodeCondition| condition.type_ == kind && condition.status == status;
        if conditions.into_iter().flatten().any(holds) {
            wanted.push(taint(key, "NoSchedule"));
            if kind == "Ready" {
                wanted.push(taint(key, "NoExecute"));
            }
        }
    }
    wanted
}

/// How long a Pod may stay on a node with these taints; `None` is for ever.
fn time_left(pod: &Pod, taints: &[Taint], now: Timestamp) -> Option<Duration> {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let left = |taint: &Taint| {
        let used: Vec<&Toleration> = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).collect();
        if used.is_empty() {
            return Some(Duration::ZERO);
        }
        let seconds = used.iter().filter_map(|toleration| toleration.toleration_seconds).min()?;
        let added = taint.time_added.as_ref().map_or(now, |time| time.0);
        let end = added.checked_add(SignedDuration::from_secs(seconds.max(0))).ok()?;
        Some(Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO))
    };
    taints.iter().filter_map(left).min()
}
