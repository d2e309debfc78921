//! Pods and the templates that make them (pkg/apis/core/validation:ValidatePodSpec).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Errors, container, list, names, text};
use crate::status::FieldError;

/// Checks a Pod's spec at `path`.
pub(super) fn spec(spec: &Value, path: &str, errors: &mut Errors) {
    volumes(spec, path, errors);
    let mut seen = BTreeSet::new();
    if list(spec, "containers").is_empty() {
        errors.required(format!("{path}.containers"));
    }
    container::all(spec, path, "containers", &mut seen, errors);
    container::all(spec, path, "initContainers", &mut seen, errors);
    errors.one_of(spec, path, "restartPolicy", &["Always", "OnFailure", "Never"]);
    errors.one_of(spec, path, "dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]);
    for (key, value) in spec["nodeSelector"].as_object().into_iter().flatten() {
        if let Some(problem) = names::qualified_name(key) {
            errors.invalid(format!("{path}.nodeSelector"), &Value::String(key.clone()), &problem);
        }
        if let Some(problem) = names::label_value(value.as_str().unwrap_or_default()) {
            errors.invalid(format!("{path}.nodeSelector"), value, problem);
        }
    }
    for (field, kind) in
        [("serviceAccountName", names::subdomain as fn(&str) -> _), ("nodeName", names::subdomain), ("hostname", names::label)]
    {
        let name = text(spec, field);
        if !name.is_empty()
            && let Some(problem) = kind(name)
        {
            errors.invalid(format!("{path}.{field}"), &spec[field], problem);
        }
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let problem = "must be between 1 and 2147483647, inclusive";
        errors.invalid(format!("{path}.activeDeadlineSeconds"), &spec["activeDeadlineSeconds"], problem);
    }
    tolerations(spec, path, errors);
    constraints(spec, path, errors);
}

fn volumes(spec: &Value, path: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let name = text(volume, "name");
        if name.is_empty() {
            errors.required(format!("{path}.name"));
        } else if let Some(problem) = names::label(name) {
            errors.invalid(format!("{path}.name"), &volume["name"], problem);
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &volume["name"]));
        }
        let sources: Vec<&String> = volume.as_object().into_iter().flat_map(|v| v.keys()).filter(|key| *key != "name").collect();
        for further in sources.iter().skip(1) {
            errors.push(FieldError::forbidden(format!("{path}.{further}"), "may not specify more than 1 volume type"));
        }
        for (kind, field) in
            [("configMap", "name"), ("secret", "secretName"), ("hostPath", "path"), ("persistentVolumeClaim", "claimName")]
        {
            if let Some(source) = volume.get(kind)
                && text(source, field).is_empty()
            {
                errors.required(format!("{path}.{kind}.{field}"));
            }
        }
    }
}

fn tolerations(spec: &Value, path: &str, errors: &mut Errors) {
    for (index, toleration) in list(spec, "tolerations").iter().enumerate() {
        let path = format!("{path}.tolerations[{index}]");
        errors.one_of(toleration, &path, "effect", &["", "NoSchedule", "PreferNoSchedule", "NoExecute"]);
        errors.one_of(toleration, &path, "operator", &["", "Equal", "Exists", "Lt", "Gt"]);
        if text(toleration, "operator") == "Exists" && !text(toleration, "value").is_empty() {
            let problem = "value must be empty when `operator` is 'Exists'";
            errors.invalid(format!("{path}.operator"), &toleration["value"], problem);
        }
        if text(toleration, "key").is_empty() && text(toleration, "operator") != "Exists" {
            let problem = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(format!("{path}.operator"), &toleration["operator"], problem);
        }
    }
}

fn constraints(spec: &Value, path: &str, errors: &mut Errors) {
    for (index, constraint) in list(spec, "topologySpreadConstraints").iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        if constraint["maxSkew"].as_i64().unwrap_or(0) <= 0 {
            errors.invalid(format!("{path}.maxSkew"), &constraint["maxSkew"], "must be greater than zero");
        }
        if text(constraint, "topologyKey").is_empty() {
            errors.push(FieldError::required(format!("{path}.topologyKey"), "can not be empty"));
        }
        errors.one_of(constraint, &path, "whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]);
    }
}
