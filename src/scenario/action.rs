//! Reads what a step does.

use std::ops::Range;
use std::path::PathBuf;

use super::decoder::{Decoder, Fields, kind_of, listed, nearest};
use super::images;
use super::kinds::{self, ReferenceError};
use super::matcher::FieldPath;
use super::model::{Action, Exec, ObjectRef, Patch, PatchType, Request, Set};
use super::{names, shapes};
use crate::yaml::{Dialect, Node, Tree};

const ACTIONS: &[&str] = &["apply", "delete", "patch", "set", "scale", "exec", "request", "observe"];

/// The one action of a step.
pub(super) fn action(dx: &mut Decoder<'_>, step: &Fields<'_>) -> Option<Action> {
    let key = dx.one_of(step, ACTIONS, "a step does one thing; this one does nothing (say `observe: {}` to only watch)")?;
    let node = step.get(key)?;
    match key {
        "apply" => manifests(dx, node, "`apply`").map(Action::Apply),
        "delete" => delete(dx, node),
        "patch" => patch(dx, node).map(Action::Patch),
        "set" => set(dx, node).map(Action::Set),
        "scale" => scale(dx, node),
        "exec" => exec(dx, node).map(Action::Exec),
        "request" => request(dx, node).map(Action::Request),
        _ => dx.fields(node, &shapes::OBSERVE).map(|_| Action::Observe),
    }
}

fn manifests(dx: &mut Decoder<'_>, node: &Node, what: &str) -> Option<Vec<PathBuf>> {
    if matches!(node.tree, Tree::Scalar(_)) {
        return Some(vec![manifest(dx, node, what)?]);
    }
    let files: Vec<_> = dx.list(node, what)?.iter().map(|item| manifest(dx, item, what)).collect();
    files.into_iter().collect()
}

fn manifest(dx: &mut Decoder<'_>, node: &Node, what: &str) -> Option<PathBuf> {
    let text = dx.text(node, what)?;
    let problem = if text.starts_with(['/', '\\', '~']) || text.contains(':') {
        Some("manifests are named relative to the folder `manifests`, so that the scenario works on every machine")
    } else if text.split(['/', '\\']).any(|part| part == "..") {
        Some("a manifest must not lie outside of the folder `manifests`")
    } else if !is_manifest(text) {
        Some("a manifest's name ends in `.yaml`, `.yml` or `.json`")
    } else {
        None
    };
    if let Some(help) = problem {
        dx.error(&node.span, format!("`{text}` does not name a manifest"), help);
        return None;
    }
    if let Err(why) = (dx.manifest)(text) {
        dx.error(&node.span, format!("there is no manifest `{text}`"), why);
        return None;
    }
    Some(PathBuf::from(text))
}

fn is_manifest(text: &str) -> bool {
    let extension = text.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml" | "json"))
}

fn delete(dx: &mut Decoder<'_>, node: &Node) -> Option<Action> {
    if matches!(&node.tree, Tree::Mapping(_)) || node.as_text().is_some_and(|text| !node.is_null() && !is_manifest(text)) {
        return object_ref(dx, node, "`delete`").map(Action::Delete);
    }
    manifests(dx, node, "`delete`").map(Action::DeleteManifests)
}

/// `pod/NAME`, or a mapping with `api-version`, `kind` and `name`.
pub(super) fn object_ref(dx: &mut Decoder<'_>, node: &Node, what: &str) -> Option<ObjectRef> {
    let reference = if matches!(node.tree, Tree::Mapping(_)) { mapped_ref(dx, node)? } else { short_ref(dx, node, what)? };
    if !check_kind(dx, &node.span, &reference.api_version, &reference.kind) {
        return None;
    }
    if !names::is_object_name(&reference.api_version, &reference.name) {
        bad_name(dx, node, &reference.name);
        return None;
    }
    Some(reference)
}

fn mapped_ref(dx: &mut Decoder<'_>, node: &Node) -> Option<ObjectRef> {
    let fields = dx.fields(node, &shapes::OBJECT)?;
    let api_version = dx.required(&fields, "api-version", "api-version: apps/v1");
    let kind = dx.required(&fields, "kind", "kind: Deployment");
    let name = dx.required(&fields, "name", "name: web");
    Some(ObjectRef {
        api_version: dx.text(api_version?, "`api-version`")?.to_owned(),
        kind: dx.text(kind?, "`kind`")?.to_owned(),
        name: dx.text(name?, "the name")?.to_owned(),
    })
}

