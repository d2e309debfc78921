//! Validation: every error of an object at once, with its path, worded as the real server words it
//! (pkg/apis/*/validation).

mod container;
mod immutable;
mod names;
mod pod;
mod probe;
mod quantity;
mod service;
mod workloads;

use serde_json::Value;

use crate::{
    resource::Resource,
    status::{FieldError, StatusError},
};

pub(super) use quantity::parse as parse_quantity;

/// How large the data of a config map or a secret may be.
const MAX_DATA: usize = 1024 * 1024;

/// How large all annotations together may be.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The errors found so far, and the path to where they are looked for.
#[derive(Default)]
struct Errors {
    list: Vec<FieldError>,
}

impl Errors {
    fn push(&mut self, error: FieldError) {
        self.list.push(error);
    }

    fn invalid(&mut self, path: impl Into<String>, value: &Value, detail: &str) {
        self.push(FieldError::invalid(path, value, detail));
    }

    fn required(&mut self, path: impl Into<String>) {
        self.push(FieldError::required(path, ""));
    }

    /// A number that must not be negative, if it is there.
    fn not_negative(&mut self, object: &Value, path: &str, field: &str) {
        self.at_least(object, path, field, 0);
    }

    fn at_least(&mut self, object: &Value, path: &str, field: &str, least: i64) {
        let value = &object[field];
        if value.as_i64().is_some_and(|number| number < least) {
            let detail = if least == 0 {
                "must be greater than or equal to 0".to_owned()
            } else if least == 1 {
                "must be greater than 0".to_owned()
            } else {
                format!("must be greater than or equal to {least}")
            };
            self.invalid(join(path, field), value, &detail);
        }
    }

    /// A word that must be one of these, if it is there.
    fn one_of(&mut self, object: &Value, path: &str, field: &str, words: &[&str]) {
        if let Some(word) = object[field].as_str()
            && !words.contains(&word)
        {
            self.push(FieldError::not_supported(join(path, field), word, words));
        }
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// Checks an object; on an update, against what it was.
///
/// # Errors
/// `Invalid`, with everything that is wrong.
pub(super) fn check(resource: &Resource, object: &Value, old: Option<&Value>) -> Result<(), StatusError> {
    let mut errors = Errors::default();
    metadata(resource, &object["metadata"], old.is_some(), &mut errors);
    let spec = &object["spec"];
    match (resource.group, resource.plural) {
        // What a running Pod has was checked when it was made, and only few fields can change.
        ("", "pods") if old.is_none() => pod::spec(spec, "spec", &mut errors),
        ("", "services") => service::check(spec, &mut errors),
        ("", "configmaps") => data(object, &["data", "binaryData"], &mut errors),
        ("", "secrets") => data(object, &["data"], &mut errors),
        ("apps" | "batch", _) => workloads::check(resource, object, old, &mut errors),
        ("policy", "poddisruptionbudgets") => workloads::budget(spec, &mut errors),
        _ => {}
    }
    if let Some(old) = old {
        immutable::check(resource, old, object, &mut errors);
    }
    if errors.list.is_empty() {
        return Ok(());
    }
    Err(StatusError::invalid(resource.group, resource.kind, text(&object["metadata"], "name"), errors.list))
}

fn metadata(resource: &Resource, metadata: &Value, is_update: bool, errors: &mut Errors) {
    let name = text(metadata, "name");
    let prefix = text(metadata, "generateName");
    if name.is_empty() && prefix.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if !name.is_empty() && !is_update {
        let problem = match resource.plural {
            "namespaces" => names::label(name),
            _ => names::subdomain(name),
        };
        if let Some(problem) = problem {
            errors.invalid("metadata.name", &metadata["name"], problem);
        }
    }
    labels(&metadata["labels"], "metadata.labels", errors);
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Some(problem) = names::qualified_name(&key.to_lowercase()) {
            errors.invalid("metadata.annotations", &Value::String(key.clone()), &problem);
        }
    }
    if size > MAX_ANNOTATIONS {
        let message = format!("Too long: may not be more than {MAX_ANNOTATIONS} bytes");
        errors.push(FieldError { path: "metadata.annotations".to_owned(), reason: "FieldValueTooLong", message });
    }
    for (index, finalizer) in list(metadata, "finalizers").iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        let standard = ["orphan", "foregroundDeletion", "kubernetes"].contains(&name);
        if !standard && (!name.contains('/') || names::qualified_name(name).is_some()) {
            let problem = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(format!("metadata.finalizers[{index}]"), finalizer, problem);
        }
    }
    let controllers = list(metadata, "ownerReferences").iter().filter(|owner| owner["controller"] == true).count();
    if controllers > 1 {
        let problem = "Only one reference can have Controller set to true";
        errors.invalid("metadata.ownerReferences", &metadata["ownerReferences"], problem);
    }
}

fn labels(labels: &Value, path: &str, errors: &mut Errors) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        if let Some(problem) = names::qualified_name(key) {
            errors.invalid(path, &Value::String(key.clone()), &problem);
        }
        if let Some(problem) = names::label_value(value.as_str().unwrap_or_default()) {
            errors.invalid(path, value, problem);
        }
    }
}

/// The data of config maps and secrets: legal keys, and not too much.
fn data(object: &Value, parts: &[&str], errors: &mut Errors) {
    let mut size = 0;
    for part in parts {
        for (key, value) in object[*part].as_object().into_iter().flatten() {
            size += value.as_str().map_or(0, str::len);
            if let Some(problem) = names::config_key(key) {
                errors.invalid(format!("{part}[{key}]"), &Value::String(key.clone()), problem);
            }
        }
    }
    if size > MAX_DATA {
        let message = format!("Too long: may not be more than {MAX_DATA} bytes");
        errors.push(FieldError { path: "[]".to_owned(), reason: "FieldValueTooLong", message });
    }
}

#[cfg(test)]
mod tests;
