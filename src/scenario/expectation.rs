//! Reads who an expectation is about, and hands on to what is claimed of them.

use super::action::{check_kind, object_name, object_ref, unknown_kind};
use super::claim::{self, About};
use super::decoder::{Decoder, Fields, listed, nearest};
use super::kinds;
use super::matcher::{LabelSelector, ValueMatch};
use super::model::{
    Claim, CountRange, EventPattern, EventTarget, Expectation, LogSource, ObjectRef, PodPick, Quantifier, Selection, Subject,
};
use super::row::{self, RowKind};
use super::shapes::{self, Shape};
use crate::yaml::{Node, Tree};

const SUBJECTS: &[&str] =
    &["pod", "pods", "deployment", "deployments", "replicaset", "replicasets", "object", "objects", "event", "log"];
const OBJECT_SUBJECTS: &[&str] = &["pod", "pods", "deployment", "deployments", "replicaset", "replicasets", "object", "objects"];

type Read = fn(&mut Decoder<'_>, &Fields<'_>) -> Option<(Subject, Claim)>;

/// An item of `expect:`.
pub(super) fn expectation(dx: &mut Decoder<'_>, node: &Node) -> Option<Expectation> {
    let Tree::Mapping(entries) = &node.tree else {
        dx.error(
            &node.span,
            "an expectation must be a mapping",
            format!("it says who it is about: one of {}", listed(SUBJECTS, "and")),
        );
        return None;
    };
    let keys: Vec<_> = entries.iter().filter_map(|(key, _)| key.as_text()).collect();
    let location = dx.source.location(node.span.start);
    let (shape, read): (_, Read) = if keys.contains(&"event") {
        (&shapes::EVENT_EXPECTATION, event_expectation)
    } else if keys.contains(&"log") {
        (&shapes::LOG_EXPECTATION, log_expectation)
    } else {
        (&shapes::OBJECT_EXPECTATION, object_expectation)
    };
    let fields = about_one(dx, node, shape, &keys)?;
    let (subject, claim) = read(dx, &fields)?;
    Some(Expectation { subject, claim, location })
}

/// The fields of an expectation; a second subject is reported as such and not as an unknown key.
fn about_one<'n>(dx: &mut Decoder<'_>, node: &'n Node, shape: &'static Shape, keys: &[&str]) -> Option<Fields<'n>> {
    let subjects: Vec<_> = SUBJECTS.iter().copied().filter(|subject| keys.contains(subject)).collect();
    match subjects.as_slice() {
        [_] => dx.fields(node, shape),
        [] => {
            let meant = keys.iter().find_map(|key| nearest(key, SUBJECTS.iter().copied()).map(|meant| (*key, meant)));
            let help = match meant {
                Some((key, meant)) => format!("did you mean `{meant}` where it says `{key}`?"),
                None => format!("one of {}", listed(SUBJECTS, "and")),
            };
            dx.error(&node.span, "an expectation says who it is about; this one does not", help);
            None
        }
        several => {
            let message = format!("an expectation is about one thing, not about {}", listed(several, "and"));
            dx.error(&node.span, message, "make an expectation of each");
            None
        }
    }
}

fn object_expectation(dx: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<(Subject, Claim)> {
    let [key] = fields.present(OBJECT_SUBJECTS)[..] else { return None };
    let node = fields.get(key)?;
    let subject = match key {
        "object" => object_ref(dx, node, "`object`").map(Subject::Object),
        "objects" => objects(dx, node).map(Subject::Selection),
        "pods" | "deployments" | "replicasets" => {
            dx.fields(node, &shapes::SELECTION).and_then(|fields| selection(dx, &fields, kind_of(key))).map(Subject::Selection)
        }
        _ => object_name(dx, node).map(|name| {
            let RowKind { api_version, kind } = kind_of(key);
            Subject::Object(ObjectRef { api_version: api_version.to_owned(), kind: kind.to_owned(), name })
        }),
    };
    let about = match &subject {
        Some(Subject::Object(object)) => {
            About::object(RowKind { api_version: &object.api_version, kind: &object.kind }, &object.name)
        }
        Some(Subject::Selection(selection)) => About::selection(selection),
        // The subject cannot be read: its rows are, so that their errors are told too.
        _ => About::object(kind_of(key), ""),
    };
    let claim = claim::of_objects(dx, fields, &about);
    Some((subject?, claim?))
}

fn kind_of(key: &str) -> RowKind<'static> {
    match kinds::named(key) {
        Some(kind) => RowKind { api_version: kind.api_version, kind: kind.name },
        None => RowKind { api_version: "", kind: "object" },
    }
}

fn objects(dx: &mut Decoder<'_>, node: &Node) -> Option<Selection> {
    let fields = dx.fields(node, &shapes::OBJECTS)?;
    let kind_node = dx.required(&fields, "kind", "kind: ConfigMap");
    let kind = dx.text(kind_node?, "`kind`")?;
    let Some(api_version) = fields.get("api-version") else {
        let Some(known) = kinds::named(kind) else {
            unknown_kind(dx, kind_node?, kind);
            return None;
        };
        check_kind(dx, &kind_node?.span, known.api_version, known.name).then_some(())?;
        return selection(dx, &fields, RowKind { api_version: known.api_version, kind: known.name });
    };
    let api_version = dx.text(api_version, "`api-version`")?;
    check_kind(dx, &kind_node?.span, api_version, kind).then_some(())?;
    selection(dx, &fields, RowKind { api_version, kind })
}

