//! As much `OpenAPI` as clients need to know which parameters the server takes: `kubectl apply` asks whether it checks
//! fields, `kubectl --dry-run=server` whether it can do without writing. It has no schemas of the objects.

use serde_json::{Map, Value, json};

use crate::{
    Version,
    resource::{RESOURCES, Resource},
};

/// Where the documents of the groups are.
pub(super) fn index(groups: &[&str]) -> Value {
    let mut paths = Map::new();
    paths.insert("api/v1".to_owned(), json!({"serverRelativeURL": "/openapi/v3/api/v1"}));
    for group in groups {
        paths.insert(format!("apis/{group}/v1"), json!({"serverRelativeURL": format!("/openapi/v3/apis/{group}/v1")}));
    }
    json!({"paths": paths})
}

/// The document of one group, as `OpenAPI` 3.
pub(super) fn group(group: &str, version: Version) -> Value {
    let mut paths = Map::new();
    for resource in RESOURCES.iter().filter(|resource| resource.group == group) {
        for (path, methods) in operations(resource) {
            let described: Map<String, Value> = methods
                .iter()
                .map(|method| {
                    (
                        (*method).to_owned(),
                        operation(resource, method, |name| json!({"name": name, "in": "query", "schema": {"type": "string"}})),
                    )
                })
                .collect();
            paths.insert(path, Value::Object(described));
        }
    }
    json!({"openapi": "3.0.0", "info": info(version), "paths": paths, "components": {"schemas": {}}})
}

/// Everything as one document of `OpenAPI` 2.
pub(super) fn v2(version: Version) -> Value {
    let mut paths = Map::new();
    for resource in RESOURCES {
        for (path, methods) in operations(resource) {
            let described: Map<String, Value> = methods
                .iter()
                .map(|method| {
                    (
                        (*method).to_owned(),
                        operation(resource, method, |name| json!({"name": name, "in": "query", "type": "string"})),
                    )
                })
                .collect();
            paths.insert(path, Value::Object(described));
        }
    }
    json!({"swagger": "2.0", "info": info(version), "paths": paths, "definitions": {}})
}

/// The media type in which kubectl asks for `OpenAPI` 2 (client-go/discovery/discovery_client.go:openAPIV2mimePb).
pub(super) const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// A document of `OpenAPI` 2 without paths, as `openapi.v2.Document` in protobuf: fields 1 `swagger`, 2 `info` (1 `title`,
/// 2 `version`) and 8 `paths`. kubectl reads it before it says that a kind is not served.
pub(super) fn v2_protobuf(version: Version) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap_or_default();
        [&[(number << 3) | 2, length], content].concat()
    };
    let info = [field(1, b"Kubernetes"), field(2, version.to_string().as_bytes())].concat();
    [field(1, b"2.0"), field(2, &info), field(8, b"")].concat()
}

fn info(version: Version) -> Value {
    json!({"title": "Kubernetes", "version": version.to_string()})
}

/// The paths of a resource that can be written to, and the methods there.
fn operations(resource: &Resource) -> [(String, &'static [&'static str]); 2] {
    let root =
        if resource.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/{}", resource.group, resource.version) };
    let place = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{root}{place}/{}", resource.plural);
    let one = format!("{collection}/{{name}}");
    [(collection, &["get", "post", "delete"]), (one, &["get", "put", "patch", "delete"])]
}

fn operation(resource: &Resource, method: &str, parameter: impl Fn(&str) -> Value) -> Value {
    let names: &[&str] = match method {
        "post" | "put" | "patch" => &["dryRun", "fieldManager", "fieldValidation"],
        "delete" => &["dryRun", "gracePeriodSeconds", "propagationPolicy"],
        _ => &[],
    };
    let action = if method == "get" { "list" } else { method };
    json!({
        "operationId": format!("{action}{}", resource.kind),
        "parameters": names.iter().map(|name| parameter(name)).collect::<Vec<_>>(),
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
    })
}
