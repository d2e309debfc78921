//! Text that strangers wrote (a Pod's log, a name, a server's message), made fit to be printed.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

/// How much of one line is shown; the JSON report has all of it.
const LONGEST_LINE: usize = 500;

/// One line without anything that a terminal, a CI's log or a reader could take for more than text: control characters and
/// invisible ones that change the order or the meaning of others are written as Rust escapes (`\u{1b}`), line ends among them.
pub(crate) fn printable(text: &str) -> String {
    harmless(text, LONGEST_LINE)
}

/// A text of a stranger on one line: what a terminal, a CI's log or a reader could take for more than text (control characters,
/// invisible ones that change the order or the meaning of others) is written as Rust escapes (`\u{1b}`).
pub fn escaped(text: &str) -> String {
    harmless(text, usize::MAX)
}

fn harmless(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len());
    // GitHub's runner obeys a line that begins with `::command::`, blanks before it or not.
    if text.trim_start().starts_with("::") {
        line.push('\\');
    }
    for (i, c) in text.trim_end_matches(['\n', '\r']).chars().enumerate() {
        if i == most {
            line.push('…');
            break;
        }
        match c {
            // And `##[command]` anywhere in a line; Azure's agent obeys `##vso[command]`, TeamCity's `##teamcity[command]`.
            '[' if line.trim_end_matches(|c: char| c.is_ascii_alphanumeric()).ends_with("##") => line.push_str("\\["),
            c if c.is_control() || is_deceptive(c) => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// Directional marks (CVE-2021-42574), zero-width characters, separators of lines, and what XML cannot hold.
const fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The lines of a text, each [`printable`].
pub(crate) fn lines(text: &str) -> impl Iterator<Item = String> {
    text.trim_end().split('\n').map(printable)
}

/// A length of time: `126.4s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// A time counted from a step's action, as the windows in a scenario are: `t+25.3s`, `t-0.2s` before it.
pub(crate) fn since_action(t: f64) -> String {
    let tenths = (t * 10.0).round() / 10.0;
    let sign = if tenths < 0.0 { '-' } else { '+' };
    format!("t{sign}{:.1}s", tenths.abs())
}

/// How many columns of a terminal a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Rows of cells as lines whose columns stand below each other, three spaces apart as kubectl's are.
pub(crate) fn align(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..columns).map(|i| rows.iter().filter_map(|row| row.get(i)).map(|c| c.width()).max().unwrap_or(0)).collect();
    rows.iter().map(|row| aligned(row, &widths)).collect()
}

/// One line of cells, each padded to its column's width.
pub(crate) fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 3));
    }
    line.truncate(line.trim_end().len());
    line
}

/// `1 step`, `2 steps`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::colour("\u{1b}[31mred\u{1b}[0m", r"\u{1b}[31mred\u{1b}[0m")]
    #[case::line_ends("a\r\nb\n", r"a\r\nb")]
    #[case::c1("\u{9b}2J", r"\u{9b}2J")]
    #[case::right_to_left("a\u{202e}b", r"a\u{202e}b")]
    #[case::runner_command("x ##[add-mask]y", r"x ##\[add-mask]y")]
    #[case::command_of_azure("x ##VSO[task.setvariable]y", r"x ##VSO\[task.setvariable]y")]
    #[case::brackets_of_others("#vso[x] ## a[b]", "#vso[x] ## a[b]")]
    #[case::runner_command_at_the_beginning(" ::error::x", r"\ ::error::x")]
    #[case::plain("1/1 Running 日本語 é", "1/1 Running 日本語 é")]
    fn text_is_made_harmless(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(printable(text), expected);
    }

    #[test]
    fn a_long_line_is_cut() {
        let cut = printable(&"é".repeat(LONGEST_LINE + 1));
        assert_eq!(cut.chars().count(), LONGEST_LINE + 1);
        assert!(cut.ends_with("é…"));
        assert_eq!(printable(&"é".repeat(LONGEST_LINE)), "é".repeat(LONGEST_LINE));
    }

    #[rstest]
    #[case(25.34, "t+25.3s")]
    #[case(-0.2, "t-0.2s")]
    #[case(-0.04, "t+0.0s")]
    #[case(0.0, "t+0.0s")]
    fn times_are_counted_from_the_action(#[case] t: f64, #[case] expected: &str) {
        assert_eq!(since_action(t), expected);
    }

    #[test]
    fn columns_stand_below_each_other_whatever_their_script() {
        let rows = [vec!["NAME".to_owned(), "READY".to_owned()], vec!["サーバー".to_owned(), "1/1".to_owned()]];
        assert_eq!(align(&rows), ["NAME       READY", "サーバー   1/1"]);
    }
}
