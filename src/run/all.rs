//! Runs all scenarios of a plan on one cluster.

use std::cell::RefCell;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::scenario::{Setting, not_run};
use crate::clock::Clock;
use crate::cluster::{Cluster, Provider, TEAR_DOWN_LIMIT, namespace};
use crate::errors::itself_failed;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{Report, ScenarioReport};
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

impl Keep {
    /// Whether what came to this is left.
    fn keeps(self, outcome: Outcome) -> bool {
        match self {
            Self::Never => false,
            Self::OnFailure => outcome != Outcome::Pass,
            Self::Always => true,
        }
    }
}

/// How a plan is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How many scenarios run side by side; at least 1.
    pub jobs: usize,
    /// What becomes of the cluster and, if it is kept, of the namespaces.
    pub keep: Keep,
    /// The folder in which timelines are recorded, one file a scenario; none to record none.
    pub timelines: Option<PathBuf>,
    /// When the run is broken off.
    pub time_limit: Option<Duration>,
    /// How long a namespace may take to go away.
    pub tear_down_limit: Duration,
}

/// One scenario after the other, everything torn down, nothing recorded.
impl Default for RunOptions {
    fn default() -> Self {
        Self { jobs: 1, keep: Keep::Never, timelines: None, time_limit: None, tear_down_limit: TEAR_DOWN_LIMIT }
    }
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
    tokio::select! {
        biased;
        never = announce(interrupt, progress) => match never {},
        report = Box::pin(run_stages(plan, provider, options, progress, interrupt)) => report,
    }
}

/// Says once that the run is interrupted.
async fn announce(interrupt: &CancellationToken, progress: &dyn Fn(Progress)) -> Infallible {
    interrupt.cancelled().await;
    progress(Progress::Interrupted);
    std::future::pending().await
}

async fn run_stages<P: Provider>(
    plan: &Plan,
    provider: &mut P,
    options: &RunOptions,
    progress: &dyn Fn(Progress),
    interrupt: &CancellationToken,
) -> Report {
    let clock = Clock::from_wall_clock();
    let mut report = Report {
        scenarios: plan.scenarios.iter().map(|planned| not_run(&planned.scenario)).collect(),
        ..Report::begun(clock.epoch().to_string())
    };
    progress(Progress::Checkpoint(Box::new(report.clone())));
    let stop = interrupt.child_token();
    let work = provision_and_run(plan, provider, options, progress, &stop, clock, &mut report);
    match within(options.time_limit, &stop, progress, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(ended) => report.errors.extend(ended.err()),
        Err(panic) => report.errors.push(panicked(panic.as_ref())),
    }
    report.interrupted = interrupt.is_cancelled();
    if stop.is_cancelled() && !report.interrupted {
        let limit = duration(options.time_limit.unwrap_or_default());
        report.errors.push(format!("the run was broken off: its time limit of {limit} is over"));
    }
    report.duration = clock.elapsed();
    progress(Progress::Checkpoint(Box::new(report.clone())));
    if let Err(error) = provider.tear_down(options.keep.keeps(report.outcome()), progress).await {
        report.errors.push(error.with_hint());
    }
    report.interrupted |= interrupt.is_cancelled();
    report.duration = clock.elapsed();
    report
}

/// Stops the work in an orderly way when its time is over.
async fn within<T>(
    limit: Option<Duration>,
    stop: &CancellationToken,
    progress: &dyn Fn(Progress),
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    let limit = limit.unwrap_or(Duration::MAX);
    let mut over = pin!(tokio::time::sleep(limit));
    loop {
        tokio::select! {
            biased;
            ended = &mut work => return ended,
            () = &mut over, if !stop.is_cancelled() => {
                let text = format!("the time limit of {} is over: what was begun is being torn down", duration(limit));
                progress(Progress::Warning(text));
                stop.cancel();
            }
        }
    }
}

