//! The file format as types that describe it for editors. They are never filled: scenarios are read by the decoder, whose keys are
//! checked against these.

#![expect(dead_code, clippy::struct_field_names, reason = "the types are only described; their fields are the format's keys")]
#![expect(clippy::doc_markdown, reason = "editors show these texts as they are")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

fn one_of(keys: &[&str]) -> Value {
    keys.iter().map(|key| json!({"required": [key]})).collect()
}

fn at_most_one_of(keys: &[&str]) -> Value {
    let Value::Array(mut options) = one_of(keys) else { return Value::Null };
    options.push(json!({"not": {"anyOf": one_of(keys)}}));
    Value::Array(options)
}

/// Scalars: a name, what it is, its schema.
macro_rules! scalars {
    ($($name:ident: $about:literal, $schema:tt;)*) => {
        $(
            struct $name;

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let mut schema = json_schema!($schema);
                    schema.insert("description".to_owned(), $about.into());
                    schema
                }
            }
        )*
    };
}

scalars! {
    Text: "A text; a number or Boolean is taken as it is written.", {"type": ["string", "number", "boolean"]};
    Match: "What a value must be: a text that is equal, `/a regular expression/`, or whole numbers as `1..3`, `>=2`, `<=2`, `>2`, `<2`.",
        {"type": ["string", "number", "boolean"]};
    FieldMatch: "What a field must be: as a match; `null` for a field that is not set.", {"type": ["string", "number", "boolean", "null"]};
    PartMatch: "A part of the text, or `/a regular expression/`.", {"type": ["string", "number", "boolean"]};
    Count: "How many: `3`, `3..4`, `>=3`, `<=3`.", {"type": ["string", "integer"], "minimum": 0, "pattern": r"^([0-9]+|[0-9]+\.\.[0-9]+|[<>]=?[0-9]+)$"};
    Duration: "A duration in Go's syntax: `15s`, `1m30s`, `500ms`; at most a day.",
        {"type": "string", "pattern": r"^([0-9]+\.?[0-9]*(h|m|s|ms|us|µs|ns))+$"};
    Window: "From when until when, counted from the step's action: `20s..30s`.",
        {"type": "string", "pattern": r"^([0-9]+\.?[0-9]*(h|m|s|ms|us|µs|ns))+ *\.\. *([0-9]+\.?[0-9]*(h|m|s|ms|us|µs|ns))+$"};
    Name: "The name of an object.", {"type": ["string", "integer"], "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"};
    Manifest: "A manifest, named relative to the nearest folder `manifests` above the scenario.", {"type": "string", "pattern": r"\.(yaml|yml|json)$"};
    Selector: "A label selector: `app=web,tier!=cache,canary,!old`.", {"type": "string"};
    Target: "The kind and name of an object: `pod/web`; the name may be a pattern: `pod//^web-/`.", {"type": "string", "pattern": "^[^/]+/."};
    ShortReference: "The kind and name of an object: `pod/web`, `deploy/web`, `Widget.v1.example.com/web`.", {"type": "string", "pattern": "^[^/]+/[^/]+$"};
}

/// One hands-on: steps that follow each other in a namespace of its own.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Scenario {
    /// A name that no other scenario has; a namespace is made of it.
    #[schemars(length(max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    name: String,
    /// One sentence for people.
    title: Option<Text>,
    /// Words to select scenarios by.
    #[schemars(length(min = 1))]
    tags: Option<Vec<Text>>,
    /// How many nodes the cluster must have, control plane included; 1 if left out.
    #[schemars(range(min = 1, max = 100))]
    nodes: Option<u32>,
    /// What is done, one after the other.
    #[schemars(length(min = 1))]
    steps: Vec<Step>,
}

/// One action and what follows from it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = one_of(&["apply", "delete", "patch", "set", "scale", "exec", "request", "observe"])))]
struct Step {
    /// What the step is called in reports; without it the action names it.
    name: Option<Text>,
    /// Applies every object of these manifests.
    apply: Option<Manifests>,
    /// Deletes every object of these manifests, or one object.
    delete: Option<Deletion>,
    /// Patches one object.
    patch: Option<Patch>,
    /// Gives one field of one object a new value, as `kubectl edit` would.
    set: Option<Set>,
    /// Changes the number of replicas.
    scale: Option<Scale>,
    /// Runs a command in a container.
    exec: Option<Exec>,
    /// Sends an HTTP GET through the API server.
    request: Option<Request>,
    /// Does nothing; the step only watches.
    observe: Option<Observe>,
    /// What must follow, all judged at the same time.
    #[schemars(length(min = 1))]
    expect: Option<Vec<Expectation>>,
}

