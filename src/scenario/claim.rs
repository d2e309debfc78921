//! Reads what is claimed, and when it is due.

use std::time::Duration;

use super::decoder::{Decoder, Fields};
use super::describe::duration;
use super::matcher::ValueMatch;
use super::model::{Between, Claim, DEFAULT_DEADLINE, Quantifier, Row, Selection, TimedRow, When};
use super::printed;
use super::row::{self, RowKind, Times};
use super::shapes;
use crate::yaml::Node;

/// How much the time between two occurrences may differ from the period if nothing is said.
const DEFAULT_TOLERANCE: Duration = Duration::from_secs(1);
/// How many occurrences must be seen if nothing is said.
const DEFAULT_TIMES: u32 = 3;

/// What the claim depends on of its subject.
pub(super) struct About<'s> {
    pub(super) kind: RowKind<'s>,
    /// The object's name; none for a selection.
    pub(super) name: Option<&'s str>,
    selection: Option<&'s Selection>,
}

impl<'s> About<'s> {
    pub(super) fn object(kind: RowKind<'s>, name: &'s str) -> Self {
        Self { kind, name: Some(name), selection: None }
    }

    pub(super) fn selection(selection: &'s Selection) -> Self {
        let kind = RowKind { api_version: &selection.api_version, kind: &selection.kind };
        Self { kind, name: None, selection: Some(selection) }
    }
}

/// What is claimed of objects.
pub(super) fn of_objects(dx: &mut Decoder<'_>, fields: &Fields<'_>, about: &About<'_>) -> Option<Claim> {
    let counted = about.selection.is_some_and(|selection| selection.count.is_some());
    if counted && fields.present(&["row", "rows", "never", "printed"]).is_empty() {
        return one_row(dx, fields, Some(Row::default()));
    }
    match dx.one_of(fields, &["row", "rows", "never", "printed"], "an expectation says what is seen; this one does not")? {
        "row" => {
            let read = fields.get("row").and_then(|node| {
                let row = row::row(dx, node, about.kind)?;
                let row = says_something(dx, node, row)?;
                agrees_with_count(dx, node, row, about)
            });
            one_row(dx, fields, read)
        }
        "rows" => rows(dx, fields, about),
        "never" => never_row(dx, fields, about),
        _ => printed::table(dx, fields, about),
    }
}

fn says_something(dx: &mut Decoder<'_>, node: &Node, row: Row) -> Option<Row> {
    if is_empty(&row) {
        dx.error(&node.span, "the row says nothing", "such as `row: {ready: 1/1, status: Running}`, or `row: {exists: true}`");
        return None;
    }
    Some(row)
}

/// Of no objects nothing can be said, and of some not that they do not exist.
fn agrees_with_count(dx: &mut Decoder<'_>, node: &Node, row: Row, about: &About<'_>) -> Option<Row> {
    let Some(count) = about.selection.and_then(|selection| selection.count.as_ref()) else { return Some(row) };
    let problem = match row.exists {
        Some(false) if *count.start() > 0 => "they are counted, so they exist",
        Some(true) if *count.end() == 0 => "`count: 0` says that there are none, so nothing can be seen of them",
        _ => return Some(row),
    };
    dx.error(&node.span, problem, "leave out the row: a `count` alone says how many there are");
    None
}

fn is_empty(row: &Row) -> bool {
    row.columns.is_empty() && row.fields.is_empty() && row.exists.is_none() && row.last_termination.is_none() && row.count.is_none()
}

fn one_row(dx: &mut Decoder<'_>, fields: &Fields<'_>, row: Option<Row>) -> Option<Claim> {
    dx.none_beside(fields, &["between"], "row", "it says what may come between several `rows`");
    dx.none_beside(fields, &["tolerance"], "row", "a window has its width; `tolerance` belongs to `printed`");
    let times = row::times(dx, fields, true)?;
    let location = dx.source.location(fields.span().start);
    Some(sequence(vec![(row?, location)], &row::settle(&[times]), Between::Any))
}

