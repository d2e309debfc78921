//! How a value in a scenario is compared with what was observed.

use std::fmt;

use regex::Regex;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::names;

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
    /// Regular expressions of one file that take too much memory together.
    #[error("the regular expressions of this file are too large together, from `{0}` on: write simpler ones")]
    TooManyPatterns(String),
    /// A range whose end lies before its beginning.
    #[error("the range `{0}` is empty: its end lies before its beginning")]
    EmptyRange(String),
    /// Not a path of fields.
    #[error("`{0}` is not a path of fields, such as `status.phase` or `spec.containers[name=app].image`: {1}")]
    FieldPath(String, &'static str),
    /// Not a label selector.
    #[error("`{0}` is not a label selector, such as `app=web,tier!=cache`: {1}")]
    LabelSelector(String, &'static str),
}

/// How many bytes the regular expressions of one file may still take, by the measure of their compiler.
#[derive(Debug)]
pub(super) struct PatternBudget(usize);

impl Default for PatternBudget {
    fn default() -> Self {
        Self(16 << 20)
    }
}

impl PatternBudget {
    /// The compiler does not tell how large its result is, only whether it is larger than a limit.
    fn compile(&mut self, pattern: &str) -> Result<Regex, MatcherError> {
        for limit in [1 << 12, 1 << 14, 1 << 16, 1 << 18] {
            let left = self.0.checked_sub(limit).ok_or_else(|| MatcherError::TooManyPatterns(pattern.to_owned()))?;
            match regex::RegexBuilder::new(pattern).size_limit(limit).build() {
                Ok(compiled) => {
                    self.0 = left;
                    return Ok(compiled);
                }
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => return Err(MatcherError::Pattern(pattern.to_owned(), last_line(&error.to_string()))),
            }
        }
        Err(MatcherError::Pattern(pattern.to_owned(), "it is too large".to_owned()))
    }
}

impl ValueMatch {
    /// Reads the text of a scenario.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        Self::parse_within(text, &mut PatternBudget::default())
    }

    pub(super) fn parse_within(text: &str, budget: &mut PatternBudget) -> Result<Self, MatcherError> {
        if let Some(pattern) = pattern_of(text) {
            return budget.compile(pattern).map(Self::Pattern);
        }
        match number_range(text) {
            Some((low, high)) if low > high => Err(MatcherError::EmptyRange(text.to_owned())),
            Some((low, high)) => Ok(Self::Between(low, high)),
            None => Ok(Self::Equal(text.to_owned())),
        }
    }

    /// Reads the text of a scenario where a part of what is seen is enough: log lines and the messages of events.
    pub fn parse_part(text: &str) -> Result<Self, MatcherError> {
        Self::parse_part_within(text, &mut PatternBudget::default())
    }

    pub(super) fn parse_part_within(text: &str, budget: &mut PatternBudget) -> Result<Self, MatcherError> {
        match pattern_of(text) {
            Some(pattern) => budget.compile(pattern).map(Self::Pattern),
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
    /// The item of a list whose field has this value, compared as it is printed: `[name=app]`, `[containerPort=8080]`.
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
        self.0.iter().try_fold(object, |value, segment| segment.get(value))
    }
}

impl Segment {
    /// The value at this part of a path.
    pub(crate) fn get<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Field(name) => value.get(name),
            Self::Index(index) => value.get(index),
            Self::Keyed(key, text) => value.get(keyed(value, key, text)?),
        }
    }
}

/// The position of the first item of a list whose field has this value.
pub(crate) fn keyed(list: &Value, key: &str, text: &str) -> Option<usize> {
    list.as_array()?.iter().position(|item| match item.get(key) {
        Some(Value::String(value)) => value == text,
        Some(Value::Number(number)) => number.to_string() == text,
        Some(Value::Bool(value)) => text == if *value { "true" } else { "false" },
        _ => false,
    })
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

/// A label selector as kubectl reads it (`apimachinery/pkg/labels/selector.go`): `app=web,tier!=cache,canary,!old`,
/// `app in (web, api)`, `tier notin (cache)`, `generation > 3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Equal(String, String),
    NotEqual(String, String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Greater(String, i64),
    Less(String, i64),
    Exists(String),
    Absent(String),
}

impl LabelSelector {
    /// Reads the text of a scenario.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let requirements: Result<Vec<_>, _> = requirements(text).into_iter().map(|part| requirement(part.trim())).collect();
        requirements.map(Self).map_err(|why| MatcherError::LabelSelector(text.to_owned(), why))
    }

    /// The keys of the labels that it looks at.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Requirement::key)
    }

    /// Whether the object's `metadata.labels` are as asked for.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let number = |key: &str| label(key).and_then(|value| value.parse::<i64>().ok());
        self.0.iter().all(|requirement| match requirement {
            Requirement::Equal(key, value) => label(key) == Some(value),
            Requirement::NotEqual(key, value) => label(key) != Some(value),
            Requirement::In(key, values) => label(key).is_some_and(|label| values.iter().any(|value| value == label)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|label| values.iter().all(|value| value != label)),
            Requirement::Greater(key, bound) => number(key).is_some_and(|number| number > *bound),
            Requirement::Less(key, bound) => number(key).is_some_and(|number| number < *bound),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
        })
    }
}

