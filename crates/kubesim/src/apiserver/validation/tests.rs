//! Errors as a real server of v1.37.2 worded them.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{
    apiserver::{admission, defaults},
    resource::{
        CONFIG_MAPS, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, JOBS, LEASES, NODES, POD_DISRUPTION_BUDGETS,
        PODS, PRIORITY_CLASSES, REPLICA_SETS, SECRETS, SERVICES,
    },
};

fn checked(resource: &Resource, object: &mut Value) -> Result<(), StatusError> {
    if resource.plural == "jobs" {
        admission::select_own_pods(object);
    }
    defaults::apply(resource, object);
    check(resource, object, None)
}

fn message(resource: &Resource, mut object: Value) -> String {
    checked(resource, &mut object).expect_err("it is not valid").message().to_owned()
}

/// The object of a name with a spec.
#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn named(spec: Value) -> Value {
    json!({"metadata": {"name": "x", "namespace": "n", "uid": "u"}, "spec": spec})
}

/// The spec of a Pod with further fields.
fn with(base: Value, more: Value) -> Value {
    let mut base = base;
    if let (Value::Object(fields), Value::Object(more)) = (&mut base, more) {
        fields.extend(more);
    }
    base
}

fn pod_spec(more: Value) -> Value {
    with(json!({"containers": [{"name": "c", "image": "i"}]}), more)
}

fn deployment(more: Value, pod: Value) -> Value {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod_spec(pod)});
    named(with(json!({"selector": {"matchLabels": {"a": "b"}}, "template": template}), more))
}

fn job(more: Value) -> Value {
    named(with(json!({"template": {"spec": pod_spec(json!({"restartPolicy": "Never"}))}}), more))
}

fn cron_job(more: Value) -> Value {
    let job = json!({"spec": {"template": {"spec": pod_spec(json!({"restartPolicy": "Never"}))}}});
    named(with(json!({"schedule": "@hourly", "jobTemplate": job}), more))
}

fn service(more: Value) -> Value {
    named(with(json!({"ports": [{"port": 80}]}), more))
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
    json!({"metadata": {"name": "x", "uid": "u"}, "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}}),
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
    defaults::apply(&PODS, &mut old);
    let mut new = old.clone();
    new["spec"]["containers"][0]["image"] = json!("c");
    assert_eq!(check(&PODS, &new, Some(&old)), Ok(()));
    new["spec"]["restartPolicy"] = json!("Never");
    let error = check(&PODS, &new, Some(&old)).unwrap_err();
    assert!(error.message().contains("pod updates may not change fields other than"), "{error}");
}

#[rstest]
#[case::space_before_the_image(json!({"image": " i"}), "image: Invalid value: \" i\": must not have leading or trailing whitespace")]
#[case::restart_policy(
    json!({"restartPolicy": "Foo"}),
    "restartPolicy: Unsupported value: \"Foo\": supported values: \"Always\", \"Never\", \"OnFailure\""
)]
#[case::host_ports(
    json!({"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]}),
    "ports[1].hostPort: Duplicate value: \"TCP//80\""
)]
#[case::env_from_nothing(json!({"envFrom": [{}]}), "envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`")]
#[case::no_such_field(
    json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.foo"}}}]}),
    "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.foo\": error converting fieldPath: field label not supported: \
     spec.foo"
)]
#[case::config_map_without_name(
    json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"key": "k"}}}]}),
    "env[0].valueFrom.configMapKeyRef.name: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case \
     alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used \
     for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)]
