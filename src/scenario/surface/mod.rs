//! The file format as types that describe it for editors. They are never filled: scenarios are read by the decoder, whose keys are
//! checked against these.

#![expect(dead_code, clippy::struct_field_names, reason = "the types are only described; their fields are the format's keys")]
#![expect(clippy::doc_markdown, reason = "editors show these texts as they are")]

mod actions;
mod expectations;
mod scalars;

use schemars::JsonSchema;
use serde_json::{Value, json};

use actions::{Deletion, Exec, Manifests, Observe, Patch, Request, Scale, Set};
use expectations::Expectation;
use scalars::Text;

fn one_of(keys: &[&str]) -> Value {
    keys.iter().map(|key| json!({"required": [key]})).collect()
}

fn at_most_one_of(keys: &[&str]) -> Value {
    let Value::Array(mut options) = one_of(keys) else { return Value::Null };
    options.push(json!({"not": {"anyOf": one_of(keys)}}));
    Value::Array(options)
}

/// One hands-on: steps that follow each other in a namespace of its own.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::scenario) struct Scenario {
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
