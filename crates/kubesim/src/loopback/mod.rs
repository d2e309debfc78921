//! The typed client that components use inside the process: the same admission, defaulting, validation and strategies
//! as over HTTP, without the HTTP. (Kubernetes calls the API server's connection to itself the loopback client.)

mod dynamic;
mod informer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Binding;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Clock, Random,
    apiserver::{ApiServer, DeleteOptions, Patch, Writer},
    node_api::NodeApi,
    object::{Key, Object, at},
    resource::Resource,
    selector::Selection,
    status::StatusError,
};

pub use informer::{Delta, Informer};

/// A type of `k8s_openapi` that the client can carry.
pub trait Kind: k8s_openapi::Resource + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<K: k8s_openapi::Resource + Serialize + DeserializeOwned + Send + Sync + 'static> Kind for K {}

/// How long a request takes to arrive, and its answer to come back. Together 5 to 20 ms, as seen on real clusters.
const THERE: std::ops::Range<Duration> = Duration::from_millis(3)..Duration::from_millis(12);
const BACK: std::ops::Range<Duration> = Duration::from_millis(2)..Duration::from_millis(8);

/// A component's connection to the API server.
///
/// Every request takes its time: it arrives 3 to 12 ms after it was sent and is answered 2 to 8 ms after that, so that
/// watchers may learn of a write before its writer does, as in a real cluster. Informers cost no time.
#[derive(Debug)]
pub struct LoopbackClient {
    api: ApiServer,
    clock: Clock,
    manager: &'static str,
    random: Mutex<Random>,
}

impl LoopbackClient {
    /// The connection of the component `manager`, such as `kubelet`: the field manager of what it writes.
    pub(crate) fn new(api: ApiServer, manager: &'static str, random: Random) -> Self {
        Self { clock: api.clock(), api, manager, random: Mutex::new(random) }
    }

