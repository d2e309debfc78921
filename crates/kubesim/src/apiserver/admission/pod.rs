//! Admission of Pods: service account, priority, tolerations (plugin/pkg/admission/{serviceaccount,priority,
//! defaulttolerationseconds}).

use serde_json::{Value, json};

use super::super::{
    ApiServer,
    metadata::{fields, text},
};
use crate::{
    object::Key,
    resource::{PODS, PRIORITY_CLASSES, SERVICE_ACCOUNTS},
    selector::Selection,
    status::StatusError,
};

/// Where a container finds its service account's token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How long a Pod stays on a node that is not ready or not reachable.
const TOLERATION_SECONDS: u32 = 300;

impl ApiServer {
    pub(super) fn admit_pod(&self, pod: &mut Value) -> Result<(), StatusError> {
        check_runtime(pod)?;
        self.give_priority(pod)?;
        self.give_service_account(pod)?;
        tolerate_for_a_while(&mut pod["spec"]);
        let class = qos_class(&pod["spec"]);
        fields(pod).insert("status".to_owned(), json!({"phase": "Pending", "qosClass": class}));
        if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
            pod["status"]["conditions"] = json!([{
                "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": null, "lastTransitionTime": self.clock().time(),
            }]);
        }
        Ok(())
    }

    fn give_priority(&self, pod: &mut Value) -> Result<(), StatusError> {
        let name = text(pod, "/spec/priorityClassName").to_owned();
        let class = if name.is_empty() {
            let classes = self.store().list(&PRIORITY_CLASSES, &Selection::all()).0;
            classes.into_iter().find(|class| class.value()["globalDefault"] == true)
        } else {
            let class = self.store().get(&PRIORITY_CLASSES, &Key::new("", name.as_str()));
            let problem = format!("no PriorityClass with name {name} was found");
            Some(class.ok_or_else(|| StatusError::forbidden(&PODS, asked_name(pod), &problem))?)
        };
        let value = class.as_ref().map_or(json!(0), |class| class.value()["value"].clone());
        let policy = class.as_ref().map_or("", |class| class.text("/preemptionPolicy"));
        let policy = if policy.is_empty() { "PreemptLowerPriority" } else { policy };
        if let Some(given) = pod["spec"].get("priority").filter(|given| **given != value) {
            let problem = format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
                 computed {value} from the given PriorityClass name"
            );
            return Err(StatusError::forbidden(&PODS, asked_name(pod), &problem));
        }
        if let Some(given) = pod["spec"].get("preemptionPolicy").and_then(Value::as_str).filter(|given| *given != policy) {
            let problem = format!(
                "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller \
                 computed {policy} from the given PriorityClass name"
            );
            return Err(StatusError::forbidden(&PODS, asked_name(pod), &problem));
        }
        let spec = fields(&mut pod["spec"]);
        if let Some(class) = &class {
            spec.insert("priorityClassName".to_owned(), json!(class.name()));
        }
        spec.insert("priority".to_owned(), value);
        spec.entry("preemptionPolicy").or_insert_with(|| json!(policy));
        Ok(())
    }

    fn give_service_account(&self, pod: &mut Value) -> Result<(), StatusError> {
        let spec = fields(&mut pod["spec"]);
        let named = spec.get("serviceAccountName").and_then(Value::as_str).filter(|name| !name.is_empty());
        let account_name = named.unwrap_or("default").to_owned();
        spec.insert("serviceAccountName".to_owned(), json!(account_name));
        spec.insert("serviceAccount".to_owned(), json!(account_name));
        let namespace = text(pod, "/metadata/namespace").to_owned();
        let key = Key::new(namespace.as_str(), account_name.as_str());
        let Some(account) = self.store().get(&SERVICE_ACCOUNTS, &key) else {
            let problem =
                format!("error looking up service account {namespace}/{account_name}: serviceaccount {account_name:?} not found");
            return Err(StatusError::forbidden(&PODS, asked_name(pod), &problem));
        };
        if let Some(secrets) = account.value().get("imagePullSecrets")
            && pod["spec"].get("imagePullSecrets").is_none()
        {
            pod["spec"]["imagePullSecrets"] = secrets.clone();
        }
        let wanted = pod["spec"]["automountServiceAccountToken"].as_bool();
        let wanted = wanted.or_else(|| account.value()["automountServiceAccountToken"].as_bool());
        if wanted.unwrap_or(true) {
            self.mount_token(&mut pod["spec"]);
        }
        Ok(())
    }

    fn mount_token(&self, spec: &mut Value) {
        let volume = format!("kube-api-access-{}", self.random().suffix(5));
        let mut mounted = false;
        for list in ["initContainers", "containers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                let mounts = fields(container).entry("volumeMounts").or_insert_with(|| json!([]));
                let Value::Array(mounts) = mounts else { continue };
                if !mounts.iter().any(|mount| mount["mountPath"] == TOKEN_PATH) {
                    mounts.push(json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH}));
                    mounted = true;
                }
            }
        }
        if !mounted {
            return;
        }
        let volume = json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3_607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ]}});
        if let Value::Array(volumes) = fields(spec).entry("volumes").or_insert_with(|| json!([])) {
            volumes.push(volume);
        }
    }
}

