//! Which path of the API serves a kind.

use kube::discovery::{Scope, oneshot};
use kube::{Client, core::GroupVersionKind};

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
    /// It belongs to no namespace.
    #[error("a {0} belongs to the whole cluster; a scenario may only use objects of its own namespace")]
    ClusterScoped(String),
}

/// Kinds that every cluster has, so that no request is needed to find them.
const WELL_KNOWN: [(&str, &str, &str); 19] = [
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Endpoints", "endpoints"),
    ("v1", "Event", "events"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("v1", "Pod", "pods"),
    ("v1", "ReplicationController", "replicationcontrollers"),
    ("v1", "Secret", "secrets"),
    ("v1", "Service", "services"),
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("batch/v1", "CronJob", "cronjobs"),
    ("batch/v1", "Job", "jobs"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    ("networking.k8s.io/v1", "Ingress", "ingresses"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
];

impl Resource {
    /// Finds the path of a kind; asks the API server only for kinds that not every cluster has.
    pub async fn find(client: &Client, api_version: &str, kind: &str) -> Result<Self, ResourceError> {
        let resource =
            |plural: &str| Self { api_version: api_version.to_owned(), kind: kind.to_owned(), plural: plural.to_owned() };
        if let Some((_, _, plural)) = WELL_KNOWN.iter().find(|known| known.0 == api_version && known.1 == kind) {
            return Ok(resource(plural));
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = oneshot::pinned_kind(client, &GroupVersionKind::gvk(group, version, kind)).await;
        match found {
            Ok((found, capabilities)) if capabilities.scope == Scope::Namespaced => Ok(resource(&found.plural)),
            Ok(_) => Err(ResourceError::ClusterScoped(kind.to_owned())),
            Err(error) => Err(ResourceError::Unknown {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                reason: crate::errors::words(&error),
            }),
        }
    }

    /// The path of all objects of the kind in a namespace.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural)
    }
}
