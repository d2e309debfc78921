//! How often the events of a pattern have occurred since a step's action.

use std::collections::BTreeMap;

use serde_json::Value;

use super::world::World;
use crate::scenario::EventPattern;
use crate::timeline::ObjectObservation;

/// Counts occurrences by the counts that events carry: an event that occurs again is the same object with a higher count.
#[derive(Debug, Default)]
pub(super) struct Occurrences {
    /// The highest count of each event, by uid.
    known: BTreeMap<String, u32>,
    total: u32,
}

impl Occurrences {
    /// Begins with the events that are there already; they do not count.
    pub(super) fn begin(pattern: &EventPattern, world: &World) -> Self {
        let like = world.of_kind("v1", "Event").filter(|event| is_like(pattern, &event.observed.object));
        let known = like.map(|event| (event.observed.uid.clone(), occurrences(&event.observed.object))).collect();
        Self { known, total: 0 }
    }

    /// An event is there that need not have occurred since.
    pub(super) fn know(&mut self, event: &ObjectObservation) {
        let known = self.known.entry(event.uid.clone()).or_default();
        *known = occurrences(&event.object).max(*known);
    }

    /// An event has occurred, perhaps more than once. Gives the number of occurrences of all if it has grown.
    pub(super) fn add(&mut self, event: &ObjectObservation) -> Option<u32> {
        let known = self.known.entry(event.uid.clone()).or_default();
        let new = occurrences(&event.object).saturating_sub(*known);
        *known += new;
        self.total = self.total.saturating_add(new);
        (new > 0).then_some(self.total)
    }
}

/// Whether an event is like a pattern, apart from its count.
pub(super) fn is_like(pattern: &EventPattern, event: &Value) -> bool {
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let source = [text("/source/component"), text("/reportingComponent")];
    pattern.event_type.as_deref().is_none_or(|wanted| wanted == text("/type"))
        && pattern.reason.as_ref().is_none_or(|wanted| wanted.matches(text("/reason")))
        && pattern.message.as_ref().is_none_or(|wanted| wanted.matches(text("/message")))
        && pattern.source.as_ref().is_none_or(|wanted| source.iter().any(|s| wanted.matches(s)))
        && pattern
            .for_object
            .as_ref()
            .is_none_or(|target| target.kind == text("/involvedObject/kind") && target.name.matches(text("/involvedObject/name")))
}

/// `count` of the legacy event API, `series.count` of the new one, else 1
/// (`client-go/tools/record/events_cache.go`, `client-go/tools/events/event_recorder.go`).
pub(super) fn occurrences(event: &Value) -> u32 {
    let number = |pointer| event.pointer(pointer).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    number("/count").or_else(|| number("/series/count")).unwrap_or(1).max(1)
}
