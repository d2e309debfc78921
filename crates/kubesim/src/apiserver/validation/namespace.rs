//! Namespaces (pkg/apis/core/validation:ValidateNamespace, pod-security-admission/admission).

use serde_json::Value;

use super::{Errors, list, names, text};

/// Checks the finalizers, and the labels that say which Pods may be in it.
pub(super) fn check(namespace: &Value, errors: &mut Errors) {
    for finalizer in list(&namespace["spec"], "finalizers") {
        let name = finalizer.as_str().unwrap_or_default();
        if name != "kubernetes" && (!name.contains('/') || !names::qualified_name(name).is_empty()) {
            errors.invalid("spec.finalizers", finalizer, "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
    let labels = &namespace["metadata"]["labels"];
    for mode in ["enforce", "audit", "warn"] {
        let key = format!("pod-security.kubernetes.io/{mode}");
        let level = text(labels, &key);
        if labels.get(&key).is_some() && !["privileged", "baseline", "restricted"].contains(&level) {
            let problem = "must be one of privileged, baseline, restricted";
            errors.invalid(format!("metadata.labels[{key}]"), &labels[&key], problem);
        }
        let key = format!("{key}-version");
        let version = text(labels, &key);
        let is_minor = version.strip_prefix("v1.").is_some_and(|minor| minor.parse::<u32>().is_ok());
        if labels.get(&key).is_some() && version != "latest" && !is_minor {
            errors.invalid(format!("metadata.labels[{key}]"), &labels[&key], "must be \"latest\" or \"v1.x\"");
        }
    }
}