fn sequence(rows: Vec<(Row, super::Location)>, whens: &[When], between: Between) -> Claim {
    let rows = rows.into_iter().zip(whens).map(|((row, location), when)| TimedRow { row, when: *when, location });
    Claim::Sequence { rows: rows.collect(), between }
}

fn rows(dx: &mut Decoder<'_>, fields: &Fields<'_>, about: &About<'_>) -> Option<Claim> {
    dx.none_beside(fields, &["by", "at", "for"], "rows", "each row has times of its own: `{ready: 1/1, by: 15s}`");
    dx.none_beside(fields, &["tolerance"], "rows", "each row's window has its width");
    let between = between(dx, fields);
    let nodes = dx.list(fields.get("rows")?, "`rows`")?;
    if about.selection.is_some_and(|selection| selection.quantifier == Quantifier::All) && nodes.len() > 1 {
        let help = "say `match: each` with a `count`, or make an expectation of each row";
        dx.error(
            fields.key_span("rows"),
            "the `rows` of a selection need `match: each`: each object passes them at its own time",
            help,
        );
    }
    let claim = timed(dx, nodes, between, |dx, node| {
        let fields = dx.fields(node, &shapes::TIMED_ROW)?;
        let row = row::content(dx, &fields, about.kind).and_then(|row| says_something(dx, node, row));
        let times = row::times(dx, &fields, true);
        Some((row?, times?))
    })?;
    if let Claim::Sequence { rows, .. } = &claim {
        row::check_restarts(dx, rows.iter().zip(nodes).map(|(timed, node)| (&timed.row, node.span.clone())));
    }
    Some(claim)
}

