//! Every example of `docs/scenario.md` is read; what it prints of wrong ones is what is printed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::path::Path;

use labproof::diagnostic::render;
use labproof::scenario;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

const DOC: &str = "docs/scenario.md";

/// A fenced block: what stands behind the fence, the text, and its bytes in the page.
struct Block {
    info: String,
    text: String,
    range: std::ops::Range<usize>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (event, range) in Parser::new(page).into_offset_iter() {
        match (event, &mut open) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))), _) => {
                open = Some(Block { info: info.to_string(), text: String::new(), range });
            }
            (Event::Text(text), Some(block)) => block.text.push_str(&text),
            (Event::End(TagEnd::CodeBlock), _) => blocks.extend(open.take()),
            _ => {}
        }
    }
    blocks
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{by}{line}\n") }).collect()
}

/// The scenario that a block is, or is a part of.
fn scenario_of(block: &Block) -> Option<String> {
    match block.info.as_str() {
        "yaml" => Some(block.text.clone()),
        "yaml step" => Some(format!("name: example\nsteps:\n{}", block.text)),
        "yaml expect" => Some(format!("name: example\nsteps:\n- observe: {{}}\n  expect:\n{}", indented(&block.text, "  "))),
        _ => None,
    }
}

#[test]
fn examples_are_read_and_keep_to_the_schema() {
    let page = std::fs::read_to_string(DOC).unwrap();
    let validator = jsonschema::validator_for(&scenario::schema()).unwrap();
    let mut read = 0;
    for text in blocks(&page).iter().filter_map(scenario_of) {
        if let Err(diagnostics) = scenario::parse(&text, Path::new("scenario.yaml")) {
            panic!("{text}\n{}", render(&diagnostics, false));
        }
        let instance: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let errors: Vec<_> = validator.iter_errors(&instance).map(|e| format!("{}: {e}", e.instance_path)).collect();
        assert!(errors.is_empty(), "{text}\n{errors:#?}");
        read += 1;
    }
    assert!(read >= 10, "only {read} examples were found");
}

/// Write the printed diagnostics anew with `LABPROOF_WRITE_DOCS=1 cargo test --test scenario_doc`.
#[test]
fn wrong_examples_print_what_the_page_shows() {
    let page = std::fs::read_to_string(DOC).unwrap();
    let blocks = blocks(&page);
    let mut expected = page.clone();
    let mut checked = 0;
    for pair in blocks.windows(2).rev().filter(|pair| pair[0].info == "yaml wrong") {
        let [wrong, shown] = pair else { unreachable!("windows of two") };
        assert_eq!(shown.info, "text", "after a wrong example comes what is printed");
        let diagnostics = scenario::parse(&wrong.text, Path::new("scenario.yaml")).expect_err("it is wrong");
        let printed = format!("```text\n{}```", render(&diagnostics, false).replace(" \n", "\n"));
        expected.replace_range(shown.range.clone(), &printed);
        checked += 1;
    }
    assert!(checked >= 3, "only {checked} wrong examples were found");
    if std::env::var_os("LABPROOF_WRITE_DOCS").is_some() {
        std::fs::write(DOC, &expected).unwrap();
    }
    let page = std::fs::read_to_string(DOC).unwrap();
    assert!(page == expected, "{DOC} is out of date: run `LABPROOF_WRITE_DOCS=1 cargo test --test scenario_doc`");
}

/// The page shows every key of the format.
#[test]
fn the_page_shows_every_key() {
    let page = std::fs::read_to_string(DOC).unwrap();
    let shown: String = blocks(&page).iter().filter_map(scenario_of).collect();
    let schema = scenario::schema();
    let definitions = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let keys = definitions.filter_map(|definition| definition["properties"].as_object()).flat_map(|properties| properties.keys());
    let missing: Vec<_> = keys.filter(|key| !shown.contains(&format!("{key}:"))).filter(|key| *key != "nodes").collect();
    assert!(missing.is_empty(), "{missing:?}");
}
