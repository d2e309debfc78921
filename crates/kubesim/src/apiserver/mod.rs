//! The API server: what stands between a request and the store.
//!
//! [`ApiServer`] has the operations that both ways in share, the [`LoopbackClient`](crate::LoopbackClient) of the
//! components and the HTTP service of everybody else: admission, defaulting, validation, the rules of each resource.

mod admission;
mod binding;
mod bootstrap;
mod create;
mod defaults;
mod delete;
mod events;
mod eviction;
mod http;
mod managed;
mod metadata;
mod patch;
mod quantities;
mod strategy;
mod table;
mod update;
mod validation;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    Clock, Random, Version,
    node_api::NodeApi,
    object::{Key, Object},
    resource::Resource,
    status::StatusError,
    store::Store,
};

pub use delete::{DeleteOptions, Propagation};
pub(crate) use events::external;
#[cfg(feature = "serve")]
pub(crate) use http::error_response;
pub use http::{HttpService, ResponseBody};
pub use patch::Patch;

/// The API server. Cheap to clone; clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    version: Version,
    random: Mutex<Random>,
    nodes: Mutex<BTreeMap<String, Arc<dyn NodeApi>>>,
    expiry: Mutex<events::Expiry>,
}

/// Where a write comes from, which decides how it is read and how its fields are accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A component of the cluster: its objects are well-formed, and nobody tracks its fields.
    Component,
    /// A client, whose objects are decoded, and which owns what it sets.
    Client,
    /// A client that applies a configuration, which has accounted for its fields itself.
    Apply,
}

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager.
    pub(crate) manager: &'a str,
    /// Whether to do everything but the writing.
    pub(crate) dry_run: bool,
    /// Where the write comes from.
    pub(crate) origin: Origin,
    /// Whether an unknown field is an error.
    pub(crate) strict: bool,
    /// Where warnings go.
    pub(crate) warnings: Option<&'a Mutex<Vec<String>>>,
}

impl<'a> Writer<'a> {
    /// A component of the cluster.
    pub(crate) fn component(manager: &'a str) -> Self {
        Self { manager, dry_run: false, origin: Origin::Component, strict: false, warnings: None }
    }

    /// Tells the client of something that it should know.
    pub(crate) fn warn(&self, warnings: Vec<String>) {
        if let Some(list) = self.warnings {
            list.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
        }
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("revision", &self.inner.store.revision()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server of a store.
    pub(crate) fn new(store: Store, clock: Clock, version: Version, random: Random) -> Self {
        let inner = Inner { store, clock, version, random: Mutex::new(random), nodes: Mutex::default(), expiry: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The store behind it.
    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The cluster's clock.
    pub(crate) fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// The version that it says it is.
    pub(crate) fn version(&self) -> Version {
        self.inner.version
    }

    fn random(&self) -> MutexGuard<'_, Random> {
        self.inner.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// If it does not exist.
    pub(crate) fn get(&self, resource: &'static Resource, key: &Key) -> Result<Arc<Object>, StatusError> {
        self.store().get(resource, key).ok_or_else(|| StatusError::not_found(resource, &key.name))
    }

    pub(crate) fn serve_node(&self, node: &str, api: Arc<dyn NodeApi>) {
        self.nodes().insert(node.to_owned(), api);
    }

    pub(crate) fn forget_node(&self, node: &str) {
        self.nodes().remove(node);
    }

    /// The API of a node, if its kubelet has registered it.
    pub(crate) fn node(&self, node: &str) -> Option<Arc<dyn NodeApi>> {
        self.nodes().get(node).cloned()
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn NodeApi>>> {
        self.inner.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
