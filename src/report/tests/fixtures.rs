//! A report of every kind, built by hand.

use std::path::Path;
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::report::{
    ClusterFacts, ExpectationHistories, ExpectationReport, FailureContext, Histories, ObservedRow, REPORT_VERSION, Report,
    ScenarioReport, Spread, StepReport, StepState,
};
use crate::scenario::Location;
use crate::verdict::{Deviation, Outcome, Verdict};

const DEVIATIONS: [Deviation; 6] =
    [Deviation::Missing, Deviation::TooEarly, Deviation::TooLate, Deviation::OutOfOrder, Deviation::Contradicted, Deviation::Extra];

/// Every report that is snapshot, by name.
pub(super) fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("all_pass", all_pass()),
        ("deviations", run(vec![scenario("liveness", vec![step(1, DEVIATIONS.map(deviating).into())])])),
        ("inconclusive", inconclusive()),
        ("action_error", action_error()),
        ("interrupted", interrupted()),
        ("teardown_failure", teardown_failure()),
        ("provisioning_failure", provisioning_failure()),
        ("nothing_selected", run(vec![])),
        ("not_run", fail_fast()),
        ("unexplained", run(vec![not_run("liveness")])),
        ("wrong_files", wrong_files()),
        ("histories", histories()),
        ("hostile", hostile()),
    ]
}

fn all_pass() -> Report {
    let readiness = scenario("readiness", vec![step(1, vec![passed("pod httpserver-readiness: READY 1/1, by 15s", 8_932)])]);
    let mut cleanup = step(2, vec![]);
    cleanup.name = "delete chapter-07/pod-liveness.yaml".into();
    cleanup.started = Duration::from_millis(176_400);
    let rows = passed("pod httpserver-liveness: RESTARTS 1, at 20s..30s → RESTARTS 2, at 45s..55s", 51_004);
    let event = passed("event Warning Unhealthy about pod/httpserver-liveness, by 30s", 16_120);
    run(vec![readiness, scenario("liveness", vec![step(1, vec![rows, event]), cleanup])])
}

fn inconclusive() -> Report {
    let mut doubtful = passed("pod httpserver-liveness: RESTARTS 1, at 20s..30s", 30_000);
    let verdict = doubtful.verdict.as_mut().unwrap();
    verdict.outcome = Outcome::Inconclusive;
    verdict.message = "RESTARTS 1 was not seen, but nothing was observed between t+18.2s and t+31.5s".into();
    verdict.margin = None;
    run(vec![scenario("liveness", vec![step(1, vec![doubtful])])])
}

fn action_error() -> Report {
    let mut broken = step(1, vec![undecided("pod httpserver-liveness: READY 1/1, by 15s")]);
    broken.state = StepState::CutShort;
    broken.error = Some(
        "pod/httpserver-liveness could not be applied: the API server answered 422 Invalid:\nspec.containers[0].image: Required value"
            .into(),
    );
    run(vec![scenario("liveness", vec![broken, begun_not(2)])])
}

fn interrupted() -> Report {
    let mut cut = step(
        1,
        vec![
            passed("pod httpserver-liveness: READY 1/1, by 15s", 1_901),
            undecided("pod httpserver-liveness: RESTARTS 1, at 20s..30s"),
        ],
    );
    cut.state = StepState::CutShort;
    Report { interrupted: true, ..run(vec![scenario("liveness", vec![cut, begun_not(2)]), not_run("destruction")]) }
}

fn teardown_failure() -> Report {
    let mut stuck = scenario("liveness", vec![step(1, vec![passed("pod httpserver-liveness: READY 1/1, by 15s", 1_901)])]);
    stuck.errors = vec![
        "the namespace labproof-liveness-x7k2p is still there 60.0s after it was deleted: pod/httpserver-liveness keeps the finalizer example.com/hold"
            .into(),
    ];
    run(vec![stuck])
}

fn provisioning_failure() -> Report {
    let error = "the cluster labproof could not be created: `kind create cluster` ended with exit code 1:\nERROR: failed to pull image \"kindest/node:v9.9.9\"";
    Report { cluster: None, errors: vec![error.into()], ..run(vec![not_run("readiness"), not_run("liveness")]) }
}

