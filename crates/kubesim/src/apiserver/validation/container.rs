//! Containers (pkg/apis/core/validation:validateContainers).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Errors, list, names, parse_quantity, probe, text};
use crate::status::FieldError;

/// Checks the containers of one list of a Pod; `seen` has the names of those before.
pub(super) fn all(spec: &Value, path: &str, field: &str, seen: &mut BTreeSet<String>, errors: &mut Errors) {
    let volumes: BTreeSet<&str> = list(spec, "volumes").iter().map(|volume| text(volume, "name")).collect();
    for (index, container) in list(spec, field).iter().enumerate() {
        let path = format!("{path}.{field}[{index}]");
        one(container, &path, field != "containers", &volumes, errors);
        let name = text(container, "name");
        if !name.is_empty() && !seen.insert(name.to_owned()) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &container["name"]));
        }
    }
}

fn one(container: &Value, path: &str, is_init: bool, volumes: &BTreeSet<&str>, errors: &mut Errors) {
    let name = text(container, "name");
    if name.is_empty() {
        errors.required(format!("{path}.name"));
    } else if let Some(problem) = names::label(name) {
        errors.invalid(format!("{path}.name"), &container["name"], problem);
    }
    let image = text(container, "image");
    if image.is_empty() {
        errors.required(format!("{path}.image"));
    } else if image.trim() != image {
        let problem = "must not have leading or trailing whitespace";
        errors.invalid(format!("{path}.image"), &container["image"], problem);
    }
    ports(container, path, errors);
    environment(container, path, errors);
    mounts(container, path, volumes, errors);
    errors.one_of(container, path, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]);
    errors.one_of(container, path, "terminationMessagePolicy", &["FallbackToLogsOnError", "File"]);
    let is_sidecar = text(container, "restartPolicy") == "Always";
    probe::of_container(container, path, !is_init || is_sidecar, errors);
    resources(&container["resources"], &format!("{path}.resources"), errors);
}

/// A number of a port.
pub(super) fn port_number(port: &Value, path: &str, errors: &mut Errors) {
    if !port.as_i64().is_some_and(|port| (1..=65_535).contains(&port)) {
        errors.invalid(path, port, "must be between 1 and 65535, inclusive");
    }
}

fn ports(container: &Value, path: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            match names::port_name(name) {
                Some(problem) => errors.invalid(format!("{path}.name"), &port["name"], problem),
                None if !seen.insert(name) => errors.push(FieldError::duplicate(format!("{path}.name"), &port["name"])),
                None => {}
            }
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => errors.required(format!("{path}.containerPort")),
            Some(_) => port_number(&port["containerPort"], &format!("{path}.containerPort"), errors),
        }
        if port["hostPort"].as_i64().is_some_and(|port| port != 0) {
            port_number(&port["hostPort"], &format!("{path}.hostPort"), errors);
        }
        errors.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
    }
}

fn environment(container: &Value, path: &str, errors: &mut Errors) {
    for (index, variable) in list(container, "env").iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        let name = text(variable, "name");
        if name.is_empty() {
            errors.required(format!("{path}.name"));
        } else if let Some(problem) = names::variable(name) {
            errors.invalid(format!("{path}.name"), &variable["name"], problem);
        }
        let Some(source) = variable.get("valueFrom") else { continue };
        let path = format!("{path}.valueFrom");
        let sources = source.as_object().map_or(0, serde_json::Map::len);
        if sources == 0 {
            let problem = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            errors.invalid(&path, &Value::String(String::new()), problem);
        } else if sources > 1 {
            errors.invalid(&path, &Value::String(String::new()), "may not have more than one field specified at a time");
        }
        if !text(variable, "value").is_empty() {
            errors.invalid(&path, &Value::String(String::new()), "may not be specified when `value` is not empty");
        }
        for kind in ["configMapKeyRef", "secretKeyRef"] {
            if let Some(reference) = source.get(kind)
                && text(reference, "key").is_empty()
            {
                errors.required(format!("{path}.{kind}.key"));
            }
        }
    }
}

fn mounts(container: &Value, path: &str, volumes: &BTreeSet<&str>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        let name = text(mount, "name");
        if name.is_empty() {
            errors.required(format!("{path}.name"));
        } else if !volumes.contains(name) {
            errors.push(FieldError::not_found(format!("{path}.name"), name));
        }
        let place = text(mount, "mountPath");
        if place.is_empty() {
            errors.required(format!("{path}.mountPath"));
        } else if !seen.insert(place) {
            errors.invalid(format!("{path}.mountPath"), &mount["mountPath"], "must be unique");
        }
    }
}

fn resources(resources: &Value, path: &str, errors: &mut Errors) {
    let amounts = |kind: &str| resources[kind].as_object().into_iter().flatten();
    for kind in ["limits", "requests"] {
        for (name, amount) in amounts(kind) {
            if amount.as_str().and_then(parse_quantity).is_some_and(|amount| amount < 0.0) {
                errors.invalid(format!("{path}.{kind}[{name}]"), amount, "must be greater than or equal to 0");
            }
        }
    }
    for (name, request) in amounts("requests") {
        let limit = &resources["limits"][name.as_str()];
        let value = |amount: &Value| amount.as_str().and_then(parse_quantity);
        if let (Some(request_value), Some(limit_value)) = (value(request), value(limit))
            && request_value > limit_value
        {
            let problem = format!("must be less than or equal to {name} limit of {}", limit.as_str().unwrap_or_default());
            errors.invalid(format!("{path}.requests"), request, &problem);
        }
    }
}
