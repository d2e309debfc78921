//! Jobs and CronJobs (pkg/apis/batch/validation).

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1,
    jiff::tz::{TimeZone, db},
};
use serde_json::{Value, json};

use super::{Errors, job_policies, names, pod, selector, text};
use crate::{schedule::Schedule, selector::LabelSelector, status::FieldError};

/// The longest name of a CronJob; its Jobs have eleven more characters.
const CRON_NAME: usize = 52;

/// The most Pods of an indexed Job at a time.
const INDEXED_PARALLELISM: i64 = 100_000;

/// Checks a Job; on an update, only what can change.
pub(super) fn check(job: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &job["spec"];
    if old.is_none() {
        own_selector(job, errors);
    }
    check_spec(spec, "spec", old.is_none(), errors);
    if old.is_some() {
        return;
    }
    if spec.get("selector").is_none() {
        errors.required("spec.selector");
    }
    selector::check(&spec["selector"], "spec.selector", errors);
    let labels = &spec["template"]["metadata"]["labels"];
    if spec.get("selector").is_none() || !is_matched_by(labels, &spec["selector"]) {
        errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    if let (Some(completions), "Indexed") = (spec["completions"].as_i64(), text(spec, "completionMode"))
        && completions > 0
    {
        let name = text(&job["metadata"], "name");
        let host = format!("{name}-{}", completions - 1);
        if !names::label(&host).is_empty() {
            let problem = format!("will not able to create pod with invalid DNS label: {host}");
            errors.invalid("metadata.name", &job["metadata"]["name"], &problem);
        }
    }
}

/// Checks that the selector is the one that the server makes, and the template has the labels that it selects.
fn own_selector(job: &Value, errors: &mut Errors) {
    if job["spec"]["manualSelector"] == true || job["spec"].get("selector").is_none() {
        return;
    }
    let (name, uid) = (text(&job["metadata"], "name"), text(&job["metadata"], "uid"));
    let expected = json!({
        "controller-uid": uid, "job-name": name, "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name,
    });
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    let path = "spec.template.metadata";
    for key in ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"] {
        let wanted = text(&expected, key);
        match labels[key].as_str() {
            None => errors.push(FieldError::required(format!("{path}.labels[{key}]"), &format!("must be '{wanted}'"))),
            Some(found) if found != wanted => {
                errors.invalid(format!("{path}.labels[{key}]"), labels, &format!("must be '{wanted}'"));
            }
            Some(_) => {}
        }
    }
    if !is_matched_by(&expected, &job["spec"]["selector"]) {
        errors.invalid("spec.selector", &job["spec"]["selector"], "`selector` not auto-generated");
    }
}

fn is_matched_by(labels: &Value, selector: &Value) -> bool {
    let selector: Option<v1::LabelSelector> = serde_json::from_value(selector.clone()).ok();
    // What is no selector is told of elsewhere.
    selector.as_ref().and_then(|given| LabelSelector::from_api(given).ok()).is_none_or(|given| given.matches_value(labels))
}

fn check_spec(spec: &Value, path: &str, is_new: bool, errors: &mut Errors) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        errors.not_negative(spec, path, field);
    }
    if !is_new {
        return;
    }
    if spec.get("maxFailedIndexes").is_some() && spec.get("backoffLimitPerIndex").is_none() {
        errors.push(FieldError::required(format!("{path}.backoffLimitPerIndex"), "when maxFailedIndexes is specified"));
    }
    let (most, completions) = (&spec["maxFailedIndexes"], spec["completions"].as_i64());
    if let (Some(failed), Some(completions)) = (most.as_i64(), completions)
        && failed > completions
    {
        errors.invalid(format!("{path}.maxFailedIndexes"), most, "must be less than or equal to completions");
    }
    if spec["managedBy"].as_str().is_some_and(|manager| !manager.contains('/')) {
        let problem = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.invalid(format!("{path}.managedBy"), &spec["managedBy"], problem);
    }
    completion_mode(spec, path, errors);
    job_policies::failure(spec, path, errors);
    let failed = if spec.get("podFailurePolicy").is_some() { &["Failed"][..] } else { &["Failed", "TerminatingOrFailed"] };
    if let Some(policy) = spec["podReplacementPolicy"].as_str().filter(|policy| !failed.contains(policy)) {
        errors.push(FieldError::not_supported(format!("{path}.podReplacementPolicy"), policy, failed));
    }
    pod::template(&spec["template"], &format!("{path}.template"), errors);
    let restart = format!("{path}.template.spec.restartPolicy");
    match text(&spec["template"]["spec"], "restartPolicy") {
        "Always" | "" => errors.push(FieldError::required(restart, "valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if spec.get("podFailurePolicy").is_some() => {
            errors.invalid(restart, &json!("OnFailure"), "only \"Never\" is supported when podFailurePolicy is specified");
        }
        "OnFailure" | "Never" => {}
        other => errors.push(FieldError::not_supported(restart, other, &["OnFailure", "Never"])),
    }
}

