//! What belongs to Services and budgets.

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Endpoints, Service},
    discovery::v1::EndpointSlice,
    policy::v1::PodDisruptionBudget,
};

use super::*;
use crate::{DeleteOptions, controllers::pods::condition};

#[tokio::test(start_paused = true)]
async fn endpoints_follow_the_readiness_of_pods() {
    let bench = Bench::new(1).await;
    let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}]);
    let service =
        json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": {"app": "web"}, "ports": ports}});
    bench.create::<Service>(service).await;
    let mut deployment = web(2, "a", true);
    deployment["spec"]["template"]["metadata"]["annotations"]["ready-after"] = json!("10");
    bench.create::<Deployment>(deployment).await;
    bench.wait(5).await;
    let slice = || async {
        let slices = bench.list::<EndpointSlice>().await;
        let own = slices.into_iter().find(|slice| {
            slice
                .metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get("kubernetes.io/service-name"))
                .is_some_and(|name| name == "web")
        });
        own.unwrap()
    };
    let ready = |slice: &EndpointSlice| -> Vec<bool> {
        slice.endpoints.iter().flatten().map(|endpoint| endpoint.conditions.as_ref().unwrap().ready.unwrap()).collect()
    };
    assert_eq!(ready(&*slice().await), [false, false]);
    let subset = |endpoints: &Endpoints| {
        let subset = &endpoints.subsets.as_ref().unwrap()[0];
        (subset.addresses.iter().flatten().count(), subset.not_ready_addresses.iter().flatten().count())
    };
    assert_eq!(subset(&bench.get::<Endpoints>("web").await.unwrap()), (0, 2));
    bench.wait(10).await;
    let now = slice().await;
    assert_eq!(ready(&now), [true, true]);
    assert_eq!(now.ports.as_ref().unwrap()[0].port, Some(8080));
    assert_eq!(subset(&bench.get::<Endpoints>("web").await.unwrap()), (2, 0));
    bench.client.delete::<Service>("default", "web", &DeleteOptions::default()).await.unwrap();
    bench.wait(1).await;
    assert!(bench.list::<EndpointSlice>().await.iter().all(|slice| !slice.metadata.name.as_ref().unwrap().starts_with("web-")));
    assert!(bench.get::<Endpoints>("web").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_budget_lets_only_so_many_pods_go() {
    let bench = Bench::new(4).await;
    bench.create::<Deployment>(web(3, "a", true)).await;
    let budget = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    });
    bench.create::<PodDisruptionBudget>(budget).await;
    bench.wait(10).await;
    let allowed = || async { bench.get::<PodDisruptionBudget>("web").await.unwrap().status.clone().unwrap().disruptions_allowed };
    assert_eq!(allowed().await, Some(1));
    let pods: Vec<_> = bench.pods().await.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect();
    bench.client.evict("default", &pods[0], &DeleteOptions::default()).await.unwrap();
    let reason = condition(&bench.get::<Pod>(&pods[0]).await.unwrap(), "DisruptionTarget").unwrap().reason.clone();
    assert_eq!(reason.as_deref(), Some("EvictionByEvictionAPI"));
    let refused = bench.client.evict("default", &pods[1], &DeleteOptions::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (429, "Cannot evict pod as it would violate the pod's disruption budget."));
    assert_eq!(
        refused.status().details.as_ref().unwrap().causes.as_ref().unwrap()[0].message.as_deref().unwrap().split(" and ").next(),
        Some("The disruption budget web needs 2 healthy pods")
    );
    bench.wait(10).await;
    assert_eq!(allowed().await, Some(1), "the replacement is ready");
    bench.client.evict("default", &pods[1], &DeleteOptions::default()).await.unwrap();
}

/// What no controller has made has no size of which a share could go.
#[tokio::test(start_paused = true)]
async fn a_budget_does_not_count_pods_without_a_controller() {
    let bench = Bench::new(5).await;
    let budget = |name: &str, app: &str| {
        json!({
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": app}}},
        })
    };
    bench.create::<PodDisruptionBudget>(budget("empty", "nobody")).await;
    bench.create::<PodDisruptionBudget>(budget("bare", "bare")).await;
    bench.create::<PodDisruptionBudget>(budget("agents", "web")).await;
    let pod = json!({
        "metadata": {"name": "bare", "namespace": "default", "labels": {"app": "bare"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    bench.create::<Pod>(pod).await;
    let agents = json!({
        "metadata": {"name": "agents", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template("a", true)},
    });
    bench.create::<DaemonSet>(agents).await;
    bench.wait(10).await;
    let status = bench.get::<PodDisruptionBudget>("bare").await.unwrap().status.clone().unwrap();
    assert_eq!((status.expected_pods, status.current_healthy, status.disruptions_allowed), (Some(0), Some(1), Some(0)));
    let failed = bench.get::<PodDisruptionBudget>("agents").await.unwrap().status.clone().unwrap();
    let failed = &failed.conditions.unwrap()[0];
    assert_eq!(
        (failed.reason.as_str(), failed.message.as_str()),
        ("SyncFailed", "daemonsets.apps does not implement the scale subresource")
    );
    let events = bench.events("PodDisruptionBudget").await;
    assert!(events.contains(&"NoPods: No matching pods found".to_owned()));
    let selector =
        "(selector: &LabelSelector{MatchLabels:map[string]string{app: bare,},MatchExpressions:[]LabelSelectorRequirement{},})";
    assert!(events.iter().any(|event| event.starts_with("UnmanagedPods: ") && event.contains(selector)), "{events:?}");
}

/// Two versions of a Deployment may listen on different ports of the same name.
#[tokio::test(start_paused = true)]
async fn pods_with_different_ports_are_in_different_slices() {
    let bench = Bench::new(6).await;
    let service = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    });
    bench.create::<Service>(service).await;
    let foreign = json!({
        "metadata": {"name": "foreign", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": [],
    });
    bench.create::<EndpointSlice>(foreign).await;
    for (name, port) in [("b", 8080), ("c", 9090), ("a", 8080)] {
        let container = json!({"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": port}]});
        let pod = json!({
            "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
            "spec": {"containers": [container]},
        });
        bench.create::<Pod>(pod).await;
        bench.wait(2).await;
    }
    let slices = async || {
        let mut found: Vec<_> = bench
            .list::<EndpointSlice>()
            .await
            .iter()
            .map(|slice| {
                let ports: Vec<_> = slice.ports.iter().flatten().map(|port| port.port.unwrap()).collect();
                (ports, slice.endpoints.iter().flatten().count())
            })
            .collect();
        found.sort_unstable();
        found
    };
    assert_eq!(slices().await, [(vec![], 0), (vec![8080], 2), (vec![9090], 1)]);
    let endpoints = bench.get::<Endpoints>("web").await.unwrap();
    let addresses = endpoints.subsets.as_ref().unwrap()[0].addresses.as_ref().unwrap();
    assert!(addresses.is_sorted_by_key(|address| &address.ip), "{addresses:?}");
    bench.client.delete::<Pod>("default", "c", &DeleteOptions::now()).await.unwrap();
    bench.wait(2).await;
    assert_eq!(slices().await, [(vec![], 0), (vec![8080], 2)]);
}
