//! Reads rows and their times.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::decoder::{Decoder, Fields, kind_of, nearest};
use super::describe::duration;
use super::kinds;
use super::matcher::{FieldPath, Segment, ValueMatch};
use super::model::{CountRange, DEFAULT_DEADLINE, LastTermination, Row, When};
use super::shapes;
use crate::yaml::{Node, Tree};

/// The kind of the objects whose rows are read.
#[derive(Clone, Copy)]
pub(super) struct RowKind<'k> {
    pub(super) api_version: &'k str,
    pub(super) kind: &'k str,
}

/// Keys that stand for columns.
const COLUMN_KEYS: [(&str, &str); 7] = [
    ("ready", "READY"),
    ("status", "STATUS"),
    ("restarts", "RESTARTS"),
    ("up-to-date", "UP-TO-DATE"),
    ("available", "AVAILABLE"),
    ("desired", "DESIRED"),
    ("current", "CURRENT"),
];

/// The value of `row:`.
pub(super) fn row(dx: &mut Decoder<'_>, node: &Node, kind: RowKind<'_>) -> Option<Row> {
    let fields = dx.fields(node, &shapes::ROW)?;
    content(dx, &fields, kind)
}

/// What a row says of its object.
pub(super) fn content(dx: &mut Decoder<'_>, fields: &Fields<'_>, kind: RowKind<'_>) -> Option<Row> {
    let before = dx.errors();
    let mut row = Row { columns: columns(dx, fields, kind), fields: paths(dx, fields, kind), ..Row::default() };
    row.last_termination = fields.get("last-termination").and_then(|node| last_termination(dx, node));
    if fields.has("last-termination") && kind.kind != "Pod" {
        dx.error(fields.key_span("last-termination"), format!("a {} has no containers that end", kind.kind), "only Pods have");
    }
    row.exists = fields.get("exists").and_then(|node| dx.boolean(node, "`exists`"));
    if dx.errors() > before || fields.is_mistyped() {
        return None;
    }
    let says_more = !row.columns.is_empty() || !row.fields.is_empty() || row.last_termination.is_some();
    match row.exists {
        Some(false) if says_more => {
            dx.error(fields.key_span("exists"), "what does not exist has no columns and fields", "leave them out");
            None
        }
        None if says_more => Some(Row { exists: Some(true), ..row }),
        _ => Some(row),
    }
}

fn columns(dx: &mut Decoder<'_>, fields: &Fields<'_>, kind: RowKind<'_>) -> BTreeMap<String, ValueMatch> {
    let mut columns = BTreeMap::new();
    for (key, header) in COLUMN_KEYS {
        let Some(node) = fields.get(key) else { continue };
        if !known_column(dx, fields.key_span(key), key, header, kind) {
            continue;
        }
        if let Some(matcher) = dx.matcher(node, &format!("`{key}`"))
            && can_be_met(dx, node, header, &matcher, kind)
        {
            columns.insert(header.to_owned(), matcher);
        }
    }
    let Some(node) = fields.get("columns") else { return columns };
    for (key, value) in entries(dx, node, "`columns`", "columns: {NODE: /worker/}") {
        let header = key.as_text().unwrap_or_default().to_uppercase();
        if !known_column(dx, &key.span, &header, &header, kind) {
            continue;
        }
        if let Some(matcher) = dx.matcher(value, &format!("`{header}`"))
            && can_be_met(dx, value, &header, &matcher, kind)
            && columns.insert(header.clone(), matcher).is_some()
        {
            dx.error(&key.span, format!("the column {header} is given twice"), "remove one of the two");
        }
    }
    columns
}

/// Whether the column can ever be as asked for: READY of what has replicas or containers is `1/2`, other numbers are whole ones.
fn can_be_met(dx: &mut Decoder<'_>, node: &Node, header: &str, wanted: &ValueMatch, kind: RowKind<'_>) -> bool {
    let counts_parts = header == "READY" && matches!(kind.kind, "Pod" | "Deployment" | "StatefulSet");
    let counts = matches!(header, "RESTARTS" | "UP-TO-DATE" | "AVAILABLE" | "DESIRED" | "CURRENT" | "READY")
        && kinds::columns(kind.api_version, kind.kind).is_some();
    let problem = match wanted {
        ValueMatch::Equal(text) if counts_parts => match parts(text) {
            Some((ready, all)) if ready > all => Some((format!("`{text}`: more cannot be ready than there are"), "such as `1/2`")),
            Some(_) => None,
            None => Some((format!("READY is never `{text}`"), "it is how many of how many are ready, such as `1/2`")),
        },
        ValueMatch::Between(..) if counts_parts => {
            Some((format!("READY is no number: it is never `{wanted}`"), "write how many of how many are ready, such as `1/2`"))
        }
        ValueMatch::Equal(text) if counts && text.split(" (").next().is_none_or(|number| number.parse::<u32>().is_err()) => {
            Some((format!("{header} is never `{text}`"), "it is a whole number, such as `0` or `1..3`"))
        }
        ValueMatch::Between(_, high) if counts && *high < 0 => {
            Some((format!("{header} is never `{wanted}`: it counts from 0"), "such as `0` or `1..3`"))
        }
        ValueMatch::Equal(text) if is_pattern_with_flags(text) => Some((
            format!("`{text}` is a text, not a regular expression: those have nothing behind their last `/`"),
            "to ignore case write `/(?i)…/`",
        )),
        _ => None,
    };
    let is_possible = problem.is_none();
    if let Some((message, help)) = problem {
        dx.error(&node.span, message, help);
    }
    is_possible
}

