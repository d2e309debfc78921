//! What may not be as it was meant: names of a scenario that nothing in it has.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::PlannedStep;
use crate::diagnostic::Diagnostic;
use crate::scenario::{
    Action, Claim, FieldPath, ImageUse, LabelSelector, Location, ObjectRef, PodPick, Row, Scenario, Segment, Set, Subject, nearest,
};

/// Labels that Kubernetes' controllers give to what they make.
const LABELS_OF_CONTROLLERS: [&str; 4] = ["pod-template-hash", "controller-revision-hash", "controller-uid", "job-name"];

/// An image that no stand-in plays.
pub(super) fn of_image(used: &ImageUse) -> Diagnostic {
    let message = format!("no workload describes the image `{}`: a real cluster pulls it, a simulated one cannot", used.image);
    used.place.warning(message, Some("describe it in a workload file to have a stand-in play it".to_owned()))
}

/// Objects, containers, labels and fields that a scenario names and nothing in it makes. Nothing is said of a scenario that makes
/// nothing: it may be about what is there.
pub(super) fn of_names(scenario: &Scenario, steps: &[PlannedStep]) -> Vec<Diagnostic> {
    let made = Made::new(scenario, steps);
    if made.objects.is_empty() {
        return Vec::new();
    }
    let mut doubts = Doubts { scenario, made, found: Vec::new() };
    for (i, step) in scenario.steps.iter().enumerate() {
        doubts.of_action(&step.action, step.location);
        if let Action::Set(set) = &step.action {
            doubts.of_set(set, step.location, &scenario.steps[..i], &steps[..i]);
        }
        for expectation in &step.expect {
            doubts.of_subject(&expectation.subject, expectation.location);
            for row in rows(&expectation.claim) {
                let container = row.last_termination.as_ref().and_then(|ended| ended.container.as_deref());
                doubts.of_container(container, expectation.location);
            }
        }
    }
    doubts.found
}

fn rows(claim: &Claim) -> Vec<&Row> {
    match claim {
        Claim::Sequence { rows, .. } => rows.iter().map(|timed| &timed.row).collect(),
        Claim::Never { row, .. } | Claim::Every { row, .. } => vec![row],
    }
}

/// What the steps of a scenario make.
struct Made {
    objects: BTreeSet<ObjectRef>,
    containers: BTreeSet<String>,
    /// The labels of all objects and of their templates, as objects that have only these.
    labels: Vec<Value>,
    /// A patch or `set` may give other labels.
    changes_labels: bool,
}

impl Made {
    fn new(scenario: &Scenario, steps: &[PlannedStep]) -> Self {
        let objects = steps.iter().flat_map(|step| &step.references).cloned().collect();
        let mut made = Self { objects, containers: BTreeSet::new(), labels: Vec::new(), changes_labels: false };
        steps.iter().flat_map(|step| &step.objects).for_each(|object| made.collect(object));
        for step in &scenario.steps {
            match &step.action {
                Action::Patch(patch) => {
                    made.collect(&patch.patch);
                    made.changes_labels |= patch.patch.to_string().contains("labels");
                }
                Action::Set(set) => {
                    made.collect(&set.to);
                    made.changes_labels |= set.field.to_string().contains("labels");
                }
                _ => {}
            }
        }
        made
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(labels) = fields.get("metadata").and_then(|metadata| metadata.get("labels")) {
                    self.labels.push(json!({"metadata": {"labels": labels}}));
                }
                for (key, value) in fields {
                    if matches!(key.as_str(), "containers" | "initContainers" | "ephemeralContainers") {
                        let names = value.as_array().into_iter().flatten().filter_map(|container| container.get("name")?.as_str());
                        self.containers.extend(names.map(str::to_owned));
                    }
                    self.collect(value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }

    /// Whether a controller may make it of what the scenario makes: `web-5d4f8c7b6`, `data-web-0`, the Endpoints of a Service; or
    /// whether every namespace has it.
    fn may_come_of_itself(&self, object: &ObjectRef) -> bool {
        let name = format!("-{}-", object.name);
        let is_derived = |made: &ObjectRef| object.name != made.name && name.contains(&format!("-{}-", made.name));
        let is_of_service = |made: &ObjectRef| object.kind == "Endpoints" && made.kind == "Service" && made.name == object.name;
        let is_everywhere = matches!(
            (object.kind.as_str(), object.name.as_str()),
            ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default")
        );
        is_everywhere || self.objects.iter().any(|made| is_derived(made) || is_of_service(made))
    }

    /// Whether something may have these labels.
    fn may_pick(&self, selector: &LabelSelector) -> bool {
        let is_of_controllers =
            |key: &str| LABELS_OF_CONTROLLERS.contains(&key) || (key.contains("kubernetes.io/") && !key.starts_with("app."));
        self.changes_labels || selector.keys().any(is_of_controllers) || self.labels.iter().any(|object| selector.matches(object))
    }
}

struct Doubts<'a> {
    scenario: &'a Scenario,
    made: Made,
    found: Vec<Diagnostic>,
}

impl Doubts<'_> {
    fn warn(&mut self, location: Location, message: String, help: Option<&str>) {
        self.found.push(Diagnostic::at(&self.scenario.file, location, message, help).into_warning());
    }

