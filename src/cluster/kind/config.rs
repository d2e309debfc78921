//! The configuration that kind gets: the user's, if there is one, with the node count and labels that a run needs.

use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cluster::RUN_LABEL;
use crate::diagnostic::Source;
use crate::report::text::count;
use crate::scenario::nearest;
use crate::yaml::{self, Dialect, Node, Tree};

/// A kind config that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub(crate) struct ConfigError {
    /// Where in the file, counted from 1, if it is about a place.
    line: Option<usize>,
    problem: String,
}

/// What kind gets.
#[derive(Debug)]
pub(crate) struct Merged {
    /// JSON, which is YAML.
    pub(crate) text: String,
    /// The user's name for the cluster, which the one on kind's command line overrides.
    pub(crate) name: Option<String>,
}

const API_VERSION: &str = "kind.x-k8s.io/v1alpha4";

/// The fields of a cluster and of a node; kind refuses others (kind's pkg/apis/config/v1alpha4/types.go).
const CLUSTER_FIELDS: [&str; 11] = [
    "kind",
    "apiVersion",
    "name",
    "nodes",
    "networking",
    "featureGates",
    "runtimeConfig",
    "kubeadmConfigPatches",
    "kubeadmConfigPatchesJSON6902",
    "containerdConfigPatches",
    "containerdConfigPatchesJSON6902",
];
const NODE_FIELDS: [&str; 7] =
    ["role", "image", "labels", "extraMounts", "extraPortMappings", "kubeadmConfigPatches", "kubeadmConfigPatchesJSON6902"];

/// The config with at least `nodes` nodes, each with the run's label. A `nodes` list of the user's wins if it is long enough.
pub(crate) fn merge(user: Option<&str>, nodes: u32, run: &str) -> Result<Merged, ConfigError> {
    let mut config = match user {
        Some(text) => parse(text)?,
        None => Map::from_iter([("kind".to_owned(), json!("Cluster")), ("apiVersion".to_owned(), json!(API_VERSION))]),
    };
    let mut list = match config.remove("nodes") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        _ => default_nodes(nodes),
    };
    if list.len() < nodes as usize {
        let problem = format!("it lists {}, and the scenarios need {nodes}", count(list.len(), "node"));
        return Err(ConfigError { line: None, problem });
    }
    for node in &mut list {
        label(node, run);
    }
    config.insert("nodes".to_owned(), Value::Array(list));
    let name = config.get("name").and_then(Value::as_str).map(str::to_owned);
    Ok(Merged { text: Value::Object(config).to_string(), name })
}

/// A config of the user's whose fields are known, and whose nodes can be labelled.
fn parse(text: &str) -> Result<Map<String, Value>, ConfigError> {
    let source = Source::new(Path::new(""), text);
    let at = |span: &Range<usize>, problem: String| ConfigError { line: Some(source.location(span.start).line), problem };
    let (documents, errors) = yaml::documents(text);
    if let Some(error) = errors.first() {
        return Err(at(&error.span, format!("it is no YAML: {}", error.message)));
    }
    let document = match documents.as_slice() {
        [document] => document,
        [] => return Err(ConfigError { line: None, problem: "it is empty".to_owned() }),
        [_, second, ..] => return Err(at(&second.span, "a second document begins here; kind reads one".to_owned())),
    };
    check(document).map_err(|(span, problem)| at(&span, problem))?;
    match document.to_json(Dialect::Core) {
        Value::Object(config) => Ok(config),
        _ => Ok(Map::new()),
    }
}

/// What is wrong, and where.
type Wrong = (Range<usize>, String);

fn check(document: &Node) -> Result<(), Wrong> {
    let fields = mapping(document, "a kind cluster config")?;
    for (name, must) in [("kind", "Cluster"), ("apiVersion", API_VERSION)] {
        match field(fields, name) {
            Some(is) if is.as_text() == Some(must) => {}
            Some(is) => return Err((is.span.clone(), format!("`{name}` must be {must}, and is {}", kind_of(is)))),
            None => return Err((document.span.clone(), format!("it is no kind cluster config: it has no `{name}: {must}`"))),
        }
    }
    known(fields, &CLUSTER_FIELDS, "a kind cluster config")?;
    match field(fields, "nodes").filter(|nodes| !nodes.is_null()) {
        None => Ok(()),
        Some(Node { tree: Tree::Sequence(nodes), .. }) => nodes.iter().try_for_each(check_node),
        Some(other) => Err((other.span.clone(), format!("`nodes` must be a list, and is {}", kind_of(other)))),
    }
}

fn check_node(node: &Node) -> Result<(), Wrong> {
    let fields = mapping(node, "a node")?;
    known(fields, &NODE_FIELDS, "a node")?;
    if let Some(labels) = field(fields, "labels").filter(|labels| !labels.is_null()) {
        mapping(labels, "`labels`")?;
    }
    Ok(())
}

