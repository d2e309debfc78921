//! The Pod Security Standard *baseline*, where a namespace's labels ask for it (k8s.io/pod-security-admission).
//!
//! Of its checks those are here whose fields Pods commonly have: capabilities, the namespaces, paths and ports of the host, and
//! privileged containers. The standard *restricted* is not enforced.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{ApiServer, Writer, metadata::text};
use crate::{
    object::Key,
    resource::{NAMESPACES, PODS, Resource},
    status::StatusError,
};

/// The capabilities that containers may add (`policy/check_capabilities_baseline.go`).
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

impl ApiServer {
    /// Refuses a Pod that violates what its namespace enforces; warns of a workload whose Pods would be refused.
    pub(in crate::apiserver) fn check_pod_security(
        &self,
        resource: &'static Resource,
        object: &Value,
        writer: &Writer<'_>,
    ) -> Result<(), StatusError> {
        let Some(spec) = pod_spec(resource, object) else { return Ok(()) };
        let Some(namespace) = self.store().get(&NAMESPACES, &Key::new("", text(object, "/metadata/namespace"))) else {
            return Ok(());
        };
        let labels = &namespace.value()["metadata"]["labels"];
        let label = |name: &str| labels[format!("pod-security.kubernetes.io/{name}")].as_str();
        let is_pod = resource.plural == "pods";
        let enforced = label("enforce") == Some("baseline");
        // What is enforced is warned of, where nothing else is said (api/helpers.go:PolicyToEvaluate).
        let warned = label("warn").map_or(enforced, |level| level == "baseline");
        if !(is_pod && enforced || warned) {
            return Ok(());
        }
        let violations = violations(spec);
        if violations.is_empty() {
            return Ok(());
        }
        let version = if is_pod && enforced || label("warn").is_none() { "enforce-version" } else { "warn-version" };
        let violated = format!("PodSecurity \"baseline:{}\": {}", label(version).unwrap_or("latest"), violations.join(", "));
        if is_pod && enforced {
            return Err(StatusError::forbidden(&PODS, text(object, "/metadata/name"), &format!("violates {violated}")));
        }
        writer.warn(vec![format!("would violate {violated}")]);
        Ok(())
    }
}

fn pod_spec<'a>(resource: &Resource, object: &'a Value) -> Option<&'a Value> {
    object.pointer(match (resource.group, resource.plural) {
        ("", "pods") => "/spec",
        ("apps", "deployments" | "replicasets" | "daemonsets" | "statefulsets") | ("batch", "jobs") => "/spec/template/spec",
        ("batch", "cronjobs") => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    })
}

/// What a Pod violates, in the order in which the real checks stand: that of their ids.
fn violations(spec: &Value) -> Vec<String> {
    let checks = [capabilities(spec), host_namespaces(spec), host_paths(spec), host_ports(spec), privileged(spec)];
    checks.into_iter().flatten().collect()
}

fn capabilities(spec: &Value) -> Option<String> {
    let added = |container: &Value| -> BTreeSet<String> {
        let added = container["securityContext"]["capabilities"]["add"].as_array().into_iter().flatten();
        added.filter_map(Value::as_str).filter(|name| !CAPABILITIES.contains(name)).map(str::to_owned).collect()
    };
    let (containers, names) = having(spec, added)?;
    let names = quoted(names);
    Some(format!("non-default capabilities ({containers} must not include {names} in securityContext.capabilities.add)"))
}

fn host_namespaces(spec: &Value) -> Option<String> {
    let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| spec[*field] == true);
    let shared: Vec<String> = shared.map(|field| format!("{field}=true")).collect();
    (!shared.is_empty()).then(|| format!("host namespaces ({})", shared.join(", ")))
}

fn host_paths(spec: &Value) -> Option<String> {
    let volumes = spec["volumes"].as_array().into_iter().flatten().filter(|volume| volume.get("hostPath").is_some());
    let names: Vec<String> = volumes.map(|volume| text(volume, "/name").to_owned()).collect();
    let volumes = if names.len() == 1 { "volume" } else { "volumes" };
    (!names.is_empty()).then(|| format!("hostPath volumes ({volumes} {})", quoted(names)))
}