/// `1/2`.
fn parts(text: &str) -> Option<(u32, u32)> {
    let (ready, all) = text.split_once('/')?;
    Some((ready.parse().ok()?, all.parse().ok()?))
}

/// `/text/i`, as other languages write it.
fn is_pattern_with_flags(text: &str) -> bool {
    let behind = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    behind.is_some_and(|(inside, flags)| !inside.is_empty() && !flags.is_empty() && flags.chars().all(|c| "gimsuxy".contains(c)))
}

fn known_column(dx: &mut Decoder<'_>, span: &Range<usize>, written: &str, header: &str, kind: RowKind<'_>) -> bool {
    let (message, help) = match (header, kinds::columns(kind.api_version, kind.kind)) {
        ("AGE", _) => ("the age is not a column here".to_owned(), "say when with `by` or `at`".to_owned()),
        ("NAME", _) => ("the name is not a column here".to_owned(), "the expectation names its object".to_owned()),
        (_, Some(known)) if !known.contains(&header) => {
            let help = match nearest(header, known.iter()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("its columns are {}", known.join(", ")),
            };
            (format!("`kubectl get` prints no column `{written}` of a {}", kind.kind), help)
        }
        _ => return true,
    };
    dx.error(span, message, help);
    false
}

fn paths(dx: &mut Decoder<'_>, fields: &Fields<'_>, kind: RowKind<'_>) -> BTreeMap<FieldPath, ValueMatch> {
    let mut paths = BTreeMap::new();
    let Some(node) = fields.get("fields") else { return paths };
    for (key, value) in entries(dx, node, "`fields`", "fields: {status.phase: Running}") {
        let path = dx.matched(FieldPath::parse(key.as_text().unwrap_or_default()), key);
        let matcher = match &value.tree {
            Tree::Scalar(_) if value.is_null() => Some(ValueMatch::Equal("null".to_owned())),
            _ => dx.matcher(value, "the field's value"),
        };
        if let (Some(path), Some(matcher)) = (path, matcher) {
            let is_value = matches!(path.segments().first(), Some(Segment::Field(name)) if name == "data" || name == "stringData");
            if (kind.api_version, kind.kind) == ("v1", "Secret") && is_value && !value.is_null() {
                let help = "ask whether the Secret exists, for `null` (the key is not there), or for the number of keys: `columns: {DATA: 2}`";
                dx.error(&value.span, "the values of a Secret are not observed", help);
                continue;
            }
            paths.insert(path, matcher);
        }
    }
    paths
}

fn entries<'n>(dx: &mut Decoder<'_>, node: &'n Node, what: &str, example: &str) -> &'n [(Node, Node)] {
    match &node.tree {
        Tree::Mapping(entries) if !entries.is_empty() => return entries,
        Tree::Mapping(_) => dx.error(&node.span, format!("{what} is an empty mapping"), format!("such as `{example}`")),
        _ => dx.error(&node.span, format!("{what} must be a mapping, not {}", kind_of(node)), format!("such as `{example}`")),
    }
    &[]
}

fn last_termination(dx: &mut Decoder<'_>, node: &Node) -> Option<LastTermination> {
    let fields = dx.fields(node, &shapes::LAST_TERMINATION)?;
    if fields.present(&["reason", "exit-code"]).is_empty() && !fields.is_mistyped() {
        dx.error(fields.span(), "`last-termination` needs `reason` or `exit-code`", "such as `{reason: Error, exit-code: 2}`");
        return None;
    }
    let container = fields.get("container").and_then(|node| dx.text(node, "`container`")).map(str::to_owned);
    let reason = fields.get("reason").and_then(|node| dx.matcher(node, "`reason`"));
    let exit_code = fields.get("exit-code").and_then(|node| dx.matcher(node, "`exit-code`"));
    Some(LastTermination { container, reason, exit_code })
}

