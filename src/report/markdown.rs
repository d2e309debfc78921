//! The report as GitHub-flavoured Markdown: what came of each scenario, what went wrong in full (collapsed), all expectations
//! (collapsed). What strangers wrote stands in it as text only: no markup, no HTML, no links.

use std::fmt::Write;

use super::case::{self, Case, Counts, Status};
use super::console::cluster_facts;
use super::detail::{Detail, Line, histories};
use super::model::{Report, ScenarioReport};
use super::text::{count, printable, seconds, since_action};

/// The report as Markdown.
pub fn render(report: &Report) -> String {
    render_within(report, usize::MAX)
}

/// The report as Markdown of at most so many bytes: what comes last and does not fit is left out, and the end says so. Below some
/// hundred bytes only that remains.
pub fn render_within(report: &Report, limit: usize) -> String {
    let mut page = Page { text: String::new(), limit, left_out: 0 };
    page.add(&heading(report));
    for scenario in &report.scenarios {
        page.add(&scenario_row(scenario));
    }
    let run = case::of_run(report).into_iter().map(|case| (None, case));
    let of_scenarios = report.scenarios.iter().flat_map(|s| case::of_scenario(s).into_iter().map(move |case| (Some(s), case)));
    let mut caption = "\n### What went wrong\n";
    for (scenario, case) in run.chain(of_scenarios).filter(|(_, case)| case.status.is_trouble()) {
        page.add(&format!("{caption}\n{}", trouble(scenario, &case)));
        caption = "";
    }
    let mut caption = "\n### When each row came\n";
    for scenario in report.scenarios.iter().filter(|_| report.histories.is_some()) {
        page.add(&format!("{caption}\n{}", spread(scenario)));
        caption = "";
    }
    let mut caption = "\n### All expectations\n";
    for scenario in &report.scenarios {
        page.add(&format!("{caption}\n{}", all_cases(scenario)));
        caption = "";
    }
    page.finish()
}

/// A text that grows by parts, each of them whole in itself, up to a limit in bytes.
struct Page {
    text: String,
    limit: usize,
    left_out: usize,
}

impl Page {
    /// Room for the last line.
    const RESERVE: usize = 100;

    fn add(&mut self, part: &str) {
        // After the first part that does not fit nothing follows, so that what is left out is the end.
        if self.left_out > 0 || self.text.len() + part.len() > self.limit.saturating_sub(Self::RESERVE) {
            self.left_out += 1;
        } else {
            self.text.push_str(part);
        }
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            let _ = writeln!(self.text, "\n{} left out: the page is limited in size.", count(self.left_out, "part"));
        }
        self.text
    }
}

fn heading(report: &Report) -> String {
    let outcome = Status::from(report.outcome());
    let interrupted = if report.interrupted { "interrupted, " } else { "" };
    let mut out = format!("## {} labproof: {interrupted}{}\n\n", symbol(outcome), outcome.word());
    let _ = write!(
        out,
        "{} in {}, {}",
        counts(Counts::of(report)),
        count(report.scenarios.len(), "scenario"),
        seconds(report.duration)
    );
    if let Some(facts) = cluster_facts(report) {
        let _ = write!(out, ", on {}", escape(&facts));
    }
    out.push_str(".\n");
    if !report.scenarios.is_empty() {
        out.push_str("\n| | scenario | outcome | cases | time |\n|---|---|---|---|--:|\n");
    }
    out
}

fn scenario_row(scenario: &ScenarioReport) -> String {
    let outcome = if scenario.not_run() && scenario.errors.is_empty() { Status::NotRun } else { scenario.outcome().into() };
    let title = scenario.title.as_deref().map(|title| format!(": {}", escape(title))).unwrap_or_default();
    let counts = counts(case::of_scenario(scenario).into_iter().collect());
    let (symbol, time) = (symbol(outcome), seconds(scenario.duration));
    format!("| {symbol} | <b>{}</b>{title} | {} | {counts} | {time} |\n", escape(&scenario.name), outcome.word())
}

fn counts(counts: Counts) -> String {
    counts.in_words(|_, words| words.to_owned())
}

