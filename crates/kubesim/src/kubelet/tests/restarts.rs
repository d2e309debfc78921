//! Containers that end by themselves: restart policies, back-offs, init containers, sidecars, memory.

use rstest::rstest;
use serde_json::json;

use super::lab::*;

/// A container that lives for 3 s: `Error` is shown during the short waits, since the reason of a failed start appears
/// with the next sync only (recorded on v1.37.2).
#[test]
fn a_crashing_container_shows_error_while_it_waits() {
    for seed in 0..20 {
        simulate(async {
            let mut lab = Lab::new(seed, "1.37");
            lab.start("p", shell("sleep 3; exit 1")).await;
            lab.until(120.0).await;
            let printed = lab.print("p");
            let cells = lab.cells("p");
            let expected =
                ["1/1 Running 0", "0/1 Error 0", "1/1 Running 1", "0/1 Error 1", "0/1 CrashLoopBackOff 1", "1/1 Running 2"];
            assert_eq!(cells[2..8], expected, "seed {seed}\n{printed}");
            let changes = lab.changes("p");
            let (died, again) = (changes[5].at, changes[7].at);
            assert!((9.0..17.0).contains(&(again - died)), "10 to 15 s and a tick: seed {seed}\n{printed}");
            assert!(changes[7].at - changes[6].at < 0.8, "the back-off flashes: seed {seed}\n{printed}");
            assert!((0.0..1.8).contains(&(changes[4].at - changes[3].at)), "the first restart is at once: {printed}");
            lab.assert_alive();
        });
    }
}

/// Before 1.35 the Pod was synced every 10 to 15 s in a back-off, each time with an event.
#[test]
fn older_kubelets_look_every_ten_seconds() {
    simulate(async {
        let mut lab = Lab::new(4, "1.34");
        lab.start("p", shell("exit 1")).await;
        lab.until(120.0).await;
        let changes = lab.changes("p");
        let waits: Vec<_> = changes.iter().filter(|row| row.cells.contains("CrashLoopBackOff")).collect();
        assert!(waits.len() >= 2, "{}", lab.print("p"));
        assert!(lab.count("BackOff").await >= 6, "{:?}", lab.events().await);
    });
}

/// The waits of a container that exits at once double: 10, 20, 40, 80, 160, 300 s from each death.
#[test]
fn back_offs_double() {
    simulate(async {
        let mut lab = Lab::new(9, "1.37");
        lab.start("p", shell("exit 1")).await;
        lab.until(1_000.0).await;
        let mut starts: Vec<f64> = Vec::new();
        let mut count = 0;
        for row in lab.all("p") {
            let status = row.pod.status.as_ref().unwrap().container_statuses.as_ref().map(|list| list[0].restart_count);
            if status > Some(count) {
                count += 1;
                starts.push(row.at);
            }
        }
        let gaps: Vec<f64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (gap, (least, most)) in
            gaps.iter().zip([(9.0, 18.0), (19.0, 33.0), (39.0, 63.0), (79.0, 94.0), (159.0, 184.0), (299.0, 334.0)])
        {
            assert!((least..most).contains(gap), "{gaps:?}");
        }
        assert!(gaps.len() >= 6, "{gaps:?}");
    });
}

#[rstest]
#[case("Never", 0, "0/1 Completed 0")]
#[case("Never", 3, "0/1 Error 0")]
#[case("OnFailure", 0, "0/1 Completed 0")]
fn a_pod_ends_for_good(#[case] policy: &str, #[case] code: u8, #[case] last: &str) {
    simulate(async {
        let mut lab = Lab::new(2, "1.37");
        let mut spec = shell(&format!("sleep 2; exit {code}"));
        spec["restartPolicy"] = json!(policy);
        lab.start("p", spec).await;
        lab.until(60.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), last, "{}", lab.print("p"));
        let pod = lab.pod("p").await;
        let status = pod.status.as_ref().unwrap();
        assert_eq!(status.phase.as_deref(), Some(if code == 0 { "Succeeded" } else { "Failed" }));
        let ended = status.container_statuses.as_ref().unwrap()[0].state.as_ref().unwrap().terminated.clone().unwrap();
        assert_eq!(ended.exit_code, i32::from(code));
        let ready = status.conditions.as_ref().unwrap().iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(ready.reason.as_deref(), Some(if code == 0 { "PodCompleted" } else { "PodFailed" }));
        // A finished Pod goes at once when it is deleted.
        lab.delete("p", &crate::DeleteOptions::default()).await;
        lab.until(61.0).await;
        assert!(lab.all("p").last().unwrap().deleted);
    });
}

