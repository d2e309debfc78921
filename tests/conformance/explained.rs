//! Differences that are understood and stay: `explained.yaml`.

use std::fs;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

const FILE: &str = "tests/conformance/explained.yaml";

/// A difference that may be there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explanation {
    /// The case; all cases if left out.
    case: Option<String>,
    /// The minor version, such as `v1.34`; all versions if left out.
    version: Option<String>,
    /// A regular expression for the whole of the difference, as the tests print it.
    difference: String,
    /// Why it stays.
    pub(crate) because: String,
}

/// All explanations.
pub(crate) static ALL: LazyLock<Vec<Explanation>> = LazyLock::new(|| {
    let text = fs::read_to_string(FILE).expect("the explanations can be read");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{FILE}: {error}"))
});

/// The explanation of a difference, by its position.
pub(crate) fn of(case: &str, version: &str, difference: &str) -> Option<usize> {
    let is_of = |explanation: &Explanation| {
        explanation.case.as_deref().is_none_or(|own| own == case)
            && explanation.version.as_deref().is_none_or(|own| own == version)
            && pattern(explanation).is_match(difference)
    };
    ALL.iter().position(is_of)
}

fn pattern(explanation: &Explanation) -> Regex {
    Regex::new(&format!("^(?:{})$", explanation.difference)).unwrap_or_else(|error| panic!("{FILE}: {error}"))
}

impl Explanation {
    /// What identifies it, for people.
    pub(crate) fn name(&self) -> &str {
        &self.difference
    }
}
