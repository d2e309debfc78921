//! Images, configuration, hooks, and the end of Pods.

use std::time::Duration;

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, Pod, Service},
};
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

/// Recorded on both versions.
#[test]
fn a_registry_that_does_not_exist_is_not_found() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", one(json!({"image": "registry.invalid/nobody/nothing:1.0"}))).await;
        lab.until(8.0).await;
        let pod = lab.pod("p").await;
        assert!(pod.status.as_ref().unwrap().pod_ip.is_some(), "{}", lab.print("p"));
        let expected = "Warning Failed x1 Failed to pull image \"registry.invalid/nobody/nothing:1.0\": failed to pull and unpack image \
                        \"registry.invalid/nobody/nothing:1.0\": failed to resolve reference \
                        \"registry.invalid/nobody/nothing:1.0\": failed to do request: Head \
                        \"https://registry.invalid/v2/nobody/nothing/manifests/1.0\": dial tcp: lookup registry.invalid on \
                        172.18.0.1:53: no such host";
        assert!(lab.events().await.contains(&expected.to_owned()), "{:?}", lab.events().await);
    });
}

#[rstest]
#[case("NOT AN IMAGE", "IfNotPresent", "0/1 InvalidImageName 0")]
#[case("blux2/Hello", "IfNotPresent", "0/1 InvalidImageName 0")]
#[case("nobody/nothing:1", "Never", "0/1 ErrImageNeverPull 0")]
fn other_image_errors(#[case] image: &str, #[case] policy: &str, #[case] cells: &str) {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", one(json!({"image": image, "imagePullPolicy": policy}))).await;
        lab.until(30.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), cells, "{}", lab.print("p"));
    });
}

#[test]
fn a_status_that_somebody_else_has_changed_is_repaired() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6"}))).await;
        lab.until(5.0).await;
        let lie = Patch::Strategic(json!({"status": {"phase": "Failed", "conditions": [{"type": "Ready", "status": "False"}]}}));
        lab.client.patch_status::<Pod>("default", "p", &lie).await.unwrap();
        lab.until(20.0).await;
        let pod = lab.pod("p").await;
        let status = pod.status.as_ref().unwrap();
        let ready = status.conditions.as_ref().unwrap().iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!((status.phase.as_deref(), ready.status.as_str()), (Some("Running"), "True"));
    });
}

#[test]
fn a_readiness_gate_counts_at_once() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let mut spec = one(json!({"image": "blux2/hello-server:1.6"}));
        spec["readinessGates"] = json!([{"conditionType": "example.com/g"}]);
        lab.start("p", spec).await;
        lab.until(5.0).await;
        let ready = async |lab: &Lab| {
            let pod = lab.pod("p").await;
            let conditions = pod.status.as_ref().unwrap().conditions.clone().unwrap();
            let first = conditions[0].type_.clone();
            let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
            (ready.status, ready.message.unwrap_or_default(), first)
        };
        let (status, message, _) = ready(&lab).await;
        assert_eq!(status, "False");
        assert_eq!(message, "corresponding condition of pod readiness gate \"example.com/g\" does not exist.");
        let gate =
            |status: &str| Patch::Strategic(json!({"status": {"conditions": [{"type": "example.com/g", "status": status}]}}));
        lab.client.patch_status::<Pod>("default", "p", &gate("False")).await.unwrap();
        lab.until(6.5).await;
        let (_, message, _) = ready(&lab).await;
        assert_eq!(message, "the status of pod readiness gate \"example.com/g\" is not \"True\", but False");
        lab.client.patch_status::<Pod>("default", "p", &gate("True")).await.unwrap();
        lab.until(8.0).await;
        let (status, _, first) = ready(&lab).await;
        assert_eq!((status.as_str(), first.as_str()), ("True", "example.com/g"));
    });
}

