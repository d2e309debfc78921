//! Reads a table of `kubectl get --watch` pasted from a page: each row is expected, and its AGE says when.

use std::ops::Range;
use std::time::Duration;

use super::claim::{About, between};
use super::decoder::{Decoder, Fields};
use super::kinds;
use super::matcher::ValueMatch;
use super::model::{Between, Claim, Row, TimedRow};
use super::row::{self, Times};
use crate::yaml::Node;

/// How much a time may differ from a printed AGE if nothing is said.
const DEFAULT_SLACK: Duration = Duration::from_secs(2);

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
    let known = |header: &str| kinds::columns(about.kind.api_version, about.kind.kind).is_none_or(|known| known.contains(&header));
    let rows = match parse(text, name, &known) {
        Ok(rows) => rows,
        Err(Wrong { line, message, help }) => {
            dx.error(&line_span(dx, node, fields, line), message, help);
            return None;
        }
    };
    let times: Vec<_> = rows.iter().enumerate().map(|(i, row)| window(i, row.age.as_ref(), slack)).collect();
    let spans: Vec<_> = rows.iter().map(|read| line_span(dx, node, fields, read.line)).collect();
    row::check_restarts(dx, rows.iter().zip(&spans).map(|(read, span)| (&read.row, span.clone())));
    let expected = rows.into_iter().zip(row::settle(&times)).zip(spans).map(|((read, when), span)| TimedRow {
        row: read.row,
        when,
        location: dx.source.location(span.start),
    });
    Some(Claim::Sequence { rows: expected.collect(), between })
}

/// Where a line of the table stands in the file. A text that is folded or in quotes has no lines there.
fn line_span(dx: &Decoder<'_>, node: &Node, fields: &Fields<'_>, line: usize) -> Range<usize> {
    dx.source.block_line(&node.span, line).unwrap_or_else(|| fields.key_span("printed").clone())
}

/// The first row may have been true long before it was printed.
fn window(index: usize, age: Option<&Range<Duration>>, slack: Duration) -> Times {
    let earliest = age.filter(|_| index > 0).map(|age| age.start.saturating_sub(slack));
    Times { earliest, latest: age.map(|age| age.end + slack), hold: None }
}

/// A row of the table.
#[derive(Debug)]
struct ParsedRow {
    row: Row,
    /// The ages that kubectl prints so.
    age: Option<Range<Duration>>,
    /// The line of the table, counted from 0.
    line: usize,
}

/// What is wrong with the table, and in which line of it, counted from 0.
#[derive(Debug)]
struct Wrong {
    line: usize,
    message: String,
    help: String,
}

fn parse(text: &str, name: &str, known: &dyn Fn(&str) -> bool) -> Result<Vec<ParsedRow>, Wrong> {
    let is_table = |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.trim_start().starts_with('$');
    let mut lines = text.lines().enumerate().filter(is_table);
    let wrong = |line, message: String, help: &str| Wrong { line, message, help: help.to_owned() };
    let example = "the first line is kubectl's header, such as `NAME  READY  STATUS  RESTARTS  AGE`";
    let (first, header) = lines.next().ok_or_else(|| wrong(0, "the table is empty".to_owned(), "paste the header too"))?;
    let wide = header.trim().contains("  ");
    let headers = cells(header, wide);
    if let Some(unknown) = headers.iter().find(|h| !matches!(**h, "NAME" | "AGE") && !known(h)) {
        return Err(wrong(first, format!("`{unknown}` is not a column that kubectl prints of this kind"), example));
    }
    let mut rows: Vec<ParsedRow> = Vec::new();
    let mut oldest = Duration::ZERO;
    for (line, text) in lines {
        let cells = cells(text, wide);
        if cells.len() != headers.len() {
            let message = format!("the row `{}` has {} cells, the header {}", text.trim(), cells.len(), headers.len());
            return Err(wrong(line, message, "cells are separated by two spaces or more"));
        }
        let (row, age) = one(&headers, &cells, name).map_err(|(message, help)| wrong(line, message, &help))?;
        if let Some(age) = &age {
            if age.end <= oldest {
                let help = "the rows of a watch grow older: leave out what another command has printed";
                return Err(wrong(line, "this row is younger than the one above".to_owned(), help));
            }
            oldest = oldest.max(age.start);
        }
        // kubectl prints a row for each change, also one that no column shows.
        if rows.last().is_none_or(|last| shown(&last.row) != shown(&row)) {
            rows.push(ParsedRow { row, age, line });
        }
    }
    if rows.is_empty() { Err(wrong(first, "the table has no rows".to_owned(), example)) } else { Ok(rows) }
}

