//! Objects as protobuf, the form in which Kubernetes' own typed clients send them: `kubectl create`, `kubectl drain`
//! (apimachinery/pkg/runtime/serializer/protobuf). Answers are JSON, which these clients accept as well.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use k8s_openapi::{ByteString, jiff::Timestamp};
use serde_json::{Map, Value, json};

/// What comes before every object.
const MAGIC: &[u8] = b"k8s\0";

/// How deep messages may be inside each other.
const MAX_DEPTH: usize = 64;

/// Messages whose fields JSON shows among those of the message that they are in.
const INLINED: [&str; 4] = ["handler", "volumeSource", "localObjectReference", "ephemeralContainerCommon"];

/// Fields whose zero or `false` means something else than their absence. The others are written even if they are not
/// set, and are left out here as in JSON.
const MEANT: [&str; 20] = [
    "replicas",
    "partition",
    "parallelism",
    "completions",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "gracePeriodSeconds",
    "terminationGracePeriodSeconds",
    "revisionHistoryLimit",
    "activeDeadlineSeconds",
    "tolerationSeconds",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
    "startingDeadlineSeconds",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "allowPrivilegeEscalation",
    "allocateLoadBalancerNodePorts",
    "value",
    "exitCode",
];

/// The messages by name.
static MESSAGES: LazyLock<BTreeMap<&'static str, Message>> = LazyLock::new(|| {
    let lines = include_str!("messages.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(':')).map(|(name, fields)| (name, Message::read(fields))).collect()
});

/// A message: its fields by number.
struct Message {
    fields: BTreeMap<u64, Field>,
}

struct Field {
    name: &'static str,
    repeated: Repeated,
    kind: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Repeated {
    No,
    List,
    Map,
}

impl Message {
    fn read(fields: &'static str) -> Self {
        let read = |field: &'static str| {
            let mut words = field.split_whitespace();
            let (number, name) = (words.next()?.parse().ok()?, words.next()?);
            let (repeated, kind) = match words.next()? {
                "list" => (Repeated::List, words.next()?),
                "map" => (Repeated::Map, words.next()?),
                kind => (Repeated::No, kind),
            };
            Some((number, Field { name, repeated, kind }))
        };
        Self { fields: fields.split(';').filter_map(read).collect() }
    }
}

