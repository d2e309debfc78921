//! Plans of this repository's scenarios, and what is wrong with plans that cannot be made.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use labproof::diagnostic::render;
use labproof::plan::Plan;
use labproof::scenario::{self, Claim};
use rstest::rstest;

fn scenario_files() -> Vec<PathBuf> {
    scenario::find(&[PathBuf::from("scenarios")]).unwrap()
}

/// A folder with a scenario `scenarios/x.yaml` and manifests.
fn folder(scenario: &str, manifests: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(&folder.path().join("scenarios/deep/x.yaml"), scenario);
    std::fs::create_dir_all(folder.path().join("manifests")).unwrap();
    for (name, text) in manifests {
        write(&folder.path().join("manifests").join(name), text);
    }
    folder
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - {name: a, image: web:1}\n  initContainers:\n  - {name: b, image: init:1}\n";

#[test]
fn every_scenario_of_the_repository_can_be_planned() {
    let loaded = scenario::load_all(&scenario_files());
    assert!(loaded.diagnostics.is_empty(), "{}", render(&loaded.diagnostics, false));
    let plan = Plan::new(loaded.scenarios, &|_| true).unwrap();
    assert!(plan.scenarios.len() >= 10);
    assert!(plan.needs.images.contains("blux2/delayfailserver:1.1"), "{:?}", plan.needs.images);
    assert!(plan.warnings.is_empty());
}

#[test]
fn a_plan_is_printed() {
    let loaded = scenario::load_all(&[PathBuf::from("scenarios/chapter-07/destruction.yaml")]);
    insta::assert_snapshot!(Plan::new(loaded.scenarios, &|_| true).unwrap().to_string());
}

/// The run of a negative scenario is compared with its first line elsewhere; here it has to have one.
#[rstest]
fn negative_scenarios_say_how_they_fail(#[files("scenarios/negative/*.yaml")] file: PathBuf) {
    let text = std::fs::read_to_string(&file).unwrap();
    let reason = text.lines().next().and_then(|line| line.strip_prefix("# fails: ")).expect("the first line says how it fails");
    let (deviation, step) = reason.split_once(" in step ").expect("and in which step");
    let known = ["missing", "too-early", "too-late", "out-of-order", "contradicted", "extra"];
    assert!(known.contains(&deviation), "{deviation}");
    let scenario = scenario::load(&file).unwrap();
    assert_eq!(step.parse(), Ok(scenario.steps.len()), "a scenario that fails in an earlier step has steps in vain");
    assert!(scenario.tags.contains(&"negative".to_owned()));
}

#[rstest]
fn hands_on_end_with_their_cleanup(#[files("scenarios/chapter-*/*.yaml")] file: PathBuf) {
    let scenario = scenario::load(&file).unwrap();
    let last = scenario.steps.last().unwrap();
    assert!(matches!(last.action, scenario::Action::DeleteManifests(_)));
    let is_gone = |claim: &Claim| matches!(claim, Claim::Sequence { rows, .. } if rows.iter().all(|r| r.row.exists != Some(true)));
    assert!(!last.expect.is_empty() && last.expect.iter().all(|e| is_gone(&e.claim)));
}

#[test]
fn a_plan_knows_kinds_images_and_times() {
    let text = "name: x\nnodes: 3\nsteps:\n- apply: a.yaml\n  expect:\n  - {pod: a, row: {ready: 1/1}, by: 10s, for: 20s}\n  - {deployment: a, row: {ready: 1/1}, by: 5s}\n- patch: {object: pod/a, patch: {spec: {containers: [{name: a, image: web:2}]}}}\n  expect:\n  - {log: {pod: a}, line: x, every: 5s, tolerance: 1s, times: 3, by: 10s}\n- observe: {}\n  expect:\n  - {pod: a, never: {restarts: 1}, for: 7s}\n";
    let folder = folder(text, &[("a.yaml", POD)]);
    let plan = Plan::new(vec![scenario::load(&folder.path().join("scenarios/deep/x.yaml")).unwrap()], &|_| true).unwrap();
    let [planned] = &plan.scenarios[..] else { panic!("one scenario") };
    let longest: Vec<_> = planned.steps.iter().map(|step| step.longest.as_secs()).collect();
    assert_eq!(longest, [30, 22, 7]);
    assert_eq!(planned.longest, Duration::from_secs(59));
    let kinds: Vec<_> = planned.watched.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(kinds, ["Deployment", "Event", "Pod"]);
    assert_eq!(planned.images, BTreeSet::from(["init:1", "web:1", "web:2"].map(str::to_owned)));
    assert_eq!(plan.needs.nodes, 3);
    assert_eq!(planned.steps[0].objects[0]["metadata"]["name"], "a");
    assert!(planned.steps[1].objects.is_empty());
}

#[test]
fn an_image_without_a_workload_is_a_warning() {
    let folder = folder("name: x\nsteps: [{apply: a.yaml}, {delete: a.yaml}]\n", &[("a.yaml", POD)]);
    let scenario = scenario::load(&folder.path().join("scenarios/deep/x.yaml")).unwrap();
    let plan = Plan::new(vec![scenario], &|image| image == "init:1").unwrap();
    let warnings: Vec<_> = plan.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].ends_with("a.yaml:1:1: warning: no workload describes the image `web:1` of pod/a: it will be pulled"));
}

