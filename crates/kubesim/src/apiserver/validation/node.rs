//! Nodes (pkg/apis/core/validation:validateNodeTaints).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Errors, list, names, text};
use crate::status::FieldError;

/// What a taint can do.
pub(super) const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Checks the taints of a node.
pub(super) fn taints(spec: &Value, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, taint) in list(spec, "taints").iter().enumerate() {
        // The real server says that they are in the metadata.
        let path = format!("metadata.taints[{index}]");
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        errors.misnamed(&format!("{path}.key"), key, names::qualified_name(key));
        errors.misnamed(&format!("{path}.value"), value, names::label_value(value));
        if effect.is_empty() {
            errors.required(format!("{path}.effect"));
        } else {
            errors.one_of(taint, &path, "effect", &EFFECTS);
        }
        if !seen.insert((key, effect)) {
            let time = &taint["timeAdded"];
            let shown = format!("{{\"Key\":{key:?},\"Value\":{value:?},\"Effect\":{effect:?},\"TimeAdded\":{time}}}");
            let message = format!("Duplicate value: {shown}: taints must be unique by key and effect pair");
            errors.push(FieldError { path, reason: "FieldValueDuplicate", message });
        }
    }
}
