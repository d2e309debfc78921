//! Server-side apply (structured-merge-diff/merge/update.go).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use super::{
    Entry, entries,
    set::{FieldSet, element_key},
    store, writable,
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

/// Who applies, and how.
#[derive(Clone, Copy, Debug)]
pub(in crate::apiserver) struct Applier<'a> {
    /// The field manager.
    pub(in crate::apiserver) manager: &'a str,
    /// The subresource that it applies to; empty for the object itself.
    pub(in crate::apiserver) subresource: &'a str,
    /// Whether it takes what others own.
    pub(in crate::apiserver) force: bool,
    /// When.
    pub(in crate::apiserver) now: &'a Time,
}

/// The annotation in which `kubectl apply` keeps what it has applied without the server's help.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Applies a manager's configuration to an object (an empty one if there is none yet). What kubectl has applied by itself
/// before, it may take, and its annotation follows (managedfields/internal/lastappliedmanager.go and lastappliedupdater.go).
///
/// # Errors
/// The conflicts with other managers, unless they are to be overruled.
pub(in crate::apiserver) fn apply(
    resource: &Resource,
    live: &Value,
    config: &Value,
    applier: Applier<'_>,
) -> Result<Value, Vec<Conflict>> {
    let merged = merge_and_account(resource, live, config, applier);
    if applier.manager != "kubectl" {
        return merged;
    }
    let mut merged = match merged {
        Err(mut conflicts) => {
            let own = last_applied(live).paths();
            conflicts.retain(|conflict| !own.contains(&conflict.path));
            if !conflicts.is_empty() {
                return Err(conflicts);
            }
            merge_and_account(resource, live, config, Applier { force: true, ..applier })?
        }
        Ok(merged) => merged,
    };
    if let Some(annotation) = merged.pointer_mut("/metadata/annotations").and_then(|all| all.get_mut(LAST_APPLIED)) {
        *annotation = Value::String(format!("{config}\n"));
    }
    Ok(merged)
}

/// The fields that still are as kubectl last applied them by itself.
fn last_applied(live: &Value) -> FieldSet {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or_default();
    let last: Value = serde_json::from_str(text).unwrap_or_default();
    FieldSet::of(&last).difference(&FieldSet::changed(live, &last))
}

fn merge_and_account(resource: &Resource, live: &Value, config: &Value, applier: Applier<'_>) -> Result<Value, Vec<Conflict>> {
    let Applier { manager, subresource, force, now } = applier;
    let mut all = entries(live);
    let is_own = |entry: &Entry| entry.is_of(manager, "Apply", subresource);
    let wanted = writable(resource, subresource, FieldSet::of(config));
    let last = all.iter().find(|entry| is_own(entry)).map(|own| own.set.clone()).unwrap_or_default();
    let others = all.iter().filter(|e| !is_own(e)).fold(FieldSet::default(), |set, e| set.union(&e.set));
    let mut merged = live.clone();
    merge(&mut merged, config, &mut Vec::new());
    prune(&mut merged, &last, &wanted.union(&others), &mut Vec::new());

    let changed = writable(resource, subresource, FieldSet::changed(live, &merged));
    let conflicts: Vec<Conflict> = all
        .iter()
        .filter(|entry| !is_own(entry))
        .flat_map(|entry| {
            let paths = leaves(&changed.intersection(&entry.set));
            paths.into_iter().map(|path| Conflict { manager: describe(entry), path })
        })
        .collect();
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }
    let present = FieldSet::of(&merged);
    for entry in all.iter_mut().filter(|entry| !is_own(entry)) {
        entry.set = entry.set.difference(&changed).intersection(&present);
    }
    match all.iter_mut().find(|entry| is_own(entry)) {
        Some(own) => {
            if own.set != wanted || !changed.is_empty() {
                own.time = json!(now);
            }
            own.set = wanted;
        }
        None => all.push(Entry {
            manager: manager.to_owned(),
            operation: "Apply".to_owned(),
            subresource: subresource.to_owned(),
            api_version: json!(resource.api_version()),
            time: json!(now),
            set: wanted,
        }),
    }
    store(&mut merged, all);
    Ok(merged)
}

/// A manager as a conflict names it (managedfields/internal/conflict.go).
fn describe(entry: &Entry) -> String {
    let subresource =
        if entry.subresource.is_empty() { String::new() } else { format!(" with subresource {:?}", entry.subresource) };
    let version = entry.api_version.as_str().unwrap_or_default();
    let using = if entry.operation == "Apply" { String::new() } else { format!(" using {version}") };
    format!("{:?}{subresource}{using}", entry.manager)
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

/// Merges a list by its keys. Those of the configuration come in its order, what is only in the live list stays where it is
/// between them (structured-merge-diff/typed/merge.go).
fn merge_list<'a>(live: &mut Value, items: &'a [Value], path: &mut Vec<&'a str>) {
    let kind = list_type(path);
    let before = live.as_array_mut().map(std::mem::take).unwrap_or_default();
    let wanted: Vec<Option<String>> = items.iter().map(|item| element_key(item, kind)).collect();
    let mut before: Vec<(Option<String>, Value)> = before.into_iter().map(|item| (element_key(&item, kind), item)).collect();
    let mut merged = Vec::with_capacity(items.len());
    for (item, key) in items.iter().zip(&wanted) {
        let shared = |(live, _): &(Option<String>, Value)| live.is_some() && wanted.contains(live);
        let alone = before.iter().position(shared).unwrap_or(0);
        merged.extend(before.drain(..alone).map(|(_, item)| item));
        let place = before.iter().position(|(live, _)| key.is_some() && live == key);
        let mut element = place.map_or(Value::Null, |place| before.remove(place).1);
        merge(&mut element, item, path);
        merged.push(element);
    }
    merged.extend(before.into_iter().map(|(_, item)| item));
    *live = Value::Array(merged);
}

