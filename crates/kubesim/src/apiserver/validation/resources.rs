//! Requests and limits (pkg/apis/core/validation:validateResourceRequirements).

use serde_json::Value;

use super::{Errors, names};
use crate::{quantity::Amount, status::FieldError};

/// What every container can ask for.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Checks the resources of a container at `path`.
pub(super) fn check(resources: &Value, path: &str, errors: &mut Errors) {
    let amounts = |kind: &str| resources[kind].as_object().into_iter().flatten();
    for (name, amount) in amounts("limits") {
        one(name, amount, &format!("{path}.limits[{name}]"), errors);
    }
    for (name, request) in amounts("requests") {
        one(name, request, &format!("{path}.requests[{name}]"), errors);
        let limit = &resources["limits"][name.as_str()];
        if limit.is_null() && !is_divisible(name) {
            errors.push(FieldError::required(format!("{path}.limits"), "Limit must be set for non overcommitable resources"));
        }
        if let (Some(wanted), Some(most)) = (thousandths(request), thousandths(limit)) {
            let limit = limit.as_str().unwrap_or_default();
            if wanted != most && !is_divisible(name) {
                errors.invalid(format!("{path}.requests"), request, &format!("must be equal to {name} limit of {limit}"));
            } else if wanted > most {
                let problem = format!("must be less than or equal to {name} limit of {limit}");
                errors.invalid(format!("{path}.requests"), request, &problem);
            }
        }
    }
    let has = |matches: &dyn Fn(&str) -> bool| ["limits", "requests"].into_iter().flat_map(amounts).any(|(name, _)| matches(name));
    if has(&is_huge_page) && !has(&|name| ["cpu", "memory"].contains(&name)) {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

fn one(name: &str, amount: &Value, path: &str, errors: &mut Errors) {
    resource_name(name, path, errors);
    let Some(parsed) = amount.as_str().and_then(|text| text.parse::<Amount>().ok()) else { return };
    if parsed.is_negative() {
        errors.invalid(path, amount, "must be greater than or equal to 0");
    }
    if is_extended(name) && !parsed.is_whole() {
        errors.invalid(path, amount, "must be an integer");
    }
}

fn resource_name(name: &str, path: &str, errors: &mut Errors) {
    let problems = names::qualified_name(name);
    if !problems.is_empty() {
        errors.misnamed(path, name, problems);
    } else if !name.contains('/') {
        if !STANDARD.contains(&name) && !is_huge_page(name) {
            // Some names are standard only where quotas are.
            let quota = ["pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "resourcequotas", "storage"];
            if !quota.contains(&name) && !name.starts_with("requests.") && !name.starts_with("limits.") {
                let problem = "must be a standard resource type or fully qualified";
                errors.invalid(path, &Value::String(name.to_owned()), problem);
            }
            errors.invalid(path, &Value::String(name.to_owned()), "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.invalid(path, &Value::String(name.to_owned()), "doesn't follow extended resource name standard");
    }
}

fn thousandths(amount: &Value) -> Option<i128> {
    Some(amount.as_str()?.parse::<Amount>().ok()?.thousandths())
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether a container can be limited to more than it requests.
fn is_divisible(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}
