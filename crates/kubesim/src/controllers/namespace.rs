//! The end of a namespace: everything in it is deleted, Pods first, then the namespace goes
//! (`pkg/controller/namespace`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use serde_json::Value;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, LoopbackClient, StatusError,
    object::Object,
    resource::{PODS, RESOURCES, Resource},
    selector::Selection,
};

/// How long after a change a namespace that goes is looked at, so that every API server has seen that it goes
/// (`namespace_controller.go:namespaceDeletionGracePeriod`).
const GRACE: Duration = Duration::from_secs(5);

/// How long, in seconds, finalizers are given before the next look.
const FINALIZER_ESTIMATE: u64 = 15;

/// Runs the namespace controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let controller = NamespaceController {
        namespaces: Source::new(component.client.informer(Selection::all())?),
        means: Arc::new(Means { client: component.client, clock: component.clock }),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct NamespaceController {
    namespaces: Source<Namespace>,
    means: Arc<Means>,
}

struct Means {
    client: LoopbackClient,
    clock: Clock,
}

impl Controller for NamespaceController {
    /// The name of a namespace.
    type Item = String;
    const WORKERS: usize = 10;

    fn catch_up(&mut self, queue: &mut WorkQueue<String>) {
        for delta in self.namespaces.changes() {
            let meta = &delta.object().metadata;
            if meta.deletion_timestamp.is_some() {
                queue.add_after(ownership::name(meta).to_owned(), GRACE);
            }
        }
    }

    async fn changed(&mut self) {
        self.namespaces.changed().await;
    }

    fn reconcile(&mut self, name: &String) -> BoxFuture<'static, Outcome> {
        let Some(namespace) = self.namespaces.get("", name) else { return futures::future::ready(Ok(None)).boxed() };
        Arc::clone(&self.means).finalize(namespace).boxed()
    }
}

/// What is left in a namespace.
#[derive(Debug, Default)]
struct Remains {
    /// How many objects of each resource.
    objects: BTreeMap<String, usize>,
    /// How many objects wait for each finalizer.
    finalizers: BTreeMap<String, usize>,
    /// How long they may take to go, in seconds.
    estimate: u64,
}

impl Remains {
    fn count(&mut self, resource: &Resource, left: &[Arc<Object>]) {
        if left.is_empty() {
            return;
        }
        self.objects.insert(format!("{}.{}", resource.plural, resource.group), left.len());
        for object in left {
            let finalizers = object.value().pointer("/metadata/finalizers").and_then(Value::as_array);
            for finalizer in finalizers.into_iter().flatten().filter_map(Value::as_str) {
                *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
                self.estimate = self.estimate.max(FINALIZER_ESTIMATE);
            }
            if resource.plural == "pods" && !matches!(object.text("/status/phase"), "Succeeded" | "Failed") {
                let grace = object.value().pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
                self.estimate = self.estimate.max(grace.unwrap_or(0));
            }
        }
    }
}

impl Means {
    async fn finalize(self: Arc<Self>, namespace: Arc<Namespace>) -> Outcome {
        let name = ownership::name(&namespace.metadata);
        let remains = self.delete_content(name).await?;
        let (known, conditions) = (conditions_of(&namespace), self.conditions(&namespace, &remains));
        let mut namespace = Namespace::clone(&namespace);
        if conditions != known {
            let status = namespace.status.get_or_insert_default();
            status.phase = Some("Terminating".to_owned());
            status.conditions = Some(conditions);
            match self.client.update_status(&namespace).await {
                Ok(updated) => namespace = Namespace::clone(&updated),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        if !remains.objects.is_empty() {
            // What has no estimate should have gone at once: soon again.
            let estimate = remains.estimate;
            return Ok(Some(if estimate == 0 { Duration::from_millis(20) } else { Duration::from_secs(estimate / 2 + 1) }));
        }
        let spec = namespace.spec.get_or_insert_default();
        spec.finalizers = spec.finalizers.take().map(|all| all.into_iter().filter(|name| name != "kubernetes").collect());
        match self.client.update_subresource(&namespace, "finalize").await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(None),
            other => other.map(|_| None),
        }
    }

    /// Deletes everything in a namespace: the Pods, and once these are gone the rest.
    async fn delete_content(&self, namespace: &str) -> Result<Remains, StatusError> {
        let mut remains = Remains::default();
        self.delete_all(&PODS, namespace, &mut remains).await?;
        if !remains.objects.is_empty() {
            return Ok(remains);
        }
        let others = RESOURCES.iter().filter(|resource| resource.namespaced && resource.plural != "pods");
        for resource in others.filter(|resource| **resource == resource.stored()) {
            self.delete_all(resource, namespace, &mut remains).await?;
        }
        Ok(remains)
    }

    async fn delete_all(&self, resource: &'static Resource, namespace: &str, remains: &mut Remains) -> Result<(), StatusError> {
        let selection = Selection::in_namespace(namespace);
        self.client.delete_collection(resource, namespace).await?;
        let left = self.client.list_objects(resource, &selection).await;
        remains.count(resource, &left);
        Ok(())
    }

    fn conditions(&self, namespace: &Namespace, remains: &Remains) -> Vec<NamespaceCondition> {
        let content = (!remains.objects.is_empty()).then(|| {
            let parts = remains.objects.iter().map(|(resource, count)| format!("{resource} has {count} resource instances"));
            format!("Some resources are remaining: {}", parts.collect::<Vec<_>>().join(", "))
        });
        let finalizers = (!remains.finalizers.is_empty()).then(|| {
            let parts = remains.finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances"));
            format!("Some content in the namespace has finalizers remaining: {}", parts.collect::<Vec<_>>().join(", "))
        });
        let known = conditions_of(namespace);
        let condition = |kind: &str, problem: Option<(&str, String)>, reason: &str, message: &str| {
            let status = if problem.is_some() { "True" } else { "False" };
            let (reason, message) = problem.unwrap_or_else(|| (reason, message.to_owned()));
            let before = known.iter().find(|condition| condition.type_ == kind && condition.status == status);
            let since = before.and_then(|condition| condition.last_transition_time.clone());
            NamespaceCondition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_transition_time: Some(since.unwrap_or_else(|| self.clock.time())),
            }
        };
        vec![
            condition("NamespaceDeletionDiscoveryFailure", None, "ResourcesDiscovered", "All resources successfully discovered"),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure",
                None,
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            condition(
                "NamespaceDeletionContentFailure",
                None,
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            condition(
                "NamespaceContentRemaining",
                content.map(|message| ("SomeResourcesRemain", message)),
                "ContentRemoved",
                "All content successfully removed",
            ),
            condition(
                "NamespaceFinalizersRemaining",
                finalizers.map(|message| ("SomeFinalizersRemain", message)),
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            ),
        ]
    }
}

fn conditions_of(namespace: &Namespace) -> Vec<NamespaceCondition> {
    namespace.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default()
}
