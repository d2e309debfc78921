//! EndpointSlices (pkg/apis/discovery/validation).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Errors, list, names, service::is_address, text};
use crate::status::FieldError;

/// Checks an EndpointSlice.
pub(super) fn check(slice: &Value, errors: &mut Errors) {
    if text(slice, "addressType").is_empty() {
        errors.required("addressType");
    }
    errors.one_of(slice, "", "addressType", &["FQDN", "IPv4", "IPv6"]);
    let mut seen = BTreeSet::new();
    for (index, port) in list(slice, "ports").iter().enumerate() {
        let path = format!("ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            errors.misnamed(&format!("{path}.name"), name, names::label(name));
        }
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &Value::String(name.to_owned())));
        }
        errors.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
    }
    for (index, endpoint) in list(slice, "endpoints").iter().enumerate() {
        if list(endpoint, "addresses").is_empty() {
            errors.required(format!("endpoints[{index}].addresses"));
        }
        for (number, address) in list(endpoint, "addresses").iter().enumerate() {
            let path = format!("endpoints[{index}].addresses[{number}]");
            if ["IPv4", "IPv6"].contains(&text(slice, "addressType")) {
                is_address(address.as_str().unwrap_or_default(), &path, errors);
            }
        }
        let host = text(endpoint, "hostname");
        if !host.is_empty() {
            errors.misnamed(&format!("endpoints[{index}].hostname"), host, names::label(host));
        }
    }
}
