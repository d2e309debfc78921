//! The API through `kube::Client`, in virtual time.

mod as_stored;
mod bad_requests;
mod clients;
mod exec;
mod fuzz;
mod large;
mod recorded;
mod refusals;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt, future::BoxFuture};
use http::Request;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Event, Namespace, Node, Pod, Service},
    },
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Clock, Cluster,
    node_api::{ContainerLog, DialError, ExecOutput, NodeApi},
};

fn cluster() -> Cluster {
    Cluster::builder().nodes(0).build()
}

fn of<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn pod(name: &str) -> Pod {
    of(
        json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "i:1"}]}}),
    )
}

fn deployment(name: &str) -> Deployment {
    of(json!({"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}}, "template": {
        "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}}}))
}

fn status(error: kube::Error) -> kube::core::Status {
    match error {
        kube::Error::Api(status) => *status,
        other => panic!("{other}"),
    }
}

async fn raw(client: &Client, method: &str, path: &str, accept: &str, body: Value) -> Value {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("accept", accept).header("content-type", kind);
    client.request(request.body(body).unwrap()).await.unwrap()
}

async fn lines(client: &Client, path: &str, accept: &str, count: usize) -> Vec<Value> {
    let request = Request::builder().uri(path).header("accept", accept).body(Vec::new()).unwrap();
    let lines = client.request_stream(request).await.unwrap().lines();
    lines.take(count).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect().await
}

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

#[tokio::test(start_paused = true)]
async fn an_object_lives() {
    let cluster = cluster();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    let made = pods.create(&PostParams::default(), &pod("a")).await.unwrap();
    let spec = made.spec.as_ref().unwrap();
    assert_eq!(spec.restart_policy.as_deref(), Some("Always"));
    assert!(spec.volumes.as_ref().unwrap()[0].name.starts_with("kube-api-access-"));
    assert_eq!(made.status.as_ref().unwrap().phase.as_deref(), Some("Pending"));
    let error = status(pods.create(&PostParams::default(), &pod("a")).await.unwrap_err());
    assert_eq!((error.code, error.message.as_str()), (409, "pods \"a\" already exists"));
    let patch = Patch::Merge(json!({"metadata": {"labels": {"b": "c"}}}));
    let patched = pods.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.labels()["b"], "c");
    let error = status(pods.replace("a", &PostParams::default(), &made).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (409, "Conflict"));
    pods.delete("a", &DeleteParams::default()).await.unwrap();
    let error = status(pods.get("a").await.unwrap_err());
    assert_eq!((error.code, error.message.as_str()), (404, "pods \"a\" not found"));
}

#[tokio::test(start_paused = true)]
async fn lists_select_and_come_in_pages_of_one_moment() {
    let cluster = cluster();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    for name in ["a", "b", "c", "d", "e"] {
        pods.create(&PostParams::default(), &pod(name)).await.unwrap();
    }
    let selected = pods.list(&ListParams::default().labels("app in (a,c)").fields("metadata.name!=a")).await.unwrap();
    assert_eq!(selected.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["c"]);
    let first = pods.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (2, Some(3)));
    // What happens between two pages does not show in the second.
    pods.delete("c", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = pods.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    assert_eq!(second.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["c", "d", "e"]);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_of_kube_sees_the_initial_state_and_every_change() {
    for streaming in [false, true] {
        let cluster = cluster();
        let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
        let map = |name: &str| of::<ConfigMap>(json!({"metadata": {"name": name}, "data": {"a": "0"}}));
        maps.create(&PostParams::default(), &map("x")).await.unwrap();
        let config = watcher::Config::default().fields("metadata.name=x");
        let config = if streaming { config.streaming_lists() } else { config };
        let mut seen = std::pin::pin!(watcher(maps.clone(), config).touched_objects());
        let mut values = vec![seen.next().await.unwrap().unwrap().data.unwrap()["a"].clone()];
        for value in ["1", "2", "3"] {
            let patch = Patch::Merge(json!({"data": {"a": value}}));
            maps.patch("x", &PatchParams::default(), &patch).await.unwrap();
            values.push(seen.next().await.unwrap().unwrap().data.unwrap()["a"].clone());
        }
        assert_eq!(values, ["0", "1", "2", "3"], "streaming: {streaming}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_and_ends_in_time() {
    let cluster = cluster();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    let version = pods.create(&PostParams::default(), &pod("a")).await.unwrap().resource_version().unwrap();
    pods.create(&PostParams::default(), &pod("b")).await.unwrap();
    let watch = pods.watch(&WatchParams::default().timeout(200), &version).await.unwrap();
    let events: Vec<_> = watch.try_collect().await.unwrap();
    assert!(matches!(&events[0], WatchEvent::Added(pod) if pod.name_any() == "b"), "{events:?}");
    // It wants bookmarks, and gets one a minute.
    assert_eq!(events[1..].iter().filter(|event| matches!(event, WatchEvent::Bookmark(_))).count(), 3);
    assert_eq!(events.len(), 4);
    assert_eq!(cluster.clock().elapsed().as_secs(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_gone() {
    let cluster = Cluster::builder().nodes(0).history(2).build();
    let client = cluster.client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for name in ["a", "b", "c", "d"] {
        maps.create(&PostParams::default(), &of(json!({"metadata": {"name": name}}))).await.unwrap();
    }
    let events = lines(&client, "/api/v1/configmaps?watch=1&resourceVersion=1", "*/*", 5).await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["type"], &events[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test(start_paused = true)]
async fn tables_are_streamed_with_their_initial_state() {
    let cluster = cluster();
    let client = cluster.client();
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pods.create(&PostParams::default(), &pod("a")).await.unwrap();
    pods.create(&PostParams::default(), &pod("b")).await.unwrap();
    let path = "/api/v1/namespaces/default/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                &allowWatchBookmarks=true&includeObject=Object";
    let events = lines(&client, path, TABLE, 4).await;
    let kinds: Vec<&Value> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["ADDED", "ADDED", "BOOKMARK", "BOOKMARK"]);
    assert_eq!(events[0]["object"]["columnDefinitions"].as_array().map(Vec::len), Some(9));
    assert_eq!(events[1]["object"]["columnDefinitions"], Value::Null);
    let row = &events[0]["object"]["rows"][0];
    assert_eq!(row["cells"], json!(["a", "0/1", "Pending", "0", "0s", "<none>", "<none>", "<none>", "<none>"]));
    assert_eq!(row["object"]["spec"]["containers"][0]["image"], "i:1");
    let bookmark = &events[2]["object"]["rows"][0]["object"];
    assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(events[3]["object"]["rows"][0]["object"]["metadata"].get("annotations"), None);
}

#[tokio::test(start_paused = true)]
async fn a_list_can_be_a_table_or_metadata() {
    let cluster = cluster();
    let client = cluster.client();
    let table = raw(&client, "GET", "/api/v1/namespaces/default/services", TABLE, Value::Null).await;
    assert_eq!(table["rows"][0]["cells"], json!(["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP", "0s", "<none>"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = raw(&client, "GET", "/api/v1/namespaces", partial, Value::Null).await;
    assert_eq!((list["items"].as_array().map(Vec::len), list["items"][0].get("spec")), (Some(4), None));
}

#[tokio::test(start_paused = true)]
async fn patches_of_every_kind() {
    let cluster = cluster();
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    deployments.create(&PostParams::default(), &deployment("d")).await.unwrap();
    let strategic = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}}});
    let patched = deployments.patch("d", &PatchParams::default(), &Patch::Strategic(strategic)).await.unwrap();
    let container = &patched.spec.template.spec.as_ref().unwrap().containers[0];
    assert_eq!((container.image.as_deref(), container.image_pull_policy.as_deref()), (Some("i:2"), Some("IfNotPresent")));
    assert_eq!(patched.metadata.generation, Some(2));
    let operations = json!([{"op": "replace", "path": "/spec/replicas", "value": 3}]);
    let operations: Patch<()> = Patch::Json(serde_json::from_value(operations).unwrap());
    let patched = deployments.patch("d", &PatchParams::default(), &operations).await.unwrap();
    assert_eq!(patched.spec.replicas, Some(3));
    let wrong = Patch::Merge(json!({"spec": {"replicas": -1}}));
    let error = status(deployments.patch("d", &PatchParams::default(), &wrong).await.unwrap_err());
    let expected = "Deployment.apps \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0";
    assert_eq!((error.code, error.message.as_str()), (422, expected));
    // A dry run says what would be and leaves everything as it is.
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let shown = deployments.patch("d", &dry, &Patch::Merge(json!({"spec": {"replicas": 9}}))).await.unwrap();
    assert_eq!(shown.spec.replicas, Some(9));
    assert_eq!(deployments.get("d").await.unwrap().spec.replicas, Some(3));
}

#[tokio::test(start_paused = true)]
async fn server_side_apply_makes_merges_and_conflicts() {
    let cluster = cluster();
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    let mut config = serde_json::to_value(deployment("d")).unwrap();
    config["apiVersion"] = json!("apps/v1");
    config["kind"] = json!("Deployment");
    config["spec"]["replicas"] = json!(1);
    deployments.patch("d", &PatchParams::apply("me"), &Patch::Apply(&config)).await.unwrap();
    let other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 5}});
    let error = status(deployments.patch("d", &PatchParams::apply("other"), &Patch::Apply(&other)).await.unwrap_err());
    assert_eq!((error.code, error.message.as_str()), (409, "Apply failed with 1 conflict: conflict with \"me\": .spec.replicas"));
    let forced = deployments.patch("d", &PatchParams::apply("other").force(), &Patch::Apply(&other)).await.unwrap();
    assert_eq!(forced.spec.replicas, Some(5));
    // Applying the same again changes nothing, so that no watcher hears of it.
    let before = deployments.get("d").await.unwrap().resource_version();
    deployments.patch("d", &PatchParams::apply("other"), &Patch::Apply(&other)).await.unwrap();
    assert_eq!(deployments.get("d").await.unwrap().resource_version(), before);
}

#[tokio::test(start_paused = true)]
async fn scale_eviction_and_binding() {
    let cluster = cluster();
    let client = cluster.client();
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments.create(&PostParams::default(), &deployment("d")).await.unwrap();
    let scale = json!({"spec": {"replicas": 4}});
    deployments.patch_scale("d", &PatchParams::default(), &Patch::Merge(&scale)).await.unwrap();
    let scale = deployments.get_scale("d").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(4));
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("app=d"));
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pods.create(&PostParams::default(), &pod("a")).await.unwrap();
    let binding =
        json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}});
    raw(&client, "POST", "/api/v1/namespaces/default/pods/a/binding", "*/*", binding).await;
    let bound = pods.get("a").await.unwrap();
    assert_eq!(bound.spec.unwrap().node_name.as_deref(), Some("n"));
    assert_eq!(bound.metadata.generation, Some(1));
    pods.evict("a", &kube::api::EvictParams::default()).await.unwrap();
    assert!(pods.get("a").await.unwrap().metadata.deletion_timestamp.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_disruption_budget_allows_as_many_evictions_as_it_says() {
    let cluster = cluster();
    let client = cluster.client();
    let (pods, _) = pod_on_a_fake_node(&cluster).await;
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    pods.patch_status("a", &PatchParams::default(), &Patch::Merge(ready)).await.unwrap();
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}});
    raw(&client, "POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", "*/*", budget).await;
    let set = |allowed: i32| json!({"status": {"observedGeneration": 1, "disruptionsAllowed": allowed, "desiredHealthy": 1, "currentHealthy": 1}});
    let path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/b/status";
    raw(&client, "PATCH", path, "*/*", set(0)).await;
    let error = status(pods.evict("a", &kube::api::EvictParams::default()).await.unwrap_err());
    let expected = "Cannot evict pod as it would violate the pod's disruption budget.";
    assert_eq!((error.code, error.message.as_str()), (429, expected));
    raw(&client, "PATCH", path, "*/*", set(1)).await;
    pods.evict("a", &kube::api::EvictParams::default()).await.unwrap();
    let budget = raw(&client, "GET", path, "*/*", Value::Null).await;
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_in_the_body_of_a_deletion_deletes_nothing() {
    let cluster = cluster();
    let client = cluster.client();
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]});
    raw(&client, "DELETE", "/api/v1/namespaces/default/services/kubernetes", "*/*", options.clone()).await;
    let services: Api<Service> = Api::default_namespaced(client.clone());
    assert!(services.get("kubernetes").await.is_ok());
    let namespaces: Api<Namespace> = Api::all(client);
    assert_eq!(status(namespaces.delete("default", &DeleteParams::default()).await.unwrap_err()).code, 403);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_they_are_gone() {
    let cluster = cluster();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let map = json!({"metadata": {"name": "m", "finalizers": ["example.com/f"]}});
    maps.create(&PostParams::default(), &of(map)).await.unwrap();
    maps.delete("m", &DeleteParams::default()).await.unwrap();
    assert!(maps.get("m").await.unwrap().metadata.deletion_timestamp.is_some());
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("m", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(status(maps.get("m").await.unwrap_err()).code, 404);
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_are_errors_only_if_asked_for() {
    let cluster = cluster();
    let client = cluster.client();
    let pod = json!({"metadata": {"name": "x"}, "spec": {"foo": 1, "containers": [{"name": "a", "image": "b", "bar": 2}]}});
    let path = "/api/v1/namespaces/default/pods";
    let request = |query: &str| {
        let request = Request::builder().method("POST").uri(format!("{path}?{query}")).header("content-type", "application/json");
        request.body(pod.to_string().into_bytes()).unwrap()
    };
    let error = status(client.request::<Value>(request("fieldValidation=Strict")).await.unwrap_err());
    assert_eq!(
        error.message,
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \
         \"spec.containers[0].bar\", unknown field \"spec.foo\""
    );
    let made = client.request::<Value>(request("")).await.unwrap();
    assert_eq!(made["spec"].get("foo"), None);
}

#[tokio::test(start_paused = true)]
async fn discovery_finds_everything_that_is_served() {
    let cluster = cluster();
    let client = cluster.client();
    let version = client.apiserver_version().await.unwrap();
    assert_eq!((version.git_version.as_str(), version.minor.as_str()), ("v1.37.2", "37"));
    for aggregated in [false, true] {
        let discovery = kube::discovery::Discovery::new(client.clone());
        let discovery = if aggregated { discovery.run_aggregated().await } else { discovery.run().await }.unwrap();
        let kinds = discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources).count();
        assert_eq!(kinds, crate::resource::RESOURCES.len(), "aggregated: {aggregated}");
    }
}

/// A node on which every container has the same log and every port answers its path.
struct FakeNode(ContainerLog);

impl NodeApi for FakeNode {
    fn log(&self, _: &Pod, container: &str, previous: bool) -> Result<ContainerLog, String> {
        if previous {
            Err(format!("previous terminated container {container:?} in pod \"a\" not found"))
        } else {
            Ok(self.0.clone())
        }
    }

    fn http(&self, _: &Pod, port: u16, request: Request<Bytes>) -> BoxFuture<'static, Result<http::Response<Bytes>, DialError>> {
        let answer =
            if port == 80 { Ok(http::Response::new(Bytes::from(request.uri().to_string()))) } else { Err(DialError::Refused) };
        Box::pin(async { answer })
    }

    fn exec(&self, _: &Pod, _: &str, _: Vec<String>) -> BoxFuture<'static, Result<ExecOutput, String>> {
        Box::pin(async { Ok(ExecOutput::default()) })
    }
}

