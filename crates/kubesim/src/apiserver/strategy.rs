//! The rules of each resource: what a write may set, what is filled in, what is refused (pkg/registry/*/strategy.go).

use serde_json::{Value, json};

use super::{
    ApiServer, Origin, Writer, defaults, managed,
    metadata::{fields, keep, text},
    validation,
};
use crate::{
    resource::Resource,
    status::StatusError,
    typed::{self, WrongType},
};

impl ApiServer {
    /// Makes a new object ready to be stored, or refuses it.
    pub(super) fn prepare_for_create(
        &self,
        resource: &'static Resource,
        value: &mut Value,
        writer: &Writer<'_>,
    ) -> Result<(), StatusError> {
        fields(value).insert("apiVersion".to_owned(), json!(resource.stored().api_version()));
        fields(value).insert("kind".to_owned(), json!(resource.kind));
        reset_status(resource, value);
        defaults::apply(resource.stored(), value, self.version());
        validation::check(resource.stored(), value, None)?;
        self.admit(resource, value)?;
        check_size(value, writer)?;
        if writer.origin == Origin::Client {
            managed::track(resource.stored(), "", &json!({}), value, writer.manager, &self.clock().time());
        }
        Ok(())
    }

    /// Makes a changed object ready to be stored, or refuses it.
    pub(super) fn prepare_for_update(
        &self,
        resource: &'static Resource,
        subresource: &str,
        old: &Value,
        new: &mut Value,
        writer: &Writer<'_>,
    ) -> Result<(), StatusError> {
        fields(new).insert("apiVersion".to_owned(), json!(resource.stored().api_version()));
        fields(new).insert("kind".to_owned(), json!(resource.kind));
        keep_other_part(resource, subresource, old, new);
        if subresource.is_empty() || subresource == "scale" {
            defaults::apply(resource.stored(), new, self.version());
            if resource.plural == "services" {
                self.keep_addresses(old, new);
            }
            validation::check(resource.stored(), new, Some(old))?;
        }
        check_size(new, writer)?;
        if writer.origin == Origin::Client {
            managed::track(resource.stored(), subresource, old, new, writer.manager, &self.clock().time());
        }
        Ok(())
    }

    /// A Service that does not say its addresses and ports keeps them, but for those that its new type has not
    /// (pkg/registry/core/service/storage/storage.go:patchAllocatedValues, dropTypeDependentFields).
    fn keep_addresses(&self, old: &Value, new: &mut Value) {
        let (was, is) = (text(old, "/spec/type").to_owned(), text(new, "/spec/type").to_owned());
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let (before, given) = (old["spec"].get(field), new["spec"].get(field));
            if is == "ExternalName" && given == before {
                fields(&mut new["spec"]).remove(field);
            } else if is != "ExternalName"
                && given.is_none()
                && let Some(before) = before
            {
                new["spec"][field] = before.clone();
            }
        }
        if is != "LoadBalancer" && new["spec"].get("loadBalancerClass") == old["spec"].get("loadBalancerClass") {
            fields(&mut new["spec"]).remove("loadBalancerClass");
        }
        if is != "LoadBalancer" && was == "LoadBalancer" {
            fields(&mut new["spec"]).remove("allocateLoadBalancerNodePorts");
        }
        let has_node_ports = |kind: &str| ["NodePort", "LoadBalancer"].contains(&kind);
        if has_node_ports(&was) && !has_node_ports(&is) {
            keep_no_node_ports(old, new);
            fields(&mut new["spec"]).remove("externalTrafficPolicy");
        } else if has_node_ports(&was) {
            keep_node_ports(old, new);
        }
        self.allocate(new, &is);
    }
}

fn node_ports(service: &Value) -> Vec<&Value> {
    service["spec"]["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]).collect()
}

/// Takes the ports that nodes have opened from a Service, unless the request says others.
fn keep_no_node_ports(old: &Value, new: &mut Value) {
    if node_ports(old) == node_ports(new) {
        for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
            fields(port).remove("nodePort");
        }
    }
}

/// Leaves the ports that nodes have opened as they are where the request does not say them.
fn keep_node_ports(old: &Value, new: &mut Value) {
    let before = old["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
        let same = before.iter().find(|old| old["port"] == port["port"] && old["protocol"] == port["protocol"]);
        if port["nodePort"].as_u64().unwrap_or(0) == 0
            && let Some(same) = same
            && same["nodePort"].is_u64()
        {
            port["nodePort"] = same["nodePort"].clone();
        }
    }
}

/// A request's object in the form of its type. What the type does not know is dropped, with a warning or, if the
/// writer wants it so, an error.
pub(super) fn decode(resource: &'static Resource, value: &Value, writer: &Writer<'_>) -> Result<Value, StatusError> {
    let normal = typed::normalise(resource, value).map_err(|error| cannot_be_handled(resource, &error))?;
    let unknown = typed::unknown_fields(value, &normal);
    if unknown.is_empty() {
        return Ok(normal);
    }
    let unknown: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    if writer.strict {
        let message = format!(
            "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
            resource.kind,
            resource.version,
            resource.kind,
            unknown.join(", ")
        );
        return Err(StatusError::bad_request(message));
    }
    writer.warn(unknown);
    Ok(normal)
}

/// How large a request to etcd may be (etcd `--max-request-bytes`).
const MAX_REQUEST: usize = 1_536 * 1_024;

/// What is too large for etcd is refused in its words. The real server gives the code 500 to an error that it does not know
/// (kubernetes issue 112152). Components write nothing large.
fn check_size(value: &Value, writer: &Writer<'_>) -> Result<(), StatusError> {
    if writer.origin != Origin::Component && value.to_string().len() > MAX_REQUEST {
        return Err(StatusError::new(500, "", "etcdserver: request is too large"));
    }
    Ok(())
}

/// The error for an object that is not of its type.
pub(super) fn cannot_be_handled(resource: &Resource, error: &WrongType) -> StatusError {
    let Resource { kind, version, .. } = resource;
    StatusError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {error}"))
}

/// A new object has the status of one that nothing has happened to yet.
fn reset_status(resource: &Resource, value: &mut Value) {
    let status = match (resource.group, resource.plural) {
        // A kubelet registers its node with its status.
        ("", "nodes") => return,
        ("", "namespaces") => {
            fields(value).insert("spec".to_owned(), json!({"finalizers": ["kubernetes"]}));
            json!({"phase": "Active"})
        }
        ("", "pods") => json!({"phase": "Pending"}),
        ("", "services") => json!({"loadBalancer": {}}),
        ("apps", "replicasets") => json!({"replicas": 0}),
        ("apps", "daemonsets") => json!({
            "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
        }),
        ("policy", "poddisruptionbudgets") => json!({
            "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0,
        }),
        _ if resource.subresource("status").is_some() => json!({}),
        _ => return,
    };
    fields(value).insert("status".to_owned(), status);
}

/// What a request to this subresource does not change, it keeps.
fn keep_other_part(resource: &Resource, subresource: &str, old: &Value, new: &mut Value) {
    let has_status = resource.subresource("status").is_some();
    let kept: &[&str] = match subresource {
        "status" => &["spec"],
        "" if resource.plural == "namespaces" => &["status", "spec"],
        "" | "scale" if has_status => &["status"],
        "finalize" => &["status"],
        _ => &[],
    };
    for part in kept {
        keep(fields(new), old, part);
    }
    if subresource == "status" && resource.group == "apps" {
        keep(fields(&mut new["metadata"]), &old["metadata"], "labels");
    }
}
