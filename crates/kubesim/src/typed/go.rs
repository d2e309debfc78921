//! What Go says of a value that is not of its type (encoding/json, time, encoding/base64).

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

use super::WrongType;

type Error = serde_path_to_error::Error<serde_json::Error>;

/// A step from an object to something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Element(usize),
}

fn steps(path: &Path) -> Vec<Step> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Step::Field(key.clone())),
            Segment::Seq { index } => Some(Step::Element(*index)),
            _ => None,
        })
        .collect()
}

fn place<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Element(index) => value.get_mut(index),
    })
}

/// Replaces the null that an error is about by the zero value of its type, as which Go reads it; nothing if the error is about
/// something else.
pub(super) fn fill_null(given: &mut Value, error: &Error) -> Option<()> {
    let zero = match expected(error)?.as_str() {
        "a string" | "a base64-encoded string" => json!(""),
        "Quantity" => json!("0"),
        "a boolean" => json!(false),
        "i32" | "i64" => json!(0),
        name if is_type_name(name) => json!({}),
        _ => return None,
    };
    let value = place(given, &steps(error.path()))?;
    value.is_null().then(|| *value = zero)
}

/// The error in Go's words. `given` is the object, of the type `K`, which Go calls `kind`.
pub(super) fn explain<K: DeserializeOwned>(kind: &str, given: &Value, error: &Error) -> WrongType {
    let steps = steps(error.path());
    let mut copy = given.clone();
    let value = place(&mut copy, &steps).map(|value| value.clone()).unwrap_or_default();
    let message = error.inner().to_string();
    match value.as_str() {
        Some(text) if message.starts_with("Invalid ") => return WrongType::Text(bad_base64(text)),
        Some(text) if !message.starts_with("invalid ") => return WrongType::Text(bad_time(text)),
        _ => {}
    }
    let wanted = expected(error).unwrap_or(message);
    let field = field_of::<K>(given, &steps);
    let fields = |steps: &[Step]| -> Vec<String> {
        let names = steps.iter().filter_map(|step| if let Step::Field(name) = step { Some(name.clone()) } else { None });
        names.collect()
    };
    let wanted = type_name::<K>(given, &steps, &wanted);
    WrongType::Type {
        go_struct: type_with::<K>(given, field).unwrap_or_else(|| kind.to_owned()),
        path: fields(field).join("."),
        found: found(&value, &wanted),
        expected: wanted,
    }
}

/// What an error expects in place of what it found.
fn expected(error: &Error) -> Option<String> {
    error.inner().to_string().rsplit_once("expected ").map(|(_, expected)| expected.to_owned())
}

/// What is expected at a place: the error for something that fits nowhere.
fn expected_at<K: DeserializeOwned>(given: &Value, steps: &[Step]) -> Option<String> {
    let mut probe = given.clone();
    *place(&mut probe, steps)? = json!(true);
    let error = serde_path_to_error::deserialize::<_, K>(&probe).err()?;
    (self::steps(error.path()) == steps).then(|| expected(&error))?
}

/// The steps to the field of a Go type in which a value is: not to an element of a list or of a map.
fn field_of<'a, K: DeserializeOwned>(given: &Value, steps: &'a [Step]) -> &'a [Step] {
    let Some((last, parent)) = steps.split_last() else { return steps };
    match last {
        Step::Element(_) => field_of::<K>(given, parent),
        Step::Field(_) if expected_at::<K>(given, parent).as_deref() == Some("a map") => parent,
        Step::Field(_) => steps,
    }
}

/// The name of the Go type that has a field.
fn type_with<K: DeserializeOwned>(given: &Value, field: &[Step]) -> Option<String> {
    let (_, parent) = field.split_last()?;
    expected_at::<K>(given, parent).filter(|name| is_type_name(name))
}

fn is_type_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Go's name of the type that serde calls `expected`.
fn type_name<K: DeserializeOwned>(given: &Value, steps: &[Step], expected: &str) -> String {
    let inner = |container: Value, step: Step| {
        let mut probe = given.clone();
        *place(&mut probe, steps)? = container;
        let inside: Vec<Step> = steps.iter().cloned().chain([step]).collect();
        let expected = expected_at::<K>(&probe, &inside)?;
        Some(type_name::<K>(&probe, &inside, &expected))
    };
    match expected {
        "a string" => "string".to_owned(),
        "a boolean" => "bool".to_owned(),
        "i32" | "IntOrString" => "int32".to_owned(),
        "i64" => "int64".to_owned(),
        "a base64-encoded string" => "[]uint8".to_owned(),
        "a sequence" => format!("[]{}", inner(json!([true]), Step::Element(0)).unwrap_or_else(|| "string".to_owned())),
        "a map" => match inner(json!({"": true}), Step::Field(String::new())).as_deref() {
            Some("v1.Quantity") => "v1.ResourceList".to_owned(),
            element => format!("map[string]{}", element.unwrap_or("string")),
        },
        name if is_type_name(name) => format!("v1.{name}"),
        other => other.to_owned(),
    }
}

/// Go's word for what was found. A number that is none of integers is shown.
fn found(value: &Value, wanted: &str) -> String {
    match value {
        Value::Number(number) if wanted.starts_with("int") => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
        Value::Null => "null".to_owned(),
    }
}

/// What is wrong with a text that should be base64 (encoding/base64).
fn bad_base64(text: &str) -> String {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let digits = text.bytes().take_while(|byte| is_digit(byte)).count();
    let at = if digits == text.len() { digits - digits % 4 } else { digits };
    format!("illegal base64 data at input byte {at}")
}

/// What is wrong with a text that should be a time (time.Parse of RFC 3339).
fn bad_time(text: &str) -> String {
    const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
    let mut rest = text;
    let parts =
        [("2006", 4), ("-", 0), ("01", 2), ("-", 0), ("02", 2), ("T", 0), ("15", 2), (":", 0), ("04", 2), (":", 0), ("05", 2)];
    for (part, digits) in parts {
        let length = if digits == 0 { part.len() } else { digits };
        let legal = rest
            .get(..length)
            .filter(|given| if digits == 0 { *given == part } else { given.bytes().all(|byte| byte.is_ascii_digit()) });
        if legal.is_none() {
            return format!("parsing time {text:?} as {LAYOUT:?}: cannot parse {rest:?} as {part:?}");
        }
        rest = &rest[length..];
    }
    format!("parsing time {text:?} as {LAYOUT:?}: cannot parse {rest:?} as \"Z07:00\"")
}
