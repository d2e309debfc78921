//! The back-off of crashing containers (`pkg/kubelet/kuberuntime/kuberuntime_manager.go:doBackOff`,
//! `client-go/util/flowcontrol/backoff.go`).

use std::{collections::BTreeMap, time::Duration};

const INITIAL: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_mins(5);
/// An entry is forgotten when it was not used for so long.
const FORGET_AFTER: Duration = Duration::from_mins(10);

/// Back-offs by key: a container, or an image.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    wait: Duration,
    updated: Duration,
}

impl BackOff {
    /// Whether a start at `now` comes too early after the event at `since` (the last known death): how long the wait
    /// is in all. Otherwise the start is counted, and the next wait is longer.
    pub(super) fn start(&mut self, key: &str, since: Duration, now: Duration) -> Result<(), Duration> {
        // Housekeeping removes what was not used for long, and so does the check itself.
        self.entries.retain(|_, entry| now.saturating_sub(entry.updated) <= FORGET_AFTER);
        if let Some(entry) = self.entries.get(key)
            && now.saturating_sub(since) < entry.wait
        {
            return Err(entry.wait);
        }
        self.advance(key, now);
        Ok(())
    }

    /// Whether the key is to wait at `now`, measured from its last advance.
    pub(super) fn is_waiting(&self, key: &str, now: Duration) -> bool {
        self.entries.get(key).is_some_and(|entry| now.saturating_sub(entry.updated) < entry.wait)
    }

    /// Makes the wait of a key longer.
    pub(super) fn advance(&mut self, key: &str, now: Duration) {
        let wait = match self.entries.get(key) {
            Some(entry) if now.saturating_sub(entry.updated) <= FORGET_AFTER => (entry.wait * 2).min(MOST),
            _ => INITIAL,
        };
        self.entries.insert(key.to_owned(), Entry { wait, updated: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Section 9 of the rules: a probe kill compares with the death before it.
    #[test]
    fn a_cycle_of_25_s_backs_off_at_the_fifth_death() {
        let mut back_off = BackOff::default();
        // The first death has no exited container before it and is not asked for; from then on `since` is one behind.
        assert_eq!(back_off.start("a", s(25), s(50)), Ok(()));
        assert_eq!(back_off.start("a", s(50), s(75)), Ok(()));
        assert_eq!(back_off.start("a", s(75), s(100)), Ok(()));
        assert_eq!(back_off.start("a", s(100), s(125)), Err(s(40)));
        assert_eq!(back_off.start("a", s(125), s(164)), Err(s(40)));
        assert_eq!(back_off.start("a", s(125), s(165)), Ok(()));
        assert_eq!(back_off.start("a", s(165), s(166)), Err(s(80)));
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_are_forgotten_after_ten() {
        let mut back_off = BackOff::default();
        let mut now = s(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert_eq!(back_off.start("a", s(0), now), Ok(()));
            let wait = back_off.start("a", now, now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
        let later = now + s(301);
        assert_eq!(back_off.start("a", later, later), Ok(()), "the last start was more than ten minutes ago");
        assert_eq!(back_off.start("a", later, later), Err(s(10)));
    }
}
