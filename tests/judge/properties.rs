//! What the judge promises of every expectation and every timeline.

use std::sync::Arc;
use std::time::Duration;

use labproof::judge::{RunningStep, World};
use labproof::scenario::{Between, Claim, Row, Step, Subject, ValueMatch};
use labproof::timeline::{Entry, Observation};
use labproof::verdict::{Deviation, Outcome, Verdict};
use proptest::prelude::*;

use crate::mini::{self, ZERO};
use crate::plans::{self, Plan, State, Who, late_look, ms, part};

/// What came of a single expectation.
fn judge(step: &Step, entries: &[Entry]) -> Verdict {
    mini::judge(step, entries).remove(0).expect("a verdict")
}

/// What comes of a plan if its first object goes through these states.
fn outcome(plan: &Plan, states: &[(u64, State)], more: &str) -> (Outcome, Option<Deviation>) {
    let verdict = judge(&plan.step(), &plan.timeline(states, more));
    (verdict.outcome, verdict.deviation)
}

const PASS: (Outcome, Option<Deviation>) = (Outcome::Pass, None);
const INCONCLUSIVE: (Outcome, Option<Deviation>) = (Outcome::Inconclusive, None);

fn fail(deviation: Deviation) -> (Outcome, Option<Deviation>) {
    (Outcome::Fail, Some(deviation))
}

fn seconds(millis: u64) -> f64 {
    ms(millis).as_secs_f64()
}

fn interruption(stream: &str, from: u64, to: u64, gap: bool) -> String {
    let gap = if gap { " gap" } else { "" };
    format!("{} lost {stream}\n{} back {stream}{gap}\n", seconds(from), seconds(to))
}