fn completion_mode(spec: &Value, path: &str, errors: &mut Errors) {
    errors.one_of(spec, path, "completionMode", &["NonIndexed", "Indexed"]);
    match text(spec, "completionMode") {
        "Indexed" => {
            if spec.get("completions").is_none() {
                errors.push(FieldError::required(format!("{path}.completions"), "when completion mode is Indexed"));
            }
            if spec["parallelism"].as_i64().is_some_and(|pods| pods > INDEXED_PARALLELISM) {
                let problem = format!("must be less than or equal to {INDEXED_PARALLELISM} when completion mode is Indexed");
                errors.invalid(format!("{path}.parallelism"), &spec["parallelism"], &problem);
            }
            job_policies::success(spec, path, errors);
        }
        "NonIndexed" | "" => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(value) = spec.get(field) {
                    errors.invalid(format!("{path}.{field}"), value, "requires indexed completion mode");
                }
            }
            if let Some(policy) = spec.get("successPolicy") {
                let (path, shown) = (format!("{path}.successPolicy"), job_policies::shown(policy));
                errors.push(FieldError::invalid_text(path, &shown, "requires indexed completion mode"));
            }
        }
        _ => {}
    }
}

/// Checks a CronJob; on an update, against what it was.
pub(super) fn cron(cron: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &cron["spec"];
    let template = &spec["jobTemplate"]["spec"];
    check_spec(template, "spec.jobTemplate.spec", true, errors);
    if let Some(selector) = template.get("selector") {
        errors.invalid("spec.jobTemplate.spec.selector", selector, "`selector` will be auto-generated");
    }
    if template["manualSelector"] == true {
        let path = "spec.jobTemplate.spec.manualSelector";
        errors.push(FieldError::not_supported_value(path, &json!(true), &["nil", "false"]));
    }
    let written = text(spec, "schedule");
    if written.is_empty() {
        errors.required("spec.schedule");
    } else {
        schedule(written, spec, old, errors);
    }
    errors.not_negative(spec, "spec", "startingDeadlineSeconds");
    if old.is_none_or(|old| old["spec"]["timeZone"] != spec["timeZone"]) {
        time_zone(&spec["timeZone"], errors);
    }
    errors.one_of(spec, "spec", "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    errors.not_negative(spec, "spec", "successfulJobsHistoryLimit");
    errors.not_negative(spec, "spec", "failedJobsHistoryLimit");
    if old.is_none() && text(&cron["metadata"], "name").len() > CRON_NAME {
        let problem = format!("must be no more than {CRON_NAME} characters");
        errors.invalid("metadata.name", &cron["metadata"]["name"], &problem);
    }
}

fn schedule(written: &str, spec: &Value, old: Option<&Value>, errors: &mut Errors) {
    if let Err(problem) = Schedule::parse(written) {
        errors.invalid("spec.schedule", &spec["schedule"], &problem);
    }
    let had_zone = old.is_some_and(|old| text(&old["spec"], "schedule").contains("TZ"));
    if written.contains("TZ") && !had_zone {
        let problem = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.invalid("spec.schedule", &spec["schedule"], problem);
    }
}

fn time_zone(zone: &Value, errors: &mut Errors) {
    let Some(name) = zone.as_str() else { return };
    if name.is_empty() {
        errors.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string");
    } else if name.eq_ignore_ascii_case("local") {
        let problem = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.invalid("spec.timeZone", zone, problem);
    } else if !name.split('/').all(is_zone_part) || (TimeZone::get(name).is_err() && !db().is_definitively_empty()) {
        // A machine without a database of time zones cannot tell.
        errors.invalid("spec.timeZone", zone, &format!("unknown time zone {name}"));
    }
}

fn is_zone_part(part: &str) -> bool {
    let is_legal = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte));
    is_legal && (1..=14).contains(&part.len()) && ![".", ".."].contains(&part) && !part.starts_with('-')
}
