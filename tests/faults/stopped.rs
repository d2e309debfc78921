//! The program itself, stopped by signals and by disks.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use labproof::exit_code;
use labproof::report::Report;

use crate::common::{block_on, node_image};
use crate::proxied::Shared;

const WAITS: &str = "name: waits\nsteps:\n- apply: pod.yaml\n  expect:\n  - {pod: p, row: {status: Running}, by: 60s}\n  - {pod: p, never: {status: Failed}, for: 10m}\n";
const ENDS: &str = "name: ends\nsteps:\n- apply: pod.yaml\n  expect:\n  - {pod: p, row: {status: Running}, by: 60s}\n";

/// It ignores SIGTERM, so that its namespace takes its time.
const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {terminationGracePeriodSeconds: 6, containers: [{name: c, image: 'busybox:1.36.1', imagePullPolicy: Never, command: [sleep, '3600']}]}}";

/// A folder with the scenarios, and a state directory.
struct Bench {
    folder: tempfile::TempDir,
}

/// A program that runs.
struct Running {
    child: Child,
    output: BufReader<ChildStderr>,
    said: String,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        for (path, text) in [("scenarios/waits.yaml", WAITS), ("scenarios/ends.yaml", ENDS), ("manifests/pod.yaml", POD)] {
            std::fs::create_dir_all(bench.path(path).parent().unwrap()).unwrap();
            std::fs::write(bench.path(path), text).unwrap();
        }
        bench
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_labproof"));
        program.current_dir(self.folder.path()).env("LABPROOF_STATE_DIR", self.path("state")).env_remove("GITHUB_ACTIONS");
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        program
    }

    /// Runs a scenario on the shared cluster.
    fn start(&self, scenario: &str, arguments: &[&str]) -> Running {
        let shared = Shared::get();
        let mut program = self.program();
        program.args(["run", "--on", "context", "--context", &shared.context, "--kubeconfig"]).arg(&shared.kubeconfig);
        program.args(arguments).arg(format!("scenarios/{scenario}.yaml"));
        Running::new(program)
    }

    /// What `labproof clean` prints.
    fn clean(&self) -> String {
        let shared = Shared::get();
        let mut program = self.program();
        program.args(["clean", "--context", &shared.context, "--kubeconfig"]).arg(&shared.kubeconfig).stdout(Stdio::piped());
        let output = program.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn report(&self) -> Report {
        serde_json::from_slice(&std::fs::read(self.path("r.json")).unwrap()).unwrap()
    }

    fn has(&self, file: &str) -> bool {
        std::fs::metadata(self.path(file)).is_ok_and(|file| file.len() > 0)
    }
}

impl Running {
    fn new(mut program: Command) -> Self {
        let mut child = program.spawn().unwrap();
        let output = BufReader::new(child.stderr.take().unwrap());
        Self { child, output, said: String::new() }
    }

    /// Waits until it says this.
    fn says(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it never said {text}, but\n{}", self.said);
            self.said.push_str(&line);
            if line.contains(text) {
                return;
            }
        }
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Its exit code, and everything that it said.
    fn end(mut self) -> (Option<i32>, String) {
        std::io::Read::read_to_string(&mut self.output, &mut self.said).unwrap();
        (self.child.wait().unwrap().code(), self.said)
    }
}

const INTERRUPTED: Option<i32> = Some(exit_code::INTERRUPTED as i32);
const REPORTS: [&str; 2] = ["--report", "json=r.json,junit=r.xml,md=r.md"];

/// The namespaces of such a scenario, and whether each is being removed.
fn namespaces(scenario: &str) -> Vec<(String, bool)> {
    block_on(async {
        let api = Api::<Namespace>::all(Shared::get().client().await);
        let parameters = ListParams::default().labels(&format!("labproof.dev/scenario={scenario}"));
        let found = api.list(&parameters).await.unwrap().items.into_iter().map(|namespace| namespace.metadata);
        found.map(|metadata| (metadata.name.unwrap(), metadata.deletion_timestamp.is_some())).collect()
    })
}

/// Waits until the namespace of such a scenario is being removed.
fn is_torn_down(scenario: &str) {
    block_on(async {
        let api = Api::<Namespace>::all(Shared::get().client().await);
        let parameters = WatchParams::default().labels(&format!("labproof.dev/scenario={scenario}"));
        let mut events = std::pin::pin!(api.watch(&parameters, "0").await.unwrap());
        let removed = async {
            while let Some(event) = events.try_next().await.unwrap() {
                if let WatchEvent::Added(namespace) | WatchEvent::Modified(namespace) = event
                    && namespace.metadata.deletion_timestamp.is_some()
                {
                    return;
                }
            }
            panic!("the watch ended");
        };
        tokio::time::timeout(Duration::from_mins(2), removed).await.expect("it is torn down");
    });
}

