//! Admission: what the server adds to an object that only it can decide, and what it refuses for what else there is
//! (plugin/pkg/admission, pkg/registry/*/strategy.go).

mod pod;
mod service;

use serde_json::{Value, json};

use super::{
    ApiServer,
    metadata::{fields, text},
};
use crate::{resource::Resource, status::StatusError};

impl ApiServer {
    /// Admits a new object.
    pub(super) fn admit(&self, resource: &'static Resource, object: &mut Value) -> Result<(), StatusError> {
        match (resource.group, resource.plural) {
            ("", "pods") => self.admit_pod(object)?,
            ("", "services") => self.admit_service(object),
            ("batch", "jobs") => select_own_pods(object),
            _ => {}
        }
        Ok(())
    }
}

/// A Job selects its Pods by its UID (pkg/registry/batch/job/strategy.go:generateSelector).
fn select_own_pods(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let (name, uid) = (text(job, "/metadata/name").to_owned(), text(job, "/metadata/uid").to_owned());
    let labels = json!({
        "controller-uid": uid,
        "batch.kubernetes.io/controller-uid": uid,
        "job-name": name,
        "batch.kubernetes.io/job-name": name,
    });
    let template = fields(&mut job["spec"]["template"]).entry("metadata").or_insert_with(|| json!({}));
    let own = fields(template).entry("labels").or_insert_with(|| json!({}));
    for (key, value) in labels.as_object().into_iter().flatten() {
        fields(own).insert(key.clone(), value.clone());
    }
    let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    fields(&mut job["spec"]).insert("selector".to_owned(), selector);
}
