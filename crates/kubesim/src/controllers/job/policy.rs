//! What a Job's policies say about its Pods (`pkg/controller/job/pod_failure_policy.go`, `success_policy.go`,
//! `indexed_job_utils.go`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        batch::v1::{JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule},
        core::v1::{ContainerStatus, Pod},
    },
    jiff::Timestamp,
};

use super::{indexes, plan};
use crate::controllers::{ownership, pods};

/// How often the Pods of an index have failed before this one: those that count, and those that do not.
pub(super) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
pub(super) const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// Whether a Pod is replaced only once it has ended, and not as soon as it goes.
pub(super) fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement_policy.as_deref() == Some("Failed")
}

/// Whether a Pod has failed, or counts as failed because it goes.
pub(super) fn is_failed(spec: &JobSpec, pod: &Pod) -> bool {
    let goes = || !replaces_only_failed(spec) && pods::is_deleting(pod) && pods::phase(pod) != "Succeeded";
    pods::phase(pod) == "Failed" || goes()
}

/// What is to be done about a failed Pod: the action of the first rule that matches (`Count` if none does), and in words what has
/// matched.
pub(super) fn verdict<'a>(spec: &'a JobSpec, pod: &Pod) -> (&'a str, String) {
    let rules = spec.pod_failure_policy.iter().flat_map(|policy| &policy.rules).enumerate();
    let matched = rules.filter_map(|(index, rule)| {
        let what = matching(rule, pod)?;
        Some((rule.action.as_str(), format!("{what} matching {} rule at index {index}", rule.action)))
    });
    matched.into_iter().next().unwrap_or(("Count", String::new()))
}

fn matching(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let key = ownership::key_of(&pod.metadata);
    let status = pod.status.as_ref()?;
    if let Some(codes) = &rule.on_exit_codes {
        let mut containers = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
        let (name, code) = containers.find_map(|container| exit_code(codes, container))?;
        return Some(format!("Container {name} for pod {}/{} failed with exit code {code}", key.namespace, key.name));
    }
    let holds = |kind: &str, status: &str| pods::condition(pod, kind).is_some_and(|condition| condition.status == status);
    let mut patterns = rule.on_pod_conditions.iter().flatten();
    let found = patterns.find(|pattern| holds(&pattern.type_, pattern.status.as_deref().unwrap_or("True")))?;
    Some(format!("Pod {}/{} has condition {}", key.namespace, key.name, found.type_))
}

/// The name and the exit code of a container that a rule matches.
fn exit_code<'a>(codes: &PodFailurePolicyOnExitCodesRequirement, container: &'a ContainerStatus) -> Option<(&'a str, i32)> {
    let code = container.state.as_ref()?.terminated.as_ref()?.exit_code;
    let is_meant = codes.container_name.as_ref().is_none_or(|name| *name == container.name);
    let matches = codes.values.contains(&code) == (codes.operator == "In");
    (code != 0 && is_meant && matches).then_some((container.name.as_str(), code))
}

/// The first rule of the success policy that the succeeded indexes meet, in words.
pub(super) fn success(spec: &JobSpec, succeeded: &BTreeSet<i32>) -> Option<String> {
    let met = |(index, rule): (usize, &k8s_openapi::api::batch::v1::SuccessPolicyRule)| {
        let required = rule.succeeded_indexes.as_ref().map(|text| indexes::parse(text, spec.completions.unwrap_or(0)));
        let count = required.as_ref().map_or(succeeded.len(), |required| required.intersection(succeeded).count());
        let least = match (rule.succeeded_count, &required) {
            (Some(count), _) => usize::try_from(count).unwrap_or(0),
            (None, Some(required)) => required.len(),
            (None, None) => return None,
        };
        (count >= least).then(|| format!("Matched rules at index {index}"))
    };
    spec.success_policy.iter().flat_map(|policy| &policy.rules).enumerate().find_map(met)
}

/// Whether no further Pod is made for the index of a failed one.
pub(super) fn fails_index(spec: &JobSpec, pod: &Pod) -> bool {
    match verdict(spec, pod).0 {
        "FailIndex" => true,
        "Ignore" => false,
        _ => spec.backoff_limit_per_index.is_some_and(|limit| annotation(pod, FAILURES) >= limit),
    }
}

/// How often the Pods of an index have failed so far, those that count and those that do not; and how long the next has to wait.
pub(super) fn failures(spec: &JobSpec, all: &[Arc<Pod>], index: i32, now: Timestamp) -> (i32, i32, Duration) {
    let failed = all.iter().filter(|pod| indexes::of(pod) == Some(index) && is_failed(spec, pod));
    let total = |pod: &Pod| annotation(pod, FAILURES) + annotation(pod, IGNORED);
    let Some(last) = failed.max_by_key(|pod| total(pod)) else { return (0, 0, Duration::ZERO) };
    let is_ignored = verdict(spec, last).0 == "Ignore";
    let counted = annotation(last, FAILURES) + i32::from(!is_ignored);
    let ignored = annotation(last, IGNORED) + i32::from(is_ignored);
    (counted, ignored, plan::wait(usize::try_from(counted + ignored).unwrap_or(0), plan::ended_at(last, now), now))
}

fn annotation(pod: &Pod, name: &str) -> i32 {
    let value = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(name));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}
