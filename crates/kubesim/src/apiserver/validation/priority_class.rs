//! Priority classes (pkg/apis/scheduling/validation).

use serde_json::Value;

use super::{Errors, text};

/// The classes that every cluster has.
const SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

/// The highest priority that is not the system's.
const HIGHEST: i64 = 1_000_000_000;

/// Checks a priority class.
pub(super) fn check(class: &Value, errors: &mut Errors) {
    let name = text(&class["metadata"], "name");
    let value = class["value"].as_i64().unwrap_or(0);
    if name.starts_with("system-") {
        if !SYSTEM.contains(&name) {
            let problem = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known \
                 system priority class"
            );
            errors.forbidden("metadata.name", &problem);
        }
    } else if value > HIGHEST {
        errors.forbidden("value", &format!("maximum allowed value of a user defined priority is {HIGHEST}"));
    }
    errors.one_of(class, "", "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
}
