//! Runs a plan on many simulated clusters.

use std::io;
use std::ops::Range;

use tokio_util::sync::CancellationToken;

use super::all::{RunOptions, run};
use crate::cluster::sim::{SimOptions, SimProvider, each_seed, in_virtual_time};
use crate::plan::Plan;
use crate::report::Report;

/// Runs the plan once with each seed, each time on a cluster of its own; gives the reports in the order of the seeds, however the
/// threads ran. Timelines are recorded in a folder a seed, `seed-17`. `ended` is called with each report, on the thread that ran it.
///
/// # Errors
/// If no runtime can be made.
pub fn run_histories(
    plan: &Plan,
    seeds: Range<u64>,
    options: &RunOptions,
    cluster: &SimOptions,
    ended: &(dyn Fn(&Report) + Sync),
) -> io::Result<Vec<Report>> {
    each_seed(seeds, &|seed| {
        let report = run_history(plan, seed, options, cluster)?;
        ended(&report);
        Ok(report)
    })
}

fn run_history(plan: &Plan, seed: u64, options: &RunOptions, cluster: &SimOptions) -> io::Result<Report> {
    let timelines = options.timelines.as_ref().map(|folder| folder.join(format!("seed-{seed}")));
    let options = RunOptions { timelines, ..options.clone() };
    let mut provider = SimProvider::new(SimOptions { seed, ..cluster.clone() });
    in_virtual_time(run(plan, &mut provider, &options, &|_| {}, &CancellationToken::new()))
}
