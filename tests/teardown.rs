//! What a run has reported before its teardown, and what it leaves in a context: on a simulated cluster.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use labproof::clean::{self, CleanOptions, Fate, Finding};
use labproof::cluster::context::{self, ContextOptions, ContextProvider};
use labproof::cluster::namespace;
use labproof::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
use labproof::cluster::state::{NamespacesRecord, Record, StateDir, Subject};
use labproof::cluster::{Needs, Programs, Provider};
use labproof::doctor::{self, DoctorOptions};
use labproof::images::builtin;
use labproof::plan::Plan;
use labproof::progress::Progress;
use labproof::report::{Report, StepState};
use labproof::run::{Keep, RunOptions, run};
use labproof::scenario;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const CONTEXT: &str = "served";

/// A simulated cluster that is served, and the place of a run that uses it.
struct Bench {
    folder: tempfile::TempDir,
    _cluster: kubesim::Cluster,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = kubesim::Server::https(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()).unwrap();
        std::fs::write(folder.path().join("kubeconfig"), server.kubeconfig(CONTEXT)).unwrap();
        let cluster = kubesim::Cluster::builder().build();
        tokio::spawn(server.serve(cluster.api().http()));
        cluster.ready().await.unwrap();
        Self { folder, _cluster: cluster }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    fn state(&self) -> StateDir {
        StateDir::new(self.folder.path().join("state"))
    }

    async fn client(&self) -> Client {
        context::client(CONTEXT, Some(self.kubeconfig())).await.unwrap()
    }

    fn provider(&self, run: &str) -> ContextProvider {
        ContextProvider::new(ContextOptions {
            context: CONTEXT.to_owned(),
            kubeconfig: Some(self.kubeconfig()),
            state: self.state(),
            run_id: run.to_owned(),
        })
    }

    /// A run that has a namespace with something in it that does not go away.
    async fn run_with_a_held_namespace(&self) -> (ContextProvider, String) {
        let mut provider = self.provider("r1");
        let cluster = provider.provision(&Needs { nodes: 1, ..Needs::default() }, &|_| ()).await.unwrap();
        let name = namespace::create(&cluster.client, "held", "r1", Duration::from_mins(1)).await.unwrap();
        let held = json!({"metadata": {"name": "held", "finalizers": ["labproof.dev/hold"]}});
        let maps = Api::<ConfigMap>::namespaced(cluster.client.clone(), &name);
        maps.create(&PostParams::default(), &serde_json::from_value(held).unwrap()).await.unwrap();
        (provider, name)
    }

    fn options(&self, kept: bool) -> CleanOptions {
        CleanOptions {
            programs: Programs::from_search_path(""),
            state: self.state(),
            kept,
            unrecorded: false,
            dry_run: false,
            stop: CancellationToken::new(),
        }
    }

    async fn clean_context(&self, kept: bool) -> Vec<Finding> {
        clean::namespaces(&self.options(kept), &self.client().await, CONTEXT).await.unwrap()
    }

    fn remembered(&self) -> Vec<String> {
        self.state().names().unwrap()
    }
}