fn fail_fast() -> Report {
    run(vec![scenario("liveness", vec![step(1, vec![deviating(Deviation::TooLate)]), begun_not(2)]), not_run("destruction")])
}

fn wrong_files() -> Report {
    let file = Path::new("scenarios/chapter-07/liveness.yaml");
    let of_key = Diagnostic::at(file, Location { line: 4, column: 3 }, "a step has no key `aply`", Some("did you mean `apply`?"));
    let unreadable = Diagnostic::about_file(Path::new("scenarios/none.yaml"), "cannot be read: No such file or directory", None);
    Report { cluster: None, diagnostics: vec![of_key, unreadable], ..run(vec![]) }
}

fn histories() -> Report {
    let mut late = deviating(Deviation::TooLate);
    let spread = |what: &str, earliest, latest, margin| Spread { what: what.into(), earliest, median: 5.5, latest, margin };
    let rows = vec![spread("READY 1/1, by 15s", 4.25, 8.5, 6.5), spread("RESTARTS 1, at 20s..30s", 24.0, 29.5, 0.5)];
    late.histories = Some(ExpectationHistories { judged: 100, not_passed: vec![7], seed: 7, spread: rows });
    let histories = Some(Histories { first_seed: 0, count: 100, not_passed: vec![7] });
    Report { histories, ..run(vec![scenario("liveness", vec![step(1, vec![late])])]) }
}

/// What an attacker, or bad luck, could put into a log, a name or a message.
fn hostile() -> Report {
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7} ]]> <script>alert(1)</script> | `x` ![x](http://x.example) ::error::x\n::error::y %0A ##[add-mask]z \u{202e}\u{0}";
    let mut failing = deviating(Deviation::Extra);
    failing.expectation = evil.into();
    let verdict = failing.verdict.as_mut().unwrap();
    (verdict.message, verdict.nearest_miss) = (evil.into(), Some(evil.into()));
    let context = failing.context.as_mut().unwrap();
    (context.log, context.events, context.hint) = (vec![evil.into()], vec![evil.into()], Some(evil.into()));
    context.rows[0].object = evil.into();
    context.rows[0].cells[0].1 = evil.into();
    let mut report = run(vec![scenario(evil, vec![step(1, vec![failing])])]);
    report.scenarios[0].file = "a,b:c\n.yaml".into();
    report.scenarios[0].errors = vec![evil.into()];
    report.errors = vec![evil.into()];
    report
}

pub(super) fn two_expectations() -> Report {
    let expectations = vec![passed("pod web-0: READY 1/1, by 15s", 5_000), passed("pod web-1: READY 1/1, by 15s", 5_000)];
    run(vec![scenario("readiness", vec![step(1, expectations)])])
}

pub(super) fn run(scenarios: Vec<ScenarioReport>) -> Report {
    Report {
        version: REPORT_VERSION,
        labproof: "0.1.0".into(),
        cluster: Some(ClusterFacts {
            provider: "kind".into(),
            name: "labproof".into(),
            kubernetes: "v1.37.2".into(),
            node_image: Some("kindest/node:v1.37.2".into()),
            stand_ins: vec!["blux2/delayfailserver:1.1".into()],
        }),
        started: "2026-11-23T20:20:00Z".into(),
        duration: Duration::from_millis(126_432),
        scenarios,
        errors: vec![],
        diagnostics: vec![],
        interrupted: false,
        histories: None,
    }
}

pub(super) fn scenario(name: &str, steps: Vec<StepReport>) -> ScenarioReport {
    ScenarioReport {
        name: name.into(),
        title: (name == "liveness").then(|| "A liveness probe restarts a server that has turned unhealthy".into()),
        file: "scenarios/chapter-07/liveness.yaml".into(),
        namespace: Some("labproof-liveness-x7k2p".into()),
        started: Duration::from_millis(31_250),
        duration: Duration::from_millis(95_180),
        steps,
        errors: vec![],
        timeline: Some("target/labproof/liveness.jsonl".into()),
    }
}

fn not_run(name: &str) -> ScenarioReport {
    let nothing = scenario(name, vec![begun_not(1), begun_not(2)]);
    ScenarioReport { namespace: None, started: Duration::ZERO, duration: Duration::ZERO, timeline: None, ..nothing }
}