/// The fields of a container's status that a restart changes.
fn restarts_of(pod: &k8s_openapi::api::core::v1::Pod, container: &str) -> i32 {
    let statuses = pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap();
    statuses.iter().find(|status| status.name == container).unwrap().restart_count
}

/// Since 1.35 a container has a policy and rules of its own, which go before those of the Pod.
#[rstest]
#[case("Never", json!({"restartPolicy": "Always"}), "1.37", Some("Running"))]
#[case("Never", json!({"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}), "1.37", Some("Running"))]
#[case("Never", json!({"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}}]}), "1.37", None)]
#[case("Always", json!({"restartPolicy": "Never"}), "1.37", None)]
#[case("Never", json!({"restartPolicy": "Always"}), "1.34", None)]
fn a_container_has_its_own_restart_policy(
    #[case] policy: &str,
    #[case] own: serde_json::Value,
    #[case] version: &str,
    #[case] phase: Option<&str>,
) {
    simulate(async {
        let mut lab = Lab::new(2, version);
        let mut spec = shell("sleep 3; exit 42");
        spec["restartPolicy"] = json!(policy);
        spec["containers"][0].as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        lab.start("p", spec).await;
        lab.until(40.0).await;
        let pod = lab.pod("p").await;
        let status = pod.status.as_ref().unwrap();
        assert_eq!(status.phase.as_deref(), phase.or(Some("Failed")), "{}", lab.print("p"));
        assert_eq!(restarts_of(&pod, "c") > 0, phase.is_some(), "{}", lab.print("p"));
    });
}

#[rstest]
#[case("1.37", true)]
#[case("1.35", false)]
fn a_rule_may_restart_all_containers(#[case] version: &str, #[case] restarts: bool) {
    simulate(async {
        let mut lab = Lab::new(2, version);
        let busybox = |name: &str, command: &[&str]| json!({"name": name, "image": "busybox:1.36.1", "command": command});
        let mut a = busybox("a", &["sh", "-c", "sleep 5; exit 42"]);
        a["restartPolicy"] = json!("Never");
        a["restartPolicyRules"] = json!([{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}]);
        let spec = json!({
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 2,
            "initContainers": [busybox("i", &["true"])],
            "containers": [a, busybox("b", &["sleep", "3600"])],
        });
        lab.start("p", spec).await;
        lab.until(14.0).await;
        let pod = lab.pod("p").await;
        let init = &pod.status.as_ref().unwrap().init_container_statuses.as_ref().unwrap()[0];
        let counts = [restarts_of(&pod, "a"), restarts_of(&pod, "b"), init.restart_count];
        assert_eq!(counts, if restarts { [1; 3] } else { [0; 3] }, "{}", lab.print("p"));
        let mut seen = Vec::new();
        for row in lab.all("p") {
            let conditions = row.pod.status.as_ref().unwrap().conditions.clone().unwrap_or_default();
            let condition = conditions.into_iter().find(|condition| condition.type_ == "AllContainersRestarting");
            seen.extend(condition.map(|condition| condition.status));
        }
        seen.dedup();
        assert_eq!(seen, if restarts { vec!["False", "True", "False"] } else { Vec::new() });
    });
}

#[test]
fn on_failure_restarts_what_failed() {
    simulate(async {
        let mut lab = Lab::new(2, "1.37");
        let mut spec = shell("sleep 2; exit 1");
        spec["restartPolicy"] = json!("OnFailure");
        lab.start("p", spec).await;
        lab.until(30.0).await;
        assert!(lab.cells("p").contains(&"1/1 Running 1".to_owned()), "{}", lab.print("p"));
    });
}

#[test]
fn init_containers_come_first_and_one_after_the_other() {
    simulate(async {
        let mut lab = Lab::new(6, "1.37");
        let mut spec = shell("sleep 100");
        let init = |name: &str| json!({"name": name, "image": "busybox:1.36.1", "command": ["sh", "-c", "sleep 3"]});
        spec["initContainers"] = json!([init("z"), init("a")]);
        lab.start("p", spec).await;
        lab.until(30.0).await;
        let cells = lab.cells("p");
        let expected = ["0/1 Pending 0", "0/1 Init:0/2 0", "0/1 Init:1/2 0", "0/1 PodInitializing 0", "1/1 Running 0"];
        assert_eq!(cells, expected, "{}", lab.print("p"));
        assert!(lab.changes("p")[4].at > 6.5, "{}", lab.print("p"));
    });
}