#[tokio::test]
async fn a_namespace_that_does_not_go_away_stays_recorded_and_is_explained() {
    let bench = Bench::new().await;
    let (mut provider, name) = bench.run_with_a_held_namespace().await;
    let client = bench.client().await;
    let stuck = namespace::remove(&client, &name, "r1", Duration::from_secs(1)).await.unwrap_err();
    let namespace::NamespaceError::Blocked { blockers, releases, .. } = &stuck else { panic!("{stuck}") };
    assert!(blockers.iter().any(|text| text.contains("with the finalizers labproof.dev/hold")), "{blockers:?}");
    let release =
        format!(r#"kubectl patch configmaps held --namespace {name} --type merge --patch '{{"metadata":{{"finalizers":null}}}}'"#);
    assert_eq!(*releases, [release]);

    let shown = RefCell::new(Vec::new());
    provider.tear_down(false, &|progress| shown.borrow_mut().push(format!("{progress:?}"))).await.unwrap();
    assert_eq!(*shown.borrow(), [""; 0], "it is not there on purpose");
    drop(provider);
    assert_eq!(bench.remembered(), ["context-r1"]);

    let maps = Api::<ConfigMap>::namespaced(client.clone(), &name);
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &release).await.unwrap();
    let findings = bench.clean_context(false).await;
    assert!(findings.iter().all(|finding| matches!(finding.fate, Fate::Removed)), "{findings:?}");
    assert_eq!(bench.remembered(), [""; 0]);
    assert!(Api::<Namespace>::all(client).get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn a_namespace_that_was_kept_is_told_and_is_not_cleaned_by_accident() {
    let bench = Bench::new().await;
    let mut provider = bench.provider("r1");
    let cluster = provider.provision(&Needs { nodes: 1, ..Needs::default() }, &|_| ()).await.unwrap();
    let name = namespace::create(&cluster.client, "kept", "r1", Duration::from_mins(1)).await.unwrap();
    let kept = RefCell::new(None);
    let note = |progress: Progress| {
        if let Progress::Kept(what) = progress {
            *kept.borrow_mut() = Some(*what);
        }
    };
    provider.tear_down(true, &note).await.unwrap();
    drop(provider);
    let kept = kept.into_inner().unwrap();
    let file = bench.kubeconfig();
    assert_eq!(kept.namespaces, [name]);
    assert_eq!(kept.kubectl, format!("kubectl --kubeconfig {} --context {CONTEXT}", file.display()));
    assert_eq!(kept.removal, format!("labproof clean --kept --context {CONTEXT} --kubeconfig {}", file.display()));

    let findings = bench.clean_context(false).await;
    assert!(matches!(&findings[..], [Finding { fate: Fate::Skipped(why), .. }] if why.contains("--kept")), "{findings:?}");
    assert_eq!(bench.remembered(), ["context-r1"]);
    let findings = bench.clean_context(true).await;
    assert!(matches!(&findings[..], [Finding { fate: Fate::Removed, .. }]), "{findings:?}");
    assert_eq!(bench.remembered(), [""; 0]);
}

#[tokio::test]
async fn a_run_that_leaves_nothing_is_forgotten() {
    let bench = Bench::new().await;
    let mut provider = bench.provider("r1");
    provider.provision(&Needs { nodes: 1, ..Needs::default() }, &|_| ()).await.unwrap();
    provider.tear_down(true, &|progress| panic!("{progress:?}")).await.unwrap();
    assert_eq!(bench.remembered(), [""; 0]);
}

/// Two kubeconfigs may call different clusters the same.
#[tokio::test]
async fn clean_does_not_forget_what_is_in_another_cluster() {
    let bench = Bench::new().await;
    let elsewhere = NamespacesRecord {
        context: CONTEXT.to_owned(),
        kubeconfig: Some(PathBuf::from("/other/kubeconfig")),
        cluster: Some("another".to_owned()),
        kept: false,
    };
    let record = Record::new("r2", "2026-11-23T20:00:00Z".to_owned(), Subject::Namespaces(elsewhere));
    drop(bench.state().claim("context-r2", record).unwrap());
    assert!(bench.clean_context(true).await.is_empty());
    assert_eq!(bench.remembered(), ["context-r2"]);
}

#[tokio::test]
async fn what_a_killed_run_may_have_left_in_a_context_is_told() {
    let bench = Bench::new().await;
    let mut provider = bench.provider("r1");
    provider.provision(&Needs { nodes: 1, ..Needs::default() }, &|_| ()).await.unwrap();
    let what = format!("namespaces of the run r1 in the context {CONTEXT}");
    let findings = clean::clusters(&bench.options(false)).await.unwrap();
    assert!(matches!(&findings[..], [Finding { what: named, fate: Fate::Skipped(_) }] if *named == what), "{findings:?}");

    // As if it had been killed.
    drop(provider);
    let command = format!("labproof clean --context {CONTEXT} --kubeconfig {}", bench.kubeconfig().display());
    let findings = clean::clusters(&bench.options(false)).await.unwrap();
    let [Finding { what: named, fate: Fate::NotLookedAt(told) }] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((named, told), (&what, &command));
    let options = DoctorOptions { programs: Programs::from_search_path(""), state: bench.state(), node_image: None, standin: None };
    let checks = doctor::examine(&options).await;
    let leftovers = checks.iter().find(|check| check.name == "leftovers").unwrap();
    assert_eq!((&leftovers.detail, leftovers.hint.clone()), (&what, Some(format!("remove them: {command}"))));
}

#[tokio::test]
async fn an_address_that_nobody_serves_is_named() {
    let bench = Bench::new().await;
    let kubeconfig = "{clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: u, user: {}}], \
                      contexts: [{name: served, context: {cluster: c, user: u}}]}";
    std::fs::write(bench.kubeconfig(), kubeconfig).unwrap();
    tokio::time::pause();
    let mut provider = bench.provider("r1");
    let error = provider.provision(&Needs::default(), &|_| ()).await.map(|cluster| cluster.facts).unwrap_err();
    let start = "the API server https://127.0.0.1:1 was not ready within 30s; the last attempt came to: ";
    assert!(error.problem.starts_with(start), "{error}");
    assert_eq!(error.problem.matches("Connection refused").count(), 1, "{error}");
}

/// What a run says of its report, in order.
#[derive(Debug, PartialEq)]
enum Said {
    Known(Vec<StepState>),
    TearingDown(usize),
}

#[test]
fn what_is_known_is_told_before_anything_can_fail() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    write(
        "manifests/pod.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'busybox:1.36.1', command: [sleep, '3600']}]}}",
    );
    let scenarios = ["a", "b"].map(|name| {
        let text =
            format!("name: {name}\nsteps:\n- apply: pod.yaml\n  expect:\n  - {{pod: p, row: {{status: Running}}, by: 60s}}\n");
        scenario::load(&write(&format!("scenarios/{name}.yaml"), &text)).unwrap()
    });
    let plan = Plan::new(scenarios.into(), &|_| true).unwrap();
    let options =
        RunOptions { jobs: 1, keep: Keep::Never, timelines: None, time_limit: None, tear_down_limit: Duration::from_mins(2) };
    let said = RefCell::new(Vec::new());
    let states = |report: &Report| report.scenarios.iter().map(|scenario| scenario.steps[0].state).collect();
    let note = |progress: Progress| match progress {
        Progress::Checkpoint(report) => said.borrow_mut().push(Said::Known(states(&report))),
        Progress::TearingDown { scenario } => said.borrow_mut().push(Said::TearingDown(scenario)),
        _ => {}
    };
    let mut provider = SimProvider::new(SimOptions { seed: 1, version: kubesim::Version::default(), workloads: builtin() });
    in_virtual_time(run(&plan, &mut provider, &options, &note, &CancellationToken::new())).unwrap();
    let (done, not) = (StepState::Done, StepState::NotRun);
    let mut expected = vec![Said::Known(vec![not, not])];
    expected.extend([Said::Known(vec![done, not]), Said::TearingDown(0), Said::Known(vec![done, not])]);
    expected.extend([Said::Known(vec![done, done]), Said::TearingDown(1), Said::Known(vec![done, done])]);
    expected.push(Said::Known(vec![done, done]));
    assert_eq!(said.into_inner(), expected);
}
