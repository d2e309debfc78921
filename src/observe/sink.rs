//! Where watches and log follows put what they see.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::timeline::{Entry, Observation, Stream};

/// Stamps observations with the time and hands them on. Copies write to the same timeline.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(super) clock: Clock,
    pub(super) entries: mpsc::UnboundedSender<Entry>,
}

impl Sink {
    /// Something was seen now. With `after`, it happened at any time since then.
    pub(crate) fn put(&self, after: Option<Duration>, what: Observation) {
        // Nobody listens any more once the scenario is over; then there is nothing left to tell.
        let _ = self.entries.send(Entry { t: self.clock.elapsed(), after, what });
    }

    pub(super) fn interrupted(&self, stream: &Stream, reason: String) {
        self.put(None, Observation::Interrupted { stream: stream.clone(), reason });
    }

    pub(super) fn resumed(&self, stream: &Stream, gap: bool) {
        self.put(None, Observation::Resumed { stream: stream.clone(), gap });
    }
}
