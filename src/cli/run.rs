//! `labproof run`.

use std::cell::RefCell;
use std::path::Path;

use labproof::cluster::context::{ContextOptions, ContextProvider};
use labproof::cluster::kind::{KindOptions, KindProvider};
use labproof::cluster::state::StateDir;
use labproof::cluster::{Programs, new_run_id};
use labproof::exit_code::exit_code;
use labproof::images::StandIns;
use labproof::plan::Plan;
use labproof::progress::Progress;
use labproof::report::{self, Destination, Report, console, github};
use labproof::run::{Keep, RunOptions, run as run_plan};
use tokio_util::sync::CancellationToken;
use workload::Workloads;

use super::args::{DestinationArgs, Images, KeepArg, On, RunArgs};
use super::failure::Failure;
use super::live::LiveProgress;
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
    let live = RefCell::new(LiveProgress::new(&plan, terminal));
    let written = RefCell::new(Ok(()));
    let progress = |event: Progress| {
        if let Progress::Checkpoint(report) = &event {
            // What is known so far is on disk before anything else can fail.
            *written.borrow_mut() = report::write_files(report, &destinations);
        }
        live.borrow_mut().show(event);
    };
    let report = block_on(async |interrupt| match args.cluster.on {
        On::Kind => run_plan(&plan, &mut kind(args, &plan, &workloads, state)?, &options, &progress, &interrupt).await,
        On::Context => run_plan(&plan, &mut context(args, state), &options, &progress, &interrupt).await,
    })?;
    drop(live);
    finish(&report, &destinations, terminal)
}
