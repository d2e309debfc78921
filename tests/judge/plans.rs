//! Random expectations, and timelines built to satisfy them. Times are in milliseconds since the step's action.

use std::time::Duration;

use labproof::scenario::{
    Action, Between, Claim, EventPattern, Expectation, LabelSelector, Location, LogSource, ObjectRef, PodPick, Quantifier, Row,
    Selection, Step, Subject, TimedRow, ValueMatch, When,
};
use labproof::timeline::{Change, Entry, Observation, Stream};
use proptest::prelude::*;

use crate::mini::{self, ZERO};

/// Who is expected to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Object,
    All(usize),
    Each(usize),
    Log,
}

/// What is seen of the object that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As before the first row.
    Free,
    /// Like this row.
    Row(usize),
    /// Like none.
    Extra,
}

/// A row that comes at `t`, which lies in its window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedRow {
    pub(crate) t: u64,
    /// The window opens here; zero for `by`.
    pub(crate) earliest: u64,
    pub(crate) latest: u64,
    pub(crate) hold: u64,
}

/// An expectation of rows, with the times at which they come.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) who: Who,
    pub(crate) between: Between,
    pub(crate) rows: Vec<PlannedRow>,
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long the judge looks on after a deadline.
pub(crate) fn late_look(latest: u64) -> u64 {
    (latest / 4).clamp(2000, 15_000)
}

impl Plan {
    /// When the row before has stayed as long as it must; zero before the first.
    pub(crate) fn free_from(&self, row: usize) -> u64 {
        row.checked_sub(1).map_or(0, |before| self.rows[before].t + self.rows[before].hold)
    }

    /// The same with rows of one object that need not stay, and anything in between.
    pub(crate) fn without_holds(self) -> Self {
        let rows = self.rows.into_iter().map(|row| PlannedRow { hold: 0, ..row }).collect();
        let who = if matches!(self.who, Who::All(_)) { Who::Object } else { self.who };
        Self { who, between: Between::Any, rows }
    }

    /// What the first object goes through if all goes as planned.
    pub(crate) fn states(&self) -> Vec<(u64, State)> {
        let rows = self.rows.iter().enumerate().map(|(i, row)| (row.t, State::Row(i)));
        std::iter::once((500, State::Free)).chain(rows).collect()
    }

    pub(crate) fn step(&self) -> Step {
        let rows = self.rows.iter().enumerate().map(|(i, row)| TimedRow {
            row: self.row(i),
            when: When { earliest: ms(row.earliest), latest: ms(row.latest), hold: ms(row.hold) },
            location: Location::default(),
        });
        step(self.subject(), Claim::Sequence { rows: rows.collect(), between: self.between })
    }

    fn row(&self, i: usize) -> Row {
        let is = ValueMatch::Equal(format!("S{i}"));
        match self.who {
            Who::Log => Row { line: Some(is), ..Row::default() },
            _ => Row { columns: [("STATUS".to_owned(), is)].into(), ..Row::default() },
        }
    }

    fn subject(&self) -> Subject {
        match self.who {
            Who::Object => pod("web-0"),
            Who::All(n) => pods(Quantifier::All, n),
            Who::Each(n) => pods(Quantifier::Each, n),
            Who::Log => log("web-0"),
        }
    }

    /// The stream that matters to it.
    pub(crate) fn stream(&self) -> &'static str {
        if self.who == Who::Log { "log web-0/app[0]" } else { "Pod" }
    }

    /// A timeline in which the first object, or the log, goes through these states, and the others do as planned; with more lines of
    /// the mini language.
    pub(crate) fn timeline(&self, states: &[(u64, State)], more: &str) -> Vec<Entry> {
        let mut lines: Vec<(u64, String)> = states.iter().map(|(t, state)| (*t, self.line(0, *state))).collect();
        let others = match self.who {
            Who::Object | Who::Log => 1,
            Who::All(n) | Who::Each(n) => n,
        };
        for other in 1..others {
            let early = if matches!(self.who, Who::All(_)) { 1000 } else { 0 };
            lines.extend(self.states().iter().map(|(t, state)| (*t - early.min(*t), self.line(other, *state))));
        }
        lines.push((700, "pod stranger 0/1 Extra 0 app=other".to_owned()));
        timeline(lines, more)
    }

    fn line(&self, object: usize, state: State) -> String {
        let state = match state {
            State::Free => "Free".to_owned(),
            State::Row(i) => format!("S{i}"),
            State::Extra => "Extra".to_owned(),
        };
        match self.who {
            Who::Log => format!("log web-0/app[0] {state}"),
            _ => format!("pod web-{object} 0/1 {state} 0"),
        }
    }
}

/// Lines with their times, and lines of the mini language, in order of time.
pub(crate) fn timeline(lines: Vec<(u64, String)>, more: &str) -> Vec<Entry> {
    let own = lines.into_iter().map(|(t, line)| format!("{} {line}\n", Duration::from_millis(t).as_secs_f64()));
    let mut entries = mini::timeline(&format!("{}{more}", own.collect::<String>()));
    entries.sort_by_key(|entry| entry.t);
    entries
}

