//! What every component of the cluster is given.

use std::sync::Arc;

use workload::Workloads;

use crate::{Clock, LoopbackClient, Random, Version, deaths::Deaths};

/// What a component (a kubelet, a controller, the scheduler) is made of.
///
/// A component (a kubelet, a controller, the scheduler) is an `async fn run(…, component: Component)` that the cluster
/// spawns and that never returns; dropping the cluster drops it. [`Component`] has all it may use:
///
/// - **`client`**, a [`LoopbackClient`]: `get`, `list`, `create`, `update`, `update_status`, `patch`, `patch_status`,
///   `delete`, `bind`, `evict`, all typed with `k8s_openapi`, with the same admission, defaulting and validation as over
///   HTTP and a latency of 5 to 20 ms each. Errors are [`StatusError`]s; `is_not_found()`, `is_conflict()` and
///   `is_already_exists()` tell the usual ones. `update*` is refused with a conflict if the object carries an old
///   `resourceVersion`; `patch*` is not, and writes nothing (no watcher hears of it) if nothing changes.
/// - **`client.informer::<K>(selection)`**, an [`Informer`]: the objects that exist as [`Delta::Added`], then every
///   change; `next().await` may be dropped without loss, so it fits `tokio::select! { biased; … }`. Its cache is as of
///   the last delta given, and `catch_up()` takes in all that has happened. Objects come as `Arc<K>` shared by all
///   components: following every Pod of the cluster is cheap. Select by field where a component cares for a part:
///   `Selection::all().field("spec.nodeName", node)`.
/// - **`clock`**, a [`Clock`]: wait with `clock.sleep` and `clock.sleep_until` only (a scaled cluster depends on it);
///   compute with `clock.elapsed()`, a `Duration` since the start; put `clock.time()` into objects, which is floored to
///   whole seconds as Kubernetes does. Never poll in a loop of short sleeps: every wake-up costs each virtual second.
/// - **`random`**, a [`Random`]: `random.fork(name)` gives each object its own stream (`random.fork(&pod_uid)`), so that
///   one more draw somewhere changes nothing elsewhere. Concurrent tasks also take a `client.fork(name)` each.
/// - **`version`**, a [`Version`]: `version.at_least(36)` where behaviour changed.
/// - **`workloads`**: the images that exist and what they do.
///
/// Tasks that a component starts belong into a [`tokio::task::JoinSet`] that it owns, so that they end with it. No
/// order of a hash map may reach an object, an event or a log: use `BTreeMap`. Sub-controllers are
/// `component.part("deployment")`.
///
/// A kubelet registers a [`node_api::NodeApi`] with `client.serve_node`: it is how the API server reads logs, runs
/// commands and reaches ports. It keeps a [`node_api::ContainerLog`] for each container instance; following, tails and
/// timestamps are the API server's business.
///
/// Division of work with the API server: it gives every Pod its defaults, the service account's token volume, the
/// tolerations, priority 0, `status.phase` Pending and `status.qosClass`; it sets `PodScheduled` on binding, raises
/// `metadata.generation`, sets the deletion timestamp, and removes the object when the kubelet deletes it with
/// [`DeleteOptions::now`]. The kubelet registers its Node, the controllers make the service account `default` (there
/// already in the namespaces that every cluster has) and the config map `kube-root-ca.crt` of each namespace. The status of a Pod is written with `patch_status` and a [`Patch::Strategic`]
/// (`{"metadata": {"uid": …}, "status": {…}}`), which merges the conditions by type and replaces the lists of
/// containers.
///
/// The tests of [`LoopbackClient`] have a small component to start from.
///
/// [`DeleteOptions::now`]: crate::DeleteOptions::now
/// [`Delta::Added`]: crate::Delta::Added
/// [`Informer`]: crate::Informer
/// [`Patch::Strategic`]: crate::Patch::Strategic
/// [`StatusError`]: crate::StatusError
/// [`node_api::ContainerLog`]: crate::node_api::ContainerLog
/// [`node_api::NodeApi`]: crate::node_api::NodeApi
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
