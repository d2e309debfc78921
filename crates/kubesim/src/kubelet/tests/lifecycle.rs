//! Images, configuration, hooks, and the end of Pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use rstest::rstest;
use serde_json::json;

use super::lab::*;
use crate::{DeleteOptions, Patch};

#[test]
fn an_unknown_image_cannot_be_pulled() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", one(json!({"image": "blux2/hello-server:1.1"}))).await;
        lab.until(100.0).await;
        let cells = lab.cells("p");
        let expected =
            ["0/1 Pending 0", "0/1 ContainerCreating 0", "0/1 ErrImagePull 0", "0/1 ImagePullBackOff 0", "0/1 ErrImagePull 0"];
        assert_eq!(cells[..5], expected, "{}", lab.print("p"));
        let events = lab.events().await;
        let has = |text: &str| events.iter().any(|event| event.contains(text));
        assert!(has("Normal Pulling") && has("Pulling image \"blux2/hello-server:1.1\""), "{events:?}");
        assert!(has("docker.io/blux2/hello-server:1.1: not found"), "{events:?}");
        assert!(has("Error: ErrImagePull") && has("Error: ImagePullBackOff"), "{events:?}");
        assert!(
            events
                .iter()
                .any(|e| e.starts_with("Normal BackOff") && e.ends_with("Back-off pulling image \"blux2/hello-server:1.1\""))
        );
        assert!(lab.count("Pulling").await >= 3, "10, 20, 40 s between: {events:?}");
        assert_eq!(
            lab.log("p", "c", false).await.unwrap_err().rsplit_once(": ").unwrap().0,
            "container \"c\" in pod \"p\" is waiting to start"
        );
        lab.delete("p", &DeleteOptions::default()).await;
        lab.until(110.0).await;
        assert!(lab.all("p").last().unwrap().deleted, "{}", lab.print("p"));
    });
}

#[rstest]
#[case("NOT AN IMAGE", "IfNotPresent", "0/1 InvalidImageName 0")]
#[case("nobody/nothing:1", "Never", "0/1 ErrImageNeverPull 0")]
fn other_image_errors(#[case] image: &str, #[case] policy: &str, #[case] cells: &str) {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", one(json!({"image": image, "imagePullPolicy": policy}))).await;
        lab.until(30.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), cells, "{}", lab.print("p"));
    });
}

#[expect(clippy::needless_pass_by_value, reason = "a literal is given")]
fn config(data: serde_json::Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": "settings", "namespace": "default"}, "data": data})).unwrap()
}

#[test]
fn a_missing_key_is_a_config_error_until_it_is_there() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let source = json!({"configMapKeyRef": {"name": "settings", "key": "port"}});
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6", "env": [{"name": "PORT", "valueFrom": source}]}))).await;
        lab.until(20.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "0/1 CreateContainerConfigError 0", "{}", lab.print("p"));
        assert!(lab.events().await.iter().any(|event| event.ends_with("Error: configmap \"settings\" not found")));
        lab.client.create(&config(json!({"other": "1"}))).await.unwrap();
        lab.until(40.0).await;
        let events = lab.events().await;
        assert!(events.iter().any(|e| e.ends_with("Error: couldn't find key port in ConfigMap default/settings")), "{events:?}");
        lab.client.patch::<ConfigMap>("default", "settings", &Patch::Merge(json!({"data": {"port": "9000"}}))).await.unwrap();
        lab.until(60.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 0");
        assert_eq!(lab.log("p", "c", false).await.unwrap(), ["Starting server on port 9000"]);
    });
}

#[test]
fn a_missing_volume_keeps_the_container_from_being_made() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let mut spec = one(json!({"image": "blux2/hello-server:1.6"}));
        spec["volumes"] = json!([{"name": "v", "configMap": {"name": "settings"}}]);
        lab.start("p", spec).await;
        lab.until(20.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "0/1 ContainerCreating 0");
        let events = lab.events().await;
        assert!(events[0].starts_with("Warning FailedMount x"), "{events:?}");
        assert!(events[0].ends_with("MountVolume.SetUp failed for volume \"v\" : configmap \"settings\" not found"), "{events:?}");
        lab.client.create(&config(json!({}))).await.unwrap();
        lab.until(60.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 0");
    });
}