async fn pod_on_a_fake_node(cluster: &Cluster) -> (Api<Pod>, ContainerLog) {
    let client = cluster.client();
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let mut on_node = pod("a");
    on_node.spec.as_mut().unwrap().node_name = Some("n".to_owned());
    pods.create(&PostParams::default(), &on_node).await.unwrap();
    let patch = Patch::Merge(json!({"status": {"phase": "Running", "podIP": "10.244.0.5"}}));
    pods.patch_status("a", &PatchParams::default(), &patch).await.unwrap();
    let log = ContainerLog::default();
    cluster.api().serve_node("n", Arc::new(FakeNode(log.clone())));
    (pods, log)
}

fn second(clock: Clock) -> Timestamp {
    clock.now()
}

#[tokio::test(start_paused = true)]
async fn logs_are_shown_tailed_and_followed() {
    let cluster = cluster();
    let (pods, log) = pod_on_a_fake_node(&cluster).await;
    let clock = cluster.clock();
    for line in ["one", "two", "three"] {
        log.append(second(clock), line);
        clock.sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(pods.logs("a", &LogParams::default()).await.unwrap(), "one\ntwo\nthree\n");
    let tail = LogParams { tail_lines: Some(1), timestamps: true, ..LogParams::default() };
    assert_eq!(pods.logs("a", &tail).await.unwrap(), "2026-01-01T00:00:02.000000000Z three\n");
    let since = LogParams { since_seconds: Some(2), ..LogParams::default() };
    assert_eq!(pods.logs("a", &since).await.unwrap(), "two\nthree\n");
    let previous = LogParams { previous: true, ..LogParams::default() };
    let error = status(pods.logs("a", &previous).await.unwrap_err());
    assert_eq!((error.code, error.message.as_str()), (400, "previous terminated container \"c\" in pod \"a\" not found"));
    let follow = LogParams { follow: true, tail_lines: Some(1), ..LogParams::default() };
    let stream = pods.log_stream("a", &follow).await.unwrap();
    tokio::spawn(async move {
        clock.sleep(Duration::from_secs(5)).await;
        log.append(second(clock), "four");
        log.close();
    });
    let lines: Vec<String> = stream.lines().try_collect().await.unwrap();
    assert_eq!(lines, ["three", "four"]);
}

#[tokio::test(start_paused = true)]
async fn requests_are_proxied_to_pods() {
    let cluster = cluster();
    pod_on_a_fake_node(&cluster).await;
    let client = cluster.client();
    let get = |path: &str| Request::builder().uri(format!("/api/v1/namespaces/default/pods/{path}")).body(Vec::new()).unwrap();
    assert_eq!(client.request_text(get("a:80/proxy/x/y?q=1")).await.unwrap(), "/x/y?q=1");
    let error = status(client.request_text(get("a:81/proxy/")).await.unwrap_err());
    let expected = "error trying to reach service: dial tcp 10.244.0.5:81: connect: connection refused";
    assert_eq!((error.code, error.message.as_str()), (503, expected));
}

#[tokio::test(start_paused = true)]
async fn kinds_have_what_the_server_gives_them() {
    let cluster = cluster();
    let client = cluster.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = namespaces.create(&PostParams::default(), &of(json!({"metadata": {"name": "n"}}))).await.unwrap();
    assert_eq!(namespace.labels()["kubernetes.io/metadata.name"], "n");
    assert_eq!(namespace.spec.unwrap().finalizers.unwrap(), ["kubernetes"]);
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let spec = services.create(&PostParams::default(), &of(service)).await.unwrap().spec.unwrap();
    assert!(spec.cluster_ip.unwrap().starts_with("10.96."));
    assert!((30_000..32_768).contains(&spec.ports.unwrap()[0].node_port.unwrap()));
    let nodes: Api<Node> = Api::all(client.clone());
    let node = json!({"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let node = nodes.create(&PostParams::default(), &of(node)).await.unwrap();
    assert_eq!(node.status.unwrap().conditions.unwrap()[0].status, "True");
    let events: Api<Event> = Api::default_namespaced(client);
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "reason": "R"});
    events.create(&PostParams::default(), &of(event)).await.unwrap();
    let selected = events.list(&ListParams::default().fields("involvedObject.name=p,reason=R")).await.unwrap();
    assert_eq!(selected.items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_goes_takes_nothing_new_and_waits_for_its_controller() {
    let cluster = cluster();
    let client = cluster.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &of(json!({"metadata": {"name": "n"}}))).await.unwrap();
    namespaces.delete("n", &DeleteParams::default()).await.unwrap();
    let going = namespaces.get("n").await.unwrap();
    assert_eq!(going.status.unwrap().phase.as_deref(), Some("Terminating"));
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "n");
    let error = status(maps.create(&PostParams::default(), &of(json!({"metadata": {"name": "m"}}))).await.unwrap_err());
    assert_eq!(error.code, 403);
    let finalized = json!({"metadata": {"name": "n"}, "spec": {"finalizers": []}});
    raw(&client, "PUT", "/api/v1/namespaces/n/finalize", "*/*", finalized).await;
    assert_eq!(status(namespaces.get("n").await.unwrap_err()).code, 404);
}
