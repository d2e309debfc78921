//! Disruption budgets (pkg/apis/policy/validation).

use serde_json::{Value, json};

use super::{
    Errors, selector,
    workloads::{at_most_all, count_or_percentage},
};

/// Checks a disruption budget.
pub(super) fn check(spec: &Value, errors: &mut Errors) {
    if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
        let problem = "minAvailable and maxUnavailable cannot be both set";
        errors.invalid("spec", &json!({}), problem);
    }
    for field in ["minAvailable", "maxUnavailable"] {
        count_or_percentage(&spec[field], &format!("spec.{field}"), errors);
        at_most_all(&spec[field], &format!("spec.{field}"), errors);
    }
    selector::check(&spec["selector"], "spec.selector", errors);
    errors.one_of(spec, "spec", "unhealthyPodEvictionPolicy", &["AlwaysAllow", "IfHealthyBudget"]);
}