    fn of_action(&mut self, action: &Action, location: Location) {
        match action {
            Action::Delete(object) | Action::Scale { object, .. } => self.of_object(object, location),
            Action::Patch(patch) => self.of_object(&patch.object, location),
            Action::Set(set) => self.of_object(&set.object, location),
            Action::Request(request) => self.of_object(&request.to, location),
            Action::Exec(exec) => {
                self.of_object(&pod(&exec.pod), location);
                self.of_container(exec.container.as_deref(), location);
            }
            Action::Apply(_) | Action::DeleteManifests(_) | Action::Observe => {}
        }
    }

    fn of_subject(&mut self, subject: &Subject, location: Location) {
        match subject {
            Subject::Object(object) => self.of_object(object, location),
            Subject::Selection(selection) => self.of_selector(&selection.selector, location),
            Subject::Log(source) => {
                match &source.pod {
                    PodPick::Name(name) => self.of_object(&pod(name), location),
                    PodPick::Selector(selector) => self.of_selector(selector, location),
                }
                self.of_container(source.container.as_deref(), location);
            }
            Subject::Event(_) => {}
        }
    }

    fn of_object(&mut self, object: &ObjectRef, location: Location) {
        if self.made.objects.contains(object) {
            return;
        }
        let same_kind = self.made.objects.iter().filter(|o| o.kind == object.kind && o.api_version == object.api_version);
        let meant = nearest(&object.name, same_kind.map(|o| o.name.as_str())).map(|meant| format!("did you mean `{meant}`?"));
        if meant.is_none() && self.made.may_come_of_itself(object) {
            return;
        }
        let same_name = self.made.objects.iter().find(|made| made.name == object.name);
        let help = meant.or_else(|| same_name.map(|made| format!("there is {made}")));
        self.warn(location, format!("no manifest of this scenario makes {object}"), help.as_deref());
    }

    fn of_selector(&mut self, selector: &LabelSelector, location: Location) {
        if !self.made.may_pick(selector) {
            self.warn(location, format!("nothing that this scenario makes has the labels {selector}"), None);
        }
    }

    fn of_container(&mut self, container: Option<&str>, location: Location) {
        let Some(name) = container.filter(|name| !self.made.containers.contains(*name) && !self.made.containers.is_empty()) else {
            return;
        };
        let help = match nearest(name, self.made.containers.iter()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", self.made.containers.iter().cloned().collect::<Vec<_>>().join(", ")),
        };
        self.warn(location, format!("no manifest of this scenario has a container `{name}`"), Some(&help));
    }

    /// Compares a `set` with the object as the manifests make it, if no step before has changed it otherwise.
    fn of_set(&mut self, set: &Set, location: Location, before: &[crate::scenario::Step], planned: &[PlannedStep]) {
        let is_changed = before.iter().any(|step| match &step.action {
            Action::Patch(patch) => patch.object == set.object,
            Action::Set(other) => other.object == set.object,
            Action::Scale { object, .. } => *object == set.object,
            _ => false,
        });
        let applied = before.iter().zip(planned).rev().filter(|(step, _)| matches!(step.action, Action::Apply(_)));
        let mut objects = applied.flat_map(|(_, planned)| planned.references.iter().zip(&planned.objects));
        let Some((_, object)) = objects.find(|(reference, _)| **reference == set.object).filter(|_| !is_changed) else { return };
        if let Some(missing) = missing_item(&set.field, object) {
            return self.warn(location, format!("{}: the manifest of {} has no item {missing}", set.field, set.object), None);
        }
        if let (Some(from), Some(found)) = (&set.from, set.field.get(object))
            && from != found
            && !set.object.is_secret()
        {
            let message = format!("{} is {found} in the manifest of {}, not {from}", set.field, set.object);
            self.warn(location, message, Some("`from` is the value that the field has before"));
        }
    }
}

fn pod(name: &str) -> ObjectRef {
    ObjectRef { api_version: "v1".to_owned(), kind: "Pod".to_owned(), name: name.to_owned() }
}

/// The first `[key=value]` of a path that picks nothing of a list that is there.
fn missing_item(field: &FieldPath, object: &Value) -> Option<String> {
    let mut value = object;
    for segment in field.segments() {
        match (segment, segment.get(value)) {
            (_, Some(next)) => value = next,
            (Segment::Keyed(key, text), None) if value.is_array() => return Some(format!("[{key}={text}]")),
            _ => return None,
        }
    }
    None
}
