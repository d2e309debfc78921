//! Runs one scenario in a namespace of its own.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::recording::Recording;
use super::step::Stage;
use crate::act::Actor;
use crate::cluster::Cluster;
use crate::cluster::namespace;
use crate::judge::{World, not_run as step_not_run};
use crate::observe::Observer;
use crate::plan::PlannedScenario;
use crate::progress::Progress;
use crate::report::ScenarioReport;
use crate::scenario::Scenario;
use crate::timeline::{Begun, Entry, Observation, TIMELINE_VERSION};
use crate::verdict::Outcome;

/// How long a new namespace may take until Pods can be made in it.
const NAMESPACE_LIMIT: Duration = Duration::from_mins(1);

/// What a scenario's run is given.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) index: usize,
    pub(super) planned: &'a PlannedScenario,
    pub(super) cluster: &'a Cluster,
    /// The folder in which its timeline is recorded.
    pub(super) timelines: Option<&'a Path>,
    pub(super) progress: &'a dyn Fn(Progress),
    pub(super) cancel: &'a CancellationToken,
}

/// The report of a scenario that was not run.
pub(super) fn not_run(scenario: &Scenario) -> ScenarioReport {
    ScenarioReport {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        file: scenario.file.clone(),
        namespace: None,
        started: Duration::ZERO,
        duration: Duration::ZERO,
        steps: scenario.steps.iter().map(step_not_run).collect(),
        errors: Vec::new(),
        timeline: None,
    }
}

impl Setting<'_> {
    /// Runs the scenario and removes its namespace, whatever happens in between.
    pub(super) async fn run(&self, report: &mut ScenarioReport) {
        let namespace = namespace::name(&self.planned.scenario.name, &self.cluster.run_id);
        // Noted first: it is torn down even if its creation is broken off.
        report.namespace = Some(namespace.clone());
        let created = namespace::create(&self.cluster.client, &self.planned.scenario.name, &self.cluster.run_id, NAMESPACE_LIMIT);
        let created = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return,
            created = created => created,
        };
        if let Err(error) = created {
            report.errors.push(format!("the namespace {namespace} could not be made: {error}"));
            return;
        }
        (self.progress)(Progress::ScenarioStarted { scenario: self.index, namespace: namespace.clone() });
        self.run_steps(&namespace, report).await;
    }

    async fn run_steps(&self, namespace: &str, report: &mut ScenarioReport) {
        let scenario = &self.planned.scenario;
        let client = &self.cluster.client;
        let clock = self.cluster.clock.restarted();
        let mut recording = Recording::create(self.timelines, &scenario.name);
        recording.append(Entry {
            t: Duration::ZERO,
            after: None,
            what: Observation::Begun(self.begun(namespace, clock.epoch().to_string())),
        });
        let started = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return,
            started = Observer::start(client.clone(), clock, namespace, &self.planned.watched) => started,
        };
        let observer = match started {
            Ok(observer) => observer,
            Err(error) => {
                report.errors.push(error.to_string());
                return;
            }
        };
        let actor = Actor { client: client.clone(), namespace: namespace.to_owned() };
        let (progress, cancel) = (self.progress, self.cancel);
        let mut stage = Stage { scenario: self.index, actor, observer, recording, clock, progress, cancel };
        let mut world = World::default();
        for (index, step) in scenario.steps.iter().enumerate() {
            let (step_report, after) = stage.run_step(index, step, &self.planned.steps[index].objects, world).await;
            world = after;
            let goes_on = step_report.outcome() == Outcome::Pass;
            report.steps[index] = step_report;
            if !goes_on {
                break;
            }
        }
        report.timeline = stage.recording.path().map(Path::to_owned);
        report.errors.extend(stage.recording.problem().map(str::to_owned));
    }

    fn begun(&self, namespace: &str, epoch: String) -> Begun {
        let facts = &self.cluster.facts;
        Begun {
            version: TIMELINE_VERSION,
            scenario: self.planned.scenario.name.clone(),
            provider: facts.provider.clone(),
            kubernetes: facts.kubernetes.clone(),
            epoch,
            namespace: namespace.to_owned(),
            stand_ins: facts.stand_ins.clone(),
            watched: Some(self.planned.watched.clone()),
        }
    }
}
