//! What cannot change once an object exists (the `Validate…Update` of pkg/apis/*/validation).

use serde_json::Value;

use super::{Errors, container, list, pod::tolerations, text};
use crate::resource::Resource;

/// Checks what a change has changed.
pub(super) fn check(resource: &Resource, old: &Value, new: &Value, errors: &mut Errors) {
    let fields: &[&str] = match (resource.group, resource.plural) {
        ("", "pods") => return pod(&old["spec"], &new["spec"], errors),
        ("apps", "deployments" | "replicasets" | "daemonsets") => &["/spec/selector"],
        ("batch", "jobs") => {
            let suspended = old["spec"]["suspend"] == true;
            if suspended {
                &["/spec/selector", "/spec/completionMode", "/spec/completions", "/spec/podFailurePolicy", "/spec/successPolicy"]
            } else {
                &[
                    "/spec/selector",
                    "/spec/completionMode",
                    "/spec/completions",
                    "/spec/template",
                    "/spec/podFailurePolicy",
                    "/spec/successPolicy",
                ]
            }
        }
        ("", "secrets") => &["/type"],
        ("", "services") => return cluster_address(&old["spec"], &new["spec"], errors),
        ("discovery.k8s.io", "endpointslices") => &["/addressType"],
        ("scheduling.k8s.io", "priorityclasses") => {
            if old["value"] != new["value"] {
                errors.forbidden("value", "may not be changed in an update.");
            }
            &["/preemptionPolicy"]
        }
        ("apps", "controllerrevisions") => &["/data"],
        _ => &[],
    };
    for pointer in fields {
        let value = new.pointer(pointer).unwrap_or(&Value::Null);
        if value != old.pointer(pointer).unwrap_or(&Value::Null) {
            let path = pointer.trim_start_matches('/').replace('/', ".");
            errors.invalid(path, value, "field is immutable");
        }
    }
    if old["immutable"] == true {
        let problem = "field is immutable when `immutable` is set";
        if new["immutable"] != true {
            errors.forbidden("immutable", problem);
        }
        for part in ["data", "binaryData"].iter().filter(|part| old[**part] != new[**part]) {
            errors.forbidden(*part, problem);
        }
    }
}

fn cluster_address(old: &Value, new: &Value, errors: &mut Errors) {
    if old["type"] != "ExternalName" && new["type"] != "ExternalName" && old["clusterIP"] != new["clusterIP"] {
        errors.invalid("spec.clusterIPs[0]", &new["clusterIPs"], "may not change once set");
    }
}

/// Only images, the deadline, further tolerations and a grace that was negative can change in a Pod.
fn pod(old: &Value, new: &Value, errors: &mut Errors) {
    const MESSAGE: &str = "pod updates may not change fields other than \
        `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
        additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
        previously negative)";
    if list(old, "containers").len() != list(new, "containers").len() {
        errors.forbidden("spec.containers", "pod updates may not add or remove containers");
        return;
    }
    for field in ["containers", "initContainers"] {
        for (index, container) in list(new, field).iter().enumerate() {
            let path = format!("spec.{field}[{index}]");
            if text(container, "image").is_empty() {
                errors.required(format!("{path}.image"));
            }
            container::image_of_pod(container, &path, errors);
        }
    }
    if !deadline(&old["activeDeadlineSeconds"], &new["activeDeadlineSeconds"], errors) {
        return;
    }
    let is_kept = |old: &Value| list(new, "tolerations").iter().any(|new| without_seconds(new) == without_seconds(old));
    if !list(old, "tolerations").iter().all(is_kept) {
        let problem = "existing toleration can not be modified except its tolerationSeconds";
        errors.forbidden("spec.tolerations", problem);
    } else if old["tolerations"] != new["tolerations"] {
        tolerations(new, "spec", errors);
    }
    let gates = |spec: &Value| list(spec, "schedulingGates").len();
    let mut comparable = new.clone();
    for field in ["activeDeadlineSeconds", "tolerations"] {
        comparable[field] = old[field].clone();
    }
    for field in ["containers", "initContainers"] {
        for (container, before) in comparable[field].as_array_mut().into_iter().flatten().zip(list(old, field)) {
            container["image"] = before["image"].clone();
        }
    }
    if gates(new) <= gates(old) {
        comparable["schedulingGates"] = old["schedulingGates"].clone();
    }
    if gates(old) > 0 {
        for field in ["nodeSelector", "affinity"] {
            comparable[field] = old[field].clone();
        }
    }
    if let Value::Object(fields) = &mut comparable {
        fields.retain(|_, value| !value.is_null());
    }
    if comparable != *old {
        let changed: Vec<&str> = comparable
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| old.get(key.as_str()) != Some(value))
            .map(|(key, _)| key.as_str())
            .collect();
        errors.forbidden("spec", &format!("{MESSAGE}\n({})", changed.join(", ")));
    }
}

/// A deadline can be set and come nearer; whether the rest is worth looking at.
fn deadline(old: &Value, new: &Value, errors: &mut Errors) -> bool {
    let path = "spec.activeDeadlineSeconds";
    match (old.as_i64(), new.as_i64()) {
        (_, Some(seconds)) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            errors.invalid(path, new, "must be between 0 and 2147483647, inclusive");
            return false;
        }
        (Some(before), Some(seconds)) if before < seconds => {
            errors.invalid(path, new, "must be less than or equal to previous value");
            return false;
        }
        (Some(_), None) => errors.invalid(path, new, "must not update from a positive integer to nil value"),
        _ => {}
    }
    true
}

fn without_seconds(toleration: &Value) -> Value {
    let mut toleration = toleration.clone();
    if let Value::Object(fields) = &mut toleration {
        fields.remove("tolerationSeconds");
    }
    toleration
}
