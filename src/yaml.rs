//! YAML text as trees whose every node knows its place, safe with hostile text: its size, its depth and what its aliases
//! unfold to are limited.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Number, Value};

/// The largest file that is read, in bytes.
pub(crate) const MOST_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and mappings.
const MOST_DEEP: usize = 64;
/// After so many errors nothing more is read.
const MOST_ERRORS: usize = 100;
/// The most nodes of a file, aliases unfolded.
const MOST_NODES: usize = 200_000;
/// The most bytes of texts of a file, aliases unfolded.
const MOST_TEXT: usize = 4 * MOST_BYTES;

/// Part of a document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) tree: Tree,
    /// The bytes of the file in which it is written; for an alias those of what it stands for.
    pub(crate) span: Range<usize>,
    /// How many levels of lists and mappings there are, itself included; 0 for a scalar.
    depth: usize,
    size: Size,
}

/// How much there is in a node, itself included.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    /// Bytes of texts.
    text: usize,
}

impl std::ops::AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.text += other.text;
    }
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// A text, number, Boolean or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Arc<str>,
    /// Written without quotes and without `!!str`: it may be something else than a text.
    plain: bool,
}

/// Which plain scalars are not texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// YAML 1.2's core schema: `on` and `0644` are what they look like.
    Core,
    /// As `kubectl` reads manifests (YAML 1.1): `on` and `yes` are Booleans, `0644` is octal, `<<` merges.
    Kubernetes,
}

/// What is wrong with a text as YAML.
#[derive(Debug)]
pub(crate) struct YamlError {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

/// The text of a file; what cannot be read is not UTF-8, too large or not a file, and nothing is waited for.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err(if metadata.is_dir() { "it is a folder" } else { "it is not a regular file" }.to_owned());
    }
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64 + 1;
    File::open(file).and_then(|f| f.take(most).read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    if bytes.len() > MOST_BYTES {
        return Err(format!("it is larger than {MOST_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 (byte {})", error.utf8_error().valid_up_to()))
}

/// The documents of a text. Empty documents are left out; nothing that comes after a syntax error is read.
pub(crate) fn documents(text: &str) -> (Vec<Node>, Vec<YamlError>) {
    let mut builder = Builder { text, ..Builder::default() };
    if text.len() > MOST_BYTES {
        builder.fail(0..0, format!("the file has {} bytes; at most {MOST_BYTES} are read", text.len()), None);
        return (Vec::new(), builder.errors);
    }
    let options = granit_parser::options! { emit_comments: false };
    for next in Parser::new_from_str_with_options(text, options) {
        let proceed = match next {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                builder.syntax_error(at, &error.info());
                false
            }
        };
        if !proceed || builder.errors.len() >= MOST_ERRORS {
            break;
        }
    }
    (builder.documents, builder.errors)
}

#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    documents: Vec<Node>,
    errors: Vec<YamlError>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    made: Size,
}

/// A list or mapping whose end has not come yet.
struct Open {
    start: usize,
    anchor: usize,
    depth: usize,
    size: Size,
    inside: Inside,
}

enum Inside {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Node, Node)>, key: Option<Node>, known: BTreeSet<String> },
}