#[case::sub_path(
    json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "../a"}]}),
    "volumeMounts.subPath: Invalid value: \"../a\": must not contain '..'"
)]
#[case::sleeps_too_long(
    json!({"lifecycle": {"preStop": {"sleep": {"seconds": 100}}}}),
    "lifecycle.preStop.sleep: Invalid value: 100: must be non-negative and less than terminationGracePeriodSeconds (30)"
)]
#[case::part_of_a_device(
    json!({"resources": {"limits": {"a.com/gpu": "500m"}, "requests": {"a.com/gpu": "1"}}}),
    "resources.limits[a.com/gpu]: Invalid value: \"500m\": must be an integer, spec.containers[0].resources.requests: Invalid \
     value: \"1\": must be equal to a.com/gpu limit of 500m"
)]
#[case::device_without_limit(
    json!({"resources": {"requests": {"a.com/gpu": "1"}}}),
    "resources.limits: Required value: Limit must be set for non overcommitable resources"
)]
#[case::user(json!({"securityContext": {"runAsUser": -1}}), "securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive")]
#[case::header(
    json!({"readinessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": "c"}]}}}),
    "readinessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of alphanumeric characters or \
     '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"
)]
#[case::no_port(json!({"readinessProbe": {"tcpSocket": {}}}), "readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive")]
fn containers_are_checked(#[case] container: Value, #[case] expected: &str) {
    let container = with(json!({"name": "c", "image": "i"}), container);
    let pod = named(json!({"containers": [container], "volumes": [{"name": "v"}]}));
    let message = message(&PODS, pod).replace(['[', ']'], "");
    assert_eq!(message, format!("Pod \"x\" is invalid: spec.containers[0].{expected}").replace(['[', ']'], ""));
}

#[rstest]
#[case::no_term(
    json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}}),
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least \
     one node selector term"
)]
#[case::operator(
    json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "a", "operator": "Foo"}]},
    ]}}}}),
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: \
     Invalid value: \"Foo\": not a valid selector operator"
)]
#[case::weight(
    json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {}}]}}}),
    "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100"
)]
#[case::constraint(
    json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a"}]}),
    "topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"\": supported values: \"DoNotSchedule\", \
     \"ScheduleAnyway\""
)]
#[case::same_constraint(
    json!({"topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"},
        {"maxSkew": 2, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"},
    ]}),
    "topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{a, DoNotSchedule}\""
)]
#[case::toleration(
    json!({"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 3}]}),
    "tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set"
)]
#[case::no_servers(json!({"dnsPolicy": "None"}), "dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None")]
#[case::ephemeral(json!({"ephemeralContainers": [{"name": "e", "image": "i"}]}), "ephemeralContainers: Forbidden: cannot be set on create")]
#[case::mode(
    json!({"volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 99_999}}]}),
    "volumes[0].configMap.defaultMode: Invalid value: 99999: must be a number between 0 and 0777 (octal), both inclusive"
)]
#[case::item(
    json!({"volumes": [{"name": "v", "configMap": {"name": "m", "items": [{"key": "k", "path": "/etc"}]}}]}),
    "volumes[0].configMap.items[0].path: Invalid value: \"/etc\": must be a relative path"
)]
#[case::gated_and_placed(
    json!({"nodeName": "n", "schedulingGates": [{"name": "g"}]}),
    "nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"
)]
fn pods_are_checked(#[case] spec: Value, #[case] expected: &str) {
    assert_eq!(message(&PODS, named(pod_spec(spec))), format!("Pod \"x\" is invalid: spec.{expected}"));
}

#[rstest]
#[case::pod_affinity(&PODS, named(pod_spec(json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"topologyKey": "k8s.io/host", "labelSelector": {"matchLabels": {"a": "b"}}},
]}}}))))]
#[case::node_affinity(&PODS, named(pod_spec(json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
    {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}],
        "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]}}}}))))]
