//! What the reader of a failure may try.

use std::time::Duration;

use super::cause;
use super::claim::wanted;
use crate::scenario::describe::duration;
use crate::scenario::{Claim, Expectation, Subject, TimedRow};
use crate::verdict::{Deviation, Outcome, Verdict};

/// A sentence that fits what went wrong.
pub(super) fn hint(expectation: &Expectation, verdict: &Verdict) -> Option<String> {
    if let Some(cause) = &verdict.cause {
        return cause::hint(cause).map(str::to_owned);
    }
    if verdict.outcome == Outcome::Inconclusive {
        return Some("run it again: the connection to the API server was lost at the wrong moment".to_owned());
    }
    let row = timed_row(expectation, verdict);
    match verdict.deviation? {
        Deviation::TooLate => Some(too_late(row, verdict.decided)),
        Deviation::TooEarly => Some(too_early(row, verdict.decided)),
        Deviation::Missing => missing(&expectation.subject, verdict).map(str::to_owned),
        Deviation::Extra => Some("if this row is normal, list it among the `rows`, or say `between: any`".to_owned()),
        Deviation::OutOfOrder => Some(
            "list the `rows` in the order in which they are seen; if a row comes only sometimes, say `between: any`".to_owned(),
        ),
        Deviation::Contradicted => contradicted(&expectation.claim),
    }
}

/// The row that was expected.
fn timed_row<'a>(expectation: &'a Expectation, verdict: &Verdict) -> Option<&'a TimedRow> {
    let Claim::Sequence { rows, .. } = &expectation.claim else { return None };
    let expected = verdict.expected.as_ref()?;
    rows.iter().find(|row| wanted(row) == *expected)
}

fn short(time: Duration) -> String {
    duration(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / 100 * 100))
}

fn too_late(row: Option<&TimedRow>, seen: Duration) -> String {
    match row.map(|row| seen.saturating_sub(row.when.latest)) {
        Some(late) if late < Duration::from_millis(100) => {
            "the window closes just before; is the machine slower than the page's?".to_owned()
        }
        Some(late) if late < Duration::from_secs(5) => {
            format!("the window closes {} before; is the machine slower than the page's?", short(late))
        }
        _ => "is the machine slower than the page's, or does the object differ from the page's (probes, image)?".to_owned(),
    }
}

fn too_early(row: Option<&TimedRow>, seen: Duration) -> String {
    if seen.is_zero() {
        return "it was so before the action: leave out the window's beginning, or expect first what the action changes".to_owned();
    }
    let early = row.map(|row| row.when.earliest.saturating_sub(seen)).filter(|early| *early >= Duration::from_millis(100));
    let how = early.map_or_else(|| "just after".to_owned(), |early| format!("{} after", short(early)));
    format!("the window opens {how}; compare delays and periods of the object with the page's")
}

fn missing(subject: &Subject, verdict: &Verdict) -> Option<&'static str> {
    match subject {
        Subject::Event(_) => Some(
            "match events by reason and object rather than by their text, which changes between versions; Kubernetes may drop repeated ones",
        ),
        Subject::Log(source) if source.previous => {
            Some("a previous log is only there after a restart: expect the restart too, and compare the two times")
        }
        Subject::Log(_) => Some("compare the line with the log below; `/…/` matches a regular expression"),
        Subject::Object(_) | Subject::Selection(_) => match verdict.nearest_miss.as_deref() {
            Some(nearest) if nearest.starts_with("no such object") => {
                Some("nothing made it: does the action apply it, under this name?")
            }
            Some(nearest) if nearest.starts_with("none of them") => {
                Some("the selector picks nothing: compare it with the objects' labels")
            }
            _ => None,
        },
    }
}

fn contradicted(claim: &Claim) -> Option<String> {
    match claim {
        Claim::Sequence { .. } => Some("if it may change meanwhile, shorten `for`".to_owned()),
        Claim::Never { .. } | Claim::Every { .. } => None,
    }
}
