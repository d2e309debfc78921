//! The kinds of Kubernetes: how they are named, where their objects are found, and what `kubectl get -o wide` prints of them.

use super::decoder::nearest;
use super::model::ObjectRef;
use super::names;

/// A kind of Kubernetes.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) api_version: &'static str,
    pub(crate) name: &'static str,
    /// Its name in the paths of the API.
    pub(crate) plural: &'static str,
    /// Short names, as kubectl has them.
    short: &'static [&'static str],
    /// Column headers without NAME and AGE (pkg/printers/internalversion/printers.go); empty if they are not known here.
    columns: &'static [&'static str],
}

const CONTAINERS: &str = "CONTAINERS";
const IMAGES: &str = "IMAGES";
const SELECTOR: &str = "SELECTOR";

macro_rules! kinds {
    ($($api_version:literal { $($kind:literal $plural:literal $([$($short:literal)*])? $(=> [$($column:expr),*])?;)* })*) => {
        &[$($(Kind {
            api_version: $api_version,
            name: $kind,
            plural: $plural,
            short: &[$($($short),*)?],
            columns: &[$($($column),*)?],
        },)*)*]
    };
}

/// Kinds that every cluster has. Of two that share a name the first is meant by it.
const NAMESPACED: &[Kind] = kinds! {
    "v1" {
        "Pod" "pods" ["po"] => ["READY", "STATUS", "RESTARTS", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"];
        "Service" "services" ["svc"] => ["TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", SELECTOR];
        "ConfigMap" "configmaps" ["cm"] => ["DATA"];
        "Secret" "secrets" => ["TYPE", "DATA"];
        "ServiceAccount" "serviceaccounts" ["sa"] => ["SECRETS"];
        "Endpoints" "endpoints" ["ep"] => ["ENDPOINTS"];
        "Event" "events" ["ev"];
        "LimitRange" "limitranges" ["limits"];
        "PersistentVolumeClaim" "persistentvolumeclaims" ["pvc"]
            => ["STATUS", "VOLUME", "CAPACITY", "ACCESS MODES", "STORAGECLASS", "VOLUMEATTRIBUTESCLASS", "VOLUMEMODE"];
        "PodTemplate" "podtemplates";
        "ReplicationController" "replicationcontrollers" ["rc"] => ["DESIRED", "CURRENT", "READY", CONTAINERS, IMAGES, SELECTOR];
        "ResourceQuota" "resourcequotas" ["quota"];
    }
    "apps/v1" {
        "Deployment" "deployments" ["deploy"] => ["READY", "UP-TO-DATE", "AVAILABLE", CONTAINERS, IMAGES, SELECTOR];
        "ReplicaSet" "replicasets" ["rs"] => ["DESIRED", "CURRENT", "READY", CONTAINERS, IMAGES, SELECTOR];
        "DaemonSet" "daemonsets" ["ds"]
            => ["DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR", CONTAINERS, IMAGES, SELECTOR];
        "StatefulSet" "statefulsets" ["sts"] => ["READY", CONTAINERS, IMAGES];
        "ControllerRevision" "controllerrevisions";
    }
    "batch/v1" {
        "Job" "jobs" => ["STATUS", "COMPLETIONS", "DURATION", CONTAINERS, IMAGES, SELECTOR];
        "CronJob" "cronjobs" ["cj"]
            => ["SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE", CONTAINERS, IMAGES, SELECTOR];
    }
    "autoscaling/v2" {
        "HorizontalPodAutoscaler" "horizontalpodautoscalers" ["hpa"] => ["REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS"];
    }
    "autoscaling/v1" { "HorizontalPodAutoscaler" "horizontalpodautoscalers" => ["REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS"]; }
    "policy/v1" {
        "PodDisruptionBudget" "poddisruptionbudgets" ["pdb"] => ["MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED DISRUPTIONS"];
    }
    "networking.k8s.io/v1" {
        "Ingress" "ingresses" ["ing"] => ["CLASS", "HOSTS", "ADDRESS", "PORTS"];
        "NetworkPolicy" "networkpolicies" ["netpol"] => ["POD-SELECTOR"];
    }
    "discovery.k8s.io/v1" { "EndpointSlice" "endpointslices" => ["ADDRESSTYPE", "PORTS", "ENDPOINTS"]; }
    "coordination.k8s.io/v1" { "Lease" "leases"; }
    "events.k8s.io/v1" { "Event" "events"; }
    "storage.k8s.io/v1" { "CSIStorageCapacity" "csistoragecapacities"; }
    "rbac.authorization.k8s.io/v1" {
        "Role" "roles" => ["CREATED AT"];
        "RoleBinding" "rolebindings" => ["ROLE", "USERS", "GROUPS", "SERVICEACCOUNTS"];
    }
};

/// Kinds whose objects belong to no namespace; some are younger than the oldest clusters.
const CLUSTER_WIDE: &[Kind] = kinds! {
    "v1" {
        "ComponentStatus" "componentstatuses" ["cs"];
        "Namespace" "namespaces" ["ns"];
        "Node" "nodes" ["no"];
        "PersistentVolume" "persistentvolumes" ["pv"];
    }
    "admissionregistration.k8s.io/v1" {
        "MutatingAdmissionPolicy" "mutatingadmissionpolicies";
        "MutatingAdmissionPolicyBinding" "mutatingadmissionpolicybindings";
        "MutatingWebhookConfiguration" "mutatingwebhookconfigurations";
        "ValidatingAdmissionPolicy" "validatingadmissionpolicies";
        "ValidatingAdmissionPolicyBinding" "validatingadmissionpolicybindings";
        "ValidatingWebhookConfiguration" "validatingwebhookconfigurations";
    }
    "apiextensions.k8s.io/v1" { "CustomResourceDefinition" "customresourcedefinitions" ["crd" "crds"]; }
    "apiregistration.k8s.io/v1" { "APIService" "apiservices"; }
    "certificates.k8s.io/v1" { "CertificateSigningRequest" "certificatesigningrequests" ["csr"]; }
    "flowcontrol.apiserver.k8s.io/v1" {
        "FlowSchema" "flowschemas";
        "PriorityLevelConfiguration" "prioritylevelconfigurations";
    }
    "networking.k8s.io/v1" {
        "IPAddress" "ipaddresses" ["ip"];
        "IngressClass" "ingressclasses";
        "ServiceCIDR" "servicecidrs";
    }
    "node.k8s.io/v1" { "RuntimeClass" "runtimeclasses"; }
    "rbac.authorization.k8s.io/v1" {
        "ClusterRole" "clusterroles";
        "ClusterRoleBinding" "clusterrolebindings";
    }
    "scheduling.k8s.io/v1" { "PriorityClass" "priorityclasses" ["pc"]; }
    "storage.k8s.io/v1" {
        "CSIDriver" "csidrivers";
        "CSINode" "csinodes";
        "StorageClass" "storageclasses" ["sc"];
        "VolumeAttachment" "volumeattachments";
        "VolumeAttributesClass" "volumeattributesclasses" ["vac"];
    }
};

fn all() -> impl Iterator<Item = &'static Kind> {
    NAMESPACED.iter().chain(CLUSTER_WIDE)
}

