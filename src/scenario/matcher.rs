//! How a value in a scenario is compared with what was observed.

use std::fmt;

use regex::Regex;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A condition on one value. In a scenario: `/text/` is a regular expression, `>=2`, `<=2`, `>2`, `<2` and `1..3` compare
/// numbers, anything else must be equal, or, in log lines and the messages of events, be a part of the text.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// Equal as text; a number or a Boolean is compared as it is printed.
    Equal(String),
    /// Somewhere in the text, literally.
    Contains(String),
    /// Somewhere in the text.
    Pattern(Regex),
    /// A whole number between these, both included.
    Between(i64, i64),
}

/// A matcher that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MatcherError {
    /// Not a regular expression.
    #[error("`{0}` is not a regular expression: {1}")]
    Pattern(String, String),
    /// A range whose end lies before its beginning.
    #[error("the range `{0}` is empty: its end lies before its beginning")]
    EmptyRange(String),
    /// Not a path of fields.
    #[error("`{0}` is not a path of fields, such as `status.phase` or `spec.containers[name=app].image`: {1}")]
    FieldPath(String, &'static str),
    /// Not a label selector.
    #[error("`{0}` is not a label selector, such as `app=web,tier!=cache`")]
    LabelSelector(String),
}

impl ValueMatch {
    /// Reads the text of a scenario.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        if let Some(pattern) = pattern_of(text) {
            return compile(pattern).map(Self::Pattern);
        }
        match number_range(text) {
            Some((low, high)) if low > high => Err(MatcherError::EmptyRange(text.to_owned())),
            Some((low, high)) => Ok(Self::Between(low, high)),
            None => Ok(Self::Equal(text.to_owned())),
        }
    }

    /// Reads the text of a scenario where a part of what is seen is enough: log lines and the messages of events.
    pub fn parse_part(text: &str) -> Result<Self, MatcherError> {
        match pattern_of(text) {
            Some(pattern) => compile(pattern).map(Self::Pattern),
            None => Ok(Self::Contains(text.to_owned())),
        }
    }

    /// Whether a text is as asked for. Numbers are taken from the beginning of the text, so that kubectl's
    /// `4 (49s ago)` counts as 4.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equal(expected) => {
                text == expected || text.split_once(" (").is_some_and(|(number, _)| is_number(number) && number == expected)
            }
            Self::Contains(part) => text.contains(part),
            Self::Pattern(pattern) => pattern.is_match(text),
            Self::Between(low, high) => {
                text.split(' ').next().and_then(|n| n.parse::<i64>().ok()).is_some_and(|n| (*low..=*high).contains(&n))
            }
        }
    }

    /// Whether a JSON value is as asked for; a missing value is `null`, which only the text `null` equals.
    pub fn matches_json(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.matches(text),
            other => self.matches(&other.to_string()),
        }
    }
}

fn pattern_of(text: &str) -> Option<&str> {
    text.strip_prefix('/')?.strip_suffix('/').filter(|pattern| !pattern.is_empty())
}

fn compile(pattern: &str) -> Result<Regex, MatcherError> {
    let compiled = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
    compiled.map_err(|error| MatcherError::Pattern(pattern.to_owned(), last_line(&error.to_string())))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn number_range(text: &str) -> Option<(i64, i64)> {
    let number = |t: &str| t.trim().parse::<i64>().ok();
    if let Some(n) = text.strip_prefix(">=").and_then(number) {
        return Some((n, i64::MAX));
    }
    if let Some(n) = text.strip_prefix("<=").and_then(number) {
        return Some((i64::MIN, n));
    }
    if let Some(n) = text.strip_prefix('>').and_then(number) {
        return Some((n.saturating_add(1), i64::MAX));
    }
    if let Some(n) = text.strip_prefix('<').and_then(number) {
        return Some((i64::MIN, n.saturating_sub(1)));
    }
    let (low, high) = text.split_once("..")?;
    Some((number(low)?, number(high)?))
}

impl fmt::Display for ValueMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(text) | Self::Contains(text) => f.write_str(text),
            Self::Pattern(pattern) => write!(f, "/{pattern}/"),
            Self::Between(low, i64::MAX) => write!(f, ">={low}"),
            Self::Between(i64::MIN, high) => write!(f, "<={high}"),
            Self::Between(low, high) => write!(f, "{low}..{high}"),
        }
    }
}

impl Serialize for ValueMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A path into an object: `status.phase`, `spec.containers[0].image`, `spec.containers[name=app].image`,
/// `metadata.labels.'app.kubernetes.io/name'`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(Vec<Segment>);

