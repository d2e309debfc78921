//! The kind provider, `clean` and `doctor` where something is missing or fails: `docker` and `kind` are small shell scripts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failed test may panic, and a test may print"
)]

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use labproof::clean::{self, CleanOptions, Fate, Finding};
use labproof::cluster::kind::{KindOptions, KindProvider};
use labproof::cluster::state::{Claim, KindRecord, KindWish, Record, Stage, StateDir, Subject};
use labproof::cluster::{Needs, Programs, Provider, ProvisionError};
use labproof::doctor::{self, DoctorOptions, State};
use labproof::progress::Progress;
use rstest::rstest;
use tokio_util::sync::CancellationToken;

/// Answers as a healthy engine; `stopped`, `nodes` and `volume` are files that say what it finds.
const DOCKER: &str = r#"
if [ -e "$dir/stopped" ]; then
  echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?" >&2
  exit 1
fi
case "$*" in
"info "*) echo '{"ServerVersion":"29.8.0","CgroupVersion":"2","MemTotal":8589934592,"DockerRootDir":"/"}' ;;
"ps "*--format*) if [ -e "$dir/nodes" ]; then echo labproof-x; fi ;;
"ps "*) if [ -e "$dir/nodes" ]; then echo c0ffee; fi ;;
"container inspect"*) echo '[{"Name":"/labproof-x-control-plane","Created":"'"$(cat "$dir/created")"'","Config":{"Image":"kindest/node:v1.37.2"},
  "State":{"Running":'"$([ -e "$dir/not-running" ] && echo false || echo true)"'},"Mounts":[{"Type":"bind","Source":"/lib/modules"},{"Type":"volume","Name":"v1"}]}]' ;;
"container start labproof-x-control-plane") rm -f "$dir/not-running"; touch "$dir/started" ;;
"volume ls"*) if [ -e "$dir/volume" ]; then echo v1; fi ;;
"exec labproof-x-control-plane kubectl"*) if [ -e "$dir/labelled" ]; then echo node/labproof-x-control-plane; fi ;;
"image ls"*) echo kindest/node:v1.37.2 ;;
"image inspect"*v1.37.2) echo sha256:1 ;;
"image inspect"*) echo "Error response from daemon: No such image" >&2; exit 1 ;;
*) echo "unexpected: docker $*" >&2; exit 64 ;;
esac
"#;

/// `create` and `delete` are scripts of their own.
const KIND: &str = r#"
case "$*" in
"version") echo "kind v0.33.0 go1.26.8 linux/amd64" ;;
"create cluster"*) . "$dir/create" ;;
"delete cluster"*) . "$dir/delete" ;;
*) echo "unexpected: kind $*" >&2; exit 64 ;;
esac
"#;

/// What kind prints until its nodes start.
const PREPARING: &str = "echo ' • Preparing nodes 📦  ...' >&2; touch \"$dir/nodes\" \"$dir/volume\"\n";

