//! Objects as their types: what is well-formed, and which fields a type does not know.

mod go;

use std::borrow::Cow;

use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v1 as autoscaling, batch::v1 as batch, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, policy::v1 as policy, scheduling::v1 as scheduling,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::resource::Resource;

/// A value that is not of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongType {
    /// A field has a value of another type.
    #[error("json: cannot unmarshal {found} into Go struct field {go_struct}.{path} of type {expected}")]
    Type {
        /// The Go type that has the field.
        go_struct: String,
        /// The names of the fields that lead to it.
        path: String,
        /// What it has.
        found: String,
        /// The Go type that it should have.
        expected: String,
    },
    /// A text does not say what it should: a time, bytes.
    #[error("{0}")]
    Text(String),
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
    read_filled(kind, given).map(|(typed, _)| typed)
}

/// A value as its type, and with what Go reads for a null in a list or a map, if there is one.
fn read_filled<'a, K: DeserializeOwned>(kind: &str, given: &'a Value) -> Result<(K, Cow<'a, Value>), WrongType> {
    let mut given = Cow::Borrowed(given);
    loop {
        match serde_path_to_error::deserialize(given.as_ref()) {
            Ok(typed) => return Ok((typed, given)),
            Err(error) => {
                if go::fill_null(given.to_mut(), &error).is_none() {
                    return Err(go::explain::<K>(kind, &given, &error));
                }
            }
        }
    }
}

fn round_trip<K: DeserializeOwned + Serialize>(kind: &'static str, given: &Value) -> Result<Value, WrongType> {
    let (typed, given): (K, _) = read_filled(kind, given)?;
    let mut value = serde_json::to_value(typed).map_err(|error| WrongType::Text(error.to_string()))?;
    keep_given(&mut value, &given);
    Ok(value)
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
    use crate::resource::{CONFIG_MAPS, DEPLOYMENTS, PODS, SECRETS};

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
        assert_eq!(normalise(&DEPLOYMENTS, &given), Ok(given));
    }

    #[rstest::rstest]
    #[case(&PODS, json!({"metadata": 5}), "number into Go struct field Pod.metadata of type v1.ObjectMeta")]
    #[case(&PODS, json!({"metadata": {"labels": {"a": 1}}}), "number into Go struct field ObjectMeta.metadata.labels of type string")]
    #[case(&PODS, json!({"metadata": {"labels": []}}), "array into Go struct field ObjectMeta.metadata.labels of type map[string]string")]
    #[case(&PODS, json!({"spec": []}), "array into Go struct field Pod.spec of type v1.PodSpec")]
    #[case(&PODS, json!({"spec": {"containers": {}}}), "object into Go struct field PodSpec.spec.containers of type []v1.Container")]
    #[case(&PODS, json!({"spec": {"containers": ["x"]}}), "string into Go struct field PodSpec.spec.containers of type v1.Container")]
    #[case(
        &PODS, json!({"spec": {"containers": [{"command": "x"}]}}),
        "string into Go struct field Container.spec.containers.command of type []string"
    )]
    #[case(
        &PODS, json!({"spec": {"containers": [{"ports": [{"containerPort": 80.5}]}]}}),
        "number 80.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"
    )]
    #[case(
        &PODS, json!({"spec": {"securityContext": {"runAsNonRoot": "yes please"}}}),
        "string into Go struct field PodSecurityContext.spec.securityContext.runAsNonRoot of type bool"
    )]
    #[case(
        &DEPLOYMENTS, json!({"spec": {"replicas": 99_999_999_999_u64}}),
        "number 99999999999 into Go struct field DeploymentSpec.spec.replicas of type int32"
    )]
    #[case(
        &DEPLOYMENTS, json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1.5}}}}),
        "number 1.5 into Go struct field RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32"
    )]
    #[case(
        &DEPLOYMENTS, json!({"spec": {"template": {"spec": {"containers": [{"env": [{"name": "e", "value": 1}]}]}}}}),
        "number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string"
    )]
    #[case(&SECRETS, json!({"data": {"a": 5}}), "number into Go struct field Secret.data of type []uint8")]
    fn a_wrong_type_is_named_with_its_place(#[case] resource: &Resource, #[case] given: Value, #[case] expected: &str) {
        assert_eq!(normalise(resource, &given).unwrap_err().to_string(), format!("json: cannot unmarshal {expected}"));
    }

    #[rstest::rstest]
    #[case(&SECRETS, json!({"data": {"a": "not base64"}}), "illegal base64 data at input byte 3")]
    #[case(&SECRETS, json!({"data": {"a": "b"}}), "illegal base64 data at input byte 0")]
    #[case(
        &PODS, json!({"metadata": {"creationTimestamp": "bad"}}),
        "parsing time \"bad\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"bad\" as \"2006\""
    )]
    fn a_text_that_cannot_be_read_is_told_of(#[case] resource: &Resource, #[case] given: Value, #[case] expected: &str) {
        assert_eq!(normalise(resource, &given).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_null_in_a_list_or_a_map_is_the_zero_value() {
        let given = json!({"data": {"a": null, "b": "c"}});
        assert_eq!(normalise(&CONFIG_MAPS, &given), Ok(json!({"data": {"a": "", "b": "c"}})));
        let given = json!({"spec": {"containers": [null, {"resources": {"requests": {"cpu": null}}}]}});
        let expected = json!({"spec": {"containers": [{}, {"resources": {"requests": {"cpu": "0"}}}]}});
        assert_eq!(normalise(&PODS, &given), Ok(expected));
    }
}
