//! Errors of the API, worded as the real server words them (apimachinery/pkg/api/errors).

use std::fmt::{self, Write as _};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};
use serde_json::Value;

use crate::resource::Resource;

/// A request that failed, as the `Status` object that the API server answers with.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusError(Box<Status>);

/// What is wrong with one field of an object (apimachinery/pkg/util/validation/field).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path, such as `spec.containers[0].name`.
    pub path: String,
    /// `FieldValueInvalid`, `FieldValueRequired` …
    pub reason: &'static str,
    /// The message, without the path.
    pub message: String,
}

impl std::error::Error for StatusError {}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl StatusError {
    /// An error with this HTTP code, machine-readable reason and message.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Status {
            code: Some(code.into()),
            status: Some("Failure".to_owned()),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            message: Some(message.into()),
            ..Status::default()
        }))
    }

    /// The `Status` object.
    pub fn status(&self) -> &Status {
        &self.0
    }

    /// The HTTP code.
    pub fn code(&self) -> u16 {
        self.0.code.and_then(|code| u16::try_from(code).ok()).unwrap_or(400)
    }

    /// The reason, such as `NotFound`.
    pub fn reason(&self) -> &str {
        self.0.reason.as_deref().unwrap_or_default()
    }

    /// The message.
    pub fn message(&self) -> &str {
        self.0.message.as_deref().unwrap_or_default()
    }

    /// Whether the object, or the resource, does not exist.
    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// Whether an object of that name exists already.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// Whether the object has changed since it was read: read it anew and try again.
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// The object does not exist.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", resource.qualified())).about(resource, name)
    }

    /// An object of this name exists already.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// The object is not as the request expects it.
    pub fn conflict(resource: &Resource, name: &str, problem: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {problem}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// The object has changed since it was read.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        let problem = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, problem)
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// Nobody knows who asks.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// The request is refused.
    pub fn forbidden(resource: &Resource, name: &str, problem: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {problem}", resource.qualified());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// Fields of the object are not valid. `kind` and `group` are those of the object.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: Vec<FieldError>) -> Self {
        // What is told twice is told once (apimachinery/pkg/util/validation/field/errors.go:ToAggregate).
        let mut listed: Vec<String> = Vec::new();
        for error in errors.iter().map(ToString::to_string) {
            if !listed.contains(&error) {
                listed.push(error);
            }
        }
        let listed = match listed.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut error = Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {listed}"));
        error.0.details = Some(StatusDetails {
            name: (!name.is_empty()).then(|| name.to_owned()),
            group: (!group.is_empty()).then(|| group.to_owned()),
            kind: (!kind.is_empty()).then(|| kind.to_owned()),
            causes: Some(errors.into_iter().map(FieldError::into_cause).collect()),
            ..StatusDetails::default()
        });
        error
    }

    /// What the watch or the list asks for is forgotten.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// There is nothing at this path.
    pub fn no_such_path() -> Self {
        let mut error = Self::new(404, "NotFound", "the server could not find the requested resource");
        error.0.details = Some(StatusDetails::default());
        error
    }

    /// This method does not apply to the resource.
    pub fn method_not_allowed() -> Self {
        let mut error = Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        error.0.details = Some(StatusDetails::default());
        error
    }

    /// What is asked for cannot be done to this object.
    pub fn unprocessable() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request").with_details()
    }

    /// The same error with details, in which there need not be anything.
    #[must_use]
    pub fn with_details(mut self) -> Self {
        self.0.details.get_or_insert_default();
        self
    }

    /// The same error in other words.
    #[must_use]
    pub fn saying(mut self, message: &str) -> Self {
        self.0.message = Some(message.to_owned());
        self
    }

    /// The same error about this object.
    #[must_use]
    pub fn about(mut self, resource: &Resource, name: &str) -> Self {
        let details = self.0.details.get_or_insert_default();
        details.name = (!name.is_empty()).then(|| name.to_owned());
        details.group = (!resource.group.is_empty()).then(|| resource.group.to_owned());
        details.kind = Some(resource.plural.to_owned());
        self
    }

    /// The same error with causes.
    #[must_use]
    pub fn with_causes(mut self, causes: Vec<StatusCause>) -> Self {
        self.0.details.get_or_insert_default().causes = Some(causes);
        self
    }

    /// The same error, and when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: i32) -> Self {
        self.0.details.get_or_insert_default().retry_after_seconds = Some(seconds);
        self
    }
}

