//! What the reader of a failure may try.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::cause;
use super::claim::{THERE_BEFORE, wanted};
use super::context::is_concerned;
use crate::scenario::describe::duration;
use crate::scenario::{Claim, EventPattern, Expectation, Quantifier, Subject, TimedRow, ValueMatch};
use crate::timeline::{Entry, ObjectObservation, Observation};
use crate::verdict::{Deviation, Outcome, Verdict};

/// A sentence that fits what went wrong; `seen` is the timeline until then, `zero` the time of the step's action.
pub(super) fn hint(expectation: &Expectation, verdict: &Verdict, seen: &[Entry], zero: Duration) -> Option<String> {
    if let Some(cause) = &verdict.cause {
        return cause::hint(cause).map(str::to_owned);
    }
    if verdict.outcome == Outcome::Inconclusive {
        return Some(run_again(seen));
    }
    let row = timed_row(expectation, verdict);
    match verdict.deviation? {
        Deviation::TooLate | Deviation::TooEarly if matches!(expectation.claim, Claim::Every { .. }) => interval(verdict, seen),
        Deviation::TooLate => Some(too_late(row, verdict.decided)),
        Deviation::TooEarly => Some(too_early(row, verdict)),
        Deviation::Missing => missing(expectation, verdict, seen, zero),
        Deviation::Extra if expected_objects(expectation) => {
            Some("give the selection the `count` that there is, or a selector that picks only those that are meant".to_owned())
        }
        Deviation::Extra => Some("if this row is normal, list it among the `rows`, or say `between: any`".to_owned()),
        Deviation::OutOfOrder => Some(
            "list the `rows` in the order in which they are seen; if a row comes only sometimes, say `between: any`".to_owned(),
        ),
        Deviation::Contradicted => contradicted(&expectation.claim),
    }
}

/// Why it is not known what happened.
fn run_again(seen: &[Entry]) -> String {
    let reason = seen.iter().rev().find_map(|entry| match &entry.what {
        Observation::Interrupted { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    format!("run it again: {}", reason.unwrap_or("it was not observed at the moment that matters"))
}

/// The row that was expected.
pub(super) fn timed_row<'a>(expectation: &'a Expectation, verdict: &Verdict) -> Option<&'a TimedRow> {
    let Claim::Sequence { rows, .. } = &expectation.claim else { return None };
    let expected = verdict.expected.as_ref()?;
    rows.iter().find(|row| wanted(row) == *expected || row.row.to_string() == *expected)
}

/// There may be more objects than are expected.
fn expected_objects(expectation: &Expectation) -> bool {
    matches!(&expectation.subject, Subject::Selection(s) if s.quantifier == Quantifier::Each)
        && matches!(&expectation.claim, Claim::Sequence { rows, .. } if rows.len() == 1)
}

/// How far apart the last two occurrences were.
fn interval(verdict: &Verdict, seen: &[Entry]) -> Option<String> {
    let [.., before, last] = verdict.evidence[..] else { return None };
    let apart = seen.get(last)?.t.checked_sub(seen.get(before)?.t)?;
    Some(format!("the last two came {} apart: compare the period with the object's, or allow more `tolerance`", short(apart)))
}

fn short(time: Duration) -> String {
    duration(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / 100 * 100))
}

fn too_late(row: Option<&TimedRow>, seen: Duration) -> String {
    match row.map(|row| seen.saturating_sub(row.when.latest)) {
        Some(late) if late < Duration::from_millis(100) => {
            "the window closes just before; is the machine slower than the page's?".to_owned()
        }
        Some(late) if late < Duration::from_secs(5) => {
            format!("the window closes {} before; is the machine slower than the page's?", short(late))
        }
        _ => "is the machine slower than the page's, or does the object differ from the page's (probes, image)?".to_owned(),
    }
}

fn too_early(row: Option<&TimedRow>, verdict: &Verdict) -> String {
    if verdict.message.contains(THERE_BEFORE) {
        return "it was so before the action: leave out the window's beginning, or expect first what the action changes".to_owned();
    }
    let early = row.map(|row| row.when.earliest.saturating_sub(verdict.decided));
    let early = early.filter(|early| *early >= Duration::from_millis(100));
    let how = early.map_or_else(|| "just after".to_owned(), |early| format!("{} after", short(early)));
    format!("the window opens {how}; compare delays and periods of the object with the page's")
}

fn missing(expectation: &Expectation, verdict: &Verdict, seen: &[Entry], zero: Duration) -> Option<String> {
    let hint = match &expectation.subject {
        Subject::Event(pattern) => return Some(missing_event(pattern, seen, zero)),
        Subject::Log(source) if source.previous => {
            "a previous log is only there after a restart: expect the restart too, and compare the two times"
        }
        Subject::Log(_) if seen.iter().any(|entry| matches!(entry.what, Observation::Log(_))) => {
            "compare the line with the log's; `/…/` matches a regular expression"
        }
        Subject::Log(_) => "no log line was seen at all: does the container run, and does it write to its standard output?",
        Subject::Object(_) | Subject::Selection(_) => match verdict.nearest_miss.as_deref() {
            Some(nearest) if nearest.starts_with("no such object") => "nothing made it: does the action apply it, under this name?",
            Some(nearest) if nearest.starts_with("none of them") => {
                "the selector picks nothing: compare it with the objects' labels"
            }
            _ => return other_case(expectation, verdict, seen).or_else(|| last_warning(&expectation.subject, seen, zero)),
        },
    };
    Some(hint.to_owned())
}

