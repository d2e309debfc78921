//! What the histories of many seeds have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::history::{History, Pod, PodHistory, State, Step};

/// What a reader will see.
#[derive(Clone, Debug, Serialize)]
pub struct Prediction {
    /// The version of Kubernetes, such as `v1.37.2`.
    pub kubernetes: String,
    /// How many seeds were tried.
    pub seeds: usize,
    /// How long was looked on, in seconds since the manifests were sent.
    #[serde(with = "crate::timeline::seconds")]
    pub span: Duration,
    /// What happened, the most frequent first; of equally frequent ones that of the lowest seed.
    pub variants: Vec<Variant>,
    /// What each seed gave.
    #[serde(skip)]
    pub histories: Vec<History>,
}

/// Histories in which every Pod goes through the same states.
#[derive(Clone, Debug, Serialize)]
pub struct Variant {
    /// Their seeds.
    pub seeds: Vec<u64>,
    /// What all of them show, in the order in which it usually comes.
    pub rows: Vec<PredictedRow>,
}

/// A row that a reader will see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PredictedRow {
    /// The Pod.
    #[serde(serialize_with = "name")]
    pub pod: Pod,
    /// Its state.
    pub state: State,
    /// The earliest time, in seconds since the manifests were sent.
    #[serde(with = "crate::timeline::seconds")]
    pub earliest: Duration,
    /// The latest time, in seconds since the manifests were sent.
    #[serde(with = "crate::timeline::seconds")]
    pub latest: Duration,
}

fn name<S: Serializer>(pod: &Pod, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&pod.name)
}

impl Prediction {
    /// Sums up histories that go on beyond `span`: what comes after it is cut off, but still tells whether two histories that were cut
    /// off at different places are the same.
    pub fn new(kubernetes: String, span: Duration, histories: Vec<History>) -> Self {
        let mut groups: Vec<Vec<&History>> = Vec::new();
        for history in &histories {
            match groups.iter_mut().find(|group| group.first().is_some_and(|first| is_same(first, history, span))) {
                Some(group) => group.push(history),
                None => groups.push(vec![history]),
            }
        }
        // A stable sort: of equally frequent ones that of the lowest seed stays in front.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let variants = groups.iter().map(|group| Variant::new(group, span)).collect();
        Self { kubernetes, seeds: histories.len(), span, variants, histories }
    }
}

/// How much of a Pod's history lies within the span.
fn within(steps: &PodHistory, span: Duration) -> usize {
    steps.iter().take_while(|step| step.at <= span).count()
}

fn is_same(a: &History, b: &History, span: Duration) -> bool {
    let pods: BTreeSet<&Pod> = a.pods.keys().chain(b.pods.keys()).collect();
    let none = Vec::new();
    pods.into_iter().all(|pod| {
        let [a, b] = [a, b].map(|history| history.pods.get(pod).unwrap_or(&none));
        let shown = within(a, span).max(within(b, span));
        let states = |steps: &PodHistory| steps.iter().take(shown).map(|step| step.state.clone()).collect::<Vec<_>>();
        states(a) == states(b)
    })
}

impl Variant {
    fn new(group: &[&History], span: Duration) -> Self {
        let mut rows: Vec<(Duration, PredictedRow)> = Vec::new();
        for pod in group.iter().flat_map(|history| history.pods.keys()).collect::<BTreeSet<_>>() {
            let of_pod: Vec<&[Step]> = group.iter().map(|history| history.pods.get(pod).map_or(&[][..], Vec::as_slice)).collect();
            let common = group.iter().map(|history| history.pods.get(pod).map_or(0, |steps| within(steps, span))).min();
            rows.extend((0..common.unwrap_or(0)).filter_map(|index| row(pod, of_pod.iter().filter_map(|steps| steps.get(index)))));
        }
        // The median of a Pod's next row never comes before that of its last one, and the sort is stable.
        rows.sort_by_key(|(median, _)| *median);
        Self { seeds: group.iter().map(|history| history.seed).collect(), rows: rows.into_iter().map(|(_, row)| row).collect() }
    }

    /// The rows that differ from those of another variant: of each Pod that does something else, what it does from then on, and the
    /// last row before that.
    pub fn differing(&self, other: &Self) -> Vec<&PredictedRow> {
        let (mine, others) = (self.by_pod(), other.by_pod());
        let none = Vec::new();
        let mut differing = BTreeMap::new();
        for (pod, states) in &mine {
            let expected = others.get(pod).unwrap_or(&none);
            if states != expected {
                let common = states.iter().zip(expected).take_while(|(a, b)| a == b).count();
                differing.insert(*pod, common.saturating_sub(1));
            }
        }
        let mut seen: BTreeMap<&Pod, usize> = BTreeMap::new();
        let mut rows = Vec::new();
        for row in &self.rows {
            let index = seen.entry(&row.pod).or_default();
            if differing.get(&row.pod).is_some_and(|from| *index >= *from) {
                rows.push(row);
            }
            *index += 1;
        }
        rows
    }

    fn by_pod(&self) -> BTreeMap<&Pod, Vec<&State>> {
        let mut pods: BTreeMap<&Pod, Vec<&State>> = BTreeMap::new();
        for row in &self.rows {
            pods.entry(&row.pod).or_default().push(&row.state);
        }
        pods
    }
}

/// A row of a Pod as all histories have it, with the median of its times.
fn row<'a>(pod: &Pod, steps: impl Iterator<Item = &'a Step>) -> Option<(Duration, PredictedRow)> {
    let mut steps: Vec<&Step> = steps.collect();
    steps.sort_by_key(|step| step.at);
    let (first, last) = (steps.first()?, steps.last()?);
    let row = PredictedRow { pod: pod.clone(), state: first.state.clone(), earliest: first.at, latest: last.at };
    Some((steps.get(steps.len() / 2)?.at, row))
}