/// Rows at the end of a Pod: Terminating twice (the second with `observedGeneration`), its end three times.
#[rstest]
fn deletion_has_its_rows(#[values(1, 2, 3)] seed: u64, #[values("1.34", "1.37")] version: &str) {
    simulate(async {
        let mut lab = Lab::new(seed, version);
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6"}))).await;
        lab.until(20.0).await;
        lab.delete("p", &DeleteOptions::default()).await;
        lab.until(30.0).await;
        let rows: Vec<_> = lab.all("p").into_iter().filter(|row| row.at >= 20.0).collect();
        let cells: Vec<_> = rows.iter().map(|row| row.cells.as_str()).collect();
        assert_eq!(cells, ["1/1 Terminating 0", "1/1 Terminating 0", "0/1 Error 0", "0/1 Error 0", "0/1 Error 0"]);
        let observed: Vec<_> = rows.iter().filter_map(|row| row.pod.status.as_ref().unwrap().observed_generation).collect();
        assert_eq!(observed[0] + 1, observed[1]);
        assert!(rows.last().unwrap().deleted);
        let took = rows[4].at - rows[0].at;
        assert!((0.2..2.5).contains(&took), "{took}");
        assert!(lab.events().await.contains(&"Normal Killing x1 Stopping container c".to_owned()));
        assert_eq!(rows[4].pod.status.as_ref().unwrap().phase.as_deref(), Some("Failed"));
    });
}

#[test]
fn grace_is_at_least_two_seconds_and_pid_1_ignores_sigterm() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", shell("sleep 1000")).await;
        lab.until(10.0).await;
        lab.delete("p", &DeleteOptions { grace_period_seconds: Some(1), ..DeleteOptions::default() }).await;
        lab.until(20.0).await;
        let ended = lab.when("p", "0/1 Error 0");
        assert!((12.0..12.8).contains(&ended), "{}", lab.print("p"));
        let pod = lab.all("p").last().unwrap().pod.clone();
        let state = pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].state.clone().unwrap();
        assert_eq!(state.terminated.unwrap().exit_code, 137);
    });
}

#[test]
fn a_shorter_grace_cuts_the_wait_and_force_removes_the_object_at_once() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", shell("sleep 1000")).await;
        lab.until(10.0).await;
        lab.delete("p", &DeleteOptions::default()).await;
        lab.until(15.0).await;
        lab.delete("p", &DeleteOptions { grace_period_seconds: Some(3), ..DeleteOptions::default() }).await;
        lab.until(22.0).await;
        assert!((18.0..19.0).contains(&lab.when("p", "0/1 Error 0")), "{}", lab.print("p"));
        lab.start("q", shell("sleep 1000")).await;
        lab.until(10.0).await;
        lab.delete("q", &DeleteOptions::now()).await;
        assert!(lab.all("q").last().unwrap().deleted && lab.all("q").last().unwrap().at < 10.1);
        lab.until(20.0).await;
        lab.assert_alive();
    });
}

#[test]
fn a_pre_stop_sleep_delays_the_end() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let hook = json!({"preStop": {"sleep": {"seconds": 8}}});
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6", "lifecycle": hook}))).await;
        lab.until(10.0).await;
        lab.delete("p", &DeleteOptions::default()).await;
        lab.until(30.0).await;
        let ended = lab.when("p", "0/1 Error 0");
        assert!((18.0..18.8).contains(&ended), "{}", lab.print("p"));
    });
}

#[test]
fn a_port_can_be_listened_on_once_in_a_pod() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let container = |name: &str| json!({"name": name, "image": "blux2/hello-server:1.6"});
        lab.start("p", json!({"containers": [container("a"), container("b")], "restartPolicy": "Never"})).await;
        lab.until(10.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/2 Error 0", "{}", lab.print("p"));
        let log = lab.log("p", "b", false).await.unwrap();
        assert_eq!(log.last().unwrap(), "listen tcp :8080: bind: address already in use");
    });
}

#[test]
fn a_new_image_replaces_the_container() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6"}))).await;
        lab.until(20.0).await;
        let image = Patch::Strategic(json!({"spec": {"containers": [{"name": "c", "image": "blux2/delayfailserver:1.1"}]}}));
        lab.client.patch::<Pod>("default", "p", &image).await.unwrap();
        lab.until(24.0).await;
        let events = lab.events().await;
        assert!(events.iter().any(|e| e.ends_with("Container c definition changed, will be restarted")), "{events:?}");
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 1", "{}", lab.print("p"));
    });
}

#[test]
fn commands_run_in_containers() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", shell("sleep 1000")).await;
        lab.until(5.0).await;
        let pod = lab.pod("p").await;
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let began = lab.clock.elapsed();
        let output = lab.node().exec(&pod, "c", command(&["sh", "-c", "echo hello; sleep 2; exit 3"])).await.unwrap();
        assert_eq!((output.stdout.as_str(), output.exit_code), ("hello\n", 3));
        assert!(lab.clock.elapsed().saturating_sub(began) >= Duration::from_secs(2));
        assert!(lab.node().exec(&pod, "c", command(&["cat"])).await.unwrap_err().contains("executable file not found"));
        assert!(lab.node().exec(&pod, "x", command(&["sh"])).await.is_err());
    });
}
