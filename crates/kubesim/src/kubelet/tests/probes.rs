//! Probes of all kinds, and their timing.

use rstest::rstest;
use serde_json::{Value, json};

use super::lab::*;

#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn slow(delay: u32, startup: Value, more: Value) -> Value {
    let mut container = json!({
        "image": "labproof/slow-starter:1.0",
        "env": [{"name": "START_DELAY", "value": delay.to_string()}],
        "startupProbe": startup,
    });
    if let (Value::Object(container), Value::Object(more)) = (&mut container, more) {
        container.extend(more);
    }
    one(container)
}

#[test]
fn a_slow_starter_is_not_killed_while_it_starts() {
    for seed in 0..10 {
        simulate(async {
            let mut lab = Lab::new(seed, "1.37");
            let get = json!({"path": "/healthz", "port": 8080});
            let startup = json!({"httpGet": get, "periodSeconds": 5, "failureThreshold": 10});
            let liveness = json!({"livenessProbe": {"httpGet": get, "periodSeconds": 5, "failureThreshold": 1}});
            lab.start("p", slow(22, startup, liveness)).await;
            lab.until(90.0).await;
            let cells = ["0/1 Pending 0", "0/1 ContainerCreating 0", "0/1 Running 0", "1/1 Running 0"];
            assert_eq!(lab.cells("p"), cells, "{}", lab.print("p"));
            let ready = lab.when("p", cells[3]);
            assert!((22.0..29.5).contains(&ready), "{}", lab.print("p"));
        });
    }
}

#[test]
fn a_starter_that_is_too_slow_is_killed_by_its_startup_probe() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let startup = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2, "failureThreshold": 3});
        lab.start("p", slow(60, startup, json!({}))).await;
        lab.until(60.0).await;
        let events = lab.events().await;
        assert!(events.iter().any(|e| e.ends_with("Container c failed startup probe, will be restarted")), "{events:?}");
        assert!(lab.cells("p").contains(&"0/1 Running 1".to_owned()), "{}", lab.print("p"));
        assert!(lab.cells("p").iter().any(|cells| cells.contains("CrashLoopBackOff")), "{}", lab.print("p"));
    });
}

/// With `restartPolicy` Never a liveness failure ends the Pod.
#[test]
fn a_liveness_failure_ends_a_pod_that_never_restarts() {
    simulate(async {
        let mut lab = Lab::new(1, "1.37");
        let mut spec = liveness();
        spec["restartPolicy"] = json!("Never");
        lab.start("p", spec).await;
        lab.until(40.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "0/1 Error 0", "{}", lab.print("p"));
        let events = lab.events().await;
        assert!(events.contains(&"Normal Killing x1 Stopping container c".to_owned()), "{events:?}");
    });
}

/// A delay of 5 s lets the first probe come up to a second early, since the start is floored to whole seconds.
#[test]
fn the_initial_delay_counts_from_the_floored_start() {
    let mut early = 0;
    for seed in 0..60 {
        simulate(async {
            let mut lab = Lab::new(seed, "1.37");
            let get = json!({"path": "/health", "port": 8080});
            lab.start("p", one(json!({"image": "blux2/hello-server:1.6", "readinessProbe": {"httpGet": get, "initialDelaySeconds": 5, "periodSeconds": 1}}))).await;
            lab.until(20.0).await;
            let (running, ready) = (lab.when("p", "0/1 Running 0"), lab.when("p", "1/1 Running 0"));
            // The container has started up to half a second before its row.
            assert!((3.5..6.3).contains(&(ready - running)), "{}", lab.print("p"));
            early += usize::from(ready - running < 4.8);
        });
    }
    assert!(early > 5, "{early}");
}

