//! What all controllers have in common: take in what happened, queue the objects concerned, reconcile them.

use std::{future::Future, sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::workqueue::WorkQueue;
use crate::{Clock, Delta, Informer, StatusError, loopback::Kind};

/// How a reconciliation ended: well, and when to look again if nothing happens before; or it is to be tried again.
pub(crate) type Outcome = Result<Option<Duration>, StatusError>;

/// A controller: what it observes, and how it brings an object to the state that is wished.
///
/// The caches are as of now whenever [`Controller::reconcile`] is called; it takes from them what it needs, so that the
/// work goes on by itself while the caches change. One object is never worked on twice at the same time.
pub(crate) trait Controller: Send {
    /// What is queued: most often the key of an object.
    type Item: Ord + Clone + Send;

    /// How many items are worked on at the same time.
    const WORKERS: usize = 5;

    /// Takes in all that has happened, and queues what it concerns.
    fn catch_up(&mut self, queue: &mut WorkQueue<Self::Item>);

    /// Waits until something has happened that [`Controller::catch_up`] will take in. Cancelling it loses nothing.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;

    /// Begins to bring an item to the state that is wished.
    fn reconcile(&mut self, item: &Self::Item) -> BoxFuture<'static, Outcome>;
}

/// Runs a controller for ever.
pub(crate) async fn run<C: Controller>(mut controller: C, clock: Clock) {
    let mut queue = WorkQueue::default();
    let mut work = FuturesUnordered::new();
    loop {
        queue.advance(clock.elapsed());
        controller.catch_up(&mut queue);
        while work.len() < C::WORKERS
            && let Some(item) = queue.take()
        {
            let reconciliation = controller.reconcile(&item);
            work.push(async move { (item, reconciliation.await) });
        }
        let due = queue.next_due().unwrap_or(Duration::MAX);
        tokio::select! {
            biased;
            Some((item, outcome)) = work.next() => finish(&mut queue, item, outcome, clock.elapsed()),
            () = controller.changed() => {}
            () = clock.sleep_until(due) => {}
        }
    }
}

fn finish<T: Ord + Clone>(queue: &mut WorkQueue<T>, item: T, outcome: Outcome, now: Duration) {
    queue.advance(now);
    match outcome {
        Ok(again) => {
            queue.done(item.clone(), true);
            if let Some(delay) = again {
                queue.add_after(item, delay);
            }
        }
        Err(error) => {
            tracing::debug!(%error, "a reconciliation is tried again");
            queue.done(item, false);
        }
    }
}

/// An informer with the deltas that were waited for but not yet taken in.
#[derive(Debug)]
pub(crate) struct Source<K> {
    informer: Informer<K>,
    seen: Vec<Delta<K>>,
}

impl<K: Kind> Source<K> {
    /// A source of an informer's changes.
    pub(crate) fn new(informer: Informer<K>) -> Self {
        Self { informer, seen: Vec::new() }
    }

    /// All changes that have happened and were not given yet.
    pub(crate) fn changes(&mut self) -> Vec<Delta<K>> {
        let mut changes = std::mem::take(&mut self.seen);
        while let Some(delta) = self.informer.try_next() {
            changes.push(delta);
        }
        changes
    }

    /// Waits until there is a change. Cancelling it loses nothing.
    pub(crate) async fn changed(&mut self) {
        if self.seen.is_empty() {
            let delta = self.informer.next().await;
            self.seen.push(delta);
        }
    }

    /// The cache, as of the changes given (and the one waited for).
    pub(crate) fn cache(&self) -> &Informer<K> {
        &self.informer
    }

    /// An object of the cache.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.informer.get(namespace, name).cloned()
    }
}
