//! What goes when something else goes: namespaces, owners; and what every namespace has.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};

use super::*;
use crate::{DeleteOptions, Propagation};

async fn delete_deployment(bench: &Bench, propagation: Propagation) {
    let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
    bench.client.delete::<Deployment>("default", "web", &options).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deleting_in_the_background_takes_the_pods_along() {
    let bench = Bench::new(1).await;
    bench.create::<Deployment>(web(2, "a", true)).await;
    bench.wait(10).await;
    delete_deployment(&bench, Propagation::Background).await;
    assert!(bench.get::<Deployment>("web").await.unwrap_err().is_not_found());
    bench.clock.sleep(Duration::from_millis(100)).await;
    assert!(bench.list::<ReplicaSet>().await.is_empty());
    let pods = bench.pods().await;
    assert!(pods.len() == 2 && pods.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()));
    bench.wait(5).await;
    assert!(bench.pods().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn deleting_in_the_foreground_takes_the_pods_first() {
    let bench = Bench::new(2).await;
    bench.create::<Deployment>(web(2, "a", true)).await;
    bench.wait(10).await;
    delete_deployment(&bench, Propagation::Foreground).await;
    bench.clock.sleep(Duration::from_millis(500)).await;
    assert!(bench.deployment().await.metadata.deletion_timestamp.is_some(), "it waits for its Pods");
    assert_eq!(bench.pods().await.len(), 2);
    bench.wait(5).await;
    assert!(bench.pods().await.is_empty());
    assert!(bench.list::<ReplicaSet>().await.is_empty());
    assert!(bench.get::<Deployment>("web").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_and_are_adopted_by_the_next_deployment() {
    let bench = Bench::new(3).await;
    bench.create::<Deployment>(web(2, "a", true)).await;
    bench.wait(10).await;
    let before: Vec<_> = bench.pods().await.iter().map(|pod| pod.metadata.uid.clone()).collect();
    delete_deployment(&bench, Propagation::Orphan).await;
    bench.wait(10).await;
    assert!(bench.get::<Deployment>("web").await.unwrap_err().is_not_found());
    let set = bench.list::<ReplicaSet>().await.pop().unwrap();
    assert_eq!(set.metadata.owner_references, None, "not even an empty list");
    bench.create::<Deployment>(web(2, "a", true)).await;
    bench.wait(10).await;
    let after: Vec<_> = bench.pods().await.iter().map(|pod| pod.metadata.uid.clone()).collect();
    assert_eq!(before, after);
    assert_eq!(bench.list::<ReplicaSet>().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_names_an_owner_that_never_was_goes() {
    let bench = Bench::new(4).await;
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "0"});
    bench.create::<ConfigMap>(json!({"metadata": {"name": "m", "namespace": "default", "ownerReferences": [owner]}})).await;
    bench.wait(1).await;
    assert!(bench.get::<ConfigMap>("m").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_has_a_service_account_and_the_certificate() {
    let bench = Bench::new(5).await;
    bench.create::<Namespace>(json!({"metadata": {"name": "fresh"}})).await;
    bench.wait(1).await;
    for namespace in ["default", "fresh"] {
        bench.client.get::<ServiceAccount>(namespace, "default").await.unwrap();
        let map = bench.client.get::<ConfigMap>(namespace, "kube-root-ca.crt").await.unwrap();
        assert!(map.data.as_ref().unwrap()["ca.crt"].starts_with("-----BEGIN CERTIFICATE-----"));
    }
    bench.client.delete::<ServiceAccount>("fresh", "default", &DeleteOptions::default()).await.unwrap();
    bench.wait(1).await;
    bench.client.get::<ServiceAccount>("fresh", "default").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_after_everything_in_it() {
    let bench = Bench::new(6).await;
    bench.create::<Namespace>(json!({"metadata": {"name": "doomed"}, "spec": {"finalizers": ["kubernetes"]}})).await;
    let mut deployment = web(2, "a", true);
    deployment["metadata"]["namespace"] = json!("doomed");
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(30);
    bench.create::<Deployment>(deployment).await;
    let map = json!({"metadata": {"name": "kept", "namespace": "doomed", "finalizers": ["example.com/keep"]}});
    bench.create::<ConfigMap>(map).await;
    bench.wait(10).await;
    bench.client.delete::<Namespace>("", "doomed", &DeleteOptions::default()).await.unwrap();
    bench.wait(6).await;
    let pods = bench.pods().await;
    assert!(pods.len() == 2 && pods.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()));
    bench.wait(30).await;
    let namespace = bench.client.get::<Namespace>("", "doomed").await.unwrap();
    let status = namespace.status.as_ref().unwrap();
    assert_eq!(status.phase.as_deref(), Some("Terminating"));
    let problems = status.conditions.as_ref().unwrap().iter().filter(|condition| condition.status == "True");
    let problems: Vec<_> = problems.map(|condition| condition.message.as_deref().unwrap()).collect();
    assert_eq!(
        problems,
        [
            "Some resources are remaining: configmaps. has 1 resource instances",
            "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances",
        ]
    );
    assert!(bench.list::<Deployment>().await.is_empty() && bench.pods().await.is_empty());
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    bench.client.patch::<ConfigMap>("doomed", "kept", &release).await.unwrap();
    bench.wait(20).await;
    assert!(bench.client.get::<Namespace>("", "doomed").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_without_pods_takes_five_seconds_to_go() {
    let bench = Bench::new(7).await;
    bench.create::<Namespace>(json!({"metadata": {"name": "doomed"}, "spec": {"finalizers": ["kubernetes"]}})).await;
    bench.wait(1).await;
    bench.client.delete::<Namespace>("", "doomed", &DeleteOptions::default()).await.unwrap();
    bench.wait(4).await;
    bench.client.get::<Namespace>("", "doomed").await.unwrap();
    bench.wait(3).await;
    assert!(bench.client.get::<Namespace>("", "doomed").await.unwrap_err().is_not_found());
}
