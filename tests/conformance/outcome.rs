//! What came of a recording: judged by its scenario, and compared with the simulation.

use labproof::judge::report_of_recording;
use labproof::report::{Palette, console};
use labproof::timeline::Entry;
use labproof::verdict::Outcome;

use crate::case::Case;
use crate::compare::{Comparison, compare};
use crate::explained;
use crate::history::History;
use crate::recorded::{self, Recording};
use crate::simulated::simulate;

/// The case passes on the recording, and there is no difference from the simulation that is not explained.
pub(crate) fn conforms(cases: &[Case], recording: &Recording) -> Result<(), String> {
    let case = find(cases, recording)?;
    let entries = recording.entries();
    let report = report_of_recording(&case.scenario, &entries, recording.path()).map_err(|error| error.to_string())?;
    if report.outcome() != Outcome::Pass {
        return Err(console::full(&report, Palette::PLAIN));
    }
    no_difference(case, &recording.version, &of(case, &entries))
}

/// The comparison of a recording.
pub(crate) fn of_recording(cases: &[Case], recording: &Recording) -> Result<Comparison, String> {
    Ok(of(find(cases, recording)?, &recording.entries()))
}

/// The comparison of a timeline with the same version, simulated.
pub(crate) fn of(case: &Case, entries: &[Entry]) -> Comparison {
    compare(&History::of(entries), &simulate(case, recorded::version(entries)).histories)
}

/// An error that tells every difference which is not explained.
pub(crate) fn no_difference(case: &Case, version: &str, comparison: &Comparison) -> Result<(), String> {
    let unexplained = comparison.differences.iter().filter(|text| explained::of(case.name(), version, text).is_none());
    let unexplained: Vec<&str> = unexplained.map(String::as_str).collect();
    if unexplained.is_empty() { Ok(()) } else { Err(unexplained.join("\n")) }
}

fn find<'a>(cases: &'a [Case], recording: &Recording) -> Result<&'a Case, String> {
    cases.iter().find(|case| case.name() == recording.case).ok_or_else(|| format!("no case is named {}", recording.case))
}
