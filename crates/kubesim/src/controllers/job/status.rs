//! The status of a Job (`job_controller.go:trackJobStatusAndRemoveFinalizers`).

use k8s_openapi::{
    api::batch::v1::{Job, JobCondition, JobStatus, UncountedTerminatedPods},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};

use super::{indexes, plan::Plan};
use crate::{Clock, recorder::EventType};

/// An event to be recorded once the status is written.
pub(super) type News = (EventType, String, String);

/// A condition of a Job that is True.
pub(super) fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

/// When the Job has completed or failed, if it has.
pub(super) fn finished_at(job: &Job) -> Option<Timestamp> {
    let condition = condition(job, "Complete").or_else(|| condition(job, "Failed"))?;
    condition.last_transition_time.as_ref().map(|time| time.0)
}

/// Notes which Pods are about to be counted, and how the Job ends if it does for them.
pub(super) fn note_uncounted(job: &mut Job, plan: &Plan, created: usize, clock: Clock) {
    let uids = |pods: &[std::sync::Arc<k8s_openapi::api::core::v1::Pod>]| {
        let uids: Vec<String> = pods.iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
        (!uids.is_empty()).then_some(uids)
    };
    let is_indexed = plan.completed_indexes.is_some();
    let status = job.status.get_or_insert_default();
    // An index that is completed cannot be counted twice.
    let succeeded = if is_indexed { None } else { uids(&plan.succeeded) };
    let uncounted = UncountedTerminatedPods { succeeded, failed: uids(&plan.failed) };
    if is_indexed {
        status.succeeded = counted(plan.total_succeeded);
        note_indexes(status, plan);
    }
    status.uncounted_terminated_pods = Some(uncounted);
    count_pods(status, plan, created);
    announce(status, plan, &clock.time());
}

fn count_pods(status: &mut JobStatus, plan: &Plan, created: usize) {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    status.active = counted(count(plan.active + created));
    status.ready = Some(count(plan.ready));
    status.terminating = Some(count(plan.terminating));
}

fn note_indexes(status: &mut JobStatus, plan: &Plan) {
    status.completed_indexes = plan.completed_indexes.as_ref().map(indexes::print).filter(|text| !text.is_empty());
    status.failed_indexes = plan.failed_indexes.as_ref().map(indexes::print);
}

fn counted(number: i32) -> Option<i32> {
    (number != 0).then_some(number)
}

/// Says that the Job ends, which it has when the last of its Pods is gone.
fn announce(status: &mut JobStatus, plan: &Plan, now: &Time) {
    if let Some(failure) = &plan.failure {
        set(status, "FailureTarget", "True", &failure.reason, &failure.message, now);
    } else if let Some((reason, message)) = &plan.success {
        set(status, "SuccessCriteriaMet", "True", reason, message, now);
    }
}

/// Brings the status to what the look has found and done; what is to be told about it.
pub(super) fn settle(job: &mut Job, plan: &Plan, created: usize, clock: Clock) -> Vec<News> {
    let mut news = Vec::new();
    let now = clock.time();
    let spec_suspends = plan.is_suspended;
    let mut status = job.status.take().unwrap_or_default();
    status.succeeded = counted(plan.total_succeeded);
    status.failed = counted(plan.total_failed);
    count_pods(&mut status, plan, created);
    status.uncounted_terminated_pods = Some(UncountedTerminatedPods::default());
    note_indexes(&mut status, plan);
    if status.start_time.is_none() && !spec_suspends {
        status.start_time = Some(now.clone());
    }
    suspend_or_resume(&mut status, spec_suspends, &now, &mut news);
    announce(&mut status, plan, &now);
    if plan.active + plan.terminating == 0 {
        finish(&mut status, plan, &now, &mut news);
    }
    job.status = Some(status);
    news
}

fn finish(status: &mut JobStatus, plan: &Plan, now: &Time, news: &mut Vec<News>) {
    if let Some(failure) = &plan.failure {
        if set(status, "Failed", "True", &failure.reason, &failure.message, now) {
            news.push((EventType::Warning, failure.reason.clone(), failure.message.clone()));
        }
    } else if let Some((reason, message)) = &plan.success
        && set(status, "Complete", "True", reason, message, now)
    {
        status.completion_time = Some(now.clone());
        news.push((EventType::Normal, "Completed".to_owned(), "Job completed".to_owned()));
    }
}

fn suspend_or_resume(status: &mut JobStatus, suspends: bool, now: &Time, news: &mut Vec<News>) {
    let known = status.conditions.iter().flatten().any(|condition| condition.type_ == "Suspended");
    if suspends && set(status, "Suspended", "True", "JobSuspended", "Job suspended", now) {
        status.start_time = None;
        news.push((EventType::Normal, "Suspended".to_owned(), "Job suspended".to_owned()));
    } else if !suspends && known && set(status, "Suspended", "False", "JobResumed", "Job resumed", now) {
        status.start_time = Some(now.clone());
        news.push((EventType::Normal, "Resumed".to_owned(), "Job resumed".to_owned()));
    }
}

/// Sets a condition; whether its status is new.
fn set(status: &mut JobStatus, kind: &str, value: &str, reason: &str, message: &str, now: &Time) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    if conditions.iter().any(|condition| condition.type_ == kind && condition.status == value) {
        return false;
    }
    conditions.retain(|condition| condition.type_ != kind);
    conditions.push(JobCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(now.clone()),
        last_transition_time: Some(now.clone()),
    });
    true
}