fn host_ports(spec: &Value) -> Option<String> {
    let ports = |container: &Value| -> BTreeSet<String> {
        let ports = container["ports"].as_array().into_iter().flatten().filter_map(|port| port["hostPort"].as_u64());
        ports.filter(|port| *port != 0).map(|port| port.to_string()).collect()
    };
    let (containers, ports) = having(spec, ports)?;
    let uses = if containers.starts_with("containers ") { "use" } else { "uses" };
    let host_ports = if ports.len() == 1 { "hostPort" } else { "hostPorts" };
    let ports: Vec<String> = ports.into_iter().collect();
    Some(format!("hostPort ({containers} {uses} {host_ports} {})", ports.join(", ")))
}

fn privileged(spec: &Value) -> Option<String> {
    let is_privileged = |container: &Value| {
        let is_so = container["securityContext"]["privileged"] == true;
        is_so.then(|| "privileged".to_owned()).into_iter().collect()
    };
    let (containers, _) = having(spec, is_privileged)?;
    Some(format!("privileged ({containers} must not set securityContext.privileged=true)"))
}

/// The containers that have something forbidden, as `container "a"` or `containers "a", "b"`, and all that they have of it.
fn having(spec: &Value, forbidden: impl Fn(&Value) -> BTreeSet<String>) -> Option<(String, BTreeSet<String>)> {
    let (mut names, mut all) = (Vec::new(), BTreeSet::new());
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            let found = forbidden(container);
            if !found.is_empty() {
                names.push(text(container, "/name").to_owned());
                all.extend(found);
            }
        }
    }
    let noun = if names.len() == 1 { "container" } else { "containers" };
    (!names.is_empty()).then(|| (format!("{noun} {}", quoted(names)), all))
}

fn quoted(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"hostNetwork": true, "hostIPC": true}), "host namespaces (hostNetwork=true, hostIPC=true)")]
    #[case(json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "emptyDir": {}}]}), "hostPath volumes (volume \"v\")")]
    #[case(
        json!({"containers": [{"name": "c", "ports": [{"hostPort": 8080}, {"hostPort": 80}]}]}),
        "hostPort (container \"c\" uses hostPorts 80, 8080)"
    )]
    #[case(
        json!({"containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}}]}),
        "non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)"
    )]
    #[case(
        json!({
            "hostPID": true,
            "initContainers": [{"name": "i", "securityContext": {"privileged": true}}],
            "containers": [{"name": "c", "securityContext": {"privileged": true}}, {"name": "d"}],
        }),
        "host namespaces (hostPID=true), privileged (containers \"i\", \"c\" must not set securityContext.privileged=true)"
    )]
    #[case(json!({"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}), "")]
    fn violations_are_told_in_the_real_words(#[case] spec: Value, #[case] expected: &str) {
        assert_eq!(violations(&spec).join(", "), expected);
    }

    #[test]
    fn a_pod_is_refused_and_a_workload_warned_of() {
        let api = ApiServer::new(
            crate::store::Store::default(),
            crate::Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()),
            crate::Version::LATEST,
            crate::Random::from_seed(0),
        );
        let labels = json!({"pod-security.kubernetes.io/enforce": "baseline"});
        let namespace = json!({"metadata": {"name": "n", "labels": labels}});
        api.store().create(&NAMESPACES, &Key::new("", "n"), namespace).unwrap();
        let spec = json!({"containers": [{"name": "c", "securityContext": {"privileged": true}}]});
        let warnings = std::sync::Mutex::new(Vec::new());
        let writer = Writer { warnings: Some(&warnings), ..Writer::component("test") };
        let pod = json!({"metadata": {"name": "x", "namespace": "n"}, "spec": spec});
        let refused = api.check_pod_security(&PODS, &pod, &writer).unwrap_err();
        let violated = "PodSecurity \"baseline:latest\": privileged (container \"c\" must not set securityContext.privileged=true)";
        assert_eq!(refused.to_string(), format!("pods \"x\" is forbidden: violates {violated}"));
        let deployment = json!({"metadata": {"name": "x", "namespace": "n"}, "spec": {"template": {"spec": spec}}});
        api.check_pod_security(&crate::resource::DEPLOYMENTS, &deployment, &writer).unwrap();
        assert_eq!(*warnings.lock().unwrap(), [format!("would violate {violated}")]);
    }
}
