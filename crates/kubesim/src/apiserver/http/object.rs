//! Requests for one object, and for its subresources.

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use k8s_openapi::{
    api::{core::v1::Binding, policy::v1::Eviction},
    apimachinery::pkg::apis::meta::v1 as meta,
};
use serde_json::{Value, json};

use super::{
    super::{
        ApiServer, Origin, Patch, Writer,
        events::external,
        managed,
        strategy::{Undecodable, cannot_be_handled, decode, try_decode},
    },
    Incoming, ResponseBody,
    body::{self, document_response},
    deletion::{delete_options, is_dry, read_delete_options},
    media::Form,
    path::is_read,
};
use crate::{
    object::{Key, Object},
    resource::{EVENTS, PODS, Resource},
    status::StatusError,
    typed,
};

/// Where a request for one object leads.
pub(super) struct Place {
    pub(super) resource: &'static Resource,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
    pub(super) rest: String,
}

/// Whether an apply made an object or changed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Updated,
}

impl Place {
    pub(super) fn key(&self) -> Key {
        Key::new(self.namespace.as_str(), self.name.as_str())
    }
}

impl ApiServer {
    pub(super) async fn object(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        if !at.subresource.is_empty() && at.resource.subresource(&at.subresource).is_none() {
            return Err(no_such_subresource(at));
        }
        match at.subresource.as_str() {
            "log" => self.log(at, request),
            "proxy" => self.proxy(at, request).await,
            "exec" => self.exec(at, request),
            "attach" | "portforward" => self.not_simulated(at),
            "scale" => self.scale(at, request),
            "binding" | "eviction" | "token" => self.created_subresource(at, request),
            _ => self.stored_object(at, request),
        }
    }

    fn stored_object(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        let subresource = at.subresource.as_str();
        match request.method {
            // What completes a namespace can only be written.
            ref method if is_read(method) && subresource != "finalize" => {
                let object = self.get(at.resource, &at.key())?;
                if request.query.flag("watch") && subresource.is_empty() {
                    return self.watch_one(at, request);
                }
                Ok(self.show(at.resource, StatusCode::OK, &object, request))
            }
            Method::PUT => {
                let value = body::object(at.resource, request.content_type(), &request.body)?;
                if subresource.is_empty() && is_made_by_put(at.resource) && self.store().get(at.resource, &at.key()).is_none() {
                    return self.put_new(at, value, request);
                }
                let object = self.update(at.resource, subresource, &at.key(), value, &request.writer()?)?;
                Ok(self.show(at.resource, StatusCode::OK, &object, request))
            }
            Method::PATCH => self.patched(at, request),
            Method::DELETE if subresource.is_empty() => self.deleted(at, request),
            _ => Err(StatusError::method_not_allowed()),
        }
    }

    fn put_new(&self, at: &Place, value: Value, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        if name != at.name {
            return Err(StatusError::bad_request("the name of the object does not match the name on the URL"));
        }
        let object = self.create(at.resource, Some(&at.namespace), value, &request.writer()?)?;
        Ok(self.show(at.resource, StatusCode::CREATED, &object, request))
    }

    fn patched(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        let patch = match request.content_type() {
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => return self.applied(at, request),
            "application/json-patch+json" => Patch::Json(patch_body(request)?),
            "application/merge-patch+json" => Patch::Merge(patch_body(request)?),
            "application/strategic-merge-patch+json" => Patch::Strategic(patch_body(request)?),
            _ => {
                return Err(StatusError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with_details());
            }
        };
        let object = self.patch(at.resource, &at.subresource, &at.key(), &patch, &request.writer()?)?;
        Ok(self.show(at.resource, StatusCode::OK, &object, request))
    }

    /// Server-side apply: makes the object if it does not exist.
    fn applied(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        request.query.applier()?;
        let mut config: Value = serde_yaml::from_slice(&request.body)
            .map_err(|error| StatusError::bad_request(format!("error encoding patch: yaml: {error}")))?;
        check_applied_kind(at.resource, &config)?;
        let name = config["metadata"]["name"].as_str().unwrap_or(&at.name);
        if name != at.name {
            let message = format!("the name of the object ({name}) does not match the name on the URL ({})", at.name);
            return Err(StatusError::bad_request(message));
        }
        if config["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(StatusError::bad_request("metadata.managedFields must be nil"));
        }
        let writer = Writer { origin: Origin::Apply, ..request.writer()? };
        config = try_decode(at.resource, &config, &Writer { strict: true, ..writer }).map_err(|problem| match problem {
            Undecodable::Type(problem) => untyped(at, &config, &managed::misfit(&problem)),
            Undecodable::Unknown(fields) => untyped(at, &config, &managed::undeclared(&config, &fields)),
            Undecodable::Quantity(_) => cannot_be_handled(at.resource, &problem),
        })?;
        if let Some(problem) = managed::duplicate(&config) {
            return Err(untyped(at, &config, &problem));
        }
        config["metadata"]["name"] = json!(at.name);
        let force = request.query.flag("force");
        let (object, change) = self.apply(at.resource, &at.subresource, &at.key(), &config, force, &writer)?;
        let status = if change == Change::Created { StatusCode::CREATED } else { StatusCode::OK };
        Ok(self.show(at.resource, status, &object, request))
    }

