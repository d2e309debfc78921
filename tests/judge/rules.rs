//! Each rule of the judge by example. A file of `rules/` holds cases: a title, an expectation in YAML, a mini timeline and the verdict.
//! `UPDATE_RULES=1 cargo test --test judge` writes the verdicts that the judge gives; read the difference before you keep it.

use std::fs;
use std::path::PathBuf;

use rstest::rstest;

use crate::mini;

#[rstest]
fn the_judge_keeps_the_rules(#[files("tests/judge/rules/*.txt")] file: PathBuf) {
    let text = fs::read_to_string(&file).expect("a file of rules");
    let judged: Vec<String> = text.split("=== ").filter(|case| !case.trim().is_empty()).map(judged).collect();
    let judged = judged.concat();
    if std::env::var_os("UPDATE_RULES").is_some() {
        fs::write(&file, &judged).expect("the file of rules is written");
        return;
    }
    assert!(text == judged, "{} says:\n{text}\nbut the judge says:\n{judged}", file.display());
}

/// The case with the verdict that the judge gives.
fn judged(case: &str) -> String {
    let (title, rest) = case.split_once('\n').expect("a title");
    let mut parts = rest.split("---\n");
    let (expectation, lines) = (parts.next().expect("an expectation"), parts.next().expect("a timeline"));
    let scenario = mini::scenario_of(expectation);
    let verdicts = mini::judge(&scenario.steps[0], &mini::timeline(lines));
    let verdicts: String = verdicts.iter().map(|verdict| mini::words(verdict.as_ref())).collect();
    format!("=== {title}\n{expectation}---\n{lines}---\n{verdicts}\n")
}