#[case::init_that_restarts(&PODS, named(pod_spec(json!({"initContainers": [{"name": "i", "image": "i", "restartPolicy": "OnFailure"}]}))))]
#[case::downward(&PODS, named(json!({"containers": [{"name": "c", "image": "i", "env": [
    {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}},
    {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
]}]})))]
#[case::template_with_a_space(&DEPLOYMENTS, deployment(json!({}), json!({"containers": [{"name": "c", "image": "i "}]})))]
#[case::job(&JOBS, job(json!({})))]
#[case::indexed_job(&JOBS, job(json!({"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 1})))]
#[case::manual_selector(&JOBS, with(json!({}), {
    let mut job = job(json!({"manualSelector": true, "selector": {"matchLabels": {"a": "b"}}}));
    job["spec"]["template"]["metadata"] = json!({"labels": {"a": "b"}});
    job
}))]
#[case::cron_job(&CRON_JOBS, cron_job(json!({"schedule": "*/5 0-6 1,15 JAN MON", "timeZone": "Asia/Tokyo"})))]
#[case::service(&SERVICES, service(json!({"clusterIP": "10.96.0.77", "externalIPs": ["1.2.3.4"], "externalTrafficPolicy": "Local"})))]
#[case::name_with_a_digit(&SERVICES, with(service(json!({})), json!({"metadata": {"name": "1a"}})))]
#[case::node_port(&SERVICES, service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30_080}]})))]
#[case::same_port_twice(&SERVICES, service(json!({"ports": [
    {"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"},
]})))]
#[case::surge_over_all(&DEPLOYMENTS, deployment(json!({"strategy": {"rollingUpdate": {"maxSurge": "200%"}}}), json!({})))]
#[case::tls(&SECRETS, json!({"metadata": {"name": "x"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}))]
#[case::system_class(&PRIORITY_CLASSES, json!({"metadata": {"name": "system-node-critical"}, "value": 2_000_001_000}))]
#[case::event(&EVENTS, json!({"metadata": {"name": "x", "namespace": "n"}, "involvedObject": {"namespace": "n"}}))]
#[case::event_of_a_node(&EVENTS, json!({"metadata": {"name": "x", "namespace": "default"}, "involvedObject": {"kind": "Node"}}))]
fn what_a_real_server_accepts_is_accepted(#[case] resource: &Resource, #[case] mut object: Value) {
    assert_eq!(checked(resource, &mut object), Ok(()));
}

#[rstest]
#[case::deadline(
    deployment(json!({}), json!({"activeDeadlineSeconds": 5})),
    "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"
)]
#[case::more_than_all(
    deployment(json!({"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}}), json!({})),
    "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"
)]
#[case::values(
    deployment(json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}}), json!({})),
    "[spec.selector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist', \
     spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\",\"values\":[\"x\"]}]}: invalid \
     label selector]"
)]
#[case::selects_all(
    deployment(json!({"selector": {}}), json!({})),
    "spec.selector: Invalid value: {}: empty selector is invalid for deployment"
)]
#[case::long_name(with(deployment(json!({}), json!({})), json!({"metadata": {"name": "x", "labels": {"a": "b".repeat(64)}}})),
    "metadata.labels: Invalid value: \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\": must be no more than 63 bytes")]
fn deployments_are_checked(#[case] object: Value, #[case] expected: &str) {
    assert_eq!(message(&DEPLOYMENTS, object), format!("Deployment.apps \"x\" is invalid: {expected}"));
}

#[test]
fn a_name_can_be_too_long() {
    let name = "a".repeat(254);
    let object = json!({"metadata": {"name": name}, "data": {}});
    assert!(message(&CONFIG_MAPS, object).ends_with(": must be no more than 253 characters"));
}

#[rstest]
#[case::indexed(job(json!({"completionMode": "Indexed", "parallelism": 1})), "spec.completions: Required value: when completion mode is Indexed")]
#[case::mode(
    job(json!({"completionMode": "Foo"})),
    "spec.completionMode: Unsupported value: \"Foo\": supported values: \"NonIndexed\", \"Indexed\""
)]
#[case::per_index(job(json!({"backoffLimitPerIndex": 1})), "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode")]
#[case::selector(
    job(json!({"selector": {"matchLabels": {"a": "b"}}})),
    "[spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u\"}}: `selector` not \
     auto-generated, spec.template.metadata.labels: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u\",\
     \"batch.kubernetes.io/job-name\":\"x\",\"controller-uid\":\"u\",\"job-name\":\"x\"}: `selector` does not match template `labels`]"
)]
fn jobs_are_checked(#[case] object: Value, #[case] expected: &str) {
    assert_eq!(message(&JOBS, object), format!("Job.batch \"x\" is invalid: {expected}"));
}

