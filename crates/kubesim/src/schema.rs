//! What the types of the API say about their lists: which are merged, and by which keys (the
//! `x-kubernetes-list-type`, `x-kubernetes-list-map-keys` and `x-kubernetes-patch-merge-key` of Kubernetes' `OpenAPI`).

/// How a list is merged by server-side apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    /// As one value.
    Atomic,
    /// As a set of values.
    Set,
    /// As objects that are identified by these keys.
    Map(&'static [&'static str]),
}

/// The default that a missing key of a list has, when elements are identified by it.
pub(crate) fn key_default(key: &str) -> Option<&'static str> {
    (key == "protocol").then_some("TCP")
}

/// How the list at `path` is merged. A path has the names of fields, without the elements of lists.
pub(crate) fn list_type(path: &[&str]) -> ListType {
    let Some((name, parents)) = path.split_last() else { return ListType::Atomic };
    let parent = parents.last().copied().unwrap_or_default();
    let in_container = matches!(parent, "containers" | "initContainers" | "ephemeralContainers");
    match *name {
        "ports" if in_container => ListType::Map(&["containerPort", "protocol"]),
        "ports" if path == ["spec", "ports"] => ListType::Map(&["port", "protocol"]),
        "env" if in_container => ListType::Map(&["name"]),
        "volumeMounts" if in_container => ListType::Map(&["mountPath"]),
        "volumeDevices" if in_container => ListType::Map(&["devicePath"]),
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates"
            if parent == "spec" =>
        {
            ListType::Map(&["name"])
        }
        "imagePullSecrets" | "secrets" if parents.is_empty() => ListType::Map(&["name"]),
        "claims" if parent == "resources" => ListType::Map(&["name"]),
        "hostAliases" if parent == "spec" => ListType::Map(&["ip"]),
        "topologySpreadConstraints" => ListType::Map(&["topologyKey", "whenUnsatisfiable"]),
        "conditions" | "addresses" if parent == "status" => ListType::Map(&["type"]),
        "podIPs" if parent == "status" => ListType::Map(&["ip"]),
        "ownerReferences" => ListType::Map(&["uid"]),
        "finalizers" => ListType::Set,
        "podCIDRs" | "succeeded" | "failed" if matches!(parent, "spec" | "uncountedTerminatedPods") => ListType::Set,
        _ => ListType::Atomic,
    }
}

/// Whether the object at `path` is one value: owned and applied as a whole.
pub(crate) fn is_atomic_map(path: &[&str]) -> bool {
    let Some((name, parents)) = path.split_last() else { return false };
    let parent = parents.last().copied().unwrap_or_default();
    match *name {
        "selector" => parent == "spec",
        "nodeSelector"
        | "labelSelector"
        | "namespaceSelector"
        | "fieldRef"
        | "configMapKeyRef"
        | "secretKeyRef"
        | "resourceFieldRef"
        | "involvedObject"
        | "regarding"
        | "related"
        | "targetRef"
        | "nodeSelectorTerms"
        | "secretRef"
        | "configMapRef"
        | "requiredDuringSchedulingIgnoredDuringExecution" => true,
        _ => false,
    }
}

/// How a strategic merge patch merges a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchStrategy {
    /// It replaces the list.
    Replace,
    /// It adds the values that are not there.
    MergeValues,
    /// It merges the objects that have the same value of this key.
    MergeBy(&'static str),
}

/// How a strategic merge patch merges the list at `path`.
pub(crate) fn patch_strategy(path: &[&str]) -> PatchStrategy {
    match (path, list_type(path)) {
        (["spec", "taints"], _) => PatchStrategy::MergeBy("key"),
        (["status", "hostIPs"], _) => PatchStrategy::MergeBy("ip"),
        (_, ListType::Set) => PatchStrategy::MergeValues,
        (_, ListType::Map(keys)) => keys.first().map_or(PatchStrategy::Replace, |key| PatchStrategy::MergeBy(key)),
        (_, ListType::Atomic) => PatchStrategy::Replace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_known_by_their_place() {
        let ports = ["spec", "template", "spec", "containers", "ports"];
        assert_eq!(list_type(&ports), ListType::Map(&["containerPort", "protocol"]));
        assert_eq!(list_type(&["spec", "ports"]), ListType::Map(&["port", "protocol"]));
        assert_eq!(list_type(&["spec", "tolerations"]), ListType::Atomic);
        assert_eq!(patch_strategy(&["spec", "taints"]), PatchStrategy::MergeBy("key"));
        assert_eq!(patch_strategy(&["metadata", "finalizers"]), PatchStrategy::MergeValues);
        assert_eq!(patch_strategy(&["spec", "containers", "args"]), PatchStrategy::Replace);
    }
}
