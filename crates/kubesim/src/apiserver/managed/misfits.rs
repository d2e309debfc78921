//! What server-side apply says of a configuration that is not of its type (structured-merge-diff/typed).

use std::collections::BTreeSet;

use serde_json::Value;

use super::set::{element_key, segment};
use crate::{schema::list_type, typed::WrongType};

/// A key that a configuration has twice in a list, in the words of the error (structured-merge-diff/typed/validate.go).
pub(in crate::apiserver) fn duplicate(config: &Value) -> Option<String> {
    duplicate_in(config, &mut Vec::new(), &mut String::new())
}

fn duplicate_in<'a>(value: &'a Value, path: &mut Vec<&'a str>, place: &mut String) -> Option<String> {
    let length = place.len();
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                path.push(name);
                place.push_str(&segment(&format!("f:{name}")));
                let found = duplicate_in(value, path, place);
                place.truncate(length);
                path.pop();
                if found.is_some() {
                    return found;
                }
            }
            None
        }
        Value::Array(items) => {
            let kind = list_type(path);
            let mut seen = BTreeSet::new();
            for item in items {
                let key = segment(&element_key(item, kind)?);
                if !seen.insert(key.clone()) {
                    return Some(format!("{place}: duplicate entries for key {key}"));
                }
                place.push_str(&key);
                let found = duplicate_in(item, path, place);
                place.truncate(length);
                if found.is_some() {
                    return found;
                }
            }
            None
        }
        _ => None,
    }
}

/// What server-side apply says of a value that is of a wrong type (structured-merge-diff/typed/validate.go).
pub(in crate::apiserver) fn misfit(problem: &WrongType) -> String {
    let WrongType::Type { path, found, expected, .. } = problem else { return problem.to_string() };
    let found = found.split(' ').next().unwrap_or_default();
    let expected = match expected.as_str() {
        "int32" | "int64" => "numeric (int or float)",
        "bool" => "boolean",
        list if list.starts_with("[]") => "list",
        "string" => "string",
        _ => "map",
    };
    format!(".{path}: expected {expected}, got {found}")
}

/// What server-side apply says of fields that a type does not know. They are given as decoding names them.
pub(in crate::apiserver) fn undeclared(config: &Value, fields: &[String]) -> String {
    let errors: Vec<String> =
        fields.iter().map(|field| format!("{}: field not declared in schema", keyed(config, field))).collect();
    match errors.as_slice() {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    }
}

/// A path with the keys of elements in place of their indices.
fn keyed(config: &Value, field: &str) -> String {
    let (mut value, mut names, mut place) = (config, Vec::new(), String::new());
    for part in field.split('.') {
        let (name, indices) = part.split_once('[').unwrap_or((part, ""));
        names.push(name);
        place.push_str(&segment(&format!("f:{name}")));
        value = &value[name];
        for index in indices.split(['[', ']']).filter_map(|index| index.parse::<usize>().ok()) {
            value = &value[index];
            let key = element_key(value, list_type(&names));
            place.push_str(&key.map_or_else(|| format!("[{index}]"), |key| segment(&key)));
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(fields: Value) -> Value {
        let mut container = fields;
        container["name"] = json!("c");
        json!({"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [container]}}}})
    }

    #[test]
    fn a_key_must_not_be_there_twice() {
        let config = container(json!({"env": [{"name": "A"}, {"name": "B"}, {"name": "A"}]}));
        assert_eq!(
            duplicate(&config).as_deref(),
            Some(r#".spec.template.spec.containers[name="c"].env: duplicate entries for key [name="A"]"#)
        );
        assert_eq!(duplicate(&container(json!({"env": [{"name": "A"}], "args": ["a", "a"]}))), None);
    }

    #[test]
    fn what_the_schema_does_not_declare_is_named_by_keys() {
        let config = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "nope": 1}]}}}});
        assert_eq!(
            undeclared(&config, &["spec.template.spec.containers[0].nope".to_owned()]),
            r#".spec.template.spec.containers[name="c"].nope: field not declared in schema"#
        );
    }
}
