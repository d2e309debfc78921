//! The report for people at a terminal: a line an expectation, what went wrong once more at the end, the summary last.
//! Times (`t+25.3s`) are counted from the step's action, as the windows in a scenario are.

use std::fmt::Write;

use super::case::{self, Case, Counts, Status};
use super::detail::Detail;
use super::model::{ExpectationReport, Report, ScenarioReport, StepState};
use super::palette::Palette;
use super::text::{align, count, lines, printable, seconds, since_action};
use crate::exit_code::exit_code;
use crate::verdict::{Outcome, Verdict};

/// Everything: a line an expectation, then the [`spread`], then the [`ending`].
pub fn full(report: &Report, palette: Palette) -> String {
    let mut out = String::new();
    let width = width(report);
    for scenario in &report.scenarios {
        let title = scenario.title.as_deref().map(|title| format!(": {}", printable(title))).unwrap_or_default();
        let _ = writeln!(out, "scenario {}{title}", palette.strong(&printable(&scenario.name)));
        for (i, step) in scenario.steps.iter().enumerate() {
            let begun = if i > 0 && step.state != StepState::NotRun {
                format!(" (begun after {})", seconds(step.started))
            } else {
                String::new()
            };
            let _ = writeln!(out, "  step {}: {}{}", i + 1, printable(&step.name), palette.weak(&begun));
            for case in &case::of_step(&scenario.file, i + 1, step) {
                let title = if case.expectation.is_some() { case.title } else { "the action" };
                let _ = writeln!(out, "    {}", line(case.status, case.verdict(), title, width, palette));
            }
        }
        for error in &scenario.errors {
            out.push_str(&gutter(&format!("    {}  ", palette.bad(&format!("{:width$}", "error"))), error));
        }
        out.push('\n');
    }
    out + &spread(report, palette) + &ending(report, palette)
}

/// What went wrong, with all that is known about it, and the summary: the end of a run whose progress has been shown.
pub fn ending(report: &Report, palette: Palette) -> String {
    let run = case::of_run(report);
    let of_scenarios = report.scenarios.iter().flat_map(|s| case::of_scenario(s).into_iter().map(move |case| (Some(s), case)));
    let mut out = String::new();
    for (scenario, case) in
        of_scenarios.chain(run.into_iter().map(|case| (None, case))).filter(|(_, case)| case.status.is_trouble())
    {
        out.push_str(&trouble(scenario, &case, palette));
        out.push('\n');
    }
    for scenario in report.scenarios.iter().filter(|scenario| scenario.outcome() != Outcome::Pass) {
        if let Some(timeline) = &scenario.timeline {
            let _ = writeln!(out, "the timeline of {} is in {}", printable(&scenario.name), printable(&timeline.to_string_lossy()));
        }
    }
    out + &cluster(report) + &summary(report, palette)
}

/// When each row came over many histories, and how near to the edges of its window; empty for a single run.
pub fn spread(report: &Report, palette: Palette) -> String {
    let Some(histories) = &report.histories else { return String::new() };
    let mut out = String::new();
    for scenario in &report.scenarios {
        for (i, step) in scenario.steps.iter().enumerate() {
            let heading = format!("{} › step {}: {}", printable(&scenario.name), i + 1, printable(&step.name));
            let _ = writeln!(out, "{}", palette.strong(&heading));
            for expectation in &step.expectations {
                out.push_str(&spread_of(expectation, palette));
            }
        }
    }
    let passed = histories.count - histories.not_passed.len();
    let last = histories.first_seed.saturating_add(histories.count as u64 - 1);
    let which = format!("seeds {} to {last}", histories.first_seed);
    let _ = writeln!(out, "\n{passed} of {} histories passed ({which}){}", histories.count, failed_seeds(&histories.not_passed));
    out
}

fn spread_of(expectation: &ExpectationReport, palette: Palette) -> String {
    let Some(histories) = &expectation.histories else { return String::new() };
    let passed = histories.judged - histories.not_passed.len();
    let status = palette.status(expectation.outcome().into(), &format!("{passed}/{}", histories.judged));
    let mut out = format!("  {status}  {}{}\n", printable(&expectation.expectation), failed_seeds(&histories.not_passed));
    let header = ["", "EARLIEST", "MEDIAN", "LATEST", "TO SPARE", "ROW"].map(str::to_owned).to_vec();
    let rows = histories.spread.iter().map(|spread| {
        let [earliest, median, latest] = [spread.earliest, spread.median, spread.latest].map(since_action);
        vec![String::new(), earliest, median, latest, format!("{:.1}s", spread.margin), printable(&spread.what)]
    });
    let table: Vec<_> = std::iter::once(header).chain(rows).collect();
    for line in align(&table).into_iter().filter(|_| table.len() > 1) {
        let _ = writeln!(out, "    {line}");
    }
    out
}

