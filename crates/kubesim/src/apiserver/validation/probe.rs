//! Probes and lifecycle hooks (pkg/apis/core/validation:validateProbe, validateHandler).

use serde_json::{Value, json};

use super::{Errors, container::port_number, list, names, text};
use crate::status::FieldError;

/// The ways to probe or to hook.
const KINDS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// Checks the probes and hooks of a container, if it can have any; `grace` is how long its Pod may take to end.
pub(super) fn of_container(container: &Value, path: &str, has_hooks: bool, grace: Option<i64>, errors: &mut Errors) {
    if !has_hooks {
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if container.get(field).is_some() {
                let problem = "may not be set for init containers without restartPolicy=Always";
                errors.forbidden(format!("{path}.{field}"), problem);
            }
        }
        return;
    }
    for hook in ["postStart", "preStop"] {
        if let Some(handler) = container["lifecycle"].get(hook) {
            let path = format!("{path}.lifecycle.{hook}");
            action(handler, &path, errors);
            sleep(&handler["sleep"], grace, &path, errors);
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get(kind) {
            check(probe, kind, &format!("{path}.{kind}"), errors);
        }
    }
}

/// A container cannot sleep for longer than its Pod may take to end.
fn sleep(sleep: &Value, grace: Option<i64>, path: &str, errors: &mut Errors) {
    if let (Some(seconds), Some(grace)) = (sleep["seconds"].as_i64(), grace)
        && !(0..=grace).contains(&seconds)
    {
        let problem = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.invalid(format!("{path}.sleep"), &sleep["seconds"], &problem);
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
            for header in list(body, "httpHeaders") {
                header_name(text(header, "name"), &format!("{path}.httpHeaders"), errors);
            }
        }
        "tcpSocket" => target_port(&body["port"], &format!("{path}.port"), errors),
        "grpc" => port_number(&body["port"], &format!("{path}.port"), errors),
        _ => {}
    }
}

fn header_name(name: &str, path: &str, errors: &mut Errors) {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let problem = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used \
                       for validation is '[-A-Za-z0-9]+')";
        errors.invalid(path, &Value::String(name.to_owned()), problem);
    }
}

/// A port by number or by name.
pub(super) fn target_port(port: &Value, path: &str, errors: &mut Errors) {
    match port.as_str() {
        Some(name) => errors.misnamed(path, name, names::port_name(name)),
        None => port_number(port, path, errors),
    }
}
