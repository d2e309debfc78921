//! What a subject looks like at a moment, and whether a row is like it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::scenario::describe::count_range;
use crate::scenario::{CountRange, LastTermination, Row};
use crate::timeline::ObjectObservation;

/// How many objects a selection must have if it does not say so.
pub(super) const AT_LEAST_ONE: CountRange = 1..=u32::MAX;

/// The objects of a selection, by name.
pub(super) type Members = BTreeMap<String, Arc<ObjectObservation>>;

/// What a subject looks like at a moment. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum View<'a> {
    /// One object; none while it does not exist.
    Object(Option<Arc<ObjectObservation>>),
    /// The objects of a selection, taken together, and how many they must be.
    Selection(Arc<Members>, CountRange),
    /// A line of a log.
    Line(Cow<'a, str>),
    /// How many matching events have occurred in this step, and how many must at least.
    Occurrences(u32, u32),
}

impl View<'_> {
    /// Whether the view is like the row.
    pub(super) fn is_like(&self, row: &Row) -> bool {
        match self {
            Self::Object(object) => object_is_like(row, object.as_deref()),
            Self::Selection(members, count) if row.exists == Some(false) => {
                members.is_empty() && (*count == AT_LEAST_ONE || counts(members, count))
            }
            Self::Selection(members, count) => {
                counts(members, count) && members.values().all(|object| object_is_like(row, Some(object)))
            }
            Self::Line(line) => row.line.as_ref().is_none_or(|wanted| wanted.matches(line)),
            Self::Occurrences(seen, wanted) => seen >= wanted,
        }
    }

    /// Whether the view holds what a `never` forbids.
    pub(super) fn violates(&self, row: &Row) -> bool {
        match self {
            Self::Selection(members, _) if row.exists == Some(false) => members.is_empty(),
            Self::Selection(members, _) => {
                let like = members.values().filter(|object| object_is_like(row, Some(object))).count();
                row.count.as_ref().map_or(like > 0, |count| is_in(like, count))
            }
            other => other.is_like(row),
        }
    }

    /// How many conditions of the row the view meets; to find the nearest miss.
    pub(super) fn score(&self, row: &Row) -> usize {
        match self {
            Self::Object(object) => object.as_deref().map_or(0, |object| object_score(row, object)),
            Self::Selection(members, _) => members.values().map(|object| 1 + object_score(row, object)).sum(),
            Self::Line(_) => 0,
            Self::Occurrences(seen, _) => *seen as usize,
        }
    }

    /// The view in words, with what the row asks about.
    pub(super) fn describe(&self, row: &Row) -> String {
        match self {
            Self::Object(None) => "no such object".to_owned(),
            Self::Object(Some(object)) => describe_object(row, object),
            Self::Selection(members, _) if members.is_empty() => "none of them".to_owned(),
            Self::Selection(members, count) => {
                let wanted =
                    if counts(members, count) { String::new() } else { format!(" where {} are wanted", count_range(count)) };
                format!("{} of them{wanted}: {}", members.len(), each(row, members.values()))
            }
            Self::Line(line) => format!("the line `{line}`"),
            Self::Occurrences(1, 1) => "the event".to_owned(),
            Self::Occurrences(seen, wanted) => format!("{seen} of {wanted} occurrences"),
        }
    }

    /// What a `never` forbids, in words.
    pub(super) fn describe_violation(&self, row: &Row) -> String {
        match self {
            Self::Selection(members, _) if !says_nothing(row) => {
                let like: Vec<_> = members.values().filter(|object| object_is_like(row, Some(object))).collect();
                if like.is_empty() { self.describe(row) } else { each(row, like.into_iter()) }
            }
            other => other.describe(row),
        }
    }

    /// The view without its borrows, to be described later.
    pub(super) fn into_owned(self) -> View<'static> {
        match self {
            Self::Object(object) => View::Object(object),
            Self::Selection(members, count) => View::Selection(members, count),
            Self::Line(line) => View::Line(Cow::Owned(line.into_owned())),
            Self::Occurrences(seen, wanted) => View::Occurrences(seen, wanted),
        }
    }
}