fn short_ref(dx: &mut Decoder<'_>, node: &Node, what: &str) -> Option<ObjectRef> {
    let text = dx.text(node, what)?;
    match kinds::reference(text) {
        Ok(reference) => Some(reference),
        Err(ReferenceError::Form) => {
            dx.error(&node.span, format!("`{text}` does not name an object"), "write kind and name: `pod/web`, `deployment/web`");
            None
        }
        Err(ReferenceError::Kind(kind)) => {
            unknown_kind(dx, node, &kind);
            None
        }
    }
}

/// Whether a scenario may be about objects of this kind: there is one, and its objects live in namespaces.
pub(super) fn check_kind(dx: &mut Decoder<'_>, span: &Range<usize>, api_version: &str, kind: &str) -> bool {
    if let Some((message, help)) = kinds::unusable(api_version, kind) {
        dx.error(span, message, help);
        return false;
    }
    true
}

pub(super) fn unknown_kind(dx: &mut Decoder<'_>, node: &Node, kind: &str) {
    let help = match nearest(kind, kinds::names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "name other kinds as `Kind.version.group/name`, or by a mapping with `api-version`, `kind` and `name`".to_owned(),
    };
    dx.error(&node.span, format!("`{kind}` is not a kind with a short name"), help);
}

/// The name of an object (a DNS subdomain, RFC 1123).
pub(super) fn object_name(dx: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let name = dx.text(node, "the name")?;
    if !names::is_dns_subdomain(name) {
        bad_name(dx, node, name);
        return None;
    }
    Some(name.to_owned())
}

fn bad_name(dx: &mut Decoder<'_>, node: &Node, name: &str) {
    dx.error(
        &node.span,
        format!("`{name}` cannot be an object's name"),
        "names consist of lower-case letters, digits, `-` and `.`",
    );
}

fn patch(dx: &mut Decoder<'_>, node: &Node) -> Option<Patch> {
    let fields = dx.fields(node, &shapes::PATCH)?;
    let object = dx.required(&fields, "object", "object: deployment/web").and_then(|node| object_ref(dx, node, "`object`"));
    let patch_type = match fields.get("type") {
        None => Some(PatchType::Strategic),
        Some(node) => dx.word(node, "`type`", &["strategic", "merge", "json"]).map(|word| match word {
            "merge" => PatchType::Merge,
            "json" => PatchType::Json,
            _ => PatchType::Strategic,
        }),
    };
    let patch = dx.required(&fields, "patch", "patch: {spec: {replicas: 2}}")?;
    let (object, patch_type) = (object?, patch_type?);
    let (fits, form) = match patch_type {
        PatchType::Json => (matches!(patch.tree, Tree::Sequence(_)), "a list of operations"),
        PatchType::Strategic | PatchType::Merge => (matches!(patch.tree, Tree::Mapping(_)), "a mapping"),
    };
    if !fits {
        dx.error(
            &patch.span,
            format!("this patch must be {form}, not {}", kind_of(patch)),
            "only a patch of `type: json` is a list",
        );
        return None;
    }
    let images = match patch_type {
        PatchType::Json => images::of_operations(dx.source, patch),
        PatchType::Strategic | PatchType::Merge => images::of_object(dx.source, patch),
    };
    Some(Patch { object, patch_type, patch: patch.to_json(Dialect::Kubernetes), images })
}

fn set(dx: &mut Decoder<'_>, node: &Node) -> Option<Set> {
    let fields = dx.fields(node, &shapes::SET)?;
    let object = dx.required(&fields, "object", "object: deployment/web").and_then(|node| object_ref(dx, node, "`object`"));
    let field = dx.required(&fields, "field", "field: spec.template.spec.containers[name=web].image").and_then(|node| {
        let text = dx.text(node, "`field`")?;
        dx.matched(FieldPath::parse(text), node)
    });
    let from = fields.get("from").map(|node| node.to_json(Dialect::Kubernetes));
    let to = dx.required(&fields, "to", "to: 8080").map(|node| node.to_json(Dialect::Kubernetes));
    if from.is_some() && from == to {
        dx.error(fields.key_span("to"), "`from` and `to` are the same", "a `set` must change something");
        return None;
    }
    let (field, to) = (field?, to?);
    let images = fields.get("to").map(|node| images::of_field(dx.source, &field, node)).unwrap_or_default();
    Some(Set { object: object?, field, from, to, images })
}