#[test]
fn an_http_hook_looks_at_no_status() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let hook = |path: &str, port: u16| json!({"postStart": {"httpGet": {"path": path, "port": port}}});
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6", "lifecycle": hook("/nowhere", 8080)}))).await;
        lab.until(10.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 0");
        lab.start("q", one(json!({"image": "blux2/hello-server:1.6", "lifecycle": hook("/", 9)}))).await;
        lab.until(6.0).await;
        let (begin, end) = ("HTTP lifecycle hook (/) for Container \"c\" in Pod \"q_default(", ":9: connect: connection refused");
        let messages = waiting_messages(&lab, "q");
        assert!(messages.iter().any(|message| message.starts_with(begin) && message.ends_with(end)), "{messages:?}");
    });
}

/// The messages of the first container's waiting states.
fn waiting_messages(lab: &Lab, pod: &str) -> Vec<String> {
    let message = |row: &Row| {
        let state = row.pod.status.as_ref()?.container_statuses.as_ref()?[0].state.clone()?;
        state.waiting?.message
    };
    lab.all(pod).iter().filter_map(message).collect()
}

#[test]
fn a_failed_command_hook_is_told_in_the_kubelets_words() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let hook = json!({"postStart": {"exec": {"command": ["false"]}}});
        lab.start("p", one(json!({"image": "busybox:1.36.1", "command": ["sleep", "9"], "lifecycle": hook}))).await;
        // PID 1 ignores SIGTERM.
        lab.until(45.0).await;
        let messages = waiting_messages(&lab, "p");
        let (begin, end) = (
            "Exec lifecycle hook ([false]) for Container \"c\" in Pod \"p_default(",
            ")\" failed - error: command 'false' exited with 1: , message: \"\"",
        );
        assert!(messages.iter().any(|message| message.starts_with(begin) && message.ends_with(end)), "{messages:?}");
    });
}

#[test]
fn the_environment_has_services_and_resources() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let service = json!({
            "metadata": {"name": "my-db", "namespace": "default"}, "spec": {"ports": [{"name": "sql", "port": 5432}], "clusterIP": "10.96.0.7"},
        });
        lab.client.create::<Service>(&serde_json::from_value(service).unwrap()).await.unwrap();
        let field = |resource: &str, divisor: &str| json!({"resourceFieldRef": {"resource": resource, "divisor": divisor}});
        let mut spec = shell("echo $MY_DB_SERVICE_HOST $MY_DB_SERVICE_PORT_SQL $MY_DB_PORT; echo $CPU $MEMORY $LIMIT; sleep 99");
        spec["containers"][0]["resources"] = json!({"requests": {"cpu": "1500m"}, "limits": {"memory": "64Mi"}});
        spec["containers"][0]["env"] = json!([
            {"name": "CPU", "valueFrom": field("requests.cpu", "1")},
            {"name": "MEMORY", "valueFrom": field("limits.memory", "1Mi")},
            {"name": "LIMIT", "valueFrom": field("limits.cpu", "1")},
        ]);
        spec["hostNetwork"] = json!(true);
        lab.start("p", spec).await;
        lab.until(5.0).await;
        assert_eq!(lab.log("p", "c", false).await.unwrap(), ["10.96.0.7 5432 tcp://10.96.0.7:5432", "2 64 8"]);
        let status = lab.pod("p").await.status.clone().unwrap();
        assert_eq!(status.pod_ip, status.host_ip);
    });
}

