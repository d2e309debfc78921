//! One seed is one history: the same bytes of timeline in every run, on every thread, in debug and release builds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use labproof::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
use labproof::plan::Plan;
use labproof::run::{RunOptions, run};
use labproof::scenario::Scenario;
use labproof::{images, scenario};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use workload::Workloads;

const SCENARIO: &str = "name: rollout
steps:
- apply: web.yaml
  expect:
  - {deployment: web, row: {ready: 2/2}, by: 60s}
- delete: web.yaml
  expect:
  - {pods: {selector: app=web, count: 0}, by: 60s}
";
const MANIFEST: &str = r#"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2,
  selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [
    {name: server, image: "blux2/delayfailserver:1.1", readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}}]}}}}
"#;

/// The hashes of the timelines that a run with this seed records, of which so many scenarios run side by side.
fn hashes(plan: &Plan, seed: u64, jobs: usize) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let options = RunOptions { jobs, timelines: Some(folder.path().to_owned()), ..RunOptions::default() };
    let mut provider = SimProvider::new(SimOptions { seed, workloads: workloads(), ..SimOptions::default() });
    let report = in_virtual_time(run(plan, &mut provider, &options, &|_| {}, &CancellationToken::new())).expect("a runtime");
    let files = report.scenarios.iter().map(|scenario| scenario.timeline.as_ref().expect("a timeline"));
    files.map(|file| hash(&fs::read(file).expect("it was written"))).collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// What so many runs give, on two threads.
fn repeated(plan: &Plan, seed: u64, jobs: usize, runs: usize) -> BTreeSet<Vec<String>> {
    let one_thread = |share: usize| (0..share).map(|_| hashes(plan, seed, jobs)).collect::<BTreeSet<_>>();
    thread::scope(|scope| {
        let threads = [scope.spawn(|| one_thread(runs / 2)), scope.spawn(|| one_thread(runs - runs / 2))];
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
}

fn workloads() -> Workloads {
    let mut workloads = images::builtin();
    images::read_directory(Path::new("tests/conformance/workloads"), &mut workloads).expect("the workload files can be read");
    workloads
}

/// The scenarios in a folder, or in a file.
fn scenarios(path: &str) -> Vec<Scenario> {
    let files = scenario::find(&[path.into()]).expect("scenarios");
    files.iter().map(|file| scenario::load(file).expect("a scenario")).collect()
}

fn planned(scenarios: Vec<Scenario>) -> Plan {
    // What no workload plays is not there on purpose.
    Plan::new(scenarios, &|_| true).expect("a plan")
}

fn plan(folder: &Path) -> Plan {
    fs::create_dir(folder.join("manifests")).expect("a folder");
    fs::write(folder.join("manifests/web.yaml"), MANIFEST).expect("a file");
    fs::write(folder.join("rollout.yaml"), SCENARIO).expect("a file");
    let scenario = scenario::load(&folder.join("rollout.yaml")).expect("a scenario");
    Plan::new(vec![scenario], &|_| true).expect("a plan")
}

#[test]
fn the_same_seed_gives_the_same_bytes_every_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let timelines = repeated(&plan(folder.path()), 7, 1, 1000);
    // It is the same in debug and release builds: it changes with the simulation and with nothing else.
    insta::assert_debug_snapshot!(timelines);
}

/// The log of a container ends while its Pod is looked at, which several parts of the kubelet wait for.
#[test]
fn who_waits_for_the_same_thing_is_woken_in_the_same_order() {
    let plan = planned(scenarios("tests/conformance/cases/readiness-timeout.yaml"));
    assert_eq!(repeated(&plan, 6, 1, 40).len(), 1);
}

#[test]
fn every_case_of_conformance_is_the_same_every_time() {
    for scenario in scenarios("tests/conformance/cases") {
        let plan = planned(vec![scenario]);
        for seed in 0..3 {
            assert_eq!(repeated(&plan, seed, 1, 2).len(), 1, "{} with seed {seed}", plan.scenarios[0].scenario.name);
        }
    }
}

#[test]
fn scenarios_side_by_side_are_the_same_every_time() {
    let plan = planned(scenarios("scenarios/chapter-07"));
    for seed in 0..10 {
        assert_eq!(repeated(&plan, seed, 5, 4).len(), 1, "seed {seed}");
    }
}

#[test]
fn other_seeds_give_other_histories() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path());
    let timelines: BTreeSet<_> = (0..10).map(|seed| hashes(&plan, seed, 1)).collect();
    assert_eq!(timelines.len(), 10);
}