pub(crate) fn step(subject: Subject, claim: Claim) -> Step {
    let expectation = Expectation { subject, claim, location: Location::default() };
    Step { name: None, action: Action::Observe, expect: vec![expectation], location: Location::default() }
}

pub(crate) fn pod(name: &str) -> Subject {
    Subject::Object(ObjectRef { api_version: "v1".to_owned(), kind: "Pod".to_owned(), name: name.to_owned() })
}

pub(crate) fn log(pod: &str) -> Subject {
    Subject::Log(LogSource { pod: PodPick::Name(pod.to_owned()), container: None, previous: false })
}

pub(crate) fn events() -> Subject {
    let reason = Some(ValueMatch::Equal("Unhealthy".to_owned()));
    Subject::Event(EventPattern { reason, count: 1, ..EventPattern::default() })
}

pub(crate) fn pods(quantifier: Quantifier, n: usize) -> Subject {
    let n = u32::try_from(n).expect("few objects");
    Subject::Selection(Selection {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        selector: LabelSelector::parse("app=web").expect("a selector"),
        terminating: None,
        quantifier,
        count: Some(n..=n),
    })
}

/// A random plan. There is room before each row, at least two seconds, in which the row before need not stay.
pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let who = prop_oneof![Just(Who::Object), (1..4_usize).prop_map(Who::All), (1..4_usize).prop_map(Who::Each), Just(Who::Log)];
    let between = prop_oneof![Just(Between::Listed), Just(Between::Any)];
    let row = (3000..20_000_u64, any::<bool>(), 0.0..1.0_f64, 1..15_000_u64, any::<bool>(), 0.0..1.0_f64);
    (who, between, proptest::collection::vec(row, 1..5)).prop_map(|(who, between, rows)| {
        let mut t = 0;
        let many = if matches!(who, Who::All(_)) { 1 } else { rows.len() };
        let gaps: Vec<u64> = rows.iter().map(|row| row.0).chain([20_000]).collect();
        let rows = rows.iter().take(many).enumerate().map(|(i, &(gap, opens, opening, late, holds, holding))| {
            t += gap;
            // The window opens after the row before need not stay any more, and one second before the row at the latest.
            let earliest = if opens { t - 1000 - part(900, opening) } else { 0 };
            let hold = if holds && who != Who::Log { 1 + part(gaps[i + 1] - 2500, holding) } else { 0 };
            PlannedRow { t, earliest, latest: t + late, hold }
        });
        let rows = rows.collect();
        let between = if matches!(who, Who::Log | Who::All(_)) { Between::Any } else { between };
        Plan { who, between, rows }
    })
}

/// A part of a length.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
pub(crate) fn part(length: u64, share: f64) -> u64 {
    (length as f64 * share) as u64
}

/// Anything that may stand in a timeline, after its head.
pub(crate) fn chaos() -> impl Strategy<Value = Vec<Entry>> {
    entries(2, 1)
}

/// As [`chaos`], but no Pod loses restarts, comes back from its end, or is stuck.
pub(crate) fn order() -> impl Strategy<Value = Vec<Entry>> {
    entries(0, 0)
}

/// As [`chaos`], but each Pod stays the same one, none is stuck, and RESTARTS never goes down.
pub(crate) fn growth() -> impl Strategy<Value = Vec<Entry>> {
    entries(3, 0).prop_map(|entries| {
        let mut restarts = std::collections::BTreeMap::<String, u32>::new();
        let grown = entries.into_iter().filter_map(|mut entry| {
            if let Observation::Object(object) = &mut entry.what
                && object.kind == "Pod"
            {
                if object.change == Change::Deleted || object.uid.ends_with("-2") {
                    return None;
                }
                let object = std::sync::Arc::make_mut(object);
                let most = restarts.entry(object.name.clone()).or_default();
                *most = object.columns["RESTARTS"].parse().unwrap_or(0).max(*most);
                object.columns.insert("RESTARTS".to_owned(), most.to_string());
            }
            Some(entry)
        });
        grown.collect()
    })
}

