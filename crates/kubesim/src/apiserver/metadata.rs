//! The metadata of objects in their JSON form: what every operation reads and sets.

use serde_json::{Map, Value};

use crate::object::at;

/// The fields of an object of JSON; an empty one if it is not an object.
pub(super) fn fields(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("it has just been made an object"),
    }
}

/// An object's metadata, made if missing.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    fields(fields(object).entry("metadata").or_insert_with(|| Value::Object(Map::new())))
}

/// Makes a field what it is in another object. What is the same already is not copied: parts are large.
pub(super) fn keep(fields: &mut Map<String, Value>, old: &Value, field: &str) {
    match old.get(field) {
        None => drop(fields.remove(field)),
        same if same == fields.get(field) => {}
        Some(value) => drop(fields.insert(field.to_owned(), value.clone())),
    }
}

/// The string at a pointer; empty if there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a pointer.
pub(super) fn number(object: &Value, pointer: &str) -> Option<i64> {
    at(object, pointer).and_then(Value::as_i64)
}

/// The strings of the list at a pointer.
pub(super) fn strings(object: &Value, pointer: &str) -> Vec<String> {
    let list = at(object, pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The finalizers.
pub(super) fn finalizers(object: &Value) -> Vec<String> {
    strings(object, "/metadata/finalizers")
}

/// Sets the finalizers; none is no field.
pub(super) fn set_finalizers(object: &mut Value, finalizers: Vec<String>) {
    let metadata = metadata(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), finalizers.into());
    }
}

/// Whether deletion was requested.
pub(super) fn is_deleting(object: &Value) -> bool {
    at(object, "/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// Raises `metadata.generation` by one, if the object has one.
pub(super) fn raise_generation(object: &mut Value) {
    if let Some(generation) = number(object, "/metadata/generation") {
        metadata(object).insert("generation".to_owned(), (generation + 1).into());
    }
}

/// Whether two objects are the same but for what every write changes.
pub(super) fn same(old: &Value, new: &Value) -> bool {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return old == new };
    old.len() == new.len()
        && old.iter().all(|(key, value)| match (key.as_str(), value, new.get(key)) {
            ("metadata", Value::Object(old), Some(Value::Object(new))) => same_metadata(old, new),
            (_, value, other) => other == Some(value),
        })
}

fn same_metadata(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let significant =
        |fields: &Map<String, Value>| fields.iter().filter(|(key, _)| *key != "resourceVersion" && *key != "managedFields").count();
    significant(old) == significant(new)
        && old
            .iter()
            .filter(|(key, _)| *key != "resourceVersion" && *key != "managedFields")
            .all(|(key, value)| new.get(key) == Some(value))
}

/// Whether the managers of two objects own the same.
pub(super) fn same_managers(old: &Value, new: &Value) -> bool {
    old["metadata"].get("managedFields") == new["metadata"].get("managedFields")
}
