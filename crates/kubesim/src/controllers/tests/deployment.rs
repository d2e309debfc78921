//! The Deployment path: Deployment, ReplicaSet, Pods.

use rstest::rstest;

use super::*;

fn condition(deployment: &Deployment, kind: &str) -> String {
    let conditions = deployment.status.as_ref().unwrap().conditions.as_ref().unwrap();
    let found = conditions.iter().find(|condition| condition.type_.as_deref() == Some(kind)).unwrap();
    format!("{} {} {}", found.status.as_deref().unwrap(), found.reason.as_deref().unwrap(), found.message.as_deref().unwrap())
}

/// READY, UP-TO-DATE and AVAILABLE as kubectl shows them.
fn row(deployment: &Deployment) -> String {
    let status = deployment.status.as_ref().unwrap();
    format!(
        "{}/{} {} {}",
        status.ready_replicas.unwrap_or(0),
        deployment.spec.replicas.unwrap(),
        status.updated_replicas.unwrap_or(0),
        status.available_replicas.unwrap_or(0)
    )
}

#[tokio::test(start_paused = true)]
async fn a_deployment_makes_a_replica_set_that_makes_pods() {
    let bench = Bench::new(1).await;
    bench.create::<Deployment>(web(3, "a", true)).await;
    bench.wait(5).await;
    let deployment = bench.deployment().await;
    assert_eq!(row(&deployment), "3/3 3 3");
    let set = bench.list::<ReplicaSet>().await.pop().unwrap();
    let (name, hash) = (set.metadata.name.clone().unwrap(), set.metadata.labels.as_ref().unwrap()["pod-template-hash"].clone());
    assert_eq!(name, format!("web-{hash}"));
    assert_eq!(
        condition(&deployment, "Progressing"),
        format!("True NewReplicaSetAvailable ReplicaSet \"{name}\" has successfully progressed.")
    );
    assert_eq!(condition(&deployment, "Available"), "True MinimumReplicasAvailable Deployment has minimum availability.");
    let annotations = set.metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["team"], "a");
    assert_eq!(annotations["deployment.kubernetes.io/desired-replicas"], "3");
    assert_eq!(annotations["deployment.kubernetes.io/max-replicas"], "4");
    assert_eq!(deployment.metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"], "1");
    assert_eq!(bench.events("Deployment").await, [format!("ScalingReplicaSet: Scaled up replica set {name} from 0 to 3")]);
    let mut created = bench.events("ReplicaSet").await;
    let pods = bench.pods().await;
    let mut expected: Vec<_> =
        pods.iter().map(|pod| format!("SuccessfulCreate: Created pod: {}", pod.metadata.name.as_deref().unwrap())).collect();
    created.sort();
    expected.sort();
    assert_eq!(created, expected);
    for pod in pods {
        let suffix = pod.metadata.name.as_deref().unwrap().strip_prefix(&format!("{name}-")).unwrap();
        assert!(suffix.len() == 5 && suffix.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)), "{suffix}");
        let owner = &pod.metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!((owner.controller, owner.block_owner_deletion), (Some(true), Some(true)));
    }
}

/// The table of rollouts whose new Pods never become ready.
#[rstest]
#[case(1, &["up new 0 1"], &[1, 1], "1/1 1 1")]
#[case(2, &["up new 0 1"], &[2, 1], "2/2 1 2")]
#[case(3, &["up new 0 1"], &[3, 1], "3/3 1 3")]
#[case(4, &["up new 0 1", "down old 4 3", "up new 1 2"], &[3, 2], "3/4 2 3")]
#[case(10, &["up new 0 3", "down old 10 8", "up new 3 5"], &[8, 5], "8/10 5 8")]
#[tokio::test(start_paused = true)]
async fn a_broken_rollout_stops_at_the_minimum(
    #[case] replicas: i32,
    #[case] steps: &[&str],
    #[case] sizes: &[i32],
    #[case] shown: &str,
) {
    let bench = Bench::new(2).await;
    bench.create::<Deployment>(web(replicas, "a", true)).await;
    bench.wait(10).await;
    let old = bench.list::<ReplicaSet>().await[0].metadata.name.clone().unwrap();
    bench.patch::<Deployment>("web", json!({"spec": {"template": template("b", false)}})).await;
    bench.wait(60).await;
    assert_eq!(bench.sizes().await, sizes);
    assert_eq!(row(&bench.deployment().await), shown);
    let scaled: Vec<String> = bench.events("Deployment").await[1..]
        .iter()
        .map(|event| {
            let words: Vec<&str> = event.split_whitespace().collect();
            let set = if words[5] == old { "old" } else { "new" };
            format!("{} {set} {} {}", words[2], words[7], words[9])
        })
        .collect();
    assert_eq!(scaled, steps);
}

