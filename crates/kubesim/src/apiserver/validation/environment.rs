//! Environments (`pkg/apis/core/validation:ValidateEnv`, `ValidateEnvFrom`).

use serde_json::Value;

use super::{Errors, list, names, text};
use crate::status::FieldError;

/// The fields of a Pod that a variable can have.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// The resources of a container that a variable can have.
const RESOURCES: [&str; 6] =
    ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"];

/// Checks the variables of a container at `path`.
pub(super) fn check(container: &Value, path: &str, errors: &mut Errors) {
    for (index, variable) in list(container, "env").iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        let name = text(variable, "name");
        if name.is_empty() {
            errors.required(format!("{path}.name"));
        }
        errors.misnamed(&format!("{path}.name"), name, names::variable(name));
        if let Some(source) = variable.get("valueFrom") {
            value_from(source, text(variable, "value"), &format!("{path}.valueFrom"), errors);
        }
    }
    for (index, source) in list(container, "envFrom").iter().enumerate() {
        sources(source, &format!("{path}.envFrom"), index, errors);
    }
}

fn value_from(source: &Value, value: &str, path: &str, errors: &mut Errors) {
    let nothing = Value::String(String::new());
    if let Some(field) = source.get("fieldRef") {
        field_of_pod(field, &format!("{path}.fieldRef"), errors);
    }
    if let Some(resource) = source.get("resourceFieldRef") {
        let name = text(resource, "resource");
        let is_known = RESOURCES.contains(&name) || name.contains(".hugepages-");
        if name.is_empty() {
            errors.required(format!("{path}.resourceFieldRef.resource"));
        } else if !is_known {
            errors.push(FieldError::not_supported(format!("{path}.resourceFieldRef.resource"), name, &RESOURCES));
        }
        divisor(resource, &format!("{path}.resourceFieldRef"), errors);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        let Some(reference) = source.get(kind) else { continue };
        let name = text(reference, "name");
        errors.misnamed(&format!("{path}.{kind}.name"), name, names::subdomain(name));
        let key = text(reference, "key");
        if key.is_empty() {
            errors.required(format!("{path}.{kind}.key"));
        } else {
            errors.misnamed(&format!("{path}.{kind}.key"), key, names::config_key(key));
        }
    }
    match source.as_object().map_or(0, serde_json::Map::len) {
        0 => {
            let problem = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            errors.invalid(path, &nothing, problem);
        }
        _ if !value.is_empty() => errors.invalid(path, &nothing, "may not be specified when `value` is not empty"),
        1 => {}
        _ => errors.invalid(path, &nothing, "may not have more than one field specified at a time"),
    }
}

/// A resource is told in some unit; none is zero.
fn divisor(resource: &Value, path: &str, errors: &mut Errors) {
    let (kind, units) = match text(resource, "resource").split_once('.') {
        Some((_, "cpu")) => ("cpu", "1m and 1"),
        Some((_, "memory")) => ("memory", "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"),
        _ => return,
    };
    let given = resource["divisor"].as_str().unwrap_or("0");
    let is_unit = units.split(", ").flat_map(|unit| unit.split(" and ")).any(|unit| unit == given);
    if given != "0" && !is_unit {
        let problem = format!("only divisor's values {units} are supported with the {kind} resource");
        errors.invalid(format!("{path}.divisor"), &resource["resource"], &problem);
    }
}

fn field_of_pod(field: &Value, path: &str, errors: &mut Errors) {
    let wanted = text(field, "fieldPath");
    if wanted.is_empty() {
        errors.required(format!("{path}.fieldPath"));
        return;
    }
    let version = text(field, "apiVersion");
    if version != "v1" {
        let problem = format!("error converting fieldPath: unsupported pod version: {version}");
        errors.invalid(format!("{path}.fieldPath"), &field["fieldPath"], &problem);
        return;
    }
    let key = |prefix: &str| wanted.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
    if let Some(annotation) = key("metadata.annotations") {
        errors.misnamed(path, annotation, names::qualified_name(&annotation.to_lowercase()));
    } else if let Some(label) = key("metadata.labels") {
        errors.misnamed(path, label, names::qualified_name(label));
    } else if ["metadata.annotations", "metadata.labels"].contains(&wanted) {
        errors.push(FieldError::not_supported(format!("{path}.fieldPath"), wanted, &FIELDS));
    } else if !FIELDS.contains(&wanted) && wanted != "spec.host" {
        let problem = format!("error converting fieldPath: field label not supported: {wanted}");
        errors.invalid(format!("{path}.fieldPath"), &field["fieldPath"], &problem);
    }
}

fn sources(source: &Value, path: &str, index: usize, errors: &mut Errors) {
    let prefix = text(source, "prefix");
    errors.misnamed(&format!("{path}[{index}].prefix"), prefix, names::variable(prefix));
    let mut count = 0;
    for kind in ["configMapRef", "secretRef"] {
        let Some(reference) = source.get(kind) else { continue };
        count += 1;
        let name = text(reference, "name");
        if name.is_empty() {
            errors.required(format!("{path}[{index}].{kind}.name"));
        } else {
            errors.misnamed(&format!("{path}[{index}].{kind}.name"), name, names::subdomain(name));
        }
    }
    let problem = match count {
        0 => "must specify one of: `configMapRef` or `secretRef`",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    // The real server names the list, not its element.
    errors.invalid(path, &Value::String(String::new()), problem);
}
