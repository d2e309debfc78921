//! EndpointSlices (pkg/apis/discovery/validation).

use serde_json::Value;

use super::{Errors, list, names, text};
use crate::status::FieldError;

/// Checks an EndpointSlice.
pub(super) fn check(slice: &Value, errors: &mut Errors) {
    if text(slice, "addressType").is_empty() {
        errors.required("addressType");
    }
    errors.one_of(slice, "", "addressType", &["FQDN", "IPv4", "IPv6"]);
    for (index, port) in list(slice, "ports").iter().enumerate() {
        let path = format!("ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            errors.misnamed(&format!("{path}.name"), name, names::label(name));
        }
        errors.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
    }
    for (index, endpoint) in list(slice, "endpoints").iter().enumerate() {
        if list(endpoint, "addresses").is_empty() {
            let problem = "must contain at least 1 address";
            errors.push(FieldError::required(format!("endpoints[{index}].addresses"), problem));
        }
    }
}
