//! Media types: what a client accepts, and what it sends.

use http::{HeaderMap, header};

use crate::status::StatusError;

/// In which form a client wants objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Object,
    /// As rows of a table.
    Table,
    /// Their metadata only.
    Metadata,
}

/// What a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accept {
    /// The form of objects.
    pub(super) form: Form,
    /// Whether they are to be YAML.
    pub(super) yaml: bool,
    /// Whether discovery is to be aggregated.
    pub(super) aggregated: bool,
}

impl Accept {
    /// Objects as they are, as JSON.
    pub(super) const PLAIN: Self = Self { form: Form::Object, yaml: false, aggregated: false };
}

/// Reads the `Accept` header.
///
/// # Errors
/// If nothing that can be served is accepted.
pub(super) fn accept(headers: &HeaderMap) -> Result<Accept, StatusError> {
    let listed: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let listed = listed.join(",");
    if listed.trim().is_empty() {
        return Ok(Accept::PLAIN);
    }
    let mut types = listed.split(',').map(str::trim).filter(|listed| !listed.is_empty());
    types.find_map(media_type).ok_or_else(not_acceptable)
}

/// What one media type means; nothing if it cannot be served.
fn media_type(text: &str) -> Option<Accept> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?;
    let yaml = match name {
        "application/json" | "*/*" | "application/*" => false,
        "application/yaml" => true,
        _ => return None,
    };
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let parameter = |key: &str| parameters.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| *value);
    let (form, aggregated) = match (parameter("as"), parameter("g"), parameter("v")) {
        ("", ..) => (Form::Object, false),
        ("Table", "meta.k8s.io", "v1" | "v1beta1") => (Form::Table, false),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1" | "v1beta1") => (Form::Metadata, false),
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => (Form::Object, true),
        _ => return None,
    };
    Some(Accept { form, yaml, aggregated })
}

fn not_acceptable() -> StatusError {
    StatusError::new(
        406,
        "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
         application/vnd.kubernetes.protobuf",
    )
    .with_details()
}

/// The media type of a request's body, without its parameters; JSON if it is not said.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match given.split(';').next().unwrap_or_default().trim() {
        "" => "application/json",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accepts(text: &'static str) -> Result<Accept, StatusError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(text));
        accept(&headers)
    }

    #[test]
    fn the_first_type_that_can_be_served_is() {
        let table =
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accepts(table).unwrap().form, Form::Table);
        assert_eq!(accepts("application/vnd.kubernetes.protobuf,application/json").unwrap().form, Form::Object);
        assert!(accepts("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").unwrap().aggregated);
        let older = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert!(!accepts(older).unwrap().aggregated);
        assert_eq!(accepts("text/html").unwrap_err().code(), 406);
    }
}
