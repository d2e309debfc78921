//! Which path of the API serves a kind.

use kube::discovery::{Scope, oneshot};
use kube::{Client, core::GroupVersionKind};

use crate::scenario::kinds;

/// A kind that the API server serves in namespaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// `v1`, `apps/v1`, …
    pub api_version: String,
    /// `Pod`, `Deployment`, …
    pub kind: String,
    /// `pods`, `deployments`, …
    pub plural: String,
}

/// A kind that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The API server does not know it.
    #[error("this cluster has no kind {kind} in {api_version}: {reason}")]
    Unknown {
        /// As in [`Resource`].
        api_version: String,
        /// As in [`Resource`].
        kind: String,
        /// What the API server said.
        reason: String,
    },
    /// The API server was not asked with success whether it knows it.
    #[error("it is not known whether this cluster has the kind {kind} in {api_version}: {}", crate::errors::words(.error))]
    Undiscovered {
        /// As in [`Resource`].
        api_version: String,
        /// As in [`Resource`].
        kind: String,
        /// What came instead of an answer.
        error: kube::Error,
    },
    /// It belongs to no namespace.
    #[error("a {0} belongs to the whole cluster; a scenario may only use objects of its own namespace")]
    ClusterScoped(String),
}

impl Resource {
    /// Finds the path of a kind; asks the API server only for kinds that not every cluster has.
    pub async fn find(client: &Client, api_version: &str, kind: &str) -> Result<Self, ResourceError> {
        let resource =
            |plural: &str| Self { api_version: api_version.to_owned(), kind: kind.to_owned(), plural: plural.to_owned() };
        if kinds::is_cluster_wide(api_version, kind) {
            return Err(ResourceError::ClusterScoped(kind.to_owned()));
        }
        if let Some(known) = kinds::find(api_version, kind) {
            return Ok(resource(known.plural));
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = oneshot::pinned_kind(client, &GroupVersionKind::gvk(group, version, kind)).await;
        match found {
            Ok((found, capabilities)) if capabilities.scope == Scope::Namespaced => Ok(resource(&found.plural)),
            Ok(_) => Err(ResourceError::ClusterScoped(kind.to_owned())),
            Err(error) if is_missing(&error) => {
                let reason = crate::errors::words(&error);
                Err(ResourceError::Unknown { api_version: api_version.to_owned(), kind: kind.to_owned(), reason })
            }
            Err(error) => Err(ResourceError::Undiscovered { api_version: api_version.to_owned(), kind: kind.to_owned(), error }),
        }
    }

    /// The path of all objects of the kind in a namespace.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural)
    }
}

/// Whether the API server has answered that it has no such group, version or kind.
fn is_missing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Discovery(_) => true,
        kube::Error::Api(status) => status.code == 404,
        _ => false,
    }
}
