//! Kubernetes' strategic merge patch (apimachinery/pkg/util/strategicpatch/patch.go).

use serde_json::{Map, Value};

use super::{SET_ORDER, go_map};
use crate::{
    schema::{PatchStrategy, patch_strategy},
    status::StatusError,
};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Merges a patch into an object.
pub(super) fn merge(object: &mut Value, patch: &Value) -> Result<(), StatusError> {
    let Value::Object(patch) = patch else { return Ok(()) };
    merge_fields(object, patch, &mut Vec::new())
}

fn merge_fields<'a>(target: &mut Value, patch: &'a Map<String, Value>, place: &mut Vec<&'a str>) -> Result<(), StatusError> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            let rest = patch.iter().filter(|(key, _)| *key != DIRECTIVE);
            *target = Value::Object(rest.map(|(key, value)| (key.clone(), value.clone())).collect());
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(StatusError::bad_request(format!("Unknown patch type found: {other}"))),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return Ok(()) };
    if let Some(keep) = patch.get(RETAIN_KEYS).and_then(Value::as_array) {
        fields.retain(|key, _| keep.iter().any(|kept| kept == key));
    }
    for (key, value) in patch {
        if key == DIRECTIVE || key == RETAIN_KEYS || key.starts_with(SET_ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (fields.get_mut(list), value) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        place.push(key);
        let order = patch.get(&format!("{SET_ORDER}{key}"));
        merge_field(fields, key, value, order, place)?;
        place.pop();
    }
    Ok(())
}

fn merge_field<'a>(
    fields: &mut Map<String, Value>,
    key: &'a str,
    value: &'a Value,
    order: Option<&'a Value>,
    place: &mut Vec<&'a str>,
) -> Result<(), StatusError> {
    match value {
        Value::Null => {
            fields.remove(key);
        }
        Value::Object(patch) => {
            if patch.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") {
                fields.remove(key);
            } else {
                merge_fields(fields.entry(key).or_insert(Value::Null), patch, place)?;
            }
        }
        Value::Array(items) => {
            let target = fields.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            match patch_strategy(place) {
                PatchStrategy::Replace => *target = value.clone(),
                PatchStrategy::MergeValues => add_values(target, items),
                PatchStrategy::MergeBy(merge_key) => merge_list(target, items, merge_key, order, place)?,
            }
        }
        scalar => {
            fields.insert(key.to_owned(), scalar.clone());
        }
    }
    Ok(())
}

/// Adds the values that a list has not.
fn add_values(target: &mut Value, values: &[Value]) {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Value::Array(items) = target else { return };
    let before = items.clone();
    for value in values {
        if !items.contains(value) {
            items.push(value.clone());
        }
    }
    *items = arrange(std::mem::take(items), values, &before, |a, b| a == b);
}

fn merge_list<'a>(
    target: &mut Value,
    patch: &'a [Value],
    merge_key: &str,
    order: Option<&'a Value>,
    place: &mut Vec<&'a str>,
) -> Result<(), StatusError> {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Value::Array(items) = target else { return Ok(()) };
    let directive = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
    if patch.iter().any(|item| directive(item).as_deref() == Some("replace")) {
        *items = patch.iter().filter(|item| directive(item).is_none()).cloned().collect();
        return Ok(());
    }
    let before = items.clone();
    for item in patch {
        let Value::Object(fields) = item else {
            return Err(StatusError::bad_request(format!("invalid patch: the elements of {} must be objects", place.join("."))));
        };
        let Some(identity) = fields.get(merge_key) else {
            let message = format!("map: {} does not contain declared merge key: {merge_key}", go_map(item));
            return Err(StatusError::bad_request(message));
        };
        let found = items.iter().position(|existing| existing.get(merge_key) == Some(identity));
        match (found, directive(item).as_deref()) {
            (_, Some("delete")) => items.retain(|existing| existing.get(merge_key) != Some(identity)),
            (Some(found), _) => merge_fields(&mut items[found], fields, place)?,
            (None, _) => {
                let mut new = Value::Object(Map::new());
                merge_fields(&mut new, fields, place)?;
                items.push(new);
            }
        }
    }
    let order = order.and_then(Value::as_array).map_or(patch, Vec::as_slice);
    *items = arrange(std::mem::take(items), order, &before, |a, b| a.get(merge_key) == b.get(merge_key));
    Ok(())
}

