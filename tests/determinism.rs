//! One seed is one history: the same bytes of timeline in every run, on every thread, in debug and release builds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use labproof::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
use labproof::plan::Plan;
use labproof::run::{RunOptions, run};
use labproof::{images, scenario};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

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

/// The hash of the timeline that a run with this seed records in this folder.
fn timeline(plan: &Plan, seed: u64, folder: &Path) -> String {
    let options = RunOptions { timelines: Some(folder.to_owned()), ..RunOptions::default() };
    let mut provider = SimProvider::new(SimOptions { seed, workloads: images::builtin(), ..SimOptions::default() });
    let report = in_virtual_time(run(plan, &mut provider, &options, &|_| {}, &CancellationToken::new())).expect("a runtime");
    let file = report.scenarios[0].timeline.as_ref().expect("a timeline");
    let hash = Sha256::digest(fs::read(file).expect("it was written"));
    hash.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn timelines(plan: &Plan, seed: u64, runs: usize) -> BTreeSet<String> {
    let one_thread = |share: usize| {
        let folder = tempfile::tempdir().expect("a folder");
        (0..share).map(|_| timeline(plan, seed, folder.path())).collect::<BTreeSet<_>>()
    };
    thread::scope(|scope| {
        let threads = [scope.spawn(|| one_thread(runs / 2)), scope.spawn(|| one_thread(runs - runs / 2))];
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
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
    let plan = plan(folder.path());
    let runs = if cfg!(debug_assertions) { 50 } else { 1000 };
    let hashes = timelines(&plan, 7, runs);
    // It is the same in debug and release builds: it changes with the simulation and with nothing else.
    insta::assert_debug_snapshot!(hashes);
}

#[test]
fn other_seeds_give_other_histories() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path());
    let hashes: BTreeSet<String> = (0..10).flat_map(|seed| timelines(&plan, seed, 1)).collect();
    assert_eq!(hashes.len(), 10);
}
