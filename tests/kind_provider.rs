//! The kind provider, namespaces and `clean` on real clusters.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failed test may panic, and a test may print"
)]

mod common;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use labproof::clean::{self, CleanOptions, Fate};
use labproof::cluster::context::{ContextOptions, ContextProvider};
use labproof::cluster::kind::{KindOptions, KindProvider};
use labproof::cluster::namespace::{self, NamespaceError};
use labproof::cluster::state::{Claim, StateDir};
use labproof::cluster::{Cluster, Needs, Programs, Provider, new_run_id};
use labproof::images::{StandIns, builtin};
use labproof::progress::Progress;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);

/// When set, this program is the owner of a cluster that a test kills: the value is its state directory.
const OWNER: &str = "LABPROOF_TEST_OWNER";

fn main() -> ExitCode {
    if let Some(state) = std::env::var_os(OWNER) {
        common::block_on(own(state));
        return ExitCode::SUCCESS;
    }
    common::run(
        vec![
            common::on_kind("a_cluster_is_made_kept_used_again_and_deleted", whole_life),
            common::on_kind("clean_removes_what_a_run_left_that_was_killed_while_it_created", killed_while_creating),
            common::on_kind("a_cancelled_creation_leaves_nothing", cancelled),
            common::on_kind("a_node_image_that_does_not_exist_is_named", no_such_image),
        ],
        1,
    )
}

/// A state directory of its own, and how clusters are asked for.
struct Bench {
    state: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { state: tempfile::tempdir().expect("there is a temporary directory") }
    }

    fn state(&self) -> StateDir {
        StateDir::new(self.state.path())
    }

    fn options(&self) -> KindOptions {
        options(self.state())
    }

    fn clean(&self) -> CleanOptions {
        CleanOptions {
            programs: Programs::from_path(),
            state: self.state(),
            kept: false,
            unrecorded: false,
            dry_run: false,
            stop: CancellationToken::new(),
        }
    }

    /// What `clean` does about this state directory's clusters, by their names.
    async fn fates(&self, options: &CleanOptions) -> BTreeMap<String, Fate> {
        let findings = clean::clusters(options).await.expect("clean can look");
        let ours = |what: &str| what.starts_with("kind cluster labproof-test-");
        findings.into_iter().filter(|finding| ours(&finding.what)).map(|finding| (finding.what, finding.fate)).collect()
    }
}

fn options(state: StateDir) -> KindOptions {
    let run_id = new_run_id();
    KindOptions {
        programs: Programs::from_path(),
        state,
        cluster_name: Some(format!("labproof-test-{run_id}")),
        run_id,
        node_image: common::node_image(),
        config: Some(PathBuf::from("tests/kind/without-dns.yaml")),
        reuse: false,
        stand_ins: None,
    }
}

fn needs(nodes: u32) -> Needs {
    Needs { nodes, ..Needs::default() }
}

fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn containers(cluster: &str) -> Vec<String> {
    let filter = format!("label=io.x-k8s.kind.cluster={cluster}");
    docker(&["ps", "--all", "--quiet", "--filter", &filter]).lines().map(str::to_owned).collect()
}

/// Volumes that no container uses; those of other clusters are in use.
fn unused_volumes() -> BTreeSet<String> {
    docker(&["volume", "ls", "--quiet", "--filter", "dangling=true"]).lines().map(str::to_owned).collect()
}

