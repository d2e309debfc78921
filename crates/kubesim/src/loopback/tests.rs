//! The contract of components, shown by a small one.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod};
use k8s_openapi::api::events;
use serde_json::json;
use tokio::task::JoinSet;

use super::*;
use crate::{Component, Version, deaths::Deaths, store::Store};

fn server() -> ApiServer {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let api = ApiServer::new(Store::default(), clock, Version::LATEST, Random::from_seed(1));
    api.bootstrap(&["default"]);
    api
}

fn component(api: &ApiServer) -> Component {
    Component {
        client: LoopbackClient::new(api.clone(), "example", Random::from_seed(2)),
        clock: api.clock(),
        random: Random::from_seed(3),
        version: api.version(),
        workloads: Arc::default(),
        deaths: Deaths::default(),
    }
}

fn of<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// A component that gives every namespace a config map that counts the namespaces up to it.
async fn number_namespaces(component: Component) {
    let mut namespaces = component.client.informer::<Namespace>(Selection::all()).unwrap();
    loop {
        if let Delta::Added(namespace) = namespaces.next().await {
            let name = namespace.metadata.name.as_deref().unwrap_or_default();
            let map = json!({"metadata": {"name": "number", "namespace": name}, "data": {"n": namespaces.len().to_string()}});
            component.client.create::<ConfigMap>(&of(map)).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_component_reacts_to_what_others_write() {
    let api = server();
    let mut tasks = JoinSet::new();
    tasks.spawn(number_namespaces(component(&api)));
    let client = component(&api).client;
    client.create::<Namespace>(&of(json!({"metadata": {"name": "second"}}))).await.unwrap();
    let mut maps = client.informer::<ConfigMap>(Selection::in_namespace("second")).unwrap();
    let made = maps.next().await;
    assert_eq!(made.object().data.as_ref().unwrap()["n"], "2");
    assert_eq!(made.object().metadata.namespace.as_deref(), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_between_5_and_20_ms() {
    let api = server();
    let client = component(&api).client;
    for _ in 0..100 {
        let before = api.clock().elapsed();
        client.get::<Namespace>("", "default").await.unwrap();
        let taken = api.clock().elapsed().saturating_sub(before);
        // Timers have a granularity of a millisecond, and round up.
        assert!((Duration::from_millis(5)..=Duration::from_millis(22)).contains(&taken), "{taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_of_an_old_version_is_a_conflict_and_no_change_is_no_write() {
    let api = server();
    let client = component(&api).client;
    let map = of::<ConfigMap>(json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"a": "1"}}));
    let first = client.create(&map).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"a": "2"}}));
    let second = client.patch::<ConfigMap>("default", "m", &patch).await.unwrap();
    assert!(client.update(&*first).await.unwrap_err().is_conflict());
    let again = client.patch::<ConfigMap>("default", "m", &patch).await.unwrap();
    assert_eq!(again.metadata.resource_version, second.metadata.resource_version);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_merged_and_the_spec_kept() {
    let api = server();
    let client = component(&api).client;
    let pod = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    client.create::<Pod>(&of(pod)).await.unwrap();
    let binding = json!({"metadata": {"name": "p", "namespace": "default"}, "target": {"kind": "Node", "name": "n"}});
    client.bind(&of(binding)).await.unwrap();
    let patch = Patch::Strategic(json!({
        "spec": {"nodeName": "other"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }));
    let pod = client.patch_status::<Pod>("default", "p", &patch).await.unwrap();
    let status = pod.status.as_ref().unwrap();
    let conditions: Vec<_> = status.conditions.iter().flatten().map(|c| c.type_.as_str()).collect();
    assert_eq!(conditions, ["Ready", "PodScheduled"]);
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(pod.spec.as_ref().unwrap().node_name.as_deref(), Some("n"));
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_pod_gets_its_grace_and_goes_when_the_kubelet_says_so() {
    let api = server();
    let client = component(&api).client;
    let pod = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
    client.create::<Pod>(&of(pod)).await.unwrap();
    let mut pods = client.informer::<Pod>(Selection::all().field("spec.nodeName", "n")).unwrap();
    assert!(matches!(pods.next().await, Delta::Added(_)));
    client.delete::<Pod>("default", "p", &DeleteOptions::default()).await.unwrap();
    let Delta::Modified { new, .. } = pods.next().await else { panic!("the deletion begins") };
    assert_eq!(new.metadata.deletion_grace_period_seconds, Some(30));
    assert_eq!(new.metadata.generation, Some(2));
    client.delete::<Pod>("default", "p", &DeleteOptions::now()).await.unwrap();
    let Delta::Modified { new, .. } = pods.next().await else { panic!("the grace becomes 0") };
    assert_eq!(new.metadata.deletion_grace_period_seconds, Some(0));
    assert!(matches!(pods.next().await, Delta::Deleted(_)));
    assert!(client.get::<Pod>("default", "p").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn an_event_is_one_object_in_both_groups() {
    let api = server();
    let client = component(&api).client;
    let event = json!({
        "metadata": {"name": "e", "namespace": "default"}, "note": "n", "reason": "r", "type": "Normal",
        "regarding": {"kind": "Pod", "name": "p"}, "eventTime": "2026-01-01T00:00:00.000000Z",
    });
    client.create::<events::v1::Event>(&of(event)).await.unwrap();
    let event = client.get::<Event>("default", "e").await.unwrap();
    assert_eq!((event.message.as_deref(), event.involved_object.name.as_deref()), (Some("n"), Some("p")));
}

#[tokio::test(start_paused = true)]
async fn an_informer_recovers_from_falling_behind() {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let api = ApiServer::new(Store::with_history(2), clock, Version::LATEST, Random::from_seed(1));
    api.bootstrap(&["default"]);
    let client = component(&api).client;
    let map = |name: &str| of::<ConfigMap>(json!({"metadata": {"name": name, "namespace": "default"}}));
    client.create(&map("gone")).await.unwrap();
    let mut maps = client.informer::<ConfigMap>(Selection::all()).unwrap();
    maps.catch_up();
    client.delete::<ConfigMap>("default", "gone", &DeleteOptions::default()).await.unwrap();
    for name in ["a", "b", "c"] {
        client.create(&map(name)).await.unwrap();
    }
    let mut deltas = Vec::new();
    while let Some(delta) = maps.try_next() {
        deltas.push((matches!(delta, Delta::Deleted(_)), delta.object().metadata.name.clone().unwrap()));
    }
    let expected = [(true, "gone"), (false, "a"), (false, "b"), (false, "c")];
    assert_eq!(deltas, expected.map(|(deleted, name)| (deleted, name.to_owned())));
}
