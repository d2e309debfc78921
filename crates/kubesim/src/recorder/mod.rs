//! The recorder of events of the core API: what components say about objects (`client-go/tools/record/event.go`).
//!
//! Recording never waits: events are queued, correlated (see [`correlator`]) and sent one after the other, in the
//! background.

mod correlator;

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::{
    Metadata, Resource,
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{Clock, Component, LoopbackClient, Patch, Random, clock::floor_to_seconds};
use correlator::Correlator;

/// Whether an event tells of normal life or of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    /// `Normal`
    Normal,
    /// `Warning`
    Warning,
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Where a component says what happened to an object. Clones share one queue and one correlator.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    clock: Clock,
    source: EventSource,
    names: Arc<Mutex<Names>>,
    queue: mpsc::UnboundedSender<Event>,
}

/// Event names end in nanoseconds. Virtual time stands still while many things happen, so nanoseconds are drawn, and
/// never go back.
#[derive(Debug)]
struct Names {
    last: i128,
    random: Random,
}

impl Recorder {
    /// Starts a recorder whose events come from `source` (such as `kubelet`) on a host, if it has one. Its task goes
    /// into `tasks`.
    #[allow(dead_code, reason = "the kubelet keeps its tasks elsewhere; the controllers start theirs so")]
    pub(crate) fn start(component: Component, source: &str, host: Option<&str>, tasks: &mut JoinSet<()>) -> Self {
        let deaths = component.deaths.clone();
        let (recorder, sending) = Self::new(component, source, host);
        tasks.spawn(deaths.task(format!("recorder of {source}"), sending));
        recorder
    }

    /// A recorder and the task that sends its events.
    pub(crate) fn new(component: Component, source: &str, host: Option<&str>) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, events) = mpsc::unbounded_channel();
        let names = Names { last: 0, random: component.random.fork("event-names") };
        let source = EventSource { component: Some(source.to_owned()), host: host.map(str::to_owned) };
        let recorder = Self { clock: component.clock, source, names: Arc::new(Mutex::new(names)), queue };
        let correlator = Correlator::new(component.random.fork("correlator"));
        (recorder, send(component.client, component.clock, correlator, events))
    }

    /// Records an event about an object.
    pub(crate) fn event(&self, object: &ObjectReference, kind: EventType, reason: &str, message: impl Into<String>) {
        let now = self.clock.now();
        let time = Time(floor_to_seconds(now));
        let namespace = object.namespace.clone().filter(|namespace| !namespace.is_empty());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(self.name(object, now)),
                namespace: Some(namespace.unwrap_or_else(|| "default".to_owned())),
                ..ObjectMeta::default()
            },
            count: Some(1),
            first_timestamp: Some(time.clone()),
            last_timestamp: Some(time),
            involved_object: object.clone(),
            message: Some(message.into()),
            reason: Some(reason.to_owned()),
            reporting_component: self.source.component.clone(),
            reporting_instance: Some(self.source.host.clone().unwrap_or_default()),
            source: Some(self.source.clone()),
            type_: Some(kind.name().to_owned()),
            ..Event::default()
        };
        // The queue closes with the cluster; nobody reads events after that.
        let _ = self.queue.send(event);
    }

    fn name(&self, object: &ObjectReference, now: Timestamp) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let fraction = i128::try_from(names.random.below(1_000_000)).unwrap_or(0);
        names.last = (now.as_nanosecond() + fraction).max(names.last + 1);
        format!("{}.{:x}", object.name.as_deref().unwrap_or_default(), names.last)
    }
}

/// What an event refers to when it is about the whole object.
pub(crate) fn reference<K: Resource + Metadata<Ty = ObjectMeta>>(object: &K) -> ObjectReference {
    let metadata = object.metadata();
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        field_path: None,
    }
}

/// Sends events as they come: a new one is created, a repeated one patched (`client-go/tools/record/event.go:recordEvent`).
async fn send(client: LoopbackClient, clock: Clock, mut correlator: Correlator, mut events: mpsc::UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        let Some(event) = correlator.correlate(clock.elapsed(), event) else { continue };
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        if event.count > Some(1) {
            let name = event.metadata.name.as_deref().unwrap_or_default();
            let patch = Patch::Strategic(json!({
                "count": event.count, "lastTimestamp": event.last_timestamp, "message": event.message,
            }));
            match client.patch::<Event>(&namespace, name, &patch).await {
                Err(error) if error.is_not_found() => {}
                _ => continue,
            }
        }
        if let Err(error) = client.create(&event).await {
            // A namespace that is going takes no more events; the real recorder gives up on such errors too.
            tracing::debug!(%error, "an event was not recorded");
        }
    }
}

#[cfg(test)]
mod tests;
