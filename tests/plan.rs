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
    assert_eq!(longest, [30, 24, 7]);
    assert_eq!(planned.longest, Duration::from_secs(61));
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
    assert!(warnings[0].ends_with(
        "a.yaml:6:22: warning: no workload describes the image `web:1`: a real cluster pulls it, a simulated one cannot"
    ));
    assert!(render(&plan.warnings, false).contains("  - {name: a, image: web:1}"), "it is shown where it is written");
}

#[test]
fn actions_bring_images_too() {
    let text = "name: x
steps:
- apply: a.yaml
- set: {object: pod/a, field: 'spec.containers[name=a].image', to: set:1}
- set: {object: pod/a, field: spec.containers, to: [{name: a, image: set:2}]}
- set: {object: pod/a, field: metadata.labels.image, to: no-image}
- patch: {object: pod/a, patch: {spec: {initContainers: [{name: b, image: strategic:1}]}}}
- patch: {object: pod/a, type: merge, patch: {spec: {ephemeralContainers: [{name: c, image: merge:1}]}}}
- patch:
    object: pod/a
    type: json
    patch:
    - {op: replace, path: /spec/containers/0/image, value: json:1}
    - {op: add, path: /spec/containers/-, value: {name: d, image: json:2}}
    - {op: add, path: /spec, value: {containers: [{name: e, image: json:3}]}}
    - {op: test, path: /spec/containers/0/image, value: no-image:1}
    - {op: add, path: /metadata/annotations/image, value: no-image:2}
";
    let folder = folder(text, &[("a.yaml", POD)]);
    let scenario = scenario::load(&folder.path().join("scenarios/deep/x.yaml")).unwrap();
    let plan = Plan::new(vec![scenario], &|image| image.ends_with(":1") && !image.starts_with("json")).unwrap();
    let images = ["web:1", "init:1", "set:1", "set:2", "strategic:1", "merge:1", "json:1", "json:2", "json:3"];
    assert_eq!(plan.needs.images, BTreeSet::from(images.map(str::to_owned)));
    let warned: Vec<_> = plan.warnings.iter().map(|w| w.location.unwrap().line).collect();
    assert_eq!(warned, [5, 13, 14, 15]);
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
        (Some(5), "no manifest of this scenario makes pod/htpserver", help),
        (Some(7), "no manifest of this scenario makes pod/made-by-another", None),
        (Some(8), "no manifest of this scenario makes pod/httpservre", help),
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn names_that_nothing_has_are_warnings() {
    let manifest = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: server, image: web:1, ports: [{containerPort: 8080}]}]}
";
    let text = "name: x
steps:
- apply: a.yaml
  expect:
  - {pods: {selector: 'app=web,tier=front'}, row: {ready: 1/1}}
  - {pods: {selector: 'app=wbe'}, row: {ready: 1/1}}
  - {pods: {selector: 'pod-template-hash=1'}, row: {ready: 1/1}}
  - {pod: web-0, row: {last-termination: {container: sever, reason: Error}}}
  - {pod: web, row: {exists: true}}
  - {log: {selector: app=web, container: server}, line: x}
- exec: {pod: web-0, container: serve, command: [ls]}
- set: {object: deployment/web, field: 'spec.template.spec.containers[name=srv].image', to: web:2}
- apply: a.yaml
- set: {object: deployment/web, field: 'spec.template.spec.containers[name=server].ports[containerPort=8080].containerPort', to: 80}
";
    let folder = folder(text, &[("a.yaml", manifest)]);
    let plan = |text: &str| {
        let file = folder.path().join("scenarios/deep/x.yaml");
        std::fs::write(&file, text).unwrap();
        let plan = Plan::new(vec![scenario::load(&file).unwrap()], &|_| true).unwrap();
        plan.warnings.iter().map(|w| format!("{}: {}", w.location.unwrap().line, w.message)).collect::<Vec<_>>()
    };
    let expected = [
        "6: nothing that this scenario makes has the labels app=wbe",
        "8: no manifest of this scenario has a container `sever`",
        "9: no manifest of this scenario makes pod/web",
        "11: no manifest of this scenario has a container `serve`",
        "12: spec.template.spec.containers[name=srv].image: the manifest of deployment/web has no item [name=srv]",
    ];
    assert_eq!(plan(text), expected);
    let text = "name: x\nsteps:\n- apply: a.yaml\n- set: {object: deployment/web, field: spec.replicas, from: 3, to: 4}\n";
    assert_eq!(plan(text), ["4: spec.replicas is 2 in the manifest of deployment/web, not 3"]);
    assert!(plan(&text.replace("from: 3", "from: 2")).is_empty());
    assert!(plan("name: x\nsteps: [{observe: {}, expect: [{pod: theirs, row: {ready: 1/1}}]}]\n").is_empty());
}

#[test]
fn a_plan_is_data() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hidden-1}\n";
    let text = "name: x\nsteps:\n- apply: a.yaml\n  expect:\n  - {object: secret/s, row: {exists: true}, at: 1s..10s}\n- set: {object: secret/s, field: stringData.password, to: hidden-2}\n";
    let folder = folder(text, &[("a.yaml", secret)]);
    let scenario = scenario::load(&folder.path().join("scenarios/deep/x.yaml")).unwrap();
    let plan = serde_json::to_value(Plan::new(vec![scenario], &|_| true).unwrap()).unwrap();
    let when = &plan["scenarios"][0]["scenario"]["steps"][0]["expect"][0]["claim"]["sequence"]["rows"][0]["when"];
    assert_eq!(*when, serde_json::json!({"earliest": 1.0, "latest": 10.0, "hold": 0.0}));
    assert!(!plan.to_string().contains("hidden-"), "the values of a Secret are not shown: {plan}");
}

#[test]
fn a_file_is_read_once_however_it_is_named() {
    let folder = folder("name: x\nsteps: [{apply: a.yaml}]\n", &[("a.yaml", POD)]);
    let file = folder.path().join("scenarios/deep/x.yaml");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("scenarios/loop")).unwrap();
    let found =
        scenario::find(&[file.clone(), folder.path().join("scenarios/./deep/x.yaml"), folder.path().join("scenarios")]).unwrap();
    assert_eq!(found.first(), Some(&file));
    assert_eq!(found.iter().filter(|found| found.ends_with("x.yaml")).count(), 1, "{found:?}");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = folder("name: x\nsteps: [{apply: pipe.yaml}, {apply: folder.yaml}]\n", &[]);
    let pipe = folder.path().join("manifests/pipe.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::create_dir(folder.path().join("manifests/folder.yaml")).unwrap();
    let errors = scenario::load(&folder.path().join("scenarios/deep/x.yaml")).unwrap_err();
    assert!(errors.iter().all(|error| error.help.as_ref().unwrap().ends_with("is not a regular file")), "{errors:?}");
    assert_eq!(scenario::load(&pipe).unwrap_err()[0].message, "the scenario cannot be read: it is not a regular file");
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
