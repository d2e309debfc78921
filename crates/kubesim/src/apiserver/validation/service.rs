//! Services (pkg/apis/core/validation:ValidateService).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Errors, container::port_number, list, names, probe::target_port, text};
use crate::status::FieldError;

/// Checks a Service's spec.
pub(super) fn check(spec: &Value, errors: &mut Errors) {
    let ports = list(spec, "ports");
    let kind = text(spec, "type");
    if ports.is_empty() && kind != "ExternalName" && text(spec, "clusterIP") != "None" {
        errors.required("spec.ports");
    }
    if kind == "ExternalName" && text(spec, "externalName").is_empty() {
        errors.required("spec.externalName");
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if name.is_empty() {
            if ports.len() > 1 {
                errors.required(format!("{path}.name"));
            }
        } else if let Some(problem) = names::label(name) {
            errors.invalid(format!("{path}.name"), &port["name"], problem);
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &port["name"]));
        }
        port_number(&port["port"], &format!("{path}.port"), errors);
        errors.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
        if kind != "ExternalName" {
            target_port(&port["targetPort"], &format!("{path}.targetPort"), errors);
        }
    }
    errors.one_of(spec, "spec", "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    errors.one_of(spec, "spec", "sessionAffinity", &["ClientIP", "None"]);
}
