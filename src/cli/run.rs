//! `labproof run`.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;

use labproof::cluster::context::{ContextOptions, ContextProvider};
use labproof::cluster::kind::{KindOptions, KindProvider};
use labproof::cluster::sim::{SimOptions, SimProvider};
use labproof::cluster::state::StateDir;
use labproof::cluster::{Programs, new_run_id};
use labproof::exit_code::exit_code;
use labproof::images::StandIns;
use labproof::live::LiveProgress;
use labproof::plan::Plan;
use labproof::progress::Progress;
use labproof::report::{Destination, DestinationError, Report, check_all, console, github, write_all, write_files};
use labproof::run::{Keep, RunOptions, run as run_plan};
use tokio_util::sync::CancellationToken;
use workload::Workloads;

use super::args::{DestinationArgs, Images, KeepArg, On, RunArgs};
use super::failure::Failure;
use super::select;
use super::signals;
use super::terminal::Terminal;

pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let workloads = select::workloads(args.select.workloads.as_deref())?;
    let plan = select::load(&args.select, &workloads, terminal)?;
    let destinations = destinations(&args.report)?;
    let state = state()?;
    let options = RunOptions {
        jobs: usize::from(args.runner.jobs),
        keep: match args.kind.keep {
            KeepArg::Never => Keep::Never,
            KeepArg::OnFailure => Keep::OnFailure,
            KeepArg::Always => Keep::Always,
        },
        timelines: args.runner.record.clone().unwrap_or_else(|| state.path().join("timelines")),
        time_limit: args.runner.time_limit,
        tear_down_limit: args.runner.teardown_limit,
    };
    let live = RefCell::new(LiveProgress::stderr(&plan, terminal.verbosity(), terminal.notes_palette()));
    let progress = |event: Progress| {
        if let Progress::Checkpoint(report) = &event {
            // What is known so far is on disk before anything else can fail; the last writing tells of errors.
            let _ = write_files(report, &destinations);
        }
        live.borrow_mut().show(&event);
    };
    let report = match args.cluster.on {
        On::Kind => {
            let mut provider = kind(args, &plan, &workloads, state)?;
            block_on(async |interrupt| Ok(run_plan(&plan, &mut provider, &options, &progress, &interrupt).await))
        }
        On::Context => {
            let mut provider = context(args, state);
            block_on(async |interrupt| Ok(run_plan(&plan, &mut provider, &options, &progress, &interrupt).await))
        }
        On::Sim => {
            terminal.note("simulated: a run with `--on kind` proves it on a real cluster\n");
            let mut provider = sim(args, workloads)?;
            in_virtual_time(run_plan(&plan, &mut provider, &options, &progress, &CancellationToken::new()))
        }
    }?;
    drop(live);
    terminal.note(&console::ending(&report, terminal.notes_palette()));
    write_reports(&report, &destinations)?;
    Ok(exit_code(&report))
}

fn kind(args: &RunArgs, plan: &Plan, workloads: &Workloads, state: StateDir) -> Result<KindProvider, Failure> {
    let stand_ins = match args.kind.images {
        Images::StandIn => {
            let standin = args.kind.standin.as_deref();
            Some(StandIns::new(&plan.needs.images, workloads, standin).map_err(Failure::environment)?)
        }
        Images::Real => None,
    };
    Ok(KindProvider::new(KindOptions {
        programs: Programs::from_path(),
        state,
        run_id: new_run_id(),
        cluster_name: args.kind.cluster_name.clone(),
        node_image: args.kind.node_image.clone(),
        config: args.kind.kind_config.clone(),
        reuse: args.kind.reuse,
        stand_ins,
    }))
}

fn context(args: &RunArgs, state: StateDir) -> ContextProvider {
    let context = args.cluster.context.clone().unwrap_or_default();
    ContextProvider::new(ContextOptions { context, kubeconfig: args.cluster.kubeconfig.clone(), state, run_id: new_run_id() })
}

fn sim(args: &RunArgs, workloads: Workloads) -> Result<SimProvider, Failure> {
    let version = args.sim.kubernetes.as_deref().map(str::parse).transpose().map_err(Failure::usage)?.unwrap_or_default();
    Ok(SimProvider::new(SimOptions { run_id: new_run_id(), seed: args.sim.seed, version, workloads }))
}

/// Where labproof remembers what it makes.
pub(crate) fn state() -> Result<StateDir, Failure> {
    StateDir::from_env(|variable| std::env::var_os(variable)).map_err(Failure::environment)
}

/// Runs to the end on a runtime of one thread, on which what is observed keeps its order. The token is cancelled by a signal.
pub(crate) fn block_on<T>(work: impl AsyncFnOnce(CancellationToken) -> Result<T, Failure>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::environment)?;
    runtime.block_on(async {
        let interrupt = CancellationToken::new();
        signals::listen(interrupt.clone()).map_err(Failure::environment)?;
        work(interrupt).await
    })
}

/// Runs to the end on a runtime whose clock jumps from timer to timer. It has no I/O: a stray socket panics instead of making time lie.
fn in_virtual_time<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    Ok(runtime.map_err(Failure::environment)?.block_on(work))
}

/// The reports that are asked for, which can be written as far as can be told beforehand.
pub(crate) fn destinations(args: &DestinationArgs) -> Result<Vec<Destination>, Failure> {
    let parsed: Result<Vec<Destination>, String> = args.report.iter().map(|text| text.parse()).collect();
    let destinations = parsed.map_err(Failure::usage)?;
    check_all(&destinations).map_err(|errors| Failure::usage(joined(&errors)))?;
    Ok(destinations)
}

/// Shows a finished report as data, writes those that are asked for, and gives its exit code.
pub(crate) fn finish(report: &Report, destinations: &[Destination], terminal: &Terminal) -> Result<u8, Failure> {
    if destinations.iter().all(|destination| destination.file.is_some()) {
        terminal.data(&console::full(report, terminal.data_palette()));
    }
    write_reports(report, destinations)?;
    Ok(exit_code(report))
}

/// Writes every report that is asked for; on GitHub, annotations and the step summary too.
fn write_reports(report: &Report, destinations: &[Destination]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = write_all(report, destinations, &mut stdout).map_err(|errors| joined(&errors));
    if std::env::var_os("GITHUB_ACTIONS").is_some() {
        let _ = io::stderr().write_all(github::render(report).as_bytes());
        if let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY") {
            github::append_summary(report, Path::new(&file)).map_err(|e| Failure::environment(format!("the step summary: {e}")))?;
        }
    }
    written.map_err(Failure::environment)
}

fn joined(errors: &[DestinationError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
