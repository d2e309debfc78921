//! Runs the watches of a scenario's namespace, and a log follow for each container instance in it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kube::Client;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::instances;
use super::logs::{Life, LogFollow};
use super::sink::Sink;
use super::watch::Watch;
use crate::clock::Clock;
use crate::resources::{Resource, ResourceError};
use crate::timeline::{Entry, Instance, ObjectObservation, Observation, Stream};

/// A namespace that cannot be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A kind is not served.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// A watch did not begin.
    #[error("the watch of {kind} in namespace {namespace} could not begin: {reason}")]
    Watch {
        /// The kind.
        kind: String,
        /// The namespace.
        namespace: String,
        /// What the API server said.
        reason: String,
    },
}

/// Observes a namespace until it is dropped.
pub struct Observer {
    client: Client,
    namespace: String,
    sink: Sink,
    entries: mpsc::UnboundedReceiver<Entry>,
    /// Entries that come before those of the channel.
    first: VecDeque<Entry>,
    tasks: JoinSet<()>,
    lives: BTreeMap<Instance, watch::Sender<Life>>,
}

impl Observer {
    /// Begins to observe these kinds (`apiVersion`, `kind`); returns once their initial state has been observed, so that an action
    /// sent from now on misses nothing.
    pub async fn start(client: Client, clock: Clock, namespace: &str, kinds: &[(String, String)]) -> Result<Self, ObserveError> {
        let (sender, entries) = mpsc::unbounded_channel();
        let sink = Sink { clock, entries: sender };
        let mut tasks = JoinSet::new();
        let mut begun = Vec::new();
        for (api_version, kind) in kinds {
            let resource = Resource::find(&client, api_version, kind).await?;
            let (ready, is_ready) = oneshot::channel();
            tasks.spawn(Watch::new(client.clone(), resource, namespace, sink.clone()).run(ready));
            begun.push((kind, is_ready));
        }
        for (kind, is_ready) in begun {
            let answer = is_ready.await.unwrap_or_else(|_| Err("its task ended".to_owned()));
            let failed = |reason| ObserveError::Watch { kind: kind.clone(), namespace: namespace.to_owned(), reason };
            answer.map_err(failed)?;
        }
        Ok(Self { client, namespace: namespace.to_owned(), sink, entries, first: VecDeque::new(), tasks, lives: BTreeMap::new() })
    }

    /// The next entry; waits for it. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<Entry> {
        if let Some(entry) = self.first.pop_front() {
            return Some(entry);
        }
        let entry = self.entries.recv().await?;
        if let Observation::Object(object) = &entry.what
            && object.kind == "Pod"
        {
            self.follow_logs(object, entry.t, entry.after);
        }
        Some(entry)
    }

    /// Where the caller puts entries of its own into the order of the observations.
    pub(crate) fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// With `after`, the Pod has been so since then: so have its logs not been read, and nothing may be said of them before they are.
    fn follow_logs(&mut self, pod: &ObjectObservation, t: Duration, after: Option<Duration>) {
        for (instance, life) in instances::of_pod(pod) {
            if let Some(known) = self.lives.get(&instance) {
                known.send_replace(life);
                continue;
            }
            if life == Life::Gone {
                continue;
            }
            #[expect(clippy::disallowed_methods, reason = "it has one receiver, so there is no order of waking")]
            let (sender, receiver) = watch::channel(life);
            self.lives.insert(instance.clone(), sender);
            if after.is_some() {
                let reason = "the container was started while the watch of the Pods was interrupted".to_owned();
                let what = Observation::Interrupted { stream: Stream::Log(instance.clone()), reason };
                self.first.push_back(Entry { t, after: None, what });
            }
            let (client, namespace, sink) = (self.client.clone(), self.namespace.clone(), self.sink.clone());
            self.tasks.spawn(LogFollow { client, namespace, instance, life: receiver, sink }.run(after));
        }
        while self.tasks.try_join_next().is_some() {}
    }
}
