//! A prediction as a table like that of `kubectl get pod --watch`.

use std::fmt::Write;
use std::time::Duration;

use super::prediction::{PredictedRow, Prediction, Variant};
use crate::report::text::{align, count, printable};
use crate::scenario::describe::duration;

/// How many other variants are shown, and how many rows of each.
const OTHERS: usize = 3;
const ROWS_OF_OTHERS: usize = 8;

/// The most frequent variant as kubectl's table with a column TIME, and how others differ from it.
pub fn table(prediction: &Prediction) -> String {
    let Prediction { kubernetes, seeds, span, variants, .. } = prediction;
    let Some((usual, others)) = variants.split_first() else { return String::new() };
    let mut text = if usual.rows.is_empty() { "No Pods.\n".to_owned() } else { lines(usual.rows.iter()) };
    let agreed = match (others, seeds) {
        ([], 1) => "one seed".to_owned(),
        ([], _) => format!("all {seeds} seeds agree"),
        _ => format!("so in {} of {seeds} seeds", usual.seeds.len()),
    };
    _ = writeln!(text, "\nthe first {} after the apply, on a simulated Kubernetes {kubernetes}: {agreed}", duration(*span));
    for other in others.iter().take(OTHERS) {
        text += &otherwise(other, usual);
    }
    let rest = others.len().saturating_sub(OTHERS);
    if rest > 0 {
        _ = writeln!(text, "\nand in {} more; `--output json` has all", count(rest, "way"));
    }
    text
}

fn otherwise(other: &Variant, usual: &Variant) -> String {
    let seed = other.seeds.first().copied().unwrap_or_default();
    let mut text = format!("\notherwise in {}, such as seed {seed}:\n", count(other.seeds.len(), "seed"));
    let rows = other.differing(usual);
    if rows.is_empty() {
        text += "a Pod is missing, or does less\n";
    }
    text += &lines(rows.iter().copied().take(ROWS_OF_OTHERS));
    if rows.len() > ROWS_OF_OTHERS {
        text += "...\n";
    }
    text
}

fn lines<'a>(rows: impl Iterator<Item = &'a PredictedRow>) -> String {
    let mut cells = vec![["NAME", "READY", "STATUS", "RESTARTS", "TIME"].map(str::to_owned).to_vec()];
    cells.extend(rows.map(|row| {
        let texts =
            [&row.pod.name.to_string(), &row.state.ready, &row.state.status, &row.state.restarts].map(|text| printable(text));
        texts.into_iter().chain([time(row.earliest, row.latest)]).collect()
    }));
    if cells.len() == 1 {
        return String::new();
    }
    align(&cells).into_iter().map(|line| line + "\n").collect()
}

/// `20.3s..29.8s`, or a single time if that is all there is to it.
fn time(earliest: Duration, latest: Duration) -> String {
    let [earliest, latest] = [earliest, latest].map(|time| format!("{:.1}s", time.as_secs_f64()));
    if earliest == latest { earliest } else { format!("{earliest}..{latest}") }
}
