//! The worker of one Pod: one sync at a time, and when the next one is (`pkg/kubelet/pod_workers.go`).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    Kubelet, pleg,
    pod::{PodEntry, lock},
    status,
    sync::{self, Outcome, StartFailure},
    terminate, timing,
};
use crate::Random;

/// After a sync without errors (jittered to [60 s, 90 s)).
const RESYNC: Duration = Duration::from_mins(1);
/// After one with errors (jittered to [10 s, 15 s)).
const RETRY: Duration = Duration::from_secs(10);
/// The longest that a crash-loop back-off is waited for at once.
const MOST: Duration = Duration::from_mins(1);
const JITTER: f64 = 0.5;
/// How often the status manager sends the end of the containers before the worker has noted that they are stopped.
const OVERTAKEN: f64 = 0.1;

/// Requests to sync a Pod: however many come while a sync goes on, they are one.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// How many syncs are wanted: at most two.
    wanted: AtomicU8,
    /// Whether another one is wanted once the next one has begun.
    overtaken: AtomicBool,
    /// Whether a sync is about to begin.
    begins: AtomicBool,
    notify: Notify,
    /// Whether the worker has ended.
    closed: Mutex<bool>,
}

impl Inbox {
    /// Asks for a sync.
    pub(super) fn request(&self) {
        self.want(1);
    }

    /// Asks for a sync, and for another one once that has begun.
    pub(super) fn request_twice(&self) {
        self.want(2);
    }

    /// Asks for a sync just after the one that is wanted or about to begin has begun, so that it is not that one.
    pub(super) fn request_overtaken(&self) {
        let has_next = self.begins.load(Ordering::Relaxed) || self.wanted.load(Ordering::Relaxed) > 0;
        self.overtaken.store(has_next, Ordering::Relaxed);
        self.request();
    }

    fn want(&self, count: u8) {
        if !*lock(&self.closed) {
            self.wanted.fetch_max(count, Ordering::Relaxed);
            self.notify.notify_one();
        }
    }

    fn close(&self) {
        *lock(&self.closed) = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        *lock(&self.closed)
    }

    /// Waits for a request and takes it; how many are wanted after it.
    async fn wait(&self) -> u8 {
        loop {
            if let Some(left) = self.wanted.load(Ordering::Relaxed).checked_sub(1) {
                self.wanted.store(left, Ordering::Relaxed);
                return left;
            }
            self.notify.notified().await;
        }
    }
}

/// Syncs a Pod until it is gone or finished.
pub(super) async fn run(kubelet: Arc<Kubelet>, pod: Arc<PodEntry>) {
    let mut requeue = None;
    let mut last_sync = None;
    let seen = loop {
        let due = requeue.into_iter().chain(status::deadline_of(&kubelet, &pod)).min();
        wait(&kubelet, &pod, due).await;
        kubelet.running().await;
        // What the worker does next is settled before it waits for a relist.
        let is_going = pod.is_going();
        let seen = match last_sync {
            None => Arc::default(),
            Some(since) => pleg::newer_than(&kubelet, &pod, since).await,
        };
        if is_going {
            break seen;
        }
        let outcome = sync::sync_pod(&kubelet, &pod, &seen).await;
        last_sync = Some(kubelet.clock.elapsed());
        match outcome {
            Outcome::Finished => break pleg::newer_than(&kubelet, &pod, kubelet.clock.elapsed()).await,
            Outcome::Going => pod.inbox.request(),
            Outcome::Done { acted } => {
                if acted && kubelet.version.at_least(36) {
                    pleg::relist_soon(&kubelet, &pod);
                }
                let wait = pod.chance(|random| random.jitter(RESYNC, JITTER));
                requeue = Some(kubelet.clock.elapsed() + wait);
            }
            Outcome::Failed(failures) => requeue = Some(retry(&kubelet, &pod, &failures)),
        }
    };
    terminate::terminating(&kubelet, &pod, &seen).await;
    if pod.chance(Random::unit) < OVERTAKEN {
        kubelet.clock.sleep(timing::OVERTAKING).await;
    }
    pod.set_stopped();
    let since = kubelet.clock.elapsed();
    let seen = pleg::newer_than(&kubelet, &pod, since).await;
    terminate::terminated(&kubelet, &pod, &seen).await;
    pod.inbox.close();
    kubelet.forget_if_removed(&pod);
}

/// Waits for a request, or for the tick that dispatches a Pod that is due.
async fn wait(kubelet: &Kubelet, pod: &PodEntry, requeue: Option<Duration>) {
    let left = match requeue {
        None => pod.inbox.wait().await,
        Some(due) => tokio::select! {
            biased;
            left = pod.inbox.wait() => left,
            () = kubelet.clock.sleep_until(kubelet.sync_ticks.after(due)) => 0,
        },
    };
    pod.inbox.begins.store(true, Ordering::Relaxed);
    kubelet.clock.sleep(pod.draw(timing::DISPATCH)).await;
    pod.inbox.begins.store(false, Ordering::Relaxed);
    // What has come in the meantime is part of this sync.
    pod.inbox.wanted.fetch_min(left, Ordering::Relaxed);
    pod.inbox.wanted.fetch_max(u8::from(pod.inbox.overtaken.swap(false, Ordering::Relaxed)), Ordering::Relaxed);
}

/// When a sync that failed is done again (`pod_workers.go:completeWork`, `container/sync_result.go:MinBackoffExpiration`).
fn retry(kubelet: &Kubelet, pod: &PodEntry, failures: &[StartFailure]) -> Duration {
    let now = kubelet.clock.elapsed();
    let expiries: Option<Vec<Duration>> = failures.iter().map(|failure| failure.expiry).collect();
    let soonest = expiries.filter(|_| kubelet.version.at_least(35)).and_then(|expiries| expiries.into_iter().min());
    let wait = soonest.map_or(RETRY, |expiry| expiry.saturating_sub(now).min(MOST));
    now + pod.chance(|random| random.jitter(wait, JITTER))
}
