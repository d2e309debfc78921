//! What is refused because of the request, and in which words.

use rstest::rstest;

use super::*;

/// The code and the message of a request that fails.
async fn refused(client: &Client, method: &str, path: &str, body: Value) -> (u16, String) {
    let kind = if method == "PATCH" { "application/apply-patch+yaml" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let error = status(client.request::<Value>(request.body(body).unwrap()).await.unwrap_err());
    (error.code, error.message)
}

#[rstest]
#[case::text(json!("a"))]
#[case::number(json!(1))]
#[case::list(json!([{}]))]
#[tokio::test(start_paused = true)]
async fn metadata_must_be_an_object(#[case] metadata: Value) {
    let cluster = cluster();
    for (kind, subresource) in [("Binding", "binding"), ("Eviction", "eviction")] {
        let path = format!("/api/v1/namespaces/default/pods/a/{subresource}");
        let (code, message) = refused(&cluster.client(), "POST", &path, json!({"metadata": metadata, "target": {}})).await;
        assert_eq!(code, 400);
        assert!(message.contains(&format!("cannot be handled as a {kind}: json: cannot unmarshal")), "{message}");
    }
}

#[rstest]
#[case::wrong_type(json!({"gracePeriodSeconds": "0"}))]
#[case::list(json!([]))]
#[case::wrong_preconditions(json!({"preconditions": "uid"}))]
#[case::another_kind(json!({"kind": "Pod", "apiVersion": "v1"}))]
#[tokio::test(start_paused = true)]
async fn malformed_options_delete_nothing(#[case] options: Value) {
    let cluster = cluster();
    let client = cluster.client();
    let path = "/api/v1/namespaces/default/services/kubernetes";
    assert_eq!(refused(&client, "DELETE", path, options).await.0, 400);
    assert_eq!(raw(&client, "GET", path, "*/*", Value::Null).await["kind"], "Service");
}

#[tokio::test(start_paused = true)]
async fn what_is_being_deleted_takes_no_new_finalizers() {
    let cluster = cluster();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    maps.create(&PostParams::default(), &of(json!({"metadata": {"name": "m", "finalizers": ["a.io/a", "a.io/b"]}}))).await.unwrap();
    maps.delete("m", &DeleteParams::default()).await.unwrap();
    let set = |finalizers: Value| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    let added = maps.patch("m", &PatchParams::default(), &set(json!(["a.io/a", "a.io/c"]))).await.unwrap_err();
    let added = status(added);
    assert_eq!(
        (added.code, added.message.as_str()),
        (
            422,
            "ConfigMap \"m\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being \
             deleted, found new finalizers []string{\"a.io/c\"}"
        )
    );
    maps.patch("m", &PatchParams::default(), &set(json!(["a.io/b"]))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_simulated_is_not_there() {
    let cluster = cluster();
    let client = cluster.client();
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pods.create(&PostParams::default(), &pod("a")).await.unwrap();
    for (subresource, words) in [("ephemeralcontainers", "ephemeral containers"), ("resize", "resize")] {
        let path = format!("/api/v1/namespaces/default/pods/a/{subresource}");
        let (code, message) = refused(&client, "PUT", &path, json!({})).await;
        assert_eq!(code, 404);
        assert!(message.contains("the simulated cluster does not") && message.contains(words), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_gets_no_standard_input() {
    let cluster = cluster();
    let (pods, _) = pod_on_a_fake_node(&cluster).await;
    let parameters = kube::api::AttachParams::default().stdin(true);
    let error = status(pods.exec("a", ["cat"], &parameters).await.err().unwrap());
    assert!(error.message.contains("leave out --stdin"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_is_of_the_moment_of_the_first() {
    let cluster = cluster();
    let client = cluster.client();
    let first = raw(&client, "GET", "/api/v1/namespaces?limit=1", "*/*", Value::Null).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (code, message) =
        refused(&client, "GET", &format!("/api/v1/namespaces?continue={token}&resourceVersion=3"), json!(null)).await;
    assert_eq!((code, message.as_str()), (400, "specifying resource version is not allowed when using continue"));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_not_applied_twice() {
    let cluster = cluster();
    let mut config = serde_json::to_value(deployment("d")).unwrap();
    config["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "A"}, {"name": "A"}]);
    let path = "/apis/apps/v1/namespaces/default/deployments/d?fieldManager=me";
    let (code, message) = refused(&cluster.client(), "PATCH", path, config).await;
    assert_eq!(
        (code, message.as_str()),
        (
            500,
            "failed to create typed patch object (/d; apps/v1, Kind=Deployment): \
             .spec.template.spec.containers[name=\"c\"].env: duplicate entries for key [name=\"A\"]"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_scale_of_another_name_is_refused() {
    let cluster = cluster();
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    deployments.create(&PostParams::default(), &deployment("d")).await.unwrap();
    let path = "/apis/apps/v1/namespaces/default/deployments/d/scale";
    assert_eq!(refused(&cluster.client(), "PUT", path, json!({"metadata": {"name": "e"}, "spec": {"replicas": 3}})).await.0, 400);
}
