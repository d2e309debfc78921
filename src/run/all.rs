//! Runs all scenarios of a plan on one cluster.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::scenario::{Setting, not_run};
use crate::clock::Clock;
use crate::cluster::{Cluster, Provider, namespace};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{REPORT_VERSION, Report, ScenarioReport};
use crate::scenario::describe::duration;
use crate::verdict::Outcome;

/// Whether the cluster is left for people to look at, or for the next run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// It is torn down.
    #[default]
    Never,
    /// It is left if anything did not pass.
    OnFailure,
    /// It is left.
    Always,
}

/// How a plan is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How many scenarios run side by side; at least 1.
    pub jobs: usize,
    /// What becomes of the cluster and, if it is kept, of the namespaces.
    pub keep: Keep,
    /// Where timelines are recorded, one file a scenario.
    pub timelines: PathBuf,
    /// When the run is broken off.
    pub time_limit: Option<Duration>,
    /// How long a namespace may take to go away.
    pub tear_down_limit: Duration,
}

/// Provisions a cluster, runs every scenario on it, tears everything down, and says what was found out. It always gives a report;
/// `progress` gets it too, as a [`Progress::Checkpoint`], each time that it has grown and before anything that may fail.
pub async fn run<P: Provider>(
    plan: &Plan,
    provider: &mut P,
    options: &RunOptions,
    progress: &dyn Fn(Progress),
    interrupt: &CancellationToken,
) -> Report {
    let clock = Clock::from_wall_clock();
    let mut report = Report {
        version: REPORT_VERSION,
        labproof: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: None,
        started: clock.epoch().to_string(),
        duration: Duration::ZERO,
        scenarios: plan.scenarios.iter().map(|planned| not_run(&planned.scenario)).collect(),
        errors: Vec::new(),
        interrupted: false,
    };
    let limit = TimeLimit::start(options.time_limit, interrupt);
    let provisioned = tokio::select! {
        biased;
        () = limit.stop.cancelled() => None,
        provisioned = provider.provision(&plan.needs, progress) => Some(provisioned),
    };
    match provisioned {
        Some(Ok(cluster)) => {
            report.cluster = Some(cluster.facts.clone());
            run_scenarios(plan, &cluster, options, progress, &limit.stop, clock, &mut report).await;
        }
        Some(Err(error)) => report.errors.push(error.to_string()),
        None => {}
    }
    report.interrupted = interrupt.is_cancelled();
    if limit.is_over.load(Ordering::Relaxed) {
        let limit = duration(options.time_limit.unwrap_or_default());
        report.errors.push(format!("the run was broken off: its time limit of {limit} is over"));
    }
    report.duration = clock.elapsed();
    progress(Progress::Checkpoint(Box::new(report.clone())));
    if let Err(error) = provider.tear_down(is_kept(options.keep, &report), progress).await {
        report.errors.push(error.to_string());
    }
    report.duration = clock.elapsed();
    report
}

fn is_kept(keep: Keep, report: &Report) -> bool {
    match keep {
        Keep::Never => false,
        Keep::OnFailure => report.outcome() != Outcome::Pass,
        Keep::Always => true,
    }
}

/// Cancels the run when its time is over, or when it is interrupted.
struct TimeLimit {
    stop: CancellationToken,
    is_over: Arc<AtomicBool>,
    _guard: tokio_util::sync::DropGuard,
}

impl TimeLimit {
    fn start(limit: Option<Duration>, interrupt: &CancellationToken) -> Self {
        let stop = interrupt.child_token();
        let is_over = Arc::new(AtomicBool::new(false));
        let run_over = CancellationToken::new();
        if let Some(limit) = limit {
            let (stop, is_over, run_over) = (stop.clone(), Arc::clone(&is_over), run_over.clone());
            tokio::spawn(async move {
                if run_over.run_until_cancelled(tokio::time::sleep(limit)).await.is_some() {
                    is_over.store(true, Ordering::Relaxed);
                    stop.cancel();
                }
            });
        }
        Self { stop, is_over, _guard: run_over.drop_guard() }
    }
}

async fn run_scenarios(
    plan: &Plan,
    cluster: &Cluster,
    options: &RunOptions,
    progress: &dyn Fn(Progress),
    cancel: &CancellationToken,
    clock: Clock,
    report: &mut Report,
) {
    let runs = plan.scenarios.iter().enumerate().map(|(index, planned)| async move {
        let mut scenario = not_run(&planned.scenario);
        if cancel.is_cancelled() {
            return (index, scenario);
        }
        scenario.started = clock.elapsed();
        let setting = Setting { index, planned, cluster, timelines: &options.timelines, progress, cancel };
        if let Err(panic) = AssertUnwindSafe(setting.run(&mut scenario)).catch_unwind().await {
            scenario.errors.push(format!("labproof itself failed: {}", panic_message(panic.as_ref())));
        }
        tear_down(cluster, options, &mut scenario).await;
        scenario.duration = clock.elapsed().saturating_sub(scenario.started);
        progress(Progress::ScenarioEnded { scenario: index, report: Box::new(scenario.clone()) });
        (index, scenario)
    });
    let mut ended = futures::stream::iter(runs).buffer_unordered(options.jobs.max(1));
    while let Some((index, scenario)) = ended.next().await {
        report.scenarios[index] = scenario;
        report.duration = clock.elapsed();
        progress(Progress::Checkpoint(Box::new(report.clone())));
    }
}

/// Removes the scenario's namespace, unless it is to be looked at.
async fn tear_down(cluster: &Cluster, options: &RunOptions, scenario: &mut ScenarioReport) {
    let is_kept = match options.keep {
        Keep::Never => false,
        Keep::OnFailure => scenario.outcome() != Outcome::Pass,
        Keep::Always => true,
    };
    if let Some(name) = scenario.namespace.as_ref().filter(|_| !is_kept) {
        let removed = namespace::remove(&cluster.client, name, &cluster.run_id, options.tear_down_limit).await;
        if let Err(error) = removed {
            scenario.errors.push(format!("the namespace {name} was not torn down: {error}"));
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}