fn whole_life() {
    common::block_on(async {
        let bench = Bench::new();
        let images = ["busybox:1.36.1".to_owned()].into();
        let stand_ins = || Some(StandIns::new(&images, &builtin(), None).expect("the stand-ins can be made"));
        let phases = RefCell::new(Vec::new());
        let note = |progress: Progress| match progress {
            Progress::PhaseStarted(text) => phases.borrow_mut().push(text),
            Progress::PhaseEnded(result) => assert_eq!(result, Ok(())),
            Progress::Kept(_) => {}
            other => panic!("{other:?}"),
        };
        let volumes_before = unused_volumes();

        let mut first = KindProvider::new(KindOptions { stand_ins: stand_ins(), ..bench.options() });
        let cluster = first.provision(&needs(2), &note).await.unwrap();
        let name = cluster.facts.name.clone();
        assert_eq!(cluster.facts.stand_ins, ["docker.io/library/busybox:1.36.1"]);
        assert_eq!(containers(&name).len(), 2);
        two_labelled_nodes_are_ready(&cluster).await;
        pods_of_stand_ins_start_at_once(&cluster).await;
        namespaces_come_and_go(&cluster).await;
        a_context_is_used_and_left_as_it_was(&cluster).await;
        for phase in ["Checking Docker and kind", "Preparing nodes", "Loading 1 stand-in image", "Waiting until 2 nodes are Ready"]
        {
            assert!(phases.borrow().iter().any(|text| text.contains(phase)), "{phase} in {:?}", phases.borrow());
        }
        first.tear_down(true, &note).await.unwrap();

        // Kept: it is there, `clean` leaves it alone, and its kubeconfig works.
        assert!(matches!(&bench.fates(&bench.clean()).await.into_values().collect::<Vec<_>>()[..], [Fate::Skipped(_)]));
        assert!(cluster.kubeconfig.unwrap().exists());
        assert_eq!(containers(&name).len(), 2);

        // Used again, and by one run at a time.
        phases.borrow_mut().clear();
        let again = || KindOptions { cluster_name: None, reuse: true, stand_ins: stand_ins(), ..bench.options() };
        let mut second = KindProvider::new(again());
        let cluster = second.provision(&needs(2), &note).await.unwrap();
        assert_eq!(cluster.facts.name, name);
        assert_eq!(*phases.borrow(), ["Checking Docker and kind".to_owned(), format!("Using the kept kind cluster {name}")]);
        assert!(matches!(&bench.fates(&bench.clean()).await.into_values().collect::<Vec<_>>()[..], [Fate::Skipped(_)]));
        assert!(bench.state().take(&name).is_err(), "the lock is held");
        second.tear_down(true, &note).await.unwrap();

        // A run that is killed while it uses it leaves it for `clean`.
        let (mut owner, mut output) = start_owner(bench.state.path(), true);
        wait_for(&mut output, "provisioned");
        owner.kill().unwrap();
        owner.wait().unwrap();
        let dry = CleanOptions { dry_run: true, ..bench.clean() };
        assert!(matches!(&bench.fates(&dry).await.into_values().collect::<Vec<_>>()[..], [Fate::WouldRemove]));
        assert_eq!(containers(&name).len(), 2);
        assert!(matches!(&bench.fates(&bench.clean()).await.into_values().collect::<Vec<_>>()[..], [Fate::Removed]));
        assert_eq!(containers(&name), [""; 0]);
        assert!(unused_volumes().is_subset(&volumes_before));
        assert_eq!(bench.state().names().unwrap(), [""; 0]);
    });
}

async fn two_labelled_nodes_are_ready(cluster: &Cluster) {
    let label = format!("labproof.dev/run={}", cluster.run_id);
    let nodes = Api::<Node>::all(cluster.client.clone()).list(&ListParams::default().labels(&label)).await.unwrap();
    assert_eq!(nodes.items.len(), 2);
    for node in nodes {
        let ready = node.status.unwrap().conditions.unwrap().into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(ready.status, "True");
    }
}

fn sleeper(name: &str) -> Pod {
    let pod = json!({
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "sleep", "image": "busybox:1.36.1", "command": ["sleep", "3600"], "imagePullPolicy": "Never"}]},
    });
    serde_json::from_value(pod).unwrap()
}

async fn pods_of_stand_ins_start_at_once(cluster: &Cluster) {
    let name = namespace::create(&cluster.client, "stand-ins", &cluster.run_id, LIMIT).await.unwrap();
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), &name);
    pods.create(&PostParams::default(), &sleeper("sleeper")).await.unwrap();
    running(&pods, "sleeper").await;
    // It ignores SIGTERM, so this takes its 30 s of grace: that must not count as blocked.
    namespace::remove(&cluster.client, &name, &cluster.run_id, namespace::REMOVAL_LIMIT).await.unwrap();
    assert!(Api::<Namespace>::all(cluster.client.clone()).get_opt(&name).await.unwrap().is_none());
}

async fn running(pods: &Api<Pod>, name: &str) {
    use futures::TryStreamExt;
    let mut events =
        std::pin::pin!(pods.watch(&kube::api::WatchParams::default().fields(&format!("metadata.name={name}")), "0").await.unwrap());
    let seen = async {
        while let Some(event) = events.try_next().await.unwrap() {
            if let kube::api::WatchEvent::Added(pod) | kube::api::WatchEvent::Modified(pod) = event
                && pod.status.and_then(|status| status.phase).as_deref() == Some("Running")
            {
                return;
            }
        }
        panic!("the watch ended");
    };
    tokio::time::timeout(LIMIT, seen).await.expect("it runs");
}