fn step(number: usize, expectations: Vec<ExpectationReport>) -> StepReport {
    StepReport {
        name: "apply chapter-07/pod-liveness.yaml".into(),
        location: Location { line: 3 * number, column: 3 },
        state: StepState::Done,
        started: Duration::from_millis(120),
        duration: Duration::from_millis(51_010),
        expectations,
        error: None,
    }
}

fn begun_not(number: usize) -> StepReport {
    let (state, started, duration) = (StepState::NotRun, Duration::ZERO, Duration::ZERO);
    let expectations = if number == 1 { vec![undecided("pod httpserver-liveness: READY 1/1, by 15s")] } else { vec![] };
    StepReport { state, started, duration, ..step(number, expectations) }
}

fn undecided(text: &str) -> ExpectationReport {
    ExpectationReport {
        expectation: text.into(),
        location: Location { line: 8, column: 5 },
        verdict: None,
        context: None,
        histories: None,
    }
}

fn passed(text: &str, decided: u64) -> ExpectationReport {
    let verdict = Verdict {
        outcome: Outcome::Pass,
        deviation: None,
        decided: Duration::from_millis(decided),
        message: format!("seen at t+{:.1}s", Duration::from_millis(decided).as_secs_f64()),
        expected: None,
        nearest_miss: None,
        cause: None,
        evidence: vec![17],
        margin: Some(1.5),
        transitions: Vec::new(),
    };
    ExpectationReport { verdict: Some(verdict), ..undecided(text) }
}

fn deviating(deviation: Deviation) -> ExpectationReport {
    let message = match deviation {
        Deviation::Missing => "RESTARTS 1 was not seen",
        Deviation::TooEarly => "RESTARTS 1 was seen at t+12.3s, before t+20.0s",
        Deviation::TooLate => "RESTARTS 1 was seen at t+35.1s, after t+30.0s",
        Deviation::OutOfOrder => "RESTARTS 2 was seen at t+25.0s, where RESTARTS 1 was to come",
        Deviation::Contradicted => "RESTARTS 1 had to stay from t+25.0s until t+55.0s, but at t+35.1s RESTARTS 2 was seen",
        Deviation::Extra => "STATUS Error was seen at t+35.1s: it is not listed, where RESTARTS 1 was to come",
    };
    let verdict = Verdict {
        outcome: Outcome::Fail,
        deviation: Some(deviation),
        decided: Duration::from_millis(35_120),
        message: message.into(),
        expected: Some("RESTARTS 1, at 20s..30s".into()),
        nearest_miss: (deviation != Deviation::Missing).then(|| "RESTARTS 1 at t+35.1s".into()),
        cause: (deviation == Deviation::Missing).then(|| "the image `nginx:0` cannot be pulled (ErrImagePull): not found".into()),
        evidence: vec![41],
        margin: None,
        transitions: Vec::new(),
    };
    ExpectationReport {
        verdict: Some(verdict),
        context: Some(context()),
        histories: None,
        ..undecided("pod httpserver-liveness: RESTARTS 1, at 20s..30s")
    }
}

fn context() -> FailureContext {
    let pod = |t, ready: &str, status: &str, restarts: &str, decisive| ObservedRow {
        t,
        object: "pod/httpserver-liveness".into(),
        cells: [("READY", ready), ("STATUS", status), ("RESTARTS", restarts)].map(|(h, c)| (h.into(), c.into())).into(),
        decisive,
    };
    let deployment = ObservedRow {
        t: 2.1,
        object: "deployment/hello-server".into(),
        cells: [("READY", "0/3"), ("UP-TO-DATE", "3"), ("AVAILABLE", "0")].map(|(h, c)| (h.into(), c.into())).into(),
        decisive: false,
    };
    FailureContext {
        rows: vec![
            pod(-0.2, "0/1", "Pending", "0", false),
            pod(1.9, "1/1", "Running", "0", false),
            deployment,
            pod(2.4, "1/1", "Running", "0", false),
            pod(35.1, "1/1", "Running", "1 (2s ago)", true),
        ],
        events: vec!["t+34.9s  Warning  Unhealthy  pod/httpserver-liveness  Liveness probe failed: statuscode: 503".into()],
        log: vec!["t+34.9s  httpserver-liveness/httpserver[0]  Error: Service Unhealthy".into()],
        hint: Some("the window may be too tight; a run with `--record` shows how long it takes here".into()),
    }
}
