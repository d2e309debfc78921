//! Whatever a file holds, reading it ends with a scenario or with diagnostics that point into it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::path::Path;
use std::sync::OnceLock;

use labproof::diagnostic::{Diagnostic, render};
use labproof::{manifest, scenario};
use proptest::prelude::*;

/// Scenarios and manifests to start from.
fn seeds() -> &'static [String] {
    static SEEDS: OnceLock<Vec<String>> = OnceLock::new();
    SEEDS.get_or_init(read_seeds)
}

fn read_seeds() -> Vec<String> {
    let folders = ["scenarios", "tests/diagnostics", "manifests"].map(Into::into);
    let files = scenario::find(&folders).unwrap();
    let mut texts: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    texts.push(std::fs::read_to_string("docs/scenario.md").unwrap());
    texts
}

/// Reads a text in every way and checks what is said of it.
fn read(text: &str) {
    let file = Path::new("x.yaml");
    if let Err(diagnostics) = scenario::parse(text, file) {
        check(text, &diagnostics);
    }
    if let Err(diagnostics) = manifest::parse(text, file) {
        check(text, &diagnostics);
    }
}

fn check(text: &str, diagnostics: &[Diagnostic]) {
    assert!(diagnostics.iter().any(Diagnostic::is_error));
    let lines: Vec<_> = text.split('\n').collect();
    for location in diagnostics.iter().filter_map(|d| d.location) {
        let line = lines.get(location.line - 1).expect("the line is one of the file");
        assert!((1..=line.chars().count() + 1).contains(&location.column), "the column is one of the line");
    }
    assert!(!render(diagnostics, true).is_empty());
}

/// What YAML is made of, and what scenarios are.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\n- ",
    "- ",
    ": ",
    ",",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "|\n",
    ">\n",
    "#",
    "---\n",
    "...\n",
    "\"",
    "'",
    "\t",
    "\u{feff}",
    "\u{0}",
    "é",
    "🦀",
    "~",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "99999999999999999999",
    "0x",
    "<<: ",
    "? ",
    "%YAML 1.2\n",
    "name: x\n",
    "steps:\n",
    "- apply: a.yaml\n",
    "  expect:\n",
    "  - pod: x\n",
    "    row: ",
    "{ready: 1/1}",
    "    rows:\n",
    "    by: 15s\n",
    "    at: 20s..30s\n",
    "    never: {restarts: 1}\n",
    "    printed: |\n      NAME  READY  AGE\n      x  1/1  5s\n",
    "  - event: {reason: /(/}\n",
    "  - log: {pod: x}\n",
    "..",
    ">=",
    "/",
    "9h",
    "s",
    "ns",
];