/// What the events are called that were seen instead.
fn missing_event(pattern: &EventPattern, seen: &[Entry], zero: Duration) -> String {
    let is_about = |event: &&ObjectObservation| {
        pattern.for_object.as_ref().is_none_or(|target| target.name.matches(text(event, "/involvedObject/name")))
    };
    let events = seen.iter().filter(|entry| entry.t >= zero).filter_map(event).filter(is_about);
    let reasons: BTreeSet<&str> = events.map(|event| text(event, "/reason")).collect();
    if reasons.is_empty() {
        return "there was no event at all about these objects since the action".to_owned();
    }
    if pattern.reason.as_ref().is_none_or(|wanted| reasons.iter().any(|reason| wanted.matches(reason))) {
        return "match events by reason and object rather than by their text, which changes between versions; Kubernetes may drop \
                repeated ones"
            .to_owned();
    }
    format!("the events about these objects since the action had the reasons {}", Vec::from_iter(reasons).join(", "))
}

/// A cell that differs from the wanted one only in its case.
fn other_case(expectation: &Expectation, verdict: &Verdict, seen: &[Entry]) -> Option<String> {
    let row = &timed_row(expectation, verdict)?.row;
    let objects = seen.iter().rev().filter_map(|entry| match &entry.what {
        Observation::Object(object) if is_concerned(&expectation.subject, object) => Some(object),
        _ => None,
    });
    let mut cells =
        objects.flat_map(|object| row.columns.iter().filter_map(|(header, wanted)| Some((wanted, object.columns.get(header)?))));
    cells.find_map(|(wanted, cell)| match wanted {
        ValueMatch::Equal(wanted) if wanted != cell && wanted.eq_ignore_ascii_case(cell) => {
            Some(format!("it says `{cell}`, not `{wanted}`: upper and lower case differ"))
        }
        _ => None,
    })
}

/// What Kubernetes said last of what is wrong with the Pods.
fn last_warning(subject: &Subject, seen: &[Entry], zero: Duration) -> Option<String> {
    let pods: BTreeMap<&str, &ObjectObservation> = seen
        .iter()
        .filter_map(|entry| match &entry.what {
            Observation::Object(object) if object.kind == "Pod" && is_concerned(subject, object) => {
                Some((object.name.as_str(), &**object))
            }
            _ => None,
        })
        .collect();
    let about = |event: &ObjectObservation| pods.get(text(event, "/involvedObject/name")).copied();
    let since = seen.iter().rev().take_while(|entry| entry.t >= zero);
    let (event, pod) =
        since.filter_map(event).filter(|event| text(event, "/type") == "Warning").find_map(|e| Some((e, about(e)?)))?;
    let message = text(event, "/message");
    Some(
        refused_probe(message, pod)
            .unwrap_or_else(|| format!("the last warning about it is {}: {message}", text(event, "/reason"))),
    )
}

/// A probe that asks a port where nothing listens (`Readiness probe failed: Get "http://10.0.0.1:8081/": … connection refused`).
fn refused_probe(message: &str, pod: &ObjectObservation) -> Option<String> {
    let (probe, rest) = message.split_once(" probe failed: ")?;
    let address = rest.strip_prefix("Get \"")?.split_once("://")?.1;
    let port = address.split(['/', '"']).next()?.rsplit_once(':')?.1;
    let listed = |list: &str| pod.object.pointer(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ports = listed("/spec/containers").iter().filter_map(|container| container.get("ports")?.as_array()).flatten();
    let ports: Vec<String> = ports.filter_map(|port| port.get("containerPort")).map(ToString::to_string).collect();
    let declared = if ports.is_empty() { String::new() } else { format!("; its container ports are {}", ports.join(", ")) };
    let probe = probe.to_lowercase();
    message.contains("connection refused").then(|| format!("the {probe} probe asks port {port}, where nothing listens{declared}"))
}

fn event(entry: &Entry) -> Option<&ObjectObservation> {
    match &entry.what {
        Observation::Object(object) if object.kind == "Event" => Some(object),
        _ => None,
    }
}

fn text<'a>(event: &'a ObjectObservation, pointer: &str) -> &'a str {
    event.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn contradicted(claim: &Claim) -> Option<String> {
    match claim {
        Claim::Sequence { .. } => Some("if it may change meanwhile, shorten `for`".to_owned()),
        Claim::Never { .. } | Claim::Every { .. } => None,
    }
}