const DELETES: &str = "rm -f \"$dir/nodes\" \"$dir/volume\"";

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(bench.path("bin")).unwrap();
        bench.program("docker", DOCKER);
        bench.program("kind", KIND);
        bench.write("create", PREPARING);
        bench.write("delete", DELETES);
        bench.write("created", "2099-11-23T20:00:00.123Z");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn program(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        let text = format!("#!/bin/sh\ndir='{}'\nPATH=/usr/bin:/bin\n{body}", self.dir.path().display());
        // Not written by this process: a child that another test forks meanwhile would have the file open ("text file busy").
        let write = ["-c", "printf '%s' \"$1\" > \"$0\" && chmod 755 \"$0\""];
        assert!(Command::new("/bin/sh").args(write).arg(path).arg(text).status().unwrap().success());
    }

    fn without(&self, program: &str) {
        fs::remove_file(self.path("bin").join(program)).unwrap();
    }

    fn programs(&self) -> Programs {
        Programs::from_search_path(self.path("bin"))
    }

    fn state(&self) -> StateDir {
        StateDir::new(self.path("state"))
    }

    fn options(&self) -> KindOptions {
        KindOptions {
            programs: self.programs(),
            state: self.state(),
            run_id: "x".to_owned(),
            cluster_name: None,
            node_image: Some("kindest/node:v1.37.2".to_owned()),
            config: None,
            reuse: false,
            stand_ins: None,
        }
    }

    fn provider(&self) -> KindProvider {
        KindProvider::new(self.options())
    }

    fn clean_options(&self) -> CleanOptions {
        CleanOptions {
            programs: self.programs(),
            state: self.state(),
            kept: false,
            unrecorded: false,
            dry_run: false,
            stop: CancellationToken::new(),
        }
    }

    async fn clean(&self, kept: bool, dry_run: bool) -> Vec<Finding> {
        let options = CleanOptions { kept, dry_run, ..self.clean_options() };
        clean::clusters(&options).await.unwrap()
    }

    /// A record as a run leaves it that is over.
    fn left(&self, stage: Stage) {
        let wish = KindWish { node_image: Some("kindest/node:v1.37.2".to_owned()), nodes: 1, config: None };
        let record = KindRecord { wish, stage, loaded: None };
        self.state().claim("labproof-x", Record::new("x", "2026-11-23T20:00:00Z".to_owned(), Subject::Kind(record))).unwrap();
    }

    fn remembered(&self) -> Vec<String> {
        self.state().names().unwrap()
    }
}

async fn provision(provider: &mut KindProvider) -> ProvisionError {
    provision_for(provider, 1).await
}

async fn provision_for(provider: &mut KindProvider, nodes: u32) -> ProvisionError {
    provider.provision(&Needs { nodes, ..Needs::default() }, &|_| ()).await.map(|cluster| cluster.facts).unwrap_err()
}

#[track_caller]
fn assert_says(error: &ProvisionError, problem: &str, hint: &str) {
    assert!(error.problem.contains(problem), "{}", error.problem);
    assert!(error.hint.as_ref().is_some_and(|text| text.contains(hint)), "{:?}", error.hint);
}

const DENIED: &str = "echo 'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: connect: permission denied' >&2; exit 1";

#[rstest]
#[case::docker_missing("docker", None, "`docker` is not installed", "docs.docker.com")]
#[case::engine_down(
    "docker",
    Some("echo 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 1"),
    "the Docker engine does not answer: Cannot connect to the Docker daemon at unix:///x",
    "start it"
)]
#[case::engine_down_old_client(
    "docker",
    Some("echo '{\"ServerErrors\":[\"error during connect: EOF\"]}'"),
    "the Docker engine does not answer: error during connect",
    "start it"
)]
#[case::no_rights("docker", Some(DENIED), "no rights to use the Docker engine: permission denied", "group `docker`")]
#[case::not_docker("docker", Some("echo hello"), "cannot read the answer of `docker info`", "Docker's own")]
#[case::kind_missing("kind", None, "`kind` is not installed", "kind.sigs.k8s.io")]
#[case::kind_too_old(
    "kind",
    Some("echo 'kind v0.19.0 go1.20 linux/amd64'"),
    "kind v0.19.0 is too old: v0.20.0 or later is needed",
    "releases"
)]
#[case::not_kind("kind", Some("echo 'KInD 3000'"), "`kind version` answers no version: KInD 3000", "kind.sigs.k8s.io")]
#[case::kind_broken("kind", Some("echo boom >&2; exit 3"), "`kind version` failed (exit status: 3)\n    boom", "kind version")]
#[tokio::test]
async fn what_is_missing_is_named_before_anything_is_made(
    #[case] program: &str,
    #[case] body: Option<&str>,
    #[case] problem: &str,
    #[case] hint: &str,
) {
    let bench = Bench::new();
    match body {
        None => bench.without(program),
        Some(body) => bench.program(program, body),
    }
    let mut provider = bench.provider();
    assert_says(&provision(&mut provider).await, problem, hint);
    provider.tear_down(false, &|_| ()).await.unwrap();
    assert!(!bench.path("state").exists() && !bench.path("nodes").exists());

    let options = DoctorOptions { programs: bench.programs(), state: bench.state(), node_image: None, standin: None };
    let checks = doctor::examine(&options).await;
    assert!(!doctor::is_fit(&checks));
    let bad: Vec<_> = checks.iter().filter(|check| check.state == State::Bad).collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert!(bad[0].detail.contains(problem) && bad[0].name.eq_ignore_ascii_case(program), "{bad:?}");
}

