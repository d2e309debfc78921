//! Leases (pkg/apis/coordination/validation).

use serde_json::Value;

use super::Errors;

/// Checks a lease.
pub(super) fn check(spec: &Value, errors: &mut Errors) {
    let duration = &spec["leaseDurationSeconds"];
    if duration.as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0");
    }
    errors.not_negative(spec, "spec", "leaseTransitions");
}
