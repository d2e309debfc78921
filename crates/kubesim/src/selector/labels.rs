//! Label selectors, as text (`a=b,c in (d,e),!f`) and as in objects (`matchLabels`, `matchExpressions`).

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use serde_json::Value;

/// Requirements on labels, all of which must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Reads a selector as `kubectl --selector` takes it.
    ///
    /// # Errors
    /// What is wrong with the text, as the real server says it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() {
                if text.trim().is_empty() {
                    continue;
                }
                return Err("found '', expected: identifier after ','".to_owned());
            }
            requirements.push(Requirement::parse(part)?);
        }
        Ok(Self { requirements })
    }

    /// The selector of an object's `matchLabels` and `matchExpressions`. An empty one selects everything.
    ///
    /// # Errors
    /// If an operator does not exist.
    pub fn from_api(selector: &v1::LabelSelector) -> Result<Self, String> {
        let mut requirements: Vec<_> = selector
            .match_labels
            .iter()
            .flatten()
            .map(|(key, value)| Requirement { key: key.clone(), operator: Operator::In(vec![value.clone()]) })
            .collect();
        for expression in selector.match_expressions.iter().flatten() {
            let values = expression.values.clone().unwrap_or_default();
            let operator = match expression.operator.as_str() {
                "In" => Operator::In(values),
                "NotIn" => Operator::NotIn(values),
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            requirements.push(Requirement { key: expression.key.clone(), operator });
        }
        Ok(Self { requirements })
    }

    /// The selector that demands exactly these labels, as a Service's does.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Self {
        let requirements = labels
            .iter()
            .map(|(key, value)| Requirement { key: key.clone(), operator: Operator::In(vec![value.clone()]) })
            .collect();
        Self { requirements }
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether it selects something with these labels.
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.requirements.iter().all(|r| r.holds(labels.and_then(|labels| labels.get(&r.key)).map(String::as_str)))
    }

    /// Whether it selects something with these labels, given as JSON.
    pub(crate) fn matches_value(&self, labels: &Value) -> bool {
        self.requirements.iter().all(|r| r.holds(labels.get(&r.key).and_then(Value::as_str)))
    }
}

/// A selector as text that [`LabelSelector::parse`] reads.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Requirement { key, operator }) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match operator {
                Operator::In(values) if values.len() == 1 => write!(f, "{key}={}", values[0]),
                Operator::In(values) => write!(f, "{key} in ({})", values.join(",")),
                Operator::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", values[0]),
                Operator::NotIn(values) => write!(f, "{key} notin ({})", values.join(",")),
                Operator::Exists => f.write_str(key),
                Operator::DoesNotExist => write!(f, "!{key}"),
                Operator::GreaterThan(bound) => write!(f, "{key}>{bound}"),
                Operator::LessThan(bound) => write!(f, "{key}<{bound}"),
            }?;
        }
        Ok(())
    }
}

impl Requirement {
    fn parse(text: &str) -> Result<Self, String> {
        let requirement = |key: &str, operator| {
            let key = key.trim();
            if let [_, word, ..] = key.split_whitespace().collect::<Vec<_>>()[..] {
                return Err(format!("unable to parse requirement: found '{word}', expected: in, notin, =, ==, !=, gt, lt"));
            }
            if key.is_empty() || key.contains(|c: char| c.is_whitespace() || "=!<>()".contains(c)) {
                return Err(format!("unable to parse requirement: invalid label key {key:?}"));
            }
            Ok(Self { key: key.to_owned(), operator })
        };
        let value = |value: &str| {
            let value = value.trim();
            if let Some(found) = value.chars().next().filter(|first| "(=".contains(*first)) {
                return Err(format!("unable to parse requirement: found '{found}', expected: identifier"));
            }
            let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if value.len() <= 63 && value.chars().all(legal) {
                Ok(value.to_owned())
            } else {
                Err(format!(
                    "unable to parse requirement: values[0][{value}]: Invalid value: {value:?}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
                ))
            }
        };
        let number = |text: &str| {
            text.trim().parse().map_err(|_| format!("for 'Gt', 'Lt' operators, the value must be an integer, not {text:?}"))
        };
        if let Some((head, list)) = text.split_once('(').filter(|(head, _)| !head.contains('=')) {
            let list = list.trim_end().strip_suffix(')').ok_or_else(|| format!("found {text:?}, expected: ')'"))?;
            let values = list.split(',').map(value).collect::<Result<_, _>>()?;
            let mut words = head.split_whitespace();
            return match (words.next(), words.next(), words.next()) {
                (Some(key), Some("in"), None) => requirement(key, Operator::In(values)),
                (Some(key), Some("notin"), None) => requirement(key, Operator::NotIn(values)),
                _ => Err(format!("found {head:?}, expected: in, notin")),
            };
        }
        if let Some((key, text)) = text.split_once("!=") {
            return requirement(key, Operator::NotIn(vec![value(text)?]));
        }
        if let Some((key, text)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return requirement(key, Operator::In(vec![value(text)?]));
        }
        if let Some((key, text)) = text.split_once('>') {
            return requirement(key, Operator::GreaterThan(number(text)?));
        }
        if let Some((key, text)) = text.split_once('<') {
            return requirement(key, Operator::LessThan(number(text)?));
        }
        match text.strip_prefix('!') {
            Some(key) => requirement(key, Operator::DoesNotExist),
            None => requirement(text, Operator::Exists),
        }
    }

    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
            Operator::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
            Operator::LessThan(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("", true)]
    #[case("app=web", true)]
    #[case("app==web,tier", true)]
    #[case("app!=web", false)]
    #[case("absent!=web", true)]
    #[case("app in (db, web),tier notin (x)", true)]
    #[case("app in (db)", false)]
    #[case("!app", false)]
    #[case("!absent", true)]
    #[case("rank>2", true)]
    #[case("rank<3", false)]
    fn selectors_select(#[case] text: &str, #[case] expected: bool) {
        let labels = json!({"app": "web", "tier": "front", "rank": "3"});
        let selector = LabelSelector::parse(text).unwrap();
        assert_eq!(selector.matches_value(&labels), expected);
        assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
    }

    #[rstest]
    #[case("a in b")]
    #[case("a in (b")]
    #[case("=b")]
    #[case("a,,b")]
    #[case("a=b c")]
    #[case("a>x")]
    fn malformed_selectors_are_refused(#[case] text: &str) {
        assert!(LabelSelector::parse(text).is_err());
    }
}
