//! Objects as their types: what is well-formed, and which fields a type does not know.

use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v1 as autoscaling, batch::v1 as batch, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, policy::v1 as policy, scheduling::v1 as scheduling,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::resource::Resource;

/// A value that is not of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("json: cannot unmarshal {found} into Go struct field {go_struct}.{path} of type {expected}")]
pub(crate) struct WrongType {
    /// The Go type that has the field.
    go_struct: String,
    path: String,
    found: String,
    expected: String,
}

/// An object as its type writes it: without unknown fields and nulls.
///
/// # Errors
/// If a field has a value of a wrong type.
pub(crate) fn normalise(resource: &Resource, value: &Value) -> Result<Value, WrongType> {
    let kind = resource.kind;
    match (resource.group, kind) {
        ("", "Pod") => round_trip::<core::Pod>(kind, value),
        ("", "Event") => round_trip::<core::Event>(kind, value),
        ("events.k8s.io", "Event") => round_trip::<k8s_openapi::api::events::v1::Event>(kind, value),
        ("", "Namespace") => round_trip::<core::Namespace>(kind, value),
        ("", "Node") => round_trip::<core::Node>(kind, value),
        ("", "Service") => round_trip::<core::Service>(kind, value),
        ("", "ServiceAccount") => round_trip::<core::ServiceAccount>(kind, value),
        ("", "ConfigMap") => round_trip::<core::ConfigMap>(kind, value),
        ("", "Secret") => round_trip::<core::Secret>(kind, value),
        ("", "Endpoints") => round_trip::<core::Endpoints>(kind, value),
        ("discovery.k8s.io", "EndpointSlice") => round_trip::<discovery::EndpointSlice>(kind, value),
        ("apps", "ReplicaSet") => round_trip::<apps::ReplicaSet>(kind, value),
        ("apps", "Deployment") => round_trip::<apps::Deployment>(kind, value),
        ("apps", "DaemonSet") => round_trip::<apps::DaemonSet>(kind, value),
        ("apps", "ControllerRevision") => round_trip::<apps::ControllerRevision>(kind, value),
        ("batch", "Job") => round_trip::<batch::Job>(kind, value),
        ("batch", "CronJob") => round_trip::<batch::CronJob>(kind, value),
        ("policy", "PodDisruptionBudget") => round_trip::<policy::PodDisruptionBudget>(kind, value),
        ("coordination.k8s.io", "Lease") => round_trip::<coordination::Lease>(kind, value),
        ("scheduling.k8s.io", "PriorityClass") => round_trip::<scheduling::PriorityClass>(kind, value),
        _ => Ok(value.clone()),
    }
}

/// A `Scale` as its type writes it.
///
/// # Errors
/// If a field has a value of a wrong type.
pub(crate) fn normalise_scale(value: &Value) -> Result<Value, WrongType> {
    round_trip::<autoscaling::Scale>("Scale", value)
}

/// A value as its type.
///
/// # Errors
/// If a field has a value of a wrong type.
pub(crate) fn read<K: DeserializeOwned>(kind: &str, given: &Value) -> Result<K, WrongType> {
    serde_path_to_error::deserialize(given).map_err(|error| wrong_type(kind, &error))
}

fn round_trip<K: DeserializeOwned + Serialize>(kind: &'static str, given: &Value) -> Result<Value, WrongType> {
    let typed: K = read(kind, given)?;
    let mut value = serde_json::to_value(typed).map_err(|error| WrongType {
        go_struct: kind.to_owned(),
        path: String::new(),
        found: "value".to_owned(),
        expected: error.to_string(),
    })?;
    keep_given(&mut value, given);
    Ok(value)
}

