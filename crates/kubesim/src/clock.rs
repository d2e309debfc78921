//! The cluster's time: virtual (the paused time of tokio, which jumps from timer to timer) or scaled (real time × speed).

use std::time::Duration;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::{SignedDuration, Timestamp},
};
use tokio::time::Instant;

/// What time it is in the cluster, and how to wait in it.
///
/// The cluster's time is an epoch plus what has passed on tokio's clock since the cluster was built, multiplied by
/// the speed. On a runtime whose time is paused (`start_paused(true)`) it is *virtual*: nothing passes but what
/// somebody sleeps for. Components must wait by this clock and never by `tokio::time` itself, or a scaled cluster
/// would wait for the wrong time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Timestamp,
    origin: Instant,
    speed: f64,
}

impl Clock {
    /// A clock that shows `epoch` now and goes as fast as the runtime's own time: virtual on a paused runtime.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { epoch, origin: Instant::now(), speed: 1.0 }
    }

    /// A clock that shows `epoch` now and goes `speed` times as fast as the runtime's own time. A speed that is not a
    /// positive finite number is taken as 1.
    pub fn scaled(epoch: Timestamp, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self { speed, ..Self::starting_at(epoch) }
    }

    /// The time that has passed in the cluster since it was built. Monotonic: the instants that components compute
    /// with (`Duration` since the start), because a timestamp is floored to seconds once it is in an object.
    pub fn elapsed(&self) -> Duration {
        let passed = self.origin.elapsed();
        if (self.speed - 1.0).abs() < f64::EPSILON { passed } else { passed.mul_f64(self.speed) }
    }

    /// The time of day now, in full precision.
    pub fn now(&self) -> Timestamp {
        self.at(self.elapsed())
    }

    /// The time of day at an instant that [`Clock::elapsed`] gave; the last representable time if it is beyond that.
    pub fn at(&self, elapsed: Duration) -> Timestamp {
        SignedDuration::try_from(elapsed).ok().and_then(|elapsed| self.epoch.checked_add(elapsed).ok()).unwrap_or(Timestamp::MAX)
    }

    /// Now as Kubernetes' `Time`: floored to whole seconds, as it is once stored.
    pub fn time(&self) -> Time {
        Time(floor_to_seconds(self.now()))
    }

    /// Now as Kubernetes' `MicroTime`: floored to microseconds.
    pub fn micro_time(&self) -> MicroTime {
        let now = self.now();
        MicroTime(Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now))
    }

    /// How far the cluster's time has run ahead of the runtime's; negative if it is slower.
    pub fn lead(&self) -> SignedDuration {
        let signed = |passed: Duration| SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        signed(self.elapsed()).saturating_sub(signed(self.origin.elapsed()))
    }

    /// How much time passes in the cluster while this much passes for those who are outside it.
    pub fn while_outside(&self, passes: Duration) -> Duration {
        Duration::try_from_secs_f64(passes.as_secs_f64() * self.speed).unwrap_or(Duration::MAX)
    }

    /// Waits until `duration` has passed in the cluster.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.elapsed().saturating_add(duration)).await;
    }

    /// Waits until [`Clock::elapsed`] has reached `elapsed`; not at all if it has.
    pub async fn sleep_until(&self, elapsed: Duration) {
        // Thirty years are "for ever"; tokio cannot represent the instants that `Duration::MAX` would lead to.
        let real = elapsed.min(Duration::from_hours(30 * 365 * 24));
        let real = if (self.speed - 1.0).abs() < f64::EPSILON { real } else { real.div_f64(self.speed) };
        tokio::time::sleep_until(self.origin + real).await;
    }
}

/// A timestamp without its fraction of a second, as Kubernetes stores `Time`.
pub fn floor_to_seconds(time: Timestamp) -> Timestamp {
    let seconds = time.as_nanosecond().div_euclid(1_000_000_000);
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> Timestamp {
        "2026-01-01T00:00:00.75Z".parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_makes_virtual_time_pass() {
        let clock = Clock::starting_at(epoch());
        clock.sleep(Duration::from_millis(1_500)).await;
        assert_eq!(clock.elapsed(), Duration::from_millis(1_500));
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:02.25Z");
        assert_eq!(clock.time().0.to_string(), "2026-01-01T00:00:02Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_scaled_clock_waits_a_fraction_of_the_time() {
        let clock = Clock::scaled(epoch(), 10.0);
        let before = Instant::now();
        clock.sleep(Duration::from_mins(1)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(6));
        assert_eq!(clock.elapsed(), Duration::from_mins(1));
        assert_eq!(clock.lead(), SignedDuration::from_secs(54));
        assert_eq!(clock.while_outside(Duration::from_secs(6)), Duration::from_mins(1));
    }

    #[test]
    fn flooring_goes_down_before_the_unix_epoch_too() {
        let time: Timestamp = "1969-12-31T23:59:58.5Z".parse().unwrap();
        assert_eq!(floor_to_seconds(time).to_string(), "1969-12-31T23:59:58Z");
    }
}