/// The name of a Pod as its refusal gives it: one that the server makes is made after these checks
/// (`apiserver/pkg/admission/errors.go`).
fn asked_name(pod: &Value) -> &str {
    let base = text(pod, "/metadata/generateName");
    if base.is_empty() { text(pod, "/metadata/name") } else { base }
}

/// There are no classes of runtimes, and so none with an overhead.
fn check_runtime(pod: &Value) -> Result<(), StatusError> {
    let class = text(pod, "/spec/runtimeClassName");
    let problem = if !class.is_empty() {
        format!("pod rejected: RuntimeClass {class:?} not found")
    } else if pod["spec"].get("overhead").is_some() {
        "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".to_owned()
    } else {
        return Ok(());
    };
    Err(StatusError::forbidden(&PODS, asked_name(pod), &problem))
}

fn tolerate_for_a_while(spec: &mut Value) {
    let list = fields(spec).entry("tolerations").or_insert_with(|| json!([]));
    let Value::Array(tolerations) = list else { return };
    for taint in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = tolerations.iter().any(|toleration| {
            let key = toleration["key"].as_str().unwrap_or_default();
            let effect = toleration["effect"].as_str().unwrap_or_default();
            (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if !tolerated {
            tolerations.push(json!({
                "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS,
            }));
        }
    }
}

/// The quality of service (pkg/apis/core/helper/qos): guaranteed if every container requests exactly what it is
/// limited to, best effort if none says anything.
fn qos_class(spec: &Value) -> &'static str {
    let containers = || ["containers", "initContainers"].into_iter().flat_map(|list| spec[list].as_array().into_iter().flatten());
    let amounts = |container: &Value, kind: &str, name: &str| {
        container["resources"][kind].get(name).filter(|amount| **amount != "0").cloned()
    };
    let nothing = containers().all(|container| {
        ["requests", "limits"].iter().all(|kind| ["cpu", "memory"].iter().all(|name| amounts(container, kind, name).is_none()))
    });
    let exact = containers().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amounts(container, "limits", name);
            limit.is_some() && limit == amounts(container, "requests", name)
        })
    });
    match (nothing, exact) {
        (true, _) => "BestEffort",
        (_, true) => "Guaranteed",
        _ => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(json!({}), "BestEffort")]
    #[case(json!({"requests": {"cpu": "1"}}), "Burstable")]
    #[case(json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed")]
    #[case(json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}), "Burstable")]
    fn the_quality_of_service_follows_from_the_resources(#[case] resources: Value, #[case] class: &str) {
        assert_eq!(qos_class(&json!({"containers": [{"resources": resources}]})), class);
    }

    #[test]
    fn tolerations_of_ones_own_are_kept() {
        let mut spec = json!({"tolerations": [{"operator": "Exists"}]});
        tolerate_for_a_while(&mut spec);
        assert_eq!(spec["tolerations"].as_array().map(Vec::len), Some(1));
    }
}