/// One manifest or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Manifests {
    One(Manifest),
    Several(#[schemars(length(min = 1))] Vec<Manifest>),
}

/// Manifests, or one object.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Deletion {
    Manifests(Manifests),
    Object(Reference),
}

/// One object.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Reference {
    Short(ShortReference),
    Long(Object),
}

/// One object, of whatever kind.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
struct Object {
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
struct Patch {
    /// The object.
    object: Reference,
    /// How it is merged; `strategic` if left out.
    r#type: Option<PatchType>,
    /// The patch: a mapping, or a list of operations with `type: json`.
    patch: PatchContent,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum PatchType {
    /// Kubernetes' strategic merge patch.
    Strategic,
    /// JSON merge patch (RFC 7386).
    Merge,
    /// JSON patch (RFC 6902).
    Json,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum PatchContent {
    Mapping(BTreeMap<String, Value>),
    Operations(Vec<Value>),
}

/// A new value for one field.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Set {
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
struct Scale {
    /// The Deployment, ReplicaSet or StatefulSet.
    object: Reference,
    /// How many.
    #[schemars(range(min = 0, max = 10_000))]
    replicas: u32,
}

/// A command run in a container.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
struct Exec {
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
struct Request {
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
struct Observe {}

/// Who, what, and when.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Expectation {
    Objects(ObjectExpectation),
    Events(EventExpectation),
    Log(LogExpectation),
}

const SUBJECTS: &[&str] = &["pod", "pods", "deployment", "deployments", "replicaset", "replicasets", "object", "objects"];

/// An expectation on objects.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("allOf" = json!([
    {"oneOf": one_of(SUBJECTS)},
    {"oneOf": at_most_one_of(&["row", "rows", "never", "printed"])},
    {"not": {"required": ["by", "at"]}},
])))]
struct ObjectExpectation {
    /// One Pod, by its name.
    pod: Option<Name>,
    /// The Pods of a selector.
    pods: Option<Selection>,
    /// One Deployment, by its name.
    deployment: Option<Name>,
    /// The Deployments of a selector.
    deployments: Option<Selection>,
    /// One ReplicaSet, by its name.
    replicaset: Option<Name>,
    /// The ReplicaSets of a selector.
    replicasets: Option<Selection>,
    /// One object of any kind.
    object: Option<Reference>,
    /// The objects of any kind that a selector picks.
    objects: Option<Objects>,
    /// What is seen.
    row: Option<Row>,
    /// What is seen, in this order.
    #[schemars(length(min = 1))]
    rows: Option<Vec<TimedRow>>,
    /// What is seen at no moment of the step.
    never: Option<NeverRow>,
    /// A table of `kubectl get --watch`, pasted from a page.
    printed: Option<String>,
    /// The deadline.
    by: Option<Duration>,
    /// The window in which it becomes true for the first time.
    at: Option<Window>,
    /// How long it stays true; for `never` how long it is watched.
    r#for: Option<Duration>,
    /// Whether rows that are not listed may come between those that are.
    between: Option<Between>,
    /// How much times may differ from a printed AGE; `2s` if left out.
    tolerance: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Between {
    /// After the first row, each row is the one last reached or the next.
    Listed,
    /// Anything may come between.
    Any,
}

/// The objects that a selector picks.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Selection {
    /// Which, by their labels.
    selector: Selector,
    /// How many there must be; at least one if left out.
    count: Option<Count>,
    /// Whether they are looked at together or one by one; `all` if left out.
    r#match: Option<Quantifier>,
    /// Only those that are (or are not) being deleted.
    terminating: Option<bool>,
}