/// A number of objects: `3`, `3..4`, `>=2`, `<=4`.
pub(super) fn count(dx: &mut Decoder<'_>, node: &Node) -> Option<CountRange> {
    let matcher = dx.matcher(node, "`count`")?;
    let bound = |n: i64| u32::try_from(n.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX);
    let range = match &matcher {
        ValueMatch::Equal(text) => text.parse().ok().map(|n: u32| n..=n),
        ValueMatch::Between(low, high) if *high >= 0 => Some(bound(*low)..=bound(*high)),
        _ => None,
    };
    if range.is_none() {
        dx.error(&node.span, format!("`{matcher}` is not a number of objects"), "write `3`, `3..4` or `\">=3\"`");
    }
    range
}

/// The times of a row as they are written; what is left out is filled in by [`settle`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) earliest: Option<Duration>,
    pub(super) latest: Option<Duration>,
    pub(super) hold: Option<Duration>,
}

/// Reads `by`, `at` and, where it may stand, `for`.
pub(super) fn times(dx: &mut Decoder<'_>, fields: &Fields<'_>, hold: bool) -> Option<Times> {
    let by = fields.get("by").and_then(|node| dx.positive_duration(node, "`by`"));
    let at = fields.get("at").and_then(|node| window(dx, node));
    let hold = if hold { fields.get("for").and_then(|node| dx.positive_duration(node, "`for`")) } else { None };
    if fields.has("by") && fields.has("at") {
        dx.error(fields.key_span("by"), "`by` and `at` are given together", "`at: 20s..30s` has a deadline already: its end");
        return None;
    }
    if fields.has("by") && by.is_none() || fields.has("at") && at.is_none() {
        return None;
    }
    Some(Times { earliest: at.map(|(from, _)| from), latest: by.or(at.map(|(_, to)| to)), hold })
}

/// `20s..30s`.
fn window(dx: &mut Decoder<'_>, node: &Node) -> Option<(Duration, Duration)> {
    let text = dx.text(node, "`at`")?;
    let Some((from, to)) = text.split_once("..") else {
        let help = match super::duration::parse(text) {
            Ok(_) => format!("nothing happens at an instant: write a window around it, or `by: {text}`"),
            Err(_) => "such as `20s..30s`".to_owned(),
        };
        dx.error(&node.span, format!("`at` must be a window, not `{text}`"), help);
        return None;
    };
    let from = dx.duration_text(from.trim(), &node.span);
    let to = dx.duration_text(to.trim(), &node.span);
    let (from, to) = (from?, to?);
    if from < to {
        return Some((from, to));
    }
    let (message, help) = if from == to {
        (
            "the window is empty",
            format!("write a window with some width, such as `{}..{}`", duration(from), duration(to + Duration::from_secs(5))),
        )
    } else {
        ("the window ends before it begins", format!("write `{}..{}`", duration(to), duration(from)))
    };
    dx.error(&node.span, format!("{message}: `{text}`"), help);
    None
}

/// Fills in the times that are left out: a row without a deadline takes that of the next row that has one; after the last
/// such row it is [`DEFAULT_DEADLINE`] later.
pub(super) fn settle(times: &[Times]) -> Vec<When> {
    let last_named = times.iter().rev().find_map(|t| t.latest).unwrap_or_default();
    let mut latest = last_named + DEFAULT_DEADLINE;
    let mut whens: Vec<_> = times
        .iter()
        .rev()
        .map(|t| {
            latest = t.latest.unwrap_or(latest);
            When { earliest: t.earliest.unwrap_or_default(), latest, hold: t.hold.unwrap_or_default() }
        })
        .collect();
    whens.reverse();
    whens
}

/// Reports rows that cannot follow each other: a Pod's containers are never restarted fewer times than before.
pub(super) fn check_restarts<'r>(dx: &mut Decoder<'_>, rows: impl IntoIterator<Item = (&'r Row, Range<usize>)>) {
    let mut least = 0;
    for (row, span) in rows {
        if row.exists == Some(false) {
            least = 0;
        }
        let (low, high) = match row.columns.get("RESTARTS") {
            Some(ValueMatch::Equal(text)) => match text.parse() {
                Ok(n) => (n, n),
                Err(_) => continue,
            },
            Some(ValueMatch::Between(low, high)) => (*low, *high),
            _ => continue,
        };
        if high < least {
            let help = "restarts only grow; between two Pods of one name stands a row `{exists: false}`";
            dx.error(&span, format!("RESTARTS cannot go back from {least} to {high}"), help);
        }
        least = least.max(low);
    }
}

/// Reports rows whose times cannot follow each other.
pub(super) fn check_order(dx: &mut Decoder<'_>, whens: &[When], nodes: &[Node]) {
    let mut reached = Duration::ZERO;
    for (i, (when, node)) in whens.iter().zip(nodes).enumerate() {
        if when.latest < reached {
            let message = format!(
                "this row is due by {}, but the rows before it take until {} at the earliest",
                duration(when.latest),
                duration(reached)
            );
            dx.error(
                &node.span,
                message,
                format!("row {} comes after row {i}: give it a later time, or change their order", i + 1),
            );
        }
        reached = reached.max(when.earliest) + when.hold;
    }
}
