//! The resources that the API server serves.

use std::fmt;

/// A resource of the API: what discovery says about it. All of them are in [`RESOURCES`].
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version inside its group.
    pub version: &'static str,
    /// The kind of its objects.
    pub kind: &'static str,
    /// The name in URLs.
    pub plural: &'static str,
    /// The name of one of them, as discovery gives it.
    pub singular: &'static str,
    /// The short names that kubectl takes.
    pub short_names: &'static [&'static str],
    /// Whether `kubectl get all` shows it.
    pub in_all: bool,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Its subresources, and the kinds that they take where these differ from its own.
    pub subresources: &'static [Subresource],
}

/// A subresource of a resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Subresource {
    /// The name in URLs.
    pub name: &'static str,
    /// Group, version and kind of what it takes, where it is not the resource's own.
    pub kind: Option<(&'static str, &'static str, &'static str)>,
    /// The verbs that discovery lists.
    pub verbs: &'static [&'static str],
}

impl Resource {
    /// `v1`, `apps/v1`: what objects say in `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods`, `deployments.apps`: how messages name the resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The resource whose objects are stored: events of both groups are one.
    pub fn stored(&'static self) -> &'static Self {
        if self.plural == "events" { &EVENTS } else { self }
    }

    /// Whether it has a subresource of this name.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// The resource of a type of `k8s_openapi`, if it is served.
    pub fn of<K: k8s_openapi::Resource>() -> Option<&'static Self> {
        find(K::GROUP, K::VERSION, K::URL_PATH_SEGMENT)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.qualified())
    }
}

/// The resource at `/apis/{group}/{version}/{plural}`, or `/api/{version}/{plural}` with an empty group.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().copied().find(|r| r.plural == plural && r.group == group && r.version == version)
}

/// The resource of the objects with this `apiVersion` and `kind`.
pub fn find_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    RESOURCES.iter().copied().find(|r| r.kind == kind && r.group == group && r.version == version)
}

const STATUS: Subresource = Subresource { name: "status", kind: None, verbs: &["get", "patch", "update"] };
const SCALE: Subresource =
    Subresource { name: "scale", kind: Some(("autoscaling", "v1", "Scale")), verbs: &["get", "patch", "update"] };
const PROXY_VERBS: &[&str] = &["create", "delete", "get", "patch", "update"];

const fn of(name: &'static str, kind: (&'static str, &'static str, &'static str), verbs: &'static [&'static str]) -> Subresource {
    Subresource { name, kind: Some(kind), verbs }
}

const PLAIN: Resource = Resource {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    in_all: false,
    namespaced: true,
    subresources: &[],
};

/// Pods.
pub static PODS: Resource = Resource {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    in_all: true,
    subresources: &[
        of("attach", ("", "v1", "PodAttachOptions"), &["create", "get"]),
        of("binding", ("", "v1", "Binding"), &["create"]),
        of("eviction", ("policy", "v1", "Eviction"), &["create"]),
        of("exec", ("", "v1", "PodExecOptions"), &["create", "get"]),
        Subresource { name: "log", kind: None, verbs: &["get"] },
        of("portforward", ("", "v1", "PodPortForwardOptions"), &["create", "get"]),
        of("proxy", ("", "v1", "PodProxyOptions"), PROXY_VERBS),
        STATUS,
    ],
    ..PLAIN
};

/// Events, stored as `v1` of the core group and served in both groups.
pub static EVENTS: Resource = Resource { kind: "Event", plural: "events", singular: "event", short_names: &["ev"], ..PLAIN };

/// Events of `events.k8s.io`: the same objects as [`EVENTS`].
pub static NEW_EVENTS: Resource = Resource { group: "events.k8s.io", ..EVENTS };

/// Namespaces.
pub static NAMESPACES: Resource = Resource {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    subresources: &[Subresource { name: "finalize", kind: None, verbs: &["update"] }, STATUS],
    ..PLAIN
};

/// Nodes.
pub static NODES: Resource = Resource {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    namespaced: false,
    subresources: &[STATUS],
    ..PLAIN
};

