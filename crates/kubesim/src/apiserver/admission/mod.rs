//! Admission: what the server adds to an object that only it can decide, and what it refuses for what else there is
//! (plugin/pkg/admission, pkg/registry/*/strategy.go).

mod pod;
mod pod_security;
mod service;

use serde_json::{Value, json};

use super::{
    ApiServer,
    defaults::nested,
    metadata::{fields, text},
};
use crate::{resource::Resource, status::StatusError};

impl ApiServer {
    /// Admits a new object.
    pub(super) fn admit(&self, resource: &'static Resource, object: &mut Value) -> Result<(), StatusError> {
        match (resource.group, resource.plural) {
            ("", "pods") => self.admit_pod(object),
            ("", "services") => self.admit_service(object),
            ("apps", "daemonsets") => {
                set_template_generation(object, 1);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A Node that somebody makes has no kubelet that says what it is, and is not ready (plugin/pkg/admission/nodetaint).
pub(super) fn complete_node(node: &mut Value) {
    const INFO: [&str; 10] = [
        "architecture",
        "bootID",
        "containerRuntimeVersion",
        "kernelVersion",
        "kubeProxyVersion",
        "kubeletVersion",
        "machineID",
        "operatingSystem",
        "osImage",
        "systemUUID",
    ];
    let not_ready = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    let taints = fields(nested(node, "spec")).entry("taints").or_insert_with(|| json!([]));
    if let Value::Array(taints) = taints
        && !taints.iter().any(|taint| taint["key"] == not_ready["key"] && taint["effect"] == not_ready["effect"])
    {
        taints.push(not_ready);
    }
    let status = nested(node, "status");
    fields(nested(nested(status, "daemonEndpoints"), "kubeletEndpoint")).entry("Port").or_insert(json!(0));
    let info = fields(nested(status, "nodeInfo"));
    for field in INFO {
        info.entry(field).or_insert(json!(""));
    }
}

/// The annotation in which a daemon set says how often its template has changed (pkg/apis/apps/v1/conversion.go).
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn set_template_generation(daemon_set: &mut Value, generation: i64) {
    let annotations = nested(nested(daemon_set, "metadata"), "annotations");
    fields(annotations).insert(TEMPLATE_GENERATION.to_owned(), json!(generation.to_string()));
}

/// A changed daemon set counts the changes of its template itself.
pub(super) fn count_template_generation(old: &Value, new: &mut Value) {
    let before = old["metadata"]["annotations"][TEMPLATE_GENERATION].as_str().and_then(|count| count.parse::<i64>().ok());
    let changes = i64::from(old["spec"]["template"] != new["spec"]["template"]);
    set_template_generation(new, before.unwrap_or(1) + changes);
}

/// A Job selects its Pods by its UID, where it does not say otherwise (pkg/registry/batch/job/strategy.go:generateSelector).
/// That it says something else is found by validation.
pub(super) fn select_own_pods(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let (name, uid) = (text(job, "/metadata/name").to_owned(), text(job, "/metadata/uid").to_owned());
    let template = nested(nested(nested(job, "spec"), "template"), "metadata");
    let labels = fields(nested(template, "labels"));
    for (key, value) in [
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        labels.entry(key).or_insert_with(|| json!(value));
    }
    let selector = nested(nested(nested(job, "spec"), "selector"), "matchLabels");
    fields(selector).entry("batch.kubernetes.io/controller-uid").or_insert_with(|| json!(uid));
}
