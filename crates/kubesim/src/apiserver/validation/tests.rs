//! Errors as a real server of v1.37.2 worded them.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{
    Version,
    apiserver::defaults,
    resource::{CONFIG_MAPS, CRON_JOBS, DEPLOYMENTS, JOBS, PODS, SERVICES},
};

fn message(resource: &Resource, mut object: Value) -> String {
    defaults::apply(resource, &mut object, Version::LATEST);
    check(resource, &object, None).expect_err("it is not valid").message().to_owned()
}

#[rstest]
#[case::no_containers(
    &PODS,
    json!({"metadata": {"name": "x"}, "spec": {}}),
    r#"Pod "x" is invalid: spec.containers: Required value"#
)]
#[case::no_name(
    &PODS,
    json!({"metadata": {}, "spec": {"containers": [{"name": "a", "image": "b"}]}}),
    r#"Pod "" is invalid: metadata.name: Required value: name or generateName is required"#
)]
#[case::many(
    &PODS,
    json!({"metadata": {"name": "x"}, "spec": {"restartPolicy": "X", "containers": [{
        "name": "a", "image": "b", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
        "ports": [{"containerPort": 0}, {"containerPort": 70_000, "protocol": "X"}], "env": [{"name": ""}],
        "volumeMounts": [{"name": "v", "mountPath": ""}], "imagePullPolicy": "X",
    }]}}),
    "Pod \"x\" is invalid: [spec.containers[0].ports[0].containerPort: Required value, \
     spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive, \
     spec.containers[0].ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\", \
     spec.containers[0].env[0].name: Required value, spec.containers[0].volumeMounts[0].name: Not found: \"v\", \
     spec.containers[0].volumeMounts[0].mountPath: Required value, spec.containers[0].imagePullPolicy: Unsupported value: \
     \"X\": supported values: \"Always\", \"IfNotPresent\", \"Never\", spec.containers[0].resources.requests: Invalid value: \
     \"2\": must be less than or equal to cpu limit of 1, spec.restartPolicy: Unsupported value: \"X\": supported values: \
     \"Always\", \"OnFailure\", \"Never\"]"
)]
#[case::selector(
    &DEPLOYMENTS,
    json!({"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "c"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}}}),
    "Deployment.apps \"x\" is invalid: spec.template.metadata.labels: Invalid value: {\"a\":\"c\"}: `selector` does not match \
     template `labels`"
)]
#[case::empty_deployment(
    &DEPLOYMENTS,
    json!({"metadata": {"name": "x"}, "spec": {}}),
    "Deployment.apps \"x\" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid value: null: \
     `selector` does not match template `labels`, spec.template.spec.containers: Required value]"
)]
#[case::job(
    &JOBS,
    json!({"metadata": {"name": "x"}, "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}}),
    "Job.batch \"x\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
)]
#[case::cron_job(
    &CRON_JOBS,
    json!({"metadata": {"name": "x"}, "spec": {"schedule": "x", "jobTemplate": {"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}}}}),
    "CronJob.batch \"x\" is invalid: spec.schedule: Invalid value: \"x\": expected exactly 5 fields, found 1: [x]"
)]
#[case::service(
    &SERVICES,
    json!({"metadata": {"name": "x"}, "spec": {"type": "Foo"}}),
    "Service \"x\" is invalid: [spec.ports: Required value, spec.type: Unsupported value: \"Foo\": supported values: \
     \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"]"
)]
#[case::too_large(
    &CONFIG_MAPS,
    json!({"metadata": {"name": "x"}, "data": {"a": "x".repeat(2_000_000)}}),
    r#"ConfigMap "x" is invalid: []: Too long: may not be more than 1048576 bytes"#
)]
fn errors_are_worded_as_the_real_ones(#[case] resource: &Resource, #[case] object: Value, #[case] expected: &str) {
    assert_eq!(message(resource, object), expected);
}

#[rstest]
#[case::liveness_threshold(json!({"livenessProbe": {"successThreshold": 2, "exec": {"command": ["x"]}}}), "livenessProbe.successThreshold: Invalid value: 2: must be 1")]
#[case::no_kind(json!({"startupProbe": {}}), "startupProbe: Required value: must specify a handler type")]
#[case::readiness_grace(
    json!({"readinessProbe": {"terminationGracePeriodSeconds": 3, "exec": {"command": ["x"]}}}),
    "readinessProbe.terminationGracePeriodSeconds: Invalid value: 3: must not be set for readinessProbes"
)]
#[case::port(json!({"livenessProbe": {"tcpSocket": {"port": 0}}}), "livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive")]
fn probes_are_checked(#[case] mut container: Value, #[case] expected: &str) {
    container["name"] = json!("c");
    container["image"] = json!("i");
    let pod = json!({"metadata": {"name": "x"}, "spec": {"containers": [container]}});
    assert_eq!(message(&PODS, pod), format!("Pod \"x\" is invalid: spec.containers[0].{expected}"));
}

#[test]
fn only_few_fields_of_a_pod_can_change() {
    let mut old = json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "a", "image": "b"}]}});
    defaults::apply(&PODS, &mut old, Version::LATEST);
    let mut new = old.clone();
    new["spec"]["containers"][0]["image"] = json!("c");
    assert_eq!(check(&PODS, &new, Some(&old)), Ok(()));
    new["spec"]["restartPolicy"] = json!("Never");
    let error = check(&PODS, &new, Some(&old)).unwrap_err();
    assert!(error.message().contains("pod updates may not change fields other than"), "{error}");
}
