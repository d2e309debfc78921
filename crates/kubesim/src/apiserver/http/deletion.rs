//! How something is to be deleted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde_json::json;

use super::{
    super::{DeleteOptions, Propagation},
    Incoming, body,
    object::read,
};
use crate::{
    resource::{JOBS, Resource},
    status::{FieldError, StatusError},
};

/// What is said to those who delete a Job without saying what becomes of its Pods (pkg/registry/batch/job/storage).
const PODS_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
                         them or set propagationPolicy=Orphan to suppress this warning";

/// How to delete, from the body or the parameters, and whether to do so only as if.
pub(super) fn delete_options(resource: &Resource, request: &Incoming) -> Result<(DeleteOptions, bool), StatusError> {
    let given = if request.body.is_empty() {
        meta::DeleteOptions::default()
    } else {
        let value = body::document("DeleteOptions", request.content_type(), &request.body)?;
        if value["kind"].as_str().is_some_and(|kind| kind != "DeleteOptions") {
            return Err(StatusError::bad_request(format!("the body of a deletion is no {}, but DeleteOptions", value["kind"])));
        }
        read("DeleteOptions", &value)?
    };
    let dry_run = is_dry(&given);
    check_delete_options(&given)?;
    let mut options = read_delete_options(given)?;
    if let Some(seconds) = request.query.number("gracePeriodSeconds")? {
        options.grace_period_seconds = Some(seconds);
    }
    let policy = request.query.text("propagationPolicy");
    if !policy.is_empty() {
        options.propagation = Some(propagation(policy)?);
    }
    if resource == &JOBS && options.propagation.is_none() {
        options.propagation = Some(Propagation::Orphan);
        request.warn(PODS_STAY);
    }
    Ok((options, dry_run))
}

/// Checks what goes together (apimachinery/pkg/apis/meta/v1/validation).
fn check_delete_options(options: &meta::DeleteOptions) -> Result<(), StatusError> {
    let stages = options.dry_run.clone().unwrap_or_default();
    let error = match &options.propagation_policy {
        Some(policy) if options.orphan_dependents.is_some() => {
            let problem = "orphanDependents and deletionPropagation cannot be both set";
            FieldError::invalid("propagationPolicy", &json!(policy), problem)
        }
        _ if stages.iter().any(|stage| stage != "All") => FieldError::not_supported_value("dryRun", &json!(stages), &["All"]),
        _ => return Ok(()),
    };
    Err(StatusError::invalid("meta.k8s.io", "DeleteOptions", "", vec![error]))
}

/// Whether the options in a body ask for a dry run.
pub(super) fn is_dry(options: &meta::DeleteOptions) -> bool {
    options.dry_run.iter().flatten().any(|stage| stage == "All")
}

pub(super) fn read_delete_options(given: meta::DeleteOptions) -> Result<DeleteOptions, StatusError> {
    let orphans = |orphan| if orphan { Propagation::Orphan } else { Propagation::Background };
    let preconditions = given.preconditions.unwrap_or_default();
    Ok(DeleteOptions {
        grace_period_seconds: given.grace_period_seconds,
        propagation: match given.propagation_policy {
            Some(policy) => Some(propagation(&policy)?),
            None => given.orphan_dependents.map(orphans),
        },
        uid: preconditions.uid,
        resource_version: preconditions.resource_version,
    })
}

fn propagation(policy: &str) -> Result<Propagation, StatusError> {
    match policy {
        "Orphan" => Ok(Propagation::Orphan),
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        other => {
            let error = FieldError::not_supported("propagationPolicy", other, &["Foreground", "Background", "Orphan", "nil"]);
            Err(StatusError::invalid("meta.k8s.io", "DeleteOptions", "", vec![error]))
        }
    }
}
