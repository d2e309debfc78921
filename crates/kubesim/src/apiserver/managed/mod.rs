//! Field management: who owns which field, and server-side apply (sigs.k8s.io/structured-merge-diff).

mod apply;
mod set;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::metadata::metadata;
use crate::resource::Resource;

pub(super) use apply::{Conflict, apply};
use set::FieldSet;

/// One manager's fields, as in `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    api_version: Value,
    time: Value,
    set: FieldSet,
}

impl Entry {
    fn read(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            api_version: value["apiVersion"].clone(),
            time: value["time"].clone(),
            set: FieldSet::read(&value["fieldsV1"]),
        }
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.set.write(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten().map(Entry::read).collect()
}

fn store(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.set.is_empty());
    // Applied sets come first, then updates, each by time and manager (managedfields/internal/managedfields.go).
    entries.sort_by(|a, b| {
        let key = |e: &Entry| (e.operation != "Apply", e.time.as_str().unwrap_or_default().to_owned(), e.manager.clone());
        key(a).cmp(&key(b))
    });
    if entries.is_empty() {
        metadata(object).remove("managedFields");
    } else {
        metadata(object).insert("managedFields".to_owned(), entries.iter().map(Entry::write).collect());
    }
}

/// Gives the fields that an update has set or changed to its manager, and takes the ones that it removed from all.
pub(super) fn track(resource: &Resource, subresource: &str, old: &Value, new: &mut Value, manager: &str, now: &Time) {
    let mut all = entries(old);
    // A client may drop all managers by sending an empty list.
    if new["metadata"]["managedFields"].as_array().is_some_and(|list| list.is_empty() || list == &[json!({})]) {
        all.clear();
    }
    let changed = FieldSet::changed(old, new);
    let present = FieldSet::of(new);
    for entry in &mut all {
        let is_own = entry.manager == manager && entry.operation == "Update" && entry.subresource == subresource;
        entry.set = entry.set.intersection(&present);
        if !is_own {
            entry.set = entry.set.difference(&changed);
        }
    }
    if !changed.is_empty() {
        let own = all.iter_mut().find(|e| e.manager == manager && e.operation == "Update" && e.subresource == subresource);
        match own {
            Some(own) => {
                own.set = own.set.union(&changed);
                own.time = json!(now);
            }
            None => all.push(Entry {
                manager: manager.to_owned(),
                operation: "Update".to_owned(),
                subresource: subresource.to_owned(),
                api_version: json!(resource.api_version()),
                time: json!(now),
                set: changed,
            }),
        }
    }
    store(new, all);
}
