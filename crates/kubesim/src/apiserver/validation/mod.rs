//! Validation: every error of an object at once, with its path, worded as the real server words it
//! (pkg/apis/*/validation).

mod affinity;
mod container;
mod disruption;
mod endpoint_slice;
mod endpoints;
mod environment;
mod event;
mod immutable;
mod job;
mod job_policies;
mod lease;
mod metadata;
mod names;
mod namespace;
mod node;
mod pod;
mod priority_class;
mod probe;
mod resources;
mod secret;
mod security;
mod selector;
mod service;
mod volumes;
mod warnings;
mod workloads;

use serde_json::Value;

use crate::{
    resource::Resource,
    status::{FieldError, StatusError},
};

pub(super) use service::is_reached_from_outside;
pub(super) use warnings::warnings;

/// How large the data of a config map or a secret may be.
const MAX_DATA: usize = 1024 * 1024;

/// The errors found so far.
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

    /// One error for each thing that is wrong with a text.
    fn misnamed(&mut self, path: &str, text: &str, problems: Vec<String>) {
        for problem in problems {
            self.invalid(path, &Value::String(text.to_owned()), &problem);
        }
    }

    fn required(&mut self, path: impl Into<String>) {
        self.push(FieldError::required(path, ""));
    }

    fn forbidden(&mut self, path: impl Into<String>, detail: &str) {
        self.push(FieldError::forbidden(path, detail));
    }

    /// A number that must not be negative, if it is there.
    fn not_negative(&mut self, object: &Value, path: &str, field: &str) {
        let value = &object[field];
        if value.as_i64().is_some_and(|number| number < 0) {
            self.invalid(join(path, field), value, "must be greater than or equal to 0");
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

/// The name of a field in the form that the real server works with.
fn capitalised(field: &str) -> String {
    let mut chars = field.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
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
    metadata::check(resource, &object["metadata"], old.is_some(), &mut errors);
    let spec = &object["spec"];
    match (resource.group, resource.plural) {
        // What a running Pod has was checked when it was made, and only few fields can change.
        ("", "pods") if old.is_none() => pod::new(spec, &mut errors),
        ("", "services") => service::check(spec, &mut errors),
        ("", "configmaps") => config_map(object, &mut errors),
        ("", "secrets") => secret::check(object, &mut errors),
        ("", "nodes") => node::taints(spec, &mut errors),
        ("", "namespaces") => namespace::check(object, &mut errors),
        ("", "endpoints") => endpoints::check(object, &mut errors),
        ("", "events") if old.is_none() => event::check(object, &mut errors),
        ("apps" | "batch", _) => workloads::check(resource, object, old, &mut errors),
        ("policy", "poddisruptionbudgets") => disruption::check(spec, &mut errors),
        ("discovery.k8s.io", "endpointslices") => endpoint_slice::check(object, &mut errors),
        ("coordination.k8s.io", "leases") => lease::check(spec, &mut errors),
        ("scheduling.k8s.io", "priorityclasses") => priority_class::check(object, &mut errors),
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

fn labels(labels: &Value, path: &str, errors: &mut Errors) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        errors.misnamed(path, key, names::qualified_name(key));
        let value = value.as_str().unwrap_or_default();
        errors.misnamed(path, value, names::label_value(value));
    }
}

fn config_map(object: &Value, errors: &mut Errors) {
    data(object, &["data", "binaryData"], "[]", errors);
    for key in object["data"].as_object().into_iter().flat_map(|data| data.keys()) {
        if object["binaryData"].get(key).is_some() {
            errors.invalid(format!("data[{key}]"), &Value::String(key.clone()), "duplicate of key present in binaryData");
        }
    }
}

/// The data of config maps and secrets: legal keys, and not too much.
fn data(object: &Value, parts: &[&str], whole: &str, errors: &mut Errors) {
    let mut size = 0;
    for part in parts {
        for (key, value) in object[*part].as_object().into_iter().flatten() {
            size += value.as_str().map_or(0, str::len);
            errors.misnamed(&format!("{part}[{key}]"), key, names::config_key(key));
        }
    }
    if size > MAX_DATA {
        errors.push(FieldError::too_long(whole, MAX_DATA));
    }
}

#[cfg(test)]
mod tests;
