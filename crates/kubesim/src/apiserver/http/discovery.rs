//! Discovery and the other documents of the server: what there is, and in which version.

use std::collections::BTreeMap;

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    super::ApiServer,
    Incoming, ResponseBody,
    body::{document, document_response, response},
    openapi,
    path::is_read,
};
use crate::{
    resource::{NAMESPACES, RESOURCES, Resource, Subresource},
    status::StatusError,
};

/// The groups beside the core group, in the order of the real server.
const GROUPS: &[&str] = &[
    "apps",
    "events.k8s.io",
    "authorization.k8s.io",
    "batch",
    "policy",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
];

/// What can be done with resources.
const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The media type of aggregated discovery.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

impl ApiServer {
    /// A document by its path.
    pub(super) fn document(&self, path: &str, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        if !is_read(&request.method) {
            return Err(StatusError::method_not_allowed());
        }
        let aggregated = request.accept.aggregated;
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let shown = match segments.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => return Ok(response(StatusCode::OK, "text/plain; charset=utf-8", "ok")),
            ["api"] if aggregated => return Ok(aggregated_response(&[""])),
            ["apis"] if aggregated => return Ok(aggregated_response(GROUPS)),
            ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
            ["apis"] => json!({
                "kind": "APIGroupList", "apiVersion": "v1", "groups": GROUPS.iter().map(|group| versions(group)).collect::<Vec<_>>(),
            }),
            ["apis", group] if GROUPS.contains(group) => {
                let mut shown = versions(group);
                shown["kind"] = json!("APIGroup");
                shown["apiVersion"] = json!("v1");
                shown
            }
            ["api", "v1"] => resource_list(""),
            ["apis", group, "v1"] if GROUPS.contains(group) => resource_list(group),
            ["version"] => self.version_document(),
            ["openapi", "v2"] => openapi::v2(self.version()),
            ["openapi", "v3"] => openapi::index(GROUPS),
            ["openapi", "v3", "api", "v1"] => openapi::group("", self.version()),
            ["openapi", "v3", "apis", group, "v1"] if GROUPS.contains(group) => openapi::group(group, self.version()),
            [] | [""] => json!({"paths": paths()}),
            // What there may be in a group is not there; other paths are nobody's.
            ["api", ..] => return Err(StatusError::no_such_path()),
            ["apis", group, ..] if GROUPS.contains(group) => return Err(StatusError::no_such_path()),
            _ => return Ok(response(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")),
        };
        Ok(document_response(StatusCode::OK, &shown, request.accept.yaml))
    }

    fn version_document(&self) -> Value {
        let version = self.version();
        json!({
            "major": "1", "minor": version.minor().to_string(), "gitVersion": version.to_string(), "gitCommit": "simulated",
            "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.26.8", "compiler": "gc",
            "platform": "linux/amd64",
        })
    }
}

/// Everybody may do everything, and is the administrator that kind's kubeconfig file names.
pub(super) fn review(name: &str, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
    let allowed = json!({"allowed": true, "reason": "the simulated cluster allows everything"});
    let (group, kind, status) = match name {
        "selfsubjectaccessreviews" => ("authorization.k8s.io", "SelfSubjectAccessReview", allowed),
        "subjectaccessreviews" => ("authorization.k8s.io", "SubjectAccessReview", allowed),
        "selfsubjectrulesreviews" => {
            let rules = json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": false,
            });
            ("authorization.k8s.io", "SelfSubjectRulesReview", rules)
        }
        "selfsubjectreviews" => {
            let user = json!({"username": "kubernetes-admin", "groups": ["kubeadm:cluster-admins", "system:authenticated"]});
            ("authentication.k8s.io", "SelfSubjectReview", json!({"userInfo": user}))
        }
        _ => return Err(StatusError::no_such_path()),
    };
    if request.method != Method::POST {
        return Err(StatusError::method_not_allowed());
    }
    let mut review = document(kind, request.content_type(), &request.body)?;
    review["kind"] = json!(kind);
    review["apiVersion"] = json!(format!("{group}/v1"));
    review["status"] = status;
    Ok(document_response(StatusCode::CREATED, &review, false))
}

/// What can be done with a resource: namespaces are not deleted by the dozen.
fn verbs(resource: &Resource) -> Vec<&'static str> {
    VERBS.iter().copied().filter(|verb| resource != &NAMESPACES || *verb != "deletecollection").collect()
}

fn of_group(group: &str) -> impl Iterator<Item = &'static Resource> {
    RESOURCES.iter().copied().filter(move |resource| resource.group == group)
}

fn versions(group: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

fn paths() -> Vec<String> {
    let mut paths: Vec<String> =
        ["/api", "/api/v1", "/apis", "/apis/", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned)
            .to_vec();
    for group in GROUPS {
        paths.push(format!("/apis/{group}"));
        paths.push(format!("/apis/{group}/v1"));
    }
    paths.sort();
    paths
}

fn resource_list(group: &str) -> Value {
    let mut resources = Vec::new();
    for resource in of_group(group) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs(resource),
        });
        add_names(&mut entry, resource);
        resources.push(entry);
        for subresource in resource.subresources {
            let (group, version, kind) = subresource_kind(resource, subresource);
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, subresource.name), "singularName": "",
                "namespaced": resource.namespaced, "kind": kind, "verbs": subresource.verbs,
            });
            if group != resource.group {
                entry["group"] = json!(group);
                entry["version"] = json!(version);
            }
            resources.push(entry);
        }
    }
    let group_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    list
}

fn add_names(entry: &mut Value, resource: &Resource) {
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if resource.in_all {
        entry["categories"] = json!(["all"]);
    }
}

fn subresource_kind(resource: &Resource, subresource: &Subresource) -> (&'static str, &'static str, &'static str) {
    subresource.kind.unwrap_or((resource.group, resource.version, resource.kind))
}

fn aggregated_response(groups: &[&str]) -> Response<ResponseBody> {
    let items: Vec<Value> = groups.iter().map(|group| aggregated(group)).collect();
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    response(StatusCode::OK, AGGREGATED, list.to_string())
}

fn aggregated(group: &str) -> Value {
    let resources: Vec<Value> = of_group(group)
        .map(|resource| {
            let mut entry = json!({
                "resource": resource.plural,
                "responseKind": response_kind(resource.group, resource.version, resource.kind),
                "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": resource.singular, "verbs": verbs(resource),
            });
            add_names(&mut entry, resource);
            let subresources: Vec<Value> = resource
                .subresources
                .iter()
                .map(|subresource| {
                    let (group, version, kind) = subresource_kind(resource, subresource);
                    json!({
                        "subresource": subresource.name, "verbs": subresource.verbs,
                        "responseKind": response_kind(group, version, kind),
                    })
                })
                .collect();
            if !subresources.is_empty() {
                entry["subresources"] = json!(subresources);
            }
            entry
        })
        .collect();
    let metadata: BTreeMap<&str, &str> = if group.is_empty() { BTreeMap::new() } else { BTreeMap::from([("name", group)]) };
    json!({"metadata": metadata, "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}]})
}

fn response_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}
