//! The bodies of requests and responses.

use std::{convert::Infallible, fmt};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody, combinators::UnsyncBoxBody};
use serde_json::Value;

use super::protobuf;
use crate::{
    resource::{Resource, find_kind},
    status::StatusError,
};

/// How large a request's body may be (apiserver/pkg/server/config.go:MaxRequestBodyBytes).
const MAX_BODY: usize = 3 * 1024 * 1024;

/// The body of a response.
pub type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

/// Reads a request's body.
///
/// # Errors
/// If it is too large, or breaks off.
pub(super) async fn read<B>(body: B) -> Result<Bytes, StatusError>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {MAX_BODY}");
            Err(StatusError::new(413, "RequestEntityTooLarge", message))
        }
        Err(error) => Err(StatusError::bad_request(format!("the body of the request could not be read: {error}"))),
    }
}

/// Reads an object that a request brought, of a resource.
///
/// # Errors
/// If it is not JSON or YAML, or not such an object.
pub(super) fn object(resource: &Resource, content_type: &str, bytes: &Bytes) -> Result<Value, StatusError> {
    let value = document(resource.kind, content_type, bytes)?;
    check_kind(resource, &value)?;
    Ok(value)
}

/// Reads a JSON or YAML object that should be of some kind.
///
/// # Errors
/// If it is not an object.
pub(super) fn document(kind: &str, content_type: &str, bytes: &Bytes) -> Result<Value, StatusError> {
    let unrecognised = |problem: &dyn fmt::Display| {
        let message = format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {problem}"
        );
        StatusError::bad_request(message)
    };
    let value: Value = match content_type {
        "application/vnd.kubernetes.protobuf" => protobuf::object(bytes).map_err(|problem| {
            StatusError::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {problem}"))
        })?,
        "application/json" => serde_json::from_slice(bytes).map_err(|error| unrecognised(&error))?,
        "application/yaml" | "application/apply-patch+yaml" => {
            serde_yaml::from_slice(bytes).map_err(|error| unrecognised(&error))?
        }
        _ => return Err(unsupported_body()),
    };
    if value.is_object() { Ok(value) } else { Err(unrecognised(&"json: cannot unmarshal it into an object")) }
}

pub(super) fn unsupported_body() -> StatusError {
    StatusError::new(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json, \
         application/yaml, application/vnd.kubernetes.protobuf",
    )
}

/// An object may leave out what it is, but must not be something else.
fn check_kind(resource: &Resource, value: &Value) -> Result<(), StatusError> {
    let (kind, api_version) = (resource.kind, resource.api_version());
    let (given_kind, given_version) =
        (value["kind"].as_str().unwrap_or(kind), value["apiVersion"].as_str().unwrap_or(&api_version));
    if given_kind == kind && given_version == api_version {
        return Ok(());
    }
    let version = given_version.rsplit('/').next().unwrap_or(given_version);
    let problem = if find_kind(given_version, given_kind).is_some() {
        let package = |group: &str| if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) }.to_owned();
        format!("converting ({version}.{given_kind}) to ({}.{kind}): unknown conversion", package(resource.group))
    } else {
        format!("no kind {given_kind:?} is registered for version {given_version:?} in scheme \"pkg/runtime/scheme.go:111\"")
    };
    Err(StatusError::bad_request(format!("{given_kind} in version {version:?} cannot be handled as a {kind}: {problem}")))
}

/// A response with a body of its own.
pub(super) fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A response with a JSON document, or the same as YAML.
pub(super) fn document_response(status: StatusCode, value: &Value, yaml: bool) -> Response<ResponseBody> {
    if yaml && let Ok(text) = serde_yaml::to_string(value) {
        return response(status, "application/yaml", text);
    }
    response(status, "application/json", value.to_string())
}

/// The response to a failed request.
pub(crate) fn error_response(error: &StatusError) -> Response<ResponseBody> {
    let status = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = document_response(status, &status_value(error), false);
    if let Some(seconds) = error.status().details.as_ref().and_then(|details| details.retry_after_seconds)
        && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
    {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// The `Status` object of an error.
pub(super) fn status_value(error: &StatusError) -> Value {
    serde_json::to_value(error.status()).unwrap_or_default()
}

/// A response whose body comes over time.
pub(super) fn stream_response(
    content_type: &'static str,
    chunks: impl Stream<Item = Bytes> + Send + 'static,
) -> Response<ResponseBody> {
    let frames = chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}