fn trouble(scenario: Option<&ScenarioReport>, case: &Case<'_>) -> String {
    let detail = Detail::of(case);
    let whose = scenario.map_or_else(|| "run".to_owned(), |scenario| escape(&scenario.name));
    let (symbol, title) = (symbol(case.status), escape(case.title));
    let mut parts = vec![format!("<details>\n<summary>{symbol} <b>{}</b> {whose}: {title}</summary>", detail.heading)];
    parts.extend(case.place().map(|place| format!("at <code>{}</code>", escape(&place))));
    let message: Vec<String> = detail.message.iter().map(|line| escape(line)).collect();
    parts.push(format!("<p>{}</p>", message.join("<br>\n")));
    let facts = detail.facts.iter().map(|(name, fact)| format!("* {name}: <code>{}</code>", escape(fact)));
    let rows = case.expectation.and_then(|e| e.context.as_ref()).map_or(&[][..], |context| &context.rows);
    let list: Vec<String> = facts.chain(histories(rows).iter().map(|(object, history)| timeline(object, history))).collect();
    parts.push(list.join("\n"));
    parts.push(observed(&detail));
    parts.extend(detail.hint.as_ref().map(|hint| format!("<b>hint:</b> {}", escape(hint))));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n") + "\n\n</details>\n"
}

/// The history of an object in one line, the decisive moment in bold.
fn timeline(object: &str, history: &[Line]) -> String {
    let moment = |line: &Line| if line.decisive { format!("<b>{}</b>", escape(&line.text)) } else { escape(&line.text) };
    format!("* <code>{}</code>: {}", escape(object), history.iter().map(moment).collect::<Vec<_>>().join(" → "))
}

/// The rows, the last events and the last log lines as they are, if there are any.
fn observed(detail: &Detail) -> String {
    let mut out = String::new();
    for line in detail.tables.iter().flatten() {
        let _ = writeln!(out, "{} {}", if line.decisive { "&gt;" } else { " " }, escape(&line.text));
    }
    for (name, lines) in [("last events", &detail.events), ("last log lines", &detail.log)] {
        if !lines.is_empty() {
            let _ = writeln!(out, "{name}");
        }
        for line in lines {
            let _ = writeln!(out, "  {}", escape(line));
        }
    }
    if out.is_empty() { out } else { format!("<pre>\n{out}</pre>") }
}

/// Over many histories, when each row came and how near to the edges of its window.
fn spread(scenario: &ScenarioReport) -> String {
    let name = escape(&scenario.name);
    let mut out =
        format!("<details>\n<summary>{name}</summary>\n\n| row | earliest | median | latest | to spare |\n|---|--:|--:|--:|--:|\n");
    for spread in
        scenario.steps.iter().flat_map(|step| &step.expectations).filter_map(|e| e.histories.as_ref()).flat_map(|h| &h.spread)
    {
        let [earliest, median, latest] = [spread.earliest, spread.median, spread.latest].map(since_action);
        let _ = writeln!(out, "| {} | {earliest} | {median} | {latest} | {:.1}s |", escape(&spread.what), spread.margin);
    }
    out + "\n</details>\n"
}

fn all_cases(scenario: &ScenarioReport) -> String {
    let mut out = format!("<details>\n<summary>{}</summary>\n\n| | time | step | |\n|---|--:|---|---|\n", escape(&scenario.name));
    for case in case::of_scenario(scenario) {
        let time = case.decided().map(|t| since_action(t.as_secs_f64())).unwrap_or_default();
        let step = case.step.map(|(number, step)| format!("{number} {}", escape(&step.name))).unwrap_or_default();
        let title = if case.expectation.is_some() || case.step.is_none() { escape(case.title) } else { "the action".to_owned() };
        let _ = writeln!(out, "| {} {} | {time} | {step} | {title} |", symbol(case.status), case.words());
    }
    out + "\n</details>\n"
}

const fn symbol(status: Status) -> &'static str {
    match status {
        Status::Pass => "✅",
        Status::NotRun => "⏭️",
        Status::Inconclusive => "⚠️",
        Status::Fail => "❌",
        Status::Error => "💥",
    }
}

/// Text as text, in Markdown, in a cell of a table and in HTML alike: every character that could begin markup in any of them is
/// an entity, which neither Markdown nor HTML takes for more than the character.
fn escape(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let markup = match c {
            '&' | '<' | '>' | '"' | '\'' | '`' | '*' | '_' | '~' | '|' | '[' | ']' | '!' | '#' | '@' | '\\' | '$' | '{' | '}'
            | '^' => true,
            // `https://…` and `www.…` become links by themselves, `:word:` becomes a picture.
            ':' => rest.peek().is_some_and(|next| !next.is_whitespace()),
            '.' => out.ends_with("www"),
            _ => false,
        };
        if markup {
            let _ = write!(out, "&#{};", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}
