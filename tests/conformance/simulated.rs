//! The simulated arm: a case with many seeds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kubesim::Version;
use labproof::cluster::sim::{SimOptions, SimProvider, in_virtual_time};
use labproof::progress::Progress;
use labproof::report::{Palette, Report, console};
use labproof::run::{Keep, RunOptions, run};
use labproof::timeline::Entry;
use labproof::verdict::Outcome;
use tokio_util::sync::CancellationToken;

use crate::case::{Case, workloads};
use crate::history::History;

/// How many histories of a case are simulated: with so many, what happens once in ten is missed once in twenty-four cases.
pub(crate) const SEEDS: u64 = 30;
/// How many are simulated where those do not show what was seen: it may be rare.
pub(crate) const MANY_SEEDS: u64 = 500;

/// The histories of a case, and what did not pass in them.
pub(crate) struct Simulated {
    pub(crate) histories: Vec<History>,
    failure: Option<String>,
}

/// A case simulated with so many seeds, as a cluster of this version would run it. What is asked for again is not simulated again.
pub(crate) fn simulate(case: &Case, version: Version, seeds: u64) -> Arc<Simulated> {
    type Slot = Arc<OnceLock<Arc<Simulated>>>;
    static DONE: Mutex<BTreeMap<(String, Version, u64), Slot>> = Mutex::new(BTreeMap::new());
    let key = (case.name().to_owned(), version, seeds);
    let slot = Arc::clone(DONE.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
    Arc::clone(slot.get_or_init(|| Arc::new(all_seeds(case, version, seeds))))
}

/// Every history of a case on the newest version passes the case's own expectations.
pub(crate) fn passes(case: &Case) -> Result<(), String> {
    simulate(case, Version::LATEST, SEEDS).failure.clone().map_or(Ok(()), Err)
}

fn all_seeds(case: &Case, version: Version, seeds: u64) -> Simulated {
    let mut simulated = Simulated { histories: Vec::new(), failure: None };
    for seed in 0..seeds {
        let (report, entries) = one(case, version, seed);
        if report.outcome() == Outcome::Pass {
            simulated.histories.push(History::of(&entries));
        } else if simulated.failure.is_none() {
            simulated.failure = Some(format!("seed {seed}\n{}", console::full(&report, Palette::PLAIN)));
        }
    }
    simulated
}

fn one(case: &Case, version: Version, seed: u64) -> (Report, Vec<Entry>) {
    let options = RunOptions { keep: Keep::Always, ..RunOptions::default() };
    let mut provider = SimProvider::new(SimOptions { seed, version, workloads: workloads() });
    let entries = RefCell::new(Vec::new());
    let progress = |event: Progress| {
        if let Progress::Observed { entry, .. } = event {
            entries.borrow_mut().push(*entry);
        }
    };
    let report = in_virtual_time(run(&case.plan(), &mut provider, &options, &progress, &CancellationToken::new()));
    let report = report.expect("a runtime can be made");
    (report, entries.into_inner())
}