/// The kind of this name: `Pod`, `pod`, `pods` or `po`.
pub(super) fn named(name: &str) -> Option<&'static Kind> {
    let lower = name.to_lowercase();
    all().find(|kind| kind.name.eq_ignore_ascii_case(name) || kind.plural == lower || kind.short.contains(&lower.as_str()))
}

/// The kind of this API version, if it is one of Kubernetes.
pub(crate) fn find(api_version: &str, kind: &str) -> Option<&'static Kind> {
    all().find(|known| known.api_version == api_version && known.name == kind)
}

/// Whether objects of the kind belong to no namespace, in whatever version of its group; of kinds that are not Kubernetes' that is
/// not known.
pub(crate) fn is_cluster_wide(api_version: &str, kind: &str) -> bool {
    let group = |api_version: &str| api_version.split_once('/').map_or(String::new(), |(group, _)| group.to_owned());
    CLUSTER_WIDE.iter().any(|known| known.name == kind && group(known.api_version) == group(api_version))
}

/// Whether it is written as API versions are: `v1`, `example.com/v1beta1`.
fn is_api_version(text: &str) -> bool {
    match text.split_once('/') {
        Some((group, version)) => names::is_dns_subdomain(group) && names::is_dns_label(version),
        None => names::is_dns_label(text),
    }
}

