//! Reads the nodes of a scenario file one by one and collects everything that is wrong with them.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use super::duration;
use super::matcher::{MatcherError, PatternBudget, ValueMatch};
use super::shapes::Shape;
use crate::diagnostic::{Diagnostic, Source};
use crate::yaml::{Dialect, Node, Tree};

/// After so many errors and warnings of a file nothing more is told.
const MOST_TOLD: usize = 100;

/// Tells why a manifest that a scenario names cannot be used.
pub(super) type ManifestCheck<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// What has been found so far. Each method that reads reports what is wrong and then answers `None`; for a part that may be left
/// out that `None` is harmless, since nothing is made of a file with errors.
pub(super) struct Decoder<'a> {
    pub(super) source: &'a Source,
    pub(super) diagnostics: Vec<Diagnostic>,
    errors: usize,
    patterns: PatternBudget,
    pub(super) manifest: ManifestCheck<'a>,
}

/// A mapping whose keys have been checked against its [`Shape`].
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    shape: &'static Shape,
    entries: &'n [(Node, Node)],
    span: &'n Range<usize>,
    /// Some keys are wrong: what seems to be missing may be there under a wrong name.
    mistyped: bool,
}

impl<'n> Fields<'n> {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        debug_assert!(self.shape.keys.contains(&key), "{key} is not a key of {}", self.shape.name);
        find(self.entries, key).map(|(_, value)| value)
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Those of the keys that are there.
    pub(super) fn present(&self, keys: &[&'static str]) -> Vec<&'static str> {
        keys.iter().copied().filter(|key| self.has(key)).collect()
    }

    /// Where a key stands; the whole mapping if it is not there.
    pub(super) fn key_span(&self, key: &str) -> &'n Range<usize> {
        find(self.entries, key).map_or(self.span, |(key, _)| &key.span)
    }

    /// Whether some keys are wrong, so that what seems to be missing may be there.
    pub(super) fn is_mistyped(&self) -> bool {
        self.mistyped
    }

    /// Where the mapping stands.
    pub(super) fn span(&self) -> &'n Range<usize> {
        self.span
    }
}

fn find<'n>(entries: &'n [(Node, Node)], key: &str) -> Option<&'n (Node, Node)> {
    entries.iter().find(|(name, _)| name.as_text() == Some(key))
}

impl<'a> Decoder<'a> {
    pub(super) fn new(source: &'a Source, manifest: ManifestCheck<'a>) -> Self {
        Self { source, diagnostics: Vec::new(), errors: 0, patterns: PatternBudget::default(), manifest }
    }

    /// Reports an error.
    pub(super) fn error(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.errors += 1;
        if self.errors <= MOST_TOLD {
            let help = Some(help.into()).filter(|help| !help.is_empty());
            self.diagnostics.push(self.source.place(span).error(message, help));
        }
    }

    /// Reports a warning.
    pub(super) fn warning(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        if self.diagnostics.len() < MOST_TOLD {
            self.diagnostics.push(self.source.place(span).warning(message, Some(help.into())));
        }
    }

