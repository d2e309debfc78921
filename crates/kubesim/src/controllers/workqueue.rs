//! The queue between what a controller observes and what it does about it (client-go/util/workqueue).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// The first and the longest pause before a failed item is tried again, which doubles each time
/// (client-go/util/workqueue/default_rate_limiters.go).
const BASE_DELAY: Duration = Duration::from_millis(5);
const MAX_DELAY: Duration = Duration::from_secs(1_000);

/// Items to be worked on: each at most once in the queue, never twice at the same time, some only later.
#[derive(Debug)]
pub(crate) struct WorkQueue<T> {
    now: Duration,
    ready: VecDeque<T>,
    /// What is in `ready`, and what is to be put there as soon as it is no longer worked on.
    wanted: BTreeSet<T>,
    processing: BTreeSet<T>,
    later: BTreeSet<(Duration, T)>,
    due: BTreeMap<T, Duration>,
    failures: BTreeMap<T, u32>,
}

impl<T> Default for WorkQueue<T> {
    fn default() -> Self {
        Self {
            now: Duration::ZERO,
            ready: VecDeque::new(),
            wanted: BTreeSet::new(),
            processing: BTreeSet::new(),
            later: BTreeSet::new(),
            due: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }
}

impl<T: Ord + Clone> WorkQueue<T> {
    /// Adds an item, unless it is in the queue already. What is worked on right now comes again afterwards.
    pub(crate) fn add(&mut self, item: T) {
        if self.wanted.insert(item.clone()) && !self.processing.contains(&item) {
            self.ready.push_back(item);
        }
    }

    /// Adds an item after a while; the earlier of two such wishes counts.
    pub(crate) fn add_after(&mut self, item: T, delay: Duration) {
        if delay.is_zero() {
            self.add(item);
            return;
        }
        let due = self.now + delay;
        if let Some(known) = self.due.get(&item) {
            if *known <= due {
                return;
            }
            self.later.remove(&(*known, item.clone()));
        }
        self.due.insert(item.clone(), due);
        self.later.insert((due, item));
    }

    /// Lets the time pass up to `now`: what is due by then is added.
    pub(crate) fn advance(&mut self, now: Duration) {
        self.now = now;
        while let Some((due, item)) = self.later.first()
            && *due <= now
        {
            let item = item.clone();
            self.later.pop_first();
            self.due.remove(&item);
            self.add(item);
        }
    }

    /// When something is next due that is not in the queue yet.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.later.first().map(|(due, _)| *due)
    }

    /// Takes an item to work on; [`WorkQueue::done`] must follow.
    pub(crate) fn take(&mut self) -> Option<T> {
        let item = self.ready.pop_front()?;
        self.wanted.remove(&item);
        self.processing.insert(item.clone());
        Some(item)
    }

    /// The work on an item has ended: well, or it is to be tried again after a growing pause.
    pub(crate) fn done(&mut self, item: T, succeeded: bool) {
        self.processing.remove(&item);
        if self.wanted.contains(&item) {
            self.ready.push_back(item.clone());
        }
        if succeeded {
            self.failures.remove(&item);
            return;
        }
        let failures = self.failures.entry(item.clone()).or_default();
        let delay = BASE_DELAY.saturating_mul(2_u32.saturating_pow(*failures)).min(MAX_DELAY);
        *failures = failures.saturating_add(1);
        self.add_after(item, delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_queued_once_and_never_worked_on_twice_at_a_time() {
        let mut queue = WorkQueue::default();
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.take(), Some("a"));
        queue.add("a");
        assert_eq!(queue.take(), None, "it is being worked on");
        queue.done("a", true);
        assert_eq!((queue.take(), queue.take()), (Some("a"), None));
    }

    #[test]
    fn failures_are_tried_again_after_a_doubling_pause() {
        let mut queue = WorkQueue::default();
        queue.add("a");
        for pause in [5, 10, 20] {
            let item = queue.take().unwrap();
            queue.done(item, false);
            let due = queue.next_due().unwrap();
            assert_eq!(due, queue.now + Duration::from_millis(pause));
            queue.advance(due);
        }
    }

    #[test]
    fn the_earlier_of_two_wishes_counts() {
        let mut queue = WorkQueue::default();
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("a", Duration::from_secs(3));
        queue.add_after("a", Duration::from_secs(5));
        queue.advance(Duration::from_secs(3));
        assert_eq!((queue.take(), queue.next_due()), (Some("a"), None));
    }
}
