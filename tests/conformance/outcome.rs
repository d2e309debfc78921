//! What came of a recording: judged by its scenario, and compared with the simulation.

use kubesim::Version;
use labproof::judge::report_of_recording;
use labproof::report::{Palette, console};
use labproof::timeline::Entry;
use labproof::verdict::Outcome;

use crate::case::Case;
use crate::compare::{Comparison, compare};
use crate::explained;
use crate::history::History;
use crate::recorded::{self, Recording};
use crate::simulated::{MANY_SEEDS, SEEDS, simulate};

/// The case passes on the recording, and there is no difference from the simulation that is not explained.
pub(crate) fn conforms(cases: &[Case], recording: &Recording) -> Result<(), String> {
    let case = find(cases, recording)?;
    let entries = recording.entries();
    let report = report_of_recording(&case.scenario, &entries, recording.path()).map_err(|error| error.to_string())?;
    if report.outcome() != Outcome::Pass {
        return Err(console::full(&report, Palette::PLAIN));
    }
    no_difference(case, &entries)
}

/// The comparison of a recording.
pub(crate) fn of_recording(cases: &[Case], recording: &Recording) -> Result<Comparison, String> {
    Ok(of(find(cases, recording)?, &recording.entries()))
}

/// The comparison of a timeline with the same version, simulated; more often where that leaves a difference that is not explained.
fn of(case: &Case, entries: &[Entry]) -> Comparison {
    let version = recorded::version(entries);
    let seen = History::of(entries);
    let with = |seeds| compare(&seen, &simulate(case, version, seeds).histories);
    let comparison = with(SEEDS);
    if unexplained(case, version, &comparison).is_empty() { comparison } else { with(MANY_SEEDS) }
}

/// An error that tells every difference which is not explained.
pub(crate) fn no_difference(case: &Case, entries: &[Entry]) -> Result<(), String> {
    let unexplained = unexplained(case, recorded::version(entries), &of(case, entries));
    if unexplained.is_empty() { Ok(()) } else { Err(unexplained.join("\n")) }
}

fn unexplained(case: &Case, version: Version, comparison: &Comparison) -> Vec<String> {
    let version = format!("v1.{}", version.minor());
    let differences = comparison.differences.iter();
    differences.filter(|text| explained::of(case.name(), &version, text).is_none()).cloned().collect()
}

fn find<'a>(cases: &'a [Case], recording: &Recording) -> Result<&'a Case, String> {
    cases.iter().find(|case| case.name() == recording.case).ok_or_else(|| format!("no case is named {}", recording.case))
}