const PULL_FAILS: &str = r#"echo ' • Ensuring node image (x) 🖼  ...' >&2
echo ' ✗ Ensuring node image (x) 🖼' >&2
echo 'ERROR: failed to create cluster: failed to pull image "x": command "docker pull x" failed with error: exit status 1' >&2
echo >&2
echo 'Command Output: Error response from daemon: manifest unknown' >&2
exit 1"#;

const KUBEADM_FAILS: &str = r"echo ' • Starting control-plane 🕹️  ...' >&2
echo ' ✗ Starting control-plane 🕹️' >&2
echo 'ERROR: failed to create cluster: failed to init node with kubeadm: exit status 1' >&2
echo 'Command Output: the kubelet is not healthy after 4m0s' >&2
exit 1";

const ENGINE_STOPS: &str = r#"echo 'ERROR: failed to create cluster: command "docker run" failed with error: exit status 125' >&2
echo 'Command Output: docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2
exit 1"#;

#[rstest]
#[case::image(
    PULL_FAILS,
    "the node image kindest/node:v1.37.2 is not on this machine and cannot be pulled: Error response from daemon: manifest unknown",
    "on this machine there are: kindest/node:v1.37.2"
)]
#[case::kubeadm(KUBEADM_FAILS, "kind could not make the cluster: failed to init node with kubeadm: exit status 1", "doctor")]
#[case::kubeadm_tail(KUBEADM_FAILS, "\n    Command Output: the kubelet is not healthy after 4m0s", "doctor")]
#[case::killed("kill -9 $$", "kind could not make the cluster: `kind create cluster --name labproof-x", "doctor")]
#[case::engine(ENGINE_STOPS, "the Docker engine does not answer: Command Output: docker: Cannot connect", "start it")]
#[tokio::test]
async fn a_creation_that_fails_is_explained_and_leaves_nothing(#[case] create: &str, #[case] problem: &str, #[case] hint: &str) {
    let bench = Bench::new();
    bench.write("create", &format!("{PREPARING}{create}"));
    let mut provider = bench.provider();
    assert_says(&provision(&mut provider).await, problem, hint);
    assert_eq!(bench.remembered(), ["labproof-x"]);
    provider.tear_down(true, &|_| ()).await.unwrap();
    assert_eq!(bench.remembered(), [""; 0]);
    assert!(!bench.path("nodes").exists() && !bench.path("volume").exists());
}

