//! The three kinds of patch: JSON Patch, JSON Merge Patch and Kubernetes' strategic merge patch.

mod json;
mod strategic;

use serde_json::Value;

use super::strategy::Undecodable;
use crate::{
    resource::Resource,
    status::{FieldError, StatusError},
};

/// What comes before the name of a list in the field that says its order.
const SET_ORDER: &str = "$setElementOrder/";

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

impl Patch {
    /// The object with the patch applied.
    ///
    /// # Errors
    /// If the patch is malformed or does not fit the object.
    pub(crate) fn apply(&self, resource: &Resource, mut object: Value) -> Result<Value, StatusError> {
        match self {
            Self::Json(operations) => json::apply(&mut object, operations)?,
            Self::Merge(Value::Null) => return Err(StatusError::bad_request("Invalid JSON Patch")),
            Self::Merge(patch) => json_patch::merge(&mut object, require_object(patch, "error decoding patch: ")?),
            Self::Strategic(Value::Null) => {}
            Self::Strategic(patch) => strategic::merge(&mut object, require_object(patch, "")?)?,
        }
        if !object.is_object() {
            return Err(StatusError::bad_request(format!("the patch leaves no {}", resource.kind)));
        }
        Ok(object)
    }

    /// The error for a patch after which an object cannot be read (apiserver/pkg/endpoints/handlers/patch.go).
    pub(super) fn leaves_unreadable(&self, patched: &Value, problem: &Undecodable) -> StatusError {
        let (shown, problem) = match self {
            Self::Strategic(patch) => (go_map(patch), problem.when_converted()),
            Self::Json(_) | Self::Merge(_) => (patched.to_string(), problem.to_string()),
        };
        StatusError::invalid("", "", "", vec![FieldError::invalid("patch", &Value::String(shown), &problem)])
    }
}

fn require_object<'a>(patch: &'a Value, prefix: &str) -> Result<&'a Value, StatusError> {
    let found = match patch {
        Value::Object(_) => return Ok(patch),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    let message = format!("{prefix}json: cannot unmarshal {found} into Go value of type map[string]interface {{}}");
    Err(StatusError::bad_request(message))
}

/// A patch as Go prints it. The lists whose order it says are no longer in it when it is printed.
fn go_map(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let is_used = |key: &str| key.starts_with(SET_ORDER) || fields.contains_key(&format!("{SET_ORDER}{key}"));
            let shown = fields.iter().filter(|(key, _)| !is_used(key));
            let shown: Vec<String> = shown.map(|(key, value)| format!("{key}:{}", go_map(value))).collect();
            format!("map[{}]", shown.join(" "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(go_map).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{resource::DEPLOYMENTS, typed};

    #[test]
    fn a_patch_that_leaves_something_unreadable_is_shown() {
        let patch = json!({"spec": {"replicas": "x", "$setElementOrder/l": [{"name": "a"}], "l": [{"name": "a"}]}});
        let problem = Undecodable::Type(typed::normalise(&DEPLOYMENTS, &patch).unwrap_err());
        assert_eq!(
            Patch::Strategic(patch.clone()).leaves_unreadable(&patch, &problem).message(),
            " \"\" is invalid: patch: Invalid value: \"map[spec:map[replicas:x]]\": unrecognized type: int32"
        );
        let patched = json!({"spec": {"replicas": "x"}});
        assert_eq!(
            Patch::Merge(patch).leaves_unreadable(&patched, &problem).message(),
            " \"\" is invalid: patch: Invalid value: \"{\\\"spec\\\":{\\\"replicas\\\":\\\"x\\\"}}\": json: cannot unmarshal \
             string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
    }
}
