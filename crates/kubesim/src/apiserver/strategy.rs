//! The rules of each resource: what a write may set, what is filled in, what is refused (pkg/registry/*/strategy.go).

use std::fmt::Display;

use serde_json::{Value, json};

use super::{
    ApiServer, Origin, Writer, admission, defaults, managed,
    metadata::{fields, keep, strings},
    quantities, validation,
};
use crate::{
    resource::{NODES, Resource},
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
        let owned = (writer.origin == Origin::Client).then(|| self.owned_by_maker(resource, value, writer));
        reset_status(resource, value);
        // The labels that a Job has by default are those of its template, which the selector adds to.
        if (resource.group, resource.plural) == ("batch", "jobs") {
            admission::select_own_pods(value);
        }
        defaults::apply(resource.stored(), value);
        validation::check(resource.stored(), value, None)?;
        writer.warn(validation::warnings(resource, value));
        if writer.origin != Origin::Component && resource == &NODES {
            admission::complete_node(value);
        }
        self.admit(resource, value)?;
        self.check_pod_security(resource, value, writer)?;
        check_size(value, writer)?;
        if let Some(owned) = owned.filter(|owned| !owned.is_null()) {
            fields(&mut value["metadata"]).insert("managedFields".to_owned(), owned);
        }
        Ok(())
    }

    /// Who owns the fields of a new object: its maker has what it sent and the defaults, not what the server decides.
    fn owned_by_maker(&self, resource: &'static Resource, sent: &Value, writer: &Writer<'_>) -> Value {
        let mut sent = sent.clone();
        defaults::apply(resource.stored(), &mut sent);
        managed::track(resource.stored(), "", &json!({}), &mut sent, writer.manager, &self.clock().time());
        sent["metadata"]["managedFields"].take()
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
        if resource.plural == "pods" {
            defaults::probe_times(new);
        }
        if subresource.is_empty() || subresource == "scale" {
            defaults::apply(resource.stored(), new);
            match resource.plural {
                "services" => self.readmit_service(old, new)?,
                "daemonsets" => admission::count_template_generation(old, new),
                _ => {}
            }
            validation::check(resource.stored(), new, Some(old))?;
            if old.get("spec") != new.get("spec") {
                writer.warn(validation::warnings(resource, new));
                // Of what a Pod's update may change, the policy says nothing.
                if resource.plural != "pods" {
                    self.check_pod_security(resource, new, writer)?;
                }
            }
        }
        check_size(new, writer)?;
        if writer.origin == Origin::Client {
            managed::track(resource.stored(), subresource, old, new, writer.manager, &self.clock().time());
        }
        Ok(())
    }
}

/// A request's object in the form of its type. What the type does not know is dropped, with a warning or, if the
/// writer wants it so, an error.
pub(super) fn decode(resource: &'static Resource, value: &Value, writer: &Writer<'_>) -> Result<Value, StatusError> {
    try_decode(resource, value, writer).map_err(|error| cannot_be_handled(resource, &error))
}

/// Why an object cannot be read as its type.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Undecodable {
    #[error(transparent)]
    Type(#[from] WrongType),
    #[error("{0}")]
    Quantity(String),
    #[error("strict decoding error: {}", .0.iter().map(|path| unknown_field(path)).collect::<Vec<_>>().join(", "))]
    Unknown(Vec<String>),
}

fn unknown_field(path: &str) -> String {
    format!("unknown field {path:?}")
}

impl Undecodable {
    /// The same in the words of who converts objects without JSON (apimachinery/pkg/runtime/converter.go).
    pub(super) fn when_converted(&self) -> String {
        let Self::Type(WrongType::Type { found, expected, .. }) = self else { return self.to_string() };
        let is_number = found.starts_with("number");
        let found = match found.as_str() {
            "object" => "map",
            "array" => "slice",
            number if is_number && number.contains('.') => "float64",
            _ if is_number => "int64",
            other => other,
        };
        match expected.as_str() {
            list if list.starts_with("[]") => format!("cannot restore slice from {found}"),
            map if map.starts_with("map[") || map == "v1.ResourceList" => format!("cannot restore map from {found}"),
            object if object.starts_with("v1.") => format!("cannot restore struct from: {found}"),
            "string" | "int32" | "int64" if is_number => format!("cannot convert {found} to {expected}"),
            _ => format!("unrecognized type: {expected}"),
        }
    }
}

/// As [`decode`], with the reason why it cannot be done.
pub(super) fn try_decode(resource: &'static Resource, value: &Value, writer: &Writer<'_>) -> Result<Value, Undecodable> {
    let mut normal = typed::normalise(resource, value)?;
    quantities::canonicalise(&mut normal).map_err(|error| Undecodable::Quantity(error.to_string()))?;
    let unknown = typed::unknown_fields(value, &normal);
    if unknown.is_empty() {
        return Ok(normal);
    }
    if writer.strict {
        return Err(Undecodable::Unknown(unknown));
    }
    writer.warn(unknown.iter().map(|path| unknown_field(path)).collect());
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
pub(super) fn cannot_be_handled(resource: &Resource, error: &impl Display) -> StatusError {
    let Resource { kind, version, .. } = resource;
    StatusError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {error}"))
}

/// A new object has the status of one that nothing has happened to yet.
fn reset_status(resource: &Resource, value: &mut Value) {
    let status = match (resource.group, resource.plural) {
        // A kubelet registers its node with its status.
        ("", "nodes") => return,
        ("", "namespaces") => {
            let mut finalizers = strings(value, "/spec/finalizers");
            if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
                finalizers.push("kubernetes".to_owned());
            }
            fields(value).insert("spec".to_owned(), json!({"finalizers": finalizers}));
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