    fn deleted(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        let (options, dry_run) = delete_options(at.resource, request)?;
        let writer = request.writer()?;
        let writer = Writer { dry_run: writer.dry_run || dry_run, ..writer };
        let (object, gone) = self.delete(at.resource, &at.key(), &options, &writer)?;
        if at.resource == &PODS || !gone || ["serviceaccounts", "services"].contains(&at.resource.plural) {
            return Ok(self.show(at.resource, StatusCode::OK, &object, request));
        }
        let mut details = json!({"name": at.name, "kind": at.resource.plural, "uid": object.uid()});
        if !at.resource.group.is_empty() {
            details["group"] = json!(at.resource.group);
        }
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
        Ok(document_response(StatusCode::OK, &status, request.accept.yaml))
    }

    /// The subresources that something is created in.
    fn created_subresource(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        if request.method != Method::POST {
            return Err(StatusError::method_not_allowed());
        }
        let success = || json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        match at.subresource.as_str() {
            "binding" => {
                let value = body::document("Binding", request.content_type(), &request.body)?;
                let mut binding: Binding = read("Binding", &value)?;
                binding.metadata.name = Some(at.name.clone());
                binding.metadata.namespace = Some(at.namespace.clone());
                self.bind(&binding, &request.writer()?)?;
                Ok(document_response(StatusCode::CREATED, &success(), false))
            }
            "eviction" => {
                let value = body::document("Eviction", request.content_type(), &request.body)?;
                let eviction: Eviction = read("Eviction", &as_policy_v1(value))?;
                if eviction.metadata.name.as_ref() != Some(&at.name) {
                    return Err(StatusError::bad_request("name in URL does not match name in Eviction object"));
                }
                let given = eviction.delete_options.unwrap_or_default();
                let dry_run = is_dry(&given);
                let options = read_delete_options(given)?;
                let writer = request.writer()?;
                let writer = Writer { dry_run: writer.dry_run || dry_run, ..writer };
                self.evict(&at.key(), &options, &writer)?;
                Ok(document_response(StatusCode::CREATED, &success(), false))
            }
            _ => {
                let account = self.get(at.resource, &at.key())?;
                let value = body::document("TokenRequest", request.content_type(), &request.body)?;
                Ok(document_response(StatusCode::CREATED, &self.token(&account, &value), false))
            }
        }
    }

    /// A token that says whose it is; nobody checks it.
    fn token(&self, account: &Object, request: &Value) -> Value {
        let seconds = request["spec"]["expirationSeconds"].as_u64().unwrap_or(3_600);
        let clock = self.clock();
        let expiry = clock.at(clock.elapsed().saturating_add(std::time::Duration::from_secs(seconds)));
        let expiry = meta::Time(crate::clock::floor_to_seconds(expiry));
        json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account.name(), "namespace": account.namespace(), "creationTimestamp": clock.time()},
            "spec": {"audiences": ["https://kubernetes.default.svc.cluster.local"], "expirationSeconds": seconds},
            "status": {
                "token": format!("kubesim.{}.{}", account.namespace(), account.name()),
                "expirationTimestamp": expiry,
            },
        })
    }

    /// An object in the form that the client asks for.
    pub(super) fn show(
        &self,
        resource: &'static Resource,
        status: StatusCode,
        object: &Arc<Object>,
        request: &Incoming,
    ) -> Response<ResponseBody> {
        let value = external(resource, object.value());
        let shown = match request.accept.form {
            Form::Object => value,
            Form::Metadata => super::super::table::partial(&value),
            Form::Table => self.table(resource, vec![value], request.query.text("includeObject"), true),
        };
        document_response(status, &shown, request.accept.yaml)
    }

    pub(super) fn apply(
        &self,
        resource: &'static Resource,
        subresource: &str,
        key: &Key,
        config: &Value,
        force: bool,
        writer: &Writer<'_>,
    ) -> Result<(Arc<Object>, Change), StatusError> {
        let now = self.clock().time();
        let conflict = |conflicts: Vec<managed::Conflict>| conflict_error(&conflicts);
        let applier = managed::Applier { manager: writer.manager, subresource, force, now: &now };
        let merge = |live: &Value| managed::apply(resource, live, config, applier).map_err(conflict);
        if subresource.is_empty() && self.store().get(resource, key).is_none() {
            if config["metadata"].get("resourceVersion").is_some() || config["metadata"].get("uid").is_some() {
                return Err(StatusError::not_found(resource, &key.name));
            }
            let value = merge(&json!({}))?;
            let namespace = resource.namespaced.then_some(key.namespace.as_str());
            match self.create(resource, namespace, value, writer) {
                Err(error) if error.is_already_exists() => {}
                created => return created.map(|object| (object, Change::Created)),
            }
        }
        let object = self.modify(resource, subresource, key, writer, |live| {
            let merged = merge(&external(resource, live))?;
            let mut merged = decode(resource, &merged, &Writer { warnings: None, ..*writer })?;
            super::super::events::to_stored(resource, &mut merged);
            Ok(merged)
        })?;
        Ok((object, Change::Updated))
    }
}