/// Why a scenario cannot use objects of a kind, and what is right: they belong to no namespace, or Kubernetes has no such kind.
/// Nothing is said of kinds of groups that are not Kubernetes' own.
pub(crate) fn unusable(api_version: &str, kind: &str) -> Option<(String, String)> {
    if !is_api_version(api_version) {
        return Some((format!("`{api_version}` is not an API version"), "such as `v1` or `apps/v1`".to_owned()));
    }
    if is_cluster_wide(api_version, kind) {
        let help = "a scenario makes and removes only what is in its own namespace".to_owned();
        return Some((format!("a {kind} belongs to the whole cluster"), help));
    }
    let mut of_version = all().filter(|known| known.api_version == api_version).peekable();
    if of_version.peek().is_none() || find(api_version, kind).is_some() {
        return None;
    }
    let help = match all().find(|known| known.name == kind) {
        Some(elsewhere) => format!("it is of {}", elsewhere.api_version),
        None => match nearest(kind, of_version.map(|known| known.name)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`kubectl api-resources` prints the kinds".to_owned(),
        },
    };
    Some((format!("{api_version} has no kind `{kind}`"), help))
}

/// The columns of a kind, if labproof knows them.
pub(crate) fn columns(api_version: &str, kind: &str) -> Option<&'static [&'static str]> {
    find(api_version, kind).map(|known| known.columns).filter(|columns| !columns.is_empty())
}

/// Names that a mistyped kind may have meant.
pub(super) fn names() -> impl Iterator<Item = String> {
    all().map(|kind| kind.name.to_lowercase())
}

/// Why a text does not name an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReferenceError {
    /// It is not of the form `kind/name`.
    Form,
    /// The kind is not known.
    Kind(String),
}

/// Reads `pod/NAME`, `deploy/NAME`, or, for a kind that has no short name here, `Kind.version.group/NAME`.
pub(super) fn reference(text: &str) -> Result<ObjectRef, ReferenceError> {
    let (kind, name) = text
        .split_once('/')
        .filter(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'))
        .ok_or(ReferenceError::Form)?;
    let (api_version, kind) = match (named(kind), kind.split_once('.').map(|(kind, rest)| (kind, rest.split_once('.')))) {
        (Some(known), _) => (known.api_version.to_owned(), known.name.to_owned()),
        (None, Some((kind, Some((version, group))))) if kind.starts_with(|c: char| c.is_ascii_uppercase()) => {
            (format!("{group}/{version}"), kind.to_owned())
        }
        _ => return Err(ReferenceError::Kind(kind.to_owned())),
    };
    Ok(ObjectRef { api_version, kind, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("pod/web", "v1", "Pod", "web")]
    #[case("po/web", "v1", "Pod", "web")]
    #[case("Deployment/web", "apps/v1", "Deployment", "web")]
    #[case("deploy/web", "apps/v1", "Deployment", "web")]
    #[case("rs/web-1", "apps/v1", "ReplicaSet", "web-1")]
    #[case("Widget.v1beta1.example.com/x", "example.com/v1beta1", "Widget", "x")]
    fn reads_references(#[case] text: &str, #[case] api_version: &str, #[case] kind: &str, #[case] name: &str) {
        let expected = ObjectRef { api_version: api_version.to_owned(), kind: kind.to_owned(), name: name.to_owned() };
        assert_eq!(reference(text), Ok(expected));
    }

    #[rstest]
    #[case("v1", "Podd", Some("did you mean `Pod`?"))]
    #[case("v1", "Deployment", Some("it is of apps/v1"))]
    #[case("apps/v1", "Deployment", None)]
    #[case("example.com/v1", "Podd", None)]
    fn kubernetes_own_groups_have_no_other_kinds(#[case] api_version: &str, #[case] kind: &str, #[case] help: Option<&str>) {
        assert_eq!(unusable(api_version, kind).map(|(_, help)| help).as_deref(), help);
    }

    #[rstest]
    #[case("v1", "Node", true)]
    #[case("rbac.authorization.k8s.io/v1beta1", "ClusterRole", true)]
    #[case("example.com/v1", "Node", false)]
    #[case("v1", "Pod", false)]
    fn some_kinds_have_no_namespace(#[case] api_version: &str, #[case] kind: &str, #[case] expected: bool) {
        assert_eq!(is_cluster_wide(api_version, kind), expected);
    }

    #[rstest]
    #[case("pod")]
    #[case("pod/")]
    #[case("/x")]
    #[case("a/b/c")]
    #[case("")]
    fn refuses_other_forms(#[case] text: &str) {
        assert_eq!(reference(text), Err(ReferenceError::Form));
    }

    #[rstest]
    #[case("pdo/x", "pdo")]
    #[case("widget.v1.example.com/x", "widget.v1.example.com")]
    fn refuses_unknown_kinds(#[case] text: &str, #[case] kind: &str) {
        assert_eq!(reference(text), Err(ReferenceError::Kind(kind.to_owned())));
    }
}
