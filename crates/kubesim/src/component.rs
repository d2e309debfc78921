//! What every component of the cluster is given.

use std::sync::Arc;

use workload::Workloads;

use crate::{Clock, LoopbackClient, Random, Version, deaths::Deaths};

/// What a component (a kubelet, a controller, the scheduler) is made of; see the crate's documentation for authors of
/// components.
#[derive(Debug)]
pub struct Component {
    /// The way to the API server.
    pub client: LoopbackClient,
    /// The cluster's time, to read and to wait by.
    pub clock: Clock,
    /// The component's own chance; fork it for each object.
    pub random: Random,
    /// The simulated version of Kubernetes.
    pub version: Version,
    /// The images that exist: a name that none of them has cannot be pulled.
    pub workloads: Arc<Workloads>,
    /// Where it is noted if one of its tasks panics.
    pub(crate) deaths: Deaths,
}

impl Component {
    /// A part of this component under a name of its own, such as one controller of the controller manager: the same
    /// client identity, but chance and latencies of its own.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        Self {
            client: self.client.fork(name),
            clock: self.clock,
            random: self.random.fork(name),
            version: self.version,
            workloads: Arc::clone(&self.workloads),
            deaths: self.deaths.clone(),
        }
    }
}