#[test]
fn a_mistyped_name_is_a_warning() {
    let manifest = POD.replace("{name: a}", "{name: httpserver}");
    let text = "name: x\nsteps:\n- apply: a.yaml\n  expect:\n  - {pod: htpserver, row: {ready: 1/1}}\n  - {pod: httpserver, row: {ready: 1/1}}\n  - {pod: made-by-another, row: {ready: 1/1}}\n- delete: pod/httpservre\n";
    let folder = folder(text, &[("a.yaml", &manifest)]);
    let scenario = scenario::load(&folder.path().join("scenarios/deep/x.yaml")).unwrap();
    let plan = Plan::new(vec![scenario], &|_| true).unwrap();
    let warnings: Vec<_> =
        plan.warnings.iter().map(|w| (w.location.map(|l| l.line), w.message.as_str(), w.help.as_deref())).collect();
    let help = Some("did you mean `httpserver`?");
    let expected = [
        (Some(8), "no manifest of this scenario makes pod/httpservre", help),
        (Some(5), "no manifest of this scenario makes pod/htpserver", help),
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn a_manifest_that_does_not_exist_is_an_error_of_the_scenario() {
    let folder = folder("name: x\nsteps: [{apply: a.yaml}]\n", &[]);
    let errors = scenario::load(&folder.path().join("scenarios/deep/x.yaml")).unwrap_err();
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(error.message, "there is no manifest `a.yaml`");
    assert_eq!(error.location.map(|l| (l.line, l.column)), Some((2, 17)));
    assert!(error.help.as_ref().unwrap().ends_with("manifests/a.yaml"), "{error:?}");
}

#[test]
fn errors_of_all_manifests_are_told_once() {
    let manifests = [("a.yaml", "kind: Pod\n"), ("b.yaml", "- x\n")];
    let folder = folder("name: x\nsteps: [{apply: [a.yaml, b.yaml]}, {delete: a.yaml}]\n", &manifests);
    let errors = Plan::new(vec![scenario::load(&folder.path().join("scenarios/deep/x.yaml")).unwrap()], &|_| true).unwrap_err();
    let messages: Vec<_> = errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(messages, ["the object needs `apiVersion`", "a document of a manifest must be an object"]);
}

#[test]
fn two_scenarios_of_one_name_are_an_error() {
    let folder = folder("name: x\nsteps: [{observe: {}, expect: [{pods: {selector: a=b, count: 0}}]}]\n", &[]);
    let first = folder.path().join("scenarios/deep/x.yaml");
    let second = folder.path().join("scenarios/deep/y.yaml");
    std::fs::copy(&first, &second).unwrap();
    let files = scenario::find(&[folder.path().to_owned()]).unwrap();
    assert_eq!(files, [first, second]);
    let loaded = scenario::load_all(&files);
    assert_eq!(loaded.scenarios.len(), 1);
    let [error] = &loaded.diagnostics[..] else { panic!("{:?}", loaded.diagnostics) };
    assert_eq!(error.message, "two scenarios have the name `x`");
    assert!(error.help.as_ref().unwrap().ends_with("x.yaml:1"));
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = folder("name: x\n", &[]);
    let file = folder.path().join("scenarios/deep/x.yaml");
    std::fs::write(&file, b"name: \xff\n").unwrap();
    assert_eq!(scenario::load(&file).unwrap_err()[0].message, "the scenario cannot be read: it is not UTF-8 (byte 6)");
    std::fs::write(&file, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert_eq!(scenario::load(&file).unwrap_err()[0].message, "the scenario cannot be read: it is larger than 1048576 bytes");
    std::fs::remove_file(&file).unwrap();
    assert!(scenario::load(&file).unwrap_err()[0].message.starts_with("the scenario cannot be read: No such file"));
    let errors = scenario::find(&[file, folder.path().to_owned()]).unwrap_err();
    let messages: Vec<_> = errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "a directory without scenarios has none: {messages:?}");
}

#[test]
fn a_scenario_of_a_thousand_steps_is_read() {
    let step = "- observe: {}\n  expect:\n  - pod: a\n    rows:\n    - {ready: 0/1, status: Running, restarts: 0, by: 15s}\n    - {ready: 1/1, at: 10s..20s, for: 5s}\n";
    let text = format!("name: x\nsteps:\n{}", step.repeat(1000));
    assert_eq!(scenario::parse(&text, Path::new("x.yaml")).unwrap().steps.len(), 1000);
}
