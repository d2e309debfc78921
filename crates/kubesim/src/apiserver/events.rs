//! The two forms of an Event: stored as `v1` of the core group, and served as `events.k8s.io/v1` too
//! (pkg/apis/core/v1/conversion.go, pkg/apis/events/v1/conversion.go).

use serde_json::{Map, Value};

use crate::resource::Resource;

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
