//! Reads a table of `kubectl get --watch` pasted from a page: each row is expected, and its AGE says when.

use std::time::Duration;

use super::claim::{About, between};
use super::decoder::{Decoder, Fields};
use super::matcher::ValueMatch;
use super::model::{Between, Claim, Row, TimedRow};
use super::row::{self, Times};
use super::{duration, kinds};

/// How much a time may differ from a printed AGE if nothing is said.
const DEFAULT_SLACK: Duration = Duration::from_secs(2);
/// AGE is cut to whole seconds.
const CUT: Duration = Duration::from_secs(1);

/// The claim of `printed:`.
pub(super) fn table(dx: &mut Decoder<'_>, fields: &Fields<'_>, about: &About<'_>) -> Option<Claim> {
    dx.none_beside(fields, &["by", "at", "for"], "printed", "the AGE of a row is its time; `tolerance` is the slack");
    let slack = fields.get("tolerance").map_or(Some(DEFAULT_SLACK), |node| dx.duration(node, "`tolerance`"))?;
    let between = if fields.has("between") { between(dx, fields)? } else { Between::Any };
    let node = fields.get("printed")?;
    let text = dx.text(node, "`printed`")?;
    let Some(name) = about.name else {
        dx.error(
            &node.span,
            "a table is printed for one object",
            "say `pod: NAME`; for several objects write `rows` with `match: each`",
        );
        return None;
    };
    let parsed = parse(text, name, &|header| {
        kinds::columns(about.kind.api_version, about.kind.kind).is_none_or(|known| known.contains(&header))
    });
    let rows = match parsed {
        Ok(rows) => rows,
        Err((message, help)) => {
            dx.error(fields.key_span("printed"), message, help);
            return None;
        }
    };
    let times: Vec<_> = rows.iter().enumerate().map(|(i, (_, age))| window(i, *age, slack)).collect();
    let location = dx.source.location(node.span.start);
    let expected = rows.into_iter().zip(row::settle(&times)).map(|((row, _), when)| TimedRow { row, when, location });
    Some(Claim::Sequence { rows: expected.collect(), between })
}

/// The first row may have been true long before it was printed.
fn window(index: usize, age: Option<Duration>, slack: Duration) -> Times {
    let earliest = age.filter(|_| index > 0).map(|age| age.saturating_sub(slack));
    Times { earliest, latest: age.map(|age| age + CUT + slack), hold: None }
}

type ParsedRow = (Row, Option<Duration>);

fn parse(text: &str, name: &str, known: &dyn Fn(&str) -> bool) -> Result<Vec<ParsedRow>, (String, String)> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('$'));
    let header = lines.next().ok_or_else(|| ("the table is empty".to_owned(), "paste the header too".to_owned()))?;
    let wide = header.trim().contains("  ");
    let headers = cells(header, wide);
    let example = || "the first line is kubectl's header, such as `NAME  READY  STATUS  RESTARTS  AGE`".to_owned();
    if let Some(unknown) = headers.iter().find(|h| !matches!(**h, "NAME" | "AGE") && !known(h)) {
        return Err((format!("`{unknown}` is not a column that kubectl prints of this kind"), example()));
    }
    let mut rows: Vec<ParsedRow> = Vec::new();
    for line in lines {
        let cells = cells(line, wide);
        if cells.len() != headers.len() {
            let message = format!("the row `{}` has {} cells, the header {}", line.trim(), cells.len(), headers.len());
            return Err((message, "cells are separated by two spaces or more".to_owned()));
        }
        let row = one(&headers, &cells, name)?;
        // kubectl prints a row for each change, also one that no column shows.
        if rows.last().is_none_or(|(last, _)| shown(last) != shown(&row.0)) {
            rows.push(row);
        }
    }
    if rows.is_empty() { Err(("the table has no rows".to_owned(), example())) } else { Ok(rows) }
}

fn cells(line: &str, wide: bool) -> Vec<&str> {
    if wide { line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect() } else { line.split_whitespace().collect() }
}

fn shown(row: &Row) -> Vec<(&str, String)> {
    row.columns.iter().map(|(header, value)| (header.as_str(), value.to_string())).collect()
}

fn one(headers: &[&str], cells: &[&str], name: &str) -> Result<ParsedRow, (String, String)> {
    let mut row = Row { exists: Some(true), ..Row::default() };
    let mut age = None;
    for (header, cell) in headers.iter().zip(cells) {
        match *header {
            "NAME" if *cell == name || name.is_empty() => {}
            "NAME" => return Err((format!("the table has a row of `{cell}`, not of `{name}`"), "leave it out".to_owned())),
            "AGE" => age = Some(read_age(cell)?),
            _ => {
                let value = if *header == "RESTARTS" { cell.split(" (").next().unwrap_or(cell) } else { cell };
                row.columns.insert((*header).to_owned(), ValueMatch::Equal(value.to_owned()));
            }
        }
    }
    Ok((row, age))
}

fn read_age(cell: &str) -> Result<Duration, (String, String)> {
    duration::parse(cell)
        .map_err(|_| (format!("`{cell}` is not an AGE as kubectl prints it"), "such as `25s` or `2m5s`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Option<Duration>)> {
        let rows = parse(text, "httpserver", &|_| true).unwrap();
        rows.into_iter().map(|(row, age)| (row.to_string(), age)).collect()
    }

    #[test]
    fn reads_a_pasted_table() {
        let text = "$ kubectl get pod --watch
NAME         READY   STATUS    RESTARTS   AGE
httpserver   1/1     Running   0          1s
httpserver   1/1     Running   1 (1s ago)   27s
httpserver   1/1     Running   1 (2s ago)   28s
httpserver   0/1     CrashLoopBackOff   4 (0s ago)   2m5s
";
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(
            read(text),
            [
                ("READY 1/1, STATUS Running, RESTARTS 0".to_owned(), seconds(1)),
                ("READY 1/1, STATUS Running, RESTARTS 1".to_owned(), seconds(27)),
                ("READY 0/1, STATUS CrashLoopBackOff, RESTARTS 4".to_owned(), seconds(125)),
            ]
        );
    }

    #[test]
    fn reads_single_spaces() {
        assert_eq!(read("NAME READY AGE\nhttpserver 0/1 5s\n"), [("READY 0/1".to_owned(), Some(Duration::from_secs(5)))]);
    }

    #[rstest::rstest]
    #[case("", "is empty")]
    #[case("NAME  READY  AGE\n", "has no rows")]
    #[case("NAME  READY  AGE\nother  1/1  5s\n", "a row of `other`")]
    #[case("NAME  READY  AGE\nhttpserver  1/1\n", "has 2 cells")]
    #[case("NAME  READY  AGE\nhttpserver  1/1  soon\n", "is not an AGE")]
    fn refuses_others(#[case] text: &str, #[case] part: &str) {
        let (message, _) = parse(text, "httpserver", &|_| true).unwrap_err();
        assert!(message.contains(part), "{message}");
    }
}
