//! Endpoints (pkg/apis/core/validation:ValidateEndpoints).

use std::net::IpAddr;

use serde_json::Value;

use super::{Errors, container::port_number, list, names, service::is_address, text};
use crate::status::FieldError;

/// Checks who answers for a Service.
pub(super) fn check(endpoints: &Value, errors: &mut Errors) {
    for (index, subset) in list(endpoints, "subsets").iter().enumerate() {
        let path = format!("subsets[{index}]");
        if list(subset, "addresses").is_empty() && list(subset, "notReadyAddresses").is_empty() {
            errors.push(FieldError::required(&path, "must specify `addresses` or `notReadyAddresses`"));
        }
        for field in ["addresses", "notReadyAddresses"] {
            for (index, address) in list(subset, field).iter().enumerate() {
                one(address, &format!("{path}.{field}[{index}]"), errors);
            }
        }
        let ports = list(subset, "ports");
        for (index, port) in ports.iter().enumerate() {
            let path = format!("{path}.ports[{index}]");
            let name = text(port, "name");
            if !name.is_empty() {
                errors.misnamed(&format!("{path}.name"), name, names::label(name));
            } else if ports.len() > 1 {
                errors.required(format!("{path}.name"));
            }
            port_number(&port["port"], &format!("{path}.port"), errors);
            errors.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
        }
    }
}

fn one(address: &Value, path: &str, errors: &mut Errors) {
    let ip = text(address, "ip");
    is_address(ip, &format!("{path}.ip"), errors);
    let node = text(address, "nodeName");
    if !node.is_empty() {
        errors.misnamed(&format!("{path}.nodeName"), node, names::subdomain(node));
    }
    match ip.parse::<IpAddr>() {
        Err(_) => errors.invalid(format!("{path}.ip"), &address["ip"], "must be a valid IP address"),
        Ok(parsed) if parsed.is_loopback() => not_loopback(&address["ip"], &format!("{path}.ip"), errors),
        Ok(_) => {}
    }
}

/// An address of the machine itself is of no use to others.
pub(super) fn not_loopback(ip: &Value, path: &str, errors: &mut Errors) {
    errors.invalid(path, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
}
