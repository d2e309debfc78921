//! What is stored of an object, and what is answered to a request, as a real server v1.37.2 does it.

use rstest::rstest;

use super::*;

const APPS: &str = "/apis/apps/v1/namespaces/default";
const CORE: &str = "/api/v1/namespaces/default";

/// The code and the message of a request that fails.
async fn refused(client: &Client, method: &str, path: &str, content: &str, body: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path).header("content-type", content);
    let error = status(client.request::<Value>(request.body(body.as_bytes().to_vec()).unwrap()).await.unwrap_err());
    (error.code, error.message)
}

fn daemon_set() -> Value {
    json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeSelector": {"no": "where"}, "containers": [{"name": "c", "image": "i"}]}},
    }})
}

#[tokio::test(start_paused = true)]
async fn a_daemon_set_counts_the_changes_of_its_template() {
    let cluster = cluster();
    let client = cluster.client();
    let generation = |set: &Value| set["metadata"]["annotations"]["deprecated.daemonset.template.generation"].clone();
    let made = raw(&client, "POST", &format!("{APPS}/daemonsets"), "*/*", daemon_set()).await;
    assert_eq!(generation(&made), "1");
    let mut changed = daemon_set();
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = json!("j");
    let path = format!("{APPS}/daemonsets/d");
    assert_eq!(generation(&raw(&client, "PUT", &path, "*/*", changed.clone()).await), "2");
    changed["spec"]["minReadySeconds"] = json!(1);
    assert_eq!(generation(&raw(&client, "PUT", &path, "*/*", changed).await), "2");
}

#[rstest]
#[case::no_node_ports(
    json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]}),
    "/spec/ports/0", json!({"port": 80, "protocol": "TCP", "targetPort": 80})
)]
#[case::no_affinity(
    json!({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}, "ports": [{"port": 80}]}),
    "/spec/sessionAffinityConfig", Value::Null
)]
#[case::target_of_an_external_name(
    json!({"type": "ExternalName", "externalName": "example.com", "ports": [{"port": 80, "protocol": ""}]}),
    "/spec/ports/0", json!({"port": 80, "protocol": "TCP", "targetPort": 80})
)]
#[case::traffic_to_external_addresses(
    json!({"externalIPs": ["1.2.3.4"], "ports": [{"port": 80}]}), "/spec/externalTrafficPolicy", json!("Cluster")
)]
#[tokio::test(start_paused = true)]
async fn services_are_completed(#[case] spec: Value, #[case] pointer: &str, #[case] expected: Value) {
    let cluster = cluster();
    let service = json!({"metadata": {"name": "s"}, "spec": spec});
    let made = raw(&cluster.client(), "POST", &format!("{CORE}/services"), "*/*", service).await;
    assert_eq!(made.pointer(pointer), Some(&expected).filter(|expected| !expected.is_null()), "{made}");
}

