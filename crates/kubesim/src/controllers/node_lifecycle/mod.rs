//! Nodes in trouble: one that is not heard of is no longer Ready, and conditions become taints
//! (`pkg/controller/nodelifecycle`).

mod health;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, NodeCondition, Pod, Taint},
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership, pods,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, Delta, Informer, LoopbackClient, Patch, StatusError,
    recorder::{EventType, Recorder, reference},
    selector::Selection,
};
use health::Heartbeats;

/// How often the controller looks whether all nodes are heard of (`nodeMonitorPeriod`).
const MONITOR_PERIOD: Duration = Duration::from_secs(5);

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
    let events = Recorder::start(component.part("events"), "node-controller", None, &mut tasks);
    let controller = NodeLifecycleController {
        nodes: Source::new(component.client.informer(Selection::all())?),
        leases: component.client.informer(Selection::in_namespace("kube-node-lease"))?,
        pods: component.client.informer(Selection::all())?,
        heartbeats: Heartbeats::default(),
        silent: BTreeSet::new(),
        is_disrupted: false,
        next_look: MONITOR_PERIOD,
        means: Arc::new(Means { events, clock: component.clock, client: component.client }),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct NodeLifecycleController {
    nodes: Source<Node>,
    leases: Informer<Lease>,
    pods: Informer<Pod>,
    heartbeats: Heartbeats,
    /// The nodes that the last look has not heard of for too long, and whose conditions do not say so yet.
    silent: BTreeSet<String>,
    /// Whether no node at all is Ready: then the fault may be the controller's own, and nothing is evicted.
    is_disrupted: bool,
    next_look: Duration,
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
        let changes = self.nodes.changes();
        for delta in &changes {
            let name = ownership::name(&delta.object().metadata);
            if let Delta::Deleted(node) = delta {
                let message = format!("Node {name} event: Removing Node {name} from Controller");
                self.means.events.event(&reference(&**node), EventType::Normal, "RemovingNode", message);
            }
            queue.add(name.to_owned());
        }
        if !changes.is_empty() {
            let is_disrupted = !self.nodes.cache().iter().any(|node| health::is_ready(node));
            if std::mem::replace(&mut self.is_disrupted, is_disrupted) != is_disrupted {
                self.nodes.cache().iter().for_each(|node| queue.add(ownership::name(&node.metadata).to_owned()));
            }
        }
        let now = self.means.clock.elapsed();
        if self.next_look <= now {
            self.next_look = now + MONITOR_PERIOD;
            self.leases.catch_up();
            self.silent = self.heartbeats.look(self.nodes.cache(), &self.leases, now);
            self.silent.iter().for_each(|node| queue.add(node.clone()));
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.nodes.changed() => {}
            () = self.means.clock.sleep_until(self.next_look) => {}
        }
    }

    fn reconcile(&mut self, name: &String) -> BoxFuture<'static, Outcome> {
        let Some(node) = self.nodes.get("", name) else { return futures::future::ready(Ok(None)).boxed() };
        if self.silent.remove(name) {
            self.pods.catch_up();
            let own = self.pods.iter().filter(|pod| pods::node_name(pod) == name).cloned().collect();
            return Arc::clone(&self.means).doubt(node, own).boxed();
        }
        Arc::clone(&self.means).reconcile(node, !self.is_disrupted).boxed()
    }
}

impl Means {
    async fn reconcile(self: Arc<Self>, node: Arc<Node>, evicts: bool) -> Outcome {
        self.taint(&node, evicts).await.map(|()| None)
    }

    /// Says that nothing is known of a node any more, nor of its Pods.
    async fn doubt(self: Arc<Self>, node: Arc<Node>, own: Vec<Arc<Pod>>) -> Outcome {
        let name = ownership::name(&node.metadata);
        let was_ready = health::is_ready(&node);
        let conditions = health::doubted(&node, self.clock);
        let patch = Patch::Strategic(json!({"status": {"conditions": conditions}}));
        match self.client.patch_status::<Node>("", name, &patch).await {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        if was_ready {
            let message = format!("Node {name} status is now: NodeNotReady");
            self.events.event(&reference(&*node), EventType::Normal, "NodeNotReady", message);
            for pod in own.iter().filter(|pod| pods::is_ready(pod)) {
                self.mark_not_ready(pod).await?;
            }
        }
        Ok(None)
    }

    async fn mark_not_ready(&self, pod: &Pod) -> Result<(), StatusError> {
        let key = ownership::key_of(&pod.metadata);
        let condition = json!({"type": "Ready", "status": "False", "lastTransitionTime": self.clock.time()});
        let patch = Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}));
        match self.client.patch_status::<Pod>(&key.namespace, &key.name, &patch).await {
            Ok(_) => self.events.event(&reference(pod), EventType::Warning, "NodeNotReady", "Node is not ready"),
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives the node the taints that its conditions and its being cordoned ask for, and no others of these.
    async fn taint(&self, node: &Node, evicts: bool) -> Result<(), StatusError> {
        let wanted = wanted_taints(node, evicts);
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
}

fn wanted_taints(node: &Node, evicts: bool) -> Vec<Taint> {
    let taint = |key: &str, effect: &str| Taint { key: key.to_owned(), effect: effect.to_owned(), ..Taint::default() };
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut wanted = Vec::new();
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        wanted.push(taint(UNSCHEDULABLE, "NoSchedule"));
    }
    for (kind, status, key) in TAINTS {
        let holds = |condition: &NodeCondition| condition.type_ == kind && condition.status == status;
        if conditions.into_iter().flatten().any(holds) {
            wanted.push(taint(key, "NoSchedule"));
            if kind == "Ready" && evicts {
                wanted.push(taint(key, "NoExecute"));
            }
        }
    }
    wanted
}
