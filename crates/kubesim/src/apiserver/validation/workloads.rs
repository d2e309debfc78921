//! What keeps Pods: deployments, replica sets, daemon sets (pkg/apis/apps/validation).

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use serde_json::{Value, json};

use super::{Errors, job, pod, selector, text};
use crate::{resource::Resource, selector::LabelSelector, status::FieldError};

/// Checks an object of the groups `apps` and `batch`; on an update, against what it was.
pub(super) fn check(resource: &Resource, object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    match resource.plural {
        "deployments" => deployment(spec, errors),
        "replicasets" => {
            // The real server says so of replica sets, too.
            controller(spec, "ReplicaSet", "deployment", errors);
            errors.not_negative(spec, "spec", "minReadySeconds");
        }
        "daemonsets" => {
            controller(spec, "DaemonSet", "daemonset", errors);
            errors.not_negative(spec, "spec", "minReadySeconds");
            daemon_strategy(&spec["updateStrategy"], errors);
            errors.not_negative(spec, "spec", "revisionHistoryLimit");
        }
        "jobs" => job::check(object, old, errors),
        "cronjobs" => job::cron(object, old, errors),
        "controllerrevisions" => {
            if object.get("data").is_none() {
                errors.push(FieldError::required("data", "data is mandatory"));
            }
            errors.not_negative(object, "", "revision");
        }
        _ => {}
    }
}

fn deployment(spec: &Value, errors: &mut Errors) {
    controller(spec, "ReplicaSet", "deployment", errors);
    deployment_strategy(&spec["strategy"], errors);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        errors.not_negative(spec, "spec", field);
    }
    let (deadline, ready) = (&spec["progressDeadlineSeconds"], spec["minReadySeconds"].as_i64().unwrap_or(0));
    if deadline.as_i64().is_some_and(|deadline| deadline <= ready) {
        errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }
}

/// Checks replicas, selector and template; `kind` is whose Pods cannot have a deadline, `called` who may not select all.
fn controller(spec: &Value, kind: &str, called: &str, errors: &mut Errors) {
    errors.not_negative(spec, "spec", "replicas");
    let labels = &spec["template"]["metadata"]["labels"];
    if !selects(spec, labels, kind, called, errors) {
        return;
    }
    pod::template(&spec["template"], "spec.template", errors);
    let policy = text(&spec["template"]["spec"], "restartPolicy");
    if policy != "Always" {
        errors.push(FieldError::not_supported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
    if spec["template"]["spec"].get("activeDeadlineSeconds").is_some() {
        let problem = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.forbidden("spec.template.spec.activeDeadlineSeconds", &problem);
    }
}

/// Checks the selector; whether the template is worth looking at.
fn selects(spec: &Value, labels: &Value, kind: &str, called: &str, errors: &mut Errors) -> bool {
    let given: Option<v1::LabelSelector> = spec.get("selector").and_then(|s| serde_json::from_value(s.clone()).ok());
    let known = errors.list.len();
    selector::check(&spec["selector"], "spec.selector", errors);
    let is_legal = errors.list.len() == known;
    let parsed = given.as_ref().and_then(|given| LabelSelector::from_api(given).ok());
    let is_empty = parsed.as_ref().is_some_and(LabelSelector::is_empty);
    if given.is_none() {
        if kind != "DaemonSet" {
            errors.required("spec.selector");
        }
    } else if is_empty {
        errors.invalid("spec.selector", &selector::shown(&spec["selector"]), &format!("empty selector is invalid for {called}"));
    }
    if !is_legal {
        if kind != "DaemonSet" {
            let problem = if kind == "ReplicaSet" { "invalid label selector" } else { "" };
            errors.invalid("spec.selector", &selector::shown(&spec["selector"]), problem);
        }
        return kind == "DaemonSet";
    }
    if !is_empty && !parsed.is_some_and(|selector| selector.matches_value(labels)) {
        errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    true
}

fn deployment_strategy(strategy: &Value, errors: &mut Errors) {
    strategy_type(strategy, "spec.strategy", &["Recreate", "RollingUpdate"], errors);
    let rolling = &strategy["rollingUpdate"];
    let path = "spec.strategy.rollingUpdate";
    match text(strategy, "type") {
        "Recreate" if !rolling.is_null() => {
            errors.forbidden(path, "may not be specified when strategy `type` is 'Recreate'");
        }
        "RollingUpdate" => {
            count_or_percentage(&rolling["maxUnavailable"], &format!("{path}.maxUnavailable"), errors);
            count_or_percentage(&rolling["maxSurge"], &format!("{path}.maxSurge"), errors);
            if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
                let problem = "may not be 0 when `maxSurge` is 0";
                errors.invalid(format!("{path}.maxUnavailable"), &rolling["maxUnavailable"], problem);
            }
            at_most_all(&rolling["maxUnavailable"], &format!("{path}.maxUnavailable"), errors);
        }
        _ => {}
    }
}

fn daemon_strategy(strategy: &Value, errors: &mut Errors) {
    strategy_type(strategy, "spec.updateStrategy", &["RollingUpdate", "OnDelete"], errors);
    if text(strategy, "type") != "RollingUpdate" {
        return;
    }
    let rolling = &strategy["rollingUpdate"];
    let path = "spec.updateStrategy.rollingUpdate";
    for check in [count_or_percentage, at_most_all] {
        for field in ["maxUnavailable", "maxSurge"] {
            check(&rolling[field], &format!("{path}.{field}"), errors);
        }
    }
    match (is_zero(&rolling["maxUnavailable"]), is_zero(&rolling["maxSurge"])) {
        (true, true) => {
            errors.push(FieldError::required(format!("{path}.maxUnavailable"), "cannot be 0 when maxSurge is 0"));
        }
        (false, false) => {
            let problem = "may not be set when maxUnavailable is non-zero";
            errors.invalid(format!("{path}.maxSurge"), &rolling["maxSurge"], problem);
        }
        _ => {}
    }
}

/// The real server shows the whole strategy, in its own form.
fn strategy_type(strategy: &Value, path: &str, known: &[&str], errors: &mut Errors) {
    let kind = text(strategy, "type");
    if !known.contains(&kind) {
        let mut error = FieldError::not_supported(path, kind, known);
        let shown = format!("{{\"Type\":{kind:?},\"RollingUpdate\":{}}}", strategy["rollingUpdate"]);
        error.message = error.message.replacen(&format!("{kind:?}"), &shown, 1);
        errors.push(error);
    }
}

/// Checks what is a count or a percentage, if it is there.
pub(super) fn count_or_percentage(value: &Value, path: &str, errors: &mut Errors) {
    if value.as_i64().is_some_and(|count| count < 0) {
        errors.invalid(path, value, "must be greater than or equal to 0");
    }
    if value.is_string() && percentage(value).is_none() {
        let problem = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
                       used for validation is '[0-9]+%')";
        errors.invalid(path, value, problem);
    }
}

/// Checks that a percentage, if it is one, is not of more than there is.
pub(super) fn at_most_all(value: &Value, path: &str, errors: &mut Errors) {
    if percentage(value).is_some_and(|percentage| percentage > 100) {
        errors.invalid(path, value, "must not be greater than 100%");
    }
}

fn percentage(value: &Value) -> Option<u64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn is_zero(value: &Value) -> bool {
    // A text that is no number counts as none, too.
    let number = |text: &str| text.trim_end_matches('%').parse::<i64>().unwrap_or(0);
    *value == json!(0) || value.as_str().is_some_and(|text| number(text) == 0)
}
