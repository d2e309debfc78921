//! The Job controller: Pods that run to their end, as often as asked for; and the deletion of finished Jobs after their
//! time to live (`pkg/controller/job`, `pkg/controller/ttlafterfinished`).

mod indexes;
mod plan;
mod policy;
mod status;

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture, future::join_all};
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{EnvVar, Pod},
    },
    jiff::SignedDuration,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership, pods,
    replicaset::is_namespace_terminating,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, DeleteOptions, Delta, Key, LoopbackClient, Patch, Propagation, StatusError,
    recorder::{EventType, Recorder, reference},
    selector::Selection,
};
use plan::{NewPod, Plan};

/// The finalizer that keeps a finished Pod until it has been counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// Where an indexed Pod finds its index.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// How long changes of Pods are collected before their Job is looked at (`job_controller.go:syncJobBatchPeriod`).
const BATCH: Duration = Duration::from_secs(1);

/// Runs the Job controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let mut tasks = JoinSet::new();
    let events = Recorder::start(component.part("events"), "job-controller", None, &mut tasks);
    let controller = JobController {
        jobs: Source::new(component.client.informer(Selection::all())?),
        pods: Source::new(component.client.informer(Selection::all())?),
        means: Arc::new(Means { events, clock: component.clock, client: component.client }),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct JobController {
    jobs: Source<Job>,
    pods: Source<Pod>,
    means: Arc<Means>,
}

struct Means {
    client: LoopbackClient,
    clock: Clock,
    events: Recorder,
}

impl Controller for JobController {
    type Item = Key;

    fn catch_up(&mut self, queue: &mut WorkQueue<Key>) {
        for delta in self.jobs.changes() {
            let key = ownership::key_of(&delta.object().metadata);
            match delta {
                Delta::Modified { old, new } if old.metadata.generation == new.metadata.generation => queue.add_after(key, BATCH),
                _ => queue.add(key),
            }
        }
        for delta in self.pods.changes() {
            for key in pods::controllers_concerned(&delta, "Job") {
                queue.add_after(key, BATCH);
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.jobs.changed() => {}
            () = self.pods.changed() => {}
        }
    }

    fn reconcile(&mut self, key: &Key) -> BoxFuture<'static, Outcome> {
        let job = self.jobs.get(&key.namespace, &key.name);
        let uid = job.as_ref().map_or("", |job| ownership::uid(&job.metadata));
        let named = self
            .pods
            .cache()
            .in_namespace(&key.namespace)
            .filter(|pod| ownership::controller_key(&pod.metadata, "Job").as_ref() == Some(key));
        let (own, orphans): (Vec<_>, Vec<_>) = named.cloned().partition(|pod| ownership::is_controlled_by(&pod.metadata, uid));
        let means = Arc::clone(&self.means);
        async move {
            // Nobody will count the Pods of a Job that is gone.
            means.release(orphans.iter().filter(|pod| is_tracked(pod)).collect()).await?;
            match job {
                Some(job) => means.reconcile(job, own).await,
                None => Ok(None),
            }
        }
        .boxed()
    }
}

impl Means {
    async fn reconcile(self: Arc<Self>, job: Arc<Job>, pods: Vec<Arc<Pod>>) -> Outcome {
        if job.metadata.deletion_timestamp.is_some() {
            let tracked: Vec<_> = pods.iter().filter(|pod| is_tracked(pod)).collect();
            self.release(tracked).await?;
            return Ok(None);
        }
        if let Some(finished) = status::finished_at(&job) {
            let tracked: Vec<_> = pods.iter().filter(|pod| is_tracked(pod)).collect();
            self.release(tracked).await?;
            return self.expire(&job, finished).await;
        }
        let plan = Plan::new(&job, &pods, self.clock.now());
        if plan.failure.is_none() {
            // What a Job that goes on or succeeds deletes is no failure.
            self.release(plan.to_delete.iter().filter(|pod| is_tracked(pod)).collect()).await?;
        }
        let (deleted, created) = (self.delete_pods(&job, &plan.to_delete).await, self.create_pods(&job, &plan).await);
        let made = created.as_ref().copied().unwrap_or(0);
        // What is counted is noted first, released then, and only then part of the numbers, so that nothing is counted
        // twice or never.
        let mut current = Job::clone(&job);
        if !plan.newly_finished().is_empty() {
            status::note_uncounted(&mut current, &plan, made, self.clock);
            current = Job::clone(&*self.client.update_status(&current).await?);
            let finished = plan.newly_finished();
            self.release(finished.iter().collect()).await?;
        }
        let before = current.status.clone();
        let events = status::settle(&mut current, &plan, made, self.clock);
        if current.status != before {
            match self.client.update_status(&current).await {
                // Somebody has written meanwhile: the change queues the Job again, and it is looked at anew.
                Err(error) if error.is_conflict() || error.is_not_found() => return Ok(None),
                other => other?,
            };
        }
        for (kind, reason, message) in events {
            self.events.event(&reference(&*job), kind, &reason, message);
        }
        deleted?;
        created?;
        Ok(plan.again)
    }

    /// Deletes a finished Job when its time to live has passed.
    async fn expire(&self, job: &Job, finished: k8s_openapi::jiff::Timestamp) -> Outcome {
        let Some(ttl) = job.spec.as_ref().and_then(|spec| spec.ttl_seconds_after_finished) else { return Ok(None) };
        let end = finished.checked_add(SignedDuration::from_secs(i64::from(ttl))).unwrap_or(finished);
        if let Ok(left) = Duration::try_from(end.duration_since(self.clock.now()))
            && !left.is_zero()
        {
            return Ok(Some(left));
        }
        let options =
            DeleteOptions { propagation: Some(Propagation::Foreground), uid: job.metadata.uid.clone(), ..DeleteOptions::default() };
        let key = ownership::key_of(&job.metadata);
        match self.client.delete::<Job>(&key.namespace, &key.name, &options).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(None),
        }
    }

    /// Lets go of Pods that have been counted.
    async fn release(&self, pods: Vec<&Arc<Pod>>) -> Result<(), StatusError> {
        let patch = |pod: &Pod| {
            Patch::Strategic(json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [TRACKING], "uid": pod.metadata.uid}}))
        };
        let releases = pods.into_iter().map(|pod| async move {
            let key = ownership::key_of(&pod.metadata);
            match self.client.patch::<Pod>(&key.namespace, &key.name, &patch(pod)).await {
                Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
                _ => Ok(()),
            }
        });
        join_all(releases).await.into_iter().collect()
    }

    async fn delete_pods(&self, job: &Job, pods: &[Arc<Pod>]) -> Result<(), StatusError> {
        let deletions = pods.iter().map(|pod| async move {
            let key = ownership::key_of(&pod.metadata);
            match self.client.delete::<Pod>(&key.namespace, &key.name, &DeleteOptions::default()).await {
                Ok(()) => {
                    let message = format!("Deleted pod: {}", key.name);
                    self.events.event(&reference(job), EventType::Normal, "SuccessfulDelete", message);
                    Ok(())
                }
                Err(error) if error.is_not_found() => Ok(()),
                Err(error) => Err(error),
            }
        });
        join_all(deletions).await.into_iter().collect()
    }

    /// Makes the Pods of the plan, in batches of 1, 2, 4 …; how many it has made.
    async fn create_pods(&self, job: &Job, plan: &Plan) -> Result<usize, StatusError> {
        let (mut made, mut batch) = (0, 1);
        while made < plan.to_create.len() {
            let end = (made + batch).min(plan.to_create.len());
            let creations = join_all(plan.to_create[made..end].iter().map(|new| self.create_pod(job, new))).await;
            if let Some(Err(error)) = creations.into_iter().find(Result::is_err) {
                return if is_namespace_terminating(&error) { Ok(made) } else { Err(error) };
            }
            batch = (end - made) * 2;
            made = end;
        }
        Ok(made)
    }

    async fn create_pod(&self, job: &Job, new: &NewPod) -> Result<(), StatusError> {
        let Some(spec) = &job.spec else { return Ok(()) };
        let owner = ownership::controller_reference::<Job>(&job.metadata);
        let mut pod = pods::from_template(&spec.template, owner, ownership::namespace(&job.metadata));
        pod.metadata.finalizers.get_or_insert_default().push(TRACKING.to_owned());
        if let Some(index) = new.index {
            give_index(&mut pod, ownership::name(&job.metadata), index);
        }
        if let Some((counted, ignored)) = new.failures {
            let annotations = pod.metadata.annotations.get_or_insert_default();
            annotations.insert(policy::FAILURES.to_owned(), counted.to_string());
            if ignored > 0 {
                annotations.insert(policy::IGNORED.to_owned(), ignored.to_string());
            }
        }
        match self.client.create(&pod).await {
            Ok(pod) => {
                let message = format!("Created pod: {}", ownership::name(&pod.metadata));
                self.events.event(&reference(job), EventType::Normal, "SuccessfulCreate", message);
                Ok(())
            }
            Err(error) => {
                let message = format!("Error creating: {error}");
                self.events.event(&reference(job), EventType::Warning, "FailedCreate", message);
                Err(error)
            }
        }
    }
}

/// Tells a Pod of an indexed Job which one it is.
fn give_index(pod: &mut Pod, job: &str, index: i32) {
    let meta = &mut pod.metadata;
    meta.generate_name = Some(format!("{job}-{index}-"));
    meta.annotations.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    meta.labels.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(format!("{job}-{index}"));
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let variable = EnvVar { name: "JOB_COMPLETION_INDEX".to_owned(), value: Some(index.to_string()), value_from: None };
        container.env.get_or_insert_default().push(variable);
    }
}

fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING)
}
