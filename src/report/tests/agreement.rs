//! All formats say the same as the exit code, whatever a report contains, and what strangers wrote stays text in all of them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};
use quick_xml::events::Event as XmlEvent;
use serde_json::Value;

use super::{arbitrary, fixtures};
use crate::exit_code::{self, exit_code};
use crate::report::case::{Counts, Status};
use crate::report::{Palette, Report, console, github, json, junit, markdown};
use crate::verdict::Outcome;

proptest! {
    #[test]
    fn exit_code_and_outcome_agree(report in arbitrary::report()) {
        let code = exit_code(&report);
        prop_assert_eq!(code == exit_code::PASS, report.outcome() == Outcome::Pass);
        let worst = Counts::of(&report).occurring().next().map_or(Status::Pass, |(_, status)| status);
        prop_assert_eq!(worst, Status::from(report.outcome()));
    }

    #[test]
    fn junit_agrees(report in arbitrary::report()) {
        let xml = junit::render(&report).unwrap();
        let elements = elements(&xml);
        let of = |name| elements.iter().filter(|(element, _)| element == name).count();
        let (failures, errors) = (of("failure"), of("error"));
        let Counts { pass, not_run, inconclusive, fail, error } = Counts::of(&report);
        prop_assert_eq!((failures, errors, of("skipped")), (fail, inconclusive + error, not_run));
        prop_assert_eq!(of("testcase"), pass + not_run + inconclusive + fail + error);
        let root = &elements[0];
        prop_assert_eq!(attribute(root, "tests"), of("testcase"));
        prop_assert_eq!((attribute(root, "failures"), attribute(root, "errors")), (failures, errors));
        prop_assert_eq!(failures + errors == 0, exit_code(&report) == exit_code::PASS);
    }

    #[test]
    fn json_agrees_and_can_be_read_back(report in arbitrary::report()) {
        let text = json::render(&report).unwrap();
        prop_assert_eq!(&json::read(text.as_bytes()).unwrap(), &report);
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(value["outcome"].as_str().unwrap(), report.outcome().word());
        prop_assert_eq!(value["exit_code"].as_u64().unwrap(), u64::from(exit_code(&report)));
        for (written, scenario) in value["scenarios"].as_array().unwrap().iter().zip(&report.scenarios) {
            prop_assert_eq!(written["outcome"].as_str().unwrap(), scenario.outcome().word());
        }
    }

    #[test]
    fn markdown_agrees_and_has_no_markup_of_strangers(report in arbitrary::report()) {
        let page = markdown::render(&report);
        let verdict = page.lines().next().unwrap().rsplit(": ").next().unwrap();
        let interrupted = if report.interrupted { "interrupted, " } else { "" };
        prop_assert_eq!(verdict, format!("{interrupted}{}", report.outcome().word()));
        let spreads = if report.histories.is_some() { report.scenarios.len() } else { 0 };
        let troubles: usize = Counts::of(&report).occurring().filter(|(_, status)| status.is_trouble()).map(|(n, _)| n).sum();
        prop_assert_eq!(page.matches("<details>").count(), troubles + spreads + report.scenarios.len());
        markdown_is_clean(&page)?;
    }

    #[test]
    fn markdown_keeps_to_its_limit_and_stays_whole(report in arbitrary::report(), limit in 100usize..4000) {
        let page = markdown::render_within(&report, limit);
        prop_assert!(page.len() <= limit, "{} > {limit}", page.len());
        prop_assert!(page == markdown::render(&report) || page.contains("left out"));
        markdown_is_clean(&page)?;
    }

    #[test]
    fn annotations_agree_and_are_commands_only(report in arbitrary::report()) {
        let annotations = github::render(&report, None);
        let counts = Counts::of(&report);
        for (command, wanted) in [("error", counts.fail + counts.error), ("warning", counts.inconclusive)] {
            let given = annotations.lines().filter(|line| line.starts_with(&format!("::{command} "))).count();
            prop_assert_eq!(given, wanted.min(10));
        }
        for line in annotations.lines() {
            let (properties, _) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
            let (command, properties) = properties.split_once(' ').unwrap();
            prop_assert!(["error", "warning"].contains(&command), "{line}");
            for property in properties.split(',') {
                prop_assert!(["file", "line", "col", "title"].contains(&property.split_once('=').unwrap().0), "{line}");
            }
        }
        prop_assert!(!has_control_characters(&annotations));
    }

    #[test]
    fn console_agrees_and_is_harmless(report in arbitrary::report()) {
        let console = console::full(&report, Palette::PLAIN);
        let summary = console.lines().last().unwrap();
        prop_assert!(summary.contains(report.outcome().word()), "{summary}");
        let code = exit_code(&report);
        prop_assert_eq!(summary.ends_with(&format!("(exit code {code})")), code != 0);
        prop_assert!(!has_control_characters(&console));
        for line in console.lines() {
            prop_assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line:?}");
        }
    }
}