#[tokio::test]
async fn the_phases_of_kind_are_shown_as_they_come() {
    let bench = Bench::new();
    bench.write("create", PULL_FAILS);
    let shown = RefCell::new(Vec::new());
    let show = |progress: Progress| shown.borrow_mut().push(format!("{progress:?}"));
    let mut provider = bench.provider();
    assert!(provider.provision(&Needs { nodes: 1, ..Needs::default() }, &show).await.is_err());
    provider.tear_down(false, &show).await.unwrap();
    insta::assert_debug_snapshot!(shown.borrow(), @r#"
    [
        "PhaseStarted(\"Checking Docker and kind\")",
        "PhaseEnded(Ok(()))",
        "PhaseStarted(\"Ensuring node image (x)\")",
        "PhaseEnded(Err(\"failed to pull image \\\"x\\\": command \\\"docker pull x\\\" failed with error: exit status 1\"))",
        "PhaseStarted(\"Deleting the kind cluster labproof-x\")",
        "PhaseEnded(Ok(()))",
    ]
    "#);
}

#[tokio::test]
async fn an_engine_that_hangs_is_given_up() {
    let bench = Bench::new();
    bench.program("docker", "exec sleep 600");
    let programs = Programs { answer_limit: Duration::from_millis(200), ..bench.programs() };
    let mut provider = KindProvider::new(KindOptions { programs, ..bench.options() });
    let problem = "the Docker engine does not answer: `docker info --format {{json .}}` had no answer after 200ms";
    assert_says(&provision(&mut provider).await, problem, "start it");
}

/// Time jumps to the next limit as soon as this phase has begun.
async fn provision_with_time_jumping_from(phase: &str, provider: &mut KindProvider) -> ProvisionError {
    let show = |progress: Progress| {
        if matches!(&progress, Progress::PhaseStarted(text) if text == phase) {
            tokio::time::pause();
        }
    };
    let error = provider.provision(&Needs { nodes: 1, ..Needs::default() }, &show).await.map(|cluster| cluster.facts).unwrap_err();
    tokio::time::resume();
    error
}

#[tokio::test]
async fn a_kind_that_hangs_is_given_up() {
    let bench = Bench::new();
    bench.write("create", &format!("{PREPARING}exec sleep 6000"));
    let mut provider = bench.provider();
    let error = provision_with_time_jumping_from("Preparing nodes", &mut provider).await;
    assert_says(&error, "did not end within 1200s", "doctor");
    provider.tear_down(false, &|_| ()).await.unwrap();
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_given_up() {
    let bench = Bench::new();
    let kubeconfig = "{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], contexts: [{name: c, context: {cluster: c, user: u}}], \
                      users: [{name: u, user: {}}], current-context: c}";
    bench.write("create", &format!("{PREPARING}echo \"{kubeconfig}\" > \"$KUBECONFIG\""));
    let mut provider = bench.provider();
    let error = provision_with_time_jumping_from("Waiting for the API server", &mut provider).await;
    assert_says(
        &error,
        "the API server http://127.0.0.1:1 was not ready within 60s; the last attempt came to: ",
        "see that the cluster runs",
    );
    provider.tear_down(false, &|_| ()).await.unwrap();
}

#[tokio::test]
async fn kind_cannot_touch_the_users_kubeconfig_and_no_ctrl_c_reaches_it() {
    let bench = Bench::new();
    let note = "echo \"$KUBECONFIG|$KIND_EXPERIMENTAL_PROVIDER|$*\" > \"$dir/noted\"; read -r _ _ _ _ group _ < /proc/$$/stat; echo $$ $group >> \"$dir/noted\"";
    bench.write("create", &format!("{note}; exit 1"));
    let mut provider = bench.provider();
    provision(&mut provider).await;
    let own = bench.path("state/clusters/labproof-x");
    let noted = fs::read_to_string(bench.path("noted")).unwrap();
    let (first, second) = noted.split_once('\n').unwrap();
    let own = own.display();
    let arguments = format!(
        "create cluster --name labproof-x --config {own}/kind.yaml --kubeconfig {own}/kubeconfig --image kindest/node:v1.37.2"
    );
    assert_eq!(first, format!("{own}/kubeconfig|docker|{arguments}"));
    let (process, group) = second.trim().split_once(' ').unwrap();
    assert_eq!(process, group, "it leads a process group of its own");
    provider.tear_down(false, &|_| ()).await.unwrap();
}

#[rstest]
#[case::someone_elses(true)]
#[case::someone_was_faster(false)]
#[tokio::test]
async fn a_name_that_is_taken_is_not_ours_to_delete(#[case] before: bool) {
    let bench = Bench::new();
    if before {
        bench.write("nodes", "");
    }
    bench.write(
        "create",
        "touch \"$dir/nodes\"; echo 'ERROR: failed to create cluster: node(s) already exist for a cluster with the name \"labproof-x\"' >&2; exit 1",
    );
    let mut provider = bench.provider();
    assert_says(
        &provision(&mut provider).await,
        "there is a kind cluster `labproof-x` already, and labproof did not make it",
        "--cluster-name",
    );
    provider.tear_down(false, &|_| ()).await.unwrap();
    assert!(bench.path("nodes").exists(), "it is still there");
    assert_eq!(bench.remembered(), [""; 0]);
}

#[rstest]
#[case("../x", "`../x` cannot be the name of a kind cluster")]
#[case("Big", "`Big` cannot be the name of a kind cluster")]
#[tokio::test]
async fn a_name_that_cannot_be_is_refused(#[case] name: &str, #[case] problem: &str) {
    let bench = Bench::new();
    let mut provider = KindProvider::new(KindOptions { cluster_name: Some(name.to_owned()), ..bench.options() });
    assert_says(&provision(&mut provider).await, problem, "lower-case");
}

#[tokio::test]
async fn a_recorded_name_is_kept_apart_from_a_locked_one() {
    let bench = Bench::new();
    bench.left(Stage::Kept);
    assert_says(&provision(&mut bench.provider()).await, "`labproof-x` is in labproof's records already", "clean --kept");
    let _held: Claim = bench.state().take("labproof-x").unwrap().unwrap();
    assert_says(&provision(&mut bench.provider()).await, "`labproof-x` is in use by another labproof", "another name");
}

#[rstest]
#[case("kind: Pod", "cannot be used: line 1: `kind` must be Cluster, and is `Pod`")]
#[case(
    "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{role: control-plane}]",
    "it lists 1 node, and the scenarios need 2"
)]
#[tokio::test]
async fn a_kind_config_that_does_not_fit_is_refused(#[case] config: &str, #[case] problem: &str) {
    let bench = Bench::new();
    bench.write("mine.yaml", config);
    let mut provider = KindProvider::new(KindOptions { config: Some(bench.path("mine.yaml")), ..bench.options() });
    let error = provision_for(&mut provider, 2).await;
    assert_says(&error, problem, "kind.sigs.k8s.io");
    assert!(error.problem.contains("mine.yaml"), "{error}");
    let mut provider = KindProvider::new(KindOptions { config: Some(bench.path("nowhere.yaml")), ..bench.options() });
    assert_says(&provision(&mut provider).await, "nowhere.yaml cannot be read", "another file");
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_is_named() {
    let bench = Bench::new();
    bench.write("file", "");
    let mut provider = KindProvider::new(KindOptions { state: StateDir::new(bench.path("file")), ..bench.options() });
    assert_says(&provision(&mut provider).await, &bench.path("file").display().to_string(), "LABPROOF_STATE_DIR");
    assert!(!bench.path("nodes").exists(), "nothing was made");
}

#[rstest]
#[case::containers("rm -f \"$dir/volume\"", "left are the container labproof-x-control-plane")]
#[case::volumes("rm -f \"$dir/nodes\"", "left are the volume v1")]
#[case::fails("echo 'ERROR: no' >&2; exit 1", "cannot be deleted: `kind delete cluster")]
#[tokio::test]
async fn what_a_deletion_leaves_is_named_and_found_again(#[case] delete: &str, #[case] problem: &str) {
    let bench = Bench::new();
    bench.write("create", &format!("{PREPARING}{KUBEADM_FAILS}"));
    bench.write("delete", delete);
    let mut provider = bench.provider();
    provision(&mut provider).await;
    let error = provider.tear_down(false, &|_| ()).await.unwrap_err();
    assert_says(&error, problem, "clean");
    assert_eq!(bench.remembered(), ["labproof-x"]);
    // While the run lives its claim does.
    assert!(matches!(&bench.clean(false, false).await[0].fate, Fate::Skipped(reason) if reason.contains("running")));
    drop(provider);
    bench.write("delete", DELETES);
    assert!(matches!(bench.clean(false, false).await[0].fate, Fate::Removed));
    assert_eq!(bench.remembered(), [""; 0]);
}

#[tokio::test]
async fn an_engine_that_stops_half_way_leaves_a_record_for_clean() {
    let bench = Bench::new();
    bench.left(Stage::InUse);
    bench.write("nodes", "");
    bench.write("stopped", "");
    let findings = bench.clean(false, false).await;
    let Fate::Failed(error) = &findings[0].fate else { panic!("{findings:?}") };
    assert_says(error, "the Docker engine does not answer", "start it");
    assert_eq!(bench.remembered(), ["labproof-x"]);

    fs::remove_file(bench.path("stopped")).unwrap();
    assert!(matches!(bench.clean(false, false).await[0].fate, Fate::Removed));
    assert_eq!(bench.remembered(), [""; 0]);
    assert!(!bench.path("nodes").exists());
}

#[tokio::test]
async fn tearing_down_without_an_engine_says_so_and_can_be_tried_again() {
    let bench = Bench::new();
    bench.write("create", &format!("{PREPARING}touch \"$dir/stopped\"; {ENGINE_STOPS}"));
    let mut provider = bench.provider();
    provision(&mut provider).await;
    let error = provider.tear_down(false, &|_| ()).await.unwrap_err();
    assert_says(
        &error,
        "cannot tell whether the kind cluster labproof-x is gone: the Docker engine does not answer",
        "then `labproof clean`",
    );
    assert_eq!(bench.remembered(), ["labproof-x"]);
    fs::remove_file(bench.path("stopped")).unwrap();
    provider.tear_down(false, &|_| ()).await.unwrap();
    assert_eq!(bench.remembered(), [""; 0]);
}

#[tokio::test]
async fn a_cancelled_creation_is_stopped_before_the_cluster_is_deleted() {
    let bench = Bench::new();
    bench.write("create", &format!("{PREPARING}echo $$ > \"$dir/pid\"; echo ' • Waiting  ...' >&2; exec sleep 600"));
    let (reached, reaching) = tokio::sync::oneshot::channel();
    let reached = RefCell::new(Some(reached));
    let tell = |progress: Progress| {
        if matches!(progress, Progress::PhaseStarted(text) if text == "Waiting") {
            reached.take().unwrap().send(()).unwrap();
        }
    };
    let mut provider = bench.provider();
    let needs = Needs { nodes: 1, ..Needs::default() };
    tokio::select! { biased;
        _ = reaching => {}
        result = provider.provision(&needs, &tell) => panic!("{:?}", result.map(|cluster| cluster.facts)),
    }
    let process = Path::new("/proc").join(fs::read_to_string(bench.path("pid")).unwrap().trim());
    assert!(process.exists());
    provider.tear_down(true, &|_| ()).await.unwrap();
    assert!(!process.exists(), "kind is dead");
    assert!(!bench.path("nodes").exists());
    assert_eq!(bench.remembered(), [""; 0]);
}

#[tokio::test]
async fn clean_leaves_alone_what_is_kept_or_in_use() {
    let bench = Bench::new();
    bench.left(Stage::Kept);
    bench.write("nodes", "");
    assert!(matches!(&bench.clean(false, false).await[0].fate, Fate::Skipped(reason) if reason.contains("--kept")));
    let held = bench.state().take("labproof-x").unwrap();
    assert!(matches!(&bench.clean(true, false).await[0].fate, Fate::Skipped(reason) if reason.contains("running")));
    drop(held);
    assert!(matches!(bench.clean(true, true).await[0].fate, Fate::WouldRemove));
    assert!(bench.path("nodes").exists());
    assert!(matches!(bench.clean(true, false).await[0].fate, Fate::Removed));
    assert!(!bench.path("nodes").exists());
    assert!(bench.clean(true, false).await.is_empty());
}

#[tokio::test]
async fn clean_leaves_alone_what_is_older_than_its_record_or_in_no_record() {
    let bench = Bench::new();
    bench.write("nodes", "");
    assert!(matches!(&bench.clean(true, false).await[0].fate, Fate::Skipped(reason) if reason.contains("not in the records")));
    let unrecorded = CleanOptions { unrecorded: true, dry_run: true, ..bench.clean_options() };
    let look = async || clean::clusters(&unrecorded).await.unwrap().remove(0).fate;
    assert!(matches!(look().await, Fate::Skipped(reason) if reason.contains("labproof.dev/run")));
    bench.write("labelled", "");
    assert!(matches!(look().await, Fate::WouldRemove));
    bench.left(Stage::Creating);
    bench.write("created", "2026-11-23T19:58:59Z");
    assert!(matches!(&bench.clean(true, false).await[0].fate, Fate::Skipped(reason) if reason.contains("was there before")));
    assert!(bench.path("nodes").exists());
}

#[tokio::test]
async fn clean_names_a_record_that_it_cannot_read_and_drops_one_that_was_never_written() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("state/clusters/labproof-broken")).unwrap();
    bench.write("state/clusters/labproof-broken/record.json", "{");
    fs::create_dir_all(bench.path("state/clusters/labproof-empty")).unwrap();
    let findings = bench.clean(false, false).await;
    let [Finding { what, fate: Fate::Failed(error) }] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(what, "record labproof-broken");
    assert_says(error, "record.json cannot be read: EOF", "remove its directory");
    assert_eq!(bench.remembered(), ["labproof-broken"]);
}

