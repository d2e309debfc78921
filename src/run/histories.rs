//! Runs a plan on many simulated clusters.

use std::io;
use std::ops::Range;

use tokio_util::sync::CancellationToken;

use super::all::{RunOptions, run};
use crate::cluster::sim::{SimOptions, SimProvider, each_seed, in_virtual_time};
use crate::plan::Plan;
use crate::report::Report;

/// Runs the plan once with each seed, each time on a cluster of its own; gives the reports in the order of the seeds, however the
/// threads ran. Once it is interrupted, no further history is begun; those that had ended by then are given, without a gap from the
/// first seed on, and at least the first as far as it came. Timelines are recorded in a folder a seed, `seed-17`. `ended` is called with each report, on the thread that ran it.
///
/// # Errors
/// If no runtime can be made.
pub fn run_histories(
    plan: &Plan,
    seeds: Range<u64>,
    options: &RunOptions,
    cluster: &SimOptions,
    ended: &(dyn Fn(&Report) + Sync),
    interrupt: &CancellationToken,
) -> io::Result<Vec<Report>> {
    let first = seeds.start;
    let reports = each_seed(seeds, &|seed| {
        if interrupt.is_cancelled() && seed != first {
            return Ok(None);
        }
        let report = run_history(plan, seed, options, cluster, interrupt)?;
        ended(&report);
        io::Result::Ok(Some(report))
    })?;
    Ok(without_gap(reports))
}

fn without_gap(reports: Vec<Option<Report>>) -> Vec<Report> {
    let mut begun = reports.into_iter().map_while(|report| report);
    let first: Vec<Report> = begun.by_ref().take(1).collect();
    first.into_iter().chain(begun.take_while(|report| !report.interrupted)).collect()
}

fn run_history(
    plan: &Plan,
    seed: u64,
    options: &RunOptions,
    cluster: &SimOptions,
    interrupt: &CancellationToken,
) -> io::Result<Report> {
    let timelines = options.timelines.as_ref().map(|folder| folder.join(format!("seed-{seed}")));
    let options = RunOptions { timelines, ..options.clone() };
    let mut provider = SimProvider::new(SimOptions { seed, ..cluster.clone() });
    in_virtual_time(run(plan, &mut provider, &options, &|_| {}, interrupt))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::report::histories::merge;
    use crate::scenario;

    fn plan() -> Plan {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/chapter-07/readiness.yaml");
        Plan::new(vec![scenario::load(&file).unwrap()], &|_| true).unwrap()
    }

    fn cluster() -> SimOptions {
        SimOptions { workloads: crate::images::builtin(), ..SimOptions::default() }
    }

    #[test]
    fn what_had_ended_before_an_interrupt_is_given() {
        let (interrupt, ended) = (CancellationToken::new(), AtomicUsize::new(0));
        let stop_after_four = |_: &Report| {
            if ended.fetch_add(1, Ordering::Relaxed) == 3 {
                interrupt.cancel();
            }
        };
        let options = RunOptions::default();
        let reports = run_histories(&plan(), 0..100_000, &options, &cluster(), &stop_after_four, &interrupt).unwrap();
        assert!((1..=ended.into_inner()).contains(&reports.len()), "{}", reports.len());
        let merged = merge(0, &reports).unwrap();
        assert_eq!(merged.histories.unwrap().count, reports.len());
    }

    #[test]
    fn of_a_run_that_is_interrupted_at_once_the_first_history_is_given() {
        let interrupt = CancellationToken::new();
        interrupt.cancel();
        let reports = run_histories(&plan(), 7..1_000_000, &RunOptions::default(), &cluster(), &|_| {}, &interrupt).unwrap();
        let [report] = &reports[..] else { panic!("{}", reports.len()) };
        assert!(report.interrupted && report.scenarios[0].not_run());
    }
}
