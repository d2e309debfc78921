//! Probes and lifecycle hooks (pkg/apis/core/validation:validateProbe, validateHandler).

use serde_json::{Value, json};

use super::{Errors, container::port_number, names, text};
use crate::status::FieldError;

/// The ways to probe or to hook.
const KINDS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// Checks the probes and hooks of a container.
pub(super) fn of_container(container: &Value, path: &str, is_sidecar_or_main: bool, errors: &mut Errors) {
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(kind) else { continue };
        let path = format!("{path}.{kind}");
        if !is_sidecar_or_main {
            errors.push(FieldError::forbidden(path, "may not be set for init containers without restartPolicy=Always"));
            continue;
        }
        check(probe, kind, &path, errors);
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook_value) = container["lifecycle"].get(hook) {
            action(hook_value, &format!("{path}.lifecycle.{hook}"), errors);
        }
    }
}

fn check(probe: &Value, kind: &str, path: &str, errors: &mut Errors) {
    action(probe, path, errors);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        errors.not_negative(probe, path, field);
    }
    if kind != "readinessProbe" && probe["successThreshold"] != json!(1) {
        errors.invalid(format!("{path}.successThreshold"), &probe["successThreshold"], "must be 1");
    }
    let grace = &probe["terminationGracePeriodSeconds"];
    match grace.as_i64() {
        Some(_) if kind == "readinessProbe" => {
            errors.invalid(format!("{path}.terminationGracePeriodSeconds"), grace, "must not be set for readinessProbes");
        }
        Some(seconds) if seconds <= 0 => {
            errors.invalid(format!("{path}.terminationGracePeriodSeconds"), grace, "must be greater than 0");
        }
        _ => {}
    }
}

fn action(action: &Value, path: &str, errors: &mut Errors) {
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| action.get(kind).is_some()).collect();
    let Some((first, others)) = given.split_first() else {
        errors.push(FieldError::required(path, "must specify a handler type"));
        return;
    };
    for other in others {
        errors.push(FieldError::forbidden(format!("{path}.{other}"), "may not specify more than 1 handler type"));
    }
    let path = format!("{path}.{first}");
    let body = &action[*first];
    match *first {
        "exec" if body["command"].as_array().is_none_or(Vec::is_empty) => errors.required(format!("{path}.command")),
        "httpGet" => {
            if text(body, "path").is_empty() {
                errors.required(format!("{path}.path"));
            }
            target_port(&body["port"], &format!("{path}.port"), errors);
            errors.one_of(body, &path, "scheme", &["HTTP", "HTTPS"]);
        }
        "tcpSocket" => target_port(&body["port"], &format!("{path}.port"), errors),
        "grpc" => port_number(&body["port"], &format!("{path}.port"), errors),
        _ => {}
    }
}

/// A port by number or by name.
pub(super) fn target_port(port: &Value, path: &str, errors: &mut Errors) {
    match port.as_str() {
        Some(name) => {
            if let Some(problem) = names::port_name(name) {
                errors.invalid(path, port, problem);
            }
        }
        None => port_number(port, path, errors),
    }
}
