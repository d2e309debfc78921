//! Server-side apply (structured-merge-diff/merge/update.go).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use super::{
    Entry, entries,
    set::{FieldSet, element_key},
    store,
};
use crate::{
    resource::Resource,
    schema::{ListType, is_atomic_map, list_type},
};

/// A field that somebody else owns and that the applied configuration would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::apiserver) struct Conflict {
    /// Who owns it.
    pub(in crate::apiserver) manager: String,
    /// The field.
    pub(in crate::apiserver) path: String,
}

/// Applies a manager's configuration to an object (an empty one if there is none yet).
///
/// # Errors
/// The conflicts with other managers, unless they are to be overruled.
pub(in crate::apiserver) fn apply(
    resource: &Resource,
    live: &Value,
    config: &Value,
    manager: &str,
    force: bool,
    now: &Time,
) -> Result<Value, Vec<Conflict>> {
    let mut all = entries(live);
    let wanted = FieldSet::of(config);
    let own_place = all.iter().position(|entry| entry.manager == manager && entry.operation == "Apply");
    let last = own_place.map(|place| all[place].set.clone()).unwrap_or_default();
    let mut merged = live.clone();
    merge(&mut merged, config, &mut Vec::new());

    let is_other = |entry: &Entry| !(entry.manager == manager && entry.operation == "Apply");
    let others = all.iter().filter(|e| is_other(e)).fold(FieldSet::default(), |set, e| set.union(&e.set));
    remove(&mut merged, &last.difference(&wanted), &others, &mut Vec::new());

    let changed = FieldSet::changed(live, &merged);
    let conflicts: Vec<Conflict> = all
        .iter()
        .filter(|entry| is_other(entry))
        .flat_map(|entry| {
            let paths = leaves(&changed.intersection(&entry.set).intersection(&wanted));
            paths.into_iter().map(|path| Conflict { manager: describe(entry), path })
        })
        .collect();
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }
    for entry in all.iter_mut().filter(|entry| is_other(entry)) {
        entry.set = entry.set.difference(&changed.intersection(&wanted));
    }
    let unchanged = own_place.is_some_and(|place| all[place].set == wanted);
    match own_place {
        Some(place) => {
            all[place].set = wanted;
            if !unchanged || !changed.is_empty() {
                all[place].time = json!(now);
            }
        }
        None => all.push(Entry {
            manager: manager.to_owned(),
            operation: "Apply".to_owned(),
            subresource: String::new(),
            api_version: json!(resource.api_version()),
            time: json!(now),
            set: wanted,
        }),
    }
    store(&mut merged, all);
    Ok(merged)
}

/// A manager as a conflict names it.
fn describe(entry: &Entry) -> String {
    if entry.operation == "Apply" {
        return format!("{:?}", entry.manager);
    }
    let subresource =
        if entry.subresource.is_empty() { String::new() } else { format!(" with subresource {:?}", entry.subresource) };
    let version = entry.api_version.as_str().unwrap_or_default();
    format!("{:?}{subresource} using {version}", entry.manager)
}

/// The paths of a set but for the elements of lists themselves, which only their fields make differ.
fn leaves(set: &FieldSet) -> Vec<String> {
    set.paths().into_iter().filter(|path| !path.ends_with(']')).collect()
}

fn merge<'a>(live: &mut Value, config: &'a Value, path: &mut Vec<&'a str>) {
    match config {
        Value::Object(fields) if !is_atomic_map(path) => {
            if !live.is_object() {
                *live = Value::Object(Map::new());
            }
            let Value::Object(target) = live else { return };
            for (key, value) in fields {
                path.push(key);
                merge(target.entry(key).or_insert(Value::Null), value, path);
                path.pop();
            }
        }
        Value::Array(items) if list_type(path) != ListType::Atomic => merge_list(live, items, path),
        value => *live = value.clone(),
    }
}

