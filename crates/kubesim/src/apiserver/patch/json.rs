//! JSON Patch (RFC 6902) as the real server applies it, which takes it less strictly (github.com/evanphx/json-patch):
//! `replace` adds a field that is missing, and a negative index counts from the end.

use serde_json::{Map, Value};

use crate::status::StatusError;

/// How many operations a patch may have (apiserver/pkg/endpoints/handlers/patch.go).
const MAX_OPERATIONS: usize = 10_000;

/// Applies operations to an object, one after the other.
///
/// # Errors
/// If they are no list of operations, or one cannot be done.
pub(super) fn apply(object: &mut Value, operations: &Value) -> Result<(), StatusError> {
    for operation in read(operations)? {
        perform(object, operation).ok_or_else(StatusError::unprocessable)?;
    }
    Ok(())
}

fn read(operations: &Value) -> Result<Vec<&Map<String, Value>>, StatusError> {
    let wrong = |value: &Value, expected: &str| {
        let found = match value {
            Value::Object(_) => "object",
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            _ => "number",
        };
        let problem = format!("error decoding patch: json: cannot unmarshal {found} into Go value of type {expected}");
        StatusError::bad_request(problem)
    };
    let list = match operations {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        other => return Err(wrong(other, "[]handlers.jsonPatchOp")),
    };
    if list.len() > MAX_OPERATIONS {
        let message = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}", list.len());
        return Err(StatusError::new(413, "RequestEntityTooLarge", message));
    }
    list.iter().map(|one| one.as_object().ok_or_else(|| wrong(one, "handlers.jsonPatchOp"))).collect()
}

fn perform(object: &mut Value, operation: &Map<String, Value>) -> Option<()> {
    let text = |field: &str| operation.get(field).and_then(Value::as_str);
    let value = operation.get("value").cloned().unwrap_or_default();
    let (parent, key) = parent(object, text("path")?)?;
    match text("op")? {
        "add" => add(parent, &key, value),
        "remove" => remove(parent, &key).map(drop),
        "replace" => replace(parent, &key, value),
        "test" => (get(parent, &key)? == value).then_some(()),
        "copy" => {
            let value = get_at(object, text("from")?)?;
            add_at(object, text("path")?, value)
        }
        "move" => {
            let (parent, key) = self::parent(object, text("from")?)?;
            let value = remove(parent, &key)?;
            add_at(object, text("path")?, value)
        }
        _ => None,
    }
}

/// What has the thing at a pointer, and the thing's key in it. What is before the first slash says nothing.
fn parent<'a>(object: &'a mut Value, pointer: &str) -> Option<(&'a mut Value, String)> {
    let mut keys: Vec<String> = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let last = keys.pop()?;
    let parent = keys.iter().try_fold(object, |value, key| match value {
        Value::Array(items) => {
            let index = index(key, items.len())?;
            items.get_mut(index)
        }
        other => other.get_mut(key),
    })?;
    (parent.is_object() || parent.is_array()).then_some((parent, last))
}

/// The place in a list that a key says, of so many; a negative one is from the end.
fn index(key: &str, length: usize) -> Option<usize> {
    let number: isize = key.parse().ok()?;
    let length = isize::try_from(length).ok()?;
    usize::try_from(if number < 0 { number + length } else { number }).ok()
}

/// A field that is missing is null.
fn get(parent: &Value, key: &str) -> Option<Value> {
    match parent {
        Value::Array(items) => items.get(index(key, items.len())?).cloned(),
        object => Some(object.get(key).cloned().unwrap_or_default()),
    }
}

fn get_at(object: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, key) = parent(object, pointer)?;
    get(parent, &key)
}

fn add(parent: &mut Value, key: &str, value: Value) -> Option<()> {
    match parent {
        Value::Array(items) => {
            let index = if key == "-" { items.len() } else { index(key, items.len() + 1)? };
            (index <= items.len()).then(|| items.insert(index, value))
        }
        Value::Object(fields) => {
            fields.insert(key.to_owned(), value);
            Some(())
        }
        _ => None,
    }
}

fn add_at(object: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let (parent, key) = parent(object, pointer)?;
    add(parent, &key, value)
}

fn replace(parent: &mut Value, key: &str, value: Value) -> Option<()> {
    match parent {
        Value::Array(items) => {
            let index = index(key, items.len())?;
            *items.get_mut(index)? = value;
            Some(())
        }
        _ => add(parent, key, value),
    }
}

fn remove(parent: &mut Value, key: &str) -> Option<Value> {
    match parent {
        Value::Array(items) => {
            let index = index(key, items.len())?;
            (index < items.len()).then(|| items.remove(index))
        }
        Value::Object(fields) => fields.remove(key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn patched(operation: &Value) -> Option<Value> {
        let mut object = json!({"a": {"b": 1}, "l": [1, 2]});
        apply(&mut object, &json!([operation])).ok().map(|()| object)
    }

    #[rstest]
    #[case(json!({"op": "add", "path": "/a/c~1d", "value": 2}), json!({"a": {"b": 1, "c/d": 2}, "l": [1, 2]}))]
    #[case(json!({"op": "add", "path": "/a/c"}), json!({"a": {"b": 1, "c": null}, "l": [1, 2]}))]
    #[case(json!({"op": "add", "path": "/l/-", "value": 3}), json!({"a": {"b": 1}, "l": [1, 2, 3]}))]
    #[case(json!({"op": "add", "path": "/l/-1", "value": 3}), json!({"a": {"b": 1}, "l": [1, 2, 3]}))]
    #[case(json!({"op": "replace", "path": "/a/c", "value": 2}), json!({"a": {"b": 1, "c": 2}, "l": [1, 2]}))]
    #[case(json!({"op": "replace", "path": "x/a", "value": 2}), json!({"a": 2, "l": [1, 2]}))]
    #[case(json!({"op": "remove", "path": "/l/0"}), json!({"a": {"b": 1}, "l": [2]}))]
    #[case(json!({"op": "test", "path": "/a/c", "value": null}), json!({"a": {"b": 1}, "l": [1, 2]}))]
    #[case(json!({"op": "move", "from": "/a/b", "path": "/b"}), json!({"a": {}, "b": 1, "l": [1, 2]}))]
    #[case(json!({"op": "copy", "from": "/a/b", "path": "/b"}), json!({"a": {"b": 1}, "b": 1, "l": [1, 2]}))]
    fn what_the_real_server_does_is_done(#[case] operation: Value, #[case] expected: Value) {
        assert_eq!(patched(&operation), Some(expected));
    }

    #[rstest]
    #[case(json!({"op": "remove", "path": "/a/c"}))]
    #[case(json!({"op": "replace", "path": "/x/y", "value": 1}))]
    #[case(json!({"op": "add", "path": "/l/9", "value": 1}))]
    #[case(json!({"op": "add", "path": "/l/-9", "value": 1}))]
    #[case(json!({"op": "remove", "path": "/l/x"}))]
    #[case(json!({"op": "test", "path": "/a/b", "value": 2}))]
    #[case(json!({"op": "move", "from": "/x", "path": "/b"}))]
    #[case(json!({"op": "add", "path": "", "value": 1}))]
    #[case(json!({"op": "bad", "path": "/a"}))]
    #[case(json!({}))]
    fn what_the_real_server_refuses_is_refused(#[case] operation: Value) {
        assert_eq!(patched(&operation), None);
    }
}