impl Builder<'_> {
    fn fail(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<&'static str>) {
        self.errors.push(YamlError { span, message: message.into(), help });
    }

    fn syntax_error(&mut self, at: usize, info: &str) {
        let line = self.text.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or_default();
        let help = if info.contains("mapping values are not allowed") || line.contains(['{', '[']) {
            Some(
                "a text in which `: ` or ` #` occurs must stand in quotes, and in `{…}` or `[…]` one with `,`, `[`, `]`, `{` or `}` too",
            )
        } else if line.contains('\t') {
            Some("YAML is indented with spaces, not with tabs")
        } else {
            None
        };
        self.fail(at..at, format!("this is not YAML: {info}"), help);
    }

    /// Whether to go on.
    fn event(&mut self, event: Event<'_>, span: Span) -> bool {
        let bytes = span.byte_range().unwrap_or(0..0);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let Some(plain) = self.plain(style, tag.as_ref(), &bytes) else { return false };
                let size = Size { nodes: 1, text: text.len() };
                let node = Node { tree: Tree::Scalar(Scalar { text: text.into(), plain }), span: bytes, depth: 0, size };
                self.remember(anchor, &node) && self.put(node)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.untagged(tag.as_ref(), &bytes) && self.begin(&bytes, anchor, Inside::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let inside = Inside::Mapping { entries: Vec::new(), key: None, known: BTreeSet::new() };
                self.untagged(tag.as_ref(), &bytes) && self.begin(&bytes, anchor, inside)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(bytes.end),
            Event::Alias(anchor) => self.alias(anchor, bytes),
            Event::DocumentStart(..) => {
                self.anchors.clear();
                true
            }
            _ => true,
        }
    }

    fn alias(&mut self, anchor: usize, bytes: Range<usize>) -> bool {
        let Some(size) = self.anchors.get(&anchor).map(|node| node.size) else {
            self.fail(bytes, "an alias stands inside of what it stands for", None);
            return false;
        };
        self.afford(size, &bytes) && self.anchors.get(&anchor).cloned().is_some_and(|node| self.put(node))
    }

    fn plain(&mut self, style: ScalarStyle, tag: Option<&Cow<'_, Tag>>, bytes: &Range<usize>) -> Option<bool> {
        match tag {
            None => Some(style == ScalarStyle::Plain),
            Some(tag) if tag.is_yaml_core_schema_tag("str") => Some(false),
            Some(tag) if tag.is_yaml_core_schema() => Some(style == ScalarStyle::Plain),
            tag => self.untagged(tag, bytes).then_some(false),
        }
    }

    fn untagged(&mut self, tag: Option<&Cow<'_, Tag>>, bytes: &Range<usize>) -> bool {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() => {
                self.fail(bytes.clone(), format!("the tag `{}` means nothing here", tag.original()), Some("leave it out"));
                false
            }
            _ => true,
        }
    }

    fn begin(&mut self, bytes: &Range<usize>, anchor: usize, inside: Inside) -> bool {
        if self.open.len() >= MOST_DEEP {
            return self.too_deep(bytes.clone());
        }
        self.open.push(Open { start: bytes.start, anchor, depth: 0, size: Size { nodes: 1, text: 0 }, inside });
        true
    }

    fn too_deep(&mut self, bytes: Range<usize>) -> bool {
        self.fail(bytes, format!("lists and mappings are nested more than {MOST_DEEP} levels deep"), None);
        false
    }

    fn end(&mut self, end: usize) -> bool {
        let Some(Open { start, anchor, depth, size, inside }) = self.open.pop() else { return false };
        let tree = match inside {
            Inside::Sequence(items) => Tree::Sequence(items),
            Inside::Mapping { entries, .. } => Tree::Mapping(entries),
        };
        let node = Node { tree, span: start..end.max(start), depth: depth + 1, size };
        self.remember(anchor, &node) && self.put(node)
    }

    /// Keeps a copy for aliases.
    fn remember(&mut self, anchor: usize, node: &Node) -> bool {
        if anchor == 0 {
            return true;
        }
        if !self.afford(node.size, &node.span) {
            return false;
        }
        self.anchors.insert(anchor, node.clone());
        true
    }

    /// Whether so much more may be made.
    fn afford(&mut self, size: Size, span: &Range<usize>) -> bool {
        self.made += size;
        let (has, most, what) = match self.made {
            Size { nodes, .. } if nodes > MOST_NODES => (nodes, MOST_NODES, "values"),
            Size { text, .. } => (text, MOST_TEXT, "bytes of text"),
        };
        if has > most {
            self.fail(span.clone(), format!("the file has more than {most} {what}, its aliases unfolded"), None);
        }
        has <= most
    }

    fn put(&mut self, node: Node) -> bool {
        if !self.afford(Size { nodes: 1, text: 0 }, &node.span) {
            return false;
        }
        let level = self.open.len() + node.depth;
        let Some(open) = self.open.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return true;
        };
        if level > MOST_DEEP {
            return self.too_deep(node.span);
        }
        open.depth = open.depth.max(node.depth);
        open.size += node.size;
        match &mut open.inside {
            Inside::Sequence(items) => items.push(node),
            Inside::Mapping { key: key @ None, .. } => *key = Some(node),
            Inside::Mapping { entries, key, known } => {
                let Some(key) = key.take() else { return true };
                match key.as_text() {
                    Some("<<") | None => entries.push((key, node)),
                    Some(text) if known.insert(text.to_owned()) => entries.push((key, node)),
                    Some(text) => {
                        let message = format!("the key `{text}` stands here twice");
                        self.fail(key.span, message, Some("remove one of the two"));
                    }
                }
            }
        }
        true
    }
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Scalar(scalar) => Some(&scalar.text),
            Tree::Sequence(_) | Tree::Mapping(_) => None,
        }
    }

    /// The text of a scalar that is one: a number or Boolean is none.
    pub(crate) fn to_text(&self, dialect: Dialect) -> Option<&str> {
        match &self.tree {
            Tree::Scalar(scalar) if scalar.value(dialect).is_string() => Some(&scalar.text),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub(crate) fn field(&self, key: &str) -> Option<&Self> {
        let Tree::Mapping(entries) = &self.tree else { return None };
        entries.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
    }

    /// Whether nothing stands here.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.tree, Tree::Scalar(scalar) if scalar.value(Dialect::Core).is_null())
    }

    /// As JSON. Keys become texts; of merged mappings (`<<`) the own keys win.
    pub(crate) fn to_json(&self, dialect: Dialect) -> Value {
        match &self.tree {
            Tree::Scalar(scalar) => scalar.value(dialect),
            Tree::Sequence(items) => items.iter().map(|item| item.to_json(dialect)).collect(),
            Tree::Mapping(entries) => {
                let mut object = Map::new();
                for (key, value) in entries {
                    let value = value.to_json(dialect);
                    match key.as_text() {
                        Some("<<") if dialect == Dialect::Kubernetes => merge(&mut object, value),
                        Some(text) => _ = object.insert(text.to_owned(), value),
                        None => _ = object.insert(key.to_json(dialect).to_string(), value),
                    }
                }
                Value::Object(object)
            }
        }
    }
}