impl Requirement {
    fn key(&self) -> &str {
        match self {
            Self::Equal(key, _)
            | Self::NotEqual(key, _)
            | Self::In(key, _)
            | Self::NotIn(key, _)
            | Self::Greater(key, _)
            | Self::Less(key, _)
            | Self::Exists(key)
            | Self::Absent(key) => key,
        }
    }
}

/// The parts between the commas that stand in no parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let mut is_inside = false;
    text.split(|c: char| {
        is_inside = (is_inside || c == '(') && c != ')';
        c == ',' && !is_inside
    })
    .collect()
}

fn requirement(part: &str) -> Result<Requirement, &'static str> {
    if part.starts_with('{') {
        return Err("it is a text, not a mapping");
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Requirement::NotEqual(label_key(key)?, label_value(value)?));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::Equal(label_key(key)?, label_value(value)?));
    }
    if let Some((key, bound)) = part.split_once('>') {
        return Ok(Requirement::Greater(label_key(key)?, bound_of(bound)?));
    }
    if let Some((key, bound)) = part.split_once('<') {
        return Ok(Requirement::Less(label_key(key)?, bound_of(bound)?));
    }
    if let Some((head, values)) = part.split_once('(') {
        let values = values.strip_suffix(')').ok_or("a parenthesis is not closed")?;
        let values = values.split(',').map(label_value).collect::<Result<_, _>>()?;
        return match head.split_whitespace().collect::<Vec<_>>()[..] {
            [key, "in"] => Ok(Requirement::In(label_key(key)?, values)),
            [key, "notin"] => Ok(Requirement::NotIn(label_key(key)?, values)),
            _ => Err("before a parenthesis stand a key and `in` or `notin`"),
        };
    }
    match part.strip_prefix('!') {
        Some(key) => label_key(key).map(Requirement::Absent),
        None => label_key(part).map(Requirement::Exists),
    }
}

fn bound_of(text: &str) -> Result<i64, &'static str> {
    text.trim().parse().map_err(|_| "`<` and `>` compare with a whole number")
}

/// A name of at most 63 characters, perhaps below a DNS subdomain: `app`, `app.kubernetes.io/name`.
fn label_key(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    if name.is_empty() {
        return Err("a key is missing");
    }
    let fits = is_label_value(name) && prefix.is_none_or(names::is_dns_subdomain);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a key consists of letters, digits, `-`, `_` and `.`, and begins and ends with one of the former")
    }
}

fn label_value(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if is_label_value(text) {
        return Ok(text.to_owned());
    }
    Err("a value consists of letters, digits, `-`, `_` and `.`, and begins and ends with one of the former")
}

fn is_label_value(text: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && is_edge(text.chars().next())
        && is_edge(text.chars().last())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "," } else { "" })?;
            match requirement {
                Requirement::Equal(key, value) => write!(f, "{key}={value}")?,
                Requirement::NotEqual(key, value) => write!(f, "{key}!={value}")?,
                Requirement::In(key, values) => write!(f, "{key} in ({})", values.join(","))?,
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(","))?,
                Requirement::Greater(key, bound) => write!(f, "{key}>{bound}")?,
                Requirement::Less(key, bound) => write!(f, "{key}<{bound}")?,
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
    #[case("spec.ports[containerPort=8080].name", Some(json!("http")))]
    #[case("metadata.labels.'app.kubernetes.io/name'", Some(json!("x")))]
    fn paths_lead_to_values(#[case] path: &str, #[case] expected: Option<Value>) {
        let object = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "x"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}, {"name": "app", "image": "app:1"}], "ports": [{"containerPort": 8080, "name": "http"}]},
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
    #[case(" app = web , tier != cache ", true)]
    #[case("app in (web, api),!old", true)]
    #[case("app in (api)", false)]
    #[case("app notin (api,db)", true)]
    #[case("tier notin (cache)", true)]
    #[case("generation>2", true)]
    #[case("generation<3", false)]
    #[case("app>2", false)]
    #[case("app=", false)]
    fn selectors_pick_by_labels(#[case] selector: &str, #[case] expected: bool) {
        let object = json!({"metadata": {"labels": {"app": "web", "generation": "3"}}});
        assert_eq!(LabelSelector::parse(selector).unwrap().matches(&object), expected);
    }

    #[rstest]
    #[case("")]
    #[case("app=web,")]
    #[case("app in (a")]
    #[case("app of (a)")]
    #[case("{app: web}")]
    #[case("-app-=web")]
    #[case("app=-web-")]
    #[case("a/b/c=web")]
    #[case("n>many")]
    #[case("=web")]
    #[case("!")]
    fn broken_selectors_are_refused(#[case] selector: &str) {
        assert!(matches!(LabelSelector::parse(selector), Err(MatcherError::LabelSelector(..))));
    }

    #[rstest]
    #[case("app in (a,b),c!=d")]
    #[case("app notin (a),n>3,m<4,!x")]
    fn selectors_are_shown_as_they_are_read(#[case] selector: &str) {
        assert_eq!(LabelSelector::parse(selector).unwrap().to_string(), selector);
    }

    #[test]
    fn the_patterns_of_a_file_are_limited_together() {
        let mut budget = PatternBudget::default();
        let mut read = |i: usize| ValueMatch::parse_within(&format!("/(a{{50}}){{50}}{i}/"), &mut budget);
        assert!(read(0).is_ok());
        assert!(matches!(
            (1..1000).find_map(|i| read(i).err()),
            Some(MatcherError::TooManyPatterns(_) | MatcherError::Pattern(..))
        ));
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