#[tokio::test]
async fn a_kept_cluster_that_is_gone_is_replaced() {
    let bench = Bench::new();
    bench.left(Stage::Kept);
    bench.write("create", &format!("touch \"$dir/created\"; {KUBEADM_FAILS}"));
    let shown = RefCell::new(Vec::new());
    let show = |progress: Progress| {
        if let Progress::Warning(text) = progress {
            shown.borrow_mut().push(text);
        }
    };
    let mut provider = KindProvider::new(KindOptions { reuse: true, ..bench.options() });
    assert!(provider.provision(&Needs { nodes: 1, ..Needs::default() }, &show).await.is_err());
    assert_eq!(*shown.borrow(), ["the kept kind cluster labproof-x is gone"]);
    assert!(bench.path("created").exists(), "another one was begun");
    provider.tear_down(false, &show).await.unwrap();
}

#[tokio::test]
async fn a_kept_cluster_that_cannot_be_used_is_left_as_it_is() {
    let bench = Bench::new();
    bench.left(Stage::Kept);
    bench.write("nodes", "");
    bench.write("not-running", "");
    bench.write("delete", "touch \"$dir/deleted\"");
    let warnings = RefCell::new(Vec::new());
    let show = |progress: Progress| {
        if let Progress::Warning(text) = progress {
            warnings.borrow_mut().push(text);
        }
    };
    let mut provider = KindProvider::new(KindOptions { reuse: true, run_id: "y".to_owned(), ..bench.options() });
    assert!(provider.provision(&Needs { nodes: 1, ..Needs::default() }, &show).await.is_err());
    provider.tear_down(false, &show).await.unwrap();
    let warnings = warnings.into_inner();
    assert!(warnings[0].starts_with("the kept kind cluster labproof-x cannot be used and is left as it is: "), "{warnings:?}");
    assert!(bench.path("started").exists(), "its node did not run");
    assert!(!bench.path("deleted").exists() && bench.remembered().contains(&"labproof-x".to_owned()));
    let claim = bench.state().take("labproof-x").unwrap().unwrap();
    assert_eq!(claim.kind().unwrap().stage, Stage::Kept);
}

