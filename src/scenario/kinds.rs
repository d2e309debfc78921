//! The kinds that scenarios name in short, as kubectl does, with the columns that `kubectl get -o wide` prints of them.

use super::model::ObjectRef;

/// A kind of Kubernetes.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) api_version: &'static str,
    pub(crate) name: &'static str,
    /// Plural and short names, in lower case.
    names: &'static [&'static str],
    /// Column headers without NAME and AGE (pkg/printers/internalversion/printers.go).
    columns: &'static [&'static str],
}

const WORKLOAD: [&str; 3] = ["CONTAINERS", "IMAGES", "SELECTOR"];

macro_rules! kinds {
    ($($api_version:literal $kind:literal [$($name:literal),*] [$($column:expr),*];)*) => {
        &[$(Kind { api_version: $api_version, name: $kind, names: &[$($name),*], columns: &[$($column),*] }),*]
    };
}

const KINDS: &[Kind] = kinds! {
    "v1" "Pod" ["pods", "po"] ["READY", "STATUS", "RESTARTS", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"];
    "v1" "Service" ["services", "svc"] ["TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "SELECTOR"];
    "v1" "ConfigMap" ["configmaps", "cm"] ["DATA"];
    "v1" "Secret" ["secrets"] ["TYPE", "DATA"];
    "v1" "ServiceAccount" ["serviceaccounts", "sa"] ["SECRETS"];
    "v1" "Endpoints" ["ep"] ["ENDPOINTS"];
    "v1" "PersistentVolumeClaim" ["persistentvolumeclaims", "pvc"]
        ["STATUS", "VOLUME", "CAPACITY", "ACCESS MODES", "STORAGECLASS", "VOLUMEATTRIBUTESCLASS", "VOLUMEMODE"];
    "v1" "ReplicationController" ["replicationcontrollers", "rc"]
        ["DESIRED", "CURRENT", "READY", WORKLOAD[0], WORKLOAD[1], WORKLOAD[2]];
    "apps/v1" "Deployment" ["deployments", "deploy"] ["READY", "UP-TO-DATE", "AVAILABLE", WORKLOAD[0], WORKLOAD[1], WORKLOAD[2]];
    "apps/v1" "ReplicaSet" ["replicasets", "rs"] ["DESIRED", "CURRENT", "READY", WORKLOAD[0], WORKLOAD[1], WORKLOAD[2]];
    "apps/v1" "DaemonSet" ["daemonsets", "ds"]
        ["DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR", WORKLOAD[0], WORKLOAD[1], WORKLOAD[2]];
    "apps/v1" "StatefulSet" ["statefulsets", "sts"] ["READY", WORKLOAD[0], WORKLOAD[1]];
    "batch/v1" "Job" ["jobs"] ["STATUS", "COMPLETIONS", "DURATION", WORKLOAD[0], WORKLOAD[1], WORKLOAD[2]];
    "batch/v1" "CronJob" ["cronjobs", "cj"]
        ["SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE", WORKLOAD[0], WORKLOAD[1], WORKLOAD[2]];
    "autoscaling/v2" "HorizontalPodAutoscaler" ["horizontalpodautoscalers", "hpa"]
        ["REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS"];
    "policy/v1" "PodDisruptionBudget" ["poddisruptionbudgets", "pdb"] ["MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED DISRUPTIONS"];
    "networking.k8s.io/v1" "Ingress" ["ingresses", "ing"] ["CLASS", "HOSTS", "ADDRESS", "PORTS"];
    "networking.k8s.io/v1" "NetworkPolicy" ["networkpolicies", "netpol"] ["POD-SELECTOR"];
    "discovery.k8s.io/v1" "EndpointSlice" ["endpointslices"] ["ADDRESSTYPE", "PORTS", "ENDPOINTS"];
    "rbac.authorization.k8s.io/v1" "Role" ["roles"] ["CREATED AT"];
    "rbac.authorization.k8s.io/v1" "RoleBinding" ["rolebindings"] ["ROLE", "USERS", "GROUPS", "SERVICEACCOUNTS"];
};

/// The kind of this name: `Pod`, `pod`, `pods` or `po`.
pub(super) fn named(name: &str) -> Option<&'static Kind> {
    let lower = name.to_lowercase();
    KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name) || kind.names.contains(&lower.as_str()))
}

/// The columns of a kind, if labproof knows them.
pub(crate) fn columns(api_version: &str, kind: &str) -> Option<&'static [&'static str]> {
    KINDS.iter().find(|known| known.api_version == api_version && known.name == kind).map(|known| known.columns)
}

/// Names that a mistyped kind may have meant.
pub(super) fn names() -> impl Iterator<Item = String> {
    KINDS.iter().map(|kind| kind.name.to_lowercase())
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
