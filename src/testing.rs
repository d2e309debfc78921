//! For the tests of a course: a test for each scenario.
//!
//! ```no_run
//! use std::path::PathBuf;
//!
//! // With rstest: `fn hands_on(#[files("scenarios/**/*.yaml")] scenario: PathBuf)`
//! let scenario = PathBuf::from("scenarios/chapter-07/readiness.yaml");
//! labproof::testing::simulate(&scenario); // in a moment, with nothing installed
//! labproof::testing::check(&scenario); // on a real cluster, with Docker and kind
//! ```
//!
//! What the course has beyond that, a [`Lab`] is told:
//!
//! ```no_run
//! use labproof::testing::Lab;
//!
//! Lab::simulated().workloads("workloads").timelines("target/timelines").check("scenarios/hello.yaml".as_ref());
//! ```
//!
//! On kind, all tests of a test program share a cluster; `KIND_NODE_IMAGE` names its node image. Each scenario has a namespace of its
//! own, so the tests may run side by side. The cluster is deleted when the test program ends, however it ends.
//!
//! Timelines outlive the tests: unless a folder is named, they are in one beside the test program that has its name and ends in
//! `.timelines`. A failure says where its own is.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use workload::Workloads;

use crate::cluster::kind::{KindOptions, KindProvider};
use crate::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
use crate::cluster::state::StateDir;
use crate::cluster::{Cluster, Needs, Programs, Provider, ProvisionError, new_run_id};
use crate::diagnostic;
use crate::images::{self, StandIns};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{Palette, Report, console};
use crate::run::{RunOptions, run as run_plan};
use crate::scenario;
use crate::verdict::Outcome;

/// The shared clusters, by their numbers of nodes and the folders of their workload files.
static CLUSTERS: Mutex<BTreeMap<(u32, Option<PathBuf>), SharedCluster>> = Mutex::new(BTreeMap::new());

/// Runs a scenario on a kind cluster and panics with the whole report unless it passes.
///
/// # Panics
/// If the scenario cannot be run, or does not pass.
pub fn check(file: &Path) {
    Lab::kind().check(file);
}

/// Runs a scenario on a simulated cluster, in virtual time, and panics with the whole report unless it passes.
///
/// # Panics
/// If the scenario cannot be run, or does not pass.
pub fn simulate(file: &Path) {
    Lab::simulated().check(file);
}

/// Where the scenarios of a course are run, and with what.
#[derive(Clone, Debug)]
pub struct Lab {
    place: Place,
    workloads: Option<PathBuf>,
    timelines: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Kind,
    Sim,
}

impl Lab {
    /// On kind clusters, which all tests of a test program share.
    pub const fn kind() -> Self {
        Self { place: Place::Kind, workloads: None, timelines: None }
    }

    /// On a simulated cluster for each scenario.
    pub const fn simulated() -> Self {
        Self { place: Place::Sim, workloads: None, timelines: None }
    }

    /// With the workload files of this folder, for images that labproof does not know. They go before those that it knows.
    #[must_use]
    pub fn workloads(mut self, folder: impl Into<PathBuf>) -> Self {
        self.workloads = Some(folder.into());
        self
    }

    /// With timelines in this folder, one file a scenario. It is made if need be.
    #[must_use]
    pub fn timelines(mut self, folder: impl Into<PathBuf>) -> Self {
        self.timelines = Some(folder.into());
        self
    }

