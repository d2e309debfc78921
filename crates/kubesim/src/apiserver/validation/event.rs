//! Events (pkg/apis/core/validation/events.go:legacyValidateEvent).

use serde_json::Value;

use super::{Errors, text};

/// Checks that an event is in the namespace of what it is about.
pub(super) fn check(event: &Value, errors: &mut Errors) {
    let namespace = text(&event["metadata"], "namespace");
    let about = text(&event["involvedObject"], "namespace");
    let has_time = event.get("eventTime").is_some_and(|time| !time.is_null());
    let agrees = match (about, has_time) {
        ("", false) => namespace == "default",
        ("", true) => ["default", "kube-system"].contains(&namespace),
        (_, false) => namespace == about,
        (_, true) => true,
    };
    if !agrees {
        let about = Value::String(about.to_owned());
        errors.invalid("involvedObject.namespace", &about, "does not match event.namespace");
    }
}