    /// Whether no more errors are told: what is read from now on is read in vain.
    pub(super) fn is_full(&self) -> bool {
        self.errors >= MOST_TOLD
    }

    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// A mapping; keys that its shape does not have are errors.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, shape: &'static Shape) -> Option<Fields<'n>> {
        let Tree::Mapping(entries) = &node.tree else {
            let help = match shape.keys {
                [] => "write `{}`".to_owned(),
                keys => format!("a mapping with {}", listed(keys, "and")),
            };
            self.error(&node.span, format!("{} must be a mapping, not {}", shape.what, kind_of(node)), help);
            return None;
        };
        let before = self.errors();
        for (key, _) in entries {
            if self.is_full() {
                return None;
            }
            self.check_key(key, shape);
        }
        Some(Fields { shape, entries, span: &node.span, mistyped: self.errors() > before })
    }

    fn check_key(&mut self, key: &Node, shape: &Shape) {
        let Some(name) = key.as_text() else {
            return self.error(
                &key.span,
                format!("a key of {} must be a word", shape.what),
                format!("known keys: {}", shape.keys.join(", ")),
            );
        };
        if shape.keys.contains(&name) {
            return;
        }
        let help = match shape.elsewhere.iter().find(|(wrong, _)| *wrong == name) {
            Some((_, right)) => (*right).to_owned(),
            None => match nearest(name, shape.keys.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if shape.keys.is_empty() => "it has no keys".to_owned(),
                None => format!("known keys: {}", shape.keys.join(", ")),
            },
        };
        self.error(&key.span, format!("{} has no key `{name}`", shape.what), help);
    }

    /// The value of a key that must be there.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, example: &str) -> Option<&'n Node> {
        let value = fields.get(key);
        if value.is_none() && !fields.mistyped {
            self.error(fields.span, format!("{} needs `{key}`", fields.shape.what), format!("such as `{example}`"));
        }
        value
    }

    /// Exactly one of these keys; `None` if there is not exactly one.
    pub(super) fn one_of(&mut self, fields: &Fields<'_>, keys: &'static [&'static str], missing: &str) -> Option<&'static str> {
        match fields.present(keys).as_slice() {
            [one] => Some(one),
            [] if fields.mistyped => None,
            [] => {
                self.error(fields.span, missing, format!("one of {}", listed(keys, "and")));
                None
            }
            [first, others @ ..] => {
                for other in others {
                    let message = format!("{} has both `{first}` and `{other}`", fields.shape.what);
                    self.error(fields.key_span(other), message, format!("only one of {} may be there", listed(keys, "and")));
                }
                None
            }
        }
    }

    /// These keys must not stand beside another one.
    pub(super) fn none_beside(&mut self, fields: &Fields<'_>, keys: &[&'static str], beside: &str, help: &str) {
        for key in fields.present(keys) {
            self.error(fields.key_span(key), format!("`{key}` cannot stand beside `{beside}`"), help);
        }
    }

    /// A scalar as it is written in the file: numbers and Booleans as their text.
    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.tree {
            Tree::Scalar(scalar) if !node.is_null() && !scalar.text.trim().is_empty() => Some(&scalar.text),
            Tree::Scalar(_) => {
                self.error(&node.span, format!("{what} is empty"), "write a text after the colon");
                None
            }
            _ => {
                self.error(&node.span, format!("{what} must be a text, not {}", kind_of(node)), "");
                None
            }
        }
    }

    /// A list with at least one item.
    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.tree {
            Tree::Sequence(items) if !items.is_empty() => return Some(items),
            Tree::Sequence(_) => {
                self.error(&node.span, format!("{what} is an empty list"), "list at least one, or leave the key out");
            }
            _ if node.is_null() => self.error(&node.span, format!("{what} is empty"), "list at least one, or leave the key out"),
            _ => self.error(&node.span, format!("{what} must be a list, not {}", kind_of(node)), "begin each item with `- `"),
        }
        None
    }

    /// A whole number between two others, both included.
    pub(super) fn number<N: FromStr + PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        node: &Node,
        what: &str,
        low: N,
        high: N,
    ) -> Option<N> {
        let text = self.text(node, what)?;
        let number = text.parse().ok().filter(|n| (low..=high).contains(n));
        if number.is_none() {
            self.error(&node.span, format!("{what} must be a whole number from {low} to {high}, not `{text}`"), "");
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.tree {
            Tree::Scalar(scalar) => match scalar.value(Dialect::Core) {
                serde_json::Value::Bool(value) => return Some(value),
                _ => self.error(&node.span, format!("{what} must be `true` or `false`, not `{}`", scalar.text), ""),
            },
            _ => self.error(&node.span, format!("{what} must be `true` or `false`, not {}", kind_of(node)), ""),
        }
        None
    }

    /// A duration.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let text = self.text(node, what)?.trim();
        self.duration_text(text, &node.span)
    }

    /// A duration longer than nothing.
    pub(super) fn positive_duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let duration = self.duration(node, what)?;
        if duration.is_zero() {
            self.error(&node.span, format!("{what} is no time at all"), "write a longer one, such as `15s`");
            return None;
        }
        Some(duration)
    }

    pub(super) fn duration_text(&mut self, text: &str, span: &Range<usize>) -> Option<Duration> {
        match duration::parse(text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.error(span, error.message, error.help);
                None
            }
        }
    }

    /// A condition on a value.
    pub(super) fn matcher(&mut self, node: &Node, what: &str) -> Option<ValueMatch> {
        let text = self.text(node, what)?;
        let read = ValueMatch::parse_within(text, &mut self.patterns);
        self.matched(read, node)
    }

    /// A condition on a text of which only a part may be known.
    pub(super) fn part_matcher(&mut self, node: &Node, what: &str) -> Option<ValueMatch> {
        let text = self.text(node, what)?;
        let read = ValueMatch::parse_part_within(text.trim_end(), &mut self.patterns);
        self.matched(read, node)
    }

    /// What was read from a node, unless it could not be.
    pub(super) fn matched<T>(&mut self, read: Result<T, MatcherError>, node: &Node) -> Option<T> {
        read.map_err(|error| self.error(&node.span, error.to_string(), "")).ok()
    }

    /// One of a few words.
    pub(super) fn word(&mut self, node: &Node, what: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(node, what)?;
        let word = words.iter().copied().find(|word| *word == text);
        if word.is_none() {
            let help = match nearest(text, words.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => String::new(),
            };
            self.error(&node.span, format!("{what} must be {}, not `{text}`", listed(words, "or")), help);
        }
        word
    }
}

/// What a node is, in messages.
pub(super) fn kind_of(node: &Node) -> &'static str {
    match &node.tree {
        Tree::Mapping(_) => "a mapping",
        Tree::Sequence(_) => "a list",
        Tree::Scalar(_) if node.is_null() => "nothing",
        Tree::Scalar(_) => "a text",
    }
}

/// `` `a`, `b` and `c` ``.
pub(super) fn listed(words: &[&str], and: &str) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {and} {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// What a mistyped word most likely meant.
pub(crate) fn nearest<T: AsRef<str>>(word: &str, known: impl Iterator<Item = T>) -> Option<T> {
    if word.len() > 100 {
        return None;
    }
    let most = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate.as_ref()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
