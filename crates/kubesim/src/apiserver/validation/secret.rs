//! Secrets (pkg/apis/core/validation:ValidateSecret).

use k8s_openapi::ByteString;
use serde_json::{Map, Value};

use super::{Errors, data, text};

/// Checks a secret: its keys, and that it has what its type promises.
pub(super) fn check(secret: &Value, errors: &mut Errors) {
    data(secret, &["data"], "data", errors);
    let has = |key: &str| secret["data"].get(key).is_some();
    let needed: &[&str] = match text(secret, "type") {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => &["username", "password"],
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            if text(&secret["metadata"]["annotations"], annotation).is_empty() {
                errors.required(format!("metadata.annotations[{annotation}]"));
            }
            &[]
        }
        _ => &[],
    };
    for key in needed.iter().filter(|key| !has(key)) {
        errors.required(format!("data[{key}]"));
    }
    for key in [".dockercfg", ".dockerconfigjson"] {
        if needed.contains(&key) && has(key) && !is_json(&secret["data"][key]) {
            let contents = Value::String("<secret contents redacted>".to_owned());
            errors.invalid(format!("data[{key}]"), &contents, &json_problem(&secret["data"][key]));
        }
    }
}

/// What Go says first of a text that is no JSON.
fn json_problem(value: &Value) -> String {
    let bytes: Option<ByteString> = serde_json::from_value(value.clone()).ok();
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).trim_start().to_owned()).unwrap_or_default();
    match text.chars().next() {
        Some(first) if !"{[\"-0123456789tfn".contains(first) => {
            format!("invalid character '{first}' looking for beginning of value")
        }
        _ => "unexpected end of JSON input".to_owned(),
    }
}

/// Whether the encoded value is a JSON object.
fn is_json(value: &Value) -> bool {
    let bytes: Option<ByteString> = serde_json::from_value(value.clone()).ok();
    bytes.is_some_and(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes.0).is_ok())
}
