//! What cannot change once an object exists (the `Validate…Update` of pkg/apis/*/validation).

use serde_json::Value;

use super::{Errors, list};
use crate::{resource::Resource, status::FieldError};

/// Checks what a change has changed.
pub(super) fn check(resource: &Resource, old: &Value, new: &Value, errors: &mut Errors) {
    let fields: &[&str] = match (resource.group, resource.plural) {
        ("", "pods") => return pod(&old["spec"], &new["spec"], errors),
        ("apps", "deployments" | "replicasets" | "daemonsets") => &["/spec/selector"],
        ("batch", "jobs") => {
            let suspended = old["spec"]["suspend"] == true;
            if suspended {
                &["/spec/selector", "/spec/completions"]
            } else {
                &["/spec/selector", "/spec/completions", "/spec/template"]
            }
        }
        ("", "secrets") => &["/type"],
        ("", "services") => return cluster_address(&old["spec"], &new["spec"], errors),
        ("scheduling.k8s.io", "priorityclasses") => &["/value", "/preemptionPolicy"],
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
    for part in ["data", "binaryData"] {
        if old["immutable"] == true && (old[part] != new[part] || new["immutable"] != true) {
            errors.push(FieldError::forbidden(part, "field is immutable when `immutable` is set"));
        }
    }
}

fn cluster_address(old: &Value, new: &Value, errors: &mut Errors) {
    if old["type"] != "ExternalName" && new["type"] != "ExternalName" && old["clusterIP"] != new["clusterIP"] {
        errors.invalid("spec.clusterIPs[0]", &new["clusterIP"], "may not change once set");
    }
}

/// Only images, the deadline, further tolerations and a grace that was negative can change in a Pod.
fn pod(old: &Value, new: &Value, errors: &mut Errors) {
    const MESSAGE: &str = "pod updates may not change fields other than \
        `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
        additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
        previously negative)";
    if list(old, "containers").len() != list(new, "containers").len() {
        errors.push(FieldError::forbidden("spec.containers", "pod updates may not add or remove containers"));
        return;
    }
    let kept = list(old, "tolerations").iter().all(|toleration| list(new, "tolerations").contains(toleration));
    if !kept {
        errors.push(FieldError::forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        ));
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
        errors.push(FieldError::forbidden("spec", &format!("{MESSAGE}\n({})", changed.join(", "))));
    }
}
