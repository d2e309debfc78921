//! Metadata (apimachinery/pkg/api/validation/objectmeta.go).

use serde_json::Value;

use super::{Errors, labels, list, names, text};
use crate::{resource::Resource, status::FieldError};

/// How large all annotations together may be.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Checks the metadata of an object.
pub(super) fn check(resource: &Resource, metadata: &Value, is_update: bool, errors: &mut Errors) {
    let name = text(metadata, "name");
    let prefix = text(metadata, "generateName");
    if name.is_empty() && prefix.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if !is_update {
        let problems = match (resource.group, resource.plural) {
            ("", "namespaces" | "services") => names::label(name),
            _ => names::subdomain(name),
        };
        errors.misnamed("metadata.name", name, problems);
    }
    labels(&metadata["labels"], "metadata.labels", errors);
    annotations(&metadata["annotations"], "metadata.annotations", errors);
    for (index, finalizer) in list(metadata, "finalizers").iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        let standard = ["orphan", "foregroundDeletion", "kubernetes"].contains(&name);
        if !standard && (!name.contains('/') || !names::qualified_name(name).is_empty()) {
            let problem = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(format!("metadata.finalizers[{index}]"), finalizer, problem);
        }
    }
    owners(metadata, errors);
}

/// Checks annotations: their keys, which may have upper-case prefixes, and how large they are.
pub(super) fn annotations(annotations: &Value, path: &str, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        errors.misnamed(path, key, names::qualified_name(&key.to_lowercase()));
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long(path, MAX_ANNOTATIONS));
    }
}

fn owners(metadata: &Value, errors: &mut Errors) {
    let path = "metadata.ownerReferences";
    let owners = list(metadata, "ownerReferences");
    for owner in owners {
        for (field, problem) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(owner, field).is_empty() {
                errors.invalid(format!("{path}.{field}"), &Value::String(String::new()), problem);
            }
        }
    }
    let mut controllers = owners.iter().filter(|owner| owner["controller"] == true);
    let Some(first) = controllers.next() else { return };
    for other in controllers {
        let called = |owner: &Value| format!("{}/{}", text(owner, "kind"), text(owner, "name"));
        let problem = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
            called(first),
            called(other)
        );
        errors.invalid(path, &metadata["ownerReferences"], &problem);
    }
}
