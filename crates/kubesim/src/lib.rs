//! A simulated Kubernetes for tests: an API server, controllers, a scheduler and kubelets, in one process and in
//! virtual time.
//!
//! A [`Cluster`] is talked to with an ordinary [`kube::Client`]: [`Cluster::client`]. On a runtime whose time is paused,
//! hours of a cluster's life take milliseconds; one seed is one reproducible history. What containers do comes from
//! [`workload`]s; an image that no workload describes cannot be pulled.
//!
//! ```
//! use std::time::Duration;
//!
//! use k8s_openapi::api::core::v1::Pod;
//! use kube::api::{Api, PostParams};
//! use kube::runtime::wait::{await_condition, conditions::is_pod_running};
//! use kubesim::{Cluster, Version};
//! use serde_json::{from_value, json};
//! use workload::{Workload, Workloads};
//!
//! const SERVER: &str = "
//! image: example/server:1.0
//! listen: {port: 8080}
//! http: {/healthz: [{status: 200, body: OK}]}
//! ";
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a test: #[tokio::test(flavor = "current_thread", start_paused = true)].
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! runtime.block_on(async {
//!     let workloads: Workloads = [Workload::from_yaml(SERVER)?].into_iter().collect();
//!     let cluster = Cluster::builder()
//!         .nodes(2)
//!         .version("v1.34".parse::<Version>()?)
//!         .seed(7)
//!         .epoch("2026-03-01T12:00:00Z".parse()?)
//!         .workloads(workloads)
//!         .build();
//!     cluster.ready().await?;
//!
//!     let pods: Api<Pod> = Api::default_namespaced(cluster.client());
//!     let pod = json!({
//!         "metadata": {"name": "web"},
//!         "spec": {"containers": [{"name": "web", "image": "example/server:1.0"}]},
//!     });
//!     pods.create(&PostParams::default(), &from_value(pod)?).await?;
//!     await_condition(pods.clone(), "web", is_pod_running()).await?;
//!
//!     // Half an hour passes at once.
//!     cluster.clock().sleep(Duration::from_mins(30)).await;
//!     assert!(cluster.clock().elapsed() >= Duration::from_mins(30));
//!     Ok(())
//! })
//! # }
//! ```
//!
//! Wait with [`Cluster::clock`] or for a state; real I/O has no place in virtual time. [`Cluster::stop_kubelet`] makes a
//! node fall silent. With the feature `serve`, a `Server` offers the API over HTTPS on a [scaled](ClusterBuilder::speed) clock,
//! for `kubectl` and other programs. The example `controller` is a whole test of a controller.
//!
//! How the components are made is told at [`Component`].

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
pub use serve::Server;
pub use status::StatusError;
pub use version::{UnknownVersion, Version};