/// Rows or lines with times of their own, in their order.
fn timed(
    dx: &mut Decoder<'_>,
    nodes: &[Node],
    between: Option<Between>,
    mut read: impl FnMut(&mut Decoder<'_>, &Node) -> Option<(Row, Times)>,
) -> Option<Claim> {
    let read: Vec<_> = nodes.iter().map(|node| Some((read(dx, node)?, dx.source.location(node.span.start)))).collect();
    let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    let times: Vec<_> = read.iter().map(|((_, times), _)| *times).collect();
    let whens = row::settle(&times);
    row::check_order(dx, &whens, nodes);
    Some(sequence(read.into_iter().map(|((row, _), location)| (row, location)).collect(), &whens, between?))
}

pub(super) fn between(dx: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<Between> {
    match fields.get("between") {
        None => Some(Between::Listed),
        Some(node) => {
            dx.word(node, "`between`", &["listed", "any"]).map(|word| if word == "any" { Between::Any } else { Between::Listed })
        }
    }
}

fn never_row(dx: &mut Decoder<'_>, fields: &Fields<'_>, about: &About<'_>) -> Option<Claim> {
    dx.none_beside(fields, &["by", "at"], "never", "what must never be has no deadline; `for` says how long it is watched");
    dx.none_beside(fields, &["between", "tolerance"], "never", "leave it out");
    let hold = hold(dx, fields);
    let node = fields.get("never")?;
    let never = dx.fields(node, &shapes::NEVER_ROW)?;
    let row = row::content(dx, &never, about.kind);
    let count = never.get("count").and_then(|node| row::count(dx, node));
    if never.has("count") && about.selection.is_none() {
        dx.error(
            never.key_span("count"),
            "one object is not counted",
            "a `count` belongs to a selection, such as `pods: {selector: app=web}`",
        );
        return None;
    }
    let row = Row { count, ..row? };
    Some(Claim::Never { row: says_something(dx, node, row)?, hold })
}

fn hold(dx: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<Duration> {
    fields.get("for").and_then(|node| dx.positive_duration(node, "`for`"))
}

/// What is claimed of events.
pub(super) fn of_events(dx: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<Claim> {
    if let Some(node) = fields.get("never") {
        let help = "an event that must never be seen has no other times than `for`";
        dx.none_beside(fields, &["by", "at", "every", "tolerance", "times"], "never", help);
        let never = dx.boolean(node, "`never`");
        let hold = hold(dx, fields);
        if never == Some(false) {
            dx.error(&node.span, "`never: false` says nothing", "leave it out");
            return None;
        }
        return never.map(|_| Claim::Never { row: Row::default(), hold });
    }
    dx.none_beside(fields, &["for"], "event", "an event happens; it does not last");
    if fields.has("every") {
        return every(dx, fields, Row::default());
    }
    only_with_every(dx, fields);
    let times = row::times(dx, fields, false)?;
    let location = dx.source.location(fields.span().start);
    Some(sequence(vec![(Row::default(), location)], &row::settle(&[times]), Between::Any))
}

fn only_with_every(dx: &mut Decoder<'_>, fields: &Fields<'_>) {
    for key in fields.present(&["tolerance", "times"]) {
        dx.error(fields.key_span(key), format!("`{key}` needs `every`"), "such as `every: 5s`");
    }
}

fn every(dx: &mut Decoder<'_>, fields: &Fields<'_>, row: Row) -> Option<Claim> {
    dx.none_beside(fields, &["at"], "every", "`by` says when the first one is due");
    let period = fields.get("every").and_then(|node| dx.positive_duration(node, "`every`"));
    let tolerance = fields.get("tolerance").map_or(Some(DEFAULT_TOLERANCE), |node| dx.duration(node, "`tolerance`"));
    let times = fields.get("times").map_or(Some(DEFAULT_TIMES), |node| dx.number(node, "`times`", 2, 100_000));
    let first_by = fields.get("by").map_or(Some(DEFAULT_DEADLINE), |node| dx.positive_duration(node, "`by`"));
    let (period, tolerance) = (period?, tolerance?);
    if tolerance >= period {
        let message = format!("the tolerance {} is not less than the period {}", duration(tolerance), duration(period));
        dx.error(fields.key_span("every"), message, "anything would be right: give a smaller `tolerance`");
        return None;
    }
    Some(Claim::Every { row, period, tolerance, times: times?, first_by: first_by? })
}

/// What is claimed of a log.
pub(super) fn of_log(dx: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<Claim> {
    match dx.one_of(fields, &["line", "lines", "never"], "an expectation on a log says which line")? {
        "line" => {
            dx.none_beside(fields, &["for"], "line", "a line is written; it does not last");
            let line = fields.get("line").and_then(|node| dx.part_matcher(node, "`line`")).map(line_row);
            if fields.has("every") {
                return every(dx, fields, line?);
            }
            only_with_every(dx, fields);
            let times = row::times(dx, fields, false)?;
            let location = dx.source.location(fields.span().start);
            Some(sequence(vec![(line?, location)], &row::settle(&[times]), Between::Any))
        }
        "lines" => lines(dx, fields),
        _ => {
            let help = "a line that must never be seen has no other times than `for`";
            dx.none_beside(fields, &["by", "at", "every", "tolerance", "times"], "never", help);
            let line = fields.get("never").and_then(|node| dx.part_matcher(node, "`never`"));
            let hold = hold(dx, fields);
            Some(Claim::Never { row: line_row(line?), hold })
        }
    }
}

fn line_row(line: ValueMatch) -> Row {
    Row { line: Some(line), ..Row::default() }
}

fn lines(dx: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<Claim> {
    let help = "each line has times of its own: `{line: …, by: 15s}`";
    dx.none_beside(fields, &["by", "at", "for", "every", "tolerance", "times"], "lines", help);
    let nodes = dx.list(fields.get("lines")?, "`lines`")?;
    timed(dx, nodes, Some(Between::Any), |dx, node| {
        let fields = dx.fields(node, &shapes::TIMED_LINE)?;
        let line = dx.required(&fields, "line", "line: Starting server").and_then(|node| dx.part_matcher(node, "`line`"));
        let times = row::times(dx, &fields, false);
        Some((line_row(line?), times?))
    })
}