fn mapping<'a>(node: &'a Node, what: &str) -> Result<&'a [(Node, Node)], Wrong> {
    match &node.tree {
        Tree::Mapping(fields) => Ok(fields),
        _ => Err((node.span.clone(), format!("{what} must be a mapping, and is {}", kind_of(node)))),
    }
}

fn field<'a>(fields: &'a [(Node, Node)], name: &str) -> Option<&'a Node> {
    fields.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

fn known(fields: &[(Node, Node)], names: &[&str], what: &str) -> Result<(), Wrong> {
    for (key, _) in fields {
        let name = key.as_text().unwrap_or_default();
        if !names.contains(&name) {
            let help = match nearest(name, names.iter()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it has {}", names.join(", ")),
            };
            return Err((key.span.clone(), format!("{what} has no field `{name}`: {help}")));
        }
    }
    Ok(())
}

fn kind_of(node: &Node) -> String {
    match &node.tree {
        Tree::Scalar(scalar) if scalar.text.is_empty() => "empty".to_owned(),
        Tree::Scalar(scalar) => format!("`{}`", scalar.text),
        Tree::Sequence(_) => "a list".to_owned(),
        Tree::Mapping(_) => "a mapping".to_owned(),
    }
}

fn default_nodes(nodes: u32) -> Vec<Value> {
    let workers = (1..nodes).map(|_| json!({"role": "worker"}));
    std::iter::once(json!({"role": "control-plane"})).chain(workers).collect()
}

fn label(node: &mut Value, run: &str) {
    let labels = &mut node["labels"];
    if labels.is_null() {
        *labels = json!({});
    }
    labels[RUN_LABEL] = json!(run);
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn merged(user: Option<&str>, nodes: u32) -> Value {
        serde_json::from_str(&merge(user, nodes, "r1").unwrap().text).unwrap()
    }

    #[test]
    fn without_a_users_config_there_is_one_control_plane_and_the_rest_are_workers() {
        insta::assert_json_snapshot!(merged(None, 3), @r#"
        {
          "apiVersion": "kind.x-k8s.io/v1alpha4",
          "kind": "Cluster",
          "nodes": [
            {
              "labels": {
                "labproof.dev/run": "r1"
              },
              "role": "control-plane"
            },
            {
              "labels": {
                "labproof.dev/run": "r1"
              },
              "role": "worker"
            },
            {
              "labels": {
                "labproof.dev/run": "r1"
              },
              "role": "worker"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_users_nodes_and_other_settings_are_kept() {
        let user = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnetworking: {ipFamily: dual}\nnodes:\n- role: control-plane\n  \
                    labels: {tier: front}\n  extraPortMappings: [{containerPort: 30599, hostPort: 30599}]\n- role: worker\n  labels:\n";
        insta::assert_json_snapshot!(merged(Some(user), 1), @r#"
        {
          "apiVersion": "kind.x-k8s.io/v1alpha4",
          "kind": "Cluster",
          "networking": {
            "ipFamily": "dual"
          },
          "nodes": [
            {
              "extraPortMappings": [
                {
                  "containerPort": 30599,
                  "hostPort": 30599
                }
              ],
              "labels": {
                "labproof.dev/run": "r1",
                "tier": "front"
              },
              "role": "control-plane"
            },
            {
              "labels": {
                "labproof.dev/run": "r1"
              },
              "role": "worker"
            }
          ]
        }
        "#);
    }

    #[rstest]
    #[case("", "it is empty")]
    #[case("nodes: {", "line 1: it is no YAML: ")]
    #[case("- a", "line 1: a kind cluster config must be a mapping, and is a list")]
    #[case("apiVersion: kind.x-k8s.io/v1alpha4", "it is no kind cluster config: it has no `kind: Cluster`")]
    #[case("kind: Pod\napiVersion: v1", "line 1: `kind` must be Cluster, and is `Pod`")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1", "line 2: `apiVersion` must be kind.x-k8s.io/v1alpha4, and is `kind")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: 3", "line 3: `nodes` must be a list, and is `3`")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{}, 1]", "line 3: a node must be a mapping, and is `1`")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- {}\n- labels: x", "line 5: `labels` must be a mapping")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{}]", "it lists 1 node, and the scenarios need 2")]
    #[case(
        "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodess: []",
        "line 3: a kind cluster config has no field `nodess`: did you mean `nodes`?"
    )]
    #[case(
        "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- rolle: worker",
        "line 4: a node has no field `rolle`: did you mean `role`?"
    )]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n---\nkind: Cluster", "line 4: a second document begins here")]
    fn says_what_is_wrong(#[case] user: &str, #[case] message: &str) {
        let error = merge(Some(user), 2, "r1").unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
