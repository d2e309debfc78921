//! What a scenario file says, resolved: durations are parsed, matchers are compiled, every part knows its place in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::images::ImageUse;
use super::matcher::{FieldPath, LabelSelector, ValueMatch};
use crate::timeline::{optional_seconds, seconds};

/// The deadline of a row, event or line that names no time and has no successor that names one.
pub const DEFAULT_DEADLINE: Duration = Duration::from_mins(1);

/// One hands-on: steps that follow each other in a namespace of its own.
#[derive(Clone, Debug, Serialize)]
pub struct Scenario {
    /// The file, as it was named on the command line.
    pub file: PathBuf,
    /// A DNS label (RFC 1123), unique among the scenarios of a run.
    pub name: String,
    /// One sentence for people.
    pub title: Option<String>,
    /// Words that `--filter` selects by.
    pub tags: Vec<String>,
    /// How many nodes the cluster must have, control plane included; at least 1.
    pub nodes: u32,
    /// The steps, in the order in which they are done.
    pub steps: Vec<Step>,
}

/// A place in a scenario file, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One action and what follows from it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What the step is called in reports; without it the action names it.
    pub name: Option<String>,
    /// What is done; its sending is the step's time zero.
    pub action: Action,
    /// What must follow, judged at the same time.
    pub expect: Vec<Expectation>,
    /// Where the step begins in its file.
    pub location: Location,
}

/// What a step does to the cluster.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Server-side apply of every object of these manifests, in order.
    Apply(Vec<PathBuf>),
    /// Deletion of every object of these manifests, in reverse order, as `kubectl delete --filename`.
    DeleteManifests(Vec<PathBuf>),
    /// Deletion of one object.
    Delete(ObjectRef),
    /// A patch of one object.
    Patch(Patch),
    /// One field of one object gets a new value: the typed form of `kubectl edit`.
    Set(Set),
    /// The `scale` subresource of a workload gets a new number of replicas.
    Scale {
        /// The workload.
        object: ObjectRef,
        /// The new number of replicas.
        replicas: u32,
    },
    /// A command run in a container.
    Exec(Exec),
    /// An HTTP GET to a Pod or Service through the API server's proxy.
    Request(Request),
    /// Nothing is done; the step only watches.
    Observe,
}

/// An object in the scenario's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ObjectRef {
    /// `v1`, `apps/v1`, …
    pub api_version: String,
    /// `Pod`, `Deployment`, …
    pub kind: String,
    /// Its `metadata.name`.
    pub name: String,
}

/// How a patch is merged into the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchType {
    /// Kubernetes' strategic merge patch, the default.
    Strategic,
    /// JSON merge patch (RFC 7386).
    Merge,
    /// JSON patch (RFC 6902).
    Json,
}

/// A patch of one object.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The object.
    pub object: ObjectRef,
    /// How it is merged.
    pub patch_type: PatchType,
    /// The patch itself.
    pub patch: Value,
    /// The images that it brings in.
    pub images: Vec<ImageUse>,
}

/// One field of one object gets a new value.
#[derive(Clone, Debug)]
pub struct Set {
    /// The object.
    pub object: ObjectRef,
    /// The field; list items are named by index or by their `name`: `spec.containers[name=app].image`.
    pub field: FieldPath,
    /// The value that the field must have before; with another one the step fails.
    pub from: Option<Value>,
    /// The new value.
    pub to: Value,
    /// The images that it brings in.
    pub images: Vec<ImageUse>,
}

/// A command run in a container, with what it must answer.
#[derive(Clone, Debug, Serialize)]
pub struct Exec {
    /// The Pod's name.
    pub pod: String,
    /// The container; the Pod's first one if left out.
    pub container: Option<String>,
    /// The command and its arguments; no shell is put around it.
    pub command: Vec<String>,
    /// The exit code that the command must end with.
    pub exit_code: i32,
    /// What its standard output must be, without the line end at its end.
    pub stdout: Option<ValueMatch>,
}

/// An HTTP GET through the API server's proxy, with what it must answer.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// A Pod or a Service.
    pub to: ObjectRef,
    /// Its port.
    pub port: u16,
    /// The path, with a leading slash, and perhaps a query.
    pub path: String,
    /// The status that must be answered.
    pub status: u16,
    /// What the body must be, without the line end at its end.
    pub body: Option<ValueMatch>,
}

/// Who is watched and what is claimed of them.
#[derive(Clone, Debug, Serialize)]
pub struct Expectation {
    /// Who.
    pub subject: Subject,
    /// What, and when.
    pub claim: Claim,
    /// Where the expectation begins in its file.
    pub location: Location,
}

/// Who an expectation is about.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// One object, by name.
    Object(ObjectRef),
    /// The objects of one kind that a selector picks.
    Selection(Selection),
    /// Events about objects of the namespace.
    Event(EventPattern),
    /// The log of a container.
    Log(LogSource),
}

/// The objects of one kind that a selector picks.
#[derive(Clone, Debug, Serialize)]
pub struct Selection {
    /// `v1`, `apps/v1`, …
    pub api_version: String,
    /// `Pod`, `ReplicaSet`, …
    pub kind: String,
    /// Which of them, by their labels.
    pub selector: LabelSelector,
    /// Only those that are (or are not) being deleted, by their `metadata.deletionTimestamp`; both if left out.
    pub terminating: Option<bool>,
    /// Whether they are looked at together or one by one.
    pub quantifier: Quantifier,
    /// How many there must be; at least one if left out. Always given with [`Quantifier::Each`], and then a single number.
    pub count: Option<CountRange>,
}

