//! Stage 2: scenarios and the manifests that they name become a [`Plan`]: everything that a run will do, before it does any of it.

mod warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::cluster::{Needs, TEAR_DOWN_LIMIT};
use crate::diagnostic::{Diagnostic, plural};
use crate::judge::late_look;
use crate::manifest::{self, ManifestObject};
use crate::report::escaped;
use crate::scenario::describe::duration;
use crate::scenario::{Action, Claim, Expectation, ImageUse, ObjectRef, Scenario, Step, Subject, manifest_root};
use crate::timeline::seconds;

/// Everything that a run will do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// The scenarios, in the order in which they were selected.
    pub scenarios: Vec<PlannedScenario>,
    /// What they need of the cluster.
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
    /// The images of its manifests and of what its actions change, as they are written there.
    pub images: BTreeSet<String>,
    /// The longest time that its steps can take until all is judged, in seconds; without the cluster's own time to answer, and
    /// without the teardown.
    #[serde(with = "seconds")]
    pub longest: Duration,
}

/// What belongs to a step.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStep {
    /// The objects of the manifests that it applies or deletes, in the order of the files.
    #[serde(serialize_with = "without_secrets")]
    pub objects: Vec<Value>,
    /// Which objects they are.
    pub references: Vec<ObjectRef>,
    /// The longest time that it can take, in seconds: its latest deadline with what must hold from then on, or until the judge gives
    /// up what has not come.
    #[serde(with = "seconds")]
    pub longest: Duration,
}

/// The values of a Secret are not shown.
fn without_secrets<S: Serializer>(objects: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(objects.iter().map(|object| {
        let mut shown = object.clone();
        if object.get("kind").and_then(Value::as_str) == Some("Secret") {
            for field in ["data", "stringData"] {
                let values = shown.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(|data| data.values_mut());
                values.for_each(|value| *value = Value::from("…"));
            }
        }
        shown
    }))
}

impl Plan {
    /// Reads the manifests of the scenarios. `is_played` tells whether a stand-in plays an image; others are warned of, because
    /// real clusters pull them and simulated ones cannot. All errors of all manifests are told at once.
    pub fn new(scenarios: Vec<Scenario>, is_played: &dyn Fn(&str) -> bool) -> Result<Self, Vec<Diagnostic>> {
        let mut manifests = Manifests::default();
        let mut unplayed: Vec<ImageUse> = Vec::new();
        let mut plan = Self { needs: Needs { nodes: 1, ..Needs::default() }, ..Self::default() };
        for scenario in scenarios {
            let root = manifest_root(&scenario.file);
            let steps: Vec<_> = scenario.steps.iter().map(|step| manifests.step(&root, step)).collect();
            plan.warnings.extend(warnings::of_names(&scenario, &steps));
            let of_steps: Vec<_> = scenario.steps.iter().flat_map(|step| manifests.images(&root, step)).collect();
            let planned = PlannedScenario {
                watched: watched(&scenario),
                images: of_steps.iter().map(|used| used.image.clone()).collect(),
                longest: steps.iter().map(|step| step.longest).sum(),
                scenario,
                steps,
            };
            for used in of_steps {
                if !is_played(&used.image) && !unplayed.contains(&used) {
                    unplayed.push(used);
                }
            }
            plan.needs.nodes = plan.needs.nodes.max(planned.scenario.nodes);
            plan.needs.images.extend(planned.images.iter().cloned());
            plan.scenarios.push(planned);
        }
        if !manifests.errors.is_empty() {
            return Err(manifests.errors);
        }
        plan.warnings.extend(unplayed.iter().map(warnings::of_image));
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

    /// The images that a step brings into the cluster.
    fn images(&mut self, root: &Path, step: &Step) -> Vec<ImageUse> {
        match &step.action {
            Action::Apply(files) => {
                files.iter().flat_map(|file| self.objects(root.join(file))).flat_map(|object| object.images).collect()
            }
            Action::Patch(patch) => patch.images.clone(),
            Action::Set(set) => set.images.clone(),
            _ => Vec::new(),
        }
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
        Claim::Sequence { rows, .. } => {
            let mut reached = Duration::ZERO;
            let given_up = rows.iter().map(|row| {
                reached = reached.max(row.when.latest) + row.when.hold;
                row.when.latest + late_look(row.when.latest)
            });
            given_up.max().unwrap_or_default().max(reached)
        }
        Claim::Never { hold, .. } => hold.unwrap_or_default(),
        Claim::Every { period, tolerance, times, first_by, .. } => {
            *first_by + (*period + *tolerance) * times.saturating_sub(1) + late_look(*period)
        }
    }
}

/// As `labproof plan` prints it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scenario in &self.scenarios {
            writeln!(f, "{scenario}")?;
        }
        let (scenarios, nodes) = (plural(self.scenarios.len(), "scenario"), plural(self.needs.nodes as usize, "node"));
        writeln!(
            f,
            "{scenarios} on {nodes}, at most {} one after the other; each takes at most {} more to be torn down",
            duration(self.longest()),
            duration(TEAR_DOWN_LIMIT)
        )
    }
}

impl fmt::Display for PlannedScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario { file, name, title, steps, .. } = &self.scenario;
        match title {
            Some(title) => writeln!(f, "{name}: {}", escaped(title))?,
            None => writeln!(f, "{name}")?,
        }
        writeln!(f, "  file     {}", escaped(&file.to_string_lossy()))?;
        if !self.images.is_empty() {
            let images: Vec<_> = self.images.iter().map(|image| escaped(image)).collect();
            writeln!(f, "  images   {}", images.join(", "))?;
        }
        writeln!(f, "  watches  {}", self.watched.iter().map(|(_, kind)| escaped(kind)).collect::<Vec<_>>().join(", "))?;
        writeln!(f, "  takes    at most {}", duration(self.longest))?;
        for (i, (step, planned)) in steps.iter().zip(&self.steps).enumerate() {
            let name = step.name.as_ref().map_or_else(String::new, |name| format!("{name}: "));
            writeln!(f, "  {}. {} (at most {})", i + 1, escaped(&format!("{name}{}", step.action)), duration(planned.longest))?;
            for reference in &planned.references {
                writeln!(f, "       {}", escaped(&reference.to_string()))?;
            }
            for expectation in &step.expect {
                writeln!(f, "     - {}", escaped(&expectation.to_string()))?;
            }
        }
        Ok(())
    }
}
