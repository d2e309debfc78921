//! `labproof run`.

use std::cell::RefCell;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use labproof::cluster::context::{ContextOptions, ContextProvider};
use labproof::cluster::kind::{KindOptions, KindProvider};
use labproof::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
use labproof::cluster::state::StateDir;
use labproof::cluster::{Programs, new_run_id};
use labproof::exit_code::exit_code;
use labproof::images::StandIns;
use labproof::live::{HistoriesProgress, LiveProgress};
use labproof::plan::Plan;
use labproof::progress::Progress;
use labproof::report::{Destination, DestinationError, Report, check_all, console, github, histories, write_all, write_files};
use labproof::run::{Keep, RunOptions, run as run_plan, run_histories};
use tokio_util::sync::CancellationToken;
use workload::Workloads;

use super::args::{DestinationArgs, Images, KeepArg, On, RunArgs, SimArgs};
use super::failure::Failure;
use super::select;
use super::signals;
use super::terminal::Terminal;

pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> Result<u8, Failure> {
    refuse_options_of_others(args)?;
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
        timelines: timelines(args, &state),
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
            let cluster = sim(&args.sim, workloads)?;
            terminal
                .note(&format!("simulated Kubernetes {}: `labproof run --on kind` proves it on a real cluster\n", cluster.version));
            if let Some(count) = args.sim.seeds {
                many_histories(&plan, count, &options, &cluster)
            } else {
                let mut provider = SimProvider::new(cluster);
                in_virtual_time(run_plan(&plan, &mut provider, &options, &progress, &CancellationToken::new()))
                    .map_err(Failure::environment)
            }
        }
    }?;
    let kept = live.into_inner().into_kept();
    terminal.note(&(console::ending(&report, terminal.notes_palette()) + &kept));
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
    let options = KindOptions {
        programs: Programs::from_path(),
        state,
        run_id: new_run_id(),
        cluster_name: args.kind.cluster_name.clone(),
        node_image: args.kind.node_image.clone(),
        config: args.kind.kind_config.clone(),
        reuse: args.kind.reuse,
        stand_ins,
    };
    options.check(&plan.needs).map_err(Failure::wrong_options)?;
    Ok(KindProvider::new(options))
}

fn context(args: &RunArgs, state: StateDir) -> ContextProvider {
    let context = args.cluster.context.clone().unwrap_or_default();
    ContextProvider::new(ContextOptions { context, kubeconfig: args.cluster.kubeconfig.clone(), state, run_id: new_run_id() })
}

fn sim(args: &SimArgs, workloads: Workloads) -> Result<SimOptions, Failure> {
    let version = args.kubernetes.as_deref().map(str::parse).transpose().map_err(Failure::usage)?.unwrap_or_default();
    Ok(SimOptions { seed: args.seed.unwrap_or_default(), version, workloads })
}

fn many_histories(plan: &Plan, count: u64, options: &RunOptions, cluster: &SimOptions) -> Result<Report, Failure> {
    let progress = HistoriesProgress::stderr(count);
    let reports =
        run_histories(plan, seeds(cluster.seed, count)?, options, cluster, &|_| progress.ended()).map_err(Failure::environment)?;
    histories::merge(cluster.seed, &reports).ok_or_else(|| Failure::environment("no history was simulated"))
}

/// So many seeds from the first one on.
pub(crate) fn seeds(first: u64, count: u64) -> Result<Range<u64>, Failure> {
    let end = first
        .checked_add(count)
        .ok_or_else(|| Failure::usage(format!("--seed {first}: there are no {count} seeds from there on")))?;
    Ok(first..end)
}

/// A single run is always recorded; of many histories only what is asked for.
fn timelines(args: &RunArgs, state: &StateDir) -> Option<PathBuf> {
    let own = || args.sim.seeds.is_none().then(|| state.path().join("timelines"));
    args.runner.record.clone().or_else(own)
}

/// An option that has no meaning where the scenarios run is an error, not ignored.
fn refuse_options_of_others(args: &RunArgs) -> Result<(), Failure> {
    let (on, kind, sim) = (args.cluster.on, &args.kind, &args.sim);
    let refused = [
        ("--kind-config", "`--on kind`", on != On::Kind && kind.kind_config.is_some()),
        ("--cluster-name", "`--on kind`", on != On::Kind && kind.cluster_name.is_some()),
        ("--reuse", "`--on kind`", on != On::Kind && kind.reuse),
        ("--images real", "`--on kind`", on != On::Kind && kind.images == Images::Real),
        ("--standin", "`--on kind`", on != On::Kind && kind.standin.is_some()),
        ("--keep", "a real cluster: `--on kind` or `--on context`", on == On::Sim && kind.keep != KeepArg::Never),
        ("--seed", "`--on sim`", on != On::Sim && sim.seed.is_some()),
        ("--seeds", "`--on sim`", on != On::Sim && sim.seeds.is_some()),
        ("--kubernetes", "`--on sim`; `--node-image` chooses it on kind", on != On::Sim && sim.kubernetes.is_some()),
        ("--context", "`--on context`", on != On::Context && args.cluster.context.is_some()),
    ];
    match refused.iter().find(|(.., is_refused)| *is_refused) {
        Some((option, place, _)) => Err(Failure::usage(format!("{option} is for {place}"))),
        None => Ok(()),
    }
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
        let stopped = signals::listen(interrupt.clone()).map_err(Failure::environment)?;
        tokio::select! {
            biased;
            () = stopped => Err(Failure::stopped_at_once()),
            ended = work(interrupt) => ended,
        }
    })
}

/// As [`block_on`], for work that the first signal may end wherever it is.
pub(crate) fn block_on_interruptible<T>(work: impl AsyncFnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    block_on(async |interrupt| interrupt.run_until_cancelled(work()).await.unwrap_or_else(|| Err(Failure::interrupted())))
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
