//! The three kinds of patch: JSON Patch, JSON Merge Patch and Kubernetes' strategic merge patch.

mod strategic;

use serde_json::Value;

use crate::{resource::Resource, status::StatusError};

/// A change of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 6902: a list of operations.
    Json(Value),
    /// RFC 7386: fields replaced, `null` removes one, lists replaced as a whole.
    Merge(Value),
    /// As a merge patch, with the lists of Kubernetes' types merged by their keys and `$patch` directives
    /// (apimachinery/pkg/util/strategicpatch).
    Strategic(Value),
}

/// How many operations a JSON patch may have (apiserver/pkg/endpoints/handlers/patch.go).
const MAX_OPERATIONS: usize = 10_000;

impl Patch {
    /// The object with the patch applied.
    ///
    /// # Errors
    /// If the patch is malformed or does not fit the object.
    pub(crate) fn apply(&self, resource: &Resource, mut object: Value) -> Result<Value, StatusError> {
        match self {
            Self::Json(operations) => {
                if operations.as_array().is_some_and(|list| list.len() > MAX_OPERATIONS) {
                    let count = operations.as_array().map_or(0, Vec::len);
                    let message = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}");
                    return Err(StatusError::new(413, "RequestEntityTooLarge", message));
                }
                let patch: json_patch::Patch = serde_json::from_value(operations.clone())
                    .map_err(|error| StatusError::bad_request(format!("error decoding patch: {error}")))?;
                json_patch::patch(&mut object, &patch).map_err(|error| {
                    StatusError::new(
                        422,
                        "Invalid",
                        format!("the server rejected our request due to an error in our request: {error}"),
                    )
                })?;
            }
            Self::Merge(patch) => json_patch::merge(&mut object, require_object(patch)?),
            Self::Strategic(patch) => strategic::merge(&mut object, require_object(patch)?)?,
        }
        if !object.is_object() {
            return Err(StatusError::bad_request(format!("the patch leaves no {}", resource.kind)));
        }
        Ok(object)
    }
}

fn require_object(patch: &Value) -> Result<&Value, StatusError> {
    if patch.is_object() { Ok(patch) } else { Err(StatusError::bad_request("error decoding patch: it is not a JSON object")) }
}
