//! The CronJob controller: Jobs at the times of a schedule (`pkg/controller/cronjob/cronjob_controllerv2.go`).

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{
    api::{
        batch::v1::{CronJob, Job},
        core::v1::ObjectReference,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::{SignedDuration, Timestamp, tz::TimeZone},
};
use tokio::task::JoinSet;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership,
    replicaset::is_namespace_terminating,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, DeleteOptions, Key, LoopbackClient, Propagation, StatusError,
    recorder::{EventType, Recorder, reference},
    schedule::Schedule,
    selector::Selection,
};

/// How long after its time a CronJob is looked at.
const LAG: Duration = Duration::from_millis(100);

/// With more missed times than this, the controller says that something is wrong.
const MANY_MISSED: usize = 100;

/// Runs the CronJob controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let mut tasks = JoinSet::new();
    let events = Recorder::start(component.part("events"), "cronjob-controller", None, &mut tasks);
    let controller = CronJobController {
        crons: Source::new(component.client.informer(Selection::all())?),
        jobs: Source::new(component.client.informer(Selection::all())?),
        means: Arc::new(Means { events, clock: component.clock, client: component.client }),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct CronJobController {
    crons: Source<CronJob>,
    jobs: Source<Job>,
    means: Arc<Means>,
}

struct Means {
    client: LoopbackClient,
    clock: Clock,
    events: Recorder,
}

impl Controller for CronJobController {
    type Item = Key;

    fn catch_up(&mut self, queue: &mut WorkQueue<Key>) {
        for delta in self.crons.changes() {
            queue.add(ownership::key_of(&delta.object().metadata));
        }
        for delta in self.jobs.changes() {
            if let Some(key) = ownership::controller_key(&delta.object().metadata, "CronJob") {
                queue.add(key);
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.crons.changed() => {}
            () = self.jobs.changed() => {}
        }
    }

    fn reconcile(&mut self, key: &Key) -> BoxFuture<'static, Outcome> {
        let Some(cron) = self.crons.get(&key.namespace, &key.name) else { return futures::future::ready(Ok(None)).boxed() };
        let uid = ownership::uid(&cron.metadata);
        let own = self.jobs.cache().in_namespace(&key.namespace).filter(|job| ownership::is_controlled_by(&job.metadata, uid));
        let own = own.cloned().collect();
        Arc::clone(&self.means).reconcile(CronJob::clone(&cron), own).boxed()
    }
}

/// How a Job has ended.
fn end_of(job: &Job) -> Option<(&str, Option<Timestamp>)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let ended = |condition: &&k8s_openapi::api::batch::v1::JobCondition| {
        matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
    };
    let condition = conditions.iter().find(ended)?;
    Some((&condition.type_, condition.last_transition_time.as_ref().map(|time| time.0)))
}

fn refer_to(job: &Job) -> ObjectReference {
    let mut found = reference(job);
    found.field_path = None;
    found
}

impl Means {
    async fn reconcile(self: Arc<Self>, mut cron: CronJob, jobs: Vec<Arc<Job>>) -> Outcome {
        let before = cron.status.clone();
        self.take_stock(&mut cron, &jobs);
        self.clean_up(&cron, &jobs).await?;
        let again = if cron.metadata.deletion_timestamp.is_some() || cron.spec.suspend == Some(true) {
            None
        } else {
            self.start_if_due(&mut cron, &jobs).await?
        };
        if cron.status != before {
            match self.client.update_status(&cron).await {
                // Somebody has written meanwhile: the change queues the CronJob again, and it is looked at anew.
                Err(error) if error.is_conflict() || error.is_not_found() => return Ok(None),
                other => other?,
            };
        }
        Ok(again)
    }

    /// Notes which Jobs run, and tells of those that have ended.
    fn take_stock(&self, cron: &mut CronJob, jobs: &[Arc<Job>]) {
        let mut active = cron.status.as_ref().and_then(|status| status.active.clone()).unwrap_or_default();
        for job in jobs.iter().filter(|job| end_of(job).is_none()) {
            if !active.iter().any(|known| known.uid == job.metadata.uid) {
                let message = format!("Saw a job that the controller did not create or forgot: {}", ownership::name(&job.metadata));
                self.events.event(&reference(cron), EventType::Warning, "UnexpectedJob", message);
            }
        }
        let mut ended = Vec::new();
        active.retain(|known| match jobs.iter().find(|job| job.metadata.uid == known.uid) {
            None => false,
            Some(job) => {
                let end = end_of(job);
                if let Some((end, time)) = end {
                    ended.push((ownership::name(&job.metadata).to_owned(), end.to_owned(), time));
                }
                end.is_none()
            }
        });
        for (name, end, time) in ended {
            let message = format!("Saw completed job: {name}, condition: {end}");
            self.events.event(&reference(cron), EventType::Normal, "SawCompletedJob", message);
            if end == "Complete" {
                let status = cron.status.get_or_insert_default();
                let last = status.last_successful_time.as_ref().map(|time| time.0).max(time);
                status.last_successful_time = last.map(Time);
            }
        }
        cron.status.get_or_insert_default().active = (!active.is_empty()).then_some(active);
    }

