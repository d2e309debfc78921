//! The hands-ons of chapter 7, compared with what real clusters did.

use std::sync::Arc;

use rstest::rstest;
use serde_json::json;

use super::lab::*;
use crate::DeleteOptions;

/// Recorded on v1.37.2: READY changes at 2.0, 8.9 and 23.8 s; deleted at 60.5 s, gone half a second later.
#[rstest]
fn readiness_turns_ready_and_unready_again(#[values("1.34", "1.37")] version: &str, #[values(1, 2, 3, 4, 5, 6, 7, 8)] seed: u64) {
    simulate(async {
        let mut lab = Lab::new(seed, version);
        lab.start("p", readiness()).await;
        lab.until(60.0).await;
        lab.delete("p", &DeleteOptions::default()).await;
        lab.until(70.0).await;
        let cells = [
            "0/1 Pending 0",
            "0/1 ContainerCreating 0",
            "0/1 Running 0",
            "1/1 Running 0",
            "0/1 Running 0",
            "0/1 Terminating 0",
            "0/1 Error 0",
        ];
        assert_eq!(lab.cells("p"), cells, "{}", lab.print("p"));
        let (running, ready) = (lab.when("p", cells[2]), lab.when("p", cells[3]));
        assert!((0.3..4.0).contains(&running), "{}", lab.print("p"));
        assert!((4.0..7.8).contains(&(ready - running)), "{}", lab.print("p"));
        let unready = lab.changes("p")[4].at;
        assert!((14.9..15.3).contains(&(unready - ready)) || (9.9..10.3).contains(&(unready - ready)), "{}", lab.print("p"));
        let gone = lab.all("p");
        assert!(gone.last().unwrap().deleted && gone.last().unwrap().at < 62.5, "{}", lab.print("p"));
        assert_eq!(gone.iter().filter(|row| row.cells == "0/1 Error 0").count(), 3, "three rows at the end");
        lab.assert_alive();
    });
}

/// The events of the readiness recording, and their words in both versions.
#[rstest]
#[case("1.37", "Container created", "Container started", " and can be accessed by the pod")]
#[case("1.34", "Created container: c", "Started container c", "")]
fn events_have_the_words_of_the_version(#[case] version: &str, #[case] created: &str, #[case] started: &str, #[case] suffix: &str) {
    simulate(async {
        let mut lab = Lab::new(3, version);
        lab.start("p", readiness()).await;
        lab.until(45.0).await;
        let events = lab.events().await;
        assert_eq!(
            events[..3],
            [
                format!("Normal Pulled x1 Container image \"blux2/delayfailserver:1.1\" already present on machine{suffix}"),
                format!("Normal Created x1 {created}"),
                format!("Normal Started x1 {started}"),
            ]
        );
        let unhealthy = events.last().unwrap();
        assert!(unhealthy.ends_with("Readiness probe failed: HTTP probe failed with statuscode: 503"), "{events:?}");
        assert!(lab.count("Unhealthy").await >= 4, "the fourth probe comes with the change: {events:?}");
    });
}

/// Section 9: kills at W + 25, 50, 75, 100, 125; the first back-off after the fifth.
#[rstest]
fn liveness_restarts_on_the_grid(#[values("1.34", "1.37")] version: &str) {
    for seed in 0..40 {
        simulate(async {
            let mut lab = Lab::new(seed, version);
            lab.start("p", liveness()).await;
            lab.until(330.0).await;
            let printed = lab.print("p");
            for (restarts, at) in [(1, 25.0), (2, 50.0), (3, 75.0), (4, 100.0)] {
                let when = lab.when("p", &format!("1/1 Running {restarts}"));
                assert!((at + 0.2..at + 3.0).contains(&when), "seed {seed}: {restarts} at {when}\n{printed}");
            }
            let looping = lab.when("p", "0/1 CrashLoopBackOff 4");
            assert!((125.1..127.5).contains(&looping), "seed {seed}\n{printed}");
            let fifth = lab.when("p", "1/1 Running 5");
            let last = if version == "1.37" { 187.5 } else { 183.5 };
            assert!((165.0..last).contains(&fifth), "seed {seed}\n{printed}");
            // 1.37's wait may be so long that the next gap is longer than the back-off.
            let next = lab.changes("p").into_iter().find(|row| row.at > fifth).unwrap();
            let skipped = next.cells == "1/1 Running 6";
            assert!(next.cells == "0/1 CrashLoopBackOff 5" || skipped && fifth > 179.0, "seed {seed}\n{printed}");
            assert!((190.0..213.0).contains(&next.at), "seed {seed}\n{printed}");
            lab.assert_alive();
        });
    }
}