#[tokio::test(start_paused = true)]
async fn events_and_cron_jobs_have_what_go_writes_for_nothing() {
    let cluster = cluster();
    let client = cluster.client();
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "reason": "R"});
    let event = raw(&client, "POST", &format!("{CORE}/events"), "*/*", event).await;
    let nothing = |field: &str| event.get(field).cloned();
    assert_eq!((nothing("eventTime"), nothing("reportingComponent")), (Some(Value::Null), Some(json!(""))));
    let template = json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
    let cron = json!({"metadata": {"name": "c"}, "spec": {"schedule": "* * * * *", "suspend": true, "jobTemplate": template}});
    let cron = raw(&client, "POST", "/apis/batch/v1/namespaces/default/cronjobs", "*/*", cron).await;
    assert_eq!(cron["spec"]["jobTemplate"]["metadata"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn its_maker_owns_the_defaults_of_a_pod_and_not_what_is_decided_for_it() {
    let cluster = cluster();
    cluster.ready().await.unwrap();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pod = raw(&cluster.client(), "POST", &format!("{CORE}/pods"), "*/*", pod).await;
    let owned = &pod["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
    assert_eq!(owned["f:restartPolicy"], json!({}));
    for decided in ["f:priority", "f:serviceAccountName", "f:tolerations", "f:volumes"] {
        assert_eq!(owned.get(decided), None, "{decided}");
    }
}

#[rstest]
#[case::name_in_eviction(
    "POST",
    "/api/v1/namespaces/default/pods/p/eviction",
    "application/json",
    r#"{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "q"}}"#,
    400,
    "name in URL does not match name in Eviction object"
)]
#[case::two_ways_to_propagate(
    "DELETE",
    "/api/v1/namespaces/default/services/kubernetes",
    "application/json",
    r#"{"orphanDependents": true, "propagationPolicy": "Orphan"}"#,
    422,
    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": orphanDependents and \
          deletionPropagation cannot be both set"
)]
#[case::kind_that_is_applied(
    "PATCH",
    "/apis/apps/v1/namespaces/default/deployments/d?fieldManager=m",
    "application/apply-patch+yaml",
    "{}",
    400,
    "invalid object type: /, Kind="
)]
#[case::undeclared(
    "PATCH",
    "/apis/apps/v1/namespaces/default/deployments/d?fieldManager=m",
    "application/apply-patch+yaml",
    r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"nope": 4}}"#,
    500,
    "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.nope: field not declared in schema"
)]
#[case::type_that_is_applied(
    "PATCH",
    "/apis/apps/v1/namespaces/default/deployments/d?fieldManager=m",
    "application/apply-patch+yaml",
    r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": "4"}}"#,
    500,
    "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got \
          string"
)]
#[case::json(
    "PATCH",
    "/api/v1/namespaces/default/services/kubernetes",
    "application/merge-patch+json",
    "{bad",
    400,
    "invalid JSON patch"
)]
#[case::no_object(
    "PATCH",
    "/api/v1/namespaces/default/services/kubernetes",
    "application/merge-patch+json",
    "[]",
    400,
    "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
)]
#[case::operation(
    "PATCH",
    "/api/v1/namespaces/default/services/kubernetes",
    "application/json-patch+json",
    r#"[{"op": "remove", "path": "/spec/nope"}]"#,
    422,
    "the server rejected our request due to an error in our request"
)]
#[case::deletion(
    "PATCH",
    "/api/v1/namespaces/default/services/kubernetes",
    "application/merge-patch+json",
    r#"{"metadata": {"deletionGracePeriodSeconds": 5}}"#,
    422,
    "Service \"kubernetes\" is invalid: metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable"
)]
#[case::options(
    "PUT",
    "/api/v1/namespaces/default/services/kubernetes?dryRun=Bad",
    "application/json",
    r#"{"metadata": {"name": "kubernetes"}}"#,
    422,
    "UpdateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Bad\"]: supported values: \"All\""
)]
#[case::version("GET", "/apis/apps/v2", "", "", 404, "the server could not find the requested resource")]
#[tokio::test(start_paused = true)]
async fn requests_are_refused_in_the_real_servers_words(
    #[case] method: &str,
    #[case] path: &str,
    #[case] content: &str,
    #[case] body: &str,
    #[case] code: u16,
    #[case] message: &str,
) {
    let answer = refused(&cluster().client(), method, path, content, body).await;
    assert_eq!((answer.0, answer.1.as_str()), (code, message));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_only_replaced_at_a_version() {
    let cluster = cluster();
    let client = cluster.client();
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "x"}});
    let made = raw(&client, "POST", path, "*/*", lease.clone()).await;
    let path = format!("{path}/l");
    let (code, message) = refused(&client, "PUT", &path, "application/json", &lease.to_string()).await;
    let expected =
        "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update";
    assert_eq!((code, message.as_str()), (422, expected));
    assert_eq!(raw(&client, "PUT", &path, "*/*", made.clone()).await["spec"], made["spec"]);
}
