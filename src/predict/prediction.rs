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

#[cfg(test)]
mod tests {
    use super::super::history::PodName;
    use super::*;

    const SPAN: Duration = Duration::from_mins(1);

    /// A history of Pods by name, each with its states and their times in seconds.
    fn history(seed: u64, pods: &[(&str, &[(&str, u64)])]) -> History {
        let pods = pods.iter().map(|(name, steps)| {
            let step = |(status, at): &(&str, u64)| Step {
                state: State { status: (*status).to_owned(), ..State::default() },
                at: Duration::from_secs(*at),
            };
            let pod = Pod { name: PodName::Given((*name).to_owned()), labels: BTreeMap::new() };
            (pod, steps.iter().map(step).collect())
        });
        History { seed, pods: pods.collect() }
    }

    /// `web Running 3..5` for each row.
    fn words<'a>(rows: impl IntoIterator<Item = &'a PredictedRow>) -> Vec<String> {
        let word = |row: &PredictedRow| {
            format!("{} {} {}..{}", row.pod.name, row.state.status, row.earliest.as_secs(), row.latest.as_secs())
        };
        rows.into_iter().map(word).collect()
    }

    fn predict(histories: Vec<History>) -> Prediction {
        Prediction::new("v1.37.2".to_owned(), SPAN, histories)
    }

    #[test]
    fn a_row_has_the_range_of_its_times_and_rows_their_usual_order() {
        let prediction = predict(vec![
            history(0, &[("a", &[("Pending", 0), ("Running", 9)]), ("b", &[("Running", 3)])]),
            history(1, &[("a", &[("Pending", 0), ("Running", 5)]), ("b", &[("Running", 8)])]),
            history(2, &[("a", &[("Pending", 1), ("Running", 7)]), ("b", &[("Running", 4)])]),
        ]);
        assert_eq!(prediction.variants.len(), 1);
        assert_eq!(words(&prediction.variants[0].rows), ["a Pending 0..1", "b Running 3..8", "a Running 5..9"]);
    }

    #[test]
    fn the_most_frequent_way_comes_first_and_others_say_where_they_part() {
        let crash: &[_] = &[("Running", 1), ("Error", 5), ("CrashLoopBackOff", 9)];
        let prediction = predict(vec![
            history(0, &[("a", &[("Running", 2), ("Completed", 4)]), ("b", &[("Running", 2)])]),
            history(1, &[("a", crash), ("b", &[("Running", 2)])]),
            history(2, &[("a", crash), ("b", &[("Running", 3)])]),
        ]);
        let [usual, other] = &prediction.variants[..] else { panic!("{:?}", prediction.variants) };
        assert_eq!((&usual.seeds[..], &other.seeds[..]), (&[1, 2][..], &[0][..]));
        assert_eq!(words(other.differing(usual)), ["a Running 2..2", "a Completed 4..4"]);
    }

    #[test]
    fn histories_that_only_the_end_cuts_off_differently_are_the_same() {
        let prediction = predict(vec![
            history(0, &[("a", &[("Running", 1), ("Error", 59)])]),
            history(1, &[("a", &[("Running", 2), ("Error", 61)])]),
            // This one really does something else, and nobody else does it later.
            history(2, &[("a", &[("Running", 1)])]),
        ]);
        let seeds: Vec<_> = prediction.variants.iter().map(|variant| &variant.seeds[..]).collect();
        assert_eq!(seeds, [&[0, 1][..], &[2][..]]);
        assert_eq!(words(&prediction.variants[0].rows), ["a Running 1..2"]);
    }

    #[test]
    fn a_pod_that_is_not_always_there_is_a_difference() {
        let prediction = predict(vec![history(0, &[("a", &[("Running", 1)])]), history(1, &[])]);
        assert_eq!(prediction.variants.len(), 2);
    }
}