/// One part of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// A field of an object.
    Field(String),
    /// An item of a list, counted from 0.
    Index(usize),
    /// The item of a list whose field has this text: `[name=app]`.
    Keyed(String, String),
}

impl FieldPath {
    /// Reads the text of a scenario.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let error = |why| MatcherError::FieldPath(text.to_owned(), why);
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (segment, tail) = if let Some(inner) = rest.strip_prefix('[') {
                let (inside, tail) = inner.split_once(']').ok_or_else(|| error("a bracket is not closed"))?;
                (bracket(inside).ok_or_else(|| error("a bracket holds an index or `key=value`"))?, tail)
            } else if let Some(inner) = rest.strip_prefix('\'') {
                let (name, tail) = inner.split_once('\'').ok_or_else(|| error("a quote is not closed"))?;
                (Segment::Field(name.to_owned()), tail)
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                (Segment::Field(rest[..end].to_owned()), &rest[end..])
            };
            if segment == Segment::Field(String::new()) {
                return Err(error("a name is missing"));
            }
            segments.push(segment);
            rest = match tail.strip_prefix('.') {
                Some("") => return Err(error("it ends in a dot")),
                Some(next) => next,
                None if tail.is_empty() || tail.starts_with('[') => tail,
                None => return Err(error("a dot is missing")),
            };
        }
        if segments.is_empty() { Err(error("it is empty")) } else { Ok(Self(segments)) }
    }

    /// The parts of the path, outermost first.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The value at this path, if there is one.
    pub fn get<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |value, segment| match segment {
            Segment::Field(name) => value.get(name),
            Segment::Index(index) => value.get(index),
            Segment::Keyed(key, text) => value.as_array()?.iter().find(|item| item.get(key).and_then(Value::as_str) == Some(text)),
        })
    }
}

fn bracket(inside: &str) -> Option<Segment> {
    if let Ok(index) = inside.parse() {
        return Some(Segment::Index(index));
    }
    let (key, text) = inside.split_once('=')?;
    (!key.is_empty() && !text.is_empty()).then(|| Segment::Keyed(key.to_owned(), text.to_owned()))
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) => {
                    let dot = if i > 0 { "." } else { "" };
                    if name.contains(['.', '[']) { write!(f, "{dot}'{name}'")? } else { write!(f, "{dot}{name}")? }
                }
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Keyed(key, text) => write!(f, "[{key}={text}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A label selector in kubectl's equality form: `app=web,tier!=cache,canary,!old`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Equal(String, String),
    NotEqual(String, String),
    Exists(String),
    Absent(String),
}

impl LabelSelector {
    /// Reads the text of a scenario.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let requirements: Option<Vec<_>> = text.split(',').map(|part| requirement(part.trim())).collect();
        requirements.map(Self).ok_or_else(|| MatcherError::LabelSelector(text.to_owned()))
    }

    /// Whether the object's `metadata.labels` are as asked for.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
        self.0.iter().all(|requirement| match requirement {
            Requirement::Equal(key, value) => label(key) == Some(value),
            Requirement::NotEqual(key, value) => label(key) != Some(value),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
        })
    }
}

