//! One real history against what is possible.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::history::{History, Row};
use crate::possible::{Possible, counted, order};

/// How far outside the simulated range a real time may lie.
const SLACK: Duration = Duration::from_secs(1);
/// The same for the start of a container, on a busy machine.
const STARTING_SLACK: Duration = Duration::from_secs(3);

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comparison {
    /// How many transitions were compared.
    pub(crate) transitions: usize,
    /// How far outside the simulated ranges a time was at most.
    pub(crate) farthest: Duration,
    /// Where reality did what the simulation never does; each in words that tell all of it.
    pub(crate) differences: Vec<String>,
}

/// Compares.
pub(crate) fn compare(real: &History, simulated: &[History]) -> Comparison {
    let mut comparison = Comparison::default();
    let groups: BTreeSet<&String> = real.pods.keys().chain(simulated.iter().flat_map(|history| history.pods.keys())).collect();
    for group in groups {
        let pods = real.pods.get(group).map(Vec::as_slice).unwrap_or_default();
        let possible = Possible::of(group, simulated);
        if !possible.counts.contains(&pods.len()) {
            let (is, may_be) = (pods.len(), &possible.counts);
            comparison.differences.push(format!("{group}: there are {is}, simulated {may_be:?}"));
        }
        for (place, transitions) in pods.iter().enumerate() {
            comparison.transitions += transitions.len();
            let order = order(transitions);
            if !possible.orders.contains(&order) {
                comparison.differences.push(format!("{group}: {}", other_order(&order, &possible)));
            }
            for (transition, nth) in counted(transitions) {
                let Some(range) = possible.range(place, &transition.row, nth) else { continue };
                let distance = range.distance(transition.at);
                comparison.farthest = comparison.farthest.max(distance);
                if distance > if transition.starts { STARTING_SLACK } else { SLACK } {
                    let (row, at) = (words(&transition.row), transition.at);
                    comparison.differences.push(format!(
                        "{group}: {row} at {:.1} s, simulated {:.1}..{:.1} s",
                        at.as_secs_f64(),
                        range.least.as_secs_f64(),
                        range.most.as_secs_f64()
                    ));
                }
            }
        }
    }
    comparison.differences.extend(other_reasons(real, simulated));
    comparison
}

fn other_order(order: &[Row], possible: &Possible) -> String {
    let all = |rows: &[Row]| rows.iter().map(words).collect::<Vec<_>>().join(", ");
    match possible.nearest(order) {
        None => format!("is not simulated: {}", all(order)),
        Some((agreeing, nearest)) => {
            let context = agreeing.saturating_sub(1);
            format!("{}; simulated {}", all(&order[context..]), all(&nearest[context..]))
        }
    }
}

fn words(row: &Row) -> String {
    format!("`{}` in step {}", row.cells, row.step)
}

/// Reasons of events that no simulated history has, and those that all have but reality has not.
fn other_reasons(real: &History, simulated: &[History]) -> Vec<String> {
    let subjects: BTreeSet<&String> =
        real.reasons.keys().chain(simulated.iter().flat_map(|history| history.reasons.keys())).collect();
    let mut differences = Vec::new();
    for subject in subjects {
        let of = |history: &History| history.reasons.get(subject).cloned().unwrap_or_default();
        let is = of(real);
        let ever: BTreeSet<String> = simulated.iter().flat_map(of).collect();
        let always = ever.iter().filter(|reason| simulated.iter().all(|history| of(history).contains(*reason))).cloned().collect();
        differences.extend(is.difference(&ever).map(|reason| format!("events of {subject}: `{reason}` is not simulated")));
        differences.extend(is_missing(&always, &is).map(|reason| format!("events of {subject}: `{reason}` is only simulated")));
    }
    differences
}

fn is_missing<'a>(always: &'a BTreeSet<String>, is: &'a BTreeSet<String>) -> impl Iterator<Item = &'a String> {
    always.difference(is)
}
