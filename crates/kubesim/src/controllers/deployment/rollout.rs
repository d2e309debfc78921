//! One look at a Deployment: its ReplicaSets, and the writes that bring it a step further
//! (`pkg/controller/deployment/sync.go`).

use std::sync::Arc;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};

use super::{
    Means, history, is_old_and_running,
    size::{self, Bounds},
    status::{self, reason},
};
use crate::{
    DeleteOptions, StatusError,
    controllers::{control_loop::Outcome, ownership},
    recorder::{EventType, reference},
};

/// A Deployment as this look finds and changes it.
pub(super) struct Rollout<'a> {
    pub(super) means: &'a Means,
    pub(super) deployment: Deployment,
    /// The ReplicaSet of the current template, if it exists.
    pub(super) new: Option<ReplicaSet>,
    /// All others, oldest first.
    pub(super) old: Vec<ReplicaSet>,
}

impl<'a> Rollout<'a> {
    pub(super) fn new(means: &'a Means, deployment: &Deployment, sets: Vec<ReplicaSet>) -> Self {
        let (new, old) = history::split(deployment, sets);
        Self { means, deployment: deployment.clone(), new, old }
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds::of(&self.deployment)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.old.iter().chain(self.new.as_ref())
    }

    fn is_paused(&self) -> bool {
        self.deployment.spec.paused.unwrap_or(false)
    }

    /// Brings the Deployment a step further.
    pub(super) async fn advance(&mut self, pods: &[Arc<Pod>]) -> Outcome {
        self.note_pause().await?;
        if self.is_paused() {
            self.sync_new_set(false).await?;
            self.scale().await?;
            self.clean_up().await?;
            return self.sync_status(false).await;
        }
        self.sync_new_set(false).await?;
        if self.is_scaled() {
            self.scale().await?;
            return self.sync_status(false).await;
        }
        if size::is_rolling(&self.deployment) { self.roll().await } else { self.recreate(pods).await }
    }

    /// Old Pods go, all of them, before new ones are made (`recreate.go:rolloutRecreate`).
    async fn recreate(&mut self, pods: &[Arc<Pod>]) -> Outcome {
        let mut scaled_down = false;
        for index in 0..self.old.len() {
            if size::size(&self.old[index]) > 0 {
                self.scale_old(index, 0).await?;
                scaled_down = true;
            }
        }
        let occupied = |set: &ReplicaSet| set.status.as_ref().is_some_and(|status| status.replicas > 0);
        let waits = self.old.iter().any(occupied) || pods.iter().any(|pod| is_old_and_running(pod, self.new.as_ref()));
        if scaled_down || waits {
            return self.sync_status(true).await;
        }
        self.sync_new_set(true).await?;
        self.scale_new(self.bounds().replicas).await?;
        self.finish().await
    }

    /// The end of a look that found nothing more to scale.
    pub(super) async fn finish(&mut self) -> Outcome {
        if self.deployment.status.as_ref().is_some_and(|status| status::is_complete(&self.deployment, status)) {
            self.clean_up().await?;
        }
        self.sync_status(true).await
    }

    /// Says in the condition Progressing that the Deployment is paused, or no longer
    /// (`sync.go:checkPausedConditions`).
    async fn note_pause(&mut self) -> Result<(), StatusError> {
        let current = self.deployment.status.clone().unwrap_or_default();
        if status::deadline(&self.deployment).is_none() || status::progressing_because(&current, reason::TIMED_OUT) {
            return Ok(());
        }
        let (reason, message) = match (self.is_paused(), status::progressing_because(&current, reason::PAUSED)) {
            (true, false) => (reason::PAUSED, "Deployment is paused"),
            (false, true) => (reason::RESUMED, "Deployment is resumed"),
            _ => return Ok(()),
        };
        self.write_progressing("Unknown", reason, message).await
    }

