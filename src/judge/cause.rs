//! Why a state can no longer be reached, so that waiting for it can stop.
//!
//! Two questions are kept apart: what is wrong with a Pod (it is told with every failure), and whether that rules out for certain what is
//! expected (then nobody waits for it any longer).

use std::time::Duration;

use serde_json::Value;

use super::world::{Known, World, is_terminating};
use crate::scenario::{EventPattern, FieldPath, LogSource, PodPick, Row, ValueMatch};
use crate::timeline::ObjectObservation;

/// What was on its way when the action was sent arrives first.
const SETTLING: Duration = Duration::from_secs(3);

/// The kubelet pulls again after 10 s (`pkg/kubelet/kubelet.go:imageBackOffPeriod`), and a node that has just come becomes
/// schedulable within seconds: what fails for longer than this fails for good.
const SECOND_ATTEMPT: Duration = Duration::from_secs(15);

/// Waiting reasons of a container whose image cannot be had (`pkg/kubelet/images/types.go`), and whether the kubelet tries again.
const IMAGE_REASONS: [(&str, bool); 4] =
    [("ErrImagePull", true), ("ImagePullBackOff", true), ("ErrImageNeverPull", false), ("InvalidImageName", false)];

/// What a registry says of an image that it does not have; any other error may pass (a time-out, a limit).
const NO_SUCH_IMAGE: [&str; 3] = ["not found", "pull access denied", "repository does not exist"];

/// Reasons of events that tell of a container that was made (`pkg/kubelet/events/event.go`).
const CONTAINER_EVENTS: [&str; 4] = ["Created", "Started", "Killing", "Unhealthy"];

/// Fields of a Pod, what they are while a container has not been started, and what they may become.
const STARTED_FIELDS: [(&str, &str, &str); 5] = [
    ("status.phase", "Pending", "Running"),
    ("status.phase", "Pending", "Succeeded"),
    ("status.phase", "Pending", "Failed"),
    ("status.conditions[type=Ready].status", "False", "True"),
    ("status.conditions[type=ContainersReady].status", "False", "True"),
];

/// Why a state cannot be reached.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) text: String,
    /// How long it must have lasted to be certain; none if it can never be certain before the deadline.
    pub(super) certain_after: Option<Duration>,
    /// The container that it keeps from starting; all of them if none is named.
    container: Option<String>,
}

impl Cause {
    fn new(text: String, certain_after: Option<Duration>) -> Self {
        Self { text, certain_after, container: None }
    }

    /// It is certain only if this holds.
    fn certain_if(self, holds: bool) -> Self {
        Self { certain_after: self.certain_after.filter(|_| holds), ..self }
    }

    /// The cause of one Pod among several.
    pub(super) fn of_one_named(self, pod: &str) -> Self {
        Self { text: format!("pod {pod}: {}", self.text), ..self }
    }

