//! Reports of any content.

use std::path::Path;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::fixtures;
use crate::diagnostic::Diagnostic;
use crate::report::{
    ExpectationHistories, ExpectationReport, FailureContext, Histories, ObservedRow, Report, ScenarioReport, Spread, StepReport,
    StepState,
};
use crate::scenario::Location;
use crate::verdict::{Deviation, Outcome, Verdict};

/// Text with what hurts terminals, XML, Markdown, HTML and GitHub's runner.
pub(super) fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "]]>",
        "\u{1b}[31m",
        "\u{1b}]8;;http://x.example\u{7}",
        "::error::x",
        "\n::error file=a::x",
        "##[add-mask]x",
        "<script>",
        "</details>",
        "</pre>",
        "<!--",
        "&lt;",
        "&",
        "|",
        "`",
        "```\n",
        "**b**",
        "_i_",
        "[a](b)",
        "![a](b)",
        "<b>",
        "https://x.example",
        "www.x.example",
        "\n\n# h",
        "\n---\n",
        "\n- item",
        "\n    code",
        "\r",
        "\0",
        "\u{fffe}",
        "\u{202e}",
        "%0A",
        "\"",
        "'",
        "\\",
        "$x$",
        "é",
        "日本",
        " ",
        "\t",
        "|---|",
        "@x",
        "x@x.example",
        ":smile:",
        "&#42;",
        "1. ",
    ])
    .prop_map(str::to_owned);
    vec(prop_oneof![3 => nasty, 1 => "[a-z]{1,6}", 1 => any::<String>()], 0..5).prop_map(|parts| parts.concat())
}

pub(super) fn report() -> impl Strategy<Value = Report> {
    let facts = (prop::bool::ANY, text(), text());
    (vec(scenario(), 0..4), errors(), diagnostics(), prop::bool::weighted(0.1), histories(), facts).prop_map(
        |(scenarios, errors, diagnostics, interrupted, histories, (provisioned, name, stand_in))| {
            let mut report = Report { errors, diagnostics, interrupted, histories, ..fixtures::run(scenarios) };
            let cluster = report.cluster.as_mut().unwrap();
            (cluster.name, cluster.stand_ins) = (name, vec![stand_in]);
            report.cluster = report.cluster.filter(|_| provisioned);
            report
        },
    )
}

fn scenario() -> impl Strategy<Value = ScenarioReport> {
    (text(), option::of(text()), text(), vec(step(), 1..4), errors()).prop_map(|(name, title, file, steps, errors)| {
        ScenarioReport { title, file: file.into(), errors, ..fixtures::scenario(&name, steps) }
    })
}

/// Mostly none, so that all outcomes are common.
fn diagnostics() -> impl Strategy<Value = Vec<Diagnostic>> {
    let one = (text(), text(), any::<bool>(), option::of(text())).prop_map(|(file, message, is_placed, help)| {
        let (file, help) = (Path::new(&file), help.as_deref());
        let at = |location| Diagnostic::at(file, location, message.clone(), help);
        if is_placed { at(Location { line: 2, column: 7 }) } else { Diagnostic::about_file(file, message, help) }
    });
    prop_oneof![9 => Just(vec![]), 1 => vec(one, 1..3)]
}

fn histories() -> impl Strategy<Value = Option<Histories>> {
    option::of(Just(Histories { first_seed: 3, count: 4, not_passed: vec![5] }))
}

/// What came of an expectation in them.
fn of_histories() -> impl Strategy<Value = ExpectationHistories> {
    let spread = text().prop_map(|what| Spread { what, earliest: 1.0, median: 2.0, latest: 3.5, margin: 0.5 });
    vec(spread, 0..3).prop_map(|spread| ExpectationHistories { judged: 4, not_passed: vec![5], seed: 5, spread })
}

/// Mostly none, so that all outcomes are common.
fn errors() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![6 => Just(vec![]), 1 => vec(text(), 1..3)]
}

fn step() -> impl Strategy<Value = StepReport> {
    let state = prop_oneof![8 => Just(StepState::Done), 1 => Just(StepState::CutShort), 1 => Just(StepState::NotRun)];
    let error = prop_oneof![9 => Just(None), 1 => text().prop_map(Some)];
    (text(), state, duration(), vec(expectation(), 0..4), error).prop_map(|(name, state, started, expectations, error)| {
        StepReport { name, location: Location { line: 3, column: 5 }, state, started, duration: started, expectations, error }
    })
}

fn expectation() -> impl Strategy<Value = ExpectationReport> {
    let verdict = prop_oneof![9 => verdict().prop_map(Some), 1 => Just(None)];
    (text(), verdict, option::of(context()), option::of(of_histories())).prop_map(|(expectation, verdict, context, histories)| {
        ExpectationReport { expectation, location: Location { line: 9, column: 1 }, verdict, context, histories }
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let outcome = prop_oneof![
        9 => Just((Outcome::Pass, None)),
        1 => Just((Outcome::Inconclusive, None)),
        1 => Just((Outcome::Fail, Some(Deviation::TooLate))),
        1 => Just((Outcome::Error, None)),
    ];
    (outcome, duration(), text(), option::of(text()), option::of(0.0..1e4)).prop_map(
        |((outcome, deviation), decided, message, said, margin)| Verdict {
            outcome,
            deviation,
            decided,
            message,
            expected: said.clone(),
            nearest_miss: said.clone(),
            cause: said,
            evidence: vec![1, 2],
            margin,
            transitions: Vec::new(),
        },
    )
}

fn context() -> impl Strategy<Value = FailureContext> {
    (vec(row(), 0..5), vec(text(), 0..3), vec(text(), 0..3), option::of(text()))
        .prop_map(|(rows, events, log, hint)| FailureContext { rows, events, log, hint })
}

fn row() -> impl Strategy<Value = ObservedRow> {
    (-1e3..1e5, text(), vec((text(), text()), 0..3), any::<bool>()).prop_map(|(t, object, cells, decisive)| ObservedRow {
        t,
        object,
        cells,
        decisive,
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    (0u64..1_000_000_000).prop_map(Duration::from_micros)
}
