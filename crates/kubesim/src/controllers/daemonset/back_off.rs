//! How long failed daemon Pods wait for their deletion (`client-go/util/flowcontrol/backoff.go`).

use std::{collections::BTreeMap, time::Duration};

/// The first pause, which doubles with each further failure, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(15);

/// The pause of each set on each node, and since when it lasts.
#[derive(Debug, Default)]
pub(super) struct BackOff(BTreeMap<(String, String), (Duration, Duration)>);

impl BackOff {
    /// Counts a failure of the set `uid` on a node, unless the last one was too short a time ago: then how long it has to wait.
    pub(super) fn wait(&mut self, uid: &str, node: &str, now: Duration) -> Option<Duration> {
        let known = self.0.get(&(uid.to_owned(), node.to_owned())).copied();
        let known = known.filter(|(_, since)| now.saturating_sub(*since) <= 2 * LONGEST);
        let pause = match known {
            Some((pause, since)) if now.saturating_sub(since) < pause => return Some(pause),
            Some((pause, _)) => (2 * pause).min(LONGEST),
            None => FIRST,
        };
        self.0.insert((uid.to_owned(), node.to_owned()), (pause, now));
        None
    }

    /// Forgets a set that is gone.
    pub(super) fn forget(&mut self, uid: &str) {
        self.0.retain(|(known, _), _| known != uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_quarter_of_an_hour() {
        let mut back_off = BackOff::default();
        let mut now = Duration::ZERO;
        assert_eq!(back_off.wait("set", "node", now), None, "the first failure is cleared away at once");
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            let pause = Duration::from_secs(pause);
            assert_eq!(back_off.wait("set", "node", now), Some(pause));
            now += pause;
            assert_eq!(back_off.wait("set", "node", now), None);
        }
        assert_eq!(back_off.wait("set", "other", now), None);
        back_off.forget("set");
        assert_eq!(back_off.wait("set", "node", now), None);
    }
}