    /// Whether it keeps this container from starting; whether all of them if none is named.
    fn keeps(&self, container: Option<&str>, pod: &ObjectObservation) -> bool {
        self.container.is_none() || is_single(pod) || (container.is_some() && self.container.as_deref() == container)
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
    if pending.iter().any(|row| has_its_status(row, object)) {
        return None;
    }
    let ended = || ended(pod, step).filter(|_| is_bare);
    let cause = not_started(pod, step, world).or_else(ended)?;
    Some(cause.certain_if(demands_start(next, object)))
}

/// Why this maker of Pods does not come to have as many as the next row demands.
pub(super) fn of_workload(pending: &[&Row], workload: &ObjectObservation, step: usize, world: &World) -> Option<Cause> {
    let next = pending.first()?;
    if is_terminating(workload) || pending.iter().any(|row| row.exists == Some(false)) {
        return None;
    }
    let labels = workload.object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let is_own = |pod: &&Known| {
        let own = pod.observed.object.pointer("/metadata/labels");
        !is_terminating(&pod.observed) && labels.iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
    };
    let own: Vec<&Known> = world.of_kind("v1", "Pod").filter(is_own).collect();
    let of_own = |pod: &&Known| Some(not_started(pod, step, world)?.of_one_named(&pod.observed.name));
    let causes: Vec<Cause> = own.iter().filter_map(of_own).collect();
    let lost = causes.iter().filter(|cause| cause.certain_after.is_some()).count();
    let replicas = workload.object.pointer("/spec/replicas").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let possible = own.len().max(replicas.unwrap_or(0)).saturating_sub(lost);
    let demands =
        |header| next.columns.get(header).and_then(least).is_some_and(|least| i64::try_from(possible).is_ok_and(|n| least > n));
    let is_ruled_out = demands_all_ready(next) || demands("READY") || demands("AVAILABLE");
    let cause = causes.into_iter().min_by_key(|cause| cause.certain_after.is_none())?;
    Some(cause.certain_if(is_ruled_out))
}

/// Why this Pod does not write the log.
pub(super) fn of_log(source: &LogSource, pod: &Known, step: usize, world: &World) -> Option<Cause> {
    let cause = not_started(pod, step, world)?;
    let is_the_only_one = matches!(source.pod, PodPick::Name(_));
    let writes_nothing = cause.keeps(source.container.as_deref(), &pod.observed);
    Some(cause.certain_if(is_the_only_one && writes_nothing))
}

/// Why there is no such event about this Pod.
pub(super) fn of_event(pattern: &EventPattern, pod: &Known, step: usize, world: &World) -> Option<Cause> {
    let cause = not_started(pod, step, world)?;
    let reason = pattern.reason.as_ref();
    let is_of_container = matches!(reason, Some(ValueMatch::Equal(reason)) if CONTAINER_EVENTS.contains(&reason.as_str()));
    let keeps_all = cause.keeps(None, &pod.observed);
    Some(cause.certain_if(is_of_container && keeps_all))
}

/// Why the Pod, or a container of it, does not start.
fn not_started(pod: &Known, step: usize, world: &World) -> Option<Cause> {
    let cause = image_problem(&pod.observed).or_else(|| scheduling_problem(&pod.observed, step, world))?;
    Some(cause.certain_if(is_new(pod, step)))
}

/// A Pod that was there before the step may be what the step's action is to mend or to replace.
fn is_new(pod: &Known, step: usize) -> bool {
    pod.first > step
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

fn restarts(pod: &ObjectObservation) -> Option<i64> {
    pod.columns.get("RESTARTS")?.split(' ').next()?.parse().ok()
}

/// RESTARTS never goes down while a Pod lives.
fn restarts_passed(row: &Row, pod: &ObjectObservation) -> Option<Cause> {
    let restarts = restarts(pod)?;
    let most = match row.columns.get("RESTARTS")? {
        ValueMatch::Equal(text) => text.parse::<i64>().ok()?,
        ValueMatch::Between(_, high) => *high,
        ValueMatch::Contains(_) | ValueMatch::Pattern(_) => return None,
    };
    (restarts > most).then(|| Cause::new(format!("RESTARTS is already {restarts} and never goes down"), Some(SETTLING)))
}

/// The least number that is as wanted.
fn least(wanted: &ValueMatch) -> Option<i64> {
    match wanted {
        ValueMatch::Equal(text) => text.parse().ok(),
        ValueMatch::Between(low, _) => Some(*low),
        ValueMatch::Contains(_) | ValueMatch::Pattern(_) => None,
    }
}

fn is_single(pod: &ObjectObservation) -> bool {
    let lists = ["/spec/containers", "/spec/initContainers"].map(|pointer| pod.object.pointer(pointer).and_then(Value::as_array));
    lists.into_iter().flatten().map(Vec::len).sum::<usize>() == 1
}

/// Whether only a Pod is like the row whose containers all have been started, and not all have ended.
fn demands_start(row: &Row, pod: &ObjectObservation) -> bool {
    let is_single = is_single(pod);
    let status = row.columns.get("STATUS").is_some_and(|wanted| {
        wanted.matches("Running") || wanted.matches("Completed") || (is_single && wanted.matches("CrashLoopBackOff"))
    });
    let more_restarts = || row.columns.get("RESTARTS").and_then(least) > restarts(pod);
    let field = |(path, wanted): (&FieldPath, &ValueMatch)| {
        let path = path.to_string();
        STARTED_FIELDS.iter().any(|(field, before, then)| path == *field && wanted.matches(then) && !wanted.matches(before))
    };
    status
        || demands_all_ready(row)
        || row.fields.iter().any(field)
        || (is_single && (more_restarts() || row.last_termination.is_some()))
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
        let container = status.get("name").and_then(Value::as_str).map(str::to_owned);
        let is_final = || NO_SUCH_IMAGE.iter().any(|part| message.contains(part));
        let certain_after = if is_retried { is_final().then_some(SECOND_ATTEMPT) } else { Some(SETTLING) };
        Some(Cause { text, certain_after, container })
    })
}

fn scheduling_problem(pod: &ObjectObservation, step: usize, world: &World) -> Option<Cause> {
    let conditions = pod.object.pointer("/status/conditions")?.as_array()?;
    let unschedulable = conditions.iter().find(|c| c.get("reason").and_then(Value::as_str) == Some("Unschedulable"))?;
    let message = unschedulable.get("message").and_then(Value::as_str).unwrap_or("Unschedulable");
    let cause = Cause::new(format!("the Pod cannot be scheduled: {message}"), Some(SECOND_ATTEMPT));
    Some(cause.certain_if(!world.of_kind("v1", "Pod").any(|other| may_make_room(other, step))))
}

/// Whether a Pod may leave its node: it is going, it may come to its end, or the action may make its controller remove it.
fn may_make_room(pod: &Known, step: usize) -> bool {
    let object = &pod.observed.object;
    let has_place = object.pointer("/spec/nodeName").is_some();
    let may_end = object.pointer("/spec/restartPolicy").and_then(Value::as_str).is_some_and(|policy| policy != "Always");
    let ends = may_end && ended_phase(&pod.observed).is_none();
    let may_be_replaced = controller(&pod.observed).is_some() && !is_new(pod, step);
    is_terminating(&pod.observed) || (has_place && (ends || may_be_replaced))
}

/// A terminal phase is never left (`pkg/kubelet/kubelet_pods.go:getPhase`).
fn ended(pod: &Known, step: usize) -> Option<Cause> {
    let phase = ended_phase(&pod.observed)?;
    Some(Cause::new(format!("the Pod has ended with phase {phase}"), Some(SETTLING)).certain_if(is_new(pod, step)))
}

fn ended_phase(pod: &ObjectObservation) -> Option<&str> {
    pod.object.pointer("/status/phase")?.as_str().filter(|phase| ["Succeeded", "Failed"].contains(phase))
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
