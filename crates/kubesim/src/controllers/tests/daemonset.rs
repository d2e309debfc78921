//! DaemonSets: one Pod a node.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};

use super::*;

fn agent() -> Value {
    json!({
        "metadata": {"name": "agent", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template("a", true)},
    })
}

async fn nodes(bench: &Bench) -> Vec<String> {
    let mut nodes: Vec<_> = bench.pods().await.iter().filter_map(|pod| pod.spec.as_ref().unwrap().node_name.clone()).collect();
    nodes.sort();
    nodes
}

#[tokio::test(start_paused = true)]
async fn every_node_that_is_selected_gets_a_pod() {
    let bench = Bench::new(1).await;
    bench.add_node("second", json!({})).await;
    bench.create::<DaemonSet>(agent()).await;
    bench.wait(5).await;
    assert_eq!(nodes(&bench).await, ["node", "second"]);
    bench.add_node("third", json!({})).await;
    bench.wait(5).await;
    assert_eq!(nodes(&bench).await, ["node", "second", "third"]);
    let status = bench.get::<DaemonSet>("agent").await.unwrap().status.clone().unwrap();
    assert_eq!((status.desired_number_scheduled, status.number_ready, status.number_available), (3, 3, Some(3)));
    let taint = Patch::Merge(json!({"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}}));
    bench.client.patch::<Node>("", "third", &taint).await.unwrap();
    bench.wait(5).await;
    assert_eq!(nodes(&bench).await, ["node", "second"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_replaces_one_pod_after_the_other() {
    let bench = Bench::new(2).await;
    bench.add_node("second", json!({})).await;
    bench.create::<DaemonSet>(agent()).await;
    bench.wait(5).await;
    bench.patch::<DaemonSet>("agent", json!({"spec": {"template": template("b", true)}})).await;
    let mut fewest = 2;
    for _ in 0..100 {
        bench.clock.sleep(Duration::from_millis(100)).await;
        let status = bench.get::<DaemonSet>("agent").await.unwrap().status.clone().unwrap();
        fewest = fewest.min(status.number_available.unwrap_or(0));
    }
    assert_eq!(fewest, 1);
    let images: Vec<_> = bench.pods().await.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone()).collect();
    assert_eq!(images, [Some("b".to_owned()), Some("b".to_owned())]);
    let mut revisions: Vec<_> = bench.list::<ControllerRevision>().await.iter().map(|one| one.revision).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [Some(1), Some(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_surge_makes_the_new_pod_before_the_old_one_goes() {
    let bench = Bench::new(3).await;
    bench.add_node("second", json!({})).await;
    let mut surging = agent();
    surging["spec"]["updateStrategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    bench.create::<DaemonSet>(surging).await;
    bench.wait(5).await;
    bench.patch::<DaemonSet>("agent", json!({"spec": {"template": template("b", true)}})).await;
    let (mut fewest, mut most) = (2, 2);
    for _ in 0..150 {
        bench.clock.sleep(Duration::from_millis(100)).await;
        let ready = bench.pods().await.iter().filter(|pod| crate::controllers::pods::is_ready(pod)).count();
        let active = bench.pods().await.iter().filter(|pod| crate::controllers::pods::is_active(pod)).count();
        (fewest, most) = (fewest.min(ready), most.max(active));
    }
    assert_eq!((fewest, most), (2, 3));
    let images: Vec<_> = bench.pods().await.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone()).collect();
    assert_eq!(images, [Some("b".to_owned()), Some("b".to_owned())]);
}

/// A daemon Pod that fails again and again is replaced after a pause that doubles.
#[tokio::test(start_paused = true)]
async fn failing_pods_are_replaced_ever_later() {
    let bench = Bench::new(4).await;
    let mut failing = agent();
    failing["spec"]["template"]["metadata"]["annotations"] = json!({"ends": "Failed"});
    bench.create::<DaemonSet>(failing).await;
    bench.wait(100).await;
    let made = bench.events("DaemonSet").await.iter().filter(|event| event.starts_with("SuccessfulCreate")).count();
    assert_eq!(made, 8, "after about 2, 4, 6, 10, 18, 34 and 66 seconds");
}
