//! Runs a plan on many simulated clusters, on as many threads as there are cores.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio_util::sync::CancellationToken;

use super::all::{RunOptions, run};
use crate::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
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
    let next = AtomicU64::new(seeds.start);
    let reports = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(());
            }
            let report = run_history(plan, seed, options, cluster)?;
            ended(&report);
            reports.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, report);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))))
    })?;
    Ok(reports.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect())
}

fn run_history(plan: &Plan, seed: u64, options: &RunOptions, cluster: &SimOptions) -> io::Result<Report> {
    let timelines = options.timelines.as_ref().map(|folder| folder.join(format!("seed-{seed}")));
    let options = RunOptions { timelines, ..options.clone() };
    let mut provider = SimProvider::new(SimOptions { seed, ..cluster.clone() });
    in_virtual_time(run(plan, &mut provider, &options, &|_| {}, &CancellationToken::new()))
}
