//! Stage 2: scenarios and the manifests that they name become a [`Plan`]: everything that a run will do, before it does any of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::cluster::Needs;
use crate::diagnostic::Diagnostic;
use crate::manifest::{self, ManifestObject};
use crate::scenario::describe::duration;
use crate::scenario::{Action, Claim, Expectation, ObjectRef, Scenario, Step, Subject, manifest_root, nearest};

/// Everything that a run will do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// The scenarios, in the order in which they were selected.
    pub scenarios: Vec<PlannedScenario>,
    /// What they need of the cluster.
    #[serde(serialize_with = "needs")]
    pub needs: Needs,
    /// What may not be as it was meant, such as an image that no stand-in plays.
    #[serde(skip)]
    pub warnings: Vec<Diagnostic>,
}

/// A scenario with its manifests.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedScenario {
    /// The scenario.
    pub scenario: Scenario,
    /// What belongs to its steps, in their order.
    pub steps: Vec<PlannedStep>,
    /// The kinds that are watched, as API version and kind.
    pub watched: Vec<(String, String)>,
    /// The images of its manifests, as they are written there.
    pub images: BTreeSet<String>,
    /// The longest time that its steps can take, without the cluster's own time to answer.
    pub longest: Duration,
}

/// What belongs to a step.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStep {
    /// The objects of the manifests that it applies or deletes, in the order of the files.
    pub objects: Vec<Value>,
    /// Which objects they are.
    pub references: Vec<ObjectRef>,
    /// The longest time that it can take: its latest deadline with what must hold from then on.
    pub longest: Duration,
}

fn needs<S: serde::Serializer>(needs: &Needs, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct;
    let mut fields = serializer.serialize_struct("Needs", 2)?;
    fields.serialize_field("nodes", &needs.nodes)?;
    fields.serialize_field("images", &needs.images)?;
    fields.end()
}

impl Plan {
    /// Reads the manifests of the scenarios. `is_played` tells whether a stand-in plays an image; others are warned of, because
    /// they will be pulled. All errors of all manifests are told at once.
    pub fn new(scenarios: Vec<Scenario>, is_played: &dyn Fn(&str) -> bool) -> Result<Self, Vec<Diagnostic>> {
        let mut manifests = Manifests::default();
        let mut plan = Self { needs: Needs { nodes: 1, ..Needs::default() }, ..Self::default() };
        for scenario in scenarios {
            let root = manifest_root(&scenario.file);
            let steps: Vec<_> = scenario.steps.iter().map(|step| manifests.step(&root, step)).collect();
            plan.warnings.extend(mistyped_names(&scenario, &steps));
            let planned = PlannedScenario {
                watched: watched(&scenario),
                images: steps.iter().flat_map(|step| &step.objects).chain(changes(&scenario)).flat_map(images).collect(),
                longest: steps.iter().map(|step| step.longest).sum(),
                scenario,
                steps,
            };
            plan.needs.nodes = plan.needs.nodes.max(planned.scenario.nodes);
            plan.needs.images.extend(planned.images.iter().cloned());
            plan.scenarios.push(planned);
        }
        if !manifests.errors.is_empty() {
            return Err(manifests.errors);
        }
        plan.warnings.extend(manifests.pulled(is_played));
        Ok(plan)
    }

    /// The longest time that all scenarios can take, one after the other.
    pub fn longest(&self) -> Duration {
        self.scenarios.iter().map(|scenario| scenario.longest).sum()
    }
}

/// The manifests that have been read, each once.
#[derive(Default)]
struct Manifests {
    read: BTreeMap<PathBuf, Vec<ManifestObject>>,
    errors: Vec<Diagnostic>,
}

impl Manifests {
    fn step(&mut self, root: &Path, step: &Step) -> PlannedStep {
        let mut planned = PlannedStep { objects: Vec::new(), references: Vec::new(), longest: longest(step) };
        if let Action::Apply(files) | Action::DeleteManifests(files) = &step.action {
            for object in files.iter().flat_map(|file| self.objects(root.join(file))) {
                planned.objects.push(object.object);
                planned.references.push(object.reference);
            }
        }
        planned
    }

    fn objects(&mut self, file: PathBuf) -> Vec<ManifestObject> {
        let errors = &mut self.errors;
        let read = self.read.entry(file).or_insert_with_key(|file| {
            manifest::read(file).unwrap_or_else(|wrong| {
                errors.extend(wrong);
                Vec::new()
            })
        });
        read.clone()
    }

    fn pulled(&self, is_played: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
        let objects = self.read.values().flatten();
        let pulled = objects.flat_map(|object| images(&object.object).into_iter().map(move |image| (image, object)));
        let unknown = pulled.filter(|(image, _)| !is_played(image));
        let help = "describe it in a workload file to have a stand-in play it";
        unknown
            .map(|(image, object)| {
                let message = format!("no workload describes the image `{image}` of {}: it will be pulled", object.reference);
                Diagnostic::at(&object.file, object.location, message, Some(help)).into_warning()
            })
            .collect()
    }
}

