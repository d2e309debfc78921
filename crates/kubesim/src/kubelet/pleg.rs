//! The Pod lifecycle event generator: how the kubelet learns what its containers do (`pkg/kubelet/pleg/generic.go`).
//!
//! The real one lists all containers once a second. Here the times of those relists are computed, and only Pods that
//! changed are looked at.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    Kubelet,
    pod::{PodEntry, lock},
    runtime::{Record, RuntimeStatus},
    timing::{self, Ticker},
};

/// What the last relist of a Pod saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Cached {
    pub(super) status: Arc<RuntimeStatus>,
    /// When that relist began.
    modified: Duration,
}

/// The relists of a node.
#[derive(Debug)]
pub(super) struct Pleg {
    begins: Ticker,
    takes: Duration,
    /// The Pods that the next relist looks at, and since when.
    dirty: Mutex<BTreeMap<String, (Duration, Arc<PodEntry>)>>,
    /// Those that the relist going on looks at, and when it began.
    relisting: Mutex<BTreeMap<String, Duration>>,
    changed: Notify,
}

impl Pleg {
    /// Relists of which the first begins at `phase`; each takes so long, and the next begins a second after its end.
    pub(super) fn new(phase: Duration, takes: Duration) -> Self {
        let begins = Ticker::new(phase, Duration::from_secs(1) + takes);
        Self { begins, takes, dirty: Mutex::default(), relisting: Mutex::default(), changed: Notify::new() }
    }

    /// Says that the containers of a Pod have changed.
    pub(super) fn mark(&self, pod: &Arc<PodEntry>, now: Duration) {
        lock(&self.dirty).entry(pod.uid.clone()).or_insert_with(|| (now, Arc::clone(pod)));
        self.changed.notify_one();
    }

    /// Whether a relist that should have ended by now has not told yet what it saw of a Pod: in scaled time timers are late.
    fn is_late(&self, pod: &PodEntry, now: Duration) -> bool {
        let has_ended = |began: Duration| began + self.takes < now;
        lock(&self.dirty).get(&pod.uid).is_some_and(|(since, _)| has_ended(self.begins.after(*since)))
            || lock(&self.relisting).get(&pod.uid).is_some_and(|began| has_ended(*began))
    }
}

/// Relists the Pods that changed, each time there are some.
pub(super) async fn run(kubelet: Arc<Kubelet>) {
    loop {
        if lock(&kubelet.pleg.dirty).is_empty() {
            kubelet.pleg.changed.notified().await;
            continue;
        }
        let began = kubelet.pleg.begins.after(kubelet.clock.elapsed());
        kubelet.clock.sleep_until(began).await;
        // What changes while a relist goes on is for the next one.
        let pods = std::mem::take(&mut *lock(&kubelet.pleg.dirty));
        *lock(&kubelet.pleg.relisting) = pods.keys().map(|uid| (uid.clone(), began)).collect();
        let seen: Vec<_> = pods.values().map(|(_, pod)| Arc::new(lock(&pod.runtime).status())).collect();
        kubelet.clock.sleep_until(began + kubelet.pleg.takes).await;
        lock(&kubelet.pleg.relisting).clear();
        for ((_, pod), status) in pods.values().zip(seen) {
            take_in(&kubelet, pod, status, began);
        }
    }
}

/// Relists one Pod soon, asked for by its worker after a sync that changed something (since 1.36).
pub(super) fn relist_soon(kubelet: &Arc<Kubelet>, pod: &Arc<PodEntry>) {
    let (kubelet, pod) = (Arc::clone(kubelet), Arc::clone(pod));
    kubelet.clone().spawn(async move {
        // The worker's sync has to be over by then, so that what it did counts as newer.
        kubelet.clock.sleep(Duration::from_millis(2)).await;
        let began = kubelet.clock.elapsed();
        let status = Arc::new(lock(&pod.runtime).status());
        kubelet.clock.sleep(pod.draw(timing::RELIST_POD)).await;
        take_in(&kubelet, &pod, status, began);
    });
}

/// What a relist that began after `since` has seen of a Pod; waits for one.
pub(super) async fn newer_than(kubelet: &Arc<Kubelet>, pod: &Arc<PodEntry>, since: Duration) -> Arc<RuntimeStatus> {
    let mut relisted = pod.relisted.watch();
    let global = kubelet.pleg.begins.after(since) + kubelet.pleg.takes;
    loop {
        let seen = relisted.see();
        let now = kubelet.clock.elapsed();
        // A relist of all Pods that has ended, and had nothing to see of this one, is newer too.
        if seen.modified > since || global < now && !kubelet.pleg.is_late(pod, now) {
            return seen.status;
        }
        // A moment later than the end of that relist.
        let end = if global < now { Duration::MAX } else { global + Duration::from_millis(1) };
        tokio::select! {
            biased;
            () = relisted.changed() => {}
            () = kubelet.clock.sleep_until(end) => {}
        }
    }
}

/// Takes in what a relist saw, and has the Pod synced if something began or ended.
fn take_in(kubelet: &Arc<Kubelet>, pod: &Arc<PodEntry>, new: Arc<RuntimeStatus>, began: Duration) {
    let old = pod.relisted.get();
    if old.modified > began {
        // Who waits for a newer one has to ask again.
        pod.relisted.update(|_| {});
        return;
    }
    let (events, ended) = events(&old.status, &new);
    pod.relisted.set(Cached { status: new, modified: began });
    for name in ended {
        // The newest ended container of a name is kept, for its log.
        if lock(&pod.runtime).remove_ended(&name, 1) {
            kubelet.pleg.mark(pod, kubelet.clock.elapsed());
        }
    }
    match events {
        0 => {}
        1 => pod.inbox.request(),
        // Each event asks for a sync; whether the worker has begun the first when the second comes is a race.
        _ if pod.chance(crate::Random::unit) < 0.5 => pod.inbox.request_twice(),
        _ => pod.inbox.request(),
    }
}

/// How many things began or ended, and the names of the containers that ended.
fn events(old: &RuntimeStatus, new: &RuntimeStatus) -> (usize, Vec<String>) {
    let ready = |status: &RuntimeStatus| status.sandbox.as_ref().is_some_and(|sandbox| sandbox.ready);
    let mut count = usize::from(ready(old) != ready(new));
    let mut ended = Vec::new();
    for record in &new.containers {
        let before = old.containers.iter().find(|other| other.id == record.id);
        let known_as = before.map(Record::is_running);
        if known_as == Some(record.is_running()) {
            continue;
        }
        count += 1;
        if !record.is_running() {
            ended.push(record.name.clone());
        }
    }
    (count, ended)
}
