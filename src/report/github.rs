//! What a GitHub workflow gets: annotations at the scenario's own lines ([workflow commands], which its runner obeys wherever a step
//! prints them, standard error included) and the summary of the step.
//!
//! [workflow commands]: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::case::{self, Case, Status};
use super::markdown;
use super::model::{Report, ScenarioReport};
use super::text::printable;

/// GitHub shows this many errors and this many warnings of a step and drops the others without a word.
const SHOWN: usize = 10;

/// How many lines of one text an annotation has.
const LONGEST_TEXT: usize = 20;

/// GitHub refuses the whole summary of a step if it is longer than this, in bytes.
pub const SUMMARY_LIMIT: usize = 1024 * 1024;

/// Appends the report as Markdown to the file that `GITHUB_STEP_SUMMARY` names, as far as the limit leaves room.
pub fn append_summary(report: &Report, file: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let used = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let page = markdown::render_within(report, SUMMARY_LIMIT.saturating_sub(used));
    if used.saturating_add(page.len()) > SUMMARY_LIMIT { Ok(()) } else { file.write_all(page.as_bytes()) }
}

/// The annotations, a line each: an error for what failed, a warning for what cannot be told. Empty if all is well. GitHub finds a
/// file only by its path from the `workspace` (`GITHUB_WORKSPACE`), so that is how those inside it are named.
pub fn render(report: &Report, workspace: Option<&Path>) -> String {
    let run = case::of_run(report).into_iter().map(|case| (None, case));
    let of_scenarios = report.scenarios.iter().flat_map(|s| case::of_scenario(s).into_iter().map(move |case| (Some(s), case)));
    let all: Vec<_> = run.chain(of_scenarios).collect();
    let mut out = String::new();
    for command in ["error", "warning"] {
        let lines: Vec<String> = all
            .iter()
            .filter(|(_, case)| self::command(case.status) == Some(command))
            .map(|(s, case)| annotation(command, *s, case, workspace))
            .collect();
        let shown = if lines.len() > SHOWN { SHOWN - 1 } else { lines.len() };
        out.extend(lines[..shown].iter().map(String::as_str));
        if shown < lines.len() {
            let _ =
                writeln!(out, "::{command} title=labproof::and {} more; the summary of the step has them all", lines.len() - shown);
        }
    }
    out
}

const fn command(status: Status) -> Option<&'static str> {
    match status {
        Status::Error | Status::Fail => Some("error"),
        Status::Inconclusive => Some("warning"),
        Status::Pass | Status::NotRun => None,
    }
}

fn annotation(command: &str, scenario: Option<&ScenarioReport>, case: &Case<'_>, workspace: Option<&Path>) -> String {
    let mut properties = Vec::new();
    if let Some(file) = case.file.or_else(|| Some(&scenario?.file)) {
        properties.push(format!("file={}", property(&from(workspace, file).to_string_lossy())));
    }
    if let Some(location) = case.location {
        properties.push(format!("line={},col={}", location.line, location.column));
    }
    let whose = scenario.map_or("labproof", |scenario| &scenario.name);
    properties.push(format!("title={}", property(&format!("{whose}: {}", case.words()))));
    let verdict = case.verdict();
    let nearest_miss = verdict.and_then(|v| v.nearest_miss.as_ref()).map(|miss| format!("nearest miss: {miss}"));
    let facts = [
        Some(case.title),
        case.message.as_deref(),
        nearest_miss.as_deref(),
        verdict.and_then(|v| v.cause.as_deref()),
        case.expectation.and_then(|e| e.context.as_ref()?.hint.as_deref()),
    ];
    let message: Vec<String> = facts.into_iter().flatten().map(data).collect();
    format!("::{command} {}::{}\n", properties.join(","), message.join("%0A"))
}

/// The path from the workspace to a file in it, whatever the working directory; any other as it was named.
fn from(workspace: Option<&Path>, file: &Path) -> PathBuf {
    let relative = || {
        let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
        Some(whole(file)?.strip_prefix(whole(workspace?)?).ok()?.to_owned())
    };
    relative().unwrap_or_else(|| file.to_owned())
}

/// The text of a command, escaped as GitHub's toolkit does (`packages/core/src/command.ts`).
fn data(text: &str) -> String {
    text.lines().take(LONGEST_TEXT).map(|line| printable(line).replace('%', "%25")).collect::<Vec<_>>().join("%0A")
}

/// The value of a property, escaped as GitHub's toolkit does.
fn property(text: &str) -> String {
    printable(text).replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}