/// The sync that sees the container pokes the readiness probe before it hands on the status in which the probe's worker
/// looks for the container (`prober_manager.go:UpdatePodStatus`, `kubelet.go:SyncPod`). When the worker is faster, and no further
/// sync follows, it finds the container at its next tick only: so did two of ten Pods recorded on v1.37.2. Its first verdict
/// has the Pod synced, which pokes it again: two probes come at once then, or three, if that sync is not one that was due
/// anyway.
#[test]
fn without_a_delay_the_first_probes_come_at_once_or_at_the_first_tick() {
    const SEEDS: u64 = 60;
    let mut late = 0;
    for seed in 0..SEEDS {
        simulate(async {
            let mut lab = Lab::new(seed, "1.37");
            lab.start("p", one(json!({"image": "labproof/slow-starter:1.0", "readinessProbe": {"tcpSocket": {"port": 8080}}})))
                .await;
            lab.until(4.0).await;
            let first = lab.count("Unhealthy").await;
            lab.until(lab.when("p", "0/1 Running 0") + 9.5).await;
            assert_eq!(lab.count("Unhealthy").await, first, "seed {seed}: there is no further tick");
            lab.until(14.0).await;
            let more = lab.count("Unhealthy").await - first;
            assert!(matches!((first, more), (1..=3, 0 | 1) | (0, 2)), "seed {seed}: {first} {more} {:?}", lab.events().await);
            late += u64::from(first == 0);
            let refused = |event: &String| {
                event.contains("Readiness probe failed: dial tcp 10.244.0.")
                    && event.ends_with(":8080: connect: connection refused")
            };
            assert!(lab.events().await.iter().any(refused), "{:?}", lab.events().await);
            lab.until(60.0).await;
            let ready = lab.when("p", "1/1 Running 0");
            assert!((20.0..32.5).contains(&ready), "{}", lab.print("p"));
        });
    }
    assert!((SEEDS / 20..SEEDS / 3).contains(&late), "{late} of {SEEDS}");
}

#[rstest]
#[case(json!({"exec": {"command": ["true"]}}), true, "")]
#[case(json!({"exec": {"command": ["sh", "-c", "echo no; exit 1"]}}), false, "Readiness probe failed: no\n")]
#[case(json!({"exec": {"command": ["sleep", "5"]}}), false, "Readiness probe failed: command timed out: \"sleep 5\" timed out after 1s")]
#[case(json!({"exec": {"command": ["cat", "/x"]}}), false, "Readiness probe failed: cat: can't open '/x': No such file or directory")]
#[case(json!({"exec": {"command": ["nonsense"]}}), false, "Readiness probe errored and resulted in unknown state: rpc error")]
#[case(json!({"tcpSocket": {"port": 80}}), false, "connect: connection refused")]
#[case(json!({"httpGet": {"path": "/", "port": "web"}}), false, "Readiness probe errored and resulted in unknown state: port \"web\" not found")]
#[case(json!({"grpc": {"port": 80}}), false, "within 1s: context deadline exceeded")]
fn each_kind_of_probe(#[case] probe: Value, #[case] ready: bool, #[case] message: &str) {
    simulate(async {
        let mut lab = Lab::new(2, "1.37");
        lab.start("p", one(json!({"image": "busybox:1.36.1", "command": ["sleep", "1000"], "readinessProbe": probe}))).await;
        lab.until(30.0).await;
        let last = if ready { "1/1 Running 0" } else { "0/1 Running 0" };
        assert_eq!(lab.cells("p").last().unwrap(), last, "{}", lab.print("p"));
        let events = lab.events().await;
        assert!(message.is_empty() || events.iter().any(|event| event.contains(message)), "{events:?}");
    });
}

