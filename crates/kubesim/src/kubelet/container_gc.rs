//! The garbage collection of ended containers (`pkg/kubelet/kuberuntime/kuberuntime_gc.go:evictContainers`).
//!
//! The real one looks at all containers once a minute and keeps of each name the newest that does not run. What a relist
//! sees to end is cleaned up at once, so a round finds something to remove in one case only: while a container is made and
//! does not run yet, it is the one that is kept, and those that have ended before it go. A back-off that asks for the last
//! death then finds none and is not counted. Here the times of the rounds are computed, and only that case is looked at.

use std::{ops::Range, sync::Arc, time::Duration};

use super::{
    Kubelet,
    pod::{PodEntry, lock},
    timing::Ticker,
};
use crate::Random;

/// `pkg/kubelet/kubelet.go:ContainerGCPeriod`.
const PERIOD: Duration = Duration::from_mins(1);

/// When the rounds are, of a kubelet that has run for some time.
pub(super) fn rounds(random: &mut Random) -> Ticker {
    Ticker::new(random.between(Duration::ZERO..PERIOD), PERIOD)
}

/// Removes what a round removes while a container of this name is made.
pub(super) fn collect(kubelet: &Kubelet, entry: &Arc<PodEntry>, name: &str, making: Range<Duration>) {
    let round = kubelet.container_gc.after(making.start);
    if round < making.end && lock(&entry.runtime).remove_ended(name, 0) {
        kubelet.pleg.mark(entry, kubelet.clock.elapsed());
    }
}