fn wrong_type(kind: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> WrongType {
    let path: Vec<String> = error
        .path()
        .iter()
        .filter_map(|segment| match segment {
            serde_path_to_error::Segment::Map { key } => Some(key.clone()),
            _ => None,
        })
        .collect();
    let message = error.inner().to_string();
    let found = message.strip_prefix("invalid type: ").and_then(|rest| rest.split_whitespace().next());
    let expected = message.rsplit_once("expected ").map_or(message.as_str(), |(_, expected)| expected);
    WrongType {
        go_struct: go_struct(kind, &path),
        path: path.join("."),
        found: go_type(found.unwrap_or("value")),
        expected: go_type(expected),
    }
}

/// The Go type of which the last name of a path is a field. Where it is not known here, it is called as the object is.
fn go_struct(kind: &str, path: &[String]) -> String {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.split_last().map_or(&[][..], |(_, parents)| parents) {
        [.., "metadata"] => "ObjectMeta",
        [.., "template"] => "PodTemplateSpec",
        [.., "template", "spec"] => "PodSpec",
        ["spec"] => return format!("{kind}Spec"),
        ["status"] => return format!("{kind}Status"),
        [.., "containers" | "initContainers"] => "Container",
        [.., "env"] => "EnvVar",
        [.., "valueFrom"] => "EnvVarSource",
        [.., "containers" | "initContainers", "ports"] => "ContainerPort",
        ["spec", "ports"] => "ServicePort",
        [.., "resources"] => "ResourceRequirements",
        [.., "livenessProbe" | "readinessProbe" | "startupProbe"] => "Probe",
        [.., "httpGet"] => "HTTPGetAction",
        [.., "volumeMounts"] => "VolumeMount",
        [.., "volumes"] => "Volume",
        [.., "tolerations"] => "Toleration",
        ["spec", "strategy"] => "DeploymentStrategy",
        _ => kind,
    }
    .to_owned()
}

/// Go's word for what serde calls a type.
fn go_type(word: &str) -> String {
    match word {
        "integer" | "floating" => "number",
        "boolean" | "a boolean" => "bool",
        "sequence" => "array",
        "map" => "object",
        "a string" => "string",
        "i32" => "int32",
        "i64" => "int64",
        other => other,
    }
    .to_owned()
}

/// Drops nulls, and the fields that a type has always and that were not given.
fn keep_given(value: &mut Value, given: &Value) {
    match (value, given) {
        (Value::Object(fields), Value::Object(given)) => {
            fields.retain(|key, value| !value.is_null() && given.get(key).is_some_and(|given| !given.is_null()));
            for (key, value) in fields {
                keep_given(value, &given[key.as_str()]);
            }
        }
        (Value::Array(items), Value::Array(given)) => {
            items.iter_mut().zip(given).for_each(|(item, given)| keep_given(item, given));
        }
        _ => {}
    }
}

/// The paths of the fields that `given` has and its normal form has not: those that its type does not know.
pub(crate) fn unknown_fields(given: &Value, normal: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    collect_unknown(given, normal, &mut String::new(), &mut unknown);
    unknown
}

fn collect_unknown(given: &Value, normal: &Value, path: &mut String, unknown: &mut Vec<String>) {
    let length = path.len();
    match (given, normal) {
        (Value::Object(given), Value::Object(normal)) => {
            for (key, value) in given.iter().filter(|(_, value)| !value.is_null()) {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                match normal.get(key) {
                    Some(normal) => collect_unknown(value, normal, path, unknown),
                    None => unknown.push(path.clone()),
                }
                path.truncate(length);
            }
        }
        (Value::Array(given), Value::Array(normal)) => {
            for (index, (given, normal)) in given.iter().zip(normal).enumerate() {
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
                collect_unknown(given, normal, path, unknown);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::PODS;

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let given = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "creationTimestamp": null},
            "spec": {"containers": [{"name": "c", "portz": 1}], "restart": "x"},
        });
        let normal = normalise(&PODS, &given).unwrap();
        assert_eq!(unknown_fields(&given, &normal), ["spec.containers[0].portz", "spec.restart"]);
        assert_eq!(normal["metadata"], json!({"name": "a"}));
    }

    #[test]
    fn what_is_not_given_is_not_added() {
        let given = json!({"spec": {"replicas": 1}});
        assert_eq!(normalise(&crate::resource::DEPLOYMENTS, &given), Ok(given));
    }

    #[test]
    fn a_wrong_type_is_named_with_its_place() {
        let given = json!({"spec": {"containers": [{"name": "c", "image": 7}]}});
        assert_eq!(
            normalise(&PODS, &given).unwrap_err().to_string(),
            "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string"
        );
        let given = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "e", "value": 1}]}]}}}});
        assert_eq!(
            normalise(&crate::resource::DEPLOYMENTS, &given).unwrap_err().to_string(),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string"
        );
    }
}