/// How many, both ends included.
pub type CountRange = RangeInclusive<u32>;

/// Whether the objects of a selection are looked at together or one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantifier {
    /// At one and the same moment all of them are as claimed, and they are as many as asked for.
    All,
    /// Each of them keeps the claim at a time of its own; as many as asked for must do so.
    Each,
}

/// Which events are meant; what is left out matches anything.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EventPattern {
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// The reason, such as `Unhealthy`.
    pub reason: Option<ValueMatch>,
    /// The message.
    pub message: Option<ValueMatch>,
    /// Who it is about: kind and name, both matched without regard to the API version.
    pub for_object: Option<EventTarget>,
    /// The component that reported it, such as `kubelet`.
    pub source: Option<ValueMatch>,
    /// At least so many occurrences, all matching events taken together (a lower bound: Kubernetes drops events).
    pub count: u32,
}

/// The object that an event is about.
#[derive(Clone, Debug, Serialize)]
pub struct EventTarget {
    /// `Pod`, `ReplicaSet`, …
    pub kind: String,
    /// Its name.
    pub name: ValueMatch,
}

/// The log of a container.
#[derive(Clone, Debug, Serialize)]
pub struct LogSource {
    /// Whose log.
    pub pod: PodPick,
    /// Which container; any of the Pod if left out.
    pub container: Option<String>,
    /// Only instances that have been restarted since: what `kubectl logs --previous` shows.
    pub previous: bool,
}

/// The Pods whose logs are read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodPick {
    /// One Pod.
    Name(String),
    /// Any Pod with these labels.
    Selector(LabelSelector),
}

/// What is claimed. Times are serialised in seconds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// These rows in this order. A single expected row is a sequence of one.
    Sequence {
        /// At least one row.
        rows: Vec<TimedRow>,
        /// Whether other rows may come between; always [`Between::Any`] for events and logs.
        between: Between,
    },
    /// At no moment of the step this row. Of a selection: no object of it is like the row, and its size is not in `row.count`.
    Never {
        /// The forbidden row.
        row: Row,
        /// How long the step lasts for this; without it, as long as its other expectations need.
        #[serde(with = "optional_seconds")]
        hold: Option<Duration>,
    },
    /// Occurs again and again; for events and logs.
    Every {
        /// What occurs: a log line; empty for events, where the subject says it.
        row: Row,
        /// The time between two occurrences.
        #[serde(with = "seconds")]
        period: Duration,
        /// How much the time between two occurrences may differ from the period, each way.
        #[serde(with = "seconds")]
        tolerance: Duration,
        /// How many occurrences must be seen; at least 2.
        times: u32,
        /// The deadline of the first occurrence, from the step's action.
        #[serde(with = "seconds")]
        first_by: Duration,
    },
}

/// Whether rows that are not listed may come between the listed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Between {
    /// After the first listed row, every row is the one last reached or the next.
    Listed,
    /// Anything may come between.
    Any,
}

/// A row and when it is due.
#[derive(Clone, Debug, Serialize)]
pub struct TimedRow {
    /// What is seen.
    pub row: Row,
    /// When.
    pub when: When,
    /// Where the row begins in its file.
    pub location: Location,
}

/// When a row is due, counted from the step's action; serialised in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct When {
    /// Earliest time at which it may become true for the first time; zero for `by`.
    #[serde(with = "seconds")]
    pub earliest: Duration,
    /// Latest time at which it must have become true.
    #[serde(with = "seconds")]
    pub latest: Duration,
    /// How long it stays true from then on, watched change by change; zero if not asked for.
    #[serde(with = "seconds")]
    pub hold: Duration,
}

/// A partial row: what is left out matches anything.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// By column header as kubectl prints it, in capitals: `READY`, `STATUS`, `RESTARTS`, `UP-TO-DATE`, …
    pub columns: BTreeMap<String, ValueMatch>,
    /// By path in the object.
    pub fields: BTreeMap<FieldPath, ValueMatch>,
    /// Whether the object exists; `true` where anything else is said of it.
    pub exists: Option<bool>,
    /// How a container of the Pod ended last.
    pub last_termination: Option<LastTermination>,
    /// How many objects there are; only in the `never` of a selection.
    pub count: Option<CountRange>,
    /// A line of a log; only for logs.
    pub line: Option<ValueMatch>,
}

/// How a container ended last: `status.containerStatuses[].lastState.terminated`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LastTermination {
    /// Which container; any of the Pod if left out.
    pub container: Option<String>,
    /// `Error`, `Completed`, `OOMKilled`, …
    pub reason: Option<ValueMatch>,
    /// Its exit code.
    pub exit_code: Option<ValueMatch>,
}

impl ObjectRef {
    /// Whether it is a Secret, whose values are not shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.api_version == "v1" && self.kind == "Secret"
    }

    fn shown(&self, value: &Value) -> Value {
        if self.is_secret() { Value::from("…") } else { value.clone() }
    }
}

impl Serialize for Patch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Patch", 3)?;
        fields.serialize_field("object", &self.object)?;
        fields.serialize_field("type", &self.patch_type)?;
        fields.serialize_field("patch", &self.object.shown(&self.patch))?;
        fields.end()
    }
}

impl Serialize for Set {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Set", 4)?;
        fields.serialize_field("object", &self.object)?;
        fields.serialize_field("field", &self.field)?;
        fields.serialize_field("from", &self.from.as_ref().map(|from| self.object.shown(from)))?;
        fields.serialize_field("to", &self.object.shown(&self.to))?;
        fields.end()
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_lowercase(), self.name)
    }
}
