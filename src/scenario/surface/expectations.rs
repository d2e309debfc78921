//! What must follow.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::json;

use super::actions::Reference;
use super::scalars::{Count, Duration, FieldMatch, Match, Name, PartMatch, Selector, Target, Text, Window};
use super::{at_most_one_of, one_of};

/// Who, what, and when.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Expectation {
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
pub(super) struct ObjectExpectation {
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
pub(super) enum Between {
    /// After the first row, each row is the one last reached or the next.
    Listed,
    /// Anything may come between.
    Any,
}

/// The objects that a selector picks.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Selection {
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
pub(super) struct Objects {
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
pub(super) enum Quantifier {
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
            pub(super) struct $name {
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
pub(super) struct LastTermination {
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
pub(super) struct EventExpectation {
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
pub(super) struct Event {
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
pub(super) enum EventType {
    Normal,
    Warning,
}

/// An expectation on a log.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend(
    "oneOf" = one_of(&["line", "lines", "never"]),
    "not" = json!({"required": ["by", "at"]})
))]
pub(super) struct LogExpectation {
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
pub(super) struct Log {
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
pub(super) struct TimedLine {
    /// The line.
    line: PartMatch,
    /// The deadline.
    by: Option<Duration>,
    /// The window in which it is written.
    at: Option<Window>,
}
