//! Field management: who owns which field, and server-side apply (sigs.k8s.io/structured-merge-diff).

mod apply;
mod misfits;
mod set;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::metadata::metadata;
use crate::resource::Resource;

pub(super) use apply::{Applier, Conflict, apply};
pub(super) use misfits::{duplicate, misfit, undeclared};
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
    /// Whether this is what the manager owns by such requests (managedfields/internal/managedfields.go:BuildManagerIdentifier).
    fn is_of(&self, manager: &str, operation: &str, subresource: &str) -> bool {
        self.manager == manager && self.operation == operation && self.subresource == subresource
    }

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

/// The managers that a write starts from: those that the client sends, or those of the object. A list of one empty entry
/// drops all (managedfields/internal/fieldmanager.go:decodeLiveOrNew).
fn sent_or_live(subresource: &str, old: &Value, new: &Value) -> Vec<Entry> {
    let sent = entries(new);
    match new["metadata"]["managedFields"].as_array().map(Vec::as_slice) {
        _ if !subresource.is_empty() => entries(old),
        Some([one]) if one.as_object().is_some_and(serde_json::Map::is_empty) => Vec::new(),
        _ if sent.is_empty() => entries(old),
        _ => sent,
    }
}

/// A set without the fields that a write through the subresource resets (`GetResetFields` in pkg/registry/*/strategy.go).
fn writable(resource: &Resource, subresource: &str, set: FieldSet) -> FieldSet {
    match subresource {
        "status" if resource.group == "apps" => set.without(&["spec"]).without(&["metadata", "labels"]),
        "status" => set.without(&["spec"]),
        _ if resource.subresource("status").is_some() => set.without(&["status"]),
        _ => set,
    }
}

/// Gives the fields that an update has set or changed to its manager, and takes the ones that it removed from all.
pub(super) fn track(resource: &Resource, subresource: &str, old: &Value, new: &mut Value, manager: &str, now: &Time) {
    let mut all = sent_or_live(subresource, old, new);
    let changed = writable(resource, subresource, FieldSet::changed(old, new));
    let present = FieldSet::of(new);
    for entry in &mut all {
        entry.set = entry.set.intersection(&present);
        if !entry.is_of(manager, "Update", subresource) {
            entry.set = entry.set.difference(&changed);
        }
    }
    if !changed.is_empty() {
        match all.iter_mut().find(|entry| entry.is_of(manager, "Update", subresource)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::DEPLOYMENTS;

    fn now() -> Time {
        Time("2026-01-01T00:00:00Z".parse().unwrap())
    }

    fn managers(object: &Value) -> Vec<String> {
        entries(object).into_iter().map(|entry| format!("{}/{}", entry.manager, entry.operation)).collect()
    }

    #[test]
    fn a_client_may_rename_managers_and_drop_them() {
        let mut made = json!({"metadata": {"name": "d"}, "spec": {"replicas": 1}});
        track(&DEPLOYMENTS, "", &json!({}), &mut made, "me", &now());
        let mut renamed = made.clone();
        renamed["metadata"]["managedFields"][0]["manager"] = json!("other");
        track(&DEPLOYMENTS, "", &made, &mut renamed, "migration", &now());
        assert_eq!(managers(&renamed), ["other/Update"]);
        let mut empty = renamed.clone();
        empty["metadata"]["managedFields"] = json!([]);
        track(&DEPLOYMENTS, "", &renamed, &mut empty, "migration", &now());
        assert_eq!(managers(&empty), ["other/Update"]);
        empty["metadata"]["managedFields"] = json!([{}]);
        track(&DEPLOYMENTS, "", &renamed, &mut empty, "migration", &now());
        assert_eq!(empty["metadata"].get("managedFields"), None);
    }

    #[test]
    fn the_status_belongs_to_who_writes_it_at_its_subresource() {
        let mut made = json!({"metadata": {"name": "d"}, "spec": {"replicas": 1}, "status": {"replicas": 1}});
        track(&DEPLOYMENTS, "", &json!({}), &mut made, "me", &now());
        assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    }
}
