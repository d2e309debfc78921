//! Why a state can no longer be reached, so that waiting for it can stop.

use serde_json::Value;

use super::world::World;
use crate::scenario::{Row, ValueMatch};
use crate::timeline::ObjectObservation;

/// Waiting reasons of a container whose image cannot be had (`pkg/kubelet/images/types.go`).
const IMAGE_REASONS: [&str; 4] = ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"];

/// Why this Pod can become like none of the pending rows, if that is certain. The first pending row is the next one.
pub(super) fn of_pod(pending: &[&Row], pod: &ObjectObservation, world: &World) -> Option<String> {
    let next = pending.first()?;
    if pending.iter().any(|row| row.exists == Some(false) || is_satisfied_by_status(row, pod)) {
        return None;
    }
    restarts_passed(next, pod).or_else(|| {
        let needs_to_run = pending.iter().all(|row| needs_to_run(row));
        needs_to_run.then(|| stuck(pod, world)).flatten()
    })
}

/// Why this Deployment can not become ready as the next row demands, if one of its Pods is stuck for good.
pub(super) fn of_deployment(pending: &[&Row], deployment: &ObjectObservation, world: &World) -> Option<String> {
    let next = pending.first()?;
    if !demands_all_ready(next) {
        return None;
    }
    let labels = deployment.object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let is_own = |pod: &&ObjectObservation| {
        labels.iter().all(|(key, value)| pod.object.pointer("/metadata/labels").and_then(|l| l.get(key)) == Some(value))
    };
    world.of_kind("v1", "Pod").filter(is_own).find_map(|pod| Some(format!("pod {}: {}", pod.name, image_problem(pod)?)))
}

/// The row asks for the STATUS that the Pod has now, so the Pod is not stuck on its way to it.
fn is_satisfied_by_status(row: &Row, pod: &ObjectObservation) -> bool {
    let status = pod.columns.get("STATUS").map_or("", String::as_str);
    row.columns.get("STATUS").is_some_and(|wanted| wanted.matches(status))
}

/// RESTARTS never goes down while a Pod lives.
fn restarts_passed(row: &Row, pod: &ObjectObservation) -> Option<String> {
    let cell = pod.columns.get("RESTARTS")?;
    let restarts: i64 = cell.split(' ').next()?.parse().ok()?;
    let most = match row.columns.get("RESTARTS")? {
        ValueMatch::Equal(text) => text.parse::<i64>().ok()?,
        ValueMatch::Between(_, high) => *high,
        ValueMatch::Contains(_) | ValueMatch::Pattern(_) => return None,
    };
    (restarts > most).then(|| format!("RESTARTS is already {restarts} and never goes down"))
}

/// Whether only a Pod with a running container is like the row.
fn needs_to_run(row: &Row) -> bool {
    let status_runs = row
        .columns
        .get("STATUS")
        .is_some_and(|wanted| ["Running", "CrashLoopBackOff", "Completed"].iter().any(|s| wanted.matches(s)));
    let ready = row.columns.get("READY").is_some_and(|wanted| matches!(wanted, ValueMatch::Equal(cell) if !cell.starts_with("0/")));
    status_runs || ready
}

fn demands_all_ready(row: &Row) -> bool {
    let Some(ValueMatch::Equal(cell)) = row.columns.get("READY") else { return false };
    cell.split_once('/').is_some_and(|(ready, all)| ready == all && ready != "0")
}

fn stuck(pod: &ObjectObservation, world: &World) -> Option<String> {
    image_problem(pod).or_else(|| scheduling_problem(pod, world)).or_else(|| ended(pod))
}

fn image_problem(pod: &ObjectObservation) -> Option<String> {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let mut statuses = statuses.iter().filter_map(|pointer| pod.object.pointer(pointer)?.as_array()).flatten();
    statuses.find_map(|status| {
        let waiting = status.pointer("/state/waiting")?;
        let reason = waiting.get("reason")?.as_str()?;
        let image = status.get("image").and_then(Value::as_str).unwrap_or("?");
        let message = waiting.get("message").and_then(Value::as_str).unwrap_or(reason);
        IMAGE_REASONS.contains(&reason).then(|| format!("the image `{image}` cannot be pulled ({reason}): {message}"))
    })
}

/// A Pod that has no place now may get the place of one that is going.
fn scheduling_problem(pod: &ObjectObservation, world: &World) -> Option<String> {
    let conditions = pod.object.pointer("/status/conditions")?.as_array()?;
    let unschedulable = conditions.iter().find(|c| c.get("reason").and_then(Value::as_str) == Some("Unschedulable"))?;
    let some_pod_is_going = world.of_kind("v1", "Pod").any(|pod| pod.object.pointer("/metadata/deletionTimestamp").is_some());
    let message = unschedulable.get("message").and_then(Value::as_str).unwrap_or("Unschedulable");
    (!some_pod_is_going).then(|| format!("the Pod cannot be scheduled: {message}"))
}

/// A terminal phase is never left (`pkg/kubelet/kubelet_pods.go:getPhase`).
fn ended(pod: &ObjectObservation) -> Option<String> {
    let phase = pod.object.pointer("/status/phase")?.as_str()?;
    ["Succeeded", "Failed"].contains(&phase).then(|| format!("the Pod has ended with phase {phase}"))
}