    /// Deletes the oldest ended Jobs beyond the limits.
    async fn clean_up(&self, cron: &CronJob, jobs: &[Arc<Job>]) -> Result<(), StatusError> {
        let limits = [
            ("Complete", cron.spec.successful_jobs_history_limit.unwrap_or(3)),
            ("Failed", cron.spec.failed_jobs_history_limit.unwrap_or(1)),
        ];
        for (end, limit) in limits {
            let mut ended: Vec<_> = jobs.iter().filter(|job| end_of(job).is_some_and(|(kind, _)| kind == end)).collect();
            ended.sort_by_key(|job| (job.metadata.creation_timestamp.clone(), job.metadata.name.clone()));
            let excess = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
            for job in ended.into_iter().take(excess) {
                self.delete(cron, job).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, cron: &CronJob, job: &Job) -> Result<(), StatusError> {
        let key = ownership::key_of(&job.metadata);
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        match self.client.delete::<Job>(&key.namespace, &key.name, &options).await {
            Ok(()) => {
                let message = format!("Deleted job {}", key.name);
                self.events.event(&reference(cron), EventType::Normal, "SuccessfulDelete", message);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Starts the Job of the last time that has passed, if the policy lets it; when to look again.
    async fn start_if_due(&self, cron: &mut CronJob, jobs: &[Arc<Job>]) -> Outcome {
        let zone = cron.spec.time_zone.as_deref().map_or(Ok(TimeZone::UTC), TimeZone::get);
        let parsed =
            Schedule::parse(&cron.spec.schedule).and_then(|schedule| Ok((schedule, zone.map_err(|error| error.to_string())?)));
        let (schedule, zone) = match parsed {
            Ok(parsed) => parsed,
            Err(problem) => {
                let message = format!("unparseable schedule: {:?} : {problem}", cron.spec.schedule);
                self.events.event(&reference(cron), EventType::Warning, "UnparseableSchedule", message);
                return Ok(None);
            }
        };
        let now = self.clock.now();
        if let Some(due) = self.last_due(cron, &schedule, &zone, now) {
            self.start(cron, jobs, due).await?;
        }
        let next = schedule.next(now, &zone).and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        Ok(next.map(|left| left + LAG))
    }

    /// The last time that has passed since the last Job was started.
    fn last_due(&self, cron: &CronJob, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let last = cron.status.as_ref().and_then(|status| status.last_schedule_time.clone());
        let mut from = last.or_else(|| cron.metadata.creation_timestamp.clone())?.0;
        if let Some(seconds) = cron.spec.starting_deadline_seconds {
            from = from.max(now.checked_sub(SignedDuration::from_secs(seconds)).ok()?);
        }
        let (mut due, mut missed) = (None, 0);
        while let Some(next) = schedule.next(from, zone).filter(|next| *next <= now) {
            (due, from, missed) = (Some(next), next, missed + 1);
        }
        if missed > MANY_MISSED {
            let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.events.event(&reference(cron), EventType::Warning, "TooManyMissedTimes", message);
        }
        due
    }

    async fn start(&self, cron: &mut CronJob, jobs: &[Arc<Job>], due: Timestamp) -> Result<(), StatusError> {
        let running: Vec<_> = cron.status.as_ref().and_then(|status| status.active.clone()).unwrap_or_default();
        match cron.spec.concurrency_policy.as_deref() {
            Some("Forbid") if !running.is_empty() => {
                let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
                self.events.event(&reference(cron), EventType::Normal, "JobAlreadyActive", message);
                return Ok(());
            }
            Some("Replace") => {
                for job in jobs.iter().filter(|job| running.iter().any(|one| one.uid == job.metadata.uid)) {
                    self.delete(cron, job).await?;
                }
                cron.status.get_or_insert_default().active = None;
            }
            _ => {}
        }
        match self.client.create(&job_of(cron, due)).await {
            Ok(job) => {
                let message = format!("Created job {}", ownership::name(&job.metadata));
                self.events.event(&reference(cron), EventType::Normal, "SuccessfulCreate", message);
                let status = cron.status.get_or_insert_default();
                status.active.get_or_insert_default().push(refer_to(&job));
                status.last_schedule_time = Some(Time(due));
                Ok(())
            }
            Err(error) if error.is_already_exists() || is_namespace_terminating(&error) => Ok(()),
            Err(error) => {
                let message = format!("Error creating job: {error}");
                self.events.event(&reference(cron), EventType::Warning, "FailedCreate", message);
                Err(error)
            }
        }
    }
}

/// The Job of a CronJob for a time, which is in its name in minutes.
fn job_of(cron: &CronJob, due: Timestamp) -> Job {
    let template = cron.spec.job_template.clone();
    let meta = template.metadata.unwrap_or_default();
    let mut annotations = meta.annotations.unwrap_or_default();
    annotations.insert("batch.kubernetes.io/cronjob-scheduled-timestamp".to_owned(), due.to_string());
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{}-{}", ownership::name(&cron.metadata), due.as_second().div_euclid(60))),
            namespace: cron.metadata.namespace.clone(),
            labels: meta.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![ownership::controller_reference::<CronJob>(&cron.metadata)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}