/// A plan and one of its rows.
fn plan_and_row() -> impl Strategy<Value = (Plan, usize)> {
    plans::plan().prop_flat_map(|plan| {
        let rows = plan.rows.len();
        (Just(plan), 0..rows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_as_planned_passes(plan in plans::plan()) {
        prop_assert_eq!(outcome(&plan, &plan.states(), ""), PASS);
    }

    #[test]
    fn a_row_that_comes_after_its_window_is_too_late((plan, row) in plan_and_row(), share in 0.0..1.0_f64) {
        let latest = plan.rows[row].latest;
        let mut states = plan.states();
        states.truncate(row + 1);
        states.push((latest + 1 + part(late_look(latest) - 2, share), State::Row(row)));
        prop_assert_eq!(outcome(&plan, &states, ""), fail(Deviation::TooLate));
    }

    #[test]
    fn a_row_that_comes_long_after_its_window_is_missing((plan, row) in plan_and_row(), more in 0..100_000_u64) {
        let latest = plan.rows[row].latest;
        let mut states = plan.states();
        states.truncate(row + 1);
        states.push((latest + late_look(latest) + more, State::Row(row)));
        prop_assert_eq!(outcome(&plan, &states, ""), fail(Deviation::Missing));
    }

    #[test]
    fn a_row_that_comes_before_its_window_is_too_early((plan, row) in plan_and_row(), share in 0.0..1.0_f64) {
        let (from, earliest) = (plan.free_from(row).max(501), plan.rows[row].earliest);
        prop_assume!(from < earliest && !matches!(plan.who, Who::All(2..)));
        let mut states = plan.states();
        states[row + 1].0 = from + part(earliest - from - 1, share);
        prop_assert_eq!(outcome(&plan, &states, ""), fail(Deviation::TooEarly));
    }

    #[test]
    fn a_row_that_goes_before_its_time_is_contradicted((plan, row) in plan_and_row(), share in 0.0..1.0_f64) {
        let PlannedHold { t, hold } = hold_of(&plan, row);
        prop_assume!(hold > 2);
        let mut states = plan.states();
        states.insert(row + 2, (t + 1 + part(hold - 2, share), State::Extra));
        prop_assert_eq!(outcome(&plan, &states, ""), fail(Deviation::Contradicted));
    }

    #[test]
    fn a_row_that_is_left_out_is_missing((plan, row) in plan_and_row(), goes_on in any::<bool>()) {
        let mut states = plan.states();
        states.remove(row + 1);
        if !goes_on {
            states.truncate(row + 1);
        }
        let given_up = plan.rows[row].latest + late_look(plan.rows[row].latest);
        let next = plan.rows.get(row + 1).filter(|next| goes_on && next.t < given_up);
        let is_skipped = row > 0 && next.is_some() && plan.between == Between::Listed;
        let expected = if is_skipped { Deviation::OutOfOrder } else { Deviation::Missing };
        prop_assert_eq!(outcome(&plan, &states, ""), fail(expected));
    }

    #[test]
    fn a_row_that_is_seen_twice_passes((plan, row) in plan_and_row(), share in 0.0..1.0_f64) {
        let mut states = plan.states();
        let room = plan.rows.get(row + 1).map_or(5000, |next| next.t - plan.rows[row].t - 1);
        states.insert(row + 2, (plan.rows[row].t + part(room, share), State::Row(row)));
        prop_assert_eq!(outcome(&plan, &states, ""), PASS);
    }

    #[test]
    fn rows_in_another_order_are_out_of_order((plan, row) in plan_and_row()) {
        prop_assume!(row + 1 < plan.rows.len());
        let mut states = plan.states();
        (states[row + 1].1, states[row + 2].1) = (states[row + 2].1, states[row + 1].1);
        let (outcome, deviation) = outcome(&plan, &states, "");
        if row > 0 && plan.between == Between::Listed {
            prop_assert_eq!((outcome, deviation), fail(Deviation::OutOfOrder));
        }
        // In other cases the second one may also be too late, or stay too short, or never come again.
        prop_assert_eq!(outcome, Outcome::Fail);
    }

    #[test]
    fn what_comes_between_is_extra_if_rows_are_listed((plan, row) in plan_and_row(), share in 0.0..1.0_f64) {
        prop_assume!(row + 1 < plan.rows.len());
        let (from, to) = (plan.free_from(row + 1), plan.rows[row + 1].t);
        let mut states = plan.states();
        states.insert(row + 2, (from + part(to - from - 1, share), State::Extra));
        let expected = if plan.between == Between::Listed { fail(Deviation::Extra) } else { PASS };
        prop_assert_eq!(outcome(&plan, &states, ""), expected);
    }

    #[test]
    fn an_interruption_in_which_nothing_happens_changes_nothing((plan, row) in plan_and_row(), share in 0.0..1.0_f64) {
        let (from, to) = (plan.rows[row].t + 1, plan.rows.get(row + 1).map_or(plan.rows[row].t + 30_000, |next| next.t - 1001));
        let start = from + part(to - from, share);
        let more = interruption(plan.stream(), start, to.max(start), false);
        prop_assert_eq!(outcome(&plan, &plan.states(), &more), PASS);
    }

    #[test]
    fn a_gap_matters_where_something_may_have_been_missed((plan, row) in plan_and_row(), share in 0.0..1.0_f64) {
        // The gap lies after the row before, before the row.
        let before = row.checked_sub(1).map_or(501, |before| plan.rows[before].t + 1);
        let to = plan.rows[row].t - 1001;
        let from = before + part(to.saturating_sub(before + 1), share);
        prop_assume!(from < to);
        let in_hold = from < plan.free_from(row);
        let listed = row > 0 && plan.between == Between::Listed;
        let hides_a_first_time = plan.rows[row].earliest > from;
        // Having become so, it may not have stayed.
        let hides_a_flap = plan.rows[row].hold > 0;
        // Another object may have come, or failed and gone.
        let hides_another = matches!(plan.who, Who::Each(_));
        let more = interruption(plan.stream(), from, to, true);
        let expected = if in_hold || listed || hides_a_first_time || hides_a_flap || hides_another { INCONCLUSIVE } else { PASS };
        prop_assert_eq!(outcome(&plan, &plan.states(), &more), expected);
    }

    #[test]
    fn a_gap_after_the_end_does_not_matter(plan in plans::plan()) {
        let last = plan.rows.last().expect("a row");
        let end = last.t + last.hold;
        let more = interruption(plan.stream(), end, end + 5000, true);
        prop_assert_eq!(outcome(&plan, &plan.states(), &more), PASS);
    }

    #[test]
    fn a_row_of_an_unknown_time_passes_if_any_time_would_do(plan in plans::plan(), from in 0.0..1.0_f64, to in 0.0..1.0_f64) {
        let plan = plan.without_holds();
        let row = plan.rows.len() - 1;
        let planned = plan.rows[row];
        let (lowest, highest) = (plan.free_from(row).max(501), planned.latest + 10_000);
        let after = lowest + part(planned.t - lowest, from);
        let seen = planned.t + part(highest - planned.t, to);
        let mut entries = plan.timeline(&plan.states(), &interruption(plan.stream(), after, seen, false));
        let target = ms(planned.t) + ZERO;
        let is_row = |entry: &Entry| entry.t == target && format!("{:?}", entry.what).contains("web-0");
        let at = entries.iter().rposition(is_row).expect("the row");
        let mut entry = entries.remove(at);
        entry.after = Some(ZERO + ms(after));
        entry.t = ZERO + ms(seen);
        let place = entries.iter().position(|e| e.t >= entry.t).expect("the resumption");
        entries.insert(place, entry);
        entries.sort_by_key(|entry| entry.t);
        let verdict = judge(&plan.step(), &entries);
        let in_window = after >= planned.earliest && seen <= planned.latest;
        let expected = if in_window { Outcome::Pass } else { Outcome::Inconclusive };
        prop_assert_eq!(verdict.outcome, expected, "{}", verdict.message);
    }

    #[test]
    fn never_is_contradicted_by_one_sight_in_its_time(hold in 1000..60_000_u64, t in 1..90_000_u64, gap_at in 1..90_000_u64) {
        let row = Row { columns: [("STATUS".to_owned(), ValueMatch::Equal("Bad".to_owned()))].into(), ..Row::default() };
        let step = plans::step(plans::pod("web-0"), Claim::Never { row, hold: Some(ms(hold)) });
        let lines = |bad: Option<u64>| {
            let mut lines = vec![(500, "pod web-0 0/1 Good 0".to_owned())];
            lines.extend(bad.map(|t| (t, "pod web-0 0/1 Bad 0".to_owned())));
            lines
        };
        let gap = interruption("Pod", gap_at, gap_at + 1, true);
        let seen = judge(&step, &plans::timeline(lines(Some(t)), ""));
        prop_assert_eq!(seen.deviation, (t < hold).then_some(Deviation::Contradicted));
        prop_assert_eq!(judge(&step, &plans::timeline(lines(None), "")).outcome, Outcome::Pass);
        let in_gap = judge(&step, &plans::timeline(lines(None), &gap));
        prop_assert_eq!(in_gap.outcome, if gap_at < hold { Outcome::Inconclusive } else { Outcome::Pass });
    }

    #[test]
    fn every_wants_one_after_the_other(
        is_log in any::<bool>(),
        first in 0..10_000_u64,
        jitters in proptest::collection::vec(0..=1000_u64, 1..6),
        which in any::<prop::sample::Index>(),
    ) {
        let (period, tolerance) = (5000, 500);
        let mut times = vec![first];
        times.extend(jitters.iter().scan(first, |last, jitter| { *last += period - tolerance + jitter; Some(*last) }));
        let row = Row { line: is_log.then(|| ValueMatch::Equal("OK".to_owned())), ..Row::default() };
        let claim = Claim::Every {
            row, period: ms(period), tolerance: ms(tolerance), times: u32::try_from(times.len()).expect("few"), first_by: ms(10_000),
        };
        let step = plans::step(if is_log { plans::log("web-0") } else { plans::events() }, claim);
        let judged = |times: &[u64], more: &str| {
            let line = |(i, t): (usize, &u64)| (*t, if is_log { "log web-0/app[0] OK".to_owned() } else { format!("event Warning Unhealthy web-0 x{}", i + 1) });
            judge(&step, &plans::timeline(times.iter().enumerate().map(line).collect(), more))
        };
        prop_assert_eq!(judged(&times, "").outcome, Outcome::Pass);
        let i = which.index(times.len() - 1);
        let mut doubled = times.clone();
        doubled.insert(i + 1, times[i] + 1);
        prop_assert_eq!(judged(&doubled, "").deviation, Some(Deviation::TooEarly));
        let mut dropped = times.clone();
        dropped.remove(i + 1);
        prop_assert_eq!(judged(&dropped, "").outcome, Outcome::Fail);
        let mut late = times[..=i].to_vec();
        late.push(times[i] + period + tolerance + 1);
        prop_assert_eq!(judged(&late, "").deviation, Some(Deviation::TooLate));
        let stream = if is_log { "log web-0/app[0]" } else { "Event" };
        prop_assert_eq!(judged(&times, &interruption(stream, times[i] + 1, times[i] + 2, true)).outcome, Outcome::Inconclusive);
        prop_assert_eq!(judged(&times, &interruption(stream, times[i] + 1, times[i] + 2, false)).outcome, Outcome::Pass);
    }
}

struct PlannedHold {
    t: u64,
    hold: u64,
}

fn hold_of(plan: &Plan, row: usize) -> PlannedHold {
    PlannedHold { t: plan.rows[row].t, hold: plan.rows[row].hold }
}

/// The verdicts after each entry, the judge being asked to advance to these parts of the way to the next entry in between.
fn in_between(step: &Step, entries: &[Entry], shares: &[f64]) -> Vec<Vec<Option<Verdict>>> {
    let mut running = RunningStep::new(step, World::default());
    let mut verdicts = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        running.take(position, entry);
        let next = entries.get(position + 1).map_or(entry.t, |next| next.t);
        let mut shares = shares.to_vec();
        shares.sort_by(f64::total_cmp);
        for share in shares {
            running.advance(entry.t + next.saturating_sub(entry.t).mul_f64(share));
        }
        verdicts.push(running.verdicts());
    }
    mini::let_time_pass(&mut running);
    verdicts.push(running.verdicts());
    verdicts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_does_not_matter_how_often_the_judge_is_asked(
        step in plans::any_step(),
        entries in plans::chaos(),
        shares in proptest::collection::vec(0.0..=1.0_f64, 1..4),
    ) {
        let at_once = mini::judge(&step, &entries);
        prop_assert_eq!(&at_once, &mini::judge(&step, &entries));
        let asked = in_between(&step, &entries, &shares);
        prop_assert_eq!(&at_once, asked.last().expect("verdicts"));
        for (earlier, later) in asked.iter().zip(&asked[1..]) {
            for (before, after) in earlier.iter().zip(later) {
                prop_assert!(before.is_none() || before == after, "{before:?} became {after:?}");
            }
        }
    }

    #[test]
    fn everything_is_decided_in_the_end(step in plans::any_step(), entries in plans::chaos()) {
        let verdicts = mini::judge(&step, &entries);
        let longest = entries.last().map_or(Duration::ZERO, |entry| entry.t) + Duration::from_mins(10);
        for verdict in verdicts {
            let verdict = verdict.expect("a verdict");
            prop_assert!(ZERO + verdict.decided < longest);
            prop_assert_eq!(verdict.deviation.is_some(), verdict.outcome == Outcome::Fail);
            prop_assert_eq!(verdict.expected.is_some(), verdict.outcome == Outcome::Fail);
            prop_assert!(verdict.evidence.iter().all(|entry| *entry < entries.len()));
            prop_assert!(!verdict.message.is_empty());
        }
    }

    #[test]
    fn without_interruptions_nothing_is_inconclusive(step in plans::any_step(), entries in plans::chaos()) {
        let sure: Vec<_> = entries.into_iter().filter(|e| !is_of_stream(e)).collect();
        let sure: Vec<_> = sure.into_iter().map(|entry| Entry { after: None, ..entry }).collect();
        prop_assert_eq!(plans::silent(&sure), 0);
        let verdicts = mini::judge(&step, &sure);
        prop_assert!(verdicts.iter().flatten().all(|verdict| verdict.outcome != Outcome::Inconclusive));
    }

    #[test]
    fn a_gap_never_turns_a_verdict_round(step in plans::any_step(), entries in prop_oneof![plans::order(), plans::growth()], hidden in any::<prop::sample::Index>()) {
        // What a perfect watch would have told, and what is told if one stretch of the Pods' watch is lost and listed again.
        let sure: Vec<_> = entries.into_iter().filter(|e| !is_of_stream(e)).collect();
        let sure: Vec<_> = sure.into_iter().map(|entry| Entry { after: None, ..entry }).collect();
        let truth = mini::judge(&step, &sure);
        let told = mini::judge(&step, &lossy(&sure, hidden.index(sure.len())));
        for ((truth, told), expectation) in truth.iter().zip(&told).zip(&step.expect) {
            let (truth, told) = (truth.as_ref().expect("a verdict"), told.as_ref().expect("a verdict"));
            let is_open = matches!(expectation.claim, Claim::Never { hold: None, .. }) || matches!(expectation.subject, Subject::Log(_));
            prop_assert!(
                is_open || told.outcome == Outcome::Inconclusive || told.outcome == truth.outcome,
                "{expectation}: the truth is {truth:?}, told is {told:?}"
            );
        }
    }
}

fn is_of_stream(entry: &Entry) -> bool {
    matches!(entry.what, Observation::Interrupted { .. } | Observation::Resumed { .. })
}

/// The timeline of a watch of Pods that lost some entries from here on, for a while, and then found out what there is.
fn lossy(entries: &[Entry], from: usize) -> Vec<Entry> {
    use labproof::timeline::{Change, ObjectObservation, Stream};
    let started = entries.iter().position(|e| matches!(e.what, Observation::StepStarted { .. })).unwrap_or(0) + 2;
    let from = from.max(started).min(entries.len());
    let to = (from + 4).min(entries.len());
    let since = entries[from - 1].t;
    let back = entries[to - 1].t.max(since);
    let stream = Stream::Watch { api_version: "v1".to_owned(), kind: "Pod".to_owned() };
    let pod = |entry: &Entry| match &entry.what {
        Observation::Object(object) if object.kind == "Pod" => Some(object.clone()),
        _ => None,
    };
    let world = |entries: &[Entry]| {
        let mut world = std::collections::BTreeMap::<String, Arc<ObjectObservation>>::new();
        for object in entries.iter().filter_map(pod) {
            let is_same = world.get(&object.name).is_some_and(|known| known.uid == object.uid);
            if object.change != Change::Deleted {
                world.insert(object.name.clone(), object);
            } else if is_same {
                world.remove(&object.name);
            }
        }
        world
    };
    let (before, after) = (world(&entries[..from]), world(&entries[..to]));
    let entry = |after, what| Entry { t: back, after, what };
    let changed =
        |object: &ObjectObservation, change| Observation::Object(Arc::new(ObjectObservation { change, ..object.clone() }));
    let mut told = entries[..from].to_vec();
    told.push(Entry { t: since, after: None, what: Observation::Interrupted { stream: stream.clone(), reason: "410".to_owned() } });
    told.extend(entries[from..to].iter().filter(|entry| pod(entry).is_none()).cloned());
    for object in after.values().filter(|object| before.get(&object.name) != Some(object)) {
        told.push(entry(Some(since), changed(object, Change::Initial)));
    }
    for object in before.values().filter(|object| !after.contains_key(&object.name)) {
        told.push(entry(Some(since), changed(object, Change::Deleted)));
    }
    told.push(entry(None, Observation::Resumed { stream, gap: true }));
    told.extend(entries[to..].iter().cloned());
    told
}