/// Broken old Pods are replaced one by one, each as soon as a new one is available.
#[tokio::test(start_paused = true)]
async fn repairing_replaces_the_broken_pods() {
    let bench = Bench::new(3).await;
    bench.create::<Deployment>(web(3, "a", false)).await;
    bench.wait(30).await;
    assert_eq!(row(&bench.deployment().await), "0/3 3 0");
    let progressing = condition(&bench.deployment().await, "Progressing");
    assert!(progressing.starts_with("True ReplicaSetUpdated ReplicaSet \"web-"), "{progressing}");
    assert_eq!(
        condition(&bench.deployment().await, "Available"),
        "False MinimumReplicasUnavailable Deployment does not have minimum availability."
    );
    bench.patch::<Deployment>("web", json!({"spec": {"template": template("b", true)}})).await;
    bench.wait(30).await;
    assert_eq!(bench.sizes().await, [0, 3]);
    assert_eq!(row(&bench.deployment().await), "3/3 3 3");
    assert_eq!(bench.pods().await.len(), 3);
    let sets = bench.list::<ReplicaSet>().await;
    let name = |wanted| sets.iter().find(|set| revision(set) == wanted).unwrap().metadata.name.clone().unwrap();
    let (old, new) = (name(1), name(2));
    let expected = [
        format!("up replica set {new} from 0 to 1"),
        format!("down replica set {old} from 3 to 2"),
        format!("up replica set {new} from 1 to 2"),
        format!("down replica set {old} from 2 to 1"),
        format!("up replica set {new} from 2 to 3"),
        format!("down replica set {old} from 1 to 0"),
    ];
    let events = bench.events("Deployment").await;
    assert_eq!(events[1..], expected.map(|step| format!("ScalingReplicaSet: Scaled {step}")));
}

#[tokio::test(start_paused = true)]
async fn rolling_back_revives_the_old_replica_set() {
    let bench = Bench::new(4).await;
    bench.create::<Deployment>(web(2, "a", true)).await;
    bench.wait(10).await;
    bench.patch::<Deployment>("web", json!({"spec": {"template": template("b", true)}})).await;
    bench.wait(30).await;
    assert_eq!(bench.sizes().await, [0, 2]);
    bench.patch::<Deployment>("web", json!({"spec": {"template": template("a", true)}})).await;
    bench.wait(30).await;
    let sets = bench.list::<ReplicaSet>().await;
    assert_eq!(sets.len(), 2);
    let first = sets.iter().find(|set| set.spec.replicas == Some(2)).unwrap();
    let annotations = first.metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["deployment.kubernetes.io/revision"], "3");
    assert_eq!(annotations["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(bench.deployment().await.metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"], "3");
}

