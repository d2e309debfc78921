//! Label selectors (apimachinery/pkg/apis/meta/v1/validation).

use serde_json::Value;

use super::{Errors, labels, list, names, text};
use crate::status::FieldError;

/// A label selector as the real server shows it: without what is empty, and with the key of each requirement.
pub(super) fn shown(selector: &Value) -> Value {
    let mut selector = selector.clone();
    for requirement in selector["matchExpressions"].as_array_mut().into_iter().flatten() {
        if requirement.get("key").is_none() {
            requirement["key"] = Value::String(String::new());
        }
    }
    if let Value::Object(fields) = &mut selector {
        let is_empty = |part: &Value| {
            part.is_null() || part.as_object().is_some_and(serde_json::Map::is_empty) || part.as_array().is_some_and(Vec::is_empty)
        };
        fields.retain(|_, part| !is_empty(part));
    }
    selector
}

/// Checks a label selector at `path`, if there is one.
pub(super) fn check(selector: &Value, path: &str, errors: &mut Errors) {
    labels(&selector["matchLabels"], &format!("{path}.matchLabels"), errors);
    for (index, requirement) in list(selector, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        values(requirement, &path, false, errors);
        values_are_labels(requirement, &path, errors);
    }
}

/// Checks the operator and the key of a requirement, and how many values it has; whether bounds are allowed.
pub(super) fn values(requirement: &Value, path: &str, has_bounds: bool, errors: &mut Errors) {
    let count = list(requirement, "values").len();
    match text(requirement, "operator") {
        "In" | "NotIn" if count == 0 => {
            let problem = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(format!("{path}.values"), problem));
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            let problem = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(format!("{path}.values"), problem);
        }
        "Gt" | "Lt" if has_bounds => {
            if count != 1 {
                let problem = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(FieldError::required(format!("{path}.values"), problem));
            }
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        operator => {
            let operator = Value::String(operator.to_owned());
            errors.invalid(format!("{path}.operator"), &operator, "not a valid selector operator");
        }
    }
    let key = text(requirement, "key");
    errors.misnamed(&format!("{path}.key"), key, names::qualified_name(key));
}

/// Checks that the values of a requirement can be values of labels.
pub(super) fn values_are_labels(requirement: &Value, path: &str, errors: &mut Errors) {
    for (index, value) in list(requirement, "values").iter().enumerate() {
        let value = value.as_str().unwrap_or_default();
        errors.misnamed(&format!("{path}.values[{index}]"), value, names::label_value(value));
    }
}
