//! A simulated Kubernetes for tests: an API server, controllers, a scheduler and kubelets, in one process and in
//! virtual time.
//!
//! A [`Cluster`] is talked to with an ordinary [`kube::Client`]. On a runtime whose time is paused, hours of a
//! cluster's life take milliseconds; one seed is one reproducible history. What containers do comes from
//! [`workload`]s; an image that no workload has cannot be pulled.
//!
//! ```
//! # use k8s_openapi::api::core::v1::Namespace;
//! # use kube::Api;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! runtime.block_on(async {
//!     let cluster = kubesim::Cluster::builder().seed(7).build();
//!     cluster.clock().sleep(std::time::Duration::from_secs(3_600)).await;
//!     let _namespaces: Api<Namespace> = Api::all(cluster.client());
//! });
//! # Ok(())
//! # }
//! ```
//!
//! # For authors of components
//!
//! A component (a kubelet, a controller, the scheduler) is an `async fn run(…, component: Component)` that the cluster
//! spawns and that never returns; dropping the cluster drops it. [`Component`] has all it may use:
//!
//! - **`client`**, a [`LoopbackClient`]: `get`, `list`, `create`, `update`, `update_status`, `patch`, `patch_status`,
//!   `delete`, `bind`, `evict`, all typed with `k8s_openapi`, with the same admission, defaulting and validation as over
//!   HTTP and a latency of 5 to 20 ms each. Errors are [`StatusError`]s; `is_not_found()`, `is_conflict()` and
//!   `is_already_exists()` tell the usual ones. `update*` is refused with a conflict if the object carries an old
//!   `resourceVersion`; `patch*` is not, and writes nothing (no watcher hears of it) if nothing changes.
//! - **`client.informer::<K>(selection)`**, an [`Informer`]: the objects that exist as [`Delta::Added`], then every
//!   change; `next().await` may be dropped without loss, so it fits `tokio::select! { biased; … }`. Its cache is as of
//!   the last delta given, and `catch_up()` takes in all that has happened. Objects come as `Arc<K>` shared by all
//!   components: following every Pod of the cluster is cheap. Select by field where a component cares for a part:
//!   `Selection::all().field("spec.nodeName", node)`.
//! - **`clock`**, a [`Clock`]: wait with `clock.sleep` and `clock.sleep_until` only (a scaled cluster depends on it);
//!   compute with `clock.elapsed()`, a `Duration` since the start; put `clock.time()` into objects, which is floored to
//!   whole seconds as Kubernetes does. Never poll in a loop of short sleeps: every wake-up costs each virtual second.
//! - **`random`**, a [`Random`]: `random.fork(name)` gives each object its own stream (`random.fork(&pod_uid)`), so that
//!   one more draw somewhere changes nothing elsewhere. Concurrent tasks also take a `client.fork(name)` each.
//! - **`version`**, a [`Version`]: `version.at_least(36)` where behaviour changed.
//! - **`workloads`**: the images that exist and what they do.
//!
//! Tasks that a component starts belong into a [`tokio::task::JoinSet`] that it owns, so that they end with it. No
//! order of a hash map may reach an object, an event or a log: use `BTreeMap`. Sub-controllers are
//! `component.part("deployment")`.
//!
//! A kubelet registers a [`node_api::NodeApi`] with `client.serve_node`: it is how the API server reads logs, runs
//! commands and reaches ports. It keeps a [`node_api::ContainerLog`] for each container instance; following, tails and
//! timestamps are the API server's business.
//!
//! Division of work with the API server: it gives every Pod its defaults, the service account's token volume, the
//! tolerations, priority 0, `status.phase` Pending and `status.qosClass`; it sets `PodScheduled` on binding, raises
//! `metadata.generation`, sets the deletion timestamp, and removes the object when the kubelet deletes it with
//! [`DeleteOptions::now`]. The kubelet registers its Node, the controllers make the service account `default` (there
//! already in the namespaces that every cluster has) and the config map `kube-root-ca.crt` of each namespace. The status of a Pod is written with `patch_status` and a [`Patch::Strategic`]
//! (`{"metadata": {"uid": …}, "status": {…}}`), which merges the conditions by type and replaces the lists of
//! containers.
//!
//! The tests of [`LoopbackClient`] have a small component to start from.

mod apiserver;
mod clock;
mod cluster;
mod component;
mod controllers;
mod deaths;
mod kubelet;
mod loopback;
pub mod node_api;
mod object;
mod quantity;
mod recorder;
pub mod resource;
mod rng;
mod schedule;
mod scheduler;
mod schema;
pub mod selector;
#[cfg(feature = "serve")]
mod serve;
pub mod status;
pub mod store;
#[cfg(test)]
mod survival;
mod typed;
mod version;
mod watched;

pub use apiserver::{ApiServer, DeleteOptions, HttpService, Patch, Propagation, ResponseBody, Writer};
pub use clock::{Clock, floor_to_seconds};
pub use cluster::{Cluster, ClusterBuilder, EPOCH, NoSuchNode, NotReady};
pub use component::Component;
pub use deaths::ComponentDied;
pub use loopback::{Delta, Informer, Kind, LoopbackClient};
pub use object::{Key, Object};
pub use rng::Random;
#[cfg(feature = "serve")]
pub use serve::{kubeconfig, serve};
pub use status::StatusError;
pub use version::{UnknownVersion, Version};
