//! A run as it is shown while it goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{InMemoryTerm, ProgressDrawTarget};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{LiveProgress, Verbosity};
use crate::plan::{Plan, PlannedScenario};
use crate::progress::{Kept, Progress};
use crate::report::{Palette, ScenarioReport};
use crate::scenario::{Action, Location, Scenario, Step};
use crate::timeline::{ActionResult, Change, Entry, Instance, LogLine, ObjectObservation, Observation, Stream};
use crate::verdict::{Deviation, Outcome, Verdict};

/// What a test reads and the code under test writes.
#[derive(Clone, Default)]
struct Written(Rc<RefCell<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn as_lines(scenarios: &[&str], verbosity: Verbosity, run: &[Progress]) -> String {
    let written = Written::default();
    let mut live = LiveProgress::lines(&plan(scenarios), verbosity, Palette::PLAIN, Box::new(written.clone()));
    for progress in run {
        live.show(progress);
    }
    let bytes = written.0.borrow().clone();
    String::from_utf8(bytes).unwrap()
}

fn plan(scenarios: &[&str]) -> Plan {
    let planned = |name: &&str| PlannedScenario {
        scenario: Scenario {
            file: PathBuf::from("liveness.yaml"),
            name: (*name).to_owned(),
            title: None,
            tags: vec![],
            nodes: 1,
            steps: vec![Step {
                name: Some("apply chapter-07/pod-liveness.yaml".to_owned()),
                action: Action::Observe,
                expect: vec![],
                location: Location::default(),
            }],
        },
        steps: vec![],
        watched: vec![],
        images: [].into(),
        longest: Duration::ZERO,
    };
    Plan { scenarios: scenarios.iter().map(planned).collect(), ..Plan::default() }
}

fn provisioning() -> Vec<Progress> {
    vec![
        Progress::PhaseStarted("Creating the cluster".into()),
        Progress::PhaseEnded(Ok(())),
        Progress::PhaseStarted("Loading 3 stand-in images".into()),
        Progress::Warning("the image nginx:1.29 has no stand-in; it will be pulled".into()),
        Progress::PhaseEnded(Err("`kind load` ended with exit code 1:\nERROR: no such node".into())),
    ]
}

fn started(scenario: usize) -> Vec<Progress> {
    vec![
        Progress::ScenarioStarted { scenario, namespace: "labproof-liveness-x7k2p".into() },
        Progress::StepStarted { scenario, step: 0 },
        observed(scenario, 0.4, Observation::StepStarted { step: 0, action: "apply".into() }),
    ]
}

fn observed(scenario: usize, t: f64, what: Observation) -> Progress {
    Progress::Observed { scenario, entry: Box::new(Entry { t: Duration::from_secs_f64(t), after: None, what }) }
}

fn object(change: Change, kind: &str, name: &str, columns: &[(&str, &str)], object: Value) -> Observation {
    let columns: BTreeMap<_, _> = columns.iter().map(|(header, cell)| ((*header).to_owned(), (*cell).to_owned())).collect();
    let api_version = if kind == "Deployment" { "apps/v1" } else { "v1" }.to_owned();
    Observation::Object(Arc::new(ObjectObservation {
        change,
        api_version,
        kind: kind.into(),
        name: name.into(),
        uid: "u".into(),
        columns,
        object,
    }))
}

fn pod(change: Change, name: &str, ready: &str, status: &str, restarts: &str) -> Observation {
    let columns = [("READY", ready), ("STATUS", status), ("RESTARTS", restarts), ("IP", "10.0.0.1"), ("NODE", "kind-worker")];
    object(change, "Pod", name, &columns, Value::Null)
}

fn decided(scenario: usize, deviation: Option<Deviation>) -> Progress {
    let verdict = Verdict {
        outcome: if deviation.is_some() { Outcome::Fail } else { Outcome::Pass },
        deviation,
        decided: Duration::from_millis(25_340),
        message: String::new(),
        expected: None,
        nearest_miss: None,
        cause: None,
        evidence: vec![],
        margin: None,
        transitions: Vec::new(),
    };
    let text = "pod httpserver: RESTARTS 1, at 20s..30s".to_owned();
    Progress::Decided { scenario, step: 0, expectation: 0, text, verdict: Box::new(verdict) }
}

fn ended(scenario: usize, name: &str, errors: &[&str]) -> Progress {
    let report = ScenarioReport {
        name: name.into(),
        title: None,
        file: PathBuf::new(),
        namespace: None,
        started: Duration::ZERO,
        duration: Duration::from_millis(95_180),
        steps: vec![],
        errors: errors.iter().map(|&error| error.to_owned()).collect(),
        timeline: None,
    };
    Progress::ScenarioEnded { scenario, report: Box::new(report) }
}

/// Of everything that can be observed one.
fn observations(scenario: usize) -> Vec<Progress> {
    let instance = Instance { pod: "httpserver".into(), uid: "u".into(), container: "app".into(), restart: 1 };
    let event = json!({
        "type": "Warning", "reason": "Unhealthy", "message": "Liveness probe failed", "count": 3,
        "involvedObject": {"kind": "Pod", "name": "httpserver"}
    });
    let newer =
        json!({"type": "Normal", "reason": "Pulled", "note": "a\u{1b}[31m", "regarding": {"kind": "Pod", "name": "httpserver"}});
    let watch = Stream::Watch { api_version: "v1".into(), kind: "Pod".into() };
    let deployment = [("AVAILABLE", "0"), ("READY", "0/3"), ("UP-TO-DATE", "3"), ("IMAGES", "a")];
    [
        (0.2, pod(Change::Initial, "old", "1/1", "Running", "0")),
        (0.5, Observation::Acted { step: 0, result: ActionResult::Done }),
        (
            0.6,
            Observation::Acted {
                step: 0,
                result: ActionResult::Executed { exit_code: 2, stdout: String::new(), stderr: String::new() },
            },
        ),
        (0.7, pod(Change::Added, "httpserver", "0/1", "ContainerCreating", "0")),
        (0.8, object(Change::Added, "Deployment", "hello-server", &deployment, Value::Null)),
        (0.9, object(Change::Added, "Widget", "w", &[("SIZE", "3"), ("COLOR", "red")], Value::Null)),
        (1.0, object(Change::Added, "Event", "e1", &[], event)),
        (1.1, object(Change::Added, "Event", "e2", &[], newer)),
        (2.0, Observation::Log(LogLine { instance, line: "Starting server...\u{7}".into() })),
        (3.0, Observation::Interrupted { stream: watch.clone(), reason: "connection reset".into() }),
        (4.0, Observation::Resumed { stream: watch, gap: true }),
        (25.4, pod(Change::Modified, "httpserver", "1/1", "Running", "1 (2s ago)")),
        (25.5, pod(Change::Deleted, "old", "0/1", "Terminating", "0")),
    ]
    .map(|(t, what)| observed(scenario, t, what))
    .into()
}

fn whole_run() -> Vec<Progress> {
    let failing = [
        decided(0, None),
        decided(0, Some(Deviation::TooLate)),
        Progress::TearingDown { scenario: 0 },
        ended(0, "liveness", &[]),
        Progress::Interrupted,
    ];
    provisioning().into_iter().chain(started(0)).chain(observations(0)).chain(failing).collect()
}

#[test]
fn lines() {
    assert_snapshot!(as_lines(&["liveness"], Verbosity::Normal, &whole_run()));
}

#[test]
fn verbose_lines() {
    assert_snapshot!(as_lines(&["liveness"], Verbosity::Verbose, &whole_run()));
}

#[test]
fn quiet_is_quiet() {
    let mut run = whole_run();
    assert!(matches!(run.pop(), Some(Progress::Interrupted)));
    assert_eq!(as_lines(&["liveness"], Verbosity::Quiet, &run), "");
    let interrupted = as_lines(&["liveness"], Verbosity::Quiet, &[Progress::Interrupted]);
    assert!(interrupted.starts_with("interrupted: what was begun is being torn down"), "{interrupted}");
}

#[test]
fn scenarios_side_by_side_are_told_apart() {
    let mut run = started(0);
    run.push(decided(0, None));
    run.extend(started(1));
    run.extend([decided(0, None), ended(0, "liveness", &[]), decided(1, None), ended(1, "destruction", &["not torn down"])]);
    assert_snapshot!(as_lines(&["liveness", "destruction"], Verbosity::Normal, &run));
}

#[test]
fn one_scenario_after_the_other_needs_no_names() {
    let run = started(0).into_iter().chain([ended(0, "liveness", &[])]).chain(started(1)).chain([decided(1, None)]);
    let shown = as_lines(&["liveness", "destruction"], Verbosity::Normal, &run.collect::<Vec<_>>());
    assert!(!shown.contains("[destruction]") && shown.contains("scenario destruction"), "{shown}");
}

/// On a terminal the current rows stand below the lines, and nothing of them is left at the end.
#[test]
fn on_a_terminal_what_goes_on_stands_below_the_lines() {
    let terminal = InMemoryTerm::new(40, 100);
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255);
    let mut live = LiveProgress::on(&plan(&["liveness"]), Verbosity::Normal, Palette::PLAIN, target, false);
    for progress in provisioning().into_iter().chain(started(0)).chain(observations(0)) {
        live.show(&progress);
    }
    live.show(&decided(0, None));
    insta::with_settings!({filters => [(r"liveness \d+s", "liveness 0s")]}, {
        assert_snapshot!("terminal_while_it_runs", terminal.contents());
    });
    live.show(&Progress::TearingDown { scenario: 0 });
    assert!(terminal.contents().contains("tearing down\n"), "{}", terminal.contents());
    live.show(&ended(0, "liveness", &[]));
    live.show(&Progress::PhaseStarted("Deleting the cluster".into()));
    drop(live);
    assert_snapshot!("terminal_at_the_end", terminal.contents());
}

