//! Volumes and where they are mounted (`pkg/apis/core/validation:ValidateVolumes`, `ValidateVolumeMounts`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Errors, list, names, text};
use crate::{quantity::Amount, status::FieldError};

/// What a hostPath can be said to be.
const HOST_PATHS: [&str; 8] = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Checks the volumes of a Pod's spec at `path`.
pub(super) fn check(spec: &Value, path: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let name = text(volume, "name");
        let problems = names::label(name);
        if name.is_empty() {
            errors.required(format!("{path}.name"));
        } else if problems.is_empty() && !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &volume["name"]));
        } else {
            errors.misnamed(&format!("{path}.name"), name, problems);
        }
        let sources: Vec<&String> = volume.as_object().into_iter().flat_map(|v| v.keys()).filter(|key| *key != "name").collect();
        for further in sources.iter().skip(1) {
            errors.forbidden(format!("{path}.{further}"), "may not specify more than 1 volume type");
        }
        source(volume, &path, errors);
    }
}

fn source(volume: &Value, path: &str, errors: &mut Errors) {
    for (kind, field) in
        [("configMap", "name"), ("secret", "secretName"), ("hostPath", "path"), ("persistentVolumeClaim", "claimName")]
    {
        if let Some(source) = volume.get(kind)
            && text(source, field).is_empty()
        {
            errors.required(format!("{path}.{kind}.{field}"));
        }
    }
    for kind in ["configMap", "secret"] {
        mode(&volume[kind], &format!("{path}.{kind}"), "defaultMode", errors);
        items(&volume[kind], &format!("{path}.{kind}"), errors);
    }
    downward(&volume["downwardAPI"], &format!("{path}.downwardAPI"), errors);
    for (index, source) in list(&volume["projected"], "sources").iter().enumerate() {
        let path = format!("{path}.projected.sources[{index}]");
        let lifetime = &source["serviceAccountToken"]["expirationSeconds"];
        if lifetime.as_i64().is_some_and(|seconds| seconds < 600) {
            let problem = "may not specify a duration less than 10 minutes";
            errors.invalid(format!("{path}.serviceAccountToken.expirationSeconds"), lifetime, problem);
        }
    }
    let size = &volume["emptyDir"]["sizeLimit"];
    if size.as_str().and_then(|size| size.parse::<Amount>().ok()).is_some_and(Amount::is_negative) {
        errors.forbidden(format!("{path}.emptyDir.sizeLimit"), "SizeLimit field must be a valid resource quantity");
    }
    if let Some(host) = volume.get("hostPath") {
        errors.one_of(host, &format!("{path}.hostPath"), "type", &HOST_PATHS);
        without_steps_back(text(host, "path"), &format!("{path}.hostPath.path"), errors);
    }
}

/// Checks which fields of the Pod become files. The real server names the list, not its element.
fn downward(source: &Value, path: &str, errors: &mut Errors) {
    const FIELDS: [&str; 5] = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
    for item in list(source, "items") {
        if let Some(field) = item.get("fieldRef") {
            let wanted = text(field, "fieldPath");
            let is_entry = ["metadata.annotations['", "metadata.labels['"].iter().any(|prefix| wanted.starts_with(prefix));
            if !is_entry && !FIELDS.contains(&wanted) {
                errors.push(FieldError::not_supported(format!("{path}.fieldRef.fieldPath"), wanted, &FIELDS));
            }
        } else if item.get("resourceFieldRef").is_none() {
            errors.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
        }
    }
}

fn items(source: &Value, path: &str, errors: &mut Errors) {
    for (index, item) in list(source, "items").iter().enumerate() {
        let path = format!("{path}.items[{index}]");
        for field in ["key", "path"] {
            if text(item, field).is_empty() {
                errors.required(format!("{path}.{field}"));
            }
        }
        let place = text(item, "path");
        descending(place, &format!("{path}.path"), errors);
        if place.starts_with("..") && !place.starts_with("../") {
            errors.invalid(format!("{path}.path"), &item["path"], "must not start with '..'");
        }
        mode(item, &path, "mode", errors);
    }
}

fn mode(object: &Value, path: &str, field: &str, errors: &mut Errors) {
    if object[field].as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        let problem = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.invalid(format!("{path}.{field}"), &object[field], problem);
    }
}

fn descending(place: &str, path: &str, errors: &mut Errors) {
    if place.starts_with('/') {
        errors.invalid(path, &Value::String(place.to_owned()), "must be a relative path");
    }
    without_steps_back(place, path, errors);
}

fn without_steps_back(place: &str, path: &str, errors: &mut Errors) {
    if place.split('/').any(|part| part == "..") {
        errors.invalid(path, &Value::String(place.to_owned()), "must not contain '..'");
    }
}

/// Checks what a container at `path` mounts of these volumes.
pub(super) fn mounts(container: &Value, path: &str, volumes: &BTreeSet<&str>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let list_path = format!("{path}.volumeMounts");
        let path = format!("{list_path}[{index}]");
        let name = text(mount, "name");
        if name.is_empty() {
            errors.required(format!("{path}.name"));
        }
        if !volumes.contains(name) {
            errors.push(FieldError::not_found(format!("{path}.name"), name));
        }
        let place = text(mount, "mountPath");
        if place.is_empty() {
            errors.required(format!("{path}.mountPath"));
        }
        if !seen.insert(place) {
            errors.invalid(format!("{path}.mountPath"), &mount["mountPath"], "must be unique");
        }
        // The real server names the list here, not its element.
        descending(text(mount, "subPath"), &format!("{list_path}.subPath"), errors);
        if !text(mount, "subPathExpr").is_empty() {
            if !text(mount, "subPath").is_empty() {
                let problem = "subPathExpr and subPath are mutually exclusive";
                errors.invalid(format!("{path}.subPathExpr"), &mount["subPathExpr"], problem);
            }
            descending(text(mount, "subPathExpr"), &format!("{list_path}.subPathExpr"), errors);
        }
        errors.one_of(mount, &list_path, "mountPropagation", &["Bidirectional", "HostToContainer", "None"]);
        errors.one_of(mount, &list_path, "recursiveReadOnly", &["Disabled", "Enabled", "IfPossible"]);
    }
}