#[tokio::test(start_paused = true)]
async fn history_is_limited() {
    let bench = Bench::new(5).await;
    let mut deployment = web(1, "v0", true);
    deployment["spec"]["revisionHistoryLimit"] = json!(2);
    bench.create::<Deployment>(deployment).await;
    for version in 1..=5 {
        bench.wait(20).await;
        let template = template(&format!("v{version}"), true);
        bench.patch::<Deployment>("web", json!({"spec": {"template": template}})).await;
    }
    bench.wait(20).await;
    let mut revisions: Vec<i64> = bench.list::<ReplicaSet>().await.iter().map(|set| revision(set)).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn recreate_waits_until_the_old_pods_are_gone() {
    let bench = Bench::new(6).await;
    let mut deployment = web(3, "a", true);
    deployment["spec"]["strategy"] = json!({"type": "Recreate"});
    bench.create::<Deployment>(deployment).await;
    bench.wait(10).await;
    let mut pods = bench.client.informer::<Pod>(Selection::all()).unwrap();
    pods.catch_up();
    bench.patch::<Deployment>("web", json!({"spec": {"template": template("b", true)}})).await;
    bench.wait(20).await;
    let ended = |pod: &Pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Succeeded");
    let mut alive: i32 = 3;
    let mut seen = Vec::new();
    while let Some(delta) = pods.try_next() {
        match delta {
            crate::Delta::Added(_) => alive += 1,
            crate::Delta::Modified { old, new } if ended(&new) && !ended(&old) => alive -= 1,
            _ => continue,
        }
        seen.push(alive);
    }
    assert_eq!(seen, [2, 1, 0, 1, 2, 3]);
    assert_eq!(row(&bench.deployment().await), "3/3 3 3");
}

#[tokio::test(start_paused = true)]
async fn scaling_makes_and_deletes_pods() {
    let bench = Bench::new(7).await;
    bench.create::<Deployment>(web(2, "a", true)).await;
    bench.wait(10).await;
    bench.patch::<Deployment>("web", json!({"spec": {"replicas": 5}})).await;
    bench.wait(10).await;
    assert_eq!(row(&bench.deployment().await), "5/5 5 5");
    bench.patch::<Deployment>("web", json!({"spec": {"replicas": 1}})).await;
    bench.wait(10).await;
    assert_eq!(row(&bench.deployment().await), "1/1 1 1");
    assert_eq!(bench.pods().await.len(), 1);
    let events = bench.events("Deployment").await;
    assert!(events[1].ends_with("from 2 to 5") && events[2].ends_with("from 5 to 1"), "{events:?}");
    assert_eq!(
        bench.events("ReplicaSet").await.iter().filter(|event| event.starts_with("SuccessfulDelete: Deleted pod: web-")).count(),
        4
    );
}

#[tokio::test(start_paused = true)]
async fn scaling_a_broken_rollout_is_proportional() {
    let bench = Bench::new(8).await;
    let mut deployment = web(10, "a", true);
    deployment["spec"]["strategy"]["rollingUpdate"] = json!({"maxSurge": 3, "maxUnavailable": 2});
    bench.create::<Deployment>(deployment).await;
    bench.wait(10).await;
    bench.patch::<Deployment>("web", json!({"spec": {"template": template("b", false)}})).await;
    bench.wait(20).await;
    assert_eq!(bench.sizes().await, [8, 5]);
    bench.patch::<Deployment>("web", json!({"spec": {"replicas": 15}})).await;
    bench.wait(1).await;
    assert_eq!(bench.sizes().await, [11, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_without_progress_times_out() {
    let bench = Bench::new(9).await;
    let mut deployment = web(1, "a", false);
    deployment["spec"]["progressDeadlineSeconds"] = json!(60);
    bench.create::<Deployment>(deployment).await;
    bench.wait(59).await;
    assert!(condition(&bench.deployment().await, "Progressing").starts_with("True "));
    bench.wait(4).await;
    let name = bench.list::<ReplicaSet>().await[0].metadata.name.clone().unwrap();
    assert_eq!(
        condition(&bench.deployment().await, "Progressing"),
        format!("False ProgressDeadlineExceeded ReplicaSet \"{name}\" has timed out progressing.")
    );
    assert_eq!(bench.sizes().await, [1], "nothing is rolled back");
}

#[tokio::test(start_paused = true)]
async fn pods_must_be_ready_for_long_enough_to_be_available() {
    let bench = Bench::new(10).await;
    let mut deployment = web(1, "a", true);
    deployment["spec"]["minReadySeconds"] = json!(20);
    bench.create::<Deployment>(deployment).await;
    bench.wait(15).await;
    assert_eq!(row(&bench.deployment().await), "1/1 1 0");
    bench.wait(10).await;
    assert_eq!(row(&bench.deployment().await), "1/1 1 1");
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_scales_but_does_not_roll() {
    let bench = Bench::new(11).await;
    bench.create::<Deployment>(web(2, "a", true)).await;
    bench.wait(10).await;
    bench.patch::<Deployment>("web", json!({"spec": {"paused": true}})).await;
    bench.patch::<Deployment>("web", json!({"spec": {"replicas": 3, "template": template("b", true)}})).await;
    bench.wait(10).await;
    assert_eq!(bench.sizes().await, [3]);
    assert_eq!(condition(&bench.deployment().await, "Progressing"), "Unknown DeploymentPaused Deployment is paused");
    bench.patch::<Deployment>("web", json!({"spec": {"paused": null}})).await;
    bench.wait(30).await;
    assert_eq!(bench.sizes().await, [0, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_replaced_at_once_and_a_relabelled_one_released() {
    let bench = Bench::new(12).await;
    bench.create::<Deployment>(web(1, "a", true)).await;
    bench.wait(10).await;
    let first = bench.pods().await[0].metadata.name.clone().unwrap();
    bench.client.delete::<Pod>("default", &first, &crate::DeleteOptions::default()).await.unwrap();
    bench.clock.sleep(Duration::from_millis(100)).await;
    let pods = bench.pods().await;
    assert_eq!(pods.len(), 2, "the replacement does not wait");
    let second = pods.iter().find(|pod| pod.metadata.name.as_ref() != Some(&first)).unwrap().metadata.name.clone().unwrap();
    bench.patch::<Pod>(&second, json!({"metadata": {"labels": {"app": "debug"}}})).await;
    bench.wait(10).await;
    assert_eq!(crate::controllers::ownership::controller_of(&bench.get::<Pod>(&second).await.unwrap().metadata), None);
    assert_eq!(bench.pods().await.len(), 2);
    bench.patch::<Pod>(&second, json!({"metadata": {"labels": {"app": "web"}}})).await;
    bench.wait(10).await;
    assert_eq!(bench.pods().await.len(), 1, "it is adopted, and then there is one too many");
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_history() {
    async fn history(seed: u64) -> String {
        let bench = Bench::new(seed).await;
        bench.create::<Deployment>(web(4, "a", true)).await;
        bench.wait(10).await;
        bench.patch::<Deployment>("web", json!({"spec": {"template": template("b", true)}})).await;
        bench.wait(60).await;
        let (events, pods) = (bench.list::<Event>().await, bench.pods().await);
        let events: Vec<&Event> = events.iter().map(|event| &**event).collect();
        let pods: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
        serde_json::to_string(&(events, pods, bench.deployment().await)).unwrap()
    }
    let first = history(1).await;
    assert_eq!(first, history(1).await);
    assert_ne!(first, history(2).await);
}
