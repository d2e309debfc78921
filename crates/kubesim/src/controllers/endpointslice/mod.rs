//! The endpoints of Services: EndpointSlices and Endpoints
//! (`pkg/controller/endpointslice`, `pkg/controller/endpoint`).

mod content;

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::{
    core::v1::{Endpoints, Pod, Service},
    discovery::v1::EndpointSlice,
};

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership,
    replicaset::is_namespace_terminating,
    workqueue::WorkQueue,
};
use crate::{
    Component, DeleteOptions, Delta, Key, LoopbackClient, StatusError,
    selector::{LabelSelector, Selection},
};

/// Runs the controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let controller = EndpointSliceController {
        services: Source::new(component.client.informer(Selection::all())?),
        slices: Source::new(component.client.informer(Selection::all())?),
        endpoints: Source::new(component.client.informer(Selection::all())?),
        pods: Source::new(component.client.informer(Selection::all())?),
        client: Arc::new(component.client),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct EndpointSliceController {
    services: Source<Service>,
    slices: Source<EndpointSlice>,
    endpoints: Source<Endpoints>,
    pods: Source<Pod>,
    client: Arc<LoopbackClient>,
}

impl Controller for EndpointSliceController {
    type Item = Key;

    fn catch_up(&mut self, queue: &mut WorkQueue<Key>) {
        for delta in self.services.changes() {
            queue.add(ownership::key_of(&delta.object().metadata));
        }
        for delta in self.slices.changes() {
            let meta = &delta.object().metadata;
            let service = meta.labels.as_ref().and_then(|labels| labels.get(content::SERVICE_NAME));
            if let (Some(service), Delta::Deleted(_)) = (service, &delta) {
                queue.add(Key::new(ownership::namespace(meta), service.as_str()));
            }
        }
        self.endpoints.changes();
        for delta in self.pods.changes() {
            self.queue_services(&delta, queue);
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.services.changed() => {}
            () = self.slices.changed() => {}
            () = self.pods.changed() => {}
        }
    }

    fn reconcile(&mut self, key: &Key) -> BoxFuture<'static, Outcome> {
        let client = Arc::clone(&self.client);
        let slices = self.slices.cache().in_namespace(&key.namespace);
        let slices: Vec<_> = slices.filter(|slice| content::is_own(slice, &key.name)).cloned().collect();
        let endpoints = self.endpoints.get(&key.namespace, &key.name);
        let service = self.services.get(&key.namespace, &key.name);
        let selected = service.as_ref().and_then(|service| Some((Arc::clone(service), content::selector(service)?)));
        let Some((service, selector)) = selected else {
            // Endpoints outlive their Service only by the time that this takes.
            let is_gone = service.is_none();
            let key = key.clone();
            return async move {
                if is_gone && endpoints.is_some() {
                    ignore_missing(client.delete::<Endpoints>(&key.namespace, &key.name, &DeleteOptions::default()).await)?;
                }
                Ok(None)
            }
            .boxed();
        };
        let pods = self.pods.cache().in_namespace(&key.namespace).filter(|pod| selector.matches(pod.metadata.labels.as_ref()));
        let pods: Vec<_> = pods.cloned().collect();
        async move {
            write_slices(&client, content::slices(&service, &pods), slices).await?;
            write_endpoints(&client, content::endpoints(&service, &pods), endpoints.as_deref()).await?;
            Ok(None)
        }
        .boxed()
    }
}

impl EndpointSliceController {
    /// Queues the Services that select a Pod, before or after its change.
    fn queue_services(&self, delta: &Delta<Pod>, queue: &mut WorkQueue<Key>) {
        let pod = delta.object();
        let before = match delta {
            Delta::Modified { old, .. } if content::same_endpoint(old, pod) && old.metadata.labels == pod.metadata.labels => return,
            Delta::Modified { old, .. } => old,
            _ => pod,
        };
        for service in self.services.cache().in_namespace(ownership::namespace(&pod.metadata)) {
            let selects = |selector: LabelSelector| {
                selector.matches(pod.metadata.labels.as_ref()) || selector.matches(before.metadata.labels.as_ref())
            };
            if content::selector(service).is_some_and(selects) {
                queue.add(ownership::key_of(&service.metadata));
            }
        }
    }
}

/// Brings the slices to what is wanted (`endpointslice/reconciler.go:reconcileByPortMapping`): one with the same ports is kept, and
/// one that is no longer wanted becomes another before it goes.
async fn write_slices(
    client: &LoopbackClient,
    wanted: Vec<EndpointSlice>,
    mut known: Vec<Arc<EndpointSlice>>,
) -> Result<(), StatusError> {
    let mut changed = Vec::new();
    for wanted in wanted {
        match known.iter().position(|known| known.ports == wanted.ports) {
            Some(index) => update_slice(client, wanted, &known.swap_remove(index)).await?,
            None => changed.push(wanted),
        }
    }
    for wanted in changed {
        match known.pop() {
            Some(known) => update_slice(client, wanted, &known).await?,
            None => ignore_missing(client.create(&wanted).await.map(drop))?,
        }
    }
    for unwanted in known {
        let key = ownership::key_of(&unwanted.metadata);
        ignore_missing(client.delete::<EndpointSlice>(&key.namespace, &key.name, &DeleteOptions::default()).await)?;
    }
    Ok(())
}

async fn update_slice(client: &LoopbackClient, wanted: EndpointSlice, known: &EndpointSlice) -> Result<(), StatusError> {
    let mut updated = known.clone();
    updated.endpoints = wanted.endpoints;
    updated.ports = wanted.ports;
    if updated == *known { Ok(()) } else { ignore_missing(client.update(&updated).await.map(drop)) }
}

async fn write_endpoints(client: &LoopbackClient, wanted: Endpoints, known: Option<&Endpoints>) -> Result<(), StatusError> {
    let Some(known) = known else { return ignore_missing(client.create(&wanted).await.map(drop)) };
    let mut updated = known.clone();
    updated.subsets = wanted.subsets;
    if updated == *known { Ok(()) } else { ignore_missing(client.update(&updated).await.map(drop)) }
}

/// What is going needs no endpoints.
fn ignore_missing(result: Result<(), StatusError>) -> Result<(), StatusError> {
    match result {
        Err(error) if error.is_not_found() || is_namespace_terminating(&error) => Ok(()),
        other => other,
    }
}
