//! The time of a run: tokio's monotonic clock (which is virtual where the runtime is paused) since a moment of the wall clock.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Time since an epoch. Copies share the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Timestamp,
    start: Instant,
}

impl Clock {
    /// A clock whose epoch is now, by the wall clock.
    pub fn from_wall_clock() -> Self {
        Self::with_epoch(Timestamp::now())
    }

    /// A clock that says `epoch` now.
    pub fn with_epoch(epoch: Timestamp) -> Self {
        Self { epoch, start: Instant::now() }
    }

    /// A clock that runs like this one and whose epoch is now.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self::with_epoch(self.now())
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::MAX);
        self.epoch.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// The moment from which [`elapsed`](Self::elapsed) counts.
    pub fn epoch(&self) -> Timestamp {
        self.epoch
    }

    /// Time since the epoch.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Waits until so much time has passed since the epoch.
    pub async fn sleep_until(&self, elapsed: Duration) {
        tokio::time::sleep_until(self.start + elapsed).await;
    }
}
