//! Warnings about what is legal and hardly meant (pkg/api/pod/warnings.go).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{list, names, text};
use crate::resource::Resource;

/// The warnings about an object that has Pods or is one.
pub(in crate::apiserver) fn warnings(resource: &Resource, object: &Value) -> Vec<String> {
    let path = match (resource.group, resource.plural) {
        ("", "services") => return service(&object["spec"]),
        ("", "pods") => "spec",
        ("apps", "deployments" | "replicasets" | "daemonsets") | ("batch", "jobs") => "spec.template.spec",
        ("batch", "cronjobs") => "spec.jobTemplate.spec.template.spec",
        _ => return Vec::new(),
    };
    let Some(spec) = object.pointer(&format!("/{}", path.replace('.', "/"))) else { return Vec::new() };
    let mut found = name_warning(resource, object);
    let mut ports: Vec<(String, &Value)> = Vec::new();
    for field in ["initContainers", "containers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            hidden_variables(container, &path, &mut found);
            for (index, port) in list(container, "ports").iter().enumerate() {
                let place = format!("{path}.ports[{index}]");
                if !text(port, "hostIP").is_empty() && port["hostPort"].as_i64().unwrap_or(0) == 0 {
                    found.push(host_ip_alone(port, &place));
                }
                let alike = ports.iter().filter(|(_, other)| is_same_port(port, other));
                found.extend(alike.map(|(other, _)| format!("{place}: duplicate port definition with {other}")));
                ports.push((place, port));
            }
        }
    }
    found.extend(spec_warnings(spec, path));
    found
}

/// An address of the host means nothing without a port of the host. The port is shown as Go prints it.
fn host_ip_alone(port: &Value, place: &str) -> String {
    let (name, number, protocol, ip) = (text(port, "name"), &port["containerPort"], text(port, "protocol"), text(port, "hostIP"));
    let shown = format!("Name:{name} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{ip}");
    format!("{place}: hostIP set without hostPort: {{{shown}}}")
}

/// A name that is no DNS label makes Pods that have no such host name.
fn name_warning(resource: &Resource, object: &Value) -> Vec<String> {
    let problems = names::label(text(&object["metadata"], "name"));
    let used = match resource.plural {
        "pods" => "this is used in the Pod's hostname",
        "daemonsets" => return Vec::new(),
        _ => "this is used in Pod names and hostnames",
    };
    if problems.is_empty() || text(&object["metadata"], "name").is_empty() {
        return Vec::new();
    }
    let advice = "which can result in surprising behavior; a DNS label is recommended";
    vec![format!("metadata.name: {used}, {advice}: [{}]", problems.join(" "))]
}

fn spec_warnings(spec: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        let problem = "must be >= 0; negative values are invalid and will be treated as 1";
        found.push(format!("{path}.terminationGracePeriodSeconds: {problem}"));
    }
    for old in ["beta.kubernetes.io/os", "beta.kubernetes.io/arch"].iter().filter(|key| spec["nodeSelector"].get(**key).is_some()) {
        let new = old.trim_start_matches("beta.");
        found.push(format!("{path}.nodeSelector[{old}]: deprecated since v1.14; use {new:?} instead"));
    }
    for (index, secret) in list(spec, "imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            found.push(format!("{path}.imagePullSecrets[{index}].name: invalid empty name \"\""));
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let field = "requiredDuringSchedulingIgnoredDuringExecution";
        for (index, _) in
            list(&spec["affinity"][kind], field).iter().enumerate().filter(|(_, term)| term["labelSelector"].is_null())
        {
            let problem = "a null labelSelector results in matching no pod";
            found.push(format!("{path}.affinity.{kind}.{field}[{index}].labelSelector: {problem}"));
        }
    }
    found
}

fn service(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if !list(spec, "externalIPs").is_empty() {
        found.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    if !text(spec, "externalName").is_empty() && text(spec, "type") != "ExternalName" {
        found.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if text(spec, "trafficDistribution") == "PreferClose" {
        found.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned());
    }
    found
}

fn hidden_variables(container: &Value, path: &str, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, variable) in list(container, "env").iter().enumerate() {
        let (name, value) = (text(variable, "name"), text(variable, "value"));
        let own = format!("$({name})");
        let extends = value.contains(&own) && value != own && variable.get("valueFrom").is_none();
        if !seen.insert(name) && !extends {
            let problem = format!("hides previous definition of {name:?}, which may be dropped when using apply");
            found.push(format!("{path}.env[{index}]: {problem}"));
        }
    }
}

fn is_same_port(port: &Value, other: &Value) -> bool {
    ["containerPort", "protocol", "hostIP", "hostPort"].iter().all(|field| port[*field] == other[*field])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::DEPLOYMENTS;

    #[test]
    fn what_is_hardly_meant_is_warned_of() {
        let container = json!({
            "env": [
                {"name": "A", "value": "1"}, {"name": "A", "value": "2"},
                {"name": "B", "value": "1"}, {"name": "B", "value": "$(B)2"},
            ],
            "ports": [{"containerPort": 80}, {"containerPort": 81}, {"containerPort": 80}],
        });
        let spec = json!({"containers": [container], "nodeSelector": {"beta.kubernetes.io/os": "linux"}, "terminationGracePeriodSeconds": -1});
        let object = json!({"spec": {"template": {"spec": spec}}});
        let expected = [
            "spec.template.spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            "spec.template.spec.containers[0].ports[2]: duplicate port definition with spec.template.spec.containers[0].ports[0]",
            "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
        ];
        assert_eq!(warnings(&DEPLOYMENTS, &object), expected);
    }
}
