//! `docs/conformance.md`: what was compared, and what differs.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use crate::case::Case;
use crate::compare::Comparison;
use crate::recorded::Recording;
use crate::simulated::{MANY_SEEDS, SEEDS};
use crate::{explained, outcome};

const FILE: &str = "docs/conformance.md";
const VARIABLE: &str = "UPDATE_CONFORMANCE";

/// The file says what the comparison finds today, or is written anew if that is asked for. Every explanation explains something.
pub(crate) fn is_current(cases: &[Case], recordings: &[Recording]) -> Result<(), String> {
    let mut used = BTreeSet::new();
    let text = render(cases, recordings, &mut used)?;
    if std::env::var_os(VARIABLE).is_some() {
        fs::write(FILE, &text).map_err(|error| format!("{FILE}: {error}"))?;
    }
    let unused = explained::ALL.iter().enumerate().filter(|(i, _)| !used.contains(i)).map(|(_, unused)| unused.name());
    let unused: Vec<&str> = unused.collect();
    if !unused.is_empty() {
        return Err(format!("these differences are explained and were not found: {unused:?}"));
    }
    if fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))? == text {
        return Ok(());
    }
    Err(format!("{FILE} does not say what the comparison finds: {VARIABLE}=1 cargo test --test conformance writes it anew"))
}

fn render(cases: &[Case], recordings: &[Recording], used: &mut BTreeSet<usize>) -> Result<String, String> {
    let mut text = head(cases.len());
    for case in cases {
        for recording in recordings.iter().filter(|recording| recording.case == case.name()) {
            let comparison = outcome::of_recording(cases, recording)?;
            text += &row(case, recording, &comparison, used);
        }
    }
    if !used.is_empty() {
        text += "\n## Differences that stay\n\n";
        for index in &*used {
            _ = writeln!(text, "{}. {}", index + 1, explained::ALL[*index].because);
        }
    }
    Ok(text)
}

fn head(cases: usize) -> String {
    format!(
        "# Conformance

How faithful the simulated Kubernetes is: {cases} scenarios were recorded on real kind clusters and simulated with {SEEDS} seeds each, with
{MANY_SEEDS} where those do not show what was recorded.
Written by `UPDATE_CONFORMANCE=1 cargo test --test conformance` from the recordings in `tests/conformance/recordings`, which
`scripts/record-conformance` makes anew; the test fails when it says anything else than what the comparison finds.

For every Pod the real order of READY, STATUS and RESTARTS is one that the simulation shows with some seed, and each change comes no
more than 1 s (3 s where a container starts) before the earliest or after the latest simulated one; the reasons of the events of every
object are those that the simulation has. *Outside* is how far a real time lay outside the simulated range at most.

| case | what it shows | Kubernetes | changes | outside | differences |
|---|---|---|--:|--:|---|
"
    )
}

fn row(case: &Case, recording: &Recording, comparison: &Comparison, used: &mut BTreeSet<usize>) -> String {
    let differences = comparison.differences.iter().map(|difference| {
        explained::of(case.name(), &recording.version, difference).map_or_else(
            || format!("not explained: {difference}"),
            |index| {
                used.insert(index);
                format!("explained below, {}", index + 1)
            },
        )
    });
    let differences: BTreeSet<String> = differences.collect();
    let differences =
        if differences.is_empty() { "none".to_owned() } else { differences.into_iter().collect::<Vec<_>>().join("; ") };
    let (name, title, version) = (case.name(), case.title(), &recording.version);
    let (transitions, outside) = (comparison.transitions, comparison.farthest.as_secs_f64());
    format!("| {name} | {title} | {version} | {transitions} | {outside:.1} s | {differences} |\n")
}
