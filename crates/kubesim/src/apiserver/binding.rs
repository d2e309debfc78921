//! The Pod's subresource `binding` (pkg/registry/core/pod/storage/storage.go).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Binding;
use serde_json::{Value, json};

use super::{
    ApiServer, Writer,
    metadata::{fields, is_deleting, text},
};
use crate::{
    object::{Key, Object},
    resource::PODS,
    status::StatusError,
};

impl ApiServer {
    /// Assigns a Pod to a node.
    ///
    /// # Errors
    /// If the Pod does not exist, is being deleted, or has a node already.
    pub(crate) fn bind(&self, binding: &Binding, writer: &Writer<'_>) -> Result<Arc<Object>, StatusError> {
        let name = binding.metadata.name.as_deref().unwrap_or_default();
        let node = binding.target.name.as_deref().unwrap_or_default();
        if node.is_empty() {
            return Err(StatusError::bad_request("Binding.target.name: Required value"));
        }
        let key = Key::new(binding.metadata.namespace.as_deref().unwrap_or_default(), name);
        self.modify(&PODS, "binding", &key, writer, |pod| {
            if is_deleting(pod) {
                let problem = format!("pod {name} is being deleted, cannot be assigned to a host");
                return Err(not_bound(name, &problem));
            }
            let taken = text(pod, "/spec/nodeName");
            if !taken.is_empty() {
                let problem = format!("pod {name} is already assigned to node {taken:?}");
                return Err(not_bound(name, &problem));
            }
            let mut pod = pod.clone();
            pod["spec"]["nodeName"] = json!(node);
            set_condition(&mut pod, "PodScheduled", "True", &json!(self.clock().time()));
            Ok(pod)
        })
    }
}

/// The real server names the subresource.
fn not_bound(name: &str, problem: &str) -> StatusError {
    StatusError::new(409, "Conflict", format!("Operation cannot be fulfilled on pods/binding {name:?}: {problem}"))
        .about(&PODS, name)
}

fn set_condition(pod: &mut Value, kind: &str, status: &str, now: &Value) {
    let new = json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": now});
    let list = fields(fields(pod).entry("status").or_insert_with(|| json!({}))).entry("conditions").or_insert_with(|| json!([]));
    let Value::Array(conditions) = list else {
        *list = json!([new]);
        return;
    };
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(condition) => *condition = new,
        None => conditions.push(new),
    }
}