/// Recorded on both versions.
#[test]
fn a_pod_that_fails_before_it_is_initialised_has_lost_no_containers() {
    simulate(async {
        let mut lab = Lab::new(6, "1.37");
        let mut spec = shell("sleep 100");
        spec["restartPolicy"] = json!("Never");
        spec["initContainers"] = json!([{"name": "i", "image": "busybox:1.36.1", "command": ["sh", "-c", "sleep 2; exit 1"]}]);
        lab.start("p", spec).await;
        lab.until(2.5).await;
        let pod = lab.pod("p").await;
        let init = &pod.status.as_ref().unwrap().init_container_statuses.as_ref().unwrap()[0];
        assert_eq!((init.state.as_ref().unwrap().running.is_some(), init.ready), (true, false), "{}", lab.print("p"));
        lab.until(20.0).await;
        let pod = lab.pod("p").await;
        let status = pod.status.as_ref().unwrap();
        assert_eq!(status.phase.as_deref(), Some("Failed"));
        let state = status.container_statuses.as_ref().unwrap()[0].state.clone().unwrap();
        assert_eq!(state.waiting.and_then(|waiting| waiting.reason).as_deref(), Some("PodInitializing"));
        let problem = lab.log("p", "c", false).await.unwrap_err();
        assert_eq!(problem, "container \"c\" in pod \"p\" is waiting to start: PodInitializing");
    });
}

#[test]
fn a_pod_ends_at_its_deadline() {
    simulate(async {
        let mut lab = Lab::new(6, "1.37");
        let mut spec = one(json!({"image": "blux2/hello-server:1.6"}));
        spec["activeDeadlineSeconds"] = json!(10);
        lab.start("p", spec).await;
        lab.until(30.0).await;
        let pod = lab.pod("p").await;
        let status = pod.status.as_ref().unwrap();
        assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("DeadlineExceeded")));
        assert_eq!(status.message.as_deref(), Some("Pod was active on the node longer than the specified deadline"));
        let ended = lab.all("p").into_iter().find(|row| row.pod.status.as_ref().unwrap().reason.is_some()).unwrap().at;
        assert!((9.0..13.5).contains(&ended), "{ended}");
        assert_eq!(lab.count("DeadlineExceeded").await, 4, "one for each look: {:?}", lab.events().await);
    });
}

#[test]
fn a_failing_init_container_backs_off_and_a_sidecar_runs_beside_the_rest() {
    simulate(async {
        let mut lab = Lab::new(6, "1.37");
        let mut spec = shell("sleep 100");
        spec["initContainers"] = json!([{"name": "i", "image": "busybox:1.36.1", "command": ["false"]}]);
        lab.start("p", spec).await;
        lab.until(60.0).await;
        let cells = lab.cells("p");
        assert!(
            cells.contains(&"0/1 Init:Error 0".to_owned()) && cells.contains(&"0/1 Init:CrashLoopBackOff 0".to_owned()),
            "{}",
            lab.print("p")
        );
        let mut spec = shell("sleep 5");
        spec["restartPolicy"] = json!("Never");
        spec["initContainers"] =
            json!([{"name": "s", "image": "busybox:1.36.1", "command": ["sleep", "1000"], "restartPolicy": "Always"}]);
        lab.start("q", spec).await;
        lab.until(4.0).await;
        let pod = lab.pod("q").await;
        let sidecar = &pod.status.as_ref().unwrap().init_container_statuses.as_ref().unwrap()[0];
        assert!(sidecar.state.as_ref().unwrap().running.is_some(), "{}", lab.print("q"));
        assert_eq!(pod.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
        lab.until(60.0).await;
        assert_eq!(lab.pod("q").await.status.as_ref().unwrap().phase.as_deref(), Some("Succeeded"), "{}", lab.print("q"));
    });
}

#[test]
fn a_container_over_its_memory_limit_is_killed() {
    simulate(async {
        let mut lab = Lab::new(6, "1.37");
        lab.start("p", one(json!({"image": "blux2/hello-server:1.7", "resources": {"limits": {"memory": "256Mi"}}}))).await;
        lab.until(5.0).await;
        let pod = lab.pod("p").await;
        let request = http::Request::get("/").body(bytes::Bytes::new()).unwrap();
        assert_eq!(lab.node().http(&pod, 8080, request).await.unwrap_err(), crate::node_api::DialError::Closed);
        lab.until(7.0).await;
        assert!(lab.cells("p").contains(&"0/1 OOMKilled 0".to_owned()), "{}", lab.print("p"));
        let pod = lab.pod("p").await;
        let container = &pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0];
        let ended = container.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref(), container.restart_count), (137, Some("OOMKilled"), 1));
    });
}

