//! When a Job fails or succeeds before its time (pkg/apis/batch/validation:validatePodFailurePolicy, validateSuccessPolicy).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Errors, list, names, text};
use crate::status::FieldError;

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];

/// Checks the policy for failed Pods of a Job's spec.
pub(super) fn failure(spec: &Value, path: &str, errors: &mut Errors) {
    let template = &spec["template"]["spec"];
    let containers: BTreeSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|field| list(template, field))
        .map(|container| text(container, "name"))
        .collect();
    for (index, rule) in list(&spec["podFailurePolicy"], "rules").iter().enumerate() {
        let path = format!("{path}.podFailurePolicy.rules[{index}]");
        action(rule, spec, &path, errors);
        let (codes, conditions) = (rule.get("onExitCodes"), list(rule, "onPodConditions"));
        if let Some(codes) = codes {
            exit_codes(codes, &containers, &format!("{path}.onExitCodes"), errors);
        }
        for (index, condition) in conditions.iter().enumerate() {
            let path = format!("{path}.onPodConditions[{index}]");
            let kind = text(condition, "type");
            errors.misnamed(&format!("{path}.type"), kind, names::qualified_name(kind));
            errors.one_of(condition, &path, "status", &["False", "True", "Unknown"]);
        }
        let problem = match (codes.is_some(), !conditions.is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        errors.push(FieldError { path, reason: "FieldValueInvalid", message: format!("Invalid value: {problem}") });
    }
}

fn action(rule: &Value, spec: &Value, path: &str, errors: &mut Errors) {
    match text(rule, "action") {
        "" => {
            let problem = format!("valid values: [{}]", ACTIONS.map(|action| format!("{action:?}")).join(" "));
            errors.push(FieldError::required(format!("{path}.action"), &problem));
        }
        "FailIndex" if spec.get("backoffLimitPerIndex").is_none() => {
            errors.invalid(format!("{path}.action"), &rule["action"], "requires the backoffLimitPerIndex to be set");
        }
        _ => errors.one_of(rule, path, "action", &ACTIONS),
    }
}

fn exit_codes(codes: &Value, containers: &BTreeSet<&str>, path: &str, errors: &mut Errors) {
    let operator = text(codes, "operator");
    if operator.is_empty() {
        errors.push(FieldError::required(format!("{path}.operator"), "valid values: [\"In\" \"NotIn\"]"));
    } else {
        errors.one_of(codes, path, "operator", &["In", "NotIn"]);
    }
    let name = &codes["containerName"];
    if name.as_str().is_some_and(|name| !containers.contains(name)) {
        let problem = "must be one of the container or initContainer names in the pod template";
        errors.invalid(format!("{path}.containerName"), name, problem);
    }
    let values = list(codes, "values");
    if values.is_empty() {
        errors.invalid(format!("{path}.values"), &json!([]), "at least one value is required");
    }
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        let path = format!("{path}.values[{index}]");
        if *value == 0 && operator == "In" {
            errors.invalid(&path, value, "must not be 0 for the In operator");
        }
        if !seen.insert(value.as_i64()) {
            errors.push(FieldError::duplicate(path, value));
        }
    }
    if !values.is_sorted_by_key(Value::as_i64) {
        errors.invalid(format!("{path}.values"), &codes["values"], "must be ordered");
    }
}

/// Checks the policy for success of an indexed Job's spec.
pub(super) fn success(spec: &Value, path: &str, errors: &mut Errors) {
    let Some(policy) = spec.get("successPolicy") else { return };
    let path = format!("{path}.successPolicy.rules");
    let rules = list(policy, "rules");
    if rules.is_empty() {
        errors.push(FieldError::required(&path, "at least one rules must be specified when the successPolicy is specified"));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if rule.get("succeededCount").is_none() && rule.get("succeededIndexes").is_none() {
            errors.push(FieldError::required(&path, "at least one of succeededCount or succeededIndexes must be specified"));
        }
        let (count, completions) = (&rule["succeededCount"], &spec["completions"]);
        if let (Some(wanted), Some(most)) = (count.as_i64(), completions.as_i64())
            && wanted > most
        {
            let problem = format!("must be less than or equal to {most} (the number of specified completions)");
            errors.invalid(format!("{path}.succeededCount"), count, &problem);
        }
    }
}

/// The rules as the real server shows them: in its own form.
pub(super) fn shown(policy: &Value) -> String {
    let rules = list(policy, "rules").iter();
    let rules = rules
        .map(|rule| format!("{{\"SucceededIndexes\":{},\"SucceededCount\":{}}}", rule["succeededIndexes"], rule["succeededCount"]));
    format!("{{\"Rules\":[{}]}}", rules.collect::<Vec<_>>().join(","))
}