fn scale(dx: &mut Decoder<'_>, node: &Node) -> Option<Action> {
    let fields = dx.fields(node, &shapes::SCALE)?;
    let object = dx.required(&fields, "object", "object: deployment/web").and_then(|node| object_ref(dx, node, "`object`"));
    let replicas = dx.required(&fields, "replicas", "replicas: 3").and_then(|node| dx.number(node, "`replicas`", 0, 10_000));
    Some(Action::Scale { object: object?, replicas: replicas? })
}

fn exec(dx: &mut Decoder<'_>, node: &Node) -> Option<Exec> {
    let fields = dx.fields(node, &shapes::EXEC)?;
    let pod = dx.required(&fields, "pod", "pod: web").and_then(|node| object_name(dx, node));
    let container = fields.get("container").and_then(|node| dx.text(node, "`container`")).map(str::to_owned);
    let command = dx.required(&fields, "command", "command: [cat, /etc/hostname]").and_then(|node| texts(dx, node, "`command`"));
    let exit_code = fields.get("exit-code").map_or(Some(0), |node| dx.number(node, "`exit-code`", 0, 255));
    let stdout = fields.get("stdout").and_then(|node| dx.matcher(node, "`stdout`"));
    Some(Exec { pod: pod?, container, command: command?, exit_code: exit_code?, stdout })
}

fn texts(dx: &mut Decoder<'_>, node: &Node, what: &str) -> Option<Vec<String>> {
    if matches!(node.tree, Tree::Scalar(_)) && !node.is_null() {
        dx.error(&node.span, format!("{what} must be a list, not a text"), "each argument is an item: `[sh, -c, \"echo $HOME\"]`");
        return None;
    }
    let items: Vec<_> = dx.list(node, what)?.iter().map(|item| dx.text(item, "an item").map(str::to_owned)).collect();
    items.into_iter().collect()
}

fn request(dx: &mut Decoder<'_>, node: &Node) -> Option<Request> {
    let fields = dx.fields(node, &shapes::REQUEST)?;
    let to = dx.required(&fields, "to", "to: pod/web").and_then(|node| request_target(dx, node));
    let port = dx.required(&fields, "port", "port: 8080").and_then(|node| dx.number(node, "`port`", 1, u16::MAX));
    let path = fields.get("path").map_or(Some("/"), |node| dx.text(node, "`path`"));
    let status = fields.get("status").map_or(Some(200), |node| dx.number(node, "`status`", 100, 599));
    let body = fields.get("body").and_then(|node| dx.matcher(node, "`body`"));
    let path = path?;
    if !path.starts_with('/') || path.contains(|c: char| c.is_whitespace() || c.is_control()) {
        dx.error(fields.key_span("path"), format!("`{path}` is not the path of a URL"), "it begins with `/` and has no spaces");
        return None;
    }
    let before_query = path.split(['?', '#']).next().unwrap_or_default();
    if before_query.split('/').any(|part| matches!(part.to_lowercase().replace("%2e", ".").as_str(), "." | "..")) {
        dx.error(fields.key_span("path"), format!("`{path}` leads elsewhere by `.` or `..`"), "write the path that it leads to");
        return None;
    }
    Some(Request { to: to?, port: port?, path: path.to_owned(), status: status?, body })
}

fn request_target(dx: &mut Decoder<'_>, node: &Node) -> Option<ObjectRef> {
    let target = object_ref(dx, node, "`to`")?;
    if target.api_version == "v1" && matches!(target.kind.as_str(), "Pod" | "Service") {
        return Some(target);
    }
    dx.error(
        &node.span,
        format!("a request cannot go to a {}", target.kind),
        format!("it goes to {}", listed(&["pod/NAME", "service/NAME"], "or")),
    );
    None
}