/// Services.
pub static SERVICES: Resource = Resource {
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    in_all: true,
    subresources: &[of("proxy", ("", "v1", "ServiceProxyOptions"), PROXY_VERBS), STATUS],
    ..PLAIN
};

/// Service accounts.
pub static SERVICE_ACCOUNTS: Resource = Resource {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    subresources: &[of("token", ("authentication.k8s.io", "v1", "TokenRequest"), &["create"])],
    ..PLAIN
};

/// Config maps.
pub static CONFIG_MAPS: Resource =
    Resource { kind: "ConfigMap", plural: "configmaps", singular: "configmap", short_names: &["cm"], ..PLAIN };

/// Secrets.
pub static SECRETS: Resource = Resource { kind: "Secret", plural: "secrets", singular: "secret", ..PLAIN };

/// Endpoints.
pub static ENDPOINTS: Resource =
    Resource { kind: "Endpoints", plural: "endpoints", singular: "endpoints", short_names: &["ep"], ..PLAIN };

/// Endpoint slices.
pub static ENDPOINT_SLICES: Resource =
    Resource { group: "discovery.k8s.io", kind: "EndpointSlice", plural: "endpointslices", singular: "endpointslice", ..PLAIN };

/// Replica sets.
pub static REPLICA_SETS: Resource = Resource {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    in_all: true,
    subresources: &[SCALE, STATUS],
    ..PLAIN
};

/// Deployments.
pub static DEPLOYMENTS: Resource = Resource {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    in_all: true,
    subresources: &[SCALE, STATUS],
    ..PLAIN
};

/// Daemon sets.
pub static DAEMON_SETS: Resource = Resource {
    group: "apps",
    kind: "DaemonSet",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    in_all: true,
    subresources: &[STATUS],
    ..PLAIN
};

/// Controller revisions: the history of daemon sets.
pub static CONTROLLER_REVISIONS: Resource =
    Resource { group: "apps", kind: "ControllerRevision", plural: "controllerrevisions", singular: "controllerrevision", ..PLAIN };

/// Jobs.
pub static JOBS: Resource =
    Resource { group: "batch", kind: "Job", plural: "jobs", singular: "job", in_all: true, subresources: &[STATUS], ..PLAIN };

/// Cron jobs.
pub static CRON_JOBS: Resource = Resource {
    group: "batch",
    kind: "CronJob",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    in_all: true,
    subresources: &[STATUS],
    ..PLAIN
};

/// Pod disruption budgets.
pub static POD_DISRUPTION_BUDGETS: Resource = Resource {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    subresources: &[STATUS],
    ..PLAIN
};

/// Leases.
pub static LEASES: Resource =
    Resource { group: "coordination.k8s.io", kind: "Lease", plural: "leases", singular: "lease", ..PLAIN };

/// Priority classes.
pub static PRIORITY_CLASSES: Resource = Resource {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    namespaced: false,
    ..PLAIN
};

/// All resources, in the order of discovery.
pub static RESOURCES: &[&Resource] = &[
    &CONFIG_MAPS,
    &ENDPOINTS,
    &EVENTS,
    &NAMESPACES,
    &NODES,
    &PODS,
    &SECRETS,
    &SERVICE_ACCOUNTS,
    &SERVICES,
    &CONTROLLER_REVISIONS,
    &DAEMON_SETS,
    &DEPLOYMENTS,
    &REPLICA_SETS,
    &NEW_EVENTS,
    &CRON_JOBS,
    &JOBS,
    &POD_DISRUPTION_BUDGETS,
    &PRIORITY_CLASSES,
    &LEASES,
    &ENDPOINT_SLICES,
];

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, events, rbac::v1::Role};

    use super::*;

    #[test]
    fn resources_are_found_by_type_path_and_kind() {
        assert_eq!(Resource::of::<Pod>(), Some(&PODS));
        assert_eq!(Resource::of::<Deployment>(), find_kind("apps/v1", "Deployment"));
        assert_eq!(Resource::of::<events::v1::Event>().map(Resource::stored), Some(&EVENTS));
        assert_eq!(Resource::of::<Role>(), None);
        assert_eq!(find("", "v1", "deployments"), None);
        assert_eq!(DEPLOYMENTS.to_string(), "deployments.apps");
    }
}