#[test]
fn the_name_of_a_job_is_a_label_of_its_pods() {
    let mut object = job(json!({}));
    object["metadata"]["name"] = json!("a".repeat(64));
    assert!(message(&JOBS, object).contains("spec.template.labels: Invalid value"));
}

#[test]
fn a_job_has_the_labels_of_its_template() {
    let mut object = job(json!({}));
    assert_eq!(checked(&JOBS, &mut object), Ok(()));
    let labels = json!({
        "batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "x", "controller-uid": "u", "job-name": "x",
    });
    assert_eq!(object["metadata"]["labels"], labels);
}

#[rstest]
#[case::minute(json!({"schedule": "61 * * * *"}), "schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61")]
#[case::span(
    json!({"schedule": "@every foo"}),
    "schedule: Invalid value: \"@every foo\": failed to parse duration @every foo: time: invalid duration \"foo\""
)]
#[case::zone_in_the_schedule(
    json!({"schedule": "TZ=UTC * * * * *"}),
    "schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
)]
#[case::zone(json!({"timeZone": "Foo Bar"}), "timeZone: Invalid value: \"Foo Bar\": unknown time zone Foo Bar")]
fn cron_jobs_are_checked(#[case] spec: Value, #[case] expected: &str) {
    assert_eq!(message(&CRON_JOBS, cron_job(spec)), format!("CronJob.batch \"x\" is invalid: spec.{expected}"));
}

#[test]
fn the_name_of_a_cron_job_leaves_room_for_the_time() {
    let mut object = cron_job(json!({}));
    object["metadata"]["name"] = json!("a".repeat(53));
    assert!(message(&CRON_JOBS, object).ends_with(": must be no more than 52 characters"));
}

#[rstest]
#[case::same_port(
    json!({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}),
    "ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\
     \"NodePort\":0}"
)]
#[case::node_port(
    json!({"ports": [{"port": 80, "nodePort": 30_080}]}),
    "ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"
)]
#[case::address(
    json!({"clusterIP": "foo"}),
    "clusterIPs[0]: Invalid value: \"foo\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
)]
#[case::outside(json!({"externalIPs": ["x"]}), "externalIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
#[case::policy(
    json!({"externalTrafficPolicy": "Local"}),
    "externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services"
)]
#[case::affinity(
    json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}}),
    "sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400"
)]
#[case::class(json!({"loadBalancerClass": "a/b"}), "loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'")]
fn services_are_checked(#[case] spec: Value, #[case] expected: &str) {
    assert_eq!(message(&SERVICES, service(spec)), format!("Service \"x\" is invalid: spec.{expected}"));
}