    /// Runs a scenario and panics with its warnings and the whole report unless it passes.
    ///
    /// # Panics
    /// If the scenario cannot be run, or does not pass.
    #[expect(clippy::panic, reason = "that is how a test fails")]
    pub fn check(&self, file: &Path) {
        match self.attempt(file) {
            Ok((_, report)) if report.outcome() == Outcome::Pass => {}
            Ok((warnings, report)) => panic!("{warnings}{}", console::full(&report, Palette::PLAIN)),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a scenario. The error says why it could not be run.
    pub fn run(&self, file: &Path) -> Result<Report, String> {
        self.attempt(file).map(|(_, report)| report)
    }

    /// The warnings about a scenario, and its report.
    fn attempt(&self, file: &Path) -> Result<(String, Report), String> {
        let workloads = self.known_workloads()?;
        let loaded = scenario::load_all(&[file.to_owned()]);
        if loaded.has_errors() {
            return Err(diagnostic::render(&loaded.diagnostics, false));
        }
        let plan = Plan::new(loaded.scenarios, &|image| workloads.get(image).is_some());
        let plan = plan.map_err(|diagnostics| diagnostic::render(&diagnostics, false))?;
        let warnings: Vec<_> = loaded.diagnostics.iter().chain(&plan.warnings).cloned().collect();
        let report = match self.place {
            Place::Kind => self.on_kind(plan, workloads),
            Place::Sim => self.in_simulation(&plan, workloads),
        };
        Ok((diagnostic::render(&warnings, false), report?))
    }

    fn known_workloads(&self) -> Result<Workloads, String> {
        let mut workloads = images::builtin();
        if let Some(folder) = &self.workloads {
            images::read_directory(folder, &mut workloads).map_err(|error| error.to_string())?;
        }
        Ok(workloads)
    }

    fn in_simulation(&self, plan: &Plan, workloads: Workloads) -> Result<Report, String> {
        let mut provider = SimProvider::new(SimOptions { workloads, ..SimOptions::default() });
        let (options, interrupt) = (self.options("sim")?, CancellationToken::new());
        let run = run_plan(plan, &mut provider, &options, &|_| {}, &interrupt);
        in_virtual_time(run).map_err(|error| format!("no runtime can be made: {error}"))
    }

    fn on_kind(&self, plan: Plan, workloads: Workloads) -> Result<Report, String> {
        let (reply, report) = oneshot::channel();
        {
            let mut clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
            let nodes = plan.needs.nodes;
            let start = || SharedCluster::start(nodes, workloads);
            let cluster = clusters.entry((nodes, self.workloads.clone())).or_insert_with(start);
            let job = Job { plan, options: self.options("kind")?, reply };
            cluster.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or("the cluster of these tests has failed before")?;
        }
        report.blocking_recv().map_err(|_| "the cluster of these tests has failed".to_owned())?
    }

    fn options(&self, place: &str) -> Result<RunOptions, String> {
        let beside_program = || Ok(std::env::current_exe()?.with_extension("timelines").join(place));
        let folder = self.timelines.clone().map_or_else(beside_program, Ok);
        let folder = folder.map_err(|error: io::Error| format!("there is no place for timelines: {error}"))?;
        Ok(RunOptions { timelines: Some(folder), ..RunOptions::default() })
    }
}

/// Deletes the clusters and waits until they are gone; a test program that does not call it leaves this to be done after its end.
/// The error says what remains.
pub fn tear_down() -> Result<(), String> {
    let clusters = std::mem::take(&mut *CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner));
    let results: Vec<_> = clusters.into_values().map(SharedCluster::stop).collect();
    results.into_iter().collect()
}

/// A cluster with the thread that runs scenarios on it.
struct SharedCluster {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: JoinHandle<Result<(), String>>,
}

struct Job {
    plan: Plan,
    options: RunOptions,
    reply: oneshot::Sender<Result<Report, String>>,
}

impl SharedCluster {
    fn start(nodes: u32, workloads: Workloads) -> Self {
        let (jobs, received) = mpsc::unbounded_channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("no runtime can be made: {error}"))?;
            LocalSet::new().block_on(&runtime, serve(nodes, &workloads, received))
        });
        Self { jobs: Some(jobs), thread }
    }

    fn stop(mut self) -> Result<(), String> {
        self.jobs = None;
        self.thread.join().unwrap_or_else(|_| Err("the thread of the cluster panicked".to_owned()))
    }
}

/// Provisions the cluster for the first job, runs every job on it, and tears it down when no more can come.
async fn serve(nodes: u32, workloads: &Workloads, mut jobs: mpsc::UnboundedReceiver<Job>) -> Result<(), String> {
    let state = tempfile::Builder::new().prefix("labproof-").tempdir().map_err(|error| error.to_string())?;
    let run_id = new_run_id();
    let name = format!("labproof-{run_id}");
    let mut provider =
        KindProvider::new(options(&run_id, &name, StateDir::new(state.path()), workloads).map_err(|error| error.to_string())?);
    let guard = Guard::start(&name, state.path()).map_err(|error| format!("no guard of the cluster can be started: {error}"))?;
    let needs = Needs { nodes, ..Needs::default() };
    let provisioned = provider.provision(&needs, &|_| {}).await.map_err(|error| error.with_hint());
    let mut running = Vec::new();
    while let Some(Job { plan, options, reply }) = jobs.recv().await {
        match &provisioned {
            Ok(cluster) => running.push(tokio::task::spawn_local(run_job(plan, options, cluster.clone(), reply))),
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

fn options(run_id: &str, name: &str, state: StateDir, workloads: &Workloads) -> Result<KindOptions, images::ImageError> {
    let all = workloads.iter().map(|(image, _)| image.to_owned()).collect();
    Ok(KindOptions {
        programs: Programs::from_path(),
        state,
        run_id: run_id.to_owned(),
        cluster_name: Some(name.to_owned()),
        node_image: std::env::var("KIND_NODE_IMAGE").ok().filter(|image| !image.is_empty()),
        config: None,
        reuse: false,
        stand_ins: Some(StandIns::new(&all, workloads, None)?),
    })
}

async fn run_job(plan: Plan, options: RunOptions, cluster: Cluster, reply: oneshot::Sender<Result<Report, String>>) {
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
