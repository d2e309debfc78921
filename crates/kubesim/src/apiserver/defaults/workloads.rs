//! The defaults of what makes Pods (pkg/apis/apps/v1/defaults.go, pkg/apis/batch/v1/defaults.go).

use serde_json::{Value, json};

use super::{default, elements, nested, pod, zero};
use crate::resource::Resource;

/// Fills in an object of the groups `apps` and `batch`.
pub(super) fn apply(resource: &Resource, object: &mut Value) {
    match resource.plural {
        "deployments" => deployment(nested(object, "spec")),
        "replicasets" => {
            let spec = nested(object, "spec");
            default(spec, "replicas", 1);
            template(spec);
        }
        "daemonsets" => daemon_set(nested(object, "spec")),
        "controllerrevisions" => zero(object, "revision", json!(0)),
        "jobs" => {
            let spec = nested(object, "spec");
            job(spec);
            // A controller finds its Pods by these labels; the label of old is still written beside the new one.
            job_labels(object);
        }
        "cronjobs" => {
            let spec = nested(object, "spec");
            default(spec, "concurrencyPolicy", "Allow");
            default(spec, "suspend", false);
            default(spec, "successfulJobsHistoryLimit", 3);
            default(spec, "failedJobsHistoryLimit", 1);
            let jobs = nested(spec, "jobTemplate");
            nested(jobs, "metadata");
            template(nested(jobs, "spec"));
        }
        _ => {}
    }
}

fn template(spec: &mut Value) {
    let template = nested(spec, "template");
    nested(template, "metadata");
    pod::default_spec(nested(template, "spec"));
}

fn deployment(spec: &mut Value) {
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    let strategy = nested(spec, "strategy");
    default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = nested(strategy, "rollingUpdate");
        default(rolling, "maxUnavailable", "25%");
        default(rolling, "maxSurge", "25%");
    }
    template(spec);
}

fn daemon_set(spec: &mut Value) {
    default(spec, "revisionHistoryLimit", 10);
    let strategy = nested(spec, "updateStrategy");
    default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = nested(strategy, "rollingUpdate");
        default(rolling, "maxUnavailable", 1);
        default(rolling, "maxSurge", 0);
    }
    template(spec);
}

fn job(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    default(spec, "podReplacementPolicy", if spec["podFailurePolicy"].is_null() { "TerminatingOrFailed" } else { "Failed" });
    let per_index = !spec["backoffLimitPerIndex"].is_null();
    default(spec, "backoffLimit", if per_index { i64::from(i32::MAX) } else { 6 });
    if let Some(policy) = spec.get_mut("podFailurePolicy") {
        for rule in elements(policy, "rules") {
            elements(rule, "onPodConditions").for_each(|condition| default(condition, "status", "True"));
        }
    }
    template(spec);
}

/// The labels of a Job are those of its template where it has none (pkg/apis/batch/v1/defaults.go).
fn job_labels(object: &mut Value) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    if let Some(labels) = labels
        && object["metadata"].get("labels").is_none()
    {
        object["metadata"]["labels"] = labels;
    }
}