async fn provision_and_run<P: Provider>(
    plan: &Plan,
    provider: &mut P,
    options: &RunOptions,
    progress: &dyn Fn(Progress),
    stop: &CancellationToken,
    clock: Clock,
    report: &mut Report,
) -> Result<(), String> {
    let provisioned = stop.run_until_cancelled(provider.provision(&plan.needs, progress)).await;
    let Some(provisioned) = provisioned else { return Ok(()) };
    let cluster = provisioned.map_err(|error| error.with_hint())?;
    report.cluster = Some(cluster.facts.clone());
    tokio::select! {
        biased;
        problem = provider.failed() => Err(itself_failed(&problem)),
        () = run_scenarios(plan, &cluster, options, progress, stop, clock, report) => Ok(()),
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
    let shared = RefCell::new(report);
    let note = |index: usize, scenario: &ScenarioReport| {
        let mut report = shared.borrow_mut();
        report.scenarios[index] = scenario.clone();
        report.duration = clock.elapsed();
        let known = Box::new(report.clone());
        drop(report);
        progress(Progress::Checkpoint(known));
    };
    let runs = plan.scenarios.iter().enumerate().map(async |(index, planned)| {
        let mut scenario = not_run(&planned.scenario);
        if cancel.is_cancelled() {
            return;
        }
        scenario.started = clock.elapsed();
        let setting = Setting { index, planned, cluster, timelines: options.timelines.as_deref(), progress, cancel };
        if let Err(panic) = AssertUnwindSafe(setting.run(&mut scenario)).catch_unwind().await {
            scenario.errors.push(panicked(panic.as_ref()));
        }
        scenario.duration = clock.elapsed().saturating_sub(scenario.started);
        note(index, &scenario);
        tear_down(cluster, options, index, &mut scenario, progress).await;
        scenario.duration = clock.elapsed().saturating_sub(scenario.started);
        progress(Progress::ScenarioEnded { scenario: index, report: Box::new(scenario.clone()) });
        note(index, &scenario);
    });
    futures::stream::iter(runs).buffer_unordered(options.jobs.max(1)).collect::<()>().await;
}

/// Removes the scenario's namespace, unless it is to be looked at.
async fn tear_down(
    cluster: &Cluster,
    options: &RunOptions,
    index: usize,
    scenario: &mut ScenarioReport,
    progress: &dyn Fn(Progress),
) {
    let is_kept = options.keep.keeps(scenario.outcome());
    if let Some(name) = scenario.namespace.as_ref().filter(|_| !is_kept) {
        progress(Progress::TearingDown { scenario: index });
        let removed = namespace::remove(&cluster.client, name, &cluster.run_id, options.tear_down_limit).await;
        if let Err(error) = removed {
            scenario.errors.push(error.with_hint());
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    itself_failed(text.unwrap_or("a panic without a message"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
    use crate::cluster::{Needs, ProvisionError};
    use crate::exit_code::{ENVIRONMENT, exit_code};
    use crate::scenario;

    /// A simulated cluster of which something dies after a while.
    struct Dying(SimProvider, Duration);

    impl Provider for Dying {
        async fn provision(&mut self, needs: &Needs, progress: &dyn Fn(Progress)) -> Result<Cluster, ProvisionError> {
            self.0.provision(needs, progress).await
        }

        async fn failed(&self) -> String {
            tokio::time::sleep(self.1).await;
            "a part of it died".to_owned()
        }

        async fn tear_down(&mut self, keep: bool, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
            self.0.tear_down(keep, progress).await
        }
    }

    #[test]
    fn a_fault_of_labproof_is_none_of_the_scenario() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/chapter-07/readiness.yaml");
        let plan = Plan::new(vec![scenario::load(&file).unwrap()], &|_| true).unwrap();
        let sim = SimProvider::new(SimOptions { workloads: crate::images::builtin(), ..SimOptions::default() });
        let mut provider = Dying(sim, Duration::from_secs(5));
        let report =
            in_virtual_time(run(&plan, &mut provider, &RunOptions::default(), &|_| {}, &CancellationToken::new())).unwrap();
        assert_eq!(report.errors, ["labproof itself failed: a part of it died"]);
        assert_eq!(exit_code(&report), ENVIRONMENT);
        assert!(report.scenarios[0].steps.iter().all(|step| step.expectations.iter().all(|one| one.verdict.is_none())));
    }
}