fn entries(most_restarts: u32, stuck: u32) -> impl Strategy<Value = Vec<Entry>> {
    let name = prop_oneof![Just("web-0"), Just("web-1"), Just("web-2")];
    let status = prop_oneof![Just("S0"), Just("S1"), Just("S2"), Just("Extra")];
    let word = prop_oneof![
        4 => Just(""),
        1 => Just(" uid=2"),
        1 => Just(" terminating"),
        1 => Just(" app=other"),
        1 => Just(" initial"),
        stuck => Just(" waiting=ErrImagePull"),
        stuck => Just(" phase=Failed"),
        stuck => Just(" unschedulable"),
        1 => Just(" ended=Error:2"),
    ];
    let stream = prop_oneof![Just("Pod"), Just("Event"), Just("log web-0/app[0]"), Just("Deployment")];
    let line = prop_oneof![
        8 => (name.clone(), status.clone(), 0..=most_restarts, word).prop_map(|(n, s, r, w)| format!("pod {n} 0/1 {s} {r}{w}")),
        1 => name.clone().prop_map(|n| format!("gone pod {n}")),
        3 => (name.clone(), 1..4_u32).prop_map(|(n, x)| format!("event Warning Unhealthy {n} x{x}")),
        4 => (status, 0..2_u32).prop_map(|(s, r)| format!("log web-0/app[{r}] {s}")),
        1 => stream.clone().prop_map(|s| format!("lost {s}")),
        2 => (stream, any::<bool>()).prop_map(|(s, gap)| format!("back {s}{}", if gap { " gap" } else { "" })),
    ];
    let step = prop_oneof![2 => Just(0), 8 => 1..4000_u64, 1 => 4000..60_000_u64];
    let after = prop_oneof![4 => Just(None), 1 => (0..9000_u64).prop_map(Some)];
    proptest::collection::vec((step, after, line), 0..40).prop_map(|lines| {
        let mut t = 0;
        let mut entries = mini::timeline("");
        // The first ones lie before the action.
        let before = lines.len() / 5;
        let action = entries.split_off(1);
        for (i, (step, after, line)) in lines.into_iter().enumerate() {
            t = if i == before { 0 } else { t + step };
            let start = if i < before { 500_000 } else { 1_000_000 };
            if i == before {
                entries.extend(action.iter().cloned());
            }
            let mut entry = mini::timeline(&format!("0 {line}")).pop().expect("an entry");
            entry.t = ms(start + t);
            let keeps = !matches!(entry.what, Observation::Interrupted { .. } | Observation::Resumed { .. });
            entry.after = after.filter(|_| keeps).map(|after| ms((start + t).saturating_sub(after)));
            entries.push(entry);
        }
        if !entries.iter().any(|entry| matches!(entry.what, Observation::StepStarted { .. })) {
            entries.extend(action);
        }
        debug_assert!(entries.is_sorted_by_key(|entry| entry.t) && ZERO == ms(1_000_000));
        entries
    })
}

/// Steps with several random expectations of all kinds.
pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    let time = || prop_oneof![Just(0), 1..30_000_u64].prop_map(ms);
    let subject = prop_oneof![
        Just(pod("web-0")),
        Just(log("web-0")),
        Just(events()),
        (1..4_usize).prop_map(|n| pods(Quantifier::All, n)),
        (1..4_usize).prop_map(|n| pods(Quantifier::Each, n)),
    ];
    let row = (0..3_u32, proptest::option::of(0..3_u32), any::<bool>()).prop_map(|(status, restarts, exists)| {
        let is = ValueMatch::Equal(format!("S{status}"));
        let restarts = restarts.map(|n| ("RESTARTS".to_owned(), ValueMatch::Equal(n.to_string())));
        let columns = [("STATUS".to_owned(), is.clone())].into_iter().chain(restarts).collect();
        Row { columns, line: Some(is), exists: exists.then_some(true), ..Row::default() }
    });
    let gone = Row { exists: Some(false), ..Row::default() };
    let row = prop_oneof![8 => row, 1 => Just(gone)];
    let when = (time(), time(), time()).prop_map(|(a, b, hold)| When { earliest: a.min(b), latest: a.max(b), hold });
    let timed = (row.clone(), when).prop_map(|(row, when)| TimedRow { row, when, location: Location::default() });
    let between = prop_oneof![Just(Between::Listed), Just(Between::Any)];
    let claim = prop_oneof![
        4 => (proptest::collection::vec(timed, 1..4), between).prop_map(|(rows, between)| Claim::Sequence { rows, between }),
        1 => (row.clone(), proptest::option::of(time())).prop_map(|(row, hold)| Claim::Never { row, hold }),
        1 => (row, 1..10_000_u64, time(), 2..4_u32).prop_map(|(row, period, first_by, times)| Claim::Every {
            row,
            period: ms(period),
            tolerance: ms(period / 2),
            times,
            first_by,
        }),
    ];
    proptest::collection::vec((subject, claim), 1..5).prop_map(|expectations| {
        let expect = expectations.into_iter().map(|(subject, claim)| step(subject, claim).expect).collect::<Vec<_>>().concat();
        Step { name: None, action: Action::Observe, expect, location: Location::default() }
    })
}

/// The streams that the timeline leaves silent.
pub(crate) fn silent(entries: &[Entry]) -> usize {
    let mut silent = std::collections::BTreeSet::<Stream>::new();
    for entry in entries {
        match &entry.what {
            Observation::Interrupted { stream, .. } => drop(silent.insert(stream.clone())),
            Observation::Resumed { stream, .. } => drop(silent.remove(stream)),
            _ => {}
        }
    }
    silent.len()
}