/// As described after the fifth kill, and much later, when the spam filter has set in.
#[test]
fn liveness_events_are_counted_and_then_filtered() {
    simulate(async {
        let mut lab = Lab::new(11, "1.37");
        lab.start("p", liveness()).await;
        lab.until(135.0).await;
        assert_eq!((lab.count("Unhealthy").await, lab.count("Killing").await), (15, 5));
        assert_eq!((lab.count("Pulled").await, lab.count("Started").await, lab.count("BackOff").await), (5, 5, 2));
        let events = lab.events().await;
        assert!(
            events.contains(&"Normal Killing x5 Container c failed liveness probe, will be restarted".to_owned()),
            "{events:?}"
        );
        assert!(
            events.iter().any(|e| e.starts_with("Warning BackOff x2 Back-off restarting failed container c in pod p_default("))
        );
        lab.until(480.0).await;
        let (pulled, started) = (lab.count("Pulled").await, lab.count("Started").await);
        let passed = pulled + started + lab.count("Killing").await + lab.count("Created").await;
        assert_eq!(passed, 26, "25 at once and one after 300 s: {:?}", lab.events().await);
        assert!(started < lab.pod("p").await.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].restart_count + 1);
    });
}

#[test]
fn a_killed_container_shows_its_end_and_keeps_two_logs() {
    simulate(async {
        let mut lab = Lab::new(5, "1.37");
        lab.start("p", liveness()).await;
        lab.until(30.0).await;
        let pod = lab.pod("p").await;
        let container = &pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0];
        let ended = container.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref(), container.restart_count), (2, Some("Error"), 1));
        assert_ne!(ended.container_id, container.container_id);
        let first = lab.log("p", "c", true).await.unwrap();
        assert_eq!(first[0], "Starting server...");
        assert_eq!(first.iter().filter(|line| *line == "Error: Service Unhealthy").count(), 3);
        assert!(lab.log("p", "c", false).await.unwrap().len() < first.len());
        lab.until(130.0).await;
        let (current, previous) = (lab.log("p", "c", false).await.unwrap(), lab.log("p", "c", true).await.unwrap());
        assert_eq!(current, previous, "in a back-off both are the dead container's");
    });
}

/// Recorded: 1/2 Running from 2 s on, and so for good; ready 5 to 7 s after the start of a Pod whose port is right.
#[rstest]
fn destruction(#[values(1, 2, 3, 4)] seed: u64, #[values("1.34", "1.37")] version: &str) {
    let spec = |port: u16| {
        json!({"containers": [
            {
                "name": "hello-server",
                "image": "blux2/hello-server:1.6",
                "readinessProbe": probe("/health", port),
                "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 10, "periodSeconds": 5},
            },
            {"name": "busybox", "image": "busybox:1.36.1", "command": ["sleep", "9999"]},
        ]})
    };
    simulate(async {
        let mut lab = Lab::new(seed, version);
        lab.start("fixed", spec(8080)).await;
        lab.until(20.0).await;
        assert_eq!(lab.cells("fixed")[2..], ["1/2 Running 0", "2/2 Running 0"], "{}", lab.print("fixed"));
        lab.start("broken", spec(8081)).await;
        lab.until(100.0).await;
        assert_eq!(lab.cells("broken"), ["0/2 Pending 0", "0/2 ContainerCreating 0", "1/2 Running 0"], "{}", lab.print("broken"));
        let ip = lab.pod("broken").await.status.as_ref().unwrap().pod_ip.clone().unwrap();
        let expected =
            format!("Readiness probe failed: Get \"http://{ip}:8081/health\": dial tcp {ip}:8081: connect: connection refused");
        let events = lab.events().await;
        assert!(events.iter().any(|event| event.ends_with(&expected)), "{events:?}");
        let log = lab.log("broken", "hello-server", false).await.unwrap();
        assert_eq!(log[0], "Starting server on port 8080");
        assert!((16..20).contains(&log[1..].iter().filter(|line| *line == "Health Status OK").count()), "{log:?}");
        lab.delete("broken", &DeleteOptions::default()).await;
        lab.until(129.0).await;
        assert_eq!(lab.cells("broken").last().unwrap(), "1/2 Terminating 0", "busybox ignores SIGTERM");
        lab.until(135.0).await;
        assert!(lab.all("broken").last().unwrap().deleted);
        let pod = Arc::clone(&lab.all("broken").last().unwrap().pod);
        let statuses = pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap();
        let ends: Vec<_> = statuses.iter().map(|s| s.state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code).collect();
        assert_eq!(ends, [137, 2]);
        lab.assert_alive();
    });
}