fn each<'a>(row: &Row, objects: impl Iterator<Item = &'a Arc<ObjectObservation>>) -> String {
    let one = |object: &Arc<ObjectObservation>| {
        if says_nothing(row) { object.name.clone() } else { format!("{}: {}", object.name, describe_object(row, object)) }
    };
    objects.map(one).collect::<Vec<_>>().join("; ")
}

fn counts(members: &Members, range: &CountRange) -> bool {
    is_in(members.len(), range)
}

fn is_in(count: usize, range: &CountRange) -> bool {
    range.contains(&u32::try_from(count).unwrap_or(u32::MAX))
}

fn says_nothing(row: &Row) -> bool {
    row.columns.is_empty() && row.fields.is_empty() && row.exists.is_none() && row.last_termination.is_none()
}

fn object_is_like(row: &Row, object: Option<&ObjectObservation>) -> bool {
    match (row.exists, object) {
        (Some(false), object) => object.is_none(),
        (_, None) => false,
        (_, Some(object)) => conditions(row, object).all(|met| met),
    }
}

fn object_score(row: &Row, object: &ObjectObservation) -> usize {
    conditions(row, object).filter(|met| *met).count()
}

fn conditions<'a>(row: &'a Row, object: &'a ObjectObservation) -> impl Iterator<Item = bool> + 'a {
    let columns = row.columns.iter().map(|(header, wanted)| object.columns.get(header).is_some_and(|cell| wanted.matches(cell)));
    let fields = row.fields.iter().map(|(path, wanted)| wanted.matches_json(path.get(&object.object).unwrap_or(&Value::Null)));
    let termination = row.last_termination.iter().map(|wanted| terminations(wanted, &object.object).any(|t| ended_like(wanted, t)));
    columns.chain(fields).chain(termination)
}

fn terminations<'a>(wanted: &'a LastTermination, pod: &'a Value) -> impl Iterator<Item = &'a Value> {
    let statuses =
        ["/status/containerStatuses", "/status/initContainerStatuses"].into_iter().filter_map(|p| pod.pointer(p)?.as_array());
    let of_container =
        |status: &&Value| wanted.container.as_deref().is_none_or(|name| status.get("name").and_then(Value::as_str) == Some(name));
    // A container that has ended is only the last one once another has taken its place.
    let last = |status: &'a Value| ["/state/terminated", "/lastState/terminated"].iter().find_map(|p| status.pointer(p));
    statuses.flatten().filter(of_container).filter_map(last)
}

fn ended_like(wanted: &LastTermination, terminated: &Value) -> bool {
    let is = |matcher: &Option<crate::scenario::ValueMatch>, field: &str| {
        matcher.as_ref().is_none_or(|wanted| wanted.matches_json(terminated.get(field).unwrap_or(&Value::Null)))
    };
    is(&wanted.reason, "reason") && is(&wanted.exit_code, "exitCode")
}

fn describe_object(row: &Row, object: &ObjectObservation) -> String {
    let mut parts: Vec<String> = if row.columns.is_empty() && row.fields.is_empty() && row.last_termination.is_none() {
        vec!["it exists".to_owned()]
    } else {
        row.columns_in_order()
            .map(|(header, _)| format!("{header} {}", object.columns.get(header).map_or("-", String::as_str)))
            .collect()
    };
    parts.extend(row.fields.keys().map(|path| match path.get(&object.object) {
        Some(value) => format!("{path} = {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        None => format!("{path} is not set"),
    }));
    if let Some(wanted) = &row.last_termination {
        let ends: Vec<_> = terminations(wanted, &object.object).map(describe_termination).collect();
        parts.push(if ends.is_empty() { "no container has ended".to_owned() } else { ends.join(", ") });
    }
    parts.join(", ")
}

fn describe_termination(terminated: &Value) -> String {
    let text = |field: &str| {
        terminated.get(field).map_or_else(|| "-".to_owned(), |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    };
    format!("last ended with reason {} and exit code {}", text("reason"), text("exitCode"))
}
