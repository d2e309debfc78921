//! The configuration that kind gets: the user's, if there is one, with the node count and labels that a run needs.

use serde_json::{Map, Value, json};

use crate::cluster::RUN_LABEL;

/// A kind config that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// Not YAML.
    #[error("it is no YAML: {0}")]
    Syntax(#[from] serde_yaml::Error),
    /// Not a kind cluster config.
    #[error("it is no kind cluster config: `{field}` must be {must}, and is {is}")]
    Shape {
        /// Where.
        field: String,
        /// What it must be.
        must: &'static str,
        /// What it is.
        is: String,
    },
    /// It lists fewer nodes than the scenarios need.
    #[error("it lists {listed} nodes, and the scenarios need {needed}")]
    TooFewNodes {
        /// How many it lists.
        listed: usize,
        /// How many are needed.
        needed: u32,
    },
}

const API_VERSION: &str = "kind.x-k8s.io/v1alpha4";

/// The config with at least `nodes` nodes, each with the run's label. A `nodes` list of the user's wins if it is long enough.
/// The text is JSON, which is YAML.
pub(crate) fn merge(user: Option<&str>, nodes: u32, run: &str) -> Result<String, ConfigError> {
    let mut config = match user {
        Some(text) => parse(text)?,
        None => Map::from_iter([("kind".to_owned(), json!("Cluster")), ("apiVersion".to_owned(), json!(API_VERSION))]),
    };
    let mut list = match config.remove("nodes") {
        None | Some(Value::Null) => default_nodes(nodes),
        Some(Value::Array(list)) if list.is_empty() => default_nodes(nodes),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(shape("nodes", "a list", &other)),
    };
    if list.len() < nodes as usize {
        return Err(ConfigError::TooFewNodes { listed: list.len(), needed: nodes });
    }
    for (index, node) in list.iter_mut().enumerate() {
        label(index, node, run)?;
    }
    config.insert("nodes".to_owned(), Value::Array(list));
    Ok(Value::Object(config).to_string())
}

fn parse(text: &str) -> Result<Map<String, Value>, ConfigError> {
    let config = match serde_yaml::from_str(text)? {
        Value::Object(config) => config,
        other => return Err(shape("the document", "a mapping", &other)),
    };
    let must_be = |field: &str, must: &'static str| match config.get(field) {
        Some(Value::String(is)) if is == must => Ok(()),
        other => Err(shape(field, must, other.unwrap_or(&Value::Null))),
    };
    must_be("kind", "Cluster")?;
    must_be("apiVersion", API_VERSION)?;
    Ok(config)
}

fn default_nodes(nodes: u32) -> Vec<Value> {
    let workers = (1..nodes).map(|_| json!({"role": "worker"}));
    std::iter::once(json!({"role": "control-plane"})).chain(workers).collect()
}

fn label(index: usize, node: &mut Value, run: &str) -> Result<(), ConfigError> {
    let Value::Object(fields) = node else { return Err(shape(&format!("nodes[{index}]"), "a mapping", node)) };
    let labels = fields.entry("labels").or_insert_with(|| json!({}));
    match labels {
        Value::Null => *labels = json!({RUN_LABEL: run}),
        Value::Object(labels) => {
            labels.insert(RUN_LABEL.to_owned(), json!(run));
        }
        other => return Err(shape(&format!("nodes[{index}].labels"), "a mapping", other)),
    }
    Ok(())
}

fn shape(field: &str, must: &'static str, is: &Value) -> ConfigError {
    let is = match is {
        Value::Null => "missing".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        scalar => format!("`{scalar}`"),
    };
    ConfigError::Shape { field: field.to_owned(), must, is }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn merged(user: Option<&str>, nodes: u32) -> Value {
        serde_json::from_str(&merge(user, nodes, "r1").unwrap()).unwrap()
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
    #[case("nodes: {", "it is no YAML")]
    #[case("- a", "`the document` must be a mapping, and is a list")]
    #[case("apiVersion: kind.x-k8s.io/v1alpha4", "`kind` must be Cluster, and is missing")]
    #[case("kind: Pod\napiVersion: v1", "`kind` must be Cluster, and is `\"Pod\"`")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1", "`apiVersion` must be kind.x-k8s.io/v1alpha4")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: 3", "`nodes` must be a list, and is `3`")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{}, 1]", "`nodes[1]` must be a mapping, and is `1`")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{}, {labels: x}]", "`nodes[1].labels` must be a mapping")]
    #[case("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{}]", "it lists 1 nodes, and the scenarios need 2")]
    fn says_what_is_wrong(#[case] user: &str, #[case] message: &str) {
        let error = merge(Some(user), 2, "r1").unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
