//! Scenarios on an API server that fails for five seconds. Each expectation is true or not whatever is observed: no verdict may say otherwise.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{LogParams, Patch, PatchParams};
use kube::{Api, Client};
use labproof::plan::Plan;
use labproof::progress::Progress;
use labproof::report::{ExpectationReport, Palette, Report, console};
use labproof::run::{RunOptions, run};
use labproof::scenario;
use labproof::timeline::{Entry, Observation};
use labproof::verdict::Outcome;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::proxied::{Proxied, Shared};
use crate::proxy::{Fault, Proxy, Trigger};

const OUTAGE: Duration = Duration::from_secs(5);

/// Those after which everything can still be told.
const HARMLESS: [Fault; 3] = [Fault::TooManyRequests, Fault::InternalError, Fault::Dropped];

/// A Pod that nobody schedules, so that only the test changes it, and one that writes a line a second.
const PODS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: target}
spec:
  schedulerName: nobody
  containers: [{name: c, image: 'busybox:1.36.1'}]
---
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: server
    image: blux2/delayfailserver:1.1
    imagePullPolicy: Never
    readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
";

/// What is true, by expectation: what is written above it.
const STEP: &str = r#"
  # holds
  - pod: target
    row: {status: Pending}
    by: 60s
  # holds
  - pod: target
    row: {fields: {metadata.labels.state: done}}
    by: 60s
  # violated
  - pod: target
    never: {fields: {metadata.labels.state: forbidden}}
    for: 60s
  # holds
  - pod: target
    never: {fields: {metadata.labels.state: other}}
    for: 45s
  # violated
  - pod: target
    row: {fields: {metadata.labels.state: nowhere}}
    by: 45s
  # holds
  - pod: target
    rows:
    - {fields: {metadata.labels.state: forbidden}, by: 60s}
    - {fields: {metadata.labels.state: done}, by: 60s}
  # holds
  - log: {pod: talker}
    lines:
    - {line: "Health Check: OK", by: 60s}
    - {line: "Error: Service Unhealthy", by: 60s}
"#;

const SHORT: &str = r"
  # holds
  - pod: target
    row: {status: Pending}
    by: 30s
  # holds
  - pod: target
    never: {status: Running}
    for: 8s
  # violated
  - pod: target
    row: {fields: {metadata.labels.state: nowhere}}
    by: 8s
";

/// A scenario with its timeline and what came of it.
struct Ran {
    report: Report,
    truths: Vec<bool>,
    entries: Vec<Entry>,
    namespace: String,
}

/// One scenario, reached through a proxy of its own.
struct Case {
    name: String,
    expect: &'static str,
    client: Client,
    proxy: Proxy,
    folder: tempfile::TempDir,
}

impl Case {
    async fn new(name: &str, fault: Fault, expect: &'static str) -> Self {
        let client = Shared::get().client().await;
        let proxy = Proxy::start(client.clone()).await;
        let name = format!("{name}-{fault:?}").to_lowercase();
        Self { name, expect, client, proxy, folder: tempfile::tempdir().unwrap() }
    }

    fn plan(&self) -> Plan {
        let write = |path: &str, text: &str| {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        write("manifests/pods.yaml", PODS);
        let text = format!("name: {}\nsteps:\n- apply: pods.yaml\n  expect:{}", self.name, self.expect);
        let file = write("scenarios/x.yaml", &text);
        let scenario = scenario::load(&file).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        Plan::new(vec![scenario], &|_| true).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    }

    /// Runs it; `progress` is told of everything.
    async fn run(&self, progress: &dyn Fn(&Progress)) -> Ran {
        let options = RunOptions { timelines: Some(self.folder.path().join("timelines")), ..RunOptions::default() };
        let mut provider = Proxied::new(&self.proxy).await;
        let report = run(&self.plan(), &mut provider, &options, &|event| progress(&event), &CancellationToken::new()).await;
        let truths = self.expect.lines().filter_map(|line| line.trim().strip_prefix("# ")).map(|word| word == "holds").collect();
        let entries = timeline(&self.folder.path().join(format!("timelines/{}.jsonl", self.name)));
        let namespace = report.scenarios[0].namespace.clone().unwrap();
        Ran { report, truths, entries, namespace }
    }

    /// No verdict is wrong, nothing went wrong outside of the steps, and the namespace is gone.
    async fn check(&self, ran: &Ran) -> Vec<Outcome> {
        let text = format!("{}:\n{}", self.name, console::full(&ran.report, Palette::PLAIN));
        assert!(ran.report.errors.is_empty() && ran.report.scenarios[0].errors.is_empty(), "{text}");
        let expectations = &ran.report.scenarios[0].steps[0].expectations;
        let outcomes: Vec<Outcome> = expectations.iter().map(ExpectationReport::outcome).collect();
        assert_eq!(outcomes.len(), ran.truths.len());
        for (outcome, holds) in outcomes.iter().zip(&ran.truths) {
            assert_ne!(*outcome, if *holds { Outcome::Fail } else { Outcome::Pass }, "{text}");
        }
        assert!(Api::<Namespace>::all(self.client.clone()).get_opt(&ran.namespace).await.unwrap().is_none(), "{text}");
        outcomes
    }
}

impl Ran {
    /// The outcomes if nothing is left open.
    fn decided(&self) -> Vec<Outcome> {
        self.truths.iter().map(|holds| if *holds { Outcome::Pass } else { Outcome::Fail }).collect()
    }
}

fn timeline(file: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) async fn during_a_step() {
    let faults = HARMLESS.into_iter().chain([Fault::Expired, Fault::Gone]);
    join_all(faults.map(async |fault| {
        let case = Case::new("step", fault, STEP).await;
        #[expect(clippy::disallowed_methods, reason = "it has one receiver, so there is no order of waking")]
        let (seen, seeing) = watch::channel(Seen::default());
        let namespace = RefCell::new(String::new());
        let progress = |event: &Progress| match event {
            Progress::ScenarioStarted { namespace: name, .. } => name.clone_into(&mut namespace.borrow_mut()),
            Progress::Observed { entry, .. } => seen.send_modify(|seen| match &entry.what {
                Observation::Log(line) => {
                    seen.lines += 1;
                    seen.talks |= line.line.contains("Health Check: OK");
                }
                Observation::Interrupted { .. } => seen.interrupted += 1,
                _ => {}
            }),
            _ => {}
        };
        let driver = async {
            reached(&seeing, |seen| seen.talks).await;
            let namespace = namespace.borrow().clone();
            drive(&case, &namespace, fault, &seeing).await
        };
        let (ran, written) = tokio::join!(case.run(&progress), driver);
        let outcomes = case.check(&ran).await;
        if HARMLESS.contains(&fault) {
            assert_eq!(outcomes, ran.decided(), "{}: {}", case.name, console::full(&ran.report, Palette::PLAIN));
        } else {
            assert_eq!(outcomes[2], Outcome::Inconclusive, "{}: the change was lost", case.name);
            assert_eq!(outcomes[1], Outcome::Pass, "{}: the label stays", case.name);
        }
        // Every line once, in order, although the log was cut in the middle.
        let lines: Vec<&str> = ran
            .entries
            .iter()
            .filter_map(|entry| match &entry.what {
                Observation::Log(line) if line.instance.pod == "talker" => Some(line.line.as_str()),
                _ => None,
            })
            .collect();
        assert!(written.lines().count() > 8, "{written}");
        assert_eq!(lines[..written.lines().count().min(lines.len())], written.lines().collect::<Vec<_>>(), "{}", case.name);
        let marks = |wanted: fn(&Observation) -> bool| ran.entries.iter().filter(|entry| wanted(&entry.what)).count();
        assert!(marks(|what| matches!(what, Observation::Interrupted { .. })) >= 3, "{}: two watches and a log", case.name);
        let gaps = marks(|what| matches!(what, Observation::Resumed { gap: true, .. }));
        assert_eq!(gaps, if HARMLESS.contains(&fault) { 0 } else { 2 }, "{}", case.name);
    }))
    .await;
}

/// What the run has observed so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The talker has said that it is well.
    talks: bool,
    /// Lines of logs.
    lines: usize,
    /// Streams that were interrupted.
    interrupted: usize,
}

