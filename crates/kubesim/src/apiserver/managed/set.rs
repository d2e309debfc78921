//! Sets of fields, as `FieldsV1` writes them: `f:name` for a field, `k:{…}` for an element of a list by its keys,
//! `v:…` for a value of a set, `.` for the thing itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::schema::{ListType, is_atomic_map, key_default, list_type};

/// What the server alone writes, and nobody owns.
const UNOWNED_METADATA: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "managedFields",
];

/// A tree of fields. A node is in the set itself if it is a `member`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FieldSet {
    member: bool,
    children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    fn leaf() -> Self {
        Self { member: true, children: BTreeMap::new() }
    }

    /// Reads `fieldsV1`.
    pub(super) fn read(value: &Value) -> Self {
        let Some(fields) = value.as_object() else { return Self::default() };
        let children = fields.iter().filter(|(key, _)| *key != ".").map(|(key, value)| (key.clone(), Self::read_child(value)));
        Self { member: false, children: children.collect() }
    }

    fn read_child(value: &Value) -> Self {
        let own = value.as_object().is_none_or(|fields| fields.is_empty() || fields.contains_key("."));
        Self { member: own, ..Self::read(value) }
    }

    /// Writes `fieldsV1`.
    pub(super) fn write(&self) -> Value {
        let mut fields: Map<String, Value> = self.children.iter().map(|(key, child)| (key.clone(), child.write())).collect();
        if self.member && !fields.is_empty() {
            fields.insert(".".to_owned(), json!({}));
        }
        Value::Object(fields)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// The fields of an applied configuration (structured-merge-diff/typed/tofieldset.go).
    pub(super) fn of(object: &Value) -> Self {
        Self::of_fields(&Value::Null, object, Parents::ByTheirFields)
    }

    /// The fields that `new` has and `old` has not, or with another value (structured-merge-diff/typed/compare.go).
    pub(super) fn changed(old: &Value, new: &Value) -> Self {
        Self::of_fields(old, new, Parents::WhenNew)
    }

    fn of_fields(old: &Value, new: &Value, parents: Parents) -> Self {
        let mut set = Self::default();
        for (key, value) in new.as_object().into_iter().flatten() {
            let before = old.get(key).unwrap_or(&Value::Null);
            let child = match key.as_str() {
                "apiVersion" | "kind" => continue,
                "metadata" => {
                    let owned = |value: &Value| {
                        let fields = value.as_object().cloned().unwrap_or_default();
                        let owned = fields.into_iter().filter(|(key, _)| !UNOWNED_METADATA.contains(&key.as_str()));
                        Value::Object(owned.collect())
                    };
                    difference(&owned(before), &owned(value), &mut vec!["metadata"], parents)
                }
                _ => difference(before, value, &mut vec![key], parents),
            };
            set.add(format!("f:{key}"), child);
        }
        // An object that is empty is a value of its own, but not at the top.
        set.children.retain(|key, child| key != "f:metadata" || !child.children.is_empty());
        set
    }

    /// The set without a field and what is in it.
    pub(super) fn without(mut self, path: &[&str]) -> Self {
        self.remove(path);
        self
    }

    fn remove(&mut self, path: &[&str]) {
        let Some((name, rest)) = path.split_first() else { return };
        let key = format!("f:{name}");
        let Some(child) = self.children.get_mut(&key) else { return };
        if rest.is_empty() {
            *child = Self::default();
        } else {
            child.remove(rest);
        }
        if child.is_empty() {
            self.children.remove(&key);
        }
    }

    fn add(&mut self, key: String, child: Self) {
        if !child.is_empty() {
            self.children.insert(key, child);
        }
    }

    /// The set of what is in either.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.member |= other.member;
        for (key, child) in &other.children {
            let merged = result.children.get(key).map_or_else(|| child.clone(), |own| own.union(child));
            result.children.insert(key.clone(), merged);
        }
        result
    }

    /// The set of what is in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut result = Self { member: self.member && (other.member || !other.children.is_empty()), children: BTreeMap::new() };
        for (key, child) in &self.children {
            if let Some(others) = other.children.get(key) {
                result.add(key.clone(), child.intersection(others));
            }
        }
        result
    }

    /// The set of what is in this and not in the other.
    pub(super) fn difference(&self, other: &Self) -> Self {
        let mut result = Self { member: self.member && !other.member, children: BTreeMap::new() };
        for (key, child) in &self.children {
            let rest = other.children.get(key).map_or_else(|| child.clone(), |others| child.difference(others));
            result.add(key.clone(), rest);
        }
        result
    }

    /// The set without what is below an element of a list that goes as a whole.
    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        self.children.get(key)
    }

    /// Whether the thing itself is in the set.
    pub(super) fn is_member(&self) -> bool {
        self.member
    }

    /// The paths of the set's leaves as messages name them: `.spec.containers[name="c"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, path: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(path.to_owned());
        }
        for (key, child) in &self.children {
            child.collect_paths(&format!("{path}{}", segment(key)), paths);
        }
    }
}

