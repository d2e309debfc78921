//! Whatever is asked, the server answers, and never with an error of its own.

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::Cluster;

fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "metadata",
        "name",
        "spec",
        "containers",
        "a",
        "status",
        "$patch",
        "delete",
        "labels",
        "replicas",
        "template",
        "finalizers",
        "ownerReferences",
        "ports",
        "resourceVersion",
        "managedFields",
        "$setElementOrder/containers",
        "x/y",
        "é",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// A valid object with something put into it somewhere.
fn mutated() -> impl Strategy<Value = Value> {
    let pointers = prop::sample::select(vec![
        "/metadata",
        "/metadata/name",
        "/metadata/labels",
        "/metadata/annotations",
        "/metadata/finalizers",
        "/spec",
        "/spec/containers",
        "/spec/containers/0",
        "/spec/containers/0/ports",
        "/spec/containers/0/livenessProbe",
        "/spec/containers/0/resources",
        "/spec/volumes",
        "/spec/replicas",
        "/spec/selector",
        "/spec/template",
        "/spec/template/spec",
        "/spec/strategy",
        "/spec/ports",
        "/spec/clusterIP",
        "/status",
        "/metadata/managedFields",
        "/metadata/creationTimestamp",
        "/metadata/ownerReferences",
        "/spec/tolerations",
        "/spec/affinity",
    ]);
    (pointers, json_value()).prop_map(|(pointer, value)| {
        let mut object = json!({
            "metadata": {"name": "a", "labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}], "replicas": 1, "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
                "ports": [{"port": 80}], "schedule": "* * * * *"},
        });
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        match object.pointer_mut(parent) {
            Some(Value::Object(fields)) => drop(fields.insert(field.to_owned(), value)),
            Some(Value::Array(items)) => items.push(value),
            _ => {}
        }
        object
    })
}

fn path() -> impl Strategy<Value = String> {
    let collection = prop::sample::select(vec![
        "/api/v1/namespaces/default/pods",
        "/apis/apps/v1/namespaces/default/deployments",
        "/api/v1/namespaces/default/services",
        "/api/v1/namespaces/default/configmaps",
        "/api/v1/nodes",
        "/api/v1/namespaces",
        "/api/v1/namespaces/default/events",
        "/apis/events.k8s.io/v1/namespaces/default/events",
        "/apis/batch/v1/namespaces/default/jobs",
        "/apis/batch/v1/namespaces/default/cronjobs",
        "/apis/apps/v1/namespaces/default/replicasets",
        "/api/v1/pods",
        "/api",
        "/",
        "/apis/apps/v1",
        "/openapi/v3/apis/apps/v1",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    ]);
    let name = prop::sample::select(vec![
        "",
        "/a",
        "/default",
        "/a/status",
        "/a/scale",
        "/a/log",
        "/a/binding",
        "/a/eviction",
        "/a/proxy/x",
        "/a/token",
        "/a/nope",
        "/%41%zz/",
    ]);
    let query = prop_oneof![
        Just(String::new()),
        prop::sample::select(vec![
            "watch=1&timeoutSeconds=1",
            "limit=1",
            "limit=-5",
            "continue=3132",
            "labelSelector=a%20in%20(b",
            "fieldManager=x&force=1",
            "resourceVersion=5",
            "resourceVersion=-1",
            "resourceVersion=0&resourceVersionMatch=Exact",
            "dryRun=All",
            "dryRun=x",
            "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
            "tailLines=x",
            "fieldValidation=Strict",
            "gracePeriodSeconds=-9223372036854775808",
            "propagationPolicy=Orphan",
            "gracePeriodSeconds=9223372036854775807",
            "timeoutSeconds=9223372036854775807",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9%=&]{0,20}",
    ];
    (collection, name, query).prop_map(|(collection, name, query)| format!("{collection}{name}?{query}"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => mutated().prop_map(|value| value.to_string().into_bytes()),
        2 => json_value().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(Vec::new()),
    ]
}

/// What is applied, which must say what it is.
fn said(path: &str, body: Vec<u8>) -> Vec<u8> {
    const KINDS: [(&str, &str, &str); 8] = [
        ("/pods", "v1", "Pod"),
        ("/deployments", "apps/v1", "Deployment"),
        ("/replicasets", "apps/v1", "ReplicaSet"),
        ("/services", "v1", "Service"),
        ("/configmaps", "v1", "ConfigMap"),
        ("/nodes", "v1", "Node"),
        ("/cronjobs", "batch/v1", "CronJob"),
        ("/jobs", "batch/v1", "Job"),
    ];
    let kind = KINDS.iter().find(|(part, ..)| path.contains(part));
    match (serde_json::from_slice(&body), kind) {
        (Ok(Value::Object(mut object)), Some((_, version, kind))) => {
            object.insert("apiVersion".to_owned(), json!(version));
            object.insert("kind".to_owned(), json!(kind));
            Value::Object(object).to_string().into_bytes()
        }
        _ => body,
    }
}

fn request() -> impl Strategy<Value = Request<Full<bytes::Bytes>>> {
    let method = prop::sample::select(vec![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE]);
    let kind = prop::sample::select(vec![
        "application/json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/json-patch+json",
        "application/apply-patch+yaml",
        "application/yaml",
        "text/plain",
    ]);
    let accept = prop::sample::select(vec![
        "*/*",
        super::TABLE,
        "application/yaml",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        "x",
    ]);
    (method, path(), kind, accept, body()).prop_map(|(method, path, kind, accept, body)| {
        let body = if kind == "application/apply-patch+yaml" { said(&path, body) } else { body };
        let request = Request::builder().method(method).uri(path).header("content-type", kind).header("accept", accept);
        request.body(Full::from(body)).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn every_request_has_an_answer(requests in prop::collection::vec(request(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let cluster = Cluster::builder().nodes(0).build();
            for request in requests {
                let shown = format!("{request:?}");
                let follows = request.uri().to_string().contains("watch");
                let answer = cluster.api().http().oneshot(request).await.unwrap();
                let is_failure = answer.status().as_u16() == 500;
                // A watch may last for an hour of the cluster's time, in which jobs and events come and go.
                if is_failure || !follows {
                    let body = answer.into_body().collect().await.unwrap().to_bytes();
                    // The one thing that the real server, too, calls a failure of its own.
                    let is_real = String::from_utf8_lossy(&body).contains("failed to create typed patch object");
                    assert!(!is_failure || is_real, "{shown}");
                }
            }
        });
    }
}