fn merge_list<'a>(live: &mut Value, items: &'a [Value], path: &mut Vec<&'a str>) {
    let kind = list_type(path);
    if !live.is_array() {
        *live = json!([]);
    }
    let Value::Array(target) = live else { return };
    for item in items {
        let key = element_key(item, kind);
        let place = target.iter().position(|existing| key.is_some() && element_key(existing, kind) == key);
        match place {
            Some(place) => merge(&mut target[place], item, path),
            None => target.push(item.clone()),
        }
    }
}

/// Removes what a manager no longer wants and nobody else owns.
fn remove(object: &mut Value, gone: &FieldSet, others: &FieldSet, path: &mut Vec<String>) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let kind = list_type(&names);
    match object {
        Value::Object(fields) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            for key in keys {
                let name = format!("f:{key}");
                let Some(gone) = gone.child(&name) else { continue };
                let kept = others.child(&name);
                if gone.is_member() && kept.is_none() {
                    fields.remove(&key);
                    continue;
                }
                let Some(value) = fields.get_mut(&key) else { continue };
                path.push(key.clone());
                remove(value, gone, kept.unwrap_or(&FieldSet::default()), path);
                path.pop();
                if kept.is_none() && is_empty(value) {
                    fields.remove(&key);
                }
            }
        }
        Value::Array(items) => items.retain_mut(|item| {
            let Some(key) = element_key(item, kind) else { return true };
            let Some(gone) = gone.child(&key) else { return true };
            let kept = others.child(&key);
            if gone.is_member() && kept.is_none() {
                return false;
            }
            remove(item, gone, kept.unwrap_or(&FieldSet::default()), path);
            true
        }),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::DEPLOYMENTS;

    fn now() -> Time {
        Time("2026-01-01T00:00:00Z".parse().unwrap())
    }

    fn apply_as(live: &Value, config: &Value, manager: &str, force: bool) -> Result<Value, Vec<Conflict>> {
        apply(&DEPLOYMENTS, live, config, manager, force, &now())
    }

    #[test]
    fn what_is_no_longer_applied_goes() {
        let live = apply_as(&json!({}), &json!({"metadata": {"labels": {"a": "1", "b": "2"}}}), "me", false).unwrap();
        let live = apply_as(&live, &json!({"metadata": {"labels": {"a": "1"}}}), "me", false).unwrap();
        assert_eq!(live["metadata"]["labels"], json!({"a": "1"}));
    }

    #[test]
    fn another_managers_value_is_a_conflict_unless_forced() {
        let live = apply_as(&json!({}), &json!({"spec": {"replicas": 1}}), "me", false).unwrap();
        let conflicts = apply_as(&live, &json!({"spec": {"replicas": 5}}), "other", false).unwrap_err();
        assert_eq!(conflicts, [Conflict { manager: "\"me\"".to_owned(), path: ".spec.replicas".to_owned() }]);
        let live = apply_as(&live, &json!({"spec": {"replicas": 5}}), "other", true).unwrap();
        assert_eq!(live["spec"]["replicas"], 5);
        let managers: Vec<&Value> = live["metadata"]["managedFields"].as_array().unwrap().iter().map(|e| &e["manager"]).collect();
        assert_eq!(managers, ["other"]);
    }

    #[test]
    fn the_same_value_is_shared() {
        let config = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        let live = apply_as(&json!({}), &config, "me", false).unwrap();
        let live = apply_as(&live, &config, "other", false).unwrap();
        let live = apply_as(&live, &json!({}), "me", false).unwrap();
        assert_eq!(live["spec"], config["spec"]);
        let live = apply_as(&live, &json!({}), "other", false).unwrap();
        assert_eq!(live.get("spec"), None);
    }

    #[test]
    fn containers_are_merged_by_name() {
        let first = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "i"}]}}}});
        let second = json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "j"}]}}}});
        let live = apply_as(&json!({}), &first, "me", false).unwrap();
        let live = apply_as(&live, &second, "other", false).unwrap();
        assert_eq!(live["spec"]["template"]["spec"]["containers"].as_array().map(Vec::len), Some(2));
        let live = apply_as(&live, &json!({}), "me", false).unwrap();
        assert_eq!(live["spec"]["template"]["spec"]["containers"], json!([{"name": "b", "image": "j"}]));
    }
}