#[test]
fn a_board_shows_only_so_many_rows() {
    let mut board = super::board::Board::default();
    for i in 10..30 {
        let Observation::Object(pod) = pod(Change::Added, &format!("pod-{i}"), "1/1", "Running", "0") else { unreachable!() };
        board.observed(&pod);
    }
    let lines = board.lines();
    assert_eq!(lines.len(), 1 + 1 + 12 + 1);
    assert_eq!(lines.last().unwrap(), "  … 8 more");
}

#[test]
fn what_was_kept_is_told_with_the_way_to_it() {
    let kept = |namespaces: &[&str]| {
        let kept = Kept {
            what: "the kind cluster labproof-x".into(),
            kubectl: "kubectl --kubeconfig /state/kubeconfig".into(),
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            removal: "labproof clean --kept".into(),
        };
        let mut live = LiveProgress::lines(&plan(&[]), Verbosity::Quiet, Palette::PLAIN, Box::new(Written::default()));
        live.show(&Progress::Kept(Box::new(kept)));
        live.into_kept()
    };
    assert_snapshot!(kept(&["liveness-x", "destruction-x"]), @r"
    kept: the kind cluster labproof-x
      look: kubectl --kubeconfig /state/kubeconfig --namespace liveness-x get pods,events
      namespaces: liveness-x, destruction-x
      remove: labproof clean --kept
    ");
    assert!(kept(&[]).contains("/state/kubeconfig get pods,events"));
}

#[test]
fn a_lost_api_server_is_told_once() {
    let watch = |kind: &str| Stream::Watch { api_version: "v1".into(), kind: kind.into() };
    let lost = |kind| observed(0, 3.0, Observation::Interrupted { stream: watch(kind), reason: "connection reset".into() });
    let back = |kind| observed(0, 4.0, Observation::Resumed { stream: watch(kind), gap: false });
    let outage = [lost("Pod"), lost("Event"), back("Pod"), back("Event")];
    let run: Vec<_> = started(0).into_iter().chain(outage.clone()).chain(outage).collect();
    let shown = as_lines(&["liveness"], Verbosity::Normal, &run);
    assert_eq!(shown.matches("the watch of pods was interrupted: connection reset").count(), 2, "{shown}");
    assert_eq!(shown.matches("the watch of pods goes on").count(), 2, "{shown}");
    assert!(!shown.contains("events"), "{shown}");
}