/// The example of the Kubernetes documentation.
#[test]
fn a_command_probe_sees_the_files_of_its_container() {
    simulate(async {
        let mut lab = Lab::new(2, "1.37");
        let liveness = json!({"exec": {"command": ["cat", "/tmp/healthy"]}, "initialDelaySeconds": 5, "periodSeconds": 5});
        lab.start(
            "p",
            one(json!({
                "image": "busybox:1.36.1",
                "args": ["/bin/sh", "-c", "touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600"],
                "livenessProbe": liveness,
            })),
        )
        .await;
        lab.until(30.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 0");
        assert_eq!(lab.count("Unhealthy").await, 0);
        lab.until(85.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 1", "{}", lab.print("p"));
        let message = "Liveness probe failed: cat: can't open '/tmp/healthy': No such file or directory\n";
        assert!(lab.events().await.iter().any(|event| event.ends_with(message)), "{:?}", lab.events().await);
    });
}

#[rstest]
#[case("{delay: 2s, body: late}", "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")]
#[case("{hang: true}", "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")]
#[case("{status: 404}", "HTTP probe failed with statuscode: 404")]
#[case("{status: 302, body: there}", "Readiness probe warning: Probe terminated redirects, Response body: there")]
fn http_answers(#[case] answer: &str, #[case] message: &str) {
    let workload = format!("image: example/odd:1\nlisten: {{port: 80}}\nhttp:\n  /: [{answer}]\n");
    simulate(async {
        let mut lab = Lab::with_workloads(2, "1.37", &[&workload]);
        let get = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 3});
        lab.start("p", one(json!({"image": "example/odd:1", "readinessProbe": get}))).await;
        lab.until(20.0).await;
        let events = lab.events().await;
        assert!(events.iter().any(|event| event.contains(message)), "{events:?}");
        let ready = lab.cells("p").contains(&"1/1 Running 0".to_owned());
        assert_eq!(ready, answer.contains("302"), "{}", lab.print("p"));
    });
}

#[test]
fn a_grpc_probe_asks_the_health_service() {
    let workload =
        "image: example/grpc:1\nlisten: {port: 50051}\ngrpc: {'': [{until: 10s, status: NOT_SERVING}, {status: SERVING}]}\n";
    simulate(async {
        let mut lab = Lab::with_workloads(2, "1.37", &[workload]);
        let probe = |service: &str| json!({"grpc": {"port": 50051, "service": service}, "periodSeconds": 3});
        lab.start("p", one(json!({"image": "example/grpc:1", "readinessProbe": probe("")}))).await;
        lab.until(20.0).await;
        assert_eq!(lab.cells("p").last().unwrap(), "1/1 Running 0", "{}", lab.print("p"));
        assert!((9.0..16.0).contains(&lab.when("p", "1/1 Running 0")), "{}", lab.print("p"));
        lab.start("q", one(json!({"image": "example/grpc:1", "readinessProbe": probe("other")}))).await;
        lab.until(10.0).await;
        let events = lab.events().await;
        for message in ["service unhealthy (responded with \"NOT_SERVING\")", "code = NotFound desc = unknown service"] {
            assert!(
                events.iter().any(|event| event.contains("Readiness probe failed: ") && event.ends_with(message)),
                "{events:?}"
            );
        }
    });
}

/// A crash after two liveness failures: the run goes on with the next container, whose first failure kills it.
#[test]
fn failures_carry_over_to_the_next_container() {
    let workload = "image: example/dying:1\nlisten: {port: 80}\nhttp:\n  /: [{status: 500}]\ntimers: [{after: 11s, exit: 1}]\n";
    simulate(async {
        let mut lab = Lab::with_workloads(2, "1.37", &[workload]);
        let get = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5, "failureThreshold": 3});
        lab.start("p", one(json!({"image": "example/dying:1", "livenessProbe": get}))).await;
        lab.until(14.9).await;
        assert_eq!(lab.count("Killing").await, 0);
        lab.until(17.0).await;
        assert_eq!((lab.count("Unhealthy").await, lab.count("Killing").await), (3, 1), "{:?}", lab.events().await);
    });
}

#[test]
fn readiness_needs_its_successes() {
    simulate(async {
        let mut lab = Lab::new(2, "1.37");
        let get = json!({"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 4, "successThreshold": 3, "initialDelaySeconds": 4});
        lab.start("p", one(json!({"image": "blux2/hello-server:1.6", "readinessProbe": get}))).await;
        lab.until(30.0).await;
        let (running, ready) = (lab.when("p", "0/1 Running 0"), lab.when("p", "1/1 Running 0"));
        assert!((11.0..14.2).contains(&(ready - running)) || (7.0..9.5).contains(&(ready - running)), "{}", lab.print("p"));
    });
}
