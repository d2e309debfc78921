//! What makes Pods: deployments, replica sets, daemon sets, jobs … (pkg/apis/apps/validation, pkg/apis/batch/validation).

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use serde_json::{Value, json};

use super::{Errors, labels, pod, text};
use crate::{resource::Resource, selector::LabelSelector, status::FieldError};

/// Checks an object of the groups `apps` and `batch`; on an update, against what it was.
pub(super) fn check(resource: &Resource, object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    match resource.plural {
        "deployments" => {
            controller(spec, errors);
            for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
                errors.not_negative(spec, "spec", field);
            }
            let (deadline, ready) = (&spec["progressDeadlineSeconds"], spec["minReadySeconds"].as_i64().unwrap_or(0));
            if deadline.as_i64().is_some_and(|deadline| deadline >= 0 && deadline <= ready) {
                errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
            }
            strategy(&spec["strategy"], "spec.strategy", &["Recreate", "RollingUpdate"], errors);
            always_restarted(spec, errors);
        }
        "replicasets" => {
            controller(spec, errors);
            errors.not_negative(spec, "spec", "minReadySeconds");
            always_restarted(spec, errors);
        }
        "daemonsets" => {
            controller(spec, errors);
            strategy(&spec["updateStrategy"], "spec.updateStrategy", &["RollingUpdate", "OnDelete"], errors);
            always_restarted(spec, errors);
        }
        "jobs" => job(spec, "spec", old.is_none(), errors),
        "cronjobs" => cron_job(spec, errors),
        _ => {}
    }
}

/// Checks a disruption budget.
pub(super) fn budget(spec: &Value, errors: &mut Errors) {
    if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
        let problem = "minAvailable and maxUnavailable cannot be both set";
        errors.invalid("spec", &json!({}), problem);
    }
}

fn controller(spec: &Value, errors: &mut Errors) {
    errors.not_negative(spec, "spec", "replicas");
    let template_labels = &spec["template"]["metadata"]["labels"];
    let selector: Option<v1::LabelSelector> = spec.get("selector").and_then(|s| serde_json::from_value(s.clone()).ok());
    let parsed = match selector {
        None => {
            errors.required("spec.selector");
            None
        }
        Some(selector) => match LabelSelector::from_api(&selector) {
            Ok(parsed) if parsed.is_empty() => {
                errors.invalid("spec.selector", &spec["selector"], "empty selector is invalid for deployment");
                None
            }
            Ok(parsed) => Some(parsed),
            Err(problem) => {
                errors.invalid("spec.selector", &spec["selector"], &problem);
                None
            }
        },
    };
    if !parsed.is_some_and(|selector| selector.matches_value(template_labels)) {
        let problem = "`selector` does not match template `labels`";
        errors.invalid("spec.template.metadata.labels", template_labels, problem);
    }
    labels(template_labels, "spec.template.labels", errors);
    pod::spec(&spec["template"]["spec"], "spec.template.spec", errors);
}

fn always_restarted(spec: &Value, errors: &mut Errors) {
    let policy = text(&spec["template"]["spec"], "restartPolicy");
    if ["OnFailure", "Never"].contains(&policy) {
        errors.push(FieldError::not_supported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
}

fn strategy(strategy: &Value, path: &str, kinds: &[&str], errors: &mut Errors) {
    errors.one_of(strategy, path, "type", kinds);
    let rolling = &strategy["rollingUpdate"];
    let path = format!("{path}.rollingUpdate");
    match text(strategy, "type") {
        "Recreate" if !rolling.is_null() => {
            errors.push(FieldError::forbidden(path, "may not be specified when strategy `type` is 'Recreate'"));
        }
        "RollingUpdate" => {
            for field in ["maxUnavailable", "maxSurge"] {
                if !is_count_or_percentage(&rolling[field]) {
                    let problem = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                                   '93%', regex used for validation is '[0-9]+%')";
                    errors.invalid(format!("{path}.{field}"), &rolling[field], problem);
                }
            }
            if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
                let problem = "may not be 0 when `maxSurge` is 0";
                errors.invalid(format!("{path}.maxUnavailable"), &rolling["maxUnavailable"], problem);
            }
        }
        _ => {}
    }
}

fn is_count_or_percentage(value: &Value) -> bool {
    match value {
        Value::String(text) => text.strip_suffix('%').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())),
        Value::Number(number) => number.as_i64().is_some_and(|number| number >= 0),
        _ => value.is_null(),
    }
}

fn is_zero(value: &Value) -> bool {
    *value == json!(0) || value.as_str().is_some_and(|text| text.trim_end_matches('%').parse() == Ok(0_i64))
}

fn job(spec: &Value, path: &str, is_new: bool, errors: &mut Errors) {
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        errors.not_negative(spec, path, field);
    }
    if !is_new {
        return;
    }
    let policy = text(&spec["template"]["spec"], "restartPolicy");
    pod::spec(&spec["template"]["spec"], &format!("{path}.template.spec"), errors);
    if !["OnFailure", "Never"].contains(&policy) {
        let path = format!("{path}.template.spec.restartPolicy");
        errors.push(FieldError::required(path, "valid values: \"OnFailure\", \"Never\""));
    }
}

fn cron_job(spec: &Value, errors: &mut Errors) {
    let schedule = text(spec, "schedule");
    if schedule.is_empty() {
        errors.required("spec.schedule");
    } else if let Some(problem) = schedule_problem(schedule) {
        errors.invalid("spec.schedule", &spec["schedule"], &problem);
    }
    errors.one_of(spec, "spec", "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        errors.not_negative(spec, "spec", field);
    }
    job(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", true, errors);
}

/// What is wrong with a schedule (github.com/robfig/cron).
fn schedule_problem(schedule: &str) -> Option<String> {
    if let Some(name) = schedule.strip_prefix('@') {
        let known = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"];
        let every = name.starts_with("every ");
        return (!known.contains(&name) && !every).then(|| format!("unrecognized descriptor: {schedule}"));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != 5 {
        return Some(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "*/,-?".contains(c);
    let wrong = fields.iter().find(|field| !field.chars().all(legal))?;
    Some(format!("failed to parse int from {wrong}"))
}