/// Reads an object, with its `apiVersion` and `kind`.
///
/// # Errors
/// What is wrong with the bytes.
pub(super) fn object(bytes: &[u8]) -> Result<Value, String> {
    let unknown = bytes
        .strip_prefix(MAGIC)
        .ok_or("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, wire) in wires(unknown)? {
        match (number, wire) {
            (1, Wire::Bytes(meta)) => {
                for (number, wire) in wires(meta)? {
                    if let Wire::Bytes(text) = wire {
                        let text = String::from_utf8_lossy(text).into_owned();
                        if number == 1 { api_version = text } else { kind = text }
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let group = api_version.split_once('/').map_or("core", |(group, _)| group.split('.').next().unwrap_or(group));
    let package = if kind == "DeleteOptions" { "meta" } else { group };
    let name = format!("{package}.{kind}");
    let message =
        MESSAGES.get(name.as_str()).ok_or_else(|| format!("no kind {kind:?} is registered for version {api_version:?}"))?;
    let mut fields = decode(message, raw, 0)?;
    fields.insert("apiVersion".to_owned(), json!(api_version));
    fields.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(fields))
}

fn decode(message: &Message, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, String> {
    if depth > MAX_DEPTH {
        return Err("the message is nested too deeply".to_owned());
    }
    let mut object = Map::new();
    for (number, wire) in wires(bytes)? {
        let Some(field) = message.fields.get(&number) else { continue };
        if field.repeated == Repeated::Map {
            let (key, value) = entry(field, wire, depth)?;
            if let Value::Object(entries) = object.entry(field.name).or_insert_with(|| json!({})) {
                entries.insert(key, value);
            }
            continue;
        }
        let value = value(field.kind, wire, depth)?;
        match (field.repeated, value) {
            (Repeated::List, value) => {
                if let Value::Array(items) = object.entry(field.name).or_insert_with(|| json!([])) {
                    items.push(value);
                }
            }
            (_, Value::Object(fields)) if INLINED.contains(&field.name) => object.extend(fields),
            (_, value) if is_unset(field.name, &value) => {}
            (_, value) => drop(object.insert(field.name.to_owned(), value)),
        }
    }
    Ok(object)
}

/// An entry of a map: a message of its own, with the key and the value.
fn entry(field: &Field, wire: Wire<'_>, depth: usize) -> Result<(String, Value), String> {
    let Wire::Bytes(bytes) = wire else { return Err(format!("wrong wire type for {}", field.name)) };
    let (mut key, mut shown) = (String::new(), Value::Null);
    for (number, wire) in wires(bytes)? {
        match (number, wire) {
            (1, Wire::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
            (2, wire) => shown = value(field.kind, wire, depth)?,
            _ => {}
        }
    }
    if shown.is_null() && field.kind == "string" {
        shown = json!("");
    }
    Ok((key, shown))
}

fn is_unset(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag && !MEANT.contains(&name),
        Value::Number(number) => number.as_i64() == Some(0) && !MEANT.contains(&name),
        _ => false,
    }
}

fn value(kind: &str, wire: Wire<'_>, depth: usize) -> Result<Value, String> {
    let text = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).into_owned());
    Ok(match (kind, wire) {
        ("bool", Wire::Number(number)) => json!(number != 0),
        (_, Wire::Number(number)) => json!(number.cast_signed()),
        ("double", Wire::Fixed(bits)) => json!(f64::from_bits(bits)),
        ("string", Wire::Bytes(bytes)) => text(bytes),
        ("bytes", Wire::Bytes(bytes)) => json!(ByteString(bytes.to_vec())),
        ("@Quantity", Wire::Bytes(bytes)) => first_bytes(bytes)?.map_or(Value::Null, text),
        ("@FieldsV1" | "@RawExtension", Wire::Bytes(bytes)) => {
            first_bytes(bytes)?.and_then(|raw| serde_json::from_slice(raw).ok()).unwrap_or_default()
        }
        ("@Time", Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%SZ")?,
        ("@MicroTime", Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%S%.6fZ")?,
        ("@IntOrString", Wire::Bytes(bytes)) => number_or_text(bytes)?,
        (name, Wire::Bytes(bytes)) => match MESSAGES.get(name) {
            Some(message) => Value::Object(decode(message, bytes, depth + 1)?),
            None => Value::Null,
        },
        (kind, Wire::Fixed(_)) => return Err(format!("wrong wire type for {kind}")),
    })
}

fn first_bytes(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    let first = wires(bytes)?.into_iter().find_map(|(number, wire)| match wire {
        Wire::Bytes(bytes) if number == 1 => Some(bytes),
        _ => None,
    });
    Ok(first)
}

/// A time; none if it is zero.
fn time(bytes: &[u8], format: &str) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (0, 0);
    for (number, wire) in wires(bytes)? {
        if let Wire::Number(value) = wire {
            if number == 1 { seconds = value.cast_signed() } else { nanos = value }
        }
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let time = Timestamp::from_second(seconds).and_then(|time| time.checked_add(Duration::from_nanos(nanos.min(999_999_999))));
    Ok(time.map_or(Value::Null, |time| json!(time.strftime(format).to_string())))
}

fn number_or_text(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for (field, wire) in wires(bytes)? {
        match (field, wire) {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(value)) => text = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }
    Ok(if is_text { json!(text) } else { json!(number) })
}

/// A field's value as it is on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, by number, as they are on the wire.
fn wires(mut bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, String> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let wire = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => Wire::Fixed(u64::from_le_bytes(take(&mut bytes, 8)?.try_into().unwrap_or_default())),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| "unexpected EOF")?;
                Wire::Bytes(take(&mut bytes, length)?)
            }
            5 => {
                let four: [u8; 4] = take(&mut bytes, 4)?.try_into().unwrap_or_default();
                Wire::Fixed(u64::from(u32::from_le_bytes(four)))
            }
            kind => return Err(format!("illegal wireType {kind}")),
        };
        fields.push((tag >> 3, wire));
    }
    Ok(fields)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or("unexpected EOF")?;
    *bytes = rest;
    Ok(taken)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("integer overflow".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field with bytes: its tag, its length, its value.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn an_object_is_read_as_its_json() {
        let data = [field(1, b"key"), field(2, b"value")].concat();
        let metadata = [field(1, b"name"), field(2, b""), field(8, b"")].concat();
        let bytes = envelope("v1", "ConfigMap", &[field(1, &metadata), field(2, &data)].concat());
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "name"}, "data": {"key": "value"}});
        assert_eq!(object(&bytes), Ok(expected));
    }

    #[test]
    fn numbers_quantities_and_inlined_messages() {
        let probe = [field(1, &field(3, &field(1, &[8, 0, 16, 80]))), vec![16, 0, 24, 5]].concat();
        let container = [field(1, b"c"), field(10, &probe)].concat();
        let bytes = envelope("v1", "Pod", &field(2, &[field(2, &container), vec![4 << 3, 0]].concat()));
        let expected = json!({"containers": [{"name": "c", "livenessProbe": {"tcpSocket": {"port": 80}, "timeoutSeconds": 5}}],
            "terminationGracePeriodSeconds": 0});
        assert_eq!(object(&bytes).unwrap()["spec"], expected);
    }

    #[test]
    fn every_message_that_is_named_exists() {
        for message in MESSAGES.values() {
            for field in message.fields.values() {
                let scalar = ["string", "int", "bool", "bytes", "double"].contains(&field.kind);
                let known = scalar || field.kind.starts_with('@') || MESSAGES.contains_key(field.kind);
                // Scheduling groups of workloads are an alpha feature of a resource that is not served.
                assert!(known || field.kind.starts_with("scheduling.Workload"), "{} {}", field.name, field.kind);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&bytes);
            let _ = object(&[MAGIC, &bytes].concat());
            let short = &bytes[..bytes.len().min(100)];
            let _ = object(&envelope("v1", "Pod", short));
        }
    }
}
