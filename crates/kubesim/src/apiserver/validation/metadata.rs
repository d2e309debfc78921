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
        let problems = |name: &str| match (resource.group, resource.plural) {
            ("", "namespaces" | "services") => names::label(name),
            _ => names::subdomain(name),
        };
        if !prefix.is_empty() {
            // What comes after the prefix ends the name.
            errors.misnamed("metadata.generateName", prefix, problems(&masked(prefix)));
        }
        errors.misnamed("metadata.name", name, problems(name));
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

/// A prefix with an end that may be one (apimachinery/pkg/api/validation/generic.go:maskTrailingDash).
fn masked(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => prefix.to_owned(),
    }
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
    for (index, owner) in owners.iter().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                errors.push(FieldError::required(format!("{path}[{index}].{field}"), "must not be empty"));
            }
        }
        if (text(owner, "apiVersion"), text(owner, "kind")) == ("v1", "Event") {
            let problem = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid_text(format!("{path}[{index}]"), &shown(owner), problem));
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
        let all: Vec<String> = owners.iter().map(shown).collect();
        errors.push(FieldError::invalid_text(path, &format!("[{}]", all.join(",")), &problem));
    }
}

/// An owner with its fields in the order of its type.
fn shown(owner: &Value) -> String {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let given = fields.iter().filter_map(|field| Some(format!("{field:?}:{}", owner.get(*field)?)));
    format!("{{{}}}", given.collect::<Vec<_>>().join(","))
}