/// The objects of any kind that a selector picks.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
struct Objects {
    /// Such as `v1`; may be left out for kinds that have a short name.
    api_version: Option<Text>,
    /// Such as `ConfigMap`.
    kind: Text,
    /// Which, by their labels.
    selector: Selector,
    /// How many there must be; at least one if left out.
    count: Option<Count>,
    /// Whether they are looked at together or one by one; `all` if left out.
    r#match: Option<Quantifier>,
    /// Only those that are (or are not) being deleted.
    terminating: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Quantifier {
    /// At one moment all of them are as said, and as many as said.
    All,
    /// Each does it at a time of its own.
    Each,
}

/// The rows of one table, with additional keys.
macro_rules! rows {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $key:ident: $type:ty,)* })*) => {
        $(
            $(#[$about])*
            #[derive(JsonSchema)]
            #[schemars(deny_unknown_fields, rename_all = "kebab-case")]
            struct $name {
                /// The column READY: `1/1`.
                ready: Option<Match>,
                /// The column STATUS: `Running`.
                status: Option<Match>,
                /// The column RESTARTS: `0`.
                restarts: Option<Match>,
                /// The column UP-TO-DATE.
                up_to_date: Option<Match>,
                /// The column AVAILABLE.
                available: Option<Match>,
                /// The column DESIRED.
                desired: Option<Match>,
                /// The column CURRENT.
                current: Option<Match>,
                /// Other columns of `kubectl get -o wide`, by their headers.
                #[schemars(length(min = 1))]
                columns: Option<BTreeMap<String, Match>>,
                /// Fields of the object, by their paths: `status.phase`.
                #[schemars(length(min = 1))]
                fields: Option<BTreeMap<String, FieldMatch>>,
                /// Whether the object exists.
                exists: Option<bool>,
                /// How a container of the Pod ended last.
                last_termination: Option<LastTermination>,
                $($(#[$doc])* $key: $type,)*
            }
        )*
    };
}

rows! {
    /// A partial row: what is left out matches anything.
    Row {}

    /// A partial row and when it is due. Without a time it takes the deadline of the next row that has one.
    TimedRow {
        /// The deadline.
        by: Option<Duration>,
        /// The window in which it becomes true for the first time.
        at: Option<Window>,
        /// How long it stays true.
        r#for: Option<Duration>,
    }

    /// A partial row that is seen at no moment.
    NeverRow {
        /// Numbers of objects that there must never be.
        count: Option<Count>,
    }
}

/// How a container ended last.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case", extend("anyOf" = one_of(&["reason", "exit-code"])))]
struct LastTermination {
    /// The container; any of the Pod if left out.
    container: Option<Text>,
    /// Such as `Error`, `Completed`, `OOMKilled`.
    reason: Option<Match>,
    /// Its exit code.
    exit_code: Option<Match>,
}

/// An expectation on events.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("not" = json!({"required": ["by", "at"]})))]
struct EventExpectation {
    /// Which events.
    event: Event,
    /// `true`: no such event comes.
    #[schemars(extend("const" = true))]
    never: Option<bool>,
    /// The deadline.
    by: Option<Duration>,
    /// The window in which it comes.
    at: Option<Window>,
    /// How long it is watched for `never`.
    r#for: Option<Duration>,
    /// It comes again and again, with this time between.
    every: Option<Duration>,
    /// How much the time between may differ; `1s` if left out.
    tolerance: Option<Duration>,
    /// How many times it must come; 3 if left out.
    #[schemars(range(min = 2, max = 100_000))]
    times: Option<u32>,
}

/// Events; what is left out matches anything.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case",
    extend("anyOf" = one_of(&["type", "reason", "message", "for-object", "source"])))]
struct Event {
    /// Their type.
    r#type: Option<EventType>,
    /// Such as `Unhealthy`.
    reason: Option<Match>,
    /// What they say.
    message: Option<PartMatch>,
    /// What they are about.
    for_object: Option<Target>,
    /// Who reports them, such as `kubelet`.
    source: Option<Match>,
    /// How many there must be at least; 1 if left out.
    #[schemars(range(min = 1, max = 1_000_000))]
    count: Option<u32>,
}

#[derive(JsonSchema)]
enum EventType {
    Normal,
    Warning,
}

/// An expectation on a log.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend(
    "oneOf" = one_of(&["line", "lines", "never"]),
    "not" = json!({"required": ["by", "at"]})
))]
struct LogExpectation {
    /// Whose log.
    log: Log,
    /// A line that is written.
    line: Option<PartMatch>,
    /// Lines that are written in this order; others may come between.
    #[schemars(length(min = 1))]
    lines: Option<Vec<TimedLine>>,
    /// A line that is never written.
    never: Option<PartMatch>,
    /// The deadline.
    by: Option<Duration>,
    /// The window in which it is written.
    at: Option<Window>,
    /// How long it is watched for `never`.
    r#for: Option<Duration>,
    /// It is written again and again, with this time between.
    every: Option<Duration>,
    /// How much the time between may differ; `1s` if left out.
    tolerance: Option<Duration>,
    /// How many times it must be written; 3 if left out.
    #[schemars(range(min = 2, max = 100_000))]
    times: Option<u32>,
}

/// The log of a container.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = one_of(&["pod", "selector"])))]
struct Log {
    /// One Pod, by its name.
    pod: Option<Name>,
    /// Any Pod with these labels.
    selector: Option<Selector>,
    /// The container; any of the Pod if left out.
    container: Option<Name>,
    /// Only containers that have been restarted since.
    previous: Option<bool>,
}

/// A line and when it is due.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TimedLine {
    /// The line.
    line: PartMatch,
    /// The deadline.
    by: Option<Duration>,
    /// The window in which it is written.
    at: Option<Window>,
}