pub(crate) fn in_a_step() {
    let bench = Bench::new();
    let mut run = bench.start("waits", &REPORTS);
    run.says("pass ");
    run.signal("-INT");
    let (code, said) = run.end();
    assert_eq!(code, INTERRUPTED, "{said}");
    assert_eq!(namespaces("waits"), []);
    let report = bench.report();
    assert!(report.interrupted && report.scenarios[0].errors.is_empty(), "{said}");
    let verdicts: Vec<_> = report.scenarios[0].steps[0].expectations.iter().map(|e| e.verdict.is_some()).collect();
    assert_eq!(verdicts, [true, false]);
    assert!(bench.has("r.xml") && bench.has("r.md"));
    assert!(report.scenarios[0].timeline.as_ref().is_some_and(|file| file.metadata().unwrap().len() > 0));
}

pub(crate) fn in_the_teardown() {
    let bench = Bench::new();
    let run = bench.start("ends", &REPORTS);
    is_torn_down("ends");
    run.signal("-INT");
    let (code, said) = run.end();
    assert_eq!(code, INTERRUPTED, "{said}");
    assert_eq!(namespaces("ends"), []);
    let report = bench.report();
    assert!(report.interrupted && report.scenarios[0].outcome() == labproof::verdict::Outcome::Pass, "{said}");
}

pub(crate) fn twice() {
    let bench = Bench::new();
    let mut run = bench.start("waits", &[]);
    run.says("pass ");
    run.signal("-INT");
    is_torn_down("waits");
    run.signal("-INT");
    let (code, said) = run.end();
    assert_eq!(code, INTERRUPTED, "{said}");
    assert!(said.contains("namespaces may be left") && said.contains("labproof clean"), "{said}");
    let left = namespaces("waits");
    let [(name, true)] = &left[..] else { panic!("it waited for the removal: {left:?}") };
    let cleaned = bench.clean();
    assert!(cleaned.contains(&format!("removed       namespace {name}")), "{cleaned}");
    assert_eq!(namespaces("waits"), []);
}

pub(crate) fn killed() {
    let bench = Bench::new();
    let mut run = bench.start("waits", &[]);
    run.says("pass ");
    run.signal("-KILL");
    let (code, said) = run.end();
    assert_eq!(code, None, "{said}");
    let [(name, false)] = &namespaces("waits")[..] else { panic!("nothing is left: {said}") };
    let cleaned = bench.clean();
    assert!(cleaned.contains(&format!("removed       namespace {name}")), "{cleaned}");
    assert_eq!(namespaces("waits"), []);
    assert!(!bench.clean().contains(&name[..]), "nothing is found twice");
}

pub(crate) fn without_a_disk() {
    let bench = Bench::new();
    let environment = Some(i32::from(exit_code::ENVIRONMENT));

    // What can be told beforehand is: nothing is made then.
    let (code, said) = bench.start("ends", &["--report", "json=/proc/labproof/r.json"]).end();
    assert_eq!(code, Some(i32::from(exit_code::USAGE)), "{said}");
    assert!(said.contains("/proc/labproof") && !said.contains("scenario ends"), "{said}");

    // A report cannot be written: the others are, and it is told.
    let (code, said) = bench.start("ends", &["--report", "json=r.json,md=/dev/full"]).end();
    assert_eq!(code, environment, "{said}");
    assert!(said.contains("/dev/full"), "{said}");
    assert_eq!(bench.report().outcome(), labproof::verdict::Outcome::Pass);

    // A timeline cannot be written: the verdicts stand all the same.
    std::fs::create_dir(bench.path("full")).unwrap();
    std::os::unix::fs::symlink("/dev/full", bench.path("full/ends.jsonl")).unwrap();
    let (code, said) = bench.start("ends", &["--record", "full", "--report", "json=r.json"]).end();
    assert_eq!(code, environment, "{said}");
    assert!(said.contains("the timeline could not be written"), "{said}");
    let scenario = &bench.report().scenarios[0];
    assert_eq!(scenario.steps[0].outcome(), labproof::verdict::Outcome::Pass, "{said}");
    assert_eq!(scenario.timeline, None);
    assert_eq!(namespaces("ends"), []);
}

pub(crate) fn in_the_creation() {
    let bench = Bench::new();
    let mut program = bench.program();
    program.args(["run", "--on", "kind", "--report", "json=r.json", "scenarios/ends.yaml"]);
    program.envs(node_image().map(|image| ("KIND_NODE_IMAGE", image)));
    let mut run = Running::new(program);
    run.says("Starting control-plane");
    let names: Vec<_> = std::fs::read_dir(bench.path("state/clusters")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1);
    run.signal("-INT");
    let (code, said) = run.end();
    assert_eq!(code, INTERRUPTED, "{said}");
    let report = bench.report();
    assert!(report.interrupted && report.errors.is_empty(), "{said}");
    let filter = format!("label=io.x-k8s.kind.cluster={}", names[0].to_string_lossy());
    let containers = Command::new("docker").args(["ps", "--all", "--quiet", "--filter", &filter]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&containers.stdout), "");
    assert_eq!(std::fs::read_dir(bench.path("state/clusters")).unwrap().count(), 0);
}