fn requirement(part: &str) -> Option<Requirement> {
    let is_word = |t: &str| t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    let pair =
        |key: &str, value: &str| (!key.is_empty() && is_word(key) && is_word(value)).then(|| (key.to_owned(), value.to_owned()));
    if let Some((key, value)) = part.split_once("!=") {
        return pair(key, value).map(|(k, v)| Requirement::NotEqual(k, v));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return pair(key, value).map(|(k, v)| Requirement::Equal(k, v));
    }
    match part.strip_prefix('!') {
        Some(key) => pair(key, "").map(|(k, _)| Requirement::Absent(k)),
        None => pair(part, "").map(|(k, _)| Requirement::Exists(k)),
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "," } else { "" })?;
            match requirement {
                Requirement::Equal(key, value) => write!(f, "{key}={value}")?,
                Requirement::NotEqual(key, value) => write!(f, "{key}!={value}")?,
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::Absent(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for LabelSelector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("Running", "Running", true)]
    #[case("Running", "NotRunning", false)]
    #[case("4", "4 (49s ago)", true)]
    #[case("4", "44", false)]
    #[case("a (b)", "a (b)", true)]
    #[case("Init", "Init (x)", false)]
    #[case("/Crash.*Off/", "CrashLoopBackOff", true)]
    #[case("/^Off/", "CrashLoopBackOff", false)]
    #[case("/", "/", true)]
    #[case("//", "//", true)]
    #[case(">=2", "2", true)]
    #[case(">=2", "1", false)]
    #[case(">2", "2", false)]
    #[case("<2", "1", true)]
    #[case("<=2", "3", false)]
    #[case("1..3", "3 (5s ago)", true)]
    #[case("1..3", "4", false)]
    #[case(">=2", "<none>", false)]
    fn values_are_compared(#[case] wanted: &str, #[case] seen: &str, #[case] expected: bool) {
        assert_eq!(ValueMatch::parse(wanted).unwrap().matches(seen), expected);
    }

    #[rstest]
    #[case("Health: OK", "2026/11/23 Health: OK", true)]
    #[case("1..3", "2", false)]
    #[case("/^Health/", "2026/11/23 Health: OK", false)]
    fn parts_are_found(#[case] wanted: &str, #[case] seen: &str, #[case] expected: bool) {
        assert_eq!(ValueMatch::parse_part(wanted).unwrap().matches(seen), expected);
    }

    #[rstest]
    #[case("true", json!(true), true)]
    #[case("8080", json!(8080), true)]
    #[case("Running", json!("Running"), true)]
    #[case("null", json!(null), true)]
    #[case("", json!(null), false)]
    fn json_is_compared_as_it_is_printed(#[case] wanted: &str, #[case] seen: Value, #[case] expected: bool) {
        assert_eq!(ValueMatch::parse(wanted).unwrap().matches_json(&seen), expected);
    }

    #[test]
    fn what_cannot_match_is_refused() {
        assert_eq!(ValueMatch::parse("3..1").unwrap_err(), MatcherError::EmptyRange("3..1".to_owned()));
        assert!(matches!(ValueMatch::parse("/(/"), Err(MatcherError::Pattern(..))));
        assert!(
            matches!(ValueMatch::parse("/(a{1000}){1000}/"), Err(MatcherError::Pattern(..))),
            "a pattern that takes all memory"
        );
    }

    #[rstest]
    #[case("status.phase", Some(json!("Running")))]
    #[case("spec.containers[0].image", Some(json!("web:1")))]
    #[case("spec.containers[name=app].image", Some(json!("app:1")))]
    #[case("spec.containers[name=other].image", None)]
    #[case("spec.containers[9]", None)]
    #[case("metadata.labels.'app.kubernetes.io/name'", Some(json!("x")))]
    fn paths_lead_to_values(#[case] path: &str, #[case] expected: Option<Value>) {
        let object = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "x"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}, {"name": "app", "image": "app:1"}]},
            "status": {"phase": "Running"},
        });
        let read = FieldPath::parse(path).unwrap();
        assert_eq!(read.get(&object), expected.as_ref());
        assert_eq!(read.to_string(), path);
    }

    #[rstest]
    #[case("")]
    #[case(".")]
    #[case("a.")]
    #[case("a..b")]
    #[case("a[")]
    #[case("a[]")]
    #[case("a[=x]")]
    #[case("a[0]b")]
    #[case("a.'b")]
    fn broken_paths_are_refused(#[case] path: &str) {
        assert!(matches!(FieldPath::parse(path), Err(MatcherError::FieldPath(..))));
    }

    #[rstest]
    #[case("app=web", true)]
    #[case("app==web,tier!=cache", true)]
    #[case("app=web,tier=cache", false)]
    #[case("app,!old", true)]
    #[case("!app", false)]
    #[case("tier!=cache", true)]
    fn selectors_pick_by_labels(#[case] selector: &str, #[case] expected: bool) {
        let object = json!({"metadata": {"labels": {"app": "web"}}});
        assert_eq!(LabelSelector::parse(selector).unwrap().matches(&object), expected);
    }

    #[rstest]
    #[case("")]
    #[case("app=web,")]
    #[case("app in (a)")]
    #[case("=web")]
    #[case("!")]
    fn broken_selectors_are_refused(#[case] selector: &str) {
        assert_eq!(LabelSelector::parse(selector), Err(MatcherError::LabelSelector(selector.to_owned())));
    }

    proptest! {
        #[test]
        fn ranges_are_shown_as_they_are_read(low in -1000_i64..1000, width in 0_i64..1000) {
            let high = low + width;
            for text in [format!("{low}..{high}"), format!(">={low}"), format!("<={high}")] {
                prop_assert_eq!(ValueMatch::parse(&text).unwrap().to_string(), text);
            }
        }
    }
}