    /// The same connection with latencies of its own, drawn from a stream named `name`. Each concurrent task of a
    /// component should have one, so that one task's requests do not change another's latencies.
    #[must_use]
    pub fn fork(&self, name: &str) -> Self {
        let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).fork(name);
        Self::new(self.api.clone(), self.manager, random)
    }

    /// Reads an object. `namespace` is empty for objects of the cluster.
    ///
    /// # Errors
    /// If it does not exist.
    pub async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<Arc<K>, StatusError> {
        let (resource, key) = (resource::<K>()?, Key::new(namespace, name));
        self.request(|| {
            let object = self.api.get(resource, &key)?;
            typed(resource, &object)
        })
        .await
    }

    /// Reads the selected objects, in the order of namespace and name.
    ///
    /// # Errors
    /// If the kind is not served.
    pub async fn list<K: Kind>(&self, selection: &Selection) -> Result<Vec<Arc<K>>, StatusError> {
        let resource = resource::<K>()?;
        self.request(|| self.api.store().list(resource, selection).0.iter().map(|o| typed(resource, o)).collect()).await
    }

    /// Makes an object, with a generated name if it has `generateName` only.
    ///
    /// # Errors
    /// If it exists, is not valid, or is not admitted.
    pub async fn create<K: Kind>(&self, object: &K) -> Result<Arc<K>, StatusError> {
        let resource = resource::<K>()?;
        let value = to_value(object)?;
        self.request(|| {
            let object = self.api.create(resource, None, value, &self.writer())?;
            typed(resource, &object)
        })
        .await
    }

    /// Replaces an object (its spec and metadata; not its status). With a `resourceVersion` in it, only if that is
    /// still the current one.
    ///
    /// # Errors
    /// If it does not exist, has changed (`is_conflict`), or is not valid.
    pub async fn update<K: Kind>(&self, object: &K) -> Result<Arc<K>, StatusError> {
        self.update_subresource(object, "").await
    }

    /// Replaces the status of an object, otherwise as [`LoopbackClient::update`].
    ///
    /// # Errors
    /// As [`LoopbackClient::update`].
    pub async fn update_status<K: Kind>(&self, object: &K) -> Result<Arc<K>, StatusError> {
        self.update_subresource(object, "status").await
    }

    /// Replaces an object through a subresource of its own kind, such as a Namespace's `finalize`.
    ///
    /// # Errors
    /// As [`LoopbackClient::update`], and if there is no such subresource.
    pub async fn update_subresource<K: Kind>(&self, object: &K, subresource: &str) -> Result<Arc<K>, StatusError> {
        let resource = resource::<K>()?;
        let value = to_value(object)?;
        let text = |pointer| at(&value, pointer).and_then(Value::as_str).unwrap_or_default();
        let key = Key::new(text("/metadata/namespace"), text("/metadata/name"));
        self.request(|| {
            let object = self.api.update(resource, subresource, &key, value, &self.writer())?;
            typed(resource, &object)
        })
        .await
    }

    /// Patches an object. What changes nothing writes nothing, and no watcher hears of it.
    ///
    /// # Errors
    /// If it does not exist, or the result is not valid.
    pub async fn patch<K: Kind>(&self, namespace: &str, name: &str, patch: &Patch) -> Result<Arc<K>, StatusError> {
        self.patch_subresource(namespace, name, "", patch).await
    }

    /// Patches the status of an object, `{"status": {…}}`. What changes nothing writes nothing.
    ///
    /// # Errors
    /// If it does not exist, or the result is not valid.
    pub async fn patch_status<K: Kind>(&self, namespace: &str, name: &str, patch: &Patch) -> Result<Arc<K>, StatusError> {
        self.patch_subresource(namespace, name, "status", patch).await
    }

    async fn patch_subresource<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<Arc<K>, StatusError> {
        let (resource, key) = (resource::<K>()?, Key::new(namespace, name));
        self.request(|| {
            let object = self.api.patch(resource, subresource, &key, patch, &self.writer())?;
            typed(resource, &object)
        })
        .await
    }

    /// Deletes an object: a Pod gets its grace, an object with finalizers waits for them.
    ///
    /// # Errors
    /// If it does not exist, or a precondition does not hold.
    pub async fn delete<K: Kind>(&self, namespace: &str, name: &str, options: &DeleteOptions) -> Result<(), StatusError> {
        let (resource, key) = (resource::<K>()?, Key::new(namespace, name));
        self.request(|| self.api.delete(resource, &key, options, &self.writer()).map(drop)).await
    }

    /// Assigns a Pod to a node (the `binding` subresource), which also sets its condition `PodScheduled`.
    ///
    /// # Errors
    /// If the Pod does not exist, is being deleted, or has a node already.
    pub async fn bind(&self, binding: &Binding) -> Result<(), StatusError> {
        self.request(|| self.api.bind(binding, &self.writer()).map(drop)).await
    }

    /// Evicts a Pod: deletes it if no disruption budget forbids it.
    ///
    /// # Errors
    /// If the Pod does not exist, or a budget forbids it (429).
    pub async fn evict(&self, namespace: &str, name: &str, options: &DeleteOptions) -> Result<(), StatusError> {
        let key = Key::new(namespace, name);
        self.request(|| self.api.evict(&key, options, &self.writer())).await
    }

    /// Follows the selected objects: those that exist first, then every change, with a cache of the current state.
    ///
    /// # Errors
    /// If the kind is not served.
    pub fn informer<K: Kind>(&self, selection: Selection) -> Result<Informer<K>, StatusError> {
        let resource = resource::<K>()?;
        let (objects, watch) = self.api.store().list_and_watch(resource, selection.clone());
        Ok(Informer::new(self.api.store().clone(), resource, selection, objects, watch))
    }

    /// Registers the API of a node, for logs, exec and proxied requests; replaces what was registered for it.
    pub fn serve_node(&self, node: &str, api: Arc<dyn NodeApi>) {
        self.api.serve_node(node, api);
    }

    /// Removes the API of a node: its logs can no longer be read.
    pub fn forget_node(&self, node: &str) {
        self.api.forget_node(node);
    }

    fn writer(&self) -> Writer<'_> {
        Writer::component(self.manager)
    }

    async fn request<T>(&self, serve: impl FnOnce() -> Result<T, StatusError>) -> Result<T, StatusError> {
        let (there, back) = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            (random.between(THERE), random.between(BACK))
        };
        self.clock.sleep(there).await;
        let answer = serve();
        self.clock.sleep(back).await;
        answer
    }
}

fn resource<K: Kind>() -> Result<&'static Resource, StatusError> {
    Resource::of::<K>().ok_or_else(StatusError::no_such_path)
}

fn to_value<K: Kind>(object: &K) -> Result<Value, StatusError> {
    serde_json::to_value(object).map_err(|error| StatusError::bad_request(format!("{} cannot be written: {error}", K::KIND)))
}

fn typed<K: Kind>(resource: &'static Resource, object: &Object) -> Result<Arc<K>, StatusError> {
    let typed = if resource == resource.stored() {
        object.typed()
    } else {
        serde_json::from_value(crate::apiserver::external(resource, object.value())).map(Arc::new)
    };
    typed.map_err(|error| StatusError::bad_request(format!("{resource} {:?} cannot be read: {error}", object.name())))
}

#[cfg(test)]
mod tests;
