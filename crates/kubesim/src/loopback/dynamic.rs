//! Requests about objects of any resource, for components that treat all of them alike: the garbage collector, and the
//! controller of namespaces.

use std::sync::Arc;

use super::LoopbackClient;
use crate::{
    apiserver::{DeleteOptions, Patch},
    object::{Key, Object},
    resource::Resource,
    selector::Selection,
    status::StatusError,
    store::Watch,
};

impl LoopbackClient {
    /// The objects of a resource, and the changes to come.
    pub(crate) fn follow(&self, resource: &'static Resource) -> (Vec<Arc<Object>>, Watch) {
        self.api.store().list_and_watch(resource, Selection::all())
    }

    /// Reads the selected objects of a resource.
    pub(crate) async fn list_objects(&self, resource: &'static Resource, selection: &Selection) -> Vec<Arc<Object>> {
        self.request(|| Ok(self.api.store().list(resource, selection).0)).await.unwrap_or_default()
    }

    /// Patches an object of a resource.
    ///
    /// # Errors
    /// As [`LoopbackClient::patch`].
    pub(crate) async fn patch_object(&self, resource: &'static Resource, key: &Key, patch: &Patch) -> Result<(), StatusError> {
        self.request(|| self.api.patch(resource, "", key, patch, &self.writer()).map(drop)).await
    }

    /// Deletes an object of a resource.
    ///
    /// # Errors
    /// As [`LoopbackClient::delete`].
    pub(crate) async fn delete_object(
        &self,
        resource: &'static Resource,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<(), StatusError> {
        self.request(|| self.api.delete(resource, key, options, &self.writer()).map(drop)).await
    }

    /// Deletes all objects of a resource in a namespace, by one request.
    pub(crate) async fn delete_collection(&self, resource: &'static Resource, namespace: &str) -> Result<(), StatusError> {
        let selection = Selection::in_namespace(namespace);
        let options = DeleteOptions { propagation: Some(crate::apiserver::Propagation::Background), ..DeleteOptions::default() };
        self.request(|| {
            for object in self.api.store().list(resource, &selection).0 {
                match self.api.delete(resource, &object.key(), &options, &self.writer()) {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }
}