/// A part of a path as messages name it.
pub(super) fn segment(key: &str) -> String {
    if let Some(name) = key.strip_prefix("f:") {
        return format!(".{name}");
    }
    if let Some(keys) = key.strip_prefix("k:")
        && let Ok(Value::Object(keys)) = serde_json::from_str(keys)
    {
        let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
        return format!("[{}]", keys.join(","));
    }
    format!("[={}]", key.strip_prefix("v:").unwrap_or(key))
}

/// The key of a list's element in a set; nothing if it has not the keys that identify it.
pub(super) fn element_key(element: &Value, kind: ListType) -> Option<String> {
    match kind {
        ListType::Set => Some(format!("v:{element}")),
        ListType::Map(keys) => {
            let mut identity = Map::new();
            for key in keys {
                let default = key_default(key).map(|text| json!(text));
                identity.insert((*key).to_owned(), element.get(*key).cloned().or(default)?);
            }
            Some(format!("k:{}", Value::Object(identity)))
        }
        ListType::Atomic => None,
    }
}

/// Whether an object or a list that has fields of its own is in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parents {
    /// Only its fields are.
    ByTheirFields,
    /// It is if it was not there before.
    WhenNew,
}

/// What Go's types always have, because it is no pointer, so that it never comes into being.
const ALWAYS_THERE: &[&str] =
    &["metadata", "spec", "status", "template", "jobTemplate", "strategy", "updateStrategy", "loadBalancer", "containers"];

fn difference<'a>(old: &'a Value, new: &'a Value, path: &mut Vec<&'a str>, parents: Parents) -> FieldSet {
    let is_new = parents == Parents::WhenNew && old.is_null() && !path.last().is_some_and(|name| ALWAYS_THERE.contains(name));
    match new {
        Value::Object(fields) if !fields.is_empty() && !is_atomic_map(path) => {
            let mut set = FieldSet { member: is_new, ..FieldSet::default() };
            for (key, value) in fields {
                path.push(key);
                set.add(format!("f:{key}"), difference(old.get(key).unwrap_or(&Value::Null), value, path, parents));
                path.pop();
            }
            set
        }
        Value::Array(items) if !items.is_empty() && list_type(path) != ListType::Atomic => {
            let kind = list_type(path);
            let before: BTreeMap<String, &Value> =
                old.as_array().into_iter().flatten().filter_map(|item| Some((element_key(item, kind)?, item))).collect();
            let mut set = FieldSet { member: is_new, ..FieldSet::default() };
            for item in items {
                let Some(key) = element_key(item, kind) else { continue };
                let previous = before.get(&key).copied();
                let mut child = match kind {
                    ListType::Map(_) => difference(previous.unwrap_or(&Value::Null), item, path, parents),
                    _ => FieldSet::default(),
                };
                child.member |= previous.is_none();
                set.add(key, child);
            }
            set
        }
        _ if old == new => FieldSet::default(),
        _ => FieldSet::leaf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_the_real_server_writes_it() {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}], "nodeSelector": {"x": "y"}},
        });
        let expected = json!({
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {
                "f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {}, "f:name": {}, "f:image": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                }},
                "f:nodeSelector": {},
            },
        });
        let set = FieldSet::of(&object);
        assert_eq!(set.write(), expected);
        assert_eq!(FieldSet::read(&expected), set);
        assert!(set.paths().contains(&r#".spec.containers[name="c"].image"#.to_owned()), "{:?}", set.paths());
    }

    #[test]
    fn what_comes_into_being_is_in_the_difference_with_its_fields() {
        let old = json!({"spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}});
        let new = json!({
            "metadata": {"labels": {"a": "b"}},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "E", "value": "1"}]}]}}},
        });
        let expected = json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                "f:env": {".": {}, "k:{\"name\":\"E\"}": {".": {}, "f:name": {}, "f:value": {}}},
            }}}}},
        });
        assert_eq!(FieldSet::changed(&old, &new).write(), expected);
    }

    #[test]
    fn only_what_changed_is_in_the_difference() {
        let old = json!({"spec": {"replicas": 1, "paused": false}});
        let new = json!({"spec": {"replicas": 2, "paused": false}});
        assert_eq!(FieldSet::changed(&old, &new).paths(), [".spec.replicas"]);
    }
}