fn selection(dx: &mut Decoder<'_>, fields: &Fields<'_>, kind: RowKind<'_>) -> Option<Selection> {
    let selector = dx.required(fields, "selector", "selector: app=web").and_then(|node| label_selector(dx, node));
    let count = fields.get("count").and_then(|node| row::count(dx, node));
    let quantifier = match fields.get("match") {
        None => Some(Quantifier::All),
        Some(node) => {
            dx.word(node, "`match`", &["all", "each"]).map(|word| if word == "each" { Quantifier::Each } else { Quantifier::All })
        }
    };
    let terminating = fields.get("terminating").and_then(|node| dx.boolean(node, "`terminating`"));
    let quantifier = quantifier?;
    check_each(dx, fields, quantifier, count.as_ref())?;
    Some(Selection {
        api_version: kind.api_version.to_owned(),
        kind: kind.kind.to_owned(),
        selector: selector?,
        terminating,
        quantifier,
        count,
    })
}

fn check_each(dx: &mut Decoder<'_>, fields: &Fields<'_>, quantifier: Quantifier, count: Option<&CountRange>) -> Option<()> {
    let problem = match (quantifier, count) {
        (Quantifier::Each, None) if !fields.has("count") => "`match: each` needs `count`",
        (Quantifier::Each, Some(count)) if count.start() != count.end() || *count.end() == 0 => {
            "`match: each` needs one number as its `count`"
        }
        _ => return Some(()),
    };
    dx.error(fields.key_span("match"), problem, "say how many of them must do so, such as `count: 3`");
    None
}

fn label_selector(dx: &mut Decoder<'_>, node: &Node) -> Option<LabelSelector> {
    let text = dx.text(node, "`selector`")?;
    dx.matched(LabelSelector::parse(text), node)
}

fn event_expectation(dx: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<(Subject, Claim)> {
    let pattern = fields.get("event").and_then(|node| event_pattern(dx, node));
    let claim = claim::of_events(dx, fields);
    Some((Subject::Event(pattern?), claim?))
}

fn event_pattern(dx: &mut Decoder<'_>, node: &Node) -> Option<EventPattern> {
    let fields = dx.fields(node, &shapes::EVENT)?;
    let event_type = fields.get("type").and_then(|node| dx.word(node, "`type`", &["Normal", "Warning"])).map(str::to_owned);
    let reason = fields.get("reason").and_then(|node| dx.matcher(node, "`reason`"));
    let message = fields.get("message").and_then(|node| dx.part_matcher(node, "`message`"));
    let for_object = fields.get("for-object").and_then(|node| event_target(dx, node));
    let source = fields.get("source").and_then(|node| dx.matcher(node, "`source`"));
    let count = fields.get("count").map_or(Some(1), |node| dx.number(node, "`count`", 1, 1_000_000));
    if fields.present(&["type", "reason", "message", "for-object", "source"]).is_empty() && !fields.is_mistyped() {
        dx.error(fields.span(), "this means every event", "say at least a `reason`, such as `reason: Unhealthy`");
        return None;
    }
    Some(EventPattern { event_type, reason, message, for_object, source, count: count? })
}

/// `pod/NAME`, `pod//web-.*/`: the name may be a pattern.
fn event_target(dx: &mut Decoder<'_>, node: &Node) -> Option<EventTarget> {
    let text = dx.text(node, "`for-object`")?;
    let Some((kind, name)) = text.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty()) else {
        dx.error(&node.span, format!("`{text}` does not name an object"), "write `pod/web`, or `pod//web-.*/` for a pattern");
        return None;
    };
    let kind = match kinds::named(kind) {
        Some(known) => known.name.to_owned(),
        None if kind.starts_with(|c: char| c.is_ascii_uppercase()) => kind.to_owned(),
        None => {
            unknown_kind(dx, node, kind);
            return None;
        }
    };
    Some(EventTarget { kind, name: dx.matched(ValueMatch::parse(name), node)? })
}

fn log_expectation(dx: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<(Subject, Claim)> {
    let source = fields.get("log").and_then(|node| log_source(dx, node));
    let claim = claim::of_log(dx, fields);
    Some((Subject::Log(source?), claim?))
}

fn log_source(dx: &mut Decoder<'_>, node: &Node) -> Option<LogSource> {
    let fields = dx.fields(node, &shapes::LOG)?;
    let pick = match dx.one_of(&fields, &["pod", "selector"], "a log needs the Pod that writes it") {
        Some("pod") => fields.get("pod").and_then(|node| object_name(dx, node)).map(PodPick::Name),
        Some(_) => fields.get("selector").and_then(|node| label_selector(dx, node)).map(PodPick::Selector),
        None => None,
    };
    let container = fields.get("container").and_then(|node| object_name(dx, node));
    let previous = fields.get("previous").map_or(Some(false), |node| dx.boolean(node, "`previous`"));
    Some(LogSource { pod: pick?, container, previous: previous? })
}
