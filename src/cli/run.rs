//! `labproof run`.

use std::cell::RefCell;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use labproof::cluster::context::{ContextOptions, ContextProvider};
use labproof::cluster::kind::{KindOptions, KindProvider};
use labproof::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
use labproof::cluster::state::StateDir;
use labproof::cluster::{Programs, new_run_id};
use labproof::exit_code::exit_code;
use labproof::images::StandIns;
use labproof::live::{HistoriesProgress, LiveProgress, Verbosity};
use labproof::plan::Plan;
use labproof::progress::Progress;
use labproof::report::{Destination, Report, console, histories, write_files};
use labproof::run::{Keep, RunOptions, run as run_plan, run_histories};
use tokio_util::sync::CancellationToken;
use workload::Workloads;

use super::args::{Images, KeepArg, On, RunArgs, SimArgs};
use super::failure::Failure;
use super::reports;
use super::select;
use super::signals;
use super::terminal::Terminal;
use super::timelines::OwnTimelines;

pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> Result<u8, Failure> {
    refuse_options_of_others(args)?;
    let destinations = reports::destinations(&args.report)?;
    let (report, kept) = run_scenarios(args, &destinations, terminal)
        .inspect_err(|failure| reports::write_failure(failure, &destinations, terminal))?;
    if reports::stdout_is_free(&destinations) {
        terminal.data(&console::spread(&report, terminal.data_palette()))?;
    }
    terminal.tell(&(console::ending(&report, terminal.notes_palette()) + &kept));
    reports::write(&report, &destinations, terminal)?;
    Ok(exit_code(&report))
}

/// The report, and how to look at what was kept.
fn run_scenarios(args: &RunArgs, destinations: &[Destination], terminal: &Terminal) -> Result<(Report, String), Failure> {
    let workloads = select::workloads(&args.select.workloads)?;
    let plan = select::load(&args.select, &workloads, terminal)?;
    let timelines = timelines(args, terminal)?;
    let options = RunOptions {
        jobs: usize::from(args.runner.jobs),
        keep: match args.kind.keep {
            KeepArg::Never => Keep::Never,
            KeepArg::OnFailure => Keep::OnFailure,
            KeepArg::Always => Keep::Always,
        },
        timelines: timelines.folder().map(Path::to_owned),
        time_limit: args.runner.time_limit,
        tear_down_limit: args.runner.teardown_limit,
    };
    let live = RefCell::new(LiveProgress::stderr(&plan, verbosity(args, terminal), terminal.notes_palette()));
    let progress = |event: Progress| {
        if let Progress::Checkpoint(report) = &event {
            // What is known so far is on disk before anything else can fail; the last writing tells of errors.
            let _ = write_files(report, destinations);
        }
        live.borrow_mut().show(&event);
    };
    let report = match args.cluster.on {
        On::Kind => {
            let mut provider = kind(args, &plan, &workloads, state()?)?;
            block_on(async |interrupt| Ok(run_plan(&plan, &mut provider, &options, &progress, &interrupt).await))
        }
        On::Context => {
            let mut provider = context(args, state()?);
            block_on(async |interrupt| Ok(run_plan(&plan, &mut provider, &options, &progress, &interrupt).await))
        }
        On::Sim => {
            let cluster = sim(&args.sim, workloads)?;
            let interrupt = signals::listen(exit_at_once).map_err(Failure::environment)?;
            terminal
                .note(&format!("simulated Kubernetes {}: `labproof run --on kind` proves it on a real cluster\n", cluster.version));
            if let Some(count) = args.sim.seeds {
                many_histories(&plan, count, &options, &cluster, &interrupt)
            } else {
                let mut provider = SimProvider::new(cluster);
                in_virtual_time(run_plan(&plan, &mut provider, &options, &progress, &interrupt)).map_err(Failure::environment)
            }
        }
    }?;
    let kept = live.into_inner().into_kept();
    Ok((report, kept))
}

fn verbosity(args: &RunArgs, terminal: &Terminal) -> Verbosity {
    match (terminal.quiet, args.runner.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, false) => Verbosity::Normal,
        (false, true) => Verbosity::Verbose,
    }
}

