//! Containers (pkg/apis/core/validation:validateContainers, validateInitContainers).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Errors, environment, list, names, probe, resources, security, text, volumes};
use crate::status::FieldError;

/// Checks the containers of a Pod's spec at `path`.
pub(super) fn all(spec: &Value, path: &str, errors: &mut Errors) {
    let volumes: BTreeSet<&str> = list(spec, "volumes").iter().map(|volume| text(volume, "name")).collect();
    let mut seen = BTreeSet::new();
    if list(spec, "containers").is_empty() {
        errors.required(format!("{path}.containers"));
    }
    for field in ["containers", "initContainers"] {
        let mut host_ports = BTreeSet::new();
        for (index, container) in list(spec, field).iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            one(container, &path, &volumes, errors);
            let name = text(container, "name");
            if !name.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate(format!("{path}.name"), &container["name"]));
            }
            errors.one_of(container, &path, "restartPolicy", &["Always", "Never", "OnFailure"]);
            restart_rules(container, &path, errors);
            let is_init = field == "initContainers";
            let has_hooks = !is_init || text(container, "restartPolicy") == "Always";
            probe::of_container(container, &path, has_hooks, spec["terminationGracePeriodSeconds"].as_i64(), errors);
            // Init containers run one by one.
            if is_init {
                host_ports.clear();
            }
            unique_host_ports(container, &path, &mut host_ports, errors);
        }
    }
}

/// Checks when a container is restarted in spite of its policy.
fn restart_rules(container: &Value, path: &str, errors: &mut Errors) {
    let rules = list(container, "restartPolicyRules");
    if !rules.is_empty() && text(container, "restartPolicy").is_empty() {
        let problem = "must specify restartPolicy when restart rules are used";
        errors.push(FieldError::required(format!("{path}.restartPolicy"), problem));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}.restartPolicyRules[{index}]");
        let (action, actions) = (text(rule, "action"), ["Restart", "RestartAllContainers"]);
        if !actions.contains(&action) {
            errors.push(FieldError::not_supported(format!("{path}.action"), action, &actions));
        }
        let Some(codes) = rule.get("exitCodes") else {
            errors.push(FieldError::required(format!("{path}.exitCodes"), "must be specified"));
            continue;
        };
        let (operator, operators) = (text(codes, "operator"), ["In", "NotIn"]);
        if !operators.contains(&operator) {
            errors.push(FieldError::not_supported(format!("{path}.exitCodes.operator"), operator, &operators));
        }
    }
}

fn one(container: &Value, path: &str, volumes: &BTreeSet<&str>, errors: &mut Errors) {
    let name = text(container, "name");
    if name.is_empty() {
        errors.required(format!("{path}.name"));
    } else {
        errors.misnamed(&format!("{path}.name"), name, names::label(name));
    }
    if text(container, "image").is_empty() {
        errors.required(format!("{path}.image"));
    }
    errors.one_of(container, path, "terminationMessagePolicy", &["File", "FallbackToLogsOnError"]);
    ports(container, path, errors);
    environment::check(container, path, errors);
    volumes::mounts(container, path, volumes, errors);
    errors.one_of(container, path, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]);
    resources::check(&container["resources"], &format!("{path}.resources"), errors);
    security::of_container(&container["securityContext"], &format!("{path}.securityContext"), errors);
}

/// Checks the image of a Pod's own container; a template may have one that no Pod can.
pub(super) fn image_of_pod(container: &Value, path: &str, errors: &mut Errors) {
    let image = text(container, "image");
    if image.trim() != image {
        let problem = "must not have leading or trailing whitespace";
        errors.invalid(format!("{path}.image"), &container["image"], problem);
    }
}

/// A number of a port; none is 0.
pub(super) fn port_number(port: &Value, path: &str, errors: &mut Errors) {
    let number = if port.is_null() { 0.into() } else { port.clone() };
    if !number.as_i64().is_some_and(|number| (1..=65_535).contains(&number)) {
        errors.invalid(path, &number, "must be between 1 and 65535, inclusive");
    }
}

fn ports(container: &Value, path: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let problems = names::port_name(name);
            if problems.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate(format!("{path}.name"), &port["name"]));
            }
            errors.misnamed(&format!("{path}.name"), name, problems);
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

fn unique_host_ports(container: &Value, path: &str, seen: &mut BTreeSet<String>, errors: &mut Errors) {
    for (index, port) in list(container, "ports").iter().enumerate() {
        let number = port["hostPort"].as_i64().unwrap_or(0);
        if number == 0 {
            continue;
        }
        let place = format!("{}/{}/{number}", text(port, "protocol"), text(port, "hostIP"));
        if !seen.insert(place.clone()) {
            errors.push(FieldError::duplicate(format!("{path}.ports[{index}].hostPort"), &Value::String(place)));
        }
    }
}
