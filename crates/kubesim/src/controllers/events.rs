//! The events of the controllers and the scheduler, written in the background.

use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{Clock, Component, LoopbackClient};

/// Whether an event is good or bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    Normal,
    Warning,
}

#[derive(Debug)]
struct Note {
    regarding: ObjectReference,
    kind: EventType,
    reason: &'static str,
    message: String,
}

/// Where a component says what happened. Cheap to clone; clones are the same recorder.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    notes: mpsc::UnboundedSender<Note>,
}

impl Events {
    /// A recorder for the component `source`, whose events a task of `tasks` writes.
    pub(crate) fn start(component: &Component, source: &'static str, tasks: &mut JoinSet<()>) -> Self {
        let (notes, queue) = mpsc::unbounded_channel();
        tasks.spawn(write(component.client.fork("events"), component.clock, source, queue));
        Self { notes }
    }

    /// Records an event about the object of kind `K` with this metadata.
    pub(crate) fn record<K: k8s_openapi::Resource>(
        &self,
        about: &ObjectMeta,
        kind: EventType,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let note = Note { regarding: reference::<K>(about), kind, reason, message: message.into() };
        // Nobody listens when the cluster is being dropped.
        let _ = self.notes.send(note);
    }
}

async fn write(client: LoopbackClient, clock: Clock, source: &'static str, mut notes: mpsc::UnboundedReceiver<Note>) {
    while let Some(note) = notes.recv().await {
        if let Err(error) = client.create(&event(note, clock, source)).await {
            tracing::debug!(%error, "an event is not recorded");
        }
    }
}

fn event(note: Note, clock: Clock, source: &'static str) -> Event {
    let nanos = clock.now().as_nanosecond();
    let name = format!("{}.{nanos:x}", note.regarding.name.as_deref().unwrap_or_default());
    let namespace = note.regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
    Event {
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
        involved_object: note.regarding,
        reason: Some(note.reason.to_owned()),
        message: Some(note.message),
        source: Some(EventSource { component: Some(source.to_owned()), host: None }),
        first_timestamp: Some(clock.time()),
        last_timestamp: Some(clock.time()),
        count: Some(1),
        type_: Some(format!("{:?}", note.kind)),
        reporting_component: Some(source.to_owned()),
        reporting_instance: Some(String::new()),
        ..Event::default()
    }
}

/// The reference to an object that an event is about.
fn reference<K: k8s_openapi::Resource>(meta: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectReference::default()
    }
}