#[rstest]
#[case::twice(
    &CONFIG_MAPS,
    json!({"metadata": {"name": "x"}, "data": {"a": "b"}, "binaryData": {"a": "AA=="}}),
    "ConfigMap \"x\" is invalid: data[a]: Invalid value: \"a\": duplicate of key present in binaryData"
)]
#[case::tls(
    &SECRETS,
    json!({"metadata": {"name": "x"}, "type": "kubernetes.io/tls"}),
    "Secret \"x\" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value]"
)]
#[case::docker(
    &SECRETS,
    json!({"metadata": {"name": "x"}, "type": "kubernetes.io/dockerconfigjson"}),
    "Secret \"x\" is invalid: data[.dockerconfigjson]: Required value"
)]
#[case::negative_budget(
    &POD_DISRUPTION_BUDGETS, named(json!({"minAvailable": -1})),
    "PodDisruptionBudget.policy \"x\" is invalid: spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"
)]
#[case::budget_over_all(
    &POD_DISRUPTION_BUDGETS, named(json!({"minAvailable": "200%"})),
    "PodDisruptionBudget.policy \"x\" is invalid: spec.minAvailable: Invalid value: \"200%\": must not be greater than 100%"
)]
#[case::budget_of(
    &POD_DISRUPTION_BUDGETS, named(json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Foo"}]}})),
    "PodDisruptionBudget.policy \"x\" is invalid: spec.selector.matchExpressions[0].operator: Invalid value: \"Foo\": not a valid \
     selector operator"
)]
#[case::slice(
    &ENDPOINT_SLICES, json!({"metadata": {"name": "x"}, "endpoints": []}),
    "EndpointSlice.discovery.k8s.io \"x\" is invalid: addressType: Required value"
)]
#[case::taint(
    &NODES, named(json!({"taints": [{"key": "a", "effect": "Foo"}]})),
    "Node \"x\" is invalid: metadata.taints[0].effect: Unsupported value: \"Foo\": supported values: \"NoSchedule\", \
     \"PreferNoSchedule\", \"NoExecute\""
)]
#[case::taint_twice(
    &NODES, named(json!({"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}]})),
    "Node \"x\" is invalid: metadata.taints[1]: Duplicate value: {\"Key\":\"a\",\"Value\":\"\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: \
     taints must be unique by key and effect pair"
)]
#[case::priority(
    &PRIORITY_CLASSES, json!({"metadata": {"name": "x"}, "value": 2_000_000_000}),
    "PriorityClass.scheduling.k8s.io \"x\" is invalid: value: Forbidden: maximum allowed value of a user defined priority is \
     1000000000"
)]
#[case::lease(
    &LEASES, named(json!({"leaseDurationSeconds": -1})),
    "Lease.coordination.k8s.io \"x\" is invalid: spec.leaseDurationSeconds: Invalid value: -1: must be greater than 0"
)]
#[case::event(
    &EVENTS, json!({"metadata": {"name": "x", "namespace": "n"}, "involvedObject": {"namespace": "other"}}),
    "Event \"x\" is invalid: involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"
)]
#[case::daemon_set(
    &DAEMON_SETS, deployment(json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}}), json!({})),
    "DaemonSet.apps \"x\" is invalid: spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"
)]
#[case::daemon_set_of_all(
    &DAEMON_SETS, deployment(json!({"selector": {}}), json!({})),
    "DaemonSet.apps \"x\" is invalid: spec.selector: Invalid value: {}: empty selector is invalid for daemonset"
)]
#[case::replica_set_of_all(
    &REPLICA_SETS, deployment(json!({"selector": {}}), json!({})),
    "ReplicaSet.apps \"x\" is invalid: spec.selector: Invalid value: {}: empty selector is invalid for deployment"
)]
fn other_kinds_are_checked(#[case] resource: &Resource, #[case] object: Value, #[case] expected: &str) {
    assert_eq!(message(resource, object), expected);
}

#[rstest]
#[case::no_image(json!({"containers": [{"name": "c", "image": ""}]}), "spec.containers[0].image: Required value")]
#[case::later(
    json!({"activeDeadlineSeconds": 20}),
    "spec.activeDeadlineSeconds: Invalid value: 20: must be less than or equal to previous value"
)]
#[case::never(
    json!({"activeDeadlineSeconds": null}),
    "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
)]
fn changes_of_a_pod_are_checked(#[case] change: Value, #[case] expected: &str) {
    let mut old = named(pod_spec(json!({"activeDeadlineSeconds": 10})));
    defaults::apply(&PODS, &mut old);
    let mut new = old.clone();
    new["spec"] = with(new["spec"].take(), change);
    new["spec"]["containers"] = {
        let image = new["spec"]["containers"][0]["image"].clone();
        let mut containers = old["spec"]["containers"].clone();
        containers[0]["image"] = image;
        containers
    };
    if let Value::Object(fields) = &mut new["spec"] {
        fields.retain(|_, value| !value.is_null());
    }
    let error = check(&PODS, &new, Some(&old)).unwrap_err();
    assert_eq!(error.message(), format!("Pod \"x\" is invalid: {expected}"));
}