fn merge(object: &mut Map<String, Value>, merged: Value) {
    match merged {
        Value::Object(entries) => {
            for (key, value) in entries {
                object.entry(key).or_insert(value);
            }
        }
        Value::Array(items) => items.into_iter().for_each(|item| merge(object, item)),
        _ => {}
    }
}

impl Scalar {
    /// Its value: quoted ones are texts.
    pub(crate) fn value(&self, dialect: Dialect) -> Value {
        let text = &*self.text;
        if !self.plain {
            return Value::String(text.to_owned());
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" if dialect == Dialect::Kubernetes => return Value::Bool(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" if dialect == Dialect::Kubernetes => return Value::Bool(false),
            _ => {}
        }
        number(text, dialect).map_or_else(|| Value::String(text.to_owned()), Value::Number)
    }
}

fn number(text: &str, dialect: Dialect) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let plain = match dialect {
        Dialect::Core => Cow::Borrowed(text),
        Dialect::Kubernetes => Cow::Owned(text.replace('_', "")),
    };
    let (is_negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (digits, radix) = match dialect {
        Dialect::Core if digits.len() < plain.len() => (digits, 10),
        Dialect::Core => core_radix(digits),
        Dialect::Kubernetes => go_radix(digits),
    };
    let unsigned =
        digits.starts_with(|c: char| c.is_ascii_alphanumeric()).then(|| u64::from_str_radix(digits, radix).ok()).flatten();
    match unsigned {
        Some(n) if !is_negative => return Some(n.into()),
        Some(n) if n <= i64::MIN.unsigned_abs() => return Some(0_i64.wrapping_sub_unsigned(n).into()),
        _ => {}
    }
    plain.parse().ok().and_then(Number::from_f64)
}

/// YAML 1.2's core schema.
fn core_radix(digits: &str) -> (&str, u32) {
    let prefixed = |prefix, radix| digits.strip_prefix(prefix).map(|rest| (rest, radix));
    prefixed("0x", 16).or_else(|| prefixed("0o", 8)).unwrap_or((digits, 10))
}