    async fn write_progressing(&mut self, value: &str, reason: &str, message: &str) -> Result<(), StatusError> {
        let condition = status::condition("Progressing", value, reason, message, self.means.clock.time());
        status::set(self.deployment.status.get_or_insert_default(), condition);
        self.write_status().await
    }

    /// Writes the status and the annotations of the Deployment.
    async fn write_status(&mut self) -> Result<(), StatusError> {
        self.deployment = Deployment::clone(&*self.means.client.update_status(&self.deployment).await?);
        Ok(())
    }

    /// Gives the ReplicaSet of the current template its revision and annotations; makes it if it is missing and `create`
    /// says so (`sync.go:getNewReplicaSet`).
    pub(super) async fn sync_new_set(&mut self, create: bool) -> Result<(), StatusError> {
        let revision = self.old.iter().map(history::revision).max().unwrap_or(0) + 1;
        match self.new.take() {
            Some(set) => self.sync_existing(set, revision).await,
            None if create => self.create_new(revision).await,
            None => Ok(()),
        }
    }

    async fn sync_existing(&mut self, mut set: ReplicaSet, revision: i64) -> Result<(), StatusError> {
        let wanted = self.deployment.spec.min_ready_seconds.filter(|seconds| *seconds != 0);
        let annotated = history::annotate_new(&self.deployment, &mut set, revision);
        let current = set.spec.min_ready_seconds.filter(|seconds| *seconds != 0);
        if annotated || wanted != current {
            set.spec.min_ready_seconds = wanted;
            self.new = Some(ReplicaSet::clone(&*self.means.client.update(&set).await?));
            return Ok(());
        }
        let mut changed = history::set_revision(&mut self.deployment, &history::revision(&set).to_string());
        let status = self.deployment.status.get_or_insert_default();
        if status::find(status, "Progressing").is_none() && status::deadline(&self.deployment).is_some() {
            let message = format!("Found new replica set {:?}", ownership::name(&set.metadata));
            let condition = status::condition("Progressing", "True", reason::FOUND, message, self.means.clock.time());
            status::set(self.deployment.status.get_or_insert_default(), condition);
            changed = true;
        }
        self.new = Some(set);
        if changed { self.write_status().await } else { Ok(()) }
    }

    async fn create_new(&mut self, revision: i64) -> Result<(), StatusError> {
        let set = self.new_set(revision);
        let (name, replicas) = (ownership::name(&set.metadata).to_owned(), size::size(&set));
        let created = match self.means.client.create(&set).await {
            Ok(created) => created,
            Err(error) if error.is_already_exists() => return self.meet_existing(&name, error).await,
            Err(error) => {
                let message = format!("Failed to create new replica set {name:?}: {error}");
                if status::deadline(&self.deployment).is_some() {
                    self.write_progressing("False", reason::CREATE_FAILED, &message).await?;
                }
                self.record(EventType::Warning, reason::CREATE_FAILED, message);
                return Err(error);
            }
        };
        self.new = Some(ReplicaSet::clone(&created));
        if replicas > 0 {
            self.record(EventType::Normal, "ScalingReplicaSet", format!("Scaled up replica set {name} from 0 to {replicas}"));
        }
        history::set_revision(&mut self.deployment, &revision.to_string());
        if status::deadline(&self.deployment).is_some() {
            let message = format!("Created new replica set {name:?}");
            let condition = status::condition("Progressing", "True", reason::CREATED, message, self.means.clock.time());
            status::set(self.deployment.status.get_or_insert_default(), condition);
        }
        self.write_status().await
    }

    /// A set of the name exists: it is the wanted one, made by a look that did not learn so; or another template has the
    /// same hash, and the next look salts it.
    async fn meet_existing(&mut self, name: &str, error: StatusError) -> Result<(), StatusError> {
        let existing = self.means.client.get::<ReplicaSet>(ownership::namespace(&self.deployment.metadata), name).await?;
        let is_own = ownership::is_controlled_by(&existing.metadata, ownership::uid(&self.deployment.metadata));
        if is_own && let (Some(new), _) = history::split(&self.deployment, vec![ReplicaSet::clone(&existing)]) {
            self.new = Some(new);
            return Ok(());
        }
        let collisions = self.deployment.status.get_or_insert_default().collision_count.get_or_insert_default();
        *collisions = collisions.saturating_add(1);
        self.write_status().await?;
        Err(error)
    }

