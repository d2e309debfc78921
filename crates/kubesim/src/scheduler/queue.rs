//! The Pods that wait for a node (`pkg/scheduler/backend/queue/scheduling_queue.go`).
//!
//! A Pod that found none waits until something has changed that the plugins that refused it may care for. (Its back-off
//! does not matter: since 1.33 the scheduler takes Pods out of it whenever it has nothing else to do.)

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::filter::Plugin;
use crate::Key;

/// After how long a Pod is tried again even if nothing has happened.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// How often the scheduler looks for Pods that have waited so long.
const FLUSH_PERIOD: Duration = Duration::from_secs(30);

/// What has happened that may make room for a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A node appeared, or its labels, taints or resources have changed.
    Node,
    /// A Pod on a node appeared, or its labels have changed.
    PodPlaced,
    /// A Pod on a node has ended or is gone.
    PodGone,
    /// A namespace has changed.
    Namespace,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// To be tried now: the highest priority first, then who came first.
    active: BTreeSet<(i64, u64, Key)>,
    unschedulable: BTreeMap<Key, Waiting>,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting {
    priority: i32,
    refused_by: BTreeSet<Plugin>,
    since: Duration,
}

impl Queue {
    /// A Pod is to be tried now.
    pub(super) fn add(&mut self, key: Key, priority: i32) {
        self.unschedulable.remove(&key);
        if self.active.iter().any(|(.., known)| *known == key) {
            return;
        }
        self.arrivals += 1;
        self.active.insert((-i64::from(priority), self.arrivals, key));
    }

    /// A Pod is gone, or has a node.
    pub(super) fn remove(&mut self, key: &Key) {
        self.unschedulable.remove(key);
        self.active.retain(|(.., known)| known != key);
    }

    pub(super) fn take(&mut self) -> Option<Key> {
        self.active.pop_first().map(|(.., key)| key)
    }

    /// A Pod found no node, because of these plugins (of none of them: because there are no nodes).
    pub(super) fn wait(&mut self, key: Key, priority: i32, refused_by: BTreeSet<Plugin>, now: Duration) {
        self.unschedulable.insert(key, Waiting { priority, refused_by, since: now });
    }

    /// Something has happened: whoever may care for it is tried again.
    pub(super) fn wake(&mut self, change: Change) {
        self.wake_if(|waiting| waiting.cares_for(change));
    }

    /// Tries again who has waited for long enough.
    pub(super) fn flush(&mut self, now: Duration) {
        self.wake_if(|waiting| waiting.flushed_at() <= now);
    }

    /// When somebody will have waited for long enough.
    pub(super) fn next_flush(&self) -> Option<Duration> {
        self.unschedulable.values().map(Waiting::flushed_at).min()
    }

    fn wake_if(&mut self, wakes: impl Fn(&Waiting) -> bool) {
        let woken: Vec<(Key, i32)> = self
            .unschedulable
            .iter()
            .filter(|(_, waiting)| wakes(waiting))
            .map(|(key, waiting)| (key.clone(), waiting.priority))
            .collect();
        for (key, priority) in woken {
            self.add(key, priority);
        }
    }
}

impl Waiting {
    fn cares_for(&self, change: Change) -> bool {
        let refused_by = |plugins: &[Plugin]| plugins.iter().any(|plugin| self.refused_by.contains(plugin));
        match change {
            Change::Node => true,
            Change::PodPlaced => refused_by(&[Plugin::InterPodAffinity, Plugin::PodTopologySpread]),
            Change::PodGone => {
                refused_by(&[Plugin::NodePorts, Plugin::NodeResourcesFit, Plugin::PodTopologySpread, Plugin::InterPodAffinity])
            }
            Change::Namespace => refused_by(&[Plugin::InterPodAffinity]),
        }
    }

    /// The first look for long waits after this one has become long.
    fn flushed_at(&self) -> Duration {
        let periods = (self.since + LONGEST_WAIT).as_secs() / FLUSH_PERIOD.as_secs() + 1;
        FLUSH_PERIOD * u32::try_from(periods).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_goes_first_then_who_came_first() {
        let mut queue = Queue::default();
        for (name, priority) in [("a", 0), ("b", 0), ("urgent", 9)] {
            queue.add(Key::new("n", name), priority);
        }
        queue.add(Key::new("n", "a"), 0);
        let order: Vec<String> = std::iter::from_fn(|| queue.take()).map(|key| key.name).collect();
        assert_eq!(order, ["urgent", "a", "b"]);
    }

    #[test]
    fn only_who_may_care_is_woken() {
        let mut queue = Queue::default();
        queue.wait(Key::new("n", "big"), 0, [Plugin::NodeResourcesFit].into(), Duration::ZERO);
        queue.wait(Key::new("n", "tainted"), 0, [Plugin::TaintToleration].into(), Duration::ZERO);
        queue.wake(Change::PodPlaced);
        assert_eq!(queue.take(), None);
        queue.wake(Change::PodGone);
        assert_eq!(queue.take(), Some(Key::new("n", "big")));
        queue.wake(Change::Node);
        assert_eq!(queue.take(), Some(Key::new("n", "tainted")));
    }

    #[test]
    fn after_five_minutes_a_pod_is_tried_again() {
        let mut queue = Queue::default();
        queue.wait(Key::new("n", "p"), 0, [Plugin::NodeAffinity].into(), Duration::from_secs(7));
        assert_eq!(queue.next_flush(), Some(Duration::from_secs(330)));
        queue.flush(Duration::from_secs(330));
        assert_eq!(queue.take(), Some(Key::new("n", "p")));
    }
}