/// Objects that no manifest makes but for whose name one makes another.
fn mistyped_names(scenario: &Scenario, steps: &[PlannedStep]) -> Vec<Diagnostic> {
    let made: BTreeSet<_> = steps.iter().flat_map(|step| &step.references).collect();
    let of_actions = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Delete(object) | Action::Scale { object, .. } => Some((object, step.location)),
        Action::Patch(patch) => Some((&patch.object, step.location)),
        Action::Set(set) => Some((&set.object, step.location)),
        Action::Request(request) => Some((&request.to, step.location)),
        _ => None,
    });
    let of_expectations =
        scenario.steps.iter().flat_map(|step| &step.expect).filter_map(|expectation| match &expectation.subject {
            Subject::Object(object) => Some((object, expectation.location)),
            _ => None,
        });
    let unmade = of_actions.chain(of_expectations).filter(|(object, _)| !made.contains(object));
    unmade
        .filter_map(|(object, location)| {
            let same_kind = made.iter().filter(|o| o.kind == object.kind && o.api_version == object.api_version);
            let meant = nearest(&object.name, same_kind.map(|o| o.name.as_str()))?;
            let message = format!("no manifest of this scenario makes {object}");
            let help = format!("did you mean `{meant}`?");
            Some(Diagnostic::at(&scenario.file, location, message, Some(&help)).into_warning())
        })
        .collect()
}

/// What actions write into objects.
fn changes(scenario: &Scenario) -> impl Iterator<Item = &Value> {
    scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Patch(patch) => Some(&patch.patch),
        _ => None,
    })
}

/// The images of the containers of an object, at whatever depth its Pod template stands.
pub fn images(object: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect_images(object, &mut found);
    found
}

fn collect_images(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if matches!(key.as_str(), "containers" | "initContainers" | "ephemeralContainers") {
                    let containers = value.as_array().into_iter().flatten();
                    found.extend(containers.filter_map(|c| c.get("image")?.as_str()).map(str::to_owned));
                }
                collect_images(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_images(item, found)),
        _ => {}
    }
}

/// Pods and events are always watched: reports show them around a failure, and the judge finds causes in them.
fn watched(scenario: &Scenario) -> Vec<(String, String)> {
    let kind = |api_version: &str, kind: &str| (api_version.to_owned(), kind.to_owned());
    let mut kinds = BTreeSet::from([kind("v1", "Pod"), kind("v1", "Event")]);
    for expectation in scenario.steps.iter().flat_map(|step| &step.expect) {
        match &expectation.subject {
            Subject::Object(object) => _ = kinds.insert(kind(&object.api_version, &object.kind)),
            Subject::Selection(selection) => _ = kinds.insert(kind(&selection.api_version, &selection.kind)),
            Subject::Event(_) | Subject::Log(_) => {}
        }
    }
    kinds.into_iter().collect()
}

/// The longest time that a step can take.
fn longest(step: &Step) -> Duration {
    step.expect.iter().map(needed).max().unwrap_or_default()
}

fn needed(expectation: &Expectation) -> Duration {
    match &expectation.claim {
        Claim::Sequence { rows, .. } => rows.iter().fold(Duration::ZERO, |so_far, row| so_far.max(row.when.latest) + row.when.hold),
        Claim::Never { hold, .. } => hold.unwrap_or_default(),
        Claim::Every { period, tolerance, times, first_by, .. } => *first_by + (*period + *tolerance) * times.saturating_sub(1),
    }
}

/// As `labproof plan` prints it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scenario in &self.scenarios {
            writeln!(f, "{scenario}")?;
        }
        let count = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
        let (scenarios, nodes) = (count(self.scenarios.len(), "scenario"), count(self.needs.nodes as usize, "node"));
        writeln!(f, "{scenarios} on {nodes}, at most {} one after the other", duration(self.longest()))
    }
}

impl fmt::Display for PlannedScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario { file, name, title, steps, .. } = &self.scenario;
        match title {
            Some(title) => writeln!(f, "{name}: {title}")?,
            None => writeln!(f, "{name}")?,
        }
        writeln!(f, "  file     {}", file.display())?;
        if !self.images.is_empty() {
            writeln!(f, "  images   {}", self.images.iter().map(String::as_str).collect::<Vec<_>>().join(", "))?;
        }
        writeln!(f, "  watches  {}", self.watched.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>().join(", "))?;
        writeln!(f, "  takes    at most {}", duration(self.longest))?;
        for (i, (step, planned)) in steps.iter().zip(&self.steps).enumerate() {
            let name = step.name.as_ref().map_or_else(String::new, |name| format!("{name}: "));
            writeln!(f, "  {}. {name}{} (at most {})", i + 1, step.action, duration(planned.longest))?;
            for reference in &planned.references {
                writeln!(f, "       {reference}")?;
            }
            for expectation in &step.expect {
                writeln!(f, "     - {expectation}")?;
            }
        }
        Ok(())
    }
}