#[tokio::test]
async fn a_kept_cluster_that_is_not_like_what_is_asked_for_is_named() {
    let bench = Bench::new();
    bench.left(Stage::Kept);
    let warnings = RefCell::new(Vec::new());
    let show = |progress: Progress| {
        if let Progress::Warning(text) = progress {
            warnings.borrow_mut().push(text);
        }
    };
    let mut provider = KindProvider::new(KindOptions { reuse: true, run_id: "y".to_owned(), ..bench.options() });
    assert!(provider.provision(&Needs { nodes: 2, ..Needs::default() }, &show).await.is_err());
    let expected = "no kept kind cluster is like what is asked for: labproof-x has 1 node, not 2";
    assert_eq!(warnings.into_inner(), [expected]);
}

#[tokio::test]
async fn a_cluster_that_never_gets_ready_can_be_kept() {
    let bench = Bench::new();
    bench.write("create", PREPARING);
    let mut provider = bench.provider();
    assert_says(
        &provision(&mut provider).await,
        "the kubeconfig of the kind cluster labproof-x cannot be read",
        "--keep on-failure",
    );
    let kept = RefCell::new(Vec::new());
    let note = |progress: Progress| kept.borrow_mut().push(format!("{progress:?}"));
    provider.tear_down(true, &note).await.unwrap();
    assert!(kept.borrow()[0].contains("the kind cluster labproof-x") && kept.borrow().len() == 1, "{kept:?}");
    drop(provider);
    assert!(bench.path("nodes").exists());
    assert!(matches!(bench.clean(true, false).await[0].fate, Fate::Removed));
}