/// Removes what a manager has applied last and nobody wants any more (structured-merge-diff/merge/update.go:prune).
fn prune(object: &mut Value, last: &FieldSet, managed: &FieldSet, path: &mut Vec<String>) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let kind = list_type(&names);
    let nobody = FieldSet::default();
    match object {
        Value::Object(fields) => fields.retain(|key, value| {
            let name = format!("f:{key}");
            let Some(last) = last.child(&name) else { return true };
            let managed = managed.child(&name);
            // Where nobody wants anything of a part of the spec, its defaults go with it. Elsewhere components write too,
            // whose fields are in no set.
            let goes = last.is_member() || (path.first().is_some_and(|first| first == "spec") && value.is_object());
            if goes && managed.is_none() {
                return false;
            }
            path.push(key.clone());
            prune(value, last, managed.unwrap_or(&nobody), path);
            path.pop();
            managed.is_some() || !is_empty(value)
        }),
        Value::Array(items) => items.retain_mut(|item| {
            let Some(last_item) = element_key(item, kind).and_then(|key| last.child(&key).map(|last| (key, last))) else {
                return true;
            };
            let (key, last) = last_item;
            let managed = managed.child(&key).unwrap_or(&nobody);
            if last.is_member() && !managed.is_member() {
                return false;
            }
            prune(item, last, managed, path);
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
        apply(&DEPLOYMENTS, live, config, Applier { manager, subresource: "", force, now: &now() })
    }

    fn container(fields: Value) -> Value {
        let mut container = fields;
        container["name"] = json!("c");
        json!({"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [container]}}}})
    }

    fn first_container(object: &Value) -> &Value {
        &object["spec"]["template"]["spec"]["containers"][0]
    }

    #[test]
    fn what_is_applied_to_the_status_leaves_what_is_applied_to_the_object() {
        let live =
            apply_as(&json!({}), &json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 1}}), "me", false).unwrap();
        let status = Applier { manager: "me", subresource: "status", force: false, now: &now() };
        let live = apply(&DEPLOYMENTS, &live, &json!({"status": {"observedGeneration": 1}}), status).unwrap();
        assert_eq!(live["metadata"]["labels"], json!({"a": "1"}));
        let live = apply_as(&live, &json!({"spec": {"replicas": 1}}), "me", false).unwrap();
        assert_eq!((live["metadata"].get("labels"), &live["status"]), (None, &json!({"observedGeneration": 1})));
        let owned: Vec<&Value> = live["metadata"]["managedFields"].as_array().unwrap().iter().map(|e| &e["fieldsV1"]).collect();
        assert_eq!(owned, [&json!({"f:spec": {"f:replicas": {}}}), &json!({"f:status": {"f:observedGeneration": {}}})]);
    }

    #[test]
    fn a_handler_goes_with_its_defaults() {
        let mut live = apply_as(&json!({}), &container(json!({"livenessProbe": {"httpGet": {"port": 80}}})), "me", false).unwrap();
        live["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["path"] = json!("/");
        let live = apply_as(&live, &container(json!({"livenessProbe": {"tcpSocket": {"port": 80}}})), "me", false).unwrap();
        assert_eq!(first_container(&live)["livenessProbe"], json!({"tcpSocket": {"port": 80}}));
    }

    #[test]
    fn what_a_component_has_annotated_stays() {
        let mut live = apply_as(&json!({}), &json!({"metadata": {"annotations": {"a": "1"}}}), "me", false).unwrap();
        live["metadata"]["annotations"]["revision"] = json!("1");
        let live = apply_as(&live, &json!({}), "me", false).unwrap();
        assert_eq!(live["metadata"]["annotations"], json!({"revision": "1"}));
    }

    #[test]
    fn lists_come_in_the_order_of_the_configuration() {
        let env = |names: &[&str]| {
            let env: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            container(json!({"env": env}))
        };
        let live = apply_as(&json!({}), &env(&["A", "X", "B", "Y"]), "other", false).unwrap();
        let live = apply_as(&live, &env(&["N", "B", "A"]), "me", false).unwrap();
        assert_eq!(first_container(&live)["env"], first_container(&env(&["N", "B", "A", "X", "Y"]))["env"]);
    }

    #[test]
    fn kubectl_takes_over_what_it_has_applied_by_itself() {
        let config = |replicas: i64| json!({"metadata": {"name": "d"}, "spec": {"replicas": replicas}});
        let mut live = config(1);
        live["metadata"]["annotations"] = json!({LAST_APPLIED: config(1).to_string()});
        super::super::track(&DEPLOYMENTS, "", &json!({}), &mut live, "kubectl-client-side-apply", &now());
        assert_eq!(apply_as(&live, &config(2), "other", false).unwrap_err().len(), 1);
        let taken = apply_as(&live, &config(2), "kubectl", false).unwrap();
        assert_eq!(taken["spec"]["replicas"], 2);
        assert_eq!(taken["metadata"]["annotations"][LAST_APPLIED], format!("{}\n", config(2)));
        // What has changed since is somebody else's.
        live["spec"]["replicas"] = json!(7);
        assert_eq!(apply_as(&live, &config(2), "kubectl", false).unwrap_err()[0].path, ".spec.replicas");
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
