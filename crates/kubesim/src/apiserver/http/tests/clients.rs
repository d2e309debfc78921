//! What kubectl and other clients rely on beside the objects.

use http::{Response, header};
use http_body_util::BodyExt;
use tower::Service as _;

use super::*;
use crate::ResponseBody;

async fn answer(cluster: &Cluster, request: http::request::Builder, body: &Value) -> Response<ResponseBody> {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = request.body(http_body_util::Full::new(body)).unwrap();
    cluster.api().http().call(request).await.unwrap()
}

async fn bytes(response: Response<ResponseBody>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

fn warnings(response: &Response<ResponseBody>) -> Vec<&str> {
    response.headers().get_all(header::WARNING).iter().filter_map(|value| value.to_str().ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_description_of_the_api_is_there_in_protobuf() {
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let response = answer(&cluster(), Request::get("/openapi/v2").header("accept", accept), &Value::Null).await;
    assert_eq!(response.status(), 200);
    let document = bytes(response).await;
    assert_eq!(document[..7], *b"\x0a\x032.0\x12\x15");
    assert_eq!(document[7..], *b"\x0a\x0aKubernetes\x12\x07v1.37.2\x42\x00");
}

/// A command that computes ages by itself takes the machine's time for the cluster's.
#[tokio::test(start_paused = true)]
async fn ages_are_right_at_any_speed() {
    let cluster = Cluster::builder().nodes(0).speed(60.0).build();
    cluster.clock().sleep(Duration::from_mins(10)).await;
    let created = async |command: &'static str| {
        let request = Request::get("/api/v1/namespaces/default").header("kubectl-command", command);
        let namespace: Value = serde_json::from_slice(&bytes(answer(&cluster, request, &Value::Null).await).await).unwrap();
        namespace["metadata"]["creationTimestamp"].as_str().unwrap().to_owned()
    };
    assert_eq!(created("kubectl get").await, "2026-01-01T00:00:00Z");
    // Ten minutes of the cluster before what are ten seconds after the start for the machine.
    assert_eq!(created("kubectl describe").await, "2025-12-31T23:50:10Z");
}

#[tokio::test(start_paused = true)]
async fn a_watch_lasts_as_long_as_its_client_waits() {
    let cluster = Cluster::builder().nodes(0).speed(60.0).build();
    let request = Request::get("/api/v1/pods?watch=1&timeoutSeconds=10");
    bytes(answer(&cluster, request, &Value::Null).await).await;
    assert_eq!(cluster.clock().elapsed(), Duration::from_mins(10));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_job_leaves_its_pods_unless_told_otherwise() {
    let cluster = cluster();
    let client = cluster.client();
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let job = |name: &str| {
        let container = json!({"name": "c", "image": "i:1"});
        json!({"metadata": {"name": name, "finalizers": ["a.io/kept"]},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}})
    };
    for (name, options, finalizers, warned) in [
        ("a", Value::Null, json!(["a.io/kept", "orphan"]), 1),
        ("b", json!({"propagationPolicy": "Background"}), json!(["a.io/kept"]), 0),
    ] {
        raw(&client, "POST", jobs, "*/*", job(name)).await;
        let request = Request::delete(format!("{jobs}/{name}"));
        let response = answer(&cluster, request, &options).await;
        assert_eq!(warnings(&response).len(), warned, "{name}");
        let left: Value = serde_json::from_slice(&bytes(response).await).unwrap();
        assert_eq!(left["metadata"]["finalizers"], finalizers, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn managers_that_apply_the_same_both_own_it() {
    let cluster = cluster();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}});
    maps.patch("m", &PatchParams::apply("one"), &Patch::Apply(&config)).await.unwrap();
    maps.patch("m", &PatchParams::apply("two"), &Patch::Apply(&config)).await.unwrap();
    let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let left = maps.patch("m", &PatchParams::apply("one"), &Patch::Apply(&nothing)).await.unwrap();
    assert_eq!(left.data.unwrap()["a"], "b");
    let cleared = Patch::Merge(json!({"metadata": {"managedFields": [{}]}}));
    maps.patch("m", &PatchParams::default(), &cleared).await.unwrap();
    assert_eq!(maps.get("m").await.unwrap().metadata.managed_fields, None);
}

#[tokio::test(start_paused = true)]
async fn a_service_of_another_type_drops_what_it_has_not() {
    let cluster = cluster();
    let services: Api<Service> = Api::default_namespaced(cluster.client());
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let made = services.create(&PostParams::default(), &of(service)).await.unwrap();
    let to = async |kind: &str| {
        let patch = Patch::Merge(json!({"spec": {"type": kind, "externalName": "example.com"}}));
        services.patch("s", &PatchParams::default(), &patch).await.unwrap().spec.unwrap()
    };
    let internal = to("ClusterIP").await;
    assert_eq!(internal.ports.unwrap()[0].node_port, None);
    assert_eq!(internal.cluster_ip, made.spec.unwrap().cluster_ip);
    let external = to("ExternalName").await;
    assert_eq!((external.cluster_ip, external.cluster_ips, external.ip_families), (None, None, None));
}

#[tokio::test(start_paused = true)]
async fn services_go_together_and_leases_come_by_put() {
    let cluster = cluster();
    let client = cluster.client();
    raw(&client, "DELETE", "/api/v1/namespaces/default/services", "*/*", Value::Null).await;
    let services = raw(&client, "GET", "/api/v1/namespaces/default/services", "*/*", Value::Null).await;
    assert_eq!(services["items"], json!([]));
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    let made = raw(&client, "PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/l", "*/*", lease).await;
    assert_eq!(made["spec"]["holderIdentity"], "me");
}

#[tokio::test(start_paused = true)]
async fn everybody_is_the_administrator() {
    let cluster = cluster();
    let client = cluster.client();
    let user = raw(&client, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "*/*", json!({})).await;
    assert_eq!(user["status"]["userInfo"]["username"], "kubernetes-admin");
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let rules = raw(&client, "POST", path, "*/*", json!({"spec": {"namespace": "default"}})).await;
    assert_eq!(rules["status"]["resourceRules"][0]["verbs"], json!(["*"]));
}

#[tokio::test(start_paused = true)]
async fn events_are_kept_for_an_hour_after_they_were_written() {
    let cluster = cluster();
    let client = cluster.client();
    let path = "/api/v1/namespaces/default/events";
    let event = |name: &str| json!({"metadata": {"name": name}, "involvedObject": {"kind": "Pod", "namespace": "default"}});
    raw(&client, "POST", path, "*/*", event("once")).await;
    raw(&client, "POST", path, "*/*", event("again")).await;
    cluster.clock().sleep(Duration::from_mins(30)).await;
    raw(&client, "PATCH", &format!("{path}/again"), "*/*", json!({"count": 2})).await;
    cluster.clock().sleep(Duration::from_mins(30)).await;
    let start = cluster.api().store().revision();
    let left = raw(&client, "GET", path, "*/*", Value::Null).await;
    let names: Vec<&Value> = left["items"].as_array().unwrap().iter().map(|event| &event["metadata"]["name"]).collect();
    assert_eq!(names, ["again"]);
    let change = &lines(&client, &format!("{path}?watch=1&resourceVersion={start}"), "*/*", 1).await[0];
    assert_eq!((&change["type"], &change["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("once")));
}

#[tokio::test(start_paused = true)]
async fn a_scale_can_be_applied() {
    let cluster = cluster();
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    deployments.create(&PostParams::default(), &deployment("d")).await.unwrap();
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 1}});
    deployments.patch_scale("d", &PatchParams::apply("me"), &Patch::Apply(&scale)).await.unwrap();
    let managers = deployments.get("d").await.unwrap().metadata.managed_fields.unwrap();
    assert_eq!((managers[0].manager.as_deref(), managers[0].subresource.as_deref()), (Some("me"), Some("scale")));
    let path = "/apis/apps/v1/namespaces/default/deployments/d/scale";
    let table = raw(&cluster.client(), "GET", path, TABLE, Value::Null).await;
    assert_eq!(table["rows"][0]["cells"], json!(["d", 1, 0, "0s"]));
}

#[tokio::test(start_paused = true)]
async fn who_reads_endpoints_is_told_of_their_successor() {
    let response = answer(&cluster(), Request::get("/api/v1/endpoints"), &Value::Null).await;
    assert_eq!(warnings(&response), ["299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\""]);
}
