//! The two forms of an Event: stored as `v1` of the core group, and served as `events.k8s.io/v1` too
//! (pkg/apis/core/v1/conversion.go, pkg/apis/events/v1/conversion.go).

use std::{collections::VecDeque, sync::PoisonError, time::Duration};

use serde_json::{Map, Value};

use super::ApiServer;
use crate::{
    object::{Key, Object},
    resource::{EVENTS, Resource},
};

/// How long an event is kept after it was last written (kube-apiserver `--event-ttl`).
const LIFETIME: Duration = Duration::from_hours(1);

/// The events in the order in which they were written, so that what is over is at the front.
#[derive(Debug, Default)]
pub(super) struct Expiry(VecDeque<Written>);

#[derive(Debug)]
struct Written {
    at: Duration,
    key: Key,
    revision: u64,
}

impl ApiServer {
    /// Notes that an object was written, if it is an event, and deletes the events that are over. There is no timer: they go
    /// with the next event that is written or when events are read.
    pub(super) fn expire_events(&self, resource: &'static Resource, written: Option<&Object>) {
        if resource.stored() != &EVENTS {
            return;
        }
        let now = self.clock().elapsed();
        let mut expiry = self.inner.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = written {
            expiry.0.push_back(Written { at: now, key: event.key(), revision: event.revision() });
        }
        while expiry.0.front().is_some_and(|oldest| oldest.at + LIFETIME <= now)
            && let Some(oldest) = expiry.0.pop_front()
        {
            // One that was written again since stands in the list again.
            if let Some(event) = self.store().get(&EVENTS, &oldest.key)
                && event.revision() == oldest.revision
            {
                drop(self.store().delete(&EVENTS, &oldest.key, oldest.revision, event.value().clone()));
            }
        }
    }
}

/// Pairs of names that a field has in the core group and in `events.k8s.io`.
const RENAMED: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The stored object as the resource's own group gives it out.
pub(crate) fn external(resource: &'static Resource, stored: &Value) -> Value {
    if resource == resource.stored() {
        return stored.clone();
    }
    let mut object = stored.clone();
    rename(&mut object, RENAMED.iter().copied(), "events.k8s.io/v1");
    object
}

/// Turns what a request brought into the stored form.
pub(crate) fn to_stored(resource: &'static Resource, object: &mut Value) {
    if resource != resource.stored() {
        rename(object, RENAMED.iter().map(|(old, new)| (*new, *old)), "v1");
    }
}

fn rename<'a>(object: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)>, api_version: &str) {
    let Value::Object(fields) = object else { return };
    let mut renamed = Map::new();
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            renamed.insert(to.to_owned(), value);
        }
    }
    fields.extend(renamed);
    fields.insert("apiVersion".to_owned(), Value::String(api_version.to_owned()));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::NEW_EVENTS;

    #[test]
    fn an_event_survives_the_way_through_the_store() {
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "note": "n",
            "regarding": {"kind": "Pod"}, "reportingController": "scheduler", "eventTime": "2026-01-01T00:00:00.000000Z"
        });
        let mut stored = event.clone();
        to_stored(&NEW_EVENTS, &mut stored);
        assert_eq!(stored["message"], "n");
        assert_eq!(stored["involvedObject"]["kind"], "Pod");
        assert_eq!(external(&NEW_EVENTS, &stored), event);
    }
}
