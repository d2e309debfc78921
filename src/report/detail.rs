//! What is shown of a case that went wrong, as plain printable lines; the formats differ in what they put around them.

use std::collections::BTreeMap;

use super::case::Case;
use super::model::{FailureContext, ObservedRow};
use super::text::{align, lines, printable, since_action};

/// What is shown of a case that went wrong.
pub(super) struct Detail {
    /// What came of it and when: `fail (too late) at t+31.0s`.
    pub(super) heading: String,
    /// Why, a sentence or a few lines.
    pub(super) message: Vec<String>,
    /// What was expected, what came nearest, what the cause is.
    pub(super) facts: Vec<(&'static str, String)>,
    /// The rows around it, a table for each set of columns.
    pub(super) tables: Vec<Vec<Line>>,
    /// The last events.
    pub(super) events: Vec<String>,
    /// The last log lines.
    pub(super) log: Vec<String>,
    /// What the reader may try.
    pub(super) hint: Option<String>,
}

/// A line of a table.
pub(super) struct Line {
    /// It decided the verdict.
    pub(super) decisive: bool,
    pub(super) text: String,
}

impl Detail {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let at = case.decided().map(|t| format!(" at {}", since_action(t.as_secs_f64()))).unwrap_or_default();
        let verdict = case.verdict();
        let facts = [
            ("expected", verdict.and_then(|v| v.expected.as_ref())),
            ("nearest miss", verdict.and_then(|v| v.nearest_miss.as_ref())),
            ("cause", verdict.and_then(|v| v.cause.as_ref())),
        ];
        let nothing = FailureContext::default();
        let context = case.expectation.and_then(|e| e.context.as_ref()).unwrap_or(&nothing);
        Self {
            heading: format!("{}{at}", case.words()),
            message: case.message.iter().flat_map(|message| lines(message)).collect(),
            facts: facts.into_iter().filter_map(|(name, fact)| Some((name, printable(fact?)))).chain(seeds(case)).collect(),
            tables: tables(&context.rows),
            events: context.events.iter().map(|line| printable(line)).collect(),
            log: context.log.iter().map(|line| printable(line)).collect(),
            hint: context.hint.as_deref().map(printable),
        }
    }
}

/// In which of many histories it came to this.
fn seeds(case: &Case<'_>) -> Option<(&'static str, String)> {
    let histories = case.expectation?.histories.as_ref()?;
    let (failed, judged, seed) = (histories.not_passed.len(), histories.judged, histories.seed);
    Some(("histories", format!("{failed} of {judged} did not pass; this one is `--seed {seed}`")))
}

/// The rows as kubectl prints them, a table for each set of columns, in the order in which these appear.
fn tables(rows: &[ObservedRow]) -> Vec<Vec<Line>> {
    let mut kinds: Vec<(Vec<&str>, Vec<&ObservedRow>)> = Vec::new();
    for row in rows {
        let headers: Vec<&str> = row.cells.iter().map(|(header, _)| header.as_str()).collect();
        match kinds.iter_mut().find(|(known, _)| *known == headers) {
            Some((_, rows)) => rows.push(row),
            None => kinds.push((headers, vec![row])),
        }
    }
    kinds.into_iter().map(|(headers, rows)| table(&headers, &rows)).collect()
}

fn table(headers: &[&str], rows: &[&ObservedRow]) -> Vec<Line> {
    let head = ["TIME", "NAME"].iter().chain(headers).map(|header| printable(header)).collect();
    let body = rows.iter().map(|row| {
        let own = [since_action(row.t), printable(&row.object)];
        own.into_iter().chain(row.cells.iter().map(|(_, cell)| printable(cell))).collect()
    });
    let texts = align(&std::iter::once(head).chain(body).collect::<Vec<_>>());
    let decisive = std::iter::once(false).chain(rows.iter().map(|row| row.decisive));
    texts.into_iter().zip(decisive).map(|(text, decisive)| Line { decisive, text }).collect()
}

/// The history of each object in one line, rows that look like the one before left out:
/// `t+2.0s 0/1 Running 0 → t+8.9s 1/1 Running 0`. The decisive rows are told apart.
pub(super) fn histories(rows: &[ObservedRow]) -> Vec<(String, Vec<Line>)> {
    let mut objects: BTreeMap<&str, Vec<(&ObservedRow, String)>> = BTreeMap::new();
    for row in rows {
        let cells: Vec<String> = row.cells.iter().map(|(_, cell)| printable(cell)).collect();
        let history = objects.entry(&row.object).or_default();
        let text = cells.join(" ");
        if row.decisive || history.last().is_none_or(|(_, last)| *last != text) {
            history.push((row, text));
        }
    }
    let line =
        |(row, text): (&ObservedRow, String)| Line { decisive: row.decisive, text: format!("{} {text}", since_action(row.t)) };
    objects.into_iter().map(|(object, rows)| (printable(object), rows.into_iter().map(line).collect())).collect()
}