#[tokio::test]
async fn docker_and_kind_are_both_named_when_both_are_missing() {
    let bench = Bench::new();
    bench.without("docker");
    bench.without("kind");
    let error = provision(&mut bench.provider()).await;
    assert_says(&error, "`docker` is not installed", "docs.docker.com");
    assert_says(&error, "`kind` is not installed", "kind.sigs.k8s.io");
}

#[tokio::test]
async fn clean_without_an_engine_cannot_tell_what_is_not_recorded() {
    let bench = Bench::new();
    bench.write("stopped", "");
    assert!(bench.clean(false, false).await.is_empty());
    let findings = clean::clusters(&CleanOptions { unrecorded: true, ..bench.clean_options() }).await.unwrap();
    let [Finding { fate: Fate::Failed(error), .. }] = &findings[..] else { panic!("{findings:?}") };
    assert_says(error, "the Docker engine does not answer", "start it");
}

#[tokio::test]
async fn a_clean_that_is_stopped_begins_nothing_more() {
    let bench = Bench::new();
    bench.left(Stage::InUse);
    let stopped = bench.clean_options();
    stopped.stop.cancel();
    assert!(clean::clusters(&stopped).await.unwrap().is_empty());
    assert_eq!(bench.remembered(), ["labproof-x"]);
}

