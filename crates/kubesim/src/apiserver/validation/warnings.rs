//! Warnings about what is legal and hardly meant (pkg/api/pod/warnings.go).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{list, text};
use crate::resource::Resource;

/// The warnings about an object that has Pods or is one.
pub(in crate::apiserver) fn warnings(resource: &Resource, object: &Value) -> Vec<String> {
    let path = match (resource.group, resource.plural) {
        ("", "pods") => "spec",
        ("apps", "deployments" | "replicasets" | "daemonsets") | ("batch", "jobs") => "spec.template.spec",
        ("batch", "cronjobs") => "spec.jobTemplate.spec.template.spec",
        _ => return Vec::new(),
    };
    let Some(spec) = object.pointer(&format!("/{}", path.replace('.', "/"))) else { return Vec::new() };
    let mut found = Vec::new();
    let mut ports: Vec<(String, &Value)> = Vec::new();
    for field in ["initContainers", "containers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            hidden_variables(container, &path, &mut found);
            for (index, port) in list(container, "ports").iter().enumerate() {
                let place = format!("{path}.ports[{index}]");
                let alike = ports.iter().filter(|(_, other)| is_same_port(port, other));
                found.extend(alike.map(|(other, _)| format!("{place}: duplicate port definition with {other}")));
                ports.push((place, port));
            }
        }
    }
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        let problem = "must be >= 0; negative values are invalid and will be treated as 1";
        found.push(format!("{path}.terminationGracePeriodSeconds: {problem}"));
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
        let spec = json!({"containers": [container], "terminationGracePeriodSeconds": -1});
        let object = json!({"spec": {"template": {"spec": spec}}});
        let expected = [
            "spec.template.spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            "spec.template.spec.containers[0].ports[2]: duplicate port definition with spec.template.spec.containers[0].ports[0]",
            "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ];
        assert_eq!(warnings(&DEPLOYMENTS, &object), expected);
    }
}
