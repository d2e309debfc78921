//! Many histories told as one.

use std::time::Duration;

use proptest::prelude::*;

use super::fixtures;
use crate::exit_code::exit_code;
use crate::report::case::{Counts, Status};
use crate::report::histories::merge;
use crate::report::{Histories, Palette, Report, StepState, console};
use crate::verdict::{Outcome, Transition};

/// A run of one scenario of two expectations with these outcomes, whose rows came at these times.
fn history(outcomes: [Outcome; 2], at: f64) -> Report {
    let mut report = fixtures::two_expectations();
    for (expectation, outcome) in report.scenarios[0].steps[0].expectations.iter_mut().zip(outcomes) {
        let verdict = expectation.verdict.as_mut().unwrap();
        let window = if outcome == Outcome::Fail { 12.0 } else { 15.0 };
        verdict.outcome = outcome;
        verdict.transitions = vec![Transition { what: "READY 1/1, by 15s".into(), at, margin: window - at }];
    }
    report
}

#[test]
fn the_spread_is_that_of_all_histories_in_which_the_row_came() {
    let times = [5.0, 2.0, 9.0, 14.0, 1.0];
    let outcome = |at: f64| if at > 10.0 { Outcome::Fail } else { Outcome::Pass };
    let histories: Vec<_> = times.iter().map(|at| history([outcome(*at), Outcome::Pass], *at)).collect();
    let merged = merge(40, &histories).unwrap();
    assert_eq!(merged.histories, Some(Histories { first_seed: 40, count: 5, not_passed: vec![43] }));
    let [first, second] = &merged.scenarios[0].steps[0].expectations[..] else { unreachable!() };
    let of = first.histories.as_ref().unwrap();
    assert_eq!((of.judged, &of.not_passed, of.seed), (5, &vec![43], 43));
    let spread = &of.spread[0];
    assert_eq!((spread.earliest, spread.median, spread.latest, spread.margin), (1.0, 5.0, 14.0, -2.0));
    let spread = &second.histories.as_ref().unwrap().spread[0];
    assert_eq!((spread.earliest, spread.median, spread.latest, spread.margin), (1.0, 5.0, 14.0, 1.0));
    insta::assert_snapshot!(console::full(&merged, Palette::PLAIN));
}

#[test]
fn a_step_that_one_history_did_not_come_to_is_judged_by_the_others() {
    let mut stopped = history([Outcome::Pass; 2], 3.0);
    let step = &mut stopped.scenarios[0].steps[0];
    (step.state, step.started) = (StepState::NotRun, Duration::ZERO);
    step.expectations.iter_mut().for_each(|expectation| expectation.verdict = None);
    let merged = merge(0, &[stopped, history([Outcome::Pass; 2], 4.0)]).unwrap();
    let step = &merged.scenarios[0].steps[0];
    assert_eq!(step.state, StepState::Done);
    let of = step.expectations[0].histories.as_ref().unwrap();
    assert_eq!((of.judged, of.seed), (1, 1));
    assert_eq!(merged.histories.unwrap().not_passed, [0]);
}

proptest! {
    #[test]
    fn the_whole_is_as_bad_as_its_worst_history(outcomes in proptest::collection::vec(proptest::array::uniform2(outcome()), 1..6)) {
        let histories: Vec<_> = outcomes.iter().map(|outcomes| history(*outcomes, 1.0)).collect();
        let merged = merge(0, &histories).unwrap();
        let worst = histories.iter().map(Report::outcome).max().unwrap();
        prop_assert_eq!(merged.outcome(), worst);
        prop_assert_eq!(exit_code(&merged), histories.iter().find(|history| history.outcome() == worst).map(exit_code).unwrap());
        let counted = Counts::of(&merged).occurring().next().map(|(_, status)| status);
        prop_assert_eq!(counted, Some(Status::from(worst)));
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![4 => Just(Outcome::Pass), 1 => Just(Outcome::Inconclusive), 1 => Just(Outcome::Fail), 1 => Just(Outcome::Error)]
}
