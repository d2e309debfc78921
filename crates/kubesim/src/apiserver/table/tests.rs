//! Cells as a real server printed them.

use rstest::rstest;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().unwrap()
}

fn cells(printer: &Printer, object: &Value) -> Vec<Value> {
    (printer.cells)(object, now())
}

fn running(ready: bool) -> Value {
    json!({"name": "c", "ready": ready, "restartCount": 0, "state": {"running": {}}})
}

fn waiting(reason: &str, restarts: i64) -> Value {
    json!({"name": "c", "ready": false, "restartCount": restarts, "state": {"waiting": {"reason": reason}},
        "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "finishedAt": "2026-01-01T00:09:48Z"}}})
}

fn terminated(exit_code: i64, reason: &str) -> Value {
    json!({"name": "c", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": exit_code, "reason": reason}}})
}

/// READY, STATUS and RESTARTS of a Pod with these container statuses.
fn row(phase: &str, statuses: &[Value], extra: &Value) -> String {
    let containers: Vec<Value> = statuses.iter().map(|_| json!({"name": "c"})).collect();
    let mut pod = json!({
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": containers},
        "status": {"phase": phase, "containerStatuses": statuses},
    });
    json_patch::merge(&mut pod, extra);
    let cells = cells(&pod::PODS, &pod);
    cells[1..4].iter().map(|cell| cell.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case::pending("Pending", &[], json!({}), "0/0 Pending 0")]
#[case::creating("Pending", &[waiting("ContainerCreating", 0)], json!({}), "0/1 ContainerCreating 0")]
#[case::running("Running", &[running(true), running(false)], json!({}), "1/2 Running 0")]
#[case::crashing("Running", &[waiting("CrashLoopBackOff", 4)], json!({}), "0/1 CrashLoopBackOff 4 (12s ago)")]
#[case::completed("Succeeded", &[terminated(0, "Completed")], json!({}), "0/1 Completed 0")]
#[case::error("Running", &[terminated(1, "Error")], json!({}), "0/1 Error 0")]
#[case::no_reason("Running", &[terminated(3, "")], json!({}), "0/1 ExitCode:3 0")]
#[case::first_container_wins("Running", &[waiting("ErrImagePull", 0), terminated(1, "Error")], json!({}), "0/2 ErrImagePull 0")]
#[case::one_completed_one_running(
    "Running", &[terminated(0, "Completed"), running(true)],
    json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}), "1/2 Running 0"
)]
#[case::not_ready("Running", &[terminated(0, "Completed"), running(true)], json!({}), "1/2 NotReady 0")]
#[case::evicted("Failed", &[], json!({"status": {"reason": "Evicted"}}), "0/0 Evicted 0")]
#[case::terminating("Running", &[running(true)], json!({"metadata": {"deletionTimestamp": "2026-01-01T00:10:30Z"}}), "1/1 Terminating 0")]
#[case::gone("Failed", &[terminated(2, "Error")], json!({"metadata": {"deletionTimestamp": "2026-01-01T00:10:30Z"}}), "0/1 Error 0")]
#[case::gated(
    "Pending", &[], json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}}),
    "0/0 SchedulingGated 0"
)]
#[case::init(
    "Pending", &[waiting("PodInitializing", 0)],
    json!({"spec": {"initContainers": [{"name": "i"}, {"name": "j"}]}, "status": {"initContainerStatuses": [terminated(0, "Completed"), running(false)]}}),
    "0/1 Init:1/2 0"
)]
#[case::init_failed(
    "Pending", &[waiting("PodInitializing", 0)],
    json!({"spec": {"initContainers": [{"name": "c"}]}, "status": {"initContainerStatuses": [waiting("CrashLoopBackOff", 2)]}}),
    "0/1 Init:CrashLoopBackOff 2 (12s ago)"
)]
#[case::sidecar(
    "Running", &[running(true)],
    json!({"spec": {"initContainers": [{"name": "c", "restartPolicy": "Always"}]}, "status": {"initContainerStatuses": [
        {"name": "c", "ready": true, "started": true, "restartCount": 1, "state": {"running": {}}}]}}),
    "2/2 Running 1"
)]
fn pods(#[case] phase: &str, #[case] statuses: &[Value], #[case] extra: Value, #[case] expected: &str) {
    assert_eq!(row(phase, statuses, &extra), expected);
}

#[test]
fn a_bookmarks_empty_pod_is_printed_as_the_real_server_does() {
    let empty = json!({"kind": "Pod", "metadata": {"resourceVersion": "1"}, "spec": {"containers": null}, "status": {}});
    let expected = json!(["", "0/0", "", "0", "<unknown>", "<none>", "<none>", "<none>", "<none>"]);
    assert_eq!(json!(cells(&pod::PODS, &empty)), expected);
}

#[test]
fn services_and_events() {
    let service = json!({
        "metadata": {"name": "np", "creationTimestamp": "2026-01-01T00:09:52Z"},
        "spec": {"type": "NodePort", "clusterIP": "10.96.249.166", "selector": {"app": "d"}, "ports": [
            {"port": 80, "nodePort": 30_502, "protocol": "TCP"}, {"port": 81, "nodePort": 32_109, "protocol": "UDP"}]},
    });
    let expected = json!(["np", "NodePort", "10.96.249.166", "<none>", "80:30502/TCP,81:32109/UDP", "8s", "app=d"]);
    assert_eq!(json!(cells(&core::SERVICES, &service)), expected);
    let event = json!({
        "metadata": {"name": "d.1"}, "type": "Normal", "reason": "Pulling", "message": "Pulling image \"x\"", "count": 1,
        "involvedObject": {"kind": "Pod", "name": "d", "fieldPath": "spec.containers{c}"},
        "source": {"component": "kubelet", "host": "n"},
        "firstTimestamp": "2026-01-01T00:09:53Z", "lastTimestamp": "2026-01-01T00:09:53Z",
    });
    let expected =
        json!(["7s", "Normal", "Pulling", "pod/d", "spec.containers{c}", "kubelet, n", "Pulling image \"x\"", "7s", 1, "d.1"]);
    assert_eq!(json!(cells(&core::EVENTS, &event)), expected);
}

#[test]
fn every_printer_fills_its_columns() {
    for resource in crate::resource::RESOURCES {
        let printer = printer(resource);
        assert_eq!(cells(printer, &json!({"metadata": {}})).len(), printer.columns.len(), "{resource}");
    }
}
