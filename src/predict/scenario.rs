//! A prediction as a scenario: each Pod's rows, with the windows in which they came.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::history::{History, PodHistory, PodName, State};
use super::prediction::Prediction;
use crate::scenario::describe::duration;
use crate::scenario::manifest_root;

/// A window is wider than what was seen by this on each side, or by a tenth of its width, if that is more: a hundred seeds show the
/// tails of a wide one less well.
const LEAST_SLACK: Duration = Duration::from_secs(1);

/// The longest name of a scenario.
const LONGEST_NAME: usize = 40;

/// The Pods that one expectation is about: one by its name, or those of a selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Pod(String),
    Pods(BTreeMap<String, String>),
}

/// A scenario that applies the manifests and expects what all seeds have shown, for a file below the folder where it is run. None if
/// they have shown nothing in common.
pub fn scenario(prediction: &Prediction, manifests: &[PathBuf], nodes: u32) -> Option<String> {
    let Prediction { kubernetes, seeds, span, histories, .. } = prediction;
    let mut text = format!("# What {seeds} seeds of a simulated Kubernetes {kubernetes} show in the first {}.\n", duration(*span));
    _ = writeln!(text, "name: {}", name(manifests));
    if nodes > 1 {
        _ = writeln!(text, "nodes: {nodes}");
    }
    text += "steps:\n";
    match manifests {
        [manifest] => _ = writeln!(text, "- apply: {}", quoted(&named_from_root(manifest))),
        several => {
            let names: Vec<_> = several.iter().map(|manifest| quoted(&named_from_root(manifest))).collect();
            _ = writeln!(text, "- apply: [{}]", names.join(", "));
        }
    }
    text += "  expect:\n";
    let subjects = subjects(histories);
    let expectations: Vec<_> = subjects.iter().filter_map(|subject| expectation(subject, histories, *span)).collect();
    (!expectations.is_empty()).then(|| text + &expectations.concat())
}

/// Every subject that has Pods in all histories.
fn subjects(histories: &[History]) -> BTreeSet<Subject> {
    let of = |history: &History| -> BTreeSet<Subject> {
        let subjects = history.pods.keys().filter_map(|pod| match &pod.name {
            PodName::Given(name) => Some(Subject::Pod(name.clone())),
            PodName::Generated { .. } if pod.labels.is_empty() => None,
            PodName::Generated { .. } => Some(Subject::Pods(pod.labels.clone())),
        });
        subjects.collect()
    };
    histories.iter().map(of).reduce(|a, b| &a & &b).unwrap_or_default()
}

impl Subject {
    /// The Pods of a history that it is about.
    fn pods<'h>(&self, history: &'h History) -> Vec<&'h PodHistory> {
        let is_meant = |pod: &super::history::Pod| match self {
            Self::Pod(name) => pod.name == PodName::Given(name.clone()),
            Self::Pods(labels) => labels.iter().all(|(key, value)| pod.labels.get(key) == Some(value)),
        };
        history.pods.iter().filter(|(pod, _)| is_meant(pod)).map(|(_, steps)| steps).collect()
    }
}

fn expectation(subject: &Subject, histories: &[History], span: Duration) -> Option<String> {
    let per_seed: Vec<_> = histories.iter().map(|history| subject.pods(history)).collect();
    let count = per_seed.iter().map(Vec::len).min()?;
    let pods: Vec<&PodHistory> = per_seed.into_iter().flatten().collect();
    let rows = common(&pods, span);
    let windows = windows(&rows, &pods);
    if rows.is_empty() {
        return None;
    }
    let mut text = match subject {
        Subject::Pod(name) => format!("  - pod: {}\n", quoted(name)),
        Subject::Pods(labels) => {
            let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("  - pods: {{selector: {}, count: {count}, match: each}}\n", quoted(&labels.join(",")))
        }
    };
    text += "    rows:\n";
    for (State { ready, status, restarts }, (earliest, latest)) in rows.iter().zip(windows) {
        let slack = LEAST_SLACK.max(latest.saturating_sub(earliest) / 10);
        let from = duration(Duration::from_secs(earliest.saturating_sub(slack).as_secs()));
        let to = latest + slack;
        let to = duration(Duration::from_secs(to.as_secs() + u64::from(to.subsec_nanos() > 0)));
        let [ready, status, restarts] = [ready, status, restarts].map(|text| quoted(text));
        _ = writeln!(text, "    - {{ready: {ready}, status: {status}, restarts: {restarts}, at: {from}..{to}}}");
    }
    let is_all = pods.iter().all(|steps| steps.iter().take(rows.len()).map(|step| &step.state).eq(&rows));
    if !is_all {
        text += "    between: any\n";
    }
    Some(text)
}

