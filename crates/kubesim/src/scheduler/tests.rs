//! Where Pods go, and why not.

use k8s_openapi::api::core::v1::{Node, Pod};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{DeleteOptions, controllers::tests::Bench};

fn pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut pod["spec"], spec) {
        all.extend(more);
    }
    pod
}

fn asking(cpu: &str) -> Value {
    json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]})
}

async fn node_of(bench: &Bench, name: &str) -> Option<String> {
    bench.get::<Pod>(name).await.unwrap().spec.as_ref().unwrap().node_name.clone()
}

async fn refusal(bench: &Bench, name: &str) -> String {
    let pod = bench.get::<Pod>(name).await.unwrap();
    let conditions = pod.status.as_ref().unwrap().conditions.as_ref().unwrap();
    assert_eq!((conditions[0].status.as_str(), conditions[0].reason.as_deref()), ("False", Some("Unschedulable")));
    conditions[0].message.clone().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_and_an_event_says_so() {
    let bench = Bench::new(1).await;
    bench.create::<Pod>(pod("p", json!({}))).await;
    bench.wait(1).await;
    assert_eq!(node_of(&bench, "p").await.as_deref(), Some("node"));
    assert_eq!(bench.events("Pod").await, ["Scheduled: Successfully assigned default/p to node"]);
}

#[tokio::test(start_paused = true)]
async fn without_nodes_a_pod_waits_for_one() {
    let bench = Bench::empty(1);
    bench.create::<Pod>(pod("p", json!({}))).await;
    bench.wait(1).await;
    assert_eq!(refusal(&bench, "p").await, "no nodes available to schedule pods");
    bench.add_node("late", json!({})).await;
    bench.wait(1).await;
    assert_eq!(node_of(&bench, "p").await.as_deref(), Some("late"));
}

#[rstest]
#[case::cpu(asking("8"), "1 Insufficient cpu", "1 Preemption is not helpful for scheduling")]
#[case::selector(
    json!({"nodeSelector": {"disk": "ssd"}}),
    "1 node(s) didn't match Pod's node affinity/selector",
    "1 Preemption is not helpful for scheduling"
)]
#[tokio::test(start_paused = true)]
async fn the_reason_is_said(#[case] spec: Value, #[case] reason: &str, #[case] preemption: &str) {
    let bench = Bench::new(1).await;
    bench.create::<Pod>(pod("p", spec)).await;
    bench.wait(1).await;
    let expected = format!("0/1 nodes are available: {reason}. preemption: 0/1 nodes are available: {preemption}.");
    assert_eq!(refusal(&bench, "p").await, expected);
    assert_eq!(bench.events("Pod").await, [format!("FailedScheduling: {expected}")]);
}

#[tokio::test(start_paused = true)]
async fn room_that_becomes_free_is_used_at_once() {
    let bench = Bench::new(1).await;
    bench.create::<Pod>(pod("first", asking("3"))).await;
    bench.create::<Pod>(pod("second", asking("3"))).await;
    bench.wait(60).await;
    assert_eq!(
        refusal(&bench, "second").await,
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found \
         for incoming pod."
    );
    bench.client.delete::<Pod>("default", "first", &DeleteOptions::default()).await.unwrap();
    bench.wait(2).await;
    assert_eq!(node_of(&bench, "second").await.as_deref(), Some("node"));
}

#[tokio::test(start_paused = true)]
async fn a_label_releases_a_pod_that_selects_it() {
    let bench = Bench::new(1).await;
    bench.create::<Pod>(pod("p", json!({"nodeSelector": {"disk": "ssd"}}))).await;
    bench.wait(5).await;
    let labels = crate::Patch::Merge(json!({"metadata": {"labels": {"disk": "ssd"}}}));
    bench.client.patch::<Node>("", "node", &labels).await.unwrap();
    bench.wait(1).await;
    assert_eq!(node_of(&bench, "p").await.as_deref(), Some("node"));
}

#[tokio::test(start_paused = true)]
async fn taints_keep_pods_away_that_do_not_tolerate_them() {
    let bench = Bench::new(1).await;
    let taint = crate::Patch::Merge(json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}}));
    bench.client.patch::<Node>("", "node", &taint).await.unwrap();
    bench.add_node("cordoned", json!({})).await;
    let cordon = crate::Patch::Merge(json!({"spec": {"unschedulable": true}}));
    bench.client.patch::<Node>("", "cordoned", &cordon).await.unwrap();
    bench.create::<Pod>(pod("refused", json!({}))).await;
    bench.create::<Pod>(pod("tolerant", json!({"tolerations": [{"key": "k", "operator": "Exists"}]}))).await;
    bench.wait(1).await;
    assert_eq!(
        refusal(&bench, "refused").await,
        "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. preemption: 0/2 nodes \
         are available: 2 Preemption is not helpful for scheduling."
    );
    assert_eq!(node_of(&bench, "tolerant").await.as_deref(), Some("node"));
}