fn kind(args: &RunArgs, plan: &Plan, workloads: &Workloads, state: StateDir) -> Result<KindProvider, Failure> {
    let stand_ins = match args.kind.images {
        Images::StandIn => {
            let standin = args.kind.standin.standin.as_deref();
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
    ContextProvider::new(ContextOptions {
        context,
        kubeconfig: args.cluster.kubeconfig.kubeconfig.clone(),
        state,
        run_id: new_run_id(),
    })
}

fn sim(args: &SimArgs, workloads: Workloads) -> Result<SimOptions, Failure> {
    Ok(SimOptions { seed: args.seed.unwrap_or_default(), version: args.kubernetes.version()?, workloads })
}

/// A simulation leaves nothing behind.
#[expect(clippy::exit, reason = "a second signal means: at once")]
fn exit_at_once() {
    std::process::exit(i32::from(labproof::exit_code::INTERRUPTED));
}

fn many_histories(
    plan: &Plan,
    count: u64,
    options: &RunOptions,
    cluster: &SimOptions,
    interrupt: &CancellationToken,
) -> Result<Report, Failure> {
    let progress = HistoriesProgress::stderr(count);
    let reports = run_histories(plan, seeds(cluster.seed, count)?, options, cluster, &|_| progress.ended(), interrupt)
        .map_err(Failure::environment)?;
    let merged = histories::merge(cluster.seed, &reports).ok_or_else(|| Failure::environment("no history was simulated"))?;
    Ok(Report { interrupted: interrupt.is_cancelled(), ..merged })
}

/// So many seeds from the first one on.
pub(crate) fn seeds(first: u64, count: u64) -> Result<Range<u64>, Failure> {
    let end = first
        .checked_add(count)
        .ok_or_else(|| Failure::usage(format!("--seed {first}: there are no {count} seeds from there on")))?;
    Ok(first..end)
}

/// Where the timelines of a run are recorded.
enum Timelines {
    Nowhere,
    Asked(PathBuf),
    Own(OwnTimelines),
}

impl Timelines {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Nowhere => None,
            Self::Asked(folder) => Some(folder),
            Self::Own(own) => Some(own.folder()),
        }
    }
}

/// A single run is always recorded where that is possible; of many histories only what is asked for.
fn timelines(args: &RunArgs, terminal: &Terminal) -> Result<Timelines, Failure> {
    if let Some(folder) = &args.runner.record {
        let probe = fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
        return match probe {
            Ok(_) => Ok(Timelines::Asked(folder.clone())),
            Err(error) => Err(Failure::usage(format!("--record {}: no timeline can be written there: {error}", folder.display()))),
        };
    }
    if args.sim.seeds.is_some() {
        return Ok(Timelines::Nowhere);
    }
    let own = StateDir::from_env(|variable| std::env::var_os(variable)).map_err(|error| error.to_string());
    Ok(own.and_then(|state| OwnTimelines::create(&state)).map_or_else(
        |problem| {
            terminal.note(&format!("note: no timeline is recorded: {problem}; `--record FOLDER` names another place\n"));
            Timelines::Nowhere
        },
        Timelines::Own,
    ))
}

/// An option that has no meaning where the scenarios run is an error, not ignored.
fn refuse_options_of_others(args: &RunArgs) -> Result<(), Failure> {
    let (on, kind, sim) = (args.cluster.on, &args.kind, &args.sim);
    let refused = [
        ("--kind-config", "`--on kind`", on != On::Kind && kind.kind_config.is_some()),
        ("--cluster-name", "`--on kind`", on != On::Kind && kind.cluster_name.is_some()),
        ("--reuse", "`--on kind`", on != On::Kind && kind.reuse),
        ("--images real", "`--on kind`", on != On::Kind && kind.images == Images::Real),
        ("--standin", "`--on kind`", on != On::Kind && kind.standin.standin.is_some()),
        ("--keep", "a real cluster: `--on kind` or `--on context`", on == On::Sim && kind.keep != KeepArg::Never),
        ("--seed", "`--on sim`", on != On::Sim && sim.seed.is_some()),
        ("--seeds", "`--on sim`", on != On::Sim && sim.seeds.is_some()),
        ("--kubernetes", "`--on sim`; `--node-image` chooses it on kind", on != On::Sim && sim.kubernetes.kubernetes.is_some()),
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
    let at_once = CancellationToken::new();
    let stop = at_once.clone();
    let interrupt = signals::listen(move || stop.cancel()).map_err(Failure::environment)?;
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = at_once.cancelled() => Err(Failure::stopped_at_once()),
            ended = work(interrupt) => ended,
        }
    })
}

/// As [`block_on`], for work that the first signal may end wherever it is.
pub(crate) fn block_on_interruptible<T>(work: impl AsyncFnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    block_on(async |interrupt| interrupt.run_until_cancelled(work()).await.unwrap_or_else(|| Err(Failure::interrupted())))
}
