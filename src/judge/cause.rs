//! Why a state can no longer be reached, so that waiting for it can stop.

use std::time::Duration;

use serde_json::Value;

use super::world::{Known, World, is_terminating};
use crate::scenario::{Row, ValueMatch};
use crate::timeline::ObjectObservation;

/// What was on its way when the action was sent arrives first.
const SETTLING: Duration = Duration::from_secs(3);

/// The kubelet pulls again after 10 s (`pkg/kubelet/kubelet.go:imageBackOffPeriod`), and a node that has just come becomes
/// schedulable within seconds: what fails for longer than this fails for good.
const SECOND_ATTEMPT: Duration = Duration::from_secs(15);

/// Waiting reasons of a container whose image cannot be had (`pkg/kubelet/images/types.go`), and whether the kubelet tries again.
const IMAGE_REASONS: [(&str, bool); 4] =
    [("ErrImagePull", true), ("ImagePullBackOff", true), ("ErrImageNeverPull", false), ("InvalidImageName", false)];

/// Why a state cannot be reached.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) text: String,
    /// How long it must have lasted to be certain; none if it can never be certain before the deadline.
    pub(super) certain_after: Option<Duration>,
}

impl Cause {
    fn new(text: String, certain_after: Duration) -> Self {
        Self { text, certain_after: Some(certain_after) }
    }
}

/// Why this Pod becomes like none of the pending rows. The first pending row is the next one; `step` is the entry with which the step
/// began.
pub(super) fn of_pod(pending: &[&Row], pod: &Known, step: usize, world: &World) -> Option<Cause> {
    let next = pending.first()?;
    let object = &pod.observed;
    if is_terminating(object) || pending.iter().any(|row| row.exists == Some(false)) {
        return None;
    }
    let is_bare = controller(object).is_none();
    if is_bare && let Some(cause) = restarts_passed(next, object) {
        return Some(cause);
    }
    let waits = pending.iter().any(|row| has_its_status(row, object)) || !needs_all_containers(next, object);
    let ended = || ended(object).filter(|_| is_bare);
    let stuck = || image_problem(object).or_else(|| scheduling_problem(object, world)).or_else(ended);
    let cause = (!waits).then(stuck).flatten()?;
    Some(certain_if_new(cause, pod, step))
}

/// Why this Deployment does not become ready as the next row demands.
pub(super) fn of_deployment(pending: &[&Row], deployment: &ObjectObservation, step: usize, world: &World) -> Option<Cause> {
    if !demands_all_ready(pending.first()?) {
        return None;
    }
    let labels = deployment.object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let is_own = |pod: &&Known| {
        let own = pod.observed.object.pointer("/metadata/labels");
        !is_terminating(&pod.observed) && labels.iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
    };
    world.of_kind("v1", "Pod").filter(is_own).find_map(|pod| {
        let cause = image_problem(&pod.observed)?;
        Some(certain_if_new(Cause { text: format!("pod {}: {}", pod.observed.name, cause.text), ..cause }, pod, step))
    })
}

/// Why a container of this Pod writes no log; never certain before the deadline, because another container may write.
pub(super) fn of_container(pod: &ObjectObservation) -> Option<Cause> {
    image_problem(pod).map(|cause| Cause { certain_after: None, ..cause })
}

/// A Pod that was there before the step may be what the step's action is to mend or to replace.
fn certain_if_new(cause: Cause, pod: &Known, step: usize) -> Cause {
    Cause { certain_after: cause.certain_after.filter(|_| pod.first > step), ..cause }
}