fn away_from_web() -> Value {
    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "host", "labelSelector": {"matchLabels": {"app": "web"}}},
    ]}}})
}

fn near_web() -> Value {
    json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "host", "labelSelector": {"matchLabels": {"app": "web"}}},
    ]}}})
}

#[tokio::test(start_paused = true)]
async fn anti_affinity_spreads_and_affinity_gathers() {
    let bench = Bench::empty(1);
    for name in ["a", "b"] {
        bench.add_node(name, json!({"host": name})).await;
    }
    for name in ["p", "q", "r"] {
        bench.create::<Pod>(pod(name, away_from_web())).await;
    }
    bench.wait(1).await;
    let (p, q) = (node_of(&bench, "p").await, node_of(&bench, "q").await);
    assert!(p.is_some() && q.is_some() && p != q);
    assert_eq!(
        refusal(&bench, "r").await,
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. preemption: 0/2 nodes are available: 2 No \
         preemption victims found for incoming pod."
    );
    let mut near = pod("near", near_web());
    near["metadata"]["labels"] = json!({"app": "cache"});
    bench.client.delete::<Pod>("default", "r", &DeleteOptions::default()).await.unwrap();
    bench.client.delete::<Pod>("default", "p", &DeleteOptions::default()).await.unwrap();
    bench.wait(5).await;
    bench.create::<Pod>(near).await;
    bench.wait(1).await;
    assert_eq!(node_of(&bench, "near").await, q);
}

#[tokio::test(start_paused = true)]
async fn spread_constraints_bound_the_skew() {
    let bench = Bench::empty(1);
    for name in ["a", "b", "c"] {
        bench.add_node(name, json!({"zone": name})).await;
    }
    let spread = json!({"topologySpreadConstraints": [{
        "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}},
    }]});
    let mut counts = std::collections::BTreeMap::new();
    for index in 0..6 {
        let name = format!("p{index}");
        bench.create::<Pod>(pod(&name, spread.clone())).await;
        bench.wait(1).await;
        *counts.entry(node_of(&bench, &name).await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_another_scheduler_is_left_alone() {
    let bench = Bench::new(1).await;
    bench.create::<Pod>(pod("p", json!({"schedulerName": "other"}))).await;
    bench.wait(1).await;
    assert_eq!(node_of(&bench, "p").await, None);
}

#[tokio::test(start_paused = true)]
async fn an_absurd_request_is_refused_like_any_other() {
    let bench = Bench::new(1).await;
    for (name, cpu) in [("huge", "1e40"), ("tiny", "1.5e-2147483648")] {
        bench.create::<Pod>(pod(name, asking(cpu))).await;
    }
    bench.wait(1).await;
    assert!(refusal(&bench, "huge").await.contains("1 Insufficient cpu"));
    assert_eq!(node_of(&bench, "tiny").await.as_deref(), Some("node"));
}

async fn places(bench: &Bench, count: usize, spec: &Value) -> Vec<usize> {
    let mut counts = std::collections::BTreeMap::new();
    for index in 0..count {
        let name = format!("p{index}");
        bench.create::<Pod>(pod(&name, spec.clone())).await;
        bench.wait(1).await;
        *counts.entry(node_of(bench, &name).await.unwrap()).or_insert(0) += 1;
    }
    counts.into_values().collect()
}

/// Without anything to spread by, requests of the Pods there already decide: nearly all go where there is more room.
#[rstest]
#[case::constraint(json!({"topologySpreadConstraints": [{
    "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {"matchLabels": {"app": "web"}},
}]}), false)]
#[case::service(json!({}), true)]
#[tokio::test(start_paused = true)]
async fn soft_constraints_spread(#[case] spec: Value, #[case] has_service: bool) {
    let bench = Bench::empty(1);
    for name in ["a", "b"] {
        bench.add_node(name, json!({"kubernetes.io/hostname": name})).await;
    }
    // What is on one node keeps small Pods off it unless they are spread.
    let mut heavy = asking("1500m");
    heavy["nodeName"] = json!("a");
    bench
        .create::<Pod>({
            let mut heavy = pod("heavy", heavy);
            heavy["metadata"]["labels"] = json!({"app": "heavy"});
            heavy
        })
        .await;
    if has_service {
        let service = json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 80}],
        }});
        bench.create::<k8s_openapi::api::core::v1::Service>(service).await;
    }
    bench.wait(1).await;
    assert_eq!(places(&bench, 6, &spec).await, [3, 3]);
}
