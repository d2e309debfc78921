//! Services (pkg/apis/core/validation:validateService).

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::Value;

use super::{Errors, container::port_number, endpoints::not_loopback, labels, list, names, probe::target_port, text};
use crate::status::FieldError;

/// The longest time in seconds for which a client is sent to the same Pod.
const LONGEST_AFFINITY: i64 = 86_400;

/// Checks a Service's spec.
pub(super) fn check(spec: &Value, errors: &mut Errors) {
    let kind = text(spec, "type");
    let is_headless = text(spec, "clusterIP") == "None";
    if list(spec, "ports").is_empty() && kind != "ExternalName" && !is_headless {
        errors.required("spec.ports");
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless => {
            let problem = format!("may not be set to 'None' for {kind} services");
            errors.invalid("spec.clusterIPs[0]", &spec["clusterIP"], &problem);
        }
        "ExternalName" => {
            let name = text(spec, "externalName").trim_end_matches('.');
            if name.is_empty() {
                errors.required("spec.externalName");
            } else {
                errors.misnamed("spec.externalName", name, names::subdomain(name));
            }
        }
        _ => {}
    }
    ports(spec, errors);
    labels(&spec["selector"], "spec.selector", errors);
    errors.one_of(spec, "spec", "sessionAffinity", &["ClientIP", "None"]);
    affinity(spec, errors);
    addresses(spec, errors);
    errors.one_of(spec, "spec", "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    unique_ports(spec, errors);
    traffic(spec, errors);
}

fn ports(spec: &Value, errors: &mut Errors) {
    let ports = list(spec, "ports");
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            errors.misnamed(&format!("{path}.name"), name, names::label(name));
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(format!("{path}.name"), &port["name"]));
            }
        } else if ports.len() > 1 {
            errors.required(format!("{path}.name"));
        }
        port_number(&port["port"], &format!("{path}.port"), errors);
        let application = text(port, "appProtocol");
        if !application.is_empty() {
            errors.misnamed(&format!("{path}.appProtocol"), application, names::qualified_name(application));
        }
        errors.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
        if text(spec, "type") != "ExternalName" {
            target_port(&port["targetPort"], &format!("{path}.targetPort"), errors);
        }
    }
}

fn affinity(spec: &Value, errors: &mut Errors) {
    let seconds = &spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
    if text(spec, "sessionAffinity") == "ClientIP"
        && seconds.as_i64().is_some_and(|seconds| !(1..=LONGEST_AFFINITY).contains(&seconds))
    {
        let problem = format!("must be greater than 0 and less than {LONGEST_AFFINITY}");
        errors.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, &problem);
    }
}

fn addresses(spec: &Value, errors: &mut Errors) {
    let address = text(spec, "clusterIP");
    if text(spec, "type") != "ExternalName" && !["", "None"].contains(&address) {
        is_address(address, "spec.clusterIPs[0]", errors);
    }
    for (index, address) in list(spec, "externalIPs").iter().enumerate() {
        let (text, path) = (address.as_str().unwrap_or_default(), format!("spec.externalIPs[{index}]"));
        is_address(text, &path, errors);
        if text.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
            not_loopback(address, &path, errors);
        }
    }
    families(spec, errors);
}

