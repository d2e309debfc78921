//! The ReplicaSets of a Deployment as its history: template hashes, revisions, annotations
//! (`pkg/controller/deployment/util/deployment_util.go`, `pkg/controller/controller_utils.go:ComputeHash`).

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::PodTemplateSpec,
};

use super::size::Bounds;
use crate::controllers::ownership;

/// The label that tells the Pods of one template from those of another.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";

const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// The annotations of a Deployment that its ReplicaSets do not get.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// How long the annotation of past revisions may become.
const MAX_HISTORY_LENGTH: usize = 2_000;

/// What decimal digits become in a hash: characters that form no words.
const HASH_ALPHABET: &[u8; 10] = b"456789bcdf";

/// The hash of a template, in the shape of Kubernetes' own: its value depends on the template (and the collisions so
/// far) alone, but differs from that of a real cluster, which hashes a dump of Go structures.
pub(crate) fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let text = serde_json::to_vec(template).unwrap_or_default();
    let salt = collisions.map(|count| i64::from(count).to_le_bytes());
    let bytes = text.iter().chain(salt.iter().flatten());
    let hash = bytes.fold(0x811c_9dc5_u32, |state, byte| (state ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.to_string().bytes().map(|digit| char::from(HASH_ALPHABET[usize::from(digit - b'0')])).collect()
}

/// The ReplicaSet of the Deployment's current template, the oldest if there are several; and all others, oldest first.
pub(super) fn split(deployment: &Deployment, mut sets: Vec<ReplicaSet>) -> (Option<ReplicaSet>, Vec<ReplicaSet>) {
    sort_by_age(&mut sets);
    let template = without_hash(&deployment.spec.template);
    let new = sets.iter().position(|set| set.spec.template.as_ref().map(without_hash).as_ref() == Some(&template));
    let new = new.map(|index| sets.remove(index));
    (new, sets)
}

/// Sorts oldest first, by name where the age is the same.
pub(super) fn sort_by_age(sets: &mut [ReplicaSet]) {
    sets.sort_by(|a, b| age_key(a).cmp(&age_key(b)));
}

/// What orders sets by age: the creation, then the name.
pub(super) fn age_key(set: &ReplicaSet) -> (Option<k8s_openapi::jiff::Timestamp>, &str) {
    (set.metadata.creation_timestamp.as_ref().map(|time| time.0), ownership::name(&set.metadata))
}

/// A template without the label that its ReplicaSet has added.
pub(super) fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(meta) = &mut template.metadata {
        if let Some(labels) = &mut meta.labels {
            labels.remove(TEMPLATE_HASH);
        }
        meta.labels = meta.labels.take().filter(|labels| !labels.is_empty());
        meta.creation_timestamp = None;
    }
    template
}

fn number(annotations: Option<&BTreeMap<String, String>>, name: &str) -> Option<i64> {
    annotations?.get(name)?.parse().ok()
}

/// The revision that a ReplicaSet has been, last.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    number(set.metadata.annotations.as_ref(), REVISION).unwrap_or(0)
}

/// How many Pods the Deployment asked for when the set was last scaled.
pub(super) fn desired_replicas(set: &ReplicaSet) -> Option<i64> {
    number(set.metadata.annotations.as_ref(), DESIRED_REPLICAS)
}

/// How many Pods there might be when the set was last scaled.
pub(super) fn max_replicas(set: &ReplicaSet) -> Option<i32> {
    number(set.metadata.annotations.as_ref(), MAX_REPLICAS).and_then(|number| i32::try_from(number).ok())
}

/// Notes in a set for how many Pods it is scaled; whether that is new.
pub(super) fn set_replicas(set: &mut ReplicaSet, bounds: Bounds) -> bool {
    let annotations = set.metadata.annotations.get_or_insert_default();
    let desired = annotate(annotations, DESIRED_REPLICAS, &bounds.replicas.to_string());
    annotate(annotations, MAX_REPLICAS, &bounds.most().to_string()) || desired
}

/// Notes a revision in the Deployment; whether that is new.
pub(super) fn set_revision(deployment: &mut Deployment, revision: &str) -> bool {
    annotate(deployment.metadata.annotations.get_or_insert_default(), REVISION, revision)
}

fn annotate(annotations: &mut BTreeMap<String, String>, name: &str, value: &str) -> bool {
    annotations.insert(name.to_owned(), value.to_owned()).is_none_or(|old| old != value)
}

/// Gives the set of the current template the Deployment's annotations and, if it is not the newest revision yet, makes
/// it so: a set that had a revision before has been rolled back to. Whether anything is new.
pub(super) fn annotate_new(deployment: &Deployment, set: &mut ReplicaSet, revision: i64) -> bool {
    let annotations = set.metadata.annotations.get_or_insert_default();
    let mut changed = false;
    for (name, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&name.as_str()) {
            changed |= annotate(annotations, name, value);
        }
    }
    let before = annotations.get(REVISION).cloned();
    if number(Some(annotations), REVISION).unwrap_or(0) < revision {
        annotations.insert(REVISION.to_owned(), revision.to_string());
        changed = true;
        if let Some(before) = before {
            let history = extended_history(annotations.get(REVISION_HISTORY).map_or("", String::as_str), &before);
            annotations.insert(REVISION_HISTORY.to_owned(), history);
        }
    }
    changed
}

/// The list of past revisions with one more; the oldest are forgotten when it becomes too long.
fn extended_history(history: &str, revision: &str) -> String {
    let mut revisions: Vec<&str> = history.split(',').filter(|revision| !revision.is_empty()).collect();
    revisions.push(revision);
    while revisions.join(",").len() > MAX_HISTORY_LENGTH {
        revisions.remove(0);
    }
    revisions.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hash_has_the_shape_of_kubernetes_own() {
        let template = |image: &str| -> PodTemplateSpec {
            serde_json::from_value(json!({"spec": {"containers": [{"name": "c", "image": image}]}})).unwrap()
        };
        let hash = template_hash(&template("a"), None);
        assert!((1..=10).contains(&hash.len()) && hash.bytes().all(|byte| HASH_ALPHABET.contains(&byte)), "{hash}");
        assert_eq!(hash, template_hash(&template("a"), None));
        assert_ne!(hash, template_hash(&template("b"), None));
        assert_ne!(hash, template_hash(&template("a"), Some(1)));
    }

    #[test]
    fn rolling_back_writes_the_history() {
        let deployment: Deployment = serde_json::from_value(json!({
            "spec": {"selector": {}, "template": {}},
            "metadata": {"annotations": {"a": "b", REVISION: "3", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        }))
        .unwrap();
        let mut set: ReplicaSet =
            serde_json::from_value(json!({"spec": {"selector": {}}, "metadata": {"annotations": {REVISION: "1"}}})).unwrap();
        assert!(annotate_new(&deployment, &mut set, 4));
        assert!(annotate_new(&deployment, &mut set, 6));
        assert!(!annotate_new(&deployment, &mut set, 6));
        let expected = json!({"a": "b", REVISION: "6", REVISION_HISTORY: "1,4"});
        assert_eq!(json!(set.metadata.annotations), expected);
    }
}
