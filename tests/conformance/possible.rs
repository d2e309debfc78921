//! What may happen in a case, and when: what its simulated histories have in common and where they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::history::{History, Row, Transition};

/// What may become of the Pods of one group.
#[derive(Debug, Default)]
pub(crate) struct Possible {
    /// How many Pods it may have.
    pub(crate) counts: BTreeSet<usize>,
    /// The orders in which a Pod may change.
    pub(crate) orders: BTreeSet<Vec<Row>>,
    /// When a Pod changes: by its place in the group, the row, and how often it has changed to that row.
    by_place: BTreeMap<(usize, Row, usize), Range>,
    /// The same for any place.
    anywhere: BTreeMap<(Row, usize), Range>,
}

/// From the earliest to the latest time that was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

impl Range {
    /// How far a time lies outside.
    pub(crate) fn distance(self, at: Duration) -> Duration {
        self.least.saturating_sub(at).max(at.saturating_sub(self.most))
    }

    fn widen(range: Option<Self>, at: Duration) -> Self {
        range.map_or(Self { least: at, most: at }, |range| Self { least: range.least.min(at), most: range.most.max(at) })
    }
}

impl Possible {
    /// What became of a group in many histories.
    pub(crate) fn of(group: &str, histories: &[History]) -> Self {
        let mut possible = Self::default();
        for history in histories {
            let pods = history.pods.get(group).map(Vec::as_slice).unwrap_or_default();
            possible.counts.insert(pods.len());
            for (place, transitions) in pods.iter().enumerate() {
                possible.add(place, transitions);
            }
        }
        possible
    }

    fn add(&mut self, place: usize, transitions: &[Transition]) {
        self.orders.insert(order(transitions));
        for (transition, nth) in counted(transitions) {
            let row = &transition.row;
            let key = (place, row.clone(), nth);
            let range = Range::widen(self.by_place.get(&key).copied(), transition.at);
            self.by_place.insert(key, range);
            let key = (row.clone(), nth);
            let range = Range::widen(self.anywhere.get(&key).copied(), transition.at);
            self.anywhere.insert(key, range);
        }
    }

    /// When the Pod of this place changes to a row for the n-th time.
    pub(crate) fn range(&self, place: usize, row: &Row, nth: usize) -> Option<Range> {
        self.by_place.get(&(place, row.clone(), nth)).or_else(|| self.anywhere.get(&(row.clone(), nth))).copied()
    }

    /// The possible order that agrees longest with this one.
    pub(crate) fn nearest(&self, order: &[Row]) -> Option<(usize, &[Row])> {
        let agreeing = |other: &&Vec<Row>| order.iter().zip(other.iter()).take_while(|(a, b)| a == b).count();
        self.orders.iter().max_by_key(agreeing).map(|other| (agreeing(&other), other.as_slice()))
    }
}

/// The rows alone.
pub(crate) fn order(transitions: &[Transition]) -> Vec<Row> {
    transitions.iter().map(|transition| transition.row.clone()).collect()
}

/// Each transition with how often its row was there before.
pub(crate) fn counted(transitions: &[Transition]) -> impl Iterator<Item = (&Transition, usize)> {
    transitions.iter().enumerate().map(|(i, transition)| {
        let before = transitions[..i].iter().filter(|earlier| earlier.row == transition.row).count();
        (transition, before)
    })
}