/// The states that every Pod goes through within the span, in their order; others may come between in some.
fn common(pods: &[&PodHistory], span: Duration) -> Vec<State> {
    let within = |steps: &&PodHistory| -> Vec<State> {
        steps.iter().take_while(|step| step.at <= span).map(|step| step.state.clone()).collect()
    };
    pods.iter().map(within).reduce(|a, b| common_subsequence(&a, &b)).unwrap_or_default()
}

/// The longest common subsequence.
fn common_subsequence(a: &[State], b: &[State]) -> Vec<State> {
    let mut longest = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = if a[i] == b[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut common) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            common.push(a[i].clone());
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

/// When each row was reached first, over all Pods, as the judge reaches rows: each at the first state that is like it.
fn windows(rows: &[State], pods: &[&PodHistory]) -> Vec<(Duration, Duration)> {
    let mut windows = vec![(Duration::MAX, Duration::ZERO); rows.len()];
    for steps in pods {
        let mut steps = steps.iter();
        for (row, window) in rows.iter().zip(&mut windows) {
            if let Some(step) = steps.find(|step| step.state == *row) {
                *window = (window.0.min(step.at), window.1.max(step.at));
            }
        }
    }
    windows
}

/// A DNS label made of the first manifest's name.
fn name(manifests: &[PathBuf]) -> String {
    let stem = manifests.first().and_then(|file| file.file_stem()).unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(LONGEST_NAME).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "predicted".to_owned() } else { name.to_owned() }
}

/// As a scenario names the manifest: from the folder `manifests`, here or wherever the manifest is; without one from its own folder.
fn named_from_root(manifest: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let whole = absolute(manifest);
    if let Ok(inside) = whole.strip_prefix(absolute(&manifest_root(Path::new("scenario.yaml")))) {
        return inside.display().to_string();
    }
    let mut roots = whole.ancestors().filter(|folder| folder.ends_with("manifests"));
    let root = roots.next().or(whole.parent()).unwrap_or(&whole);
    whole.strip_prefix(root).unwrap_or(manifest).display().to_string()
}

/// A text in YAML; plain only where nothing in it has a meaning of its own.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.-=".contains(c);
    let begins_well = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if begins_well && text.chars().all(is_plain) { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn states(text: &str) -> Vec<State> {
        text.chars().map(|c| State { status: c.to_string(), ..State::default() }).collect()
    }

    #[rstest]
    #[case("abc", "abc", "abc")]
    #[case("abcd", "ab", "ab")]
    #[case("abxcd", "abcyd", "abcd")]
    #[case("abab", "baba", "bab")]
    #[case("ab", "", "")]
    fn what_two_pods_have_in_common_keeps_its_order(#[case] a: &str, #[case] b: &str, #[case] common: &str) {
        assert_eq!(common_subsequence(&states(a), &states(b)), states(common));
    }

    #[rstest]
    #[case("CrashLoopBackOff", "CrashLoopBackOff")]
    #[case("1/1", "1/1")]
    #[case("Init:0/1", "\"Init:0/1\"")]
    #[case("a: {b}", "\"a: {b}\"")]
    #[case("-x", "\"-x\"")]
    #[case("", "\"\"")]
    fn yaml_reads_what_is_written(#[case] text: &str, #[case] written: &str) {
        assert_eq!(quoted(text), written);
        assert_eq!(serde_yaml::from_str::<String>(written).unwrap(), text);
    }

    #[rstest]
    #[case("manifests/a/b.yaml", "a/b.yaml")]
    #[case("/elsewhere/manifests/a/b.yaml", "a/b.yaml")]
    #[case("/elsewhere/b.yaml", "b.yaml")]
    fn a_manifest_is_named_as_scenarios_name_it(#[case] file: &str, #[case] named: &str) {
        assert_eq!(named_from_root(Path::new(file)), named);
    }

    #[rstest]
    #[case("manifests/Web_1.yaml", "web-1")]
    #[case("-.yaml", "predicted")]
    fn a_scenario_is_named_after_its_manifest(#[case] file: &str, #[case] expected: &str) {
        assert_eq!(name(&[PathBuf::from(file)]), expected);
    }
}
