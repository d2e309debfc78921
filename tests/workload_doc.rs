//! Every example of `docs/workload.md` is read, and together they show every key.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use workload::Workload;

const DOC: &str = "docs/workload.md";

fn examples() -> Vec<String> {
    let page = std::fs::read_to_string(DOC).unwrap();
    page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn examples_are_read() {
    let examples = examples();
    assert!(examples.len() >= 2, "only {} examples were found", examples.len());
    for text in examples {
        if let Err(error) = Workload::from_yaml(&text) {
            panic!("{text}\n{error}");
        }
    }
}

/// What is left out when it says nothing is in what is written of an example that says it.
#[test]
fn the_examples_show_every_key() {
    let shown = examples().concat();
    let keys = "image aliases about listen log http timers on shell run port port-env after after-env until times status body body-file \
                delay hang memory take every exit SIGTERM";
    for key in keys.split_whitespace() {
        assert!(shown.contains(&format!("{key}:")), "{key}");
    }
}
