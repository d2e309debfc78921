//! What is known at a moment of a timeline: the objects that exist, and the streams that are silent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::scenario::{EventPattern, ObjectRef, Selection};
use crate::timeline::{Change, Entry, ObjectObservation, Observation, Stream};

type ObjectKey = (String, String, String);

/// The state that a timeline's entries add up to.
#[derive(Clone, Debug, Default)]
pub struct World {
    objects: BTreeMap<ObjectKey, ObjectObservation>,
    interrupted: BTreeMap<Stream, Duration>,
}

impl World {
    /// Takes in the next entry.
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.what {
            Observation::Object(object) => self.apply_object(object),
            Observation::Interrupted { stream, .. } => {
                self.interrupted.entry(stream.clone()).or_insert(entry.t);
            }
            Observation::Resumed { stream, .. } => {
                self.interrupted.remove(stream);
            }
            _ => {}
        }
    }

    fn apply_object(&mut self, observed: &ObjectObservation) {
        let key = (observed.api_version.clone(), observed.kind.clone(), observed.name.clone());
        if observed.change == Change::Deleted {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key, observed.clone());
        }
    }

    /// The object of this name, if it exists.
    pub fn object(&self, object: &ObjectRef) -> Option<&ObjectObservation> {
        self.objects.get(&(object.api_version.clone(), object.kind.clone(), object.name.clone()))
    }

    /// The objects that a selection picks now, by name.
    pub fn selected<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = &'a ObjectObservation> {
        self.of_kind(&selection.api_version, &selection.kind).filter(|object| picks(selection, object))
    }

    /// The objects of one kind, by name.
    pub fn of_kind<'a>(&'a self, api_version: &str, kind: &str) -> impl Iterator<Item = &'a ObjectObservation> {
        let first = (api_version.to_owned(), kind.to_owned(), String::new());
        let (api_version, kind) = (first.0.clone(), first.1.clone());
        self.objects.range(first..).take_while(move |(key, _)| key.0 == api_version && key.1 == kind).map(|(_, object)| object)
    }

    /// How often events like the pattern have occurred, by the counts that the events carry.
    pub fn occurrences(&self, pattern: &EventPattern) -> u32 {
        self.of_kind("v1", "Event").filter(|event| is_like(pattern, &event.object)).map(|event| occurrences(&event.object)).sum()
    }

    /// Counts the times of interrupted streams from this time on.
    pub(super) fn count_from(&mut self, zero: Duration) {
        self.interrupted.values_mut().for_each(|since| *since = since.saturating_sub(zero));
    }

    /// The streams that are interrupted, with the time since when.
    pub fn interrupted(&self) -> impl Iterator<Item = (&Stream, Duration)> {
        self.interrupted.iter().map(|(stream, since)| (stream, *since))
    }
}

fn picks(selection: &Selection, object: &ObjectObservation) -> bool {
    let terminating = object.object.pointer("/metadata/deletionTimestamp").is_some();
    selection.terminating.is_none_or(|wanted| wanted == terminating) && selection.selector.matches(&object.object)
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
fn occurrences(event: &Value) -> u32 {
    let number = |pointer| event.pointer(pointer).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    number("/count").or_else(|| number("/series/count")).unwrap_or(1).max(1)
}