fn cells(line: &str, wide: bool) -> Vec<&str> {
    if wide { line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect() } else { line.split_whitespace().collect() }
}

fn shown(row: &Row) -> Vec<(&str, String)> {
    row.columns.iter().map(|(header, value)| (header.as_str(), value.to_string())).collect()
}

/// What a row says and its age, or what is wrong with it and what would be right.
type ReadRow = Result<(Row, Option<Range<Duration>>), (String, String)>;

fn one(headers: &[&str], cells: &[&str], name: &str) -> ReadRow {
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

/// From when until when kubectl prints this AGE: `90s`, `5m30s`, `12m`, `3h20m`, `20h`, `2d3h`, `12d`, each cut to its last unit
/// (`apimachinery/pkg/util/duration/duration.go`).
fn read_age(cell: &str) -> Result<Range<Duration>, (String, String)> {
    let wrong = || (format!("`{cell}` is not an AGE as kubectl prints it"), "such as `25s` or `2m5s`".to_owned());
    let mut total = 0_u64;
    let mut last = u64::MAX;
    let mut rest = cell;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes()[digits] {
            b'd' => 86_400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return Err(wrong()),
        };
        if unit >= last {
            return Err(wrong());
        }
        total = number.checked_mul(unit).and_then(|seconds| total.checked_add(seconds)).ok_or_else(wrong)?;
        last = unit;
        rest = &rest[digits + 1..];
    }
    if total > 86_400 || last == u64::MAX {
        let help = "a hands-on takes minutes: leave out rows that are older than a day".to_owned();
        return Err(if last == u64::MAX { wrong() } else { (format!("the AGE `{cell}` is longer than a day"), help) });
    }
    // 2m is 2m0s, for below ten minutes seconds are printed; so are minutes below eight hours, and hours below eight days.
    let cut = match total {
        0..600 => 1,
        600..28_800 => 60,
        _ => 3600,
    };
    Ok(Duration::from_secs(total)..Duration::from_secs(total + cut.min(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Option<Duration>)> {
        let rows = parse(text, "httpserver", &|_| true).unwrap();
        rows.into_iter().map(|read| (read.row.to_string(), read.age.map(|age| age.start))).collect()
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
    #[case("NAME  READY  AGE\nhttpserver  1/1  10s\nhttpserver  0/1  50s\nhttpserver  1/1  20s\n", "younger than the one above")]
    fn refuses_others(#[case] text: &str, #[case] part: &str) {
        let wrong = parse(text, "httpserver", &|_| true).unwrap_err();
        assert!(wrong.message.contains(part), "{wrong:?}");
    }

    #[rstest::rstest]
    #[case("0s", 0, 1)]
    #[case("119s", 119, 120)]
    #[case("2m", 120, 121)]
    #[case("2m5s", 125, 126)]
    #[case("12m", 720, 780)]
    #[case("3h", 10_800, 10_860)]
    #[case("3h5m", 11_100, 11_160)]
    #[case("9h", 32_400, 36_000)]
    fn an_age_is_cut_as_kubectl_cuts_it(#[case] cell: &str, #[case] from: u64, #[case] to: u64) {
        assert_eq!(read_age(cell).unwrap(), Duration::from_secs(from)..Duration::from_secs(to));
    }

    #[rstest::rstest]
    #[case("")]
    #[case("5")]
    #[case("s")]
    #[case("5s2m")]
    #[case("5x")]
    #[case("2d3h")]
    #[case("99999999999999999999s")]
    fn other_ages_are_refused(#[case] cell: &str) {
        assert!(read_age(cell).is_err());
    }
}
