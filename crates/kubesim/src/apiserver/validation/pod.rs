//! Pods and the templates that make them (`pkg/apis/core/validation:ValidatePodCreate`, `ValidatePodTemplateSpec`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Errors, affinity, container, labels, list, metadata, names, node, security, selector, service::is_address, text, volumes,
};
use crate::status::FieldError;

/// Checks the spec of a new Pod.
pub(super) fn new(spec: &Value, errors: &mut Errors) {
    check(spec, "spec", errors);
    for field in ["containers", "initContainers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            container::image_of_pod(container, &format!("spec.{field}[{index}]"), errors);
        }
    }
    if !list(spec, "ephemeralContainers").is_empty() {
        errors.forbidden("spec.ephemeralContainers", "cannot be set on create");
    }
    if !text(spec, "nodeName").is_empty() && !list(spec, "schedulingGates").is_empty() {
        errors.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared");
    }
}

/// Checks a template at `path`.
pub(super) fn template(template: &Value, path: &str, errors: &mut Errors) {
    labels(&template["metadata"]["labels"], &format!("{path}.labels"), errors);
    metadata::annotations(&template["metadata"]["annotations"], &format!("{path}.annotations"), errors);
    let spec = &template["spec"];
    check(spec, &format!("{path}.spec"), errors);
    if !list(spec, "ephemeralContainers").is_empty() {
        errors.forbidden(format!("{path}.spec.ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

fn check(spec: &Value, path: &str, errors: &mut Errors) {
    volumes::check(spec, path, errors);
    container::all(spec, path, errors);
    host_network(spec, path, errors);
    errors.one_of(spec, path, "restartPolicy", &["Always", "OnFailure", "Never"]);
    errors.one_of(spec, path, "dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    labels(&spec["nodeSelector"], &format!("{path}.nodeSelector"), errors);
    security::of_pod(&spec["securityContext"], &format!("{path}.securityContext"), errors);
    if spec["shareProcessNamespace"] == true && spec["hostPID"] == true {
        let problem = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(format!("{path}.shareProcessNamespace"), &spec["shareProcessNamespace"], problem);
    }
    affinity::check(&spec["affinity"], &format!("{path}.affinity"), errors);
    dns(spec, path, errors);
    hosts(spec, path, errors);
    system(spec, path, errors);
    gates(spec, path, errors);
    constraints(spec, path, errors);
    named(spec, path, errors);
    tolerations(spec, path, errors);
    errors.one_of(spec, path, "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
}

fn host_network(spec: &Value, path: &str, errors: &mut Errors) {
    if spec["hostNetwork"] != true {
        return;
    }
    for (container, ports) in list(spec, "containers").iter().map(|container| list(container, "ports")).enumerate() {
        for (index, port) in ports.iter().enumerate() {
            let host_port = port["hostPort"].as_i64().unwrap_or(0);
            if host_port != 0 && port["hostPort"] != port["containerPort"] {
                let path = format!("{path}.containers[{container}].ports[{index}].hostPort");
                errors.invalid(path, &port["hostPort"], "must match `containerPort` when `hostNetwork` is true");
            }
        }
    }
}

fn hosts(spec: &Value, path: &str, errors: &mut Errors) {
    for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
        let path = format!("{path}.hostAliases[{index}]");
        is_address(text(alias, "ip"), &format!("{path}.ip"), errors);
        for (index, name) in list(alias, "hostnames").iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            errors.misnamed(&format!("{path}.hostnames[{index}]"), name, names::subdomain(name));
        }
    }
}

fn system(spec: &Value, path: &str, errors: &mut Errors) {
    let Some(system) = spec.get("os") else { return };
    let (name, known) = (text(system, "name"), ["linux", "windows"]);
    if name.is_empty() {
        errors.required(format!("{path}.os.name"));
    } else if !known.contains(&name) {
        errors.push(FieldError::not_supported(format!("{path}.os"), name, &known));
    }
}

fn dns(spec: &Value, path: &str, errors: &mut Errors) {
    for (index, server) in list(&spec["dnsConfig"], "nameservers").iter().enumerate() {
        is_address(server.as_str().unwrap_or_default(), &format!("{path}.dnsConfig.nameservers[{index}]"), errors);
    }
    for (index, option) in list(&spec["dnsConfig"], "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.push(FieldError::required(format!("{path}.dnsConfig.options[{index}]"), "must not be empty"));
        }
    }
    if text(spec, "dnsPolicy") != "None" {
        return;
    }
    if spec.get("dnsConfig").is_none() {
        let problem = "must provide `dnsConfig` when `dnsPolicy` is None";
        errors.push(FieldError::required(format!("{path}.dnsConfig"), problem));
    } else if list(&spec["dnsConfig"], "nameservers").is_empty() {
        let problem = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(FieldError::required(format!("{path}.dnsConfig.nameservers"), problem));
    }
}

fn gates(spec: &Value, path: &str, errors: &mut Errors) {
    for (index, gate) in list(spec, "readinessGates").iter().enumerate() {
        let kind = text(gate, "conditionType");
        errors.misnamed(&format!("{path}.readinessGates[{index}].conditionType"), kind, names::qualified_name(kind));
    }
    let mut seen = BTreeSet::new();
    for (index, gate) in list(spec, "schedulingGates").iter().enumerate() {
        let (path, name) = (format!("{path}.schedulingGates[{index}]"), text(gate, "name"));
        errors.misnamed(&path, name, names::qualified_name(name));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(path, &gate["name"]));
        }
    }
}

fn named(spec: &Value, path: &str, errors: &mut Errors) {
    for field in ["serviceAccountName", "nodeName", "hostname", "subdomain", "priorityClassName"] {
        let name = text(spec, field);
        let problems = match field {
            "hostname" | "subdomain" => names::label(name),
            _ => names::subdomain(name),
        };
        if !name.is_empty() {
            errors.misnamed(&format!("{path}.{field}"), name, problems);
        }
        if field == "nodeName" {
            deadline(spec, path, errors);
        }
    }
}

fn deadline(spec: &Value, path: &str, errors: &mut Errors) {
    let deadline = &spec["activeDeadlineSeconds"];
    if deadline.as_i64().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        errors.invalid(format!("{path}.activeDeadlineSeconds"), deadline, "must be between 1 and 2147483647, inclusive");
    }
}