/// What is applied must say what it is.
fn check_applied_kind(resource: &Resource, config: &Value) -> Result<(), StatusError> {
    let (kind, version) = (config["kind"].as_str().unwrap_or_default(), config["apiVersion"].as_str().unwrap_or_default());
    if (kind, version) == (resource.kind, resource.api_version().as_str()) {
        return Ok(());
    }
    let slash = if version.contains('/') { "" } else { "/" };
    Err(StatusError::bad_request(format!("invalid object type: {slash}{version}, Kind={kind}")))
}

/// The error for a configuration that is not of its type, to which the real server gives the code 500.
fn untyped(at: &Place, config: &Value, problem: &str) -> StatusError {
    let name = |field: &str| config["metadata"][field].as_str().unwrap_or_default();
    let what = format!("{}/{}; {}, Kind={}", name("namespace"), name("name"), at.resource.api_version(), at.resource.kind);
    StatusError::new(500, "", format!("failed to create typed patch object ({what}): {problem}"))
}

fn patch_body(request: &Incoming) -> Result<Value, StatusError> {
    serde_json::from_slice(&request.body).map_err(|_| StatusError::bad_request("invalid JSON patch"))
}

/// The error of an apply that would take others' fields.
fn conflict_error(conflicts: &[managed::Conflict]) -> StatusError {
    let causes = conflicts.iter().map(|conflict| meta::StatusCause {
        field: Some(conflict.path.clone()),
        message: Some(format!("conflict with {}", conflict.manager)),
        reason: Some("FieldManagerConflict".to_owned()),
    });
    let message = match conflicts {
        [one] => format!("Apply failed with 1 conflict: conflict with {}: {}", one.manager, one.path),
        many => {
            let mut managers: Vec<&str> = many.iter().map(|conflict| conflict.manager.as_str()).collect();
            managers.dedup();
            let listed = managers.into_iter().map(|manager| {
                let paths =
                    many.iter().filter(|conflict| conflict.manager == manager).map(|conflict| format!("- {}", conflict.path));
                format!("conflicts with {manager}:\n{}", paths.collect::<Vec<_>>().join("\n"))
            });
            format!("Apply failed with {} conflicts: {}", many.len(), listed.collect::<Vec<_>>().join("\n"))
        }
    };
    StatusError::new(409, "Conflict", message).with_causes(causes.collect())
}

/// Why a subresource is not there: the real server has some that need what is not simulated.
fn no_such_subresource(at: &Place) -> StatusError {
    let message = match (at.resource.plural, at.subresource.as_str()) {
        ("pods", "ephemeralcontainers") => "the simulated cluster does not run ephemeral containers",
        ("pods", "resize") => "the simulated cluster does not resize running Pods: delete the Pod, or change what makes it",
        _ => return StatusError::no_such_path(),
    };
    StatusError::no_such_path().saying(message)
}

/// Whether a PUT makes the object if there is none (`AllowCreateOnUpdate` in pkg/registry/*/strategy.go).
fn is_made_by_put(resource: &Resource) -> bool {
    matches!(resource.plural, "leases" | "endpoints" | "services") || resource == &EVENTS
}

/// An eviction of the former version is the same.
fn as_policy_v1(mut eviction: Value) -> Value {
    if eviction["apiVersion"] == "policy/v1beta1" {
        eviction["apiVersion"] = json!("policy/v1");
    }
    eviction
}

/// Reads the body of a request as its type.
pub(super) fn read<T: serde::de::DeserializeOwned>(kind: &'static str, value: &Value) -> Result<T, StatusError> {
    typed::read(kind, value).map_err(|error| {
        let version = value["apiVersion"].as_str().and_then(|version| version.rsplit('/').next()).unwrap_or("v1");
        StatusError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {error}"))
    })
}
