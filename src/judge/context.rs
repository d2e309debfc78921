//! Shows what was seen around a failure.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::hint::hint;
use super::log_lines;
use super::occurrences::occurrences;
use crate::report::{FailureContext, ObservedRow};
use crate::scenario::{Claim, Expectation, LogSource, PodPick, Row, Subject};
use crate::timeline::{Change, Entry, LogLine, ObjectObservation, Observation};
use crate::verdict::Verdict;

const MOST_ROWS: usize = 12;
const MOST_EVENTS: usize = 6;
const MOST_LOG_LINES: usize = 8;

/// The columns that kubectl prints without `-o wide`, NAME left out (`pkg/printers/internalversion/printers.go`).
const COLUMNS: &[(&str, &[&str])] = &[
    ("Pod", &["READY", "STATUS", "RESTARTS"]),
    ("Deployment", &["READY", "UP-TO-DATE", "AVAILABLE"]),
    ("ReplicaSet", &["DESIRED", "CURRENT", "READY"]),
    ("StatefulSet", &["READY"]),
    ("DaemonSet", &["DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR"]),
    ("Job", &["STATUS", "COMPLETIONS", "DURATION"]),
    ("CronJob", &["SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE"]),
    ("Service", &["TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)"]),
    ("PodDisruptionBudget", &["MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED DISRUPTIONS"]),
];

/// What was seen until the verdict: `zero` is the time of the step's action.
pub fn around(entries: &[Entry], zero: Duration, expectation: &Expectation, verdict: &Verdict) -> FailureContext {
    let until = zero.saturating_add(verdict.decided);
    let seen = &entries[..entries.partition_point(|entry| entry.t <= until)];
    FailureContext {
        rows: rows(seen, zero, expectation, verdict),
        events: events(seen, zero),
        log: last(MOST_LOG_LINES, seen.iter().rev().filter_map(|entry| log_line(entry, zero, expectation))),
        hint: hint(expectation, verdict, seen, zero),
    }
}

/// The last events, each as it was last.
fn events(entries: &[Entry], zero: Duration) -> Vec<String> {
    let mut told = BTreeSet::new();
    let newest = entries.iter().rev().filter(|entry| match &entry.what {
        Observation::Object(event) if event.kind == "Event" => told.insert(&event.uid),
        _ => false,
    });
    last(MOST_EVENTS, newest.filter_map(|entry| event(entry, zero)))
}

/// The first ones of what is told from the last to the first, in order of time.
fn last(most: usize, backwards: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = backwards.take(most).collect();
    lines.reverse();
    lines
}

/// The rows that decided it, and the last ones before, as many as fit.
fn rows(entries: &[Entry], zero: Duration, expectation: &Expectation, verdict: &Verdict) -> Vec<ObservedRow> {
    let epoch = entries.first().and_then(|entry| match &entry.what {
        Observation::Begun(begun) => begun.epoch.parse::<Timestamp>().ok(),
        _ => None,
    });
    let asked = asked(expectation);
    let kind = match &expectation.subject {
        Subject::Object(object) => object.kind.as_str(),
        Subject::Selection(selection) => selection.kind.as_str(),
        Subject::Event(_) | Subject::Log(_) => "Pod",
    };
    let mut rows: Vec<ObservedRow> = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let Observation::Object(object) = &entry.what else { continue };
        if !is_concerned(&expectation.subject, object) {
            continue;
        }
        let row = ObservedRow {
            t: entry.t.as_secs_f64() - zero.as_secs_f64(),
            object: named(object),
            cells: cells(object, if object.kind == kind { &asked } else { &[] }, epoch, entry.t),
            decisive: verdict.evidence.contains(&position),
        };
        let is_news = rows.iter().rfind(|before| before.object == row.object).is_none_or(|before| !looks_like(before, &row));
        if row.decisive || is_news {
            rows.push(row);
        }
    }
    let mut to_spare = rows.len().saturating_sub(MOST_ROWS);
    rows.retain(|row| {
        let is_spared = !row.decisive && to_spare > 0;
        to_spare -= usize::from(is_spared);
        !is_spared
    });
    let too_many = rows.len().saturating_sub(MOST_ROWS);
    rows.split_off(too_many)
}

fn looks_like(before: &ObservedRow, row: &ObservedRow) -> bool {
    let cells = |row: &ObservedRow| row.cells.iter().filter(|(header, _)| header != "AGE").cloned().collect::<Vec<_>>();
    cells(before) == cells(row)
}

fn named(object: &ObjectObservation) -> String {
    let gone = if object.change == Change::Deleted { " (deleted)" } else { "" };
    format!("{}/{}{gone}", object.kind.to_lowercase(), object.name)
}

/// Whether the expectation is about this object, or about what comes from it.
pub(super) fn is_concerned(subject: &Subject, object: &ObjectObservation) -> bool {
    let is_pod = object.api_version == "v1" && object.kind == "Pod";
    match subject {
        Subject::Object(wanted) => {
            let is_it = object.kind == wanted.kind && object.api_version == wanted.api_version && object.name == wanted.name;
            let is_its_pod =
                is_pod && wanted.kind != "Pod" && object.name.strip_prefix(&wanted.name).is_some_and(|r| r.starts_with('-'));
            is_it || is_its_pod
        }
        Subject::Selection(s) => object.kind == s.kind && object.api_version == s.api_version && s.selector.matches(&object.object),
        Subject::Event(pattern) => {
            pattern.for_object.as_ref().is_some_and(|target| object.kind == target.kind && target.name.matches(&object.name))
        }
        Subject::Log(source) => is_pod && log_lines::is_picked(source, object),
    }
}

