//! What a step does.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use super::scalars::{Manifest, Match, Name, ShortReference, Text};

/// One manifest or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Manifests {
    One(Manifest),
    Several(#[schemars(length(min = 1))] Vec<Manifest>),
}

/// Manifests, or one object.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Deletion {
    Manifests(Manifests),
    Object(Reference),
}

/// One object.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Reference {
    Short(ShortReference),
    Long(Object),
}

/// One object, of whatever kind.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Object {
    /// Such as `apps/v1`.
    api_version: Text,
    /// Such as `Deployment`.
    kind: Text,
    /// Its name.
    name: Name,
}

/// A patch of one object.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Patch {
    /// The object.
    object: Reference,
    /// How it is merged; `strategic` if left out.
    r#type: Option<PatchType>,
    /// The patch: a mapping, or a list of operations with `type: json`.
    patch: PatchContent,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(super) enum PatchType {
    /// Kubernetes' strategic merge patch.
    Strategic,
    /// JSON merge patch (RFC 7386).
    Merge,
    /// JSON patch (RFC 6902).
    Json,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum PatchContent {
    Mapping(BTreeMap<String, Value>),
    Operations(Vec<Value>),
}

/// A new value for one field.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Set {
    /// The object.
    object: Reference,
    /// The path of the field: `spec.template.spec.containers[name=web].image`.
    field: Text,
    /// The value that it must have before.
    from: Option<Value>,
    /// Its new value.
    to: Value,
}

/// A new number of replicas.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Scale {
    /// The Deployment, ReplicaSet or StatefulSet.
    object: Reference,
    /// How many.
    #[schemars(range(min = 0, max = 10_000))]
    replicas: u32,
}

/// A command run in a container.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Exec {
    /// The Pod.
    pod: Name,
    /// The container; the first one if left out.
    container: Option<Text>,
    /// The command and its arguments; no shell is put around it.
    #[schemars(length(min = 1))]
    command: Vec<Text>,
    /// The exit code that it must end with; 0 if left out.
    #[schemars(range(min = 0, max = 255))]
    exit_code: Option<i32>,
    /// What it must print.
    stdout: Option<Match>,
}

/// An HTTP GET through the API server.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Request {
    /// A Pod or a Service.
    to: Reference,
    /// Its port.
    #[schemars(range(min = 1, max = 65535))]
    port: u16,
    /// The path; `/` if left out.
    #[schemars(regex(pattern = r"^/\S*$"))]
    path: Option<String>,
    /// The status that must be answered; 200 if left out.
    #[schemars(range(min = 100, max = 599))]
    status: Option<u16>,
    /// What the body must be.
    body: Option<Match>,
}

/// Nothing is done.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Observe {}