/// Waits until the run has observed so much.
async fn reached(seeing: &watch::Receiver<Seen>, is_enough: impl Fn(&Seen) -> bool) -> Seen {
    let mut seeing = seeing.clone();
    let reached = async { *seeing.wait_for(|seen| is_enough(seen)).await.expect("the run goes on") };
    timeout(Duration::from_mins(1), reached).await.expect("it is observed")
}

/// Cuts everything, changes the Pod behind labproof's back, and says what the talker had written when the run was seen to follow
/// its log again.
async fn drive(case: &Case, namespace: &str, fault: Fault, seeing: &watch::Receiver<Seen>) -> String {
    let pods = Api::<Pod>::namespaced(case.client.clone(), namespace);
    let label = async |state: &str| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"state": state}}}));
        pods.patch("target", &PatchParams::default(), &patch).await.unwrap();
    };
    case.proxy.fail(fault, OUTAGE);
    let cut = reached(seeing, |seen| seen.interrupted >= 3).await;
    label("forbidden").await;
    label("done").await;
    reached(seeing, |seen| seen.lines > cut.lines + 9).await;
    pods.logs("talker", &LogParams::default()).await.unwrap()
}

/// Runs the short scenario while such a request begins an outage. Gives the cases and what came of them.
async fn at(
    name: &str,
    method: &'static str,
    path: &'static str,
    faults: &[Fault],
) -> BTreeMap<&'static str, (Vec<Outcome>, Vec<Outcome>)> {
    let run = async |fault: Fault| {
        let case = Case::new(name, fault, SHORT).await;
        case.proxy.fail_at(Trigger { method, path, fault, lasts: OUTAGE });
        let ran = case.run(&|_| ()).await;
        assert!(case.proxy.has_failed(), "{}: no request began the outage", case.name);
        let fault = match fault {
            Fault::TooManyRequests => "429",
            Fault::InternalError => "500",
            Fault::Forbidden => "403",
            _ => "dropped",
        };
        (fault, (case.check(&ran).await, ran.decided()))
    };
    join_all(faults.iter().copied().map(run)).await.into_iter().collect()
}

pub(crate) async fn during_the_action() {
    for (fault, (outcomes, decided)) in at("action", "PATCH", "/pods/target", &HARMLESS).await {
        if fault == "429" {
            assert_eq!(outcomes, decided, "what was not taken is sent again");
        } else {
            assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Inconclusive), "{fault}: {outcomes:?}");
        }
    }
}

pub(crate) async fn before_the_first_step() {
    let places = [("namespace", "POST", "/api/v1/namespaces"), ("account", "GET", "/serviceaccounts"), ("watch", "GET", "/events")];
    for (fault, (outcomes, decided)) in
        join_all(places.map(|(name, method, path)| at(name, method, path, &HARMLESS))).await.into_iter().flatten()
    {
        assert_eq!(outcomes, decided, "{fault}");
    }
}

pub(crate) async fn during_the_teardown() {
    let faults: Vec<Fault> = HARMLESS.into_iter().chain([Fault::Forbidden]).collect();
    for (fault, (outcomes, decided)) in at("teardown", "DELETE", "/api/v1/namespaces/", &faults).await {
        assert_eq!(outcomes, decided, "{fault}");
    }
}