/// As kubectl's parser takes whole numbers, by Go's `strconv.ParseInt` with base 0 (sigs.k8s.io/yaml, goyaml.v2/resolve.go).
fn go_radix(digits: &str) -> (&str, u32) {
    let prefixed =
        |prefixes: [&str; 2], radix| prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix)).map(|rest| (rest, radix));
    let octal = || digits.strip_prefix('0').filter(|rest| rest.bytes().all(|b| matches!(b, b'0'..=b'7'))).map(|_| (digits, 8));
    prefixed(["0x", "0X"], 16)
        .or_else(|| prefixed(["0o", "0O"], 8))
        .or_else(|| prefixed(["0b", "0B"], 2))
        .or_else(octal)
        .unwrap_or((digits, 10))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn value(text: &str, dialect: Dialect) -> Value {
        let (documents, errors) = documents(text);
        assert!(errors.is_empty(), "{errors:?}");
        documents[0].to_json(dialect)
    }

    #[rstest]
    #[case("text", json!("text"))]
    #[case("'1'", json!("1"))]
    #[case("!!str 1", json!("1"))]
    #[case("1", json!(1))]
    #[case("-1", json!(-1))]
    #[case("1.5", json!(1.5))]
    #[case("1e3", json!(1000.0))]
    #[case("1e400", json!("1e400"))]
    #[case("0x1F", json!(31))]
    #[case("18446744073709551615", json!(18_446_744_073_709_551_615_u64))]
    #[case("-9223372036854775808", json!(i64::MIN))]
    #[case("0x+5", json!("0x+5"))]
    #[case("0x-5", json!("0x-5"))]
    #[case("+5", json!(5))]
    #[case("1.2.3", json!("1.2.3"))]
    #[case("1/1", json!("1/1"))]
    #[case("20s..30s", json!("20s..30s"))]
    #[case("infinity", json!("infinity"))]
    #[case(".", json!("."))]
    #[case("True", json!(true))]
    #[case("[~, null, '']", json!([null, null, ""]))]
    fn scalars_have_the_core_types(#[case] text: &str, #[case] expected: Value) {
        assert_eq!(value(text, Dialect::Core), expected);
        assert_eq!(value(text, Dialect::Kubernetes), expected);
    }

    #[rstest]
    #[case("on", json!("on"), json!(true))]
    #[case("no", json!("no"), json!(false))]
    #[case("y", json!("y"), json!(true))]
    #[case("0644", json!(644), json!(420))]
    #[case("0999", json!(999), json!(999))]
    #[case("1_000", json!("1_000"), json!(1000))]
    #[case("0b11", json!("0b11"), json!(3))]
    #[case("-0x1F", json!("-0x1F"), json!(-31))]
    #[case("0o17", json!(15), json!(15))]
    #[case("0", json!(0), json!(0))]
    fn dialects_differ(#[case] text: &str, #[case] core: Value, #[case] kubernetes: Value) {
        assert_eq!(value(text, Dialect::Core), core);
        assert_eq!(value(text, Dialect::Kubernetes), kubernetes);
    }

    #[test]
    fn aliases_unfold() {
        let text = "a: &a {x: 1}\nb: *a\nc: [*a, *a]\n";
        assert_eq!(value(text, Dialect::Core), json!({"a": {"x": 1}, "b": {"x": 1}, "c": [{"x": 1}, {"x": 1}]}));
    }

    #[test]
    fn keys_become_texts() {
        assert_eq!(value("{1: a, true: b, [x]: c}", Dialect::Core), json!({"1": "a", "true": "b", "[\"x\"]": "c"}));
    }

    #[test]
    fn nodes_know_their_bytes() {
        let text = "é: [a, 'b c']\n";
        let (documents, _) = documents(text);
        let Tree::Mapping(entries) = &documents[0].tree else { panic!("a mapping") };
        let Tree::Sequence(items) = &entries[0].1.tree else { panic!("a list") };
        let parts: Vec<_> = [&entries[0].0, &entries[0].1, &items[0], &items[1]].map(|node| &text[node.span.clone()]).into();
        assert_eq!(parts, ["é", "[a, 'b c']", "a", "'b c'"]);
    }

    #[rstest]
    #[case::depth(&("[".repeat(70) + &"]".repeat(70)), "nested more than")]
    #[case::block_depth(&(0..70).map(|i| " ".repeat(i) + "a:\n").collect::<String>(), "nested more than")]
    #[case::depth_by_alias(
        "a: &a [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\nb: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
        "nested more than"
    )]
    #[case::size(&"x".repeat(MOST_BYTES + 1), "at most 1048576 are read")]
    #[case::values(&format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(1000), "*a,".repeat(1000)), "its aliases unfolded")]
    #[case::text(&format!("a: &a {}\nb: [{}]\n", "x".repeat(1000), "*a,".repeat(10_000)), "bytes of text, its aliases unfolded")]
    #[case::inside_itself("&a [*a]", "inside of what it stands for")]
    fn limits_are_kept(#[case] text: &str, #[case] part: &str) {
        let (_, errors) = documents(text);
        assert!(errors.iter().any(|error| error.message.contains(part)), "{errors:?}");
    }

    #[test]
    fn all_keys_that_stand_twice_are_told() {
        let (documents, errors) = documents("a: 1\na: 2\nb: {c: 1, c: 2}\n<<: {}\n<<: {}\n");
        assert_eq!(documents.len(), 1);
        assert_eq!(errors.iter().map(|e| e.span.start).collect::<Vec<_>>(), [5, 20]);
    }
}