/// Every exit code that a report can have, in a report that has it.
#[test]
fn exit_codes() {
    let codes: Vec<_> = fixtures::all().into_iter().map(|(name, report)| (name, exit_code(&report))).collect();
    let expected = [
        ("all_pass", exit_code::PASS),
        ("deviations", exit_code::FAIL),
        ("inconclusive", exit_code::INCONCLUSIVE),
        ("action_error", exit_code::ENVIRONMENT),
        ("interrupted", exit_code::INTERRUPTED),
        ("teardown_failure", exit_code::ENVIRONMENT),
        ("provisioning_failure", exit_code::ENVIRONMENT),
        ("nothing_selected", exit_code::NOTHING_SELECTED),
        ("not_run", exit_code::FAIL),
        ("unexplained", exit_code::INCONCLUSIVE),
        ("wrong_files", exit_code::USAGE),
        ("histories", exit_code::FAIL),
        ("hostile", exit_code::ENVIRONMENT),
    ];
    assert_eq!(codes, expected);
}

/// Of several that are true, the worst is given.
#[test]
fn exit_code_precedence() {
    let report = |name| fixtures::all().into_iter().find(|(known, _)| *known == name).unwrap().1;
    let mut mixed = report("inconclusive");
    mixed.scenarios.extend(report("deviations").scenarios);
    assert_eq!(exit_code(&mixed), exit_code::FAIL);
    mixed.scenarios.extend(report("teardown_failure").scenarios);
    assert_eq!(exit_code(&mixed), exit_code::ENVIRONMENT);
    assert_eq!(exit_code(&Report { interrupted: true, ..mixed }), exit_code::INTERRUPTED);
    assert_eq!(exit_code(&Report { interrupted: true, ..report("wrong_files") }), exit_code::USAGE);
    let no_cluster = Report { scenarios: vec![], ..report("provisioning_failure") };
    assert_eq!(exit_code(&no_cluster), exit_code::ENVIRONMENT);
}

#[test]
fn help_lists_every_exit_code() {
    use exit_code::{ENVIRONMENT, FAIL, HELP, INCONCLUSIVE, INTERRUPTED, NOTHING_SELECTED, PASS, USAGE};
    let listed: BTreeSet<u8> = HELP.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(listed, BTreeSet::from([PASS, FAIL, USAGE, ENVIRONMENT, NOTHING_SELECTED, INCONCLUSIVE, INTERRUPTED]));
}

fn has_control_characters(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\n')
}

/// The elements of a document with their attributes; panics where it is not well-formed XML 1.0.
fn elements(xml: &str) -> Vec<(String, Vec<(String, String)>)> {
    let allowed = |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(xml.chars().all(allowed), "not a character of XML: {xml:?}");
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().check_comments = true;
    let mut elements = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            XmlEvent::Start(tag) | XmlEvent::Empty(tag) => {
                let attributes = tag.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap();
                    (String::from_utf8(attribute.key.0.to_vec()).unwrap(), value.into_owned())
                });
                elements.push((String::from_utf8(tag.name().0.to_vec()).unwrap(), attributes.collect()));
            }
            XmlEvent::Eof => return elements,
            _ => {}
        }
    }
}

fn attribute((_, attributes): &(String, Vec<(String, String)>), name: &str) -> usize {
    attributes.iter().find(|(known, _)| known == name).unwrap().1.parse().unwrap()
}

/// Only the markup that the format itself makes: no links, images, emphasis or code, and no tags but ours.
fn markdown_is_clean(page: &str) -> Result<(), TestCaseError> {
    prop_assert!(!has_control_characters(page));
    let mut headings = 0;
    for event in Parser::new_ext(page, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => tags_are_ours(&html)?,
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Text(_)
            | Event::SoftBreak
            | Event::End(_)
            | Event::Start(
                Tag::Paragraph
                | Tag::HtmlBlock
                | Tag::List(None)
                | Tag::Item
                | Tag::Table(_)
                | Tag::TableHead
                | Tag::TableRow
                | Tag::TableCell,
            ) => {}
            other => prop_assert!(false, "{other:?} in {page}"),
        }
    }
    let ours = |line: &&str| {
        line.starts_with("## ") || ["### What went wrong", "### When each row came", "### All expectations"].contains(line)
    };
    prop_assert_eq!(headings, page.lines().filter(ours).count(), "{}", page);
    for row in page.lines().filter(|line| line.starts_with('|')) {
        prop_assert!([5, 6].contains(&row.matches('|').count()), "{row}");
    }
    for tag in ["details", "pre", "p", "b", "code", "summary"] {
        let (opened, closed) = (page.matches(&format!("<{tag}>")).count(), page.matches(&format!("</{tag}>")).count());
        prop_assert_eq!(opened, closed, "{}", page);
    }
    Ok(())
}

fn tags_are_ours(html: &str) -> Result<(), TestCaseError> {
    const OURS: [&str; 7] = ["details", "summary", "b", "br", "code", "p", "pre"];
    for tag in html.split('<').skip(1) {
        let name = tag.split('>').next().unwrap().trim_start_matches('/');
        prop_assert!(OURS.contains(&name), "<{tag}");
    }
    Ok(())
}
