//! Many simulated histories of one run, told as one report: of each expectation the worst verdict, and how all of them differed.

use super::model::{ExpectationHistories, ExpectationReport, Histories, Report, ScenarioReport, Spread, StepReport, StepState};
use crate::verdict::{Outcome, Verdict};

/// One report of the histories of these seeds, which begin at the first one and follow each other. None if there are none.
pub fn merge(first_seed: u64, histories: &[Report]) -> Option<Report> {
    let seeded: Vec<(u64, &Report)> = (first_seed..).zip(histories).collect();
    let (_, first) = *seeded.first()?;
    let not_passed = seeds(&seeded, |report| report.outcome() != Outcome::Pass);
    let scenarios = first.scenarios.iter().enumerate().map(|(i, scenario)| {
        merge_scenario(scenario, &seeded.iter().map(|(seed, report)| (*seed, &report.scenarios[i])).collect::<Vec<_>>())
    });
    Some(Report {
        scenarios: scenarios.collect(),
        errors: distinct(&seeded, |report| &report.errors),
        histories: Some(Histories { first_seed, count: histories.len(), not_passed }),
        interrupted: histories.iter().any(|report| report.interrupted),
        ..first.clone()
    })
}

fn merge_scenario(first: &ScenarioReport, all: &[(u64, &ScenarioReport)]) -> ScenarioReport {
    let steps = first
        .steps
        .iter()
        .enumerate()
        .map(|(i, step)| merge_step(step, &all.iter().map(|(seed, scenario)| (*seed, &scenario.steps[i])).collect::<Vec<_>>()));
    let shown = worst(all, ScenarioReport::outcome).map_or(first, |(_, scenario)| scenario);
    ScenarioReport { steps: steps.collect(), errors: distinct(all, |scenario| &scenario.errors), ..shown.clone() }
}

fn merge_step(first: &StepReport, all: &[(u64, &StepReport)]) -> StepReport {
    // A step that was begun in any history was begun.
    let begun: Vec<_> = all.iter().filter(|(_, step)| step.state != StepState::NotRun).collect();
    let shown = begun.first().map_or(first, |(_, step)| *step);
    // An action that was refused in some histories is judged in these.
    let longest = begun.iter().map(|(_, step)| *step).max_by_key(|step| step.expectations.len()).unwrap_or(first);
    let expectations = longest.expectations.iter().enumerate().map(|(i, expectation)| {
        let judged = begun.iter().filter_map(|(seed, step)| Some((*seed, step.expectations.get(i)?)));
        merge_expectation(expectation, &judged.collect::<Vec<_>>())
    });
    let error = begun.iter().find_map(|(seed, step)| Some(format!("seed {seed}: {}", step.error.as_ref()?)));
    let is_cut_short = begun.iter().any(|(_, step)| step.state == StepState::CutShort);
    let state = if is_cut_short { StepState::CutShort } else { shown.state };
    StepReport { expectations: expectations.collect(), error, state, ..shown.clone() }
}

fn merge_expectation(first: &ExpectationReport, all: &[(u64, &ExpectationReport)]) -> ExpectationReport {
    let Some((seed, worst)) = worst(all, ExpectationReport::outcome) else { return first.clone() };
    let verdicts: Vec<&Verdict> = all.iter().filter_map(|(_, expectation)| expectation.verdict.as_ref()).collect();
    let histories = ExpectationHistories {
        judged: all.len(),
        not_passed: seeds(all, |expectation| expectation.outcome() != Outcome::Pass),
        seed,
        spread: spread(&verdicts),
    };
    ExpectationReport { histories: Some(histories), ..worst.clone() }
}

/// How each row's times differ over all histories in which it came, in time or not.
fn spread(verdicts: &[&Verdict]) -> Vec<Spread> {
    let rows = verdicts.iter().map(|verdict| verdict.transitions.len()).max().unwrap_or_default();
    (0..rows).filter_map(|row| spread_of(verdicts.iter().filter_map(|verdict| verdict.transitions.get(row)))).collect()
}

fn spread_of<'a>(transitions: impl Iterator<Item = &'a crate::verdict::Transition>) -> Option<Spread> {
    let transitions: Vec<_> = transitions.collect();
    let mut times: Vec<f64> = transitions.iter().map(|transition| transition.at).collect();
    times.sort_by(f64::total_cmp);
    Some(Spread {
        what: transitions.first()?.what.clone(),
        earliest: *times.first()?,
        median: times[times.len() / 2],
        latest: *times.last()?,
        margin: transitions.iter().map(|transition| transition.margin).reduce(f64::min)?,
    })
}

/// The first of the worst.
fn worst<'a, T>(all: &[(u64, &'a T)], outcome: impl Fn(&T) -> Outcome) -> Option<(u64, &'a T)> {
    all.iter().rev().max_by_key(|(_, one)| outcome(one)).copied()
}

fn seeds<T>(all: &[(u64, &T)], is_one: impl Fn(&T) -> bool) -> Vec<u64> {
    all.iter().filter(|(_, one)| is_one(one)).map(|(seed, _)| *seed).collect()
}

/// Each error once, with the first seed that had it.
fn distinct<T>(all: &[(u64, &T)], errors: impl Fn(&T) -> &Vec<String>) -> Vec<String> {
    let mut known: Vec<&String> = Vec::new();
    let mut told = Vec::new();
    for (seed, one) in all {
        for error in errors(one) {
            if !known.contains(&error) {
                known.push(error);
                told.push(format!("seed {seed}: {error}"));
            }
        }
    }
    told
}