/// The rows that the expectation speaks of.
fn asked(expectation: &Expectation) -> Vec<&Row> {
    match &expectation.claim {
        Claim::Sequence { rows, .. } => rows.iter().map(|timed| &timed.row).collect(),
        Claim::Never { row, .. } | Claim::Every { row, .. } => vec![row],
    }
}

/// Kubectl's columns in its order, then what else the expectation asks about.
fn cells(object: &ObjectObservation, asked: &[&Row], epoch: Option<Timestamp>, t: Duration) -> Vec<(String, String)> {
    let known = COLUMNS.iter().find(|(kind, _)| *kind == object.kind).map(|(_, headers)| *headers);
    let headers: Vec<&str> = match known {
        Some(headers) => headers.iter().copied().filter(|header| object.columns.contains_key(*header)).collect(),
        None => object.columns.keys().map(String::as_str).collect(),
    };
    let mut cells: Vec<(String, String)> = Vec::new();
    let mut add = |header: String, cell: String| {
        if cells.iter().all(|(known, _)| *known != header) {
            cells.push((header, cell));
        }
    };
    for header in headers {
        add(header.to_owned(), object.columns[header].clone());
    }
    add("AGE".to_owned(), epoch.and_then(|epoch| age(object, epoch, t)).unwrap_or_else(|| "<unknown>".to_owned()));
    for row in asked {
        for header in row.columns.keys() {
            add(header.clone(), object.columns.get(header).cloned().unwrap_or_else(|| "-".to_owned()));
        }
        for path in row.fields.keys() {
            let value = path.get(&object.object).map_or_else(|| "-".to_owned(), text);
            add(path.to_string(), value);
        }
    }
    cells
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How old the object was when it was seen.
fn age(object: &ObjectObservation, epoch: Timestamp, t: Duration) -> Option<String> {
    let created: Timestamp = object.object.pointer("/metadata/creationTimestamp")?.as_str()?.parse().ok()?;
    let now = epoch.checked_add(SignedDuration::try_from(t).ok()?).ok()?;
    Some(human_duration(now.duration_since(created).as_secs().max(0)))
}

/// A length of time in seconds as kubectl prints it (`apimachinery/pkg/util/duration/duration.go:HumanDuration`).
fn human_duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if days < 2920 => two(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// `t+12.0s`; before the action `t-3.0s`.
fn since(t: Duration, zero: Duration) -> String {
    format!("t{:+.1}s", t.as_secs_f64() - zero.as_secs_f64())
}

fn event(entry: &Entry, zero: Duration) -> Option<String> {
    let Observation::Object(event) = &entry.what else { return None };
    if event.kind != "Event" || event.change == Change::Deleted {
        return None;
    }
    let text = |pointer| event.object.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let about = format!("{}/{}", text("/involvedObject/kind").to_lowercase(), text("/involvedObject/name"));
    let times = match occurrences(&event.object) {
        1 => String::new(),
        n => format!(" (x{n})"),
    };
    Some(format!("{}  {}  {}  {about}  {}{times}", since(entry.t, zero), text("/type"), text("/reason"), text("/message")))
}

fn log_line(entry: &Entry, zero: Duration, expectation: &Expectation) -> Option<String> {
    let Observation::Log(line) = &entry.what else { return None };
    if !may_concern(&expectation.subject, line) {
        return None;
    }
    let instance = &line.instance;
    Some(format!("{}  {}/{}[{}]  {}", since(entry.t, zero), instance.pod, instance.container, instance.restart, line.line))
}

/// Whether the line may tell something about the subject: it is not that of another Pod.
fn may_concern(subject: &Subject, line: &LogLine) -> bool {
    match subject {
        Subject::Object(object) if object.kind == "Pod" => object.name == line.instance.pod,
        Subject::Log(LogSource { pod: PodPick::Name(name), container, .. }) => {
            *name == line.instance.pod && container.as_ref().is_none_or(|container| *container == line.instance.container)
        }
        Subject::Event(pattern) => {
            pattern.for_object.as_ref().is_none_or(|target| target.kind != "Pod" || target.name.matches(&line.instance.pod))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0s")]
    #[case(119, "119s")]
    #[case(120, "2m")]
    #[case(125, "2m5s")]
    #[case(600, "10m")]
    #[case(10_799, "179m")]
    #[case(10_800, "3h")]
    #[case(11_100, "3h5m")]
    #[case(28_800, "8h")]
    #[case(172_800, "2d")]
    #[case(176_400, "2d1h")]
    #[case(691_200, "8d")]
    #[case(63_072_000, "2y")]
    #[case(63_158_400, "2y1d")]
    #[case(252_288_000, "8y")]
    fn ages_read_as_kubectl_prints_them(#[case] seconds: i64, #[case] expected: &str) {
        assert_eq!(human_duration(seconds), expected);
    }
}