#[derive(Clone, Debug)]
enum Edit {
    Insert(prop::sample::Index, usize),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 0..PIECES.len()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (at(), 1_usize..12).prop_map(|(at, length)| Edit::Remove(at, length)),
        (at(), 1_usize..60).prop_map(|(at, length)| Edit::Repeat(at, length)),
        at().prop_map(Edit::Cut),
    ]
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for edit in edits {
        let position = |at: &prop::sample::Index| at.index(chars.len() + 1);
        match edit {
            Edit::Insert(at, piece) => {
                let at = position(at);
                chars.splice(at..at, PIECES[*piece].chars());
            }
            Edit::Remove(at, length) => {
                let at = position(at);
                chars.drain(at..(at + length).min(chars.len()));
            }
            Edit::Repeat(at, length) => {
                let at = position(at);
                let part = chars[at..(at + length).min(chars.len())].to_vec();
                chars.splice(at..at, part);
            }
            Edit::Cut(at) => chars.truncate(position(at)),
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces_are_read(pieces in prop::collection::vec(0..PIECES.len(), 0..60)) {
        read(&pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>());
    }

    #[test]
    fn mistyped_files_are_read(seed in any::<prop::sample::Index>(), edits in prop::collection::vec(edit(), 1..4)) {
        let seeds = seeds();
        read(&edited(&seeds[seed.index(seeds.len())], &edits));
    }

    /// What the decoder accepts, the schema accepts.
    #[test]
    fn the_schema_refuses_nothing_that_is_read(seed in any::<prop::sample::Index>(), edits in prop::collection::vec(edit(), 0..3)) {
        thread_local! {
            static VALIDATOR: jsonschema::Validator = jsonschema::validator_for(&scenario::schema()).unwrap();
        }
        let seeds = seeds();
        let text = edited(&seeds[seed.index(seeds.len())], &edits);
        if scenario::parse(&text, Path::new("x.yaml")).is_ok()
            && let Ok(instance) = serde_yaml::from_str::<serde_json::Value>(&text)
        {
            let errors: Vec<_> = VALIDATOR.with(|v| v.iter_errors(&instance).map(|e| format!("{}: {e}", e.instance_path)).collect());
            prop_assert!(errors.is_empty(), "{text}\n{errors:#?}");
        }
    }

    #[test]
    fn deep_nesting_is_read(piece in prop::sample::select(vec!["[", "{a: ", "- ", "a:\n ", "&a [", "? ", "[{", "'", "!!str "]), depth in 1_usize..3_000) {
        read(&piece.repeat(depth));
    }
}

#[test]
fn a_bomb_is_refused_before_it_unfolds() {
    let lines: Vec<_> = (1..60).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]", i - 1)).collect();
    let text = format!("a0: &a0 [x, x, x, x]\n{}\n", lines.join("\n"));
    let errors = manifest::parse(&text, Path::new("x.yaml")).unwrap_err();
    assert!(errors[0].message.contains("its aliases unfolded"), "{errors:?}");
}

#[test]
fn a_million_bytes_are_read() {
    read(&"- a: [b, c]\n".repeat(1 << 16));
    read(&"x".repeat(1 << 20));
    read(&"x: y\n".repeat((1 << 20) / 5));
}

/// Each file takes little time and memory, however much is wrong with it: nothing is copied for each error.
#[test]
fn files_with_very_many_errors_are_told_shortly() {
    let many = |piece: &str, n: usize| (0..n).map(|i| piece.replace('%', &i.to_string())).collect::<String>();
    let steps = |text: String| format!("name: a\nsteps: [{text}]\n");
    let texts = [
        steps(many("{appl: x.yaml},", 30_000)),
        steps(many("{observe: {}, expect: [{pod: w%, rows: [{redy: 1/1}]}]},", 8_000)),
        steps(format!("{{apply: [{}]}}", many("x%.txt,", 20_000))),
        format!("{{name: a, {}}}", many("k%: 1,", 50_000)),
        format!("name: a\ntags: [{}]\nsteps: [{{apply: a.yaml}}, {{}}]\n", many("t%,", 60_000)),
        format!(
            "name: a\nsteps:\n- observe: {{}}\n  expect:\n{}",
            many("  - {pod: w, row: {status: \"/(a{50}){50}%/\"}, by: 1s}\n", 15_000)
        ),
        format!("{{apiVersion: v1, kind: List, items: [{}]}}", many("{kind: a},", 40_000)),
    ];
    for text in texts {
        read(&text);
        let errors = scenario::parse(&text, Path::new("x.yaml")).unwrap_err();
        assert!(errors.len() <= 102, "{} errors", errors.len());
        assert!(render(&errors, false).len() < 200_000);
    }
}

#[test]
fn a_long_line_is_clipped_around_what_is_meant() {
    let text = format!(
        "name: a\ntitle: [{}]\nsteps: [{}{{appl: x.yaml}}, {}]\n",
        "é, ".repeat(100),
        "{apply: x.yaml},".repeat(100),
        "{apply: x.yaml},".repeat(100)
    );
    let errors = scenario::parse(&text, Path::new("x.yaml")).unwrap_err();
    insta::assert_snapshot!(render(&errors, false));
}