/// Checks which addresses a Service has: one of version 4, which the cluster has.
fn families(spec: &Value, errors: &mut Errors) {
    let (first, all) = (text(spec, "clusterIP"), list(spec, "clusterIPs"));
    if first.is_empty() && !all.is_empty() {
        errors.invalid("spec.clusterIPs", &spec["clusterIPs"], "must be empty when `clusterIP` is not specified");
    } else if all.first().is_some_and(|given| given != first) {
        errors.invalid("spec.clusterIPs", &spec["clusterIPs"], "first value must match `clusterIP`");
    }
    errors.one_of(spec, "spec", "ipFamilyPolicy", &["PreferDualStack", "RequireDualStack", "SingleStack"]);
    let mut seen = BTreeSet::new();
    for (index, family) in list(spec, "ipFamilies").iter().enumerate() {
        let path = format!("spec.ipFamilies[{index}]");
        match family.as_str().unwrap_or_default() {
            "IPv4" if !seen.insert("IPv4") => errors.push(FieldError::duplicate(path, family)),
            "IPv4" => {}
            "IPv6" => errors.invalid(path, family, "not configured on this cluster"),
            other => errors.push(FieldError::not_supported(path, other, &["IPv4", "IPv6"])),
        }
    }
    if text(spec, "ipFamilyPolicy") == "RequireDualStack" {
        let problem = "this cluster is not configured for dual-stack services";
        errors.invalid("spec.ipFamilyPolicy", &spec["ipFamilyPolicy"], problem);
    }
}

/// Checks that a text is an IP address.
pub(super) fn is_address(address: &str, path: &str, errors: &mut Errors) {
    // The real server still accepts zeros before a number; Rust does not.
    let parts: Vec<&str> = address.split('.').map(|part| part.trim_start_matches('0')).collect();
    let plain: Vec<&str> = parts.iter().map(|part| if part.is_empty() { "0" } else { *part }).collect();
    if address.parse::<IpAddr>().is_err() && plain.join(".").parse::<IpAddr>().is_err() {
        let problem = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.invalid(path, &Value::String(address.to_owned()), problem);
    }
}

fn unique_ports(spec: &Value, errors: &mut Errors) {
    let ports = list(spec, "ports");
    let node_port = |port: &Value| port["nodePort"].as_i64().filter(|number| *number != 0);
    if text(spec, "type") == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| node_port(port).is_some()) {
            errors.forbidden(format!("spec.ports[{index}].nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if let Some(number) = node_port(port)
            && !seen.insert((text(port, "protocol"), number))
        {
            errors.invalid(format!("spec.ports[{index}].nodePort"), &port["nodePort"], "provided port is already allocated");
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let (protocol, number) = (text(port, "protocol"), port["port"].as_i64().unwrap_or(0));
        if !seen.insert((protocol, number)) {
            // The real server shows its own form of the port, with the fields that the comparison leaves out.
            let message = format!(
                "Duplicate value: {{\"Name\":\"\",\"Protocol\":{protocol:?},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\
                 \"NodePort\":0}}"
            );
            errors.push(FieldError { path: format!("spec.ports[{index}]"), reason: "FieldValueDuplicate", message });
        }
    }
}

fn traffic(spec: &Value, errors: &mut Errors) {
    let kind = text(spec, "type");
    if kind != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if spec.get(field).is_some() {
                errors.forbidden(format!("spec.{field}"), "may only be used when `type` is 'LoadBalancer'");
            }
        }
    }
    if is_reached_from_outside(spec) {
        errors.one_of(spec, "spec", "externalTrafficPolicy", &["Cluster", "Local"]);
    } else if !text(spec, "externalTrafficPolicy").is_empty() {
        let problem = "may only be set for externally-accessible services";
        errors.invalid("spec.externalTrafficPolicy", &spec["externalTrafficPolicy"], problem);
    }
    errors.one_of(spec, "spec", "internalTrafficPolicy", &["Cluster", "Local"]);
    errors.one_of(spec, "spec", "trafficDistribution", &["PreferClose", "PreferSameZone", "PreferSameNode"]);
    let is_checked = kind == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local";
    if spec["healthCheckNodePort"].as_i64().is_some_and(|port| port != 0) && !is_checked {
        let problem = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.invalid("spec.healthCheckNodePort", &spec["healthCheckNodePort"], problem);
    }
}

/// Whether a policy for traffic from outside has a meaning.
pub(in crate::apiserver) fn is_reached_from_outside(spec: &Value) -> bool {
    match text(spec, "type") {
        "NodePort" | "LoadBalancer" => true,
        "ClusterIP" => !list(spec, "externalIPs").is_empty(),
        _ => false,
    }
}