async fn namespaces_come_and_go(cluster: &Cluster) {
    let (client, run) = (&cluster.client, cluster.run_id.as_str());
    let name = namespace::create(client, "blocked", run, LIMIT).await.unwrap();
    assert!(matches!(namespace::create(client, "blocked", run, LIMIT).await, Err(NamespaceError::Refused { .. })));
    let labels = Api::<Namespace>::all(client.clone()).get(&name).await.unwrap().metadata.labels.unwrap();
    assert_eq!((labels["labproof.dev/run"].as_str(), labels["labproof.dev/scenario"].as_str()), (run, "blocked"));

    // Manifests are not trusted.
    let mut privileged = sleeper("privileged");
    privileged.spec.as_mut().unwrap().host_network = Some(true);
    let refused = Api::<Pod>::namespaced(client.clone(), &name).create(&PostParams::default(), &privileged).await.unwrap_err();
    assert!(refused.to_string().contains("PodSecurity"), "{refused}");

    // Not another run's, and not what is nobody's.
    assert!(matches!(namespace::remove(client, &name, "another", LIMIT).await, Err(NamespaceError::NotOurs { .. })));
    assert!(matches!(namespace::remove(client, "default", run, LIMIT).await, Err(NamespaceError::NotOurs { .. })));

    let maps = Api::<ConfigMap>::namespaced(client.clone(), &name);
    let held: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "held", "finalizers": ["test.labproof.dev/hold"]}})).unwrap();
    maps.create(&PostParams::default(), &held).await.unwrap();
    let error = namespace::remove(client, &name, run, Duration::from_secs(8)).await.unwrap_err();
    let NamespaceError::Blocked { blockers, .. } = &error else { panic!("{error}") };
    let object = "ConfigMap held is being deleted with the finalizers test.labproof.dev/hold";
    assert!(blockers.iter().any(|blocker| blocker == object), "{blockers:?}");
    assert!(blockers.iter().any(|blocker| blocker.starts_with("NamespaceFinalizersRemaining: ")), "{blockers:?}");

    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &release).await.unwrap();
    namespace::remove(client, &name, run, LIMIT).await.unwrap();
    namespace::remove(client, &name, run, LIMIT).await.unwrap();

    clean_finds_namespaces(client).await;
}

async fn a_context_is_used_and_left_as_it_was(cluster: &Cluster) {
    let bench = Bench::new();
    let kubeconfig = cluster.kubeconfig.clone().unwrap();
    let before = std::fs::read(&kubeconfig).unwrap();
    let options = |context: String| ContextOptions {
        context,
        kubeconfig: Some(kubeconfig.clone()),
        state: bench.state(),
        run_id: "other".to_owned(),
    };
    let context = format!("kind-{}", cluster.facts.name);
    let mut provider = ContextProvider::new(options(context.clone()));
    let used = provider.provision(&needs(2), &|_| ()).await.unwrap();
    assert_eq!((used.facts.kubernetes, used.facts.name), (cluster.facts.kubernetes.clone(), context.clone()));
    assert_eq!(bench.state().names().unwrap(), ["context-other"]);
    provider.tear_down(false, &|_| ()).await.unwrap();
    assert_eq!(bench.state().names().unwrap(), [""; 0]);
    assert_eq!(std::fs::read(&kubeconfig).unwrap(), before);
    assert_eq!(containers(&cluster.facts.name).len(), 2);

    let mut provider = ContextProvider::new(options(context.clone()));
    let error = provider.provision(&needs(3), &|_| ()).await.map(|cluster| cluster.facts).unwrap_err();
    assert_eq!(error.problem, "the cluster has 2 nodes, and the scenarios need 3");
    let mut provider = ContextProvider::new(options(format!("{context}s")));
    let error = provider.provision(&needs(1), &|_| ()).await.map(|cluster| cluster.facts).unwrap_err();
    assert_eq!(error.problem, format!("the kubeconfig has no context `{context}s`"));
    assert_eq!(error.hint.unwrap(), format!("did you mean `{context}`?"));
}

/// As a run in a context would leave them.
async fn clean_finds_namespaces(client: &Client) {
    use labproof::cluster::state::{NamespacesRecord, Record, Subject};
    let bench = Bench::new();
    let run = new_run_id();
    let name = namespace::create(client, "left", &run, LIMIT).await.unwrap();
    let fate = async |options: &CleanOptions| -> Fate {
        let findings = clean::namespaces(options, client, "here").await.unwrap();
        let what = format!("namespace {name}");
        findings.into_iter().find(|finding| finding.what == what).map(|finding| finding.fate).expect("it is found")
    };
    // Nobody here knows of it.
    assert!(matches!(fate(&bench.clean()).await, Fate::Skipped(reason) if reason.contains("not in the records")));
    let place = NamespacesRecord { context: "here".to_owned(), kubeconfig: None, cluster: None, kept: false };
    let record = Record::new(&run, "2026-01-01T00:00:00Z".to_owned(), Subject::Namespaces(place));
    let claim: Claim = bench.state().claim(&format!("context-{run}"), record).unwrap();
    assert!(matches!(fate(&bench.clean()).await, Fate::Skipped(reason) if reason.contains("running labproof")));
    drop(claim);
    assert!(matches!(fate(&CleanOptions { dry_run: true, ..bench.clean() }).await, Fate::WouldRemove));
    assert!(matches!(fate(&bench.clean()).await, Fate::Removed));
    assert_eq!(bench.state().names().unwrap(), [""; 0]);
    assert!(Api::<Namespace>::all(client.clone()).get_opt(&name).await.unwrap().is_none());
    // Deleting twice is no error for Kubernetes either.
    let gone = Api::<Namespace>::all(client.clone()).delete(&name, &DeleteParams::default()).await;
    assert!(matches!(gone, Err(kube::Error::Api(status)) if status.code == 404));
}

