//! Pods (printers.go:printPod): READY, STATUS and RESTARTS.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{NAME, Printer, age, column, list, name, number, or_none, text, wide};

pub(super) static PODS: Printer = Printer {
    columns: &[
        NAME,
        column("Ready", "string"),
        column("Status", "string"),
        column("Restarts", "string"),
        column("Age", "string"),
        wide("IP", "string"),
        wide("Node", "string"),
        wide("Nominated Node", "string"),
        wide("Readiness Gates", "string"),
    ],
    cells: print,
};

/// What is counted over the containers of a Pod.
#[derive(Default)]
struct Summary {
    total: usize,
    ready: usize,
    restarts: i64,
    sidecar_restarts: i64,
    /// The ends of former instances, as texts: RFC 3339 times of one format sort as time goes.
    last_restart: String,
    last_sidecar_restart: String,
}

fn print(pod: &Value, now: Timestamp) -> Vec<Value> {
    let mut summary = Summary::default();
    let status = status(pod, &mut summary);
    let mut restarts = summary.restarts.to_string();
    if summary.restarts != 0 && !summary.last_restart.is_empty() {
        restarts = format!("{restarts} ({} ago)", age::ago(&json!(summary.last_restart), now));
    }
    vec![
        name(pod),
        json!(format!("{}/{}", summary.ready, summary.total)),
        json!(status),
        json!(restarts),
        age::since_creation(pod, now),
        or_none(text(pod, "/status/podIP")),
        or_none(text(pod, "/spec/nodeName")),
        or_none(text(pod, "/status/nominatedNodeName")),
        readiness_gates(pod),
    ]
}

fn status(pod: &Value, summary: &mut Summary) -> String {
    let sidecars: Vec<&str> = list(pod, "/spec/initContainers")
        .iter()
        .filter(|container| container["restartPolicy"] == "Always")
        .filter_map(|container| container["name"].as_str())
        .collect();
    summary.total = list(pod, "/spec/containers").len() + sidecars.len();
    let mut reason = match text(pod, "/status/reason") {
        "" => text(pod, "/status/phase").to_owned(),
        reason => reason.to_owned(),
    };
    if condition(pod, "PodScheduled").is_some_and(|scheduled| scheduled["reason"] == "SchedulingGated") {
        "SchedulingGated".clone_into(&mut reason);
    }
    let initializing = init_containers(pod, &sidecars, summary);
    if let Some(initializing) = &initializing {
        reason.clone_from(initializing);
    }
    if initializing.is_none() || condition(pod, "Initialized").is_some_and(|condition| condition["status"] == "True") {
        containers(pod, &mut reason, summary);
    }
    let finished = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    if pod["metadata"].get("deletionTimestamp").is_some() {
        if text(pod, "/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut reason);
        } else if !finished {
            "Terminating".clone_into(&mut reason);
        }
    }
    reason
}

/// Walks the init containers; says the status if one of them still has to do something.
fn init_containers(pod: &Value, sidecars: &[&str], summary: &mut Summary) -> Option<String> {
    for (index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
        let is_sidecar = sidecars.contains(&text(status, "/name"));
        let count = number(status, "/restartCount");
        summary.restarts += count;
        keep_later(&mut summary.last_restart, status);
        if is_sidecar {
            summary.sidecar_restarts += count;
            keep_later(&mut summary.last_sidecar_restart, status);
        }
        let state = &status["state"];
        let terminated = state.get("terminated");
        if terminated.is_some_and(|state| number(state, "/exitCode") == 0) {
            continue;
        }
        if is_sidecar && status["started"] == true {
            if status["ready"] == true {
                summary.ready += 1;
            }
            continue;
        }
        let waiting = text(state, "/waiting/reason");
        return Some(match terminated {
            Some(state) => format!("Init:{}", termination(state)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{index}/{}", list(pod, "/spec/initContainers").len()),
        });
    }
    None
}

/// Walks the containers from last to first, so that the first has the last word.
fn containers(pod: &Value, reason: &mut String, summary: &mut Summary) {
    summary.restarts = summary.sidecar_restarts;
    summary.last_restart = summary.last_sidecar_restart.clone();
    let mut has_running = false;
    let mut failure = None;
    for status in list(pod, "/status/containerStatuses").iter().rev() {
        summary.restarts += number(status, "/restartCount");
        keep_later(&mut summary.last_restart, status);
        let state = &status["state"];
        let waiting = text(state, "/waiting/reason");
        if !waiting.is_empty() {
            waiting.clone_into(reason);
        } else if let Some(terminated) = state.get("terminated") {
            *reason = termination(terminated);
            if number(terminated, "/exitCode") != 0 {
                failure = Some(reason.clone());
            }
        } else if status["ready"] == true && state.get("running").is_some() {
            has_running = true;
            summary.ready += 1;
        }
    }
    if reason == "Completed" {
        let ready = condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True");
        if has_running && ready {
            "Running".clone_into(reason);
        } else if let Some(failure) = failure {
            *reason = failure;
        } else if has_running {
            "NotReady".clone_into(reason);
        }
    }
}

fn termination(state: &Value) -> String {
    let signal = number(state, "/signal");
    match text(state, "/reason") {
        "" if signal != 0 => format!("Signal:{signal}"),
        "" => format!("ExitCode:{}", number(state, "/exitCode")),
        reason => reason.to_owned(),
    }
}

fn keep_later(last: &mut String, status: &Value) {
    let finished = text(status, "/lastState/terminated/finishedAt");
    if finished > last.as_str() {
        finished.clone_into(last);
    }
}

fn condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    list(pod, "/status/conditions").iter().find(|condition| condition["type"] == kind)
}

fn readiness_gates(pod: &Value) -> Value {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return json!("<none>");
    }
    let is_true = |gate: &&Value| condition(pod, text(gate, "/conditionType")).is_some_and(|c| c["status"] == "True");
    json!(format!("{}/{}", gates.iter().filter(is_true).count(), gates.len()))
}