/// A list in which what `wanted` has is in its order, and the rest in the order of `before`: each element of the rest comes before
/// the first of the others that it was before (mergeSortedSlice).
fn arrange(items: Vec<Value>, wanted: &[Value], before: &[Value], is_same: impl Fn(&Value, &Value) -> bool) -> Vec<Value> {
    let rank = |list: &[Value], item: &Value| list.iter().position(|other| is_same(other, item));
    let (mut ordered, rest): (Vec<Value>, Vec<Value>) = items.into_iter().partition(|item| rank(wanted, item).is_some());
    ordered.sort_by_key(|item| rank(wanted, item));
    let was_before = |item: &Value, other: &Value| matches!((rank(before, item), rank(before, other)), (Some(a), Some(b)) if a < b);
    let (mut ordered, mut rest) = (ordered.into_iter().peekable(), rest.into_iter().peekable());
    let mut arranged = Vec::new();
    while let Some(next) = match (ordered.peek(), rest.peek()) {
        (Some(other), Some(item)) if was_before(item, other) => rest.next(),
        (Some(_), _) => ordered.next(),
        (None, _) => rest.next(),
    } {
        arranged.push(next);
    }
    arranged
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::merges_containers_by_name(
        json!({"spec": {"containers": [{"name": "a", "image": "x", "tty": true}, {"name": "b"}]}}),
        json!({"spec": {"containers": [{"name": "a", "image": "y"}]}}),
        json!({"spec": {"containers": [{"name": "a", "image": "y", "tty": true}, {"name": "b"}]}})
    )]
    #[case::deletes_an_element(
        json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
        json!({"spec": {"containers": [{"$patch": "delete", "name": "a"}]}}),
        json!({"spec": {"containers": [{"name": "b"}]}})
    )]
    #[case::replaces_a_map(
        json!({"spec": {"selector": {"a": "1", "b": "2"}}}),
        json!({"spec": {"selector": {"$patch": "replace", "c": "3"}}}),
        json!({"spec": {"selector": {"c": "3"}}})
    )]
    #[case::replaces_an_atomic_list(
        json!({"spec": {"tolerations": [{"key": "a"}]}}),
        json!({"spec": {"tolerations": [{"key": "b"}]}}),
        json!({"spec": {"tolerations": [{"key": "b"}]}})
    )]
    #[case::adds_to_a_set(
        json!({"metadata": {"finalizers": ["a"]}}),
        json!({"metadata": {"finalizers": ["b", "a"]}}),
        json!({"metadata": {"finalizers": ["b", "a"]}})
    )]
    #[case::puts_new_elements_first(
        json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
        json!({"spec": {"containers": [{"name": "c"}]}}),
        json!({"spec": {"containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}]}})
    )]
    #[case::keeps_what_was_before_an_element_before_it(
        json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}}),
        json!({"spec": {"containers": [{"name": "b"}, {"name": "d"}]}}),
        json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "d"}, {"name": "c"}]}})
    )]
    #[case::deletes_from_a_set(
        json!({"metadata": {"finalizers": ["a", "b"]}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
        json!({"metadata": {"finalizers": ["b"]}})
    )]
    #[case::retains_keys(
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        json!({"spec": {"strategy": {"type": "Recreate"}}})
    )]
    #[case::removes_with_null(
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
        json!({"metadata": {"labels": {"a": null}}}),
        json!({"metadata": {"labels": {"b": "2"}}})
    )]
    #[case::puts_into_the_order_asked_for(
        json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
        json!({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [{"name": "c"}]}}),
        json!({"spec": {"containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}]}})
    )]
    fn patches_are_merged(#[case] mut object: Value, #[case] patch: Value, #[case] expected: Value) {
        merge(&mut object, &patch).unwrap();
        assert_eq!(object, expected);
    }

    #[test]
    fn an_element_without_its_key_is_refused() {
        let error = merge(&mut json!({}), &json!({"spec": {"containers": [{"image": "x"}]}})).unwrap_err();
        assert!(error.message().contains("does not contain declared merge key: name"), "{error}");
    }
}