    /// The ReplicaSet of the current template, in its first size.
    fn new_set(&self, revision: i64) -> ReplicaSet {
        let spec = self.deployment.spec.clone();
        let mut template = spec.template;
        let collisions = self.deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = history::template_hash(&template, collisions);
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(history::TEMPLATE_HASH.to_owned(), hash.clone());
        let labels = labels.clone();
        let mut match_labels = spec.selector.match_labels.unwrap_or_default();
        match_labels.insert(history::TEMPLATE_HASH.to_owned(), hash.clone());
        let replicas = size::new_size(self.bounds(), size::is_rolling(&self.deployment), size::total(&self.old), 0);
        let mut set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{}-{hash}", ownership::name(&self.deployment.metadata))),
                namespace: self.deployment.metadata.namespace.clone(),
                labels: Some(labels),
                owner_references: Some(vec![ownership::controller_reference::<Deployment>(&self.deployment.metadata)]),
                ..ObjectMeta::default()
            },
            spec: ReplicaSetSpec {
                replicas: Some(replicas),
                min_ready_seconds: spec.min_ready_seconds,
                selector: LabelSelector { match_labels: Some(match_labels), ..spec.selector },
                template: Some(template),
            },
            status: None,
        };
        history::annotate_new(&self.deployment, &mut set, revision);
        history::set_replicas(&mut set, self.bounds());
        set
    }

    /// Deletes the oldest sets beyond the history limit that have no Pods (`sync.go:cleanupDeployment`).
    async fn clean_up(&mut self) -> Result<(), StatusError> {
        let limit = self.deployment.spec.revision_history_limit;
        let Some(limit) = limit.filter(|limit| *limit != i32::MAX) else { return Ok(()) };
        let mut sets: Vec<&ReplicaSet> = self.old.iter().filter(|set| set.metadata.deletion_timestamp.is_none()).collect();
        sets.sort_by_key(|set| (history::revision(set), history::age_key(set)));
        let excess = sets.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        for set in sets.into_iter().take(excess) {
            let status = set.status.clone().unwrap_or_default();
            if status.replicas != 0 || size::size(set) != 0 || set.metadata.generation > status.observed_generation {
                continue;
            }
            let (namespace, name) = (ownership::namespace(&set.metadata), ownership::name(&set.metadata));
            match self.means.client.delete::<ReplicaSet>(namespace, name, &DeleteOptions::default()).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the status if it has changed; during a rollout with the condition Progressing
    /// (`progress.go:syncRolloutStatus`, `sync.go:syncDeploymentStatus`).
    pub(super) async fn sync_status(&mut self, rolling_out: bool) -> Outcome {
        let counts_terminating = self.means.version.at_least(35);
        let clock = self.means.clock;
        let mut status = status::compute(&self.deployment, &self.old, self.new.as_ref(), counts_terminating, clock.time());
        if rolling_out {
            status::judge_progress(&self.deployment, &mut status, self.new.as_ref(), clock.now());
            status::take_over_failures(&mut status, &self.old, self.new.as_ref());
        }
        if self.deployment.status.as_ref() == Some(&status) {
            let left = status::time_to_deadline(&self.deployment, &status, clock.now());
            return Ok(left.filter(|_| rolling_out));
        }
        self.deployment.status = Some(DeploymentStatus { ..status });
        self.write_status().await?;
        Ok(None)
    }

    pub(super) fn record(&self, kind: EventType, reason: &str, message: String) {
        self.means.events.event(&reference(&self.deployment), kind, reason, message);
    }
}
