//! The defaults of the API (pkg/apis/*/v1/defaults.go).

mod pod;
mod workloads;

use serde_json::{Map, Value, json};

use super::{metadata::fields, validation::is_reached_from_outside};
use crate::resource::Resource;

/// Sets a field that is missing, or is an empty text: to Go that is the same.
fn default(object: &mut Value, field: &str, value: impl Into<Value>) {
    let present = fields(object).entry(field).or_insert(Value::Null);
    if present.is_null() || *present == "" {
        *present = value.into();
    }
}

/// The object in a field; made if missing.
pub(super) fn nested<'a>(object: &'a mut Value, field: &str) -> &'a mut Value {
    let value = fields(object).entry(field).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value
}

/// The objects of a list in a field; none if it is missing.
fn elements<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().filter(|element| element.is_object())
}

/// Fills in everything that an object of this resource has by default.
pub(super) fn apply(resource: &Resource, object: &mut Value) {
    match (resource.group, resource.plural) {
        ("", "pods") => pod::default_pod(nested(object, "spec")),
        ("", "namespaces") => namespace(object),
        ("", "nodes") => node(object),
        ("", "events") => event(object),
        ("", "services") => service(nested(object, "spec")),
        ("", "secrets") => secret(object),
        ("", "endpoints") => {
            for subset in elements(object, "subsets") {
                elements(subset, "ports").for_each(|port| default(port, "protocol", "TCP"));
            }
        }
        ("discovery.k8s.io", "endpointslices") => {
            for field in ["endpoints", "ports"] {
                zero(object, field, Value::Null);
            }
            for endpoint in elements(object, "endpoints") {
                nested(endpoint, "conditions");
            }
            for port in elements(object, "ports") {
                zero(port, "name", json!(""));
                default(port, "protocol", "TCP");
            }
        }
        ("apps" | "batch", _) => workloads::apply(resource, object),
        ("scheduling.k8s.io", "priorityclasses") => {
            default(object, "preemptionPolicy", "PreemptLowerPriority");
            zero(object, "value", json!(0));
        }
        ("policy", "poddisruptionbudgets") | ("coordination.k8s.io", "leases") => {
            nested(object, "spec");
        }
        _ => {}
    }
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    // It is never another one.
    fields(nested(nested(object, "metadata"), "labels")).insert("kubernetes.io/metadata.name".to_owned(), name);
}

fn node(object: &mut Value) {
    nested(object, "spec");
    // What a Node has is what can be had of it, unless it says otherwise.
    let capacity = object["status"]["capacity"].clone();
    if capacity.is_object() {
        default(nested(object, "status"), "allocatable", capacity);
    }
}

/// An event tells of all its times, also of those that it has not.
fn event(object: &mut Value) {
    for time in ["eventTime", "firstTimestamp", "lastTimestamp"] {
        zero(object, time, Value::Null);
    }
    for text in ["reportingComponent", "reportingInstance"] {
        zero(object, text, json!(""));
    }
    nested(object, "source");
}

/// A condition of a Pod tells when it was probed, which it never is.
pub(super) fn probe_times(pod: &mut Value) {
    if let Some(status) = pod.get_mut("status") {
        elements(status, "conditions").for_each(|condition| zero(condition, "lastProbeTime", Value::Null));
    }
}

/// Sets a field that is missing to what Go writes for nothing.
fn zero(object: &mut Value, field: &str, value: Value) {
    fields(object).entry(field).or_insert(value);
}

fn service(spec: &mut Value) {
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"] == "ClientIP" {
        let client = nested(nested(spec, "sessionAffinityConfig"), "clientIP");
        default(client, "timeoutSeconds", 10_800);
    }
    if spec["sessionAffinity"] == "None" {
        fields(spec).remove("sessionAffinityConfig");
    }
    let kind = spec["type"].clone();
    let external = kind == "ExternalName";
    if !external {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    if is_reached_from_outside(spec) {
        default(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
    for port in elements(spec, "ports") {
        default(port, "protocol", "TCP");
        let number = port["port"].clone();
        let target = &port["targetPort"];
        if target.is_null() || *target == json!(0) || *target == json!("") {
            fields(port).insert("targetPort".to_owned(), number);
        }
    }
}

/// Secrets have a type, and what was given as text is encoded.
fn secret(object: &mut Value) {
    default(object, "type", "Opaque");
    let Some(Value::Object(texts)) = fields(object).remove("stringData") else { return };
    let data = nested(object, "data");
    for (key, text) in texts {
        let bytes = text.as_str().unwrap_or_default().as_bytes().to_vec();
        fields(data).insert(key, json!(k8s_openapi::ByteString(bytes)));
    }
}