#[rstest]
#[case("nonsense", "executable file not found in $PATH")]
#[case("./run", "stat ./run: no such file or directory")]
fn a_command_that_is_not_there_is_a_start_error(#[case] command: &str, #[case] problem: &str) {
    simulate(async {
        let mut lab = Lab::new(6, "1.37");
        lab.start("p", one(json!({"image": "busybox:1.36.1", "command": [command]}))).await;
        lab.until(60.0).await;
        let cells = lab.cells("p");
        assert!(cells.iter().any(|cells| cells.starts_with("0/1 RunContainerError")), "{}", lab.print("p"));
        let pod = lab.pod("p").await;
        let container = &pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0];
        let ended = container.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref()), (128, Some("StartError")));
        let message = format!(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to \
             start container process: exec: \"{command}\": {problem}"
        );
        assert_eq!(ended.message, Some(message));
    });
}

#[rstest]
#[case("File", "echo bad > /dev/termination-log; exit 3", Some("bad\n"))]
#[case("File", "echo good > /dev/termination-log", Some("good\n"))]
#[case("File", "echo said; exit 3", None)]
#[case("FallbackToLogsOnError", "echo said; exit 3", Some("said\n"))]
fn a_container_has_a_last_word(#[case] policy: &str, #[case] script: &str, #[case] message: Option<&str>) {
    simulate(async {
        let mut lab = Lab::new(6, "1.37");
        let mut spec = shell(script);
        spec["restartPolicy"] = json!("Never");
        spec["containers"][0]["terminationMessagePolicy"] = json!(policy);
        lab.start("p", spec).await;
        lab.until(10.0).await;
        let pod = lab.pod("p").await;
        let state = pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].state.clone().unwrap();
        assert_eq!(state.terminated.unwrap().message.as_deref(), message);
    });
}

/// One hash of everything a run left behind.
#[test]
fn one_seed_is_one_history() {
    let history = |seed| {
        simulate(async {
            let mut lab = Lab::new(seed, "1.37");
            lab.start("p", liveness()).await;
            lab.start("q", shell("sleep 2; exit 1")).await;
            lab.until(300.0).await;
            let rows: Vec<String> =
                lab.rows.lock().unwrap().iter().map(|row| format!("{row} {}", serde_json::to_string(&*row.pod).unwrap())).collect();
            (rows, lab.events().await)
        })
    };
    let first = history(1);
    assert_eq!(first, history(1));
    assert_ne!(first, history(2));
}

/// A round of the garbage collection that comes while a container is made removes the death before it. The back-off does not
/// count what it does not find, and waits one restart later (seen on v1.37.2, on a busy machine).
#[test]
fn garbage_collection_may_take_a_death_from_the_back_off() {
    let mut spec = liveness();
    spec["containers"][0]["livenessProbe"] =
        json!({"tcpSocket": {"port": 1}, "initialDelaySeconds": 1, "periodSeconds": 5, "failureThreshold": 1});
    let collected = |seed| {
        simulate(async {
            let mut lab = Lab::new(seed, "1.37");
            lab.start("p", spec.clone()).await;
            lab.until(19.0).await;
            let before = lab.cells("p");
            if !before.contains(&"1/1 Running 3".to_owned()) {
                assert_eq!(before.last().unwrap(), "0/1 CrashLoopBackOff 2", "{}", lab.print("p"));
                return false;
            }
            assert_eq!(lab.count("BackOff").await, 0, "{}", lab.print("p"));
            lab.until(25.0).await;
            assert_eq!(lab.cells("p").last().unwrap(), "0/1 CrashLoopBackOff 3", "{}", lab.print("p"));
            lab.assert_alive();
            true
        })
    };
    assert!((0..5_000).any(collected));
}