/// The first of the seeds that did not pass.
fn failed_seeds(seeds: &[u64]) -> String {
    const MOST: usize = 10;
    if seeds.is_empty() {
        return String::new();
    }
    let named: Vec<_> = seeds.iter().take(MOST).map(u64::to_string).collect();
    let more = if seeds.len() > MOST { ", …" } else { "" };
    format!("; not: seed {}{more}", named.join(", "))
}

/// A decided expectation: `pass  t+25.3s  pod httpserver: READY 1/1, by 15s`.
pub(crate) fn decided(text: &str, verdict: &Verdict, palette: Palette) -> String {
    line(verdict.outcome.into(), Some(verdict), text, 4, palette)
}

fn line(status: Status, verdict: Option<&Verdict>, text: &str, width: usize, palette: Palette) -> String {
    let status = palette.status(status, &format!("{:width$}", status.word()));
    let time = verdict.map(|verdict| since_action(verdict.decided.as_secs_f64())).unwrap_or_default();
    let deviation = verdict.and_then(|v| v.deviation).map(|deviation| format!(" ({})", deviation.words())).unwrap_or_default();
    format!("{status}  {time:>8}  {}{deviation}", printable(text))
}

/// The width of the longest status that occurs.
fn width(report: &Report) -> usize {
    Counts::of(report).occurring().map(|(_, status)| status.word().len()).max().unwrap_or(0)
}

fn trouble(scenario: Option<&ScenarioReport>, case: &Case<'_>, palette: Palette) -> String {
    let detail = Detail::of(case);
    let place = scenario.map_or_else(|| "run".to_owned(), |scenario| printable(&scenario.name));
    let step = case.step.map(|(number, step)| format!(" › step {number}: {}", printable(&step.name))).unwrap_or_default();
    let mut out = format!("{}  {}{step}\n", palette.status(case.status, &detail.heading), palette.strong(&place));
    if let Some(place) = case.place() {
        let _ = writeln!(out, "  {}", palette.weak(&format!("at {place}")));
    }
    if case.expectation.is_some() {
        let _ = writeln!(out, "  {:<12}  {}", "expectation", printable(case.title));
    }
    out + &body(&detail, palette)
}

/// The lines below a heading, each indented: why, what was expected, what was seen.
fn body(detail: &Detail, palette: Palette) -> String {
    let mut out = String::new();
    for line in &detail.message {
        let _ = writeln!(out, "  | {line}");
    }
    for (name, fact) in &detail.facts {
        let _ = writeln!(out, "  {name:<12}  {fact}");
    }
    for table in &detail.tables {
        let _ = writeln!(out, "  {}", palette.strong("observed"));
        for line in table {
            let text = if line.decisive { palette.doubtful(&line.text) } else { line.text.clone() };
            let _ = writeln!(out, "  {} {text}", if line.decisive { '>' } else { ' ' });
        }
    }
    for (name, lines) in [("last events", &detail.events), ("last log lines", &detail.log)] {
        if !lines.is_empty() {
            let _ = writeln!(out, "  {}", palette.strong(name));
        }
        for line in lines {
            let _ = writeln!(out, "    {line}");
        }
    }
    if let Some(hint) = &detail.hint {
        let _ = writeln!(out, "\n  {} {hint}", palette.strong("hint:"));
    }
    out
}

/// All that is known about a case that went wrong, without colour.
pub(super) fn explanation(case: &Case<'_>) -> String {
    body(&Detail::of(case), Palette::PLAIN)
}

/// The lines of a text behind a mark that tells them from ours.
pub(crate) fn gutter(indent: &str, text: &str) -> String {
    lines(text).map(|line| [indent, "| ", &line, "\n"].concat()).collect()
}

/// Where the scenarios ran, in one line; empty if they did not.
pub(super) fn cluster_facts(report: &Report) -> Option<String> {
    let facts = report.cluster.as_ref()?;
    let node = facts.node_image.as_ref().map(|image| format!(" ({})", printable(image))).unwrap_or_default();
    let stand_ins = match facts.stand_ins.as_slice() {
        [] => String::new(),
        images => format!("; stand-ins played {}", images.iter().map(|image| printable(image)).collect::<Vec<_>>().join(", ")),
    };
    let [provider, name, kubernetes] = [&facts.provider, &facts.name, &facts.kubernetes].map(|text| printable(text));
    Some(format!("{provider} {name}, Kubernetes {kubernetes}{node}{stand_ins}"))
}

fn cluster(report: &Report) -> String {
    cluster_facts(report).map(|facts| format!("cluster: {facts}\n")).unwrap_or_default()
}

fn summary(report: &Report, palette: Palette) -> String {
    let outcome = Status::from(report.outcome());
    let code = exit_code(report);
    let code = if code == 0 { String::new() } else { format!(" (exit code {code})") };
    let interrupted = if report.interrupted { "interrupted, " } else { "" };
    let heading = palette.status(outcome, &format!("{interrupted}{}", outcome.word()));
    let counts = Counts::of(report).in_words(|status, words| palette.status(status, words));
    format!("{heading}: {counts} in {}, {}{code}\n", count(report.scenarios.len(), "scenario"), seconds(report.duration))
}
