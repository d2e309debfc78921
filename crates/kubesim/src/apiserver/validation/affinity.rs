//! Affinity (pkg/apis/core/validation:validateAffinity).

use serde_json::Value;

use super::{Errors, list, names, selector, text};
use crate::status::FieldError;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Checks the affinity of a Pod at `path`.
pub(super) fn check(affinity: &Value, path: &str, errors: &mut Errors) {
    node_affinity(&affinity["nodeAffinity"], &format!("{path}.nodeAffinity"), errors);
    for kind in ["podAffinity", "podAntiAffinity"] {
        pod_affinity(&affinity[kind], &format!("{path}.{kind}"), errors);
    }
}

fn node_affinity(affinity: &Value, path: &str, errors: &mut Errors) {
    if let Some(required) = affinity.get(REQUIRED) {
        let path = format!("{path}.{REQUIRED}.nodeSelectorTerms");
        let terms = list(required, "nodeSelectorTerms");
        if terms.is_empty() {
            errors.push(FieldError::required(&path, "must have at least one node selector term"));
        }
        for (index, term) in terms.iter().enumerate() {
            node_term(term, &format!("{path}[{index}]"), true, errors);
        }
    }
    for (index, preferred) in list(affinity, PREFERRED).iter().enumerate() {
        let path = format!("{path}.{PREFERRED}[{index}]");
        weight(preferred, &path, errors);
        node_term(&preferred["preference"], &format!("{path}.preference"), false, errors);
    }
}

fn node_term(term: &Value, path: &str, is_required: bool, errors: &mut Errors) {
    for (index, requirement) in list(term, "matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        selector::values(requirement, &path, true, errors);
        // A preference may name what can be no label.
        if is_required {
            selector::values_are_labels(requirement, &path, errors);
        }
    }
    for (index, requirement) in list(term, "matchFields").iter().enumerate() {
        node_field(requirement, &format!("{path}.matchFields[{index}]"), errors);
    }
}

fn node_field(requirement: &Value, path: &str, errors: &mut Errors) {
    if !["In", "NotIn"].contains(&text(requirement, "operator")) {
        errors.invalid(format!("{path}.operator"), &requirement["operator"], "not a valid selector operator");
    } else if list(requirement, "values").len() != 1 {
        let problem = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
        errors.push(FieldError::required(format!("{path}.values"), problem));
    }
    if text(requirement, "key") != "metadata.name" {
        errors.invalid(format!("{path}.key"), &requirement["key"], "not a valid field selector key");
    }
}

fn pod_affinity(affinity: &Value, path: &str, errors: &mut Errors) {
    for (index, term) in list(affinity, REQUIRED).iter().enumerate() {
        pod_term(term, &format!("{path}.{REQUIRED}[{index}]"), errors);
    }
    for (index, preferred) in list(affinity, PREFERRED).iter().enumerate() {
        let path = format!("{path}.{PREFERRED}[{index}]");
        weight(preferred, &path, errors);
        pod_term(&preferred["podAffinityTerm"], &format!("{path}.podAffinityTerm"), errors);
    }
}

fn pod_term(term: &Value, path: &str, errors: &mut Errors) {
    for field in ["labelSelector", "namespaceSelector"] {
        selector::check(&term[field], &format!("{path}.{field}"), errors);
    }
    for namespace in list(term, "namespaces") {
        let name = namespace.as_str().unwrap_or_default();
        errors.misnamed(&format!("{path}.namespace"), name, names::label(name));
    }
    let key = text(term, "topologyKey");
    if key.is_empty() {
        errors.push(FieldError::required(format!("{path}.topologyKey"), "can not be empty"));
    }
    errors.misnamed(&format!("{path}.topologyKey"), key, names::qualified_name(key));
}

fn weight(preferred: &Value, path: &str, errors: &mut Errors) {
    if !preferred["weight"].as_i64().is_some_and(|weight| (1..=100).contains(&weight)) {
        errors.invalid(format!("{path}.weight"), &preferred["weight"].as_i64().unwrap_or(0).into(), "must be in the range 1-100");
    }
}