fn start_owner(state: &Path, reuse: bool) -> (std::process::Child, std::io::BufReader<std::process::ChildStdout>) {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .env(OWNER, state)
        .env("LABPROOF_TEST_REUSE", if reuse { "1" } else { "" })
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(owner.stdout.take().unwrap());
    (owner, output)
}

fn wait_for(output: &mut impl std::io::BufRead, text: &str) {
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if line.contains(text) {
            return;
        }
        line.clear();
    }
    panic!("the owner ended without saying {text}");
}

/// Makes a cluster, or uses a kept one, tells of each phase on stdout, and waits to be killed.
async fn own(state: OsString) {
    let reuse = std::env::var_os("LABPROOF_TEST_REUSE").is_some_and(|value| !value.is_empty());
    let made = options(StateDir::new(PathBuf::from(state)));
    let images = ["busybox:1.36.1".to_owned()].into();
    let stand_ins = Some(StandIns::new(&images, &builtin(), None).expect("the stand-ins can be made"));
    let cluster_name = made.cluster_name.clone().filter(|_| !reuse);
    let mut provider = KindProvider::new(KindOptions { reuse, cluster_name, stand_ins, ..made });
    let tell = |progress: Progress| {
        if let Progress::PhaseStarted(text) = progress {
            println!("{text}");
        }
    };
    let _cluster = provider.provision(&needs(2), &tell).await.unwrap();
    println!("provisioned");
    std::future::pending::<()>().await;
}

fn killed_while_creating() {
    common::block_on(async {
        let bench = Bench::new();
        let (mut owner, mut output) = start_owner(bench.state.path(), false);
        wait_for(&mut output, "Starting control-plane");
        let names = bench.state().names().unwrap();
        let [name] = &names[..] else { panic!("{names:?}") };
        assert!(matches!(bench.fates(&bench.clean()).await[&format!("kind cluster {name}")], Fate::Skipped(_)));
        assert_eq!(containers(name).len(), 2);
        owner.kill().unwrap();
        owner.wait().unwrap();

        // As long as the orphaned kind is at work it holds the lock, and the cluster is not touched.
        std::fs::File::open(bench.state.path().join("clusters").join(name).join("lock")).unwrap().lock().unwrap();
        let fate = bench.fates(&bench.clean()).await.remove(&format!("kind cluster {name}"));
        assert!(matches!(fate, Some(Fate::Removed)), "{fate:?}");
        assert_eq!(containers(name), [""; 0]);
    });
}

fn cancelled() {
    common::block_on(async {
        for phase in ["Ensuring node image", "Preparing nodes", "Starting control-plane"] {
            let bench = Bench::new();
            let volumes_before = unused_volumes();
            let options = bench.options();
            let name = options.cluster_name.clone().unwrap();
            let mut provider = KindProvider::new(options);
            let (reached, reaching) = tokio::sync::oneshot::channel();
            let reached = RefCell::new(Some(reached));
            let needs = needs(2);
            let tell = |progress: Progress| {
                if matches!(progress, Progress::PhaseStarted(text) if text.starts_with(phase)) {
                    let _ = reached.take().unwrap().send(());
                }
            };
            tokio::select! { biased;
                _ = reaching => {}
                result = provider.provision(&needs, &tell) => panic!("{:?}", result.map(|cluster| cluster.facts)),
            }
            provider.tear_down(true, &|_| ()).await.unwrap();
            assert_eq!(containers(&name), [""; 0], "after {phase}");
            assert!(unused_volumes().is_subset(&volumes_before), "after {phase}");
            assert_eq!(bench.state().names().unwrap(), [""; 0], "after {phase}");
        }
    });
}

fn no_such_image() {
    common::block_on(async {
        let bench = Bench::new();
        let image = "kindest/node:v0.0.0-labproof".to_owned();
        let mut provider = KindProvider::new(KindOptions { node_image: Some(image.clone()), ..bench.options() });
        let error = provider.provision(&needs(1), &|_| ()).await.map(|cluster| cluster.facts).unwrap_err();
        assert!(
            error.problem.starts_with(&format!("the node image {image} is not on this machine and cannot be pulled: ")),
            "{error}"
        );
        assert!(error.hint.unwrap().contains("--node-image"));
        provider.tear_down(false, &|_| ()).await.unwrap();
        assert_eq!(bench.state().names().unwrap(), [""; 0]);
    });
}
