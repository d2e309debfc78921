//! The defaults of the API (pkg/apis/*/v1/defaults.go).

mod pod;
mod workloads;

use serde_json::{Map, Value, json};

use super::metadata::fields;
use crate::resource::Resource;

/// Sets a field that is missing.
fn default(object: &mut Value, field: &str, value: impl Into<Value>) {
    fields(object).entry(field).or_insert_with(|| value.into());
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
        ("", "nodes") => {
            nested(object, "spec");
        }
        ("", "services") => service(nested(object, "spec")),
        ("", "secrets") => secret(object),
        ("", "endpoints") => {
            for subset in elements(object, "subsets") {
                elements(subset, "ports").for_each(|port| default(port, "protocol", "TCP"));
            }
        }
        ("discovery.k8s.io", "endpointslices") => {
            for port in elements(object, "ports") {
                default(port, "name", "");
                default(port, "protocol", "TCP");
            }
        }
        ("apps" | "batch", _) => workloads::apply(resource, object),
        ("scheduling.k8s.io", "priorityclasses") => default(object, "preemptionPolicy", "PreemptLowerPriority"),
        _ => {}
    }
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    default(nested(nested(object, "metadata"), "labels"), "kubernetes.io/metadata.name", name);
}

fn service(spec: &mut Value) {
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"] == "ClientIP" {
        let client = nested(nested(spec, "sessionAffinityConfig"), "clientIP");
        default(client, "timeoutSeconds", 10_800);
    }
    let kind = spec["type"].clone();
    let external = kind == "ExternalName";
    if !external {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "NodePort" || kind == "LoadBalancer" {
        default(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
    for port in elements(spec, "ports") {
        default(port, "protocol", "TCP");
        let number = port["port"].clone();
        let target = &port["targetPort"];
        if !external && (target.is_null() || *target == json!(0) || *target == json!("")) {
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