/// What replaces the Pod when it is gone, perhaps under the same name.
fn controller(pod: &ObjectObservation) -> Option<&Value> {
    let owners = pod.object.pointer("/metadata/ownerReferences")?.as_array()?;
    owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

/// The row asks for the STATUS that the Pod has now, so the Pod is not stuck on its way to it.
fn has_its_status(row: &Row, pod: &ObjectObservation) -> bool {
    let status = pod.columns.get("STATUS").map_or("", String::as_str);
    row.columns.get("STATUS").is_some_and(|wanted| wanted.matches(status))
}

/// RESTARTS never goes down while a Pod lives.
fn restarts_passed(row: &Row, pod: &ObjectObservation) -> Option<Cause> {
    let cell = pod.columns.get("RESTARTS")?;
    let restarts: i64 = cell.split(' ').next()?.parse().ok()?;
    let most = match row.columns.get("RESTARTS")? {
        ValueMatch::Equal(text) => text.parse::<i64>().ok()?,
        ValueMatch::Between(_, high) => *high,
        ValueMatch::Contains(_) | ValueMatch::Pattern(_) => return None,
    };
    (restarts > most).then(|| Cause::new(format!("RESTARTS is already {restarts} and never goes down"), SETTLING))
}

/// Whether only a Pod whose containers all have been started is like the row.
fn needs_all_containers(row: &Row, pod: &ObjectObservation) -> bool {
    let containers = pod.object.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    let status = row.columns.get("STATUS").is_some_and(|wanted| {
        wanted.matches("Running") || wanted.matches("Completed") || (containers == 1 && wanted.matches("CrashLoopBackOff"))
    });
    status || demands_all_ready(row)
}

fn demands_all_ready(row: &Row) -> bool {
    let Some(ValueMatch::Equal(cell)) = row.columns.get("READY") else { return false };
    cell.split_once('/').is_some_and(|(ready, all)| ready == all && ready != "0")
}

fn image_problem(pod: &ObjectObservation) -> Option<Cause> {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let mut statuses = statuses.iter().filter_map(|pointer| pod.object.pointer(pointer)?.as_array()).flatten();
    statuses.find_map(|status| {
        let waiting = status.pointer("/state/waiting")?;
        let (reason, is_retried) = *IMAGE_REASONS.iter().find(|(reason, _)| waiting.get("reason").is_some_and(|r| r == reason))?;
        let image = status.get("image").and_then(Value::as_str).unwrap_or("?");
        let message = waiting.get("message").and_then(Value::as_str).unwrap_or(reason);
        let text = format!("the image `{image}` cannot be pulled ({reason}): {message}");
        Some(Cause::new(text, if is_retried { SECOND_ATTEMPT } else { SETTLING }))
    })
}

/// A Pod that has no place now may get the place of one that is going.
fn scheduling_problem(pod: &ObjectObservation, world: &World) -> Option<Cause> {
    let conditions = pod.object.pointer("/status/conditions")?.as_array()?;
    let unschedulable = conditions.iter().find(|c| c.get("reason").and_then(Value::as_str) == Some("Unschedulable"))?;
    let some_pod_is_going = world.of_kind("v1", "Pod").any(|pod| is_terminating(&pod.observed));
    let message = unschedulable.get("message").and_then(Value::as_str).unwrap_or("Unschedulable");
    (!some_pod_is_going).then(|| Cause::new(format!("the Pod cannot be scheduled: {message}"), SECOND_ATTEMPT))
}

/// A terminal phase is never left (`pkg/kubelet/kubelet_pods.go:getPhase`).
fn ended(pod: &ObjectObservation) -> Option<Cause> {
    let phase = pod.object.pointer("/status/phase")?.as_str()?;
    let has_ended = ["Succeeded", "Failed"].contains(&phase);
    has_ended.then(|| Cause::new(format!("the Pod has ended with phase {phase}"), SETTLING))
}

/// What may be tried against a cause, which is one of those above.
pub(super) fn hint(cause: &str) -> Option<&'static str> {
    let hints = [
        (
            "cannot be pulled",
            "is the image a workload? `labproof images list` shows those that are loaded; any other must be pulled",
        ),
        ("cannot be scheduled", "do the nodes have what the Pod asks for? `nodes` in the scenario says how many there are"),
        ("RESTARTS is already", "it restarts more often than expected: compare its probes and its image with the page's"),
        ("has ended with phase", "a Pod that has ended does not start again: is its `restartPolicy` the page's?"),
    ];
    hints.iter().find(|(text, _)| cause.contains(text)).map(|(_, hint)| *hint)
}
