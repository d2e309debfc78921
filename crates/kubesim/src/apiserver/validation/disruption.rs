//! Disruption budgets (pkg/apis/policy/validation).

use serde_json::Value;

use super::{
    Errors, selector,
    workloads::{at_most_all, count_or_percentage},
};
use crate::status::FieldError;

/// Checks a disruption budget.
pub(super) fn check(spec: &Value, errors: &mut Errors) {
    if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
        let problem = "minAvailable and maxUnavailable cannot be both set";
        let shown = ["minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy"]
            .map(|field| format!("{:?}:{}", super::capitalised(field), spec[field]));
        errors.push(FieldError::invalid_text("spec", &format!("{{{}}}", shown.join(",")), problem));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        count_or_percentage(&spec[field], &format!("spec.{field}"), errors);
        at_most_all(&spec[field], &format!("spec.{field}"), errors);
    }
    selector::check(&spec["selector"], "spec.selector", errors);
    errors.one_of(spec, "spec", "unhealthyPodEvictionPolicy", &["AlwaysAllow", "IfHealthyBudget"]);
}
