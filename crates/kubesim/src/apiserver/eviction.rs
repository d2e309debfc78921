//! The Pod's subresource `eviction` (pkg/registry/core/pod/storage/eviction.go).

use std::sync::Arc;

use k8s_openapi::{api::policy::v1::PodDisruptionBudget, apimachinery::pkg::apis::meta::v1::StatusCause};
use serde_json::{Value, json};

use super::{
    ApiServer, DeleteOptions, Patch, Writer,
    metadata::{fields, is_deleting, number, text},
};
use crate::{
    object::{Key, Object},
    resource::{POD_DISRUPTION_BUDGETS, PODS},
    selector::{LabelSelector, Selection},
    status::StatusError,
};

impl ApiServer {
    /// Deletes a Pod, unless a disruption budget forbids it.
    ///
    /// # Errors
    /// If the Pod does not exist, or a budget forbids it.
    pub(crate) fn evict(&self, key: &Key, options: &DeleteOptions, writer: &Writer<'_>) -> Result<(), StatusError> {
        let pod = self.get(&PODS, key)?;
        let idle = matches!(pod.text("/status/phase"), "Succeeded" | "Failed" | "Pending");
        if !idle && !is_deleting(pod.value()) {
            self.ask_budget(&pod, writer)?;
        }
        let is_meant = options.uid.as_deref().is_none_or(|uid| uid == pod.uid())
            && options.resource_version.as_ref().is_none_or(|version| *version == pod.revision().to_string());
        if !is_meant {
            return self.delete(&PODS, key, options, writer).map(drop);
        }
        self.announce(&pod, writer)?;
        let options = DeleteOptions { uid: Some(pod.uid().to_owned()), resource_version: None, ..options.clone() };
        self.delete(&PODS, key, &options, writer).map(drop)
    }

    /// Says in the Pod's conditions why it is about to go.
    fn announce(&self, pod: &Object, writer: &Writer<'_>) -> Result<(), StatusError> {
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastTransitionTime": self.clock().time(),
        });
        let patch = Patch::Strategic(json!({"metadata": {"uid": pod.uid()}, "status": {"conditions": [condition]}}));
        self.patch(&PODS, "status", &pod.key(), &patch, writer).map(drop)
    }

    /// Takes one disruption from the Pod's budget, if it has one and is needed for it.
    fn ask_budget(&self, pod: &Object, writer: &Writer<'_>) -> Result<(), StatusError> {
        let budgets = self.store().list(&POD_DISRUPTION_BUDGETS, &Selection::in_namespace(pod.namespace())).0;
        let budgets: Vec<Arc<Object>> = budgets.into_iter().filter(|budget| covers(budget, pod)).collect();
        let budget = match budgets.as_slice() {
            [] => return Ok(()),
            [budget] => budget,
            _ => {
                let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(StatusError::new(429, "TooManyRequests", message));
            }
        };
        if is_dispensable(budget.value(), pod.value()) {
            return Ok(());
        }
        let now = json!(self.clock().time());
        let taken = self.modify(&POD_DISRUPTION_BUDGETS, "status", &budget.key(), writer, |budget| {
            check(budget)?;
            let mut budget = budget.clone();
            let allowed = number(&budget, "/status/disruptionsAllowed").unwrap_or(0);
            let status = fields(&mut budget["status"]);
            status.insert("disruptionsAllowed".to_owned(), json!(allowed - 1));
            let disrupted = status.entry("disruptedPods").or_insert_with(|| json!({}));
            fields(disrupted).insert(pod.name().to_owned(), now.clone());
            Ok(budget)
        });
        match taken {
            Err(error) if error.is_not_found() => Ok(()),
            taken => taken.map(drop),
        }
    }
}

fn covers(budget: &Object, pod: &Object) -> bool {
    let budget = budget.typed::<PodDisruptionBudget>().ok();
    let selector = budget.as_ref().and_then(|budget| budget.spec.as_ref()?.selector.as_ref());
    let selector = selector.and_then(|selector| LabelSelector::from_api(selector).ok());
    selector.is_some_and(|selector| selector.matches_value(&pod.value()["metadata"]["labels"]))
}

/// Whether a Pod is not ready, so that its going takes nothing from a budget that is kept without it.
fn is_dispensable(budget: &Value, pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let is_ready = conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let (healthy, desired) = (number(budget, "/status/currentHealthy"), number(budget, "/status/desiredHealthy"));
    let kept = healthy.unwrap_or(0) >= desired.unwrap_or(0) && desired.unwrap_or(0) > 0;
    !is_ready && (text(budget, "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow" || kept)
}

fn check(budget: &Value) -> Result<(), StatusError> {
    let refuse = |detail: String| {
        let cause = StatusCause { field: None, message: Some(detail), reason: Some("DisruptionBudget".to_owned()) };
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        Err(StatusError::new(429, "TooManyRequests", message).with_causes(vec![cause]))
    };
    let name = text(budget, "/metadata/name");
    if number(budget, "/status/observedGeneration").unwrap_or(0) < number(budget, "/metadata/generation").unwrap_or(0) {
        return refuse(format!("The disruption budget {name} is still being processed by the server."))
            .map_err(|error| error.retry_after(10));
    }
    if number(budget, "/status/disruptionsAllowed").unwrap_or(0) <= 0 {
        let desired = number(budget, "/status/desiredHealthy").unwrap_or(0);
        let healthy = number(budget, "/status/currentHealthy").unwrap_or(0);
        return refuse(format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"));
    }
    Ok(())
}