#[test]
fn a_node_that_is_deleted_stays_away_and_a_lease_belongs_to_its_node() {
    simulate(async {
        let lab = Lab::new(1, "1.37");
        lab.until(5.0).await;
        let lease = async || lab.client.get::<Lease>("kube-node-lease", NODE).await;
        let owner = |lease: &Lease| lease.metadata.owner_references.as_ref().unwrap()[0].kind.clone();
        assert_eq!(owner(&lease().await.unwrap()), "Node");
        lab.client.delete::<Lease>("kube-node-lease", NODE, &DeleteOptions::default()).await.unwrap();
        lab.until(20.0).await;
        assert_eq!(owner(&lease().await.unwrap()), "Node");
        lab.client.delete::<Node>("", NODE, &DeleteOptions::default()).await.unwrap();
        lab.client.delete::<Lease>("kube-node-lease", NODE, &DeleteOptions::default()).await.unwrap();
        lab.until(400.0).await;
        assert!(lab.client.get::<Node>("", NODE).await.is_err());
        assert!(lease().await.is_err());
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

/// The deletion asks for one more probe, which the server still answers.
#[rstest]
fn an_unready_container_is_probed_before_it_is_stopped(#[values(1, 2, 3)] seed: u64) {
    simulate(async {
        let mut lab = Lab::new(seed, "1.37");
        let probe = json!({"httpGet": {"path": "/nope", "port": 8080}, "periodSeconds": 60});
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6", "readinessProbe": probe}))).await;
        lab.until(10.0).await;
        let before = lab.count("Unhealthy").await;
        lab.delete("p", &DeleteOptions::default()).await;
        lab.until(20.0).await;
        let events = lab.events().await;
        assert_eq!(lab.count("Unhealthy").await, before + 1, "{events:?}");
        assert!(!events.iter().any(|event| event.contains("refused")), "{events:?}");
    });
}

/// The hook is not waited for any longer, but goes on, and fails when the container is killed.
#[test]
fn a_pre_stop_command_that_outlasts_the_grace_fails() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let mut spec = shell("sleep 1000");
        spec["containers"][0]["lifecycle"] = json!({"preStop": {"exec": {"command": ["sleep", "30"]}}});
        spec["terminationGracePeriodSeconds"] = json!(4);
        lab.start("p", spec).await;
        lab.until(10.0).await;
        lab.delete("p", &DeleteOptions::default()).await;
        lab.until(30.0).await;
        let ended = lab.when("p", "0/1 Error 0");
        assert!((16.0..17.5).contains(&ended), "{}", lab.print("p"));
        assert_eq!(lab.count("FailedPreStopHook").await, 1, "{:?}", lab.events().await);
    });
}

#[rstest]
#[case(json!({"runAsNonRoot": true}), json!({}), "container has runAsNonRoot and image will run as root")]
#[case(json!({"runAsNonRoot": true}), json!({"runAsUser": 0}), "container's runAsUser breaks non-root policy")]
#[case(json!({"runAsNonRoot": true, "runAsUser": 1000}), json!({}), "")]
#[case(json!({"runAsNonRoot": true}), json!({"runAsNonRoot": false}), "")]
fn root_may_be_forbidden(#[case] pod: serde_json::Value, #[case] container: serde_json::Value, #[case] problem: &str) {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let mut spec = one(json!({"image": "blux2/hello-server:1.6", "securityContext": container}));
        spec["securityContext"] = pod;
        lab.start("p", spec).await;
        lab.until(8.0).await;
        if problem.is_empty() {
            assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 0", "{}", lab.print("p"));
            return;
        }
        assert_eq!(lab.cells("p").last().unwrap(), "0/1 CreateContainerConfigError 0", "{}", lab.print("p"));
        let message = &waiting_messages(&lab, "p")[0];
        assert!(message.starts_with(&format!("{problem} (pod: \"p_default(")) && message.ends_with(", container: c)"), "{message}");
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
        let problem = lab.node().exec(&pod, "c", command(&["wget"])).await.unwrap_err();
        let (start, rest) = problem.split_once("\": OCI runtime exec failed").unwrap();
        assert!(start.rsplit_once("failed to start exec \"").unwrap().1.len() == 64, "{problem}");
        assert!(rest.ends_with("exec: \"wget\": executable file not found in $PATH"), "{problem}");
        assert!(lab.node().exec(&pod, "x", command(&["sh"])).await.is_err());
    });
}
