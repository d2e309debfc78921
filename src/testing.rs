//! For the tests of a course: a test for each scenario, on a kind cluster that all tests of a test program share.
//!
//! ```no_run
//! use std::path::PathBuf;
//!
//! // With rstest: `fn hands_on(#[files("scenarios/**/*.yaml")] scenario: PathBuf)`
//! let scenario = PathBuf::from("scenarios/chapter-07/readiness.yaml");
//! labproof::testing::check(&scenario);
//! ```
//!
//! `KIND_NODE_IMAGE` names the node image. Each scenario has a namespace of its own, so the tests may run side by side. The cluster
//! is deleted when the test program ends, however it ends.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::kind::{KindOptions, KindProvider};
use crate::cluster::state::StateDir;
use crate::cluster::{Cluster, Needs, Programs, Provider, ProvisionError, TEAR_DOWN_LIMIT, new_run_id};
use crate::diagnostic;
use crate::images::{self, StandIns};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{Palette, Report, console};
use crate::run::{Keep, RunOptions, run as run_plan};
use crate::scenario;
use crate::verdict::Outcome;

/// The shared clusters, by their numbers of nodes.
static LABS: Mutex<BTreeMap<u32, Lab>> = Mutex::new(BTreeMap::new());

/// Runs a scenario and panics with the whole report unless it passes.
///
/// # Panics
/// If the scenario cannot be run, or does not pass.
#[expect(clippy::panic, reason = "that is how a test fails")]
pub fn check(file: &Path) {
    match run(file) {
        Ok(report) if report.outcome() == Outcome::Pass => {}
        Ok(report) => panic!("{}", console::full(&report, Palette::PLAIN)),
        Err(error) => panic!("{error}"),
    }
}

/// Runs a scenario. The error says why it could not be run.
pub fn run(file: &Path) -> Result<Report, String> {
    let workloads = images::builtin();
    let scenario = scenario::load(file).map_err(|diagnostics| diagnostic::render(&diagnostics, false))?;
    let plan = Plan::new(vec![scenario], &|image| workloads.get(image).is_some());
    let plan = plan.map_err(|diagnostics| diagnostic::render(&diagnostics, false))?;
    let (reply, report) = oneshot::channel();
    {
        let mut labs = LABS.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = plan.needs.nodes;
        let lab = labs.entry(nodes).or_insert_with(|| Lab::start(nodes));
        let job = Job { plan, reply };
        lab.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or("the cluster of these tests has failed before")?;
    }
    report.blocking_recv().map_err(|_| "the cluster of these tests has failed".to_owned())?
}

/// Deletes the clusters and waits until they are gone; a test program that does not call it leaves this to be done after its end.
/// The error says what remains.
pub fn tear_down() -> Result<(), String> {
    let labs = std::mem::take(&mut *LABS.lock().unwrap_or_else(PoisonError::into_inner));
    let results: Vec<_> = labs.into_values().map(Lab::stop).collect();
    results.into_iter().collect()
}

/// A cluster with the thread that runs scenarios on it.
struct Lab {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: JoinHandle<Result<(), String>>,
}

struct Job {
    plan: Plan,
    reply: oneshot::Sender<Result<Report, String>>,
}

impl Lab {
    fn start(nodes: u32) -> Self {
        let (jobs, received) = mpsc::unbounded_channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("no runtime can be made: {error}"))?;
            LocalSet::new().block_on(&runtime, serve(nodes, received))
        });
        Self { jobs: Some(jobs), thread }
    }

    fn stop(mut self) -> Result<(), String> {
        self.jobs = None;
        self.thread.join().unwrap_or_else(|_| Err("the thread of the cluster panicked".to_owned()))
    }
}

/// Provisions the cluster for the first job, runs every job on it, and tears it down when no more can come.
async fn serve(nodes: u32, mut jobs: mpsc::UnboundedReceiver<Job>) -> Result<(), String> {
    let state = tempfile::Builder::new().prefix("labproof-").tempdir().map_err(|error| error.to_string())?;
    let run_id = new_run_id();
    let name = format!("labproof-{run_id}");
    let mut provider = KindProvider::new(options(&run_id, &name, StateDir::new(state.path())).map_err(|error| error.to_string())?);
    let guard = Guard::start(&name, state.path()).map_err(|error| format!("no guard of the cluster can be started: {error}"))?;
    let needs = Needs { nodes, ..Needs::default() };
    let provisioned = provider.provision(&needs, &|_| {}).await.map_err(|error| error.with_hint());
    let mut running = Vec::new();
    while let Some(Job { plan, reply }) = jobs.recv().await {
        match &provisioned {
            Ok(cluster) => running.push(tokio::task::spawn_local(run_job(plan, cluster.clone(), state.path().to_owned(), reply))),
            // Nobody listens if the test has ended.
            Err(error) => drop(reply.send(Err(error.clone()))),
        }
    }
    futures::future::join_all(running).await;
    let torn_down = provider.tear_down(false, &|_| {}).await.map_err(|error| error.with_hint());
    if torn_down.is_ok() {
        guard.dismiss();
    }
    torn_down
}

fn options(run_id: &str, name: &str, state: StateDir) -> Result<KindOptions, images::ImageError> {
    let workloads = images::builtin();
    let all = workloads.iter().map(|(image, _)| image.to_owned()).collect();
    Ok(KindOptions {
        programs: Programs::from_path(),
        state,
        run_id: run_id.to_owned(),
        cluster_name: Some(name.to_owned()),
        node_image: std::env::var("KIND_NODE_IMAGE").ok().filter(|image| !image.is_empty()),
        config: None,
        reuse: false,
        stand_ins: Some(StandIns::new(&all, &workloads, None)?),
    })
}

async fn run_job(plan: Plan, cluster: Cluster, state: std::path::PathBuf, reply: oneshot::Sender<Result<Report, String>>) {
    let options = RunOptions {
        jobs: 1,
        keep: Keep::Never,
        timelines: Some(state.join("timelines")),
        time_limit: None,
        tear_down_limit: TEAR_DOWN_LIMIT,
    };
    let cluster = Cluster { run_id: new_run_id(), ..cluster };
    let report = run_plan(&plan, &mut Shared(cluster), &options, &|_| {}, &CancellationToken::new()).await;
    // Nobody listens if the test has ended.
    let _ = reply.send(Ok(report));
}

/// A cluster that others use too.
struct Shared(Cluster);

impl Provider for Shared {
    async fn provision(&mut self, _: &Needs, _: &dyn Fn(Progress)) -> Result<Cluster, ProvisionError> {
        Ok(self.0.clone())
    }

    async fn tear_down(&mut self, _: bool, _: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        Ok(())
    }
}

/// Deletes the cluster when this process ends, however it ends: a shell waits for the end of its standard input.
struct Guard(Child);

impl Guard {
    fn start(cluster: &str, state: &Path) -> io::Result<Self> {
        let script = r#"read -r word; [ "$word" = dismissed ] || { kind delete cluster --name "$1"; rm -rf "$2"; }"#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", cluster]).arg(state);
        command.env("KUBECONFIG", state.join("kubeconfig")).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map(Self)
    }

    /// There is nothing left to delete.
    fn dismiss(mut self) {
        use std::io::Write;
        if let Some(stdin) = &mut self.0.stdin {
            let _ = stdin.write_all(b"dismissed\n");
        }
        let _ = self.0.wait();
    }
}