impl FieldError {
    fn new(path: impl Into<String>, reason: &'static str, message: String) -> Self {
        Self { path: path.into(), reason, message }
    }

    /// The value is not valid.
    pub fn invalid(path: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(path, "FieldValueInvalid", format!("Invalid value: {}: {detail}", quoted(value)))
    }

    /// A value that is shown like this is not valid.
    pub(crate) fn invalid_text(path: impl Into<String>, shown: &str, detail: &str) -> Self {
        Self::new(path, "FieldValueInvalid", format!("Invalid value: {shown}: {detail}"))
    }

    /// The value is missing.
    pub fn required(path: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self::new(path, "FieldValueRequired", message)
    }

    /// The value occurs more than once.
    pub fn duplicate(path: impl Into<String>, value: &Value) -> Self {
        Self::new(path, "FieldValueDuplicate", format!("Duplicate value: {}", quoted(value)))
    }

    /// The value is not one of those that are known.
    pub fn not_supported(path: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        Self::not_supported_value(path, &Value::String(value.to_owned()), supported)
    }

    /// The value, which need not be a text, is not one of those that are known.
    pub fn not_supported_value(path: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let listed: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let message = format!("Unsupported value: {}: supported values: {}", quoted(value), listed.join(", "));
        Self::new(path, "FieldValueNotSupported", message)
    }

    /// The value may not be set here.
    pub fn forbidden(path: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Forbidden".to_owned() } else { format!("Forbidden: {detail}") };
        Self::new(path, "FieldValueForbidden", message)
    }

    /// The value is longer than so many bytes.
    pub fn too_long(path: impl Into<String>, most: usize) -> Self {
        Self::new(path, "FieldValueTooLong", format!("Too long: may not be more than {most} bytes"))
    }

    /// What the value refers to does not exist.
    pub fn not_found(path: impl Into<String>, value: &str) -> Self {
        Self::new(path, "FieldValueNotFound", format!("Not found: {value:?}"))
    }

    fn into_cause(self) -> StatusCause {
        StatusCause { field: Some(self.path), reason: Some(self.reason.to_owned()), message: Some(self.message) }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A value as Go prints it in a field error: strings quoted, numbers bare, objects as JSON.
fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => go_quoted(text),
        other => other.to_string(),
    }
}

/// A text as Go quotes it (strconv.Quote).
fn go_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => drop(write!(quoted, "\\x{:02x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{DEPLOYMENTS, PODS};

    #[test]
    fn errors_are_worded_as_the_real_ones() {
        assert_eq!(StatusError::not_found(&PODS, "a").message(), r#"pods "a" not found"#);
        let modified = StatusError::modified(&DEPLOYMENTS, "d");
        assert_eq!(
            modified.to_string(),
            "Operation cannot be fulfilled on deployments.apps \"d\": the object has been modified; please apply your \
             changes to the latest version and try again"
        );
        let errors = vec![
            FieldError::required("spec.containers[0].name", ""),
            FieldError::not_supported("spec.restartPolicy", "No", &["Always", "Never"]),
        ];
        assert_eq!(
            StatusError::invalid("", "Pod", "p", errors).message(),
            "Pod \"p\" is invalid: [spec.containers[0].name: Required value, spec.restartPolicy: Unsupported value: \
             \"No\": supported values: \"Always\", \"Never\"]"
        );
    }
}