#[tokio::test]
async fn a_name_in_the_kind_config_and_an_empty_node_image_are_not_used() {
    let bench = Bench::new();
    bench.write("mine.yaml", "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nname: mine");
    bench.write("create", "echo \"$*\" > \"$dir/noted\"; exit 1");
    let warnings = RefCell::new(Vec::new());
    let show = |progress: Progress| {
        if let Progress::Warning(text) = progress {
            warnings.borrow_mut().push(text);
        }
    };
    let options = KindOptions { config: Some(bench.path("mine.yaml")), node_image: Some(String::new()), ..bench.options() };
    let mut provider = KindProvider::new(options);
    assert!(provider.provision(&Needs { nodes: 1, ..Needs::default() }, &show).await.is_err());
    assert_eq!(warnings.into_inner(), ["the name `mine` in the kind config is not used: the cluster is called labproof-x"]);
    assert!(!fs::read_to_string(bench.path("noted")).unwrap().contains("--image"));
    provider.tear_down(false, &|_| ()).await.unwrap();
}

#[tokio::test]
async fn doctor_shows_what_it_found() {
    let bench = Bench::new();
    bench.left(Stage::InUse);
    bench.write("nodes", "");
    let options = DoctorOptions {
        programs: bench.programs(),
        state: bench.state(),
        node_image: Some("kindest/node:v9".to_owned()),
        standin: None,
    };
    let checks = doctor::examine(&options).await;
    let text = doctor::render(
        &checks.into_iter().filter(|check| !["disk", "inotify", "stand-ins"].contains(&check.name)).collect::<Vec<_>>(),
    );
    let text = text.replace(&bench.dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(text, @r"
    ✓ Docker      engine 29.8.0
    ✓ cgroups     version 2
    ✓ memory      8.0 GiB for containers
    ‼ node image  kindest/node:v9 is not on this machine: the first run pulls it
                  → pull it now: docker pull kindest/node:v9
    ✓ kind        v0.33.0
    ‼ kubectl     not installed; labproof does not need it
                  → with it you can look into clusters that were kept: https://kubernetes.io/docs/tasks/tools/
    ✓ state       DIR/state can be written to
    ‼ leftovers   kind cluster labproof-x
                  → remove them: labproof clean
    ");
}