/// Checks the tolerations of a Pod's spec at `path`.
pub(super) fn tolerations(spec: &Value, path: &str, errors: &mut Errors) {
    for (index, toleration) in list(spec, "tolerations").iter().enumerate() {
        let path = format!("{path}.tolerations[{index}]");
        let (key, value, effect) = (text(toleration, "key"), text(toleration, "value"), text(toleration, "effect"));
        let operator = text(toleration, "operator");
        if !key.is_empty() {
            errors.misnamed(&format!("{path}.key"), key, names::qualified_name(key));
        } else if operator != "Exists" {
            let problem = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(format!("{path}.operator"), &Value::String(operator.to_owned()), problem);
        }
        if toleration.get("tolerationSeconds").is_some() && effect != "NoExecute" {
            let problem = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(format!("{path}.effect"), &Value::String(effect.to_owned()), problem);
        }
        match operator {
            "" | "Equal" => errors.misnamed(&format!("{path}.operator"), value, names::label_value(value)),
            "Exists" if !value.is_empty() => {
                let problem = "value must be empty when `operator` is 'Exists'";
                errors.invalid(format!("{path}.operator"), &toleration["value"], problem);
            }
            "Exists" => {}
            // They are a feature that is off by default, and are named all the same.
            "Lt" | "Gt" => {
                errors.push(FieldError::not_supported(format!("{path}.operator"), operator, &["Equal", "Exists", "Lt", "Gt"]));
            }
            _ => errors.one_of(toleration, &path, "operator", &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            errors.one_of(toleration, &path, "effect", &node::EFFECTS);
        }
    }
}

fn constraints(spec: &Value, path: &str, errors: &mut Errors) {
    let constraints = list(spec, "topologySpreadConstraints");
    for (index, constraint) in constraints.iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        let (key, action) = (text(constraint, "topologyKey"), text(constraint, "whenUnsatisfiable"));
        if constraint["maxSkew"].as_i64().unwrap_or(0) <= 0 {
            let skew = constraint["maxSkew"].as_i64().unwrap_or(0).into();
            errors.invalid(format!("{path}.maxSkew"), &skew, "must be greater than zero");
        }
        if key.is_empty() {
            errors.push(FieldError::required(format!("{path}.topologyKey"), "can not be empty"));
        }
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        if !actions.contains(&action) {
            errors.push(FieldError::not_supported(format!("{path}.whenUnsatisfiable"), action, &actions));
        }
        let is_alike = |other: &Value| text(other, "topologyKey") == key && text(other, "whenUnsatisfiable") == action;
        if constraints.iter().skip(index + 1).any(is_alike) {
            let pair = Value::String(format!("{{{key}, {action}}}"));
            errors.push(FieldError::duplicate(format!("{path}.{{topologyKey, whenUnsatisfiable}}"), &pair));
        }
        if constraint["minDomains"].as_i64().is_some_and(|domains| domains <= 0) {
            errors.invalid(format!("{path}.minDomains"), &constraint["minDomains"], "must be greater than zero");
        }
        if constraint.get("minDomains").is_some() && action == "ScheduleAnyway" {
            let problem = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            errors.invalid(format!("{path}.minDomains"), &constraint["minDomains"], &problem);
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            errors.one_of(constraint, &path, field, &["Honor", "Ignore"]);
        }
        selector::check(&constraint["labelSelector"], &format!("{path}.labelSelector"), errors);
    }
}
