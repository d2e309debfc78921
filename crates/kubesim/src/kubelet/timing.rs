//! How long things take on a node, and when its tickers tick: drawn from the seed within the ranges that were seen on real
//! nodes.

use std::time::Duration;

use crate::Random;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// From a request to the Pod worker's sync: goroutines, locks, the kubelet's main loop.
pub(super) const DISPATCH: [Duration; 2] = [ms(1), ms(5)];
/// How often the kubelet looks whether the volumes are mounted (pkg/kubelet/volumemanager: `podAttachAndMountRetryInterval`).
pub(super) const VOLUMES_POLL: Duration = ms(300);
/// Mounting a volume that needs no attaching.
pub(super) const MOUNT: [Duration; 2] = [ms(60), ms(320)];
/// Unmounting them when the Pod is gone.
pub(super) const UNMOUNT: [Duration; 2] = [ms(20), ms(300)];
/// Making a sandbox, with its network.
pub(super) const SANDBOX: [Duration; 2] = [ms(180), ms(900)];
/// Stopping a sandbox.
pub(super) const STOP_SANDBOX: [Duration; 2] = [ms(60), ms(1_300)];
/// Making a container whose image is there.
pub(super) const CREATE: [Duration; 2] = [ms(50), ms(280)];
/// Starting a container.
pub(super) const START: [Duration; 2] = [ms(40), ms(200)];
/// From the kubelet's request to stop a container to the signal: a probe that the same sync asks for is there before it.
pub(super) const SIGNAL: Duration = ms(10);
/// From a container's end to the runtime's answer that it has stopped.
pub(super) const STOP: [Duration; 2] = [ms(10), ms(50)];
/// Asking a registry for an image.
pub(super) const PULL: [Duration; 2] = [ms(20), ms(2_800)];
/// A probe's connection, and an answer that the program gives at once.
pub(super) const REQUEST: [Duration; 2] = [ms(1), ms(8)];
/// Starting a command in a running container.
pub(super) const EXEC: [Duration; 2] = [ms(40), ms(250)];
/// Until the status manager takes up a status, and again until it has read the Pod that it writes it to.
pub(super) const STATUS: [Duration; 2] = [ms(1), ms(20)];
/// A Pod worker that the status manager overtakes is late by this much.
pub(super) const OVERTAKING: Duration = ms(60);
/// A relist of all Pods.
pub(super) const RELIST: [Duration; 2] = [ms(8), ms(400)];
/// From the exit of a process to the runtime's knowing it.
pub(super) const EXIT: [Duration; 2] = [ms(5), ms(250)];
/// A relist of one Pod, asked for by its worker.
pub(super) const RELIST_POD: [Duration; 2] = [ms(6), ms(40)];

/// A duration out of a range, more often near its start, as latencies are.
pub(super) fn skewed(random: &mut Random, [least, most]: [Duration; 2]) -> Duration {
    let unit = random.unit();
    least + most.saturating_sub(least).mul_f64(unit * unit)
}

/// A ticker whose ticks are computed, not waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticker {
    phase: Duration,
    period: Duration,
}

impl Ticker {
    /// A ticker that ticks at `phase` and every `period` after.
    pub(super) fn new(phase: Duration, period: Duration) -> Self {
        Self { phase, period }
    }

    /// The first tick after an instant.
    pub(super) fn after(&self, instant: Duration) -> Duration {
        if instant < self.phase {
            return self.phase;
        }
        let passed = instant.saturating_sub(self.phase).as_nanos() / self.period.as_nanos().max(1) + 1;
        self.phase + self.period * u32::try_from(passed).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_always_later() {
        let ticker = Ticker::new(ms(300), ms(1_000));
        assert_eq!(ticker.after(ms(0)), ms(300));
        assert_eq!(ticker.after(ms(300)), ms(1_300));
        assert_eq!(ticker.after(ms(5_299)), ms(5_300));
    }
}
