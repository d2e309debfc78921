//! Field selectors: `status.phase=Running,metadata.name!=a`, on the fields that each resource supports.

use std::borrow::Cow;

use serde_json::Value;

use crate::resource::Resource;

/// Requirements on fields, all of which must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    path: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Reads a selector as `kubectl --field-selector` takes it, for a resource.
    ///
    /// # Errors
    /// What is wrong with the text, or that the resource has no such field, as the real server says it.
    pub fn parse(text: &str, resource: &Resource) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (path, value, true)
            } else {
                return Err(format!("invalid selector: '{part}'; can't understand '{part}'"));
            };
            let path = path.trim();
            if !is_supported(resource, path) {
                return Err(not_supported(resource, path));
            }
            requirements.push(Requirement { path: storage_path(path).to_owned(), value: value.trim().to_owned(), equal });
        }
        Ok(Self { requirements })
    }

    /// Adds the requirement that the field at `path` has this value.
    pub(crate) fn require(&mut self, path: &str, value: impl Into<String>) {
        self.requirements.push(Requirement { path: path.to_owned(), value: value.into(), equal: true });
    }

    /// The name that `metadata.name=…` demands, if it does.
    pub fn name(&self) -> Option<&str> {
        self.requirements.iter().find(|r| r.equal && r.path == "metadata.name").map(|r| r.value.as_str())
    }

    /// Whether it selects an object.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.requirements.iter().all(|r| (*text_at(object, &r.path) == r.value) == r.equal)
    }
}

/// What a field selector compares: strings as they are, `false` for a missing flag, nothing for a missing string.
fn text_at<'a>(object: &'a Value, path: &str) -> Cow<'a, str> {
    let value = path.split('.').try_fold(object, |value, field| value.get(field));
    match value {
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(Value::Bool(flag)) => Cow::Owned(flag.to_string()),
        Some(Value::Number(number)) => Cow::Owned(number.to_string()),
        _ if matches!(path, "spec.unschedulable" | "spec.hostNetwork") => Cow::Borrowed("false"),
        _ if path == "status.successful" => Cow::Borrowed("0"),
        _ => Cow::Borrowed(""),
    }
}

/// Where the field is in the stored object, which for events is the core group's form.
fn storage_path(path: &str) -> &str {
    match path {
        "regarding.kind" => "involvedObject.kind",
        "regarding.namespace" => "involvedObject.namespace",
        "regarding.name" => "involvedObject.name",
        "regarding.uid" => "involvedObject.uid",
        "regarding.apiVersion" => "involvedObject.apiVersion",
        "regarding.resourceVersion" => "involvedObject.resourceVersion",
        "regarding.fieldPath" => "involvedObject.fieldPath",
        "reportingController" => "reportingComponent",
        "source" => "source.component",
        "status.successful" => "status.succeeded",
        other => other,
    }
}

/// Kinds without fields of their own say it in another way (apimachinery/pkg/runtime/conversion.go).
fn not_supported(resource: &Resource, path: &str) -> String {
    if own_fields(resource).is_empty() {
        format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    } else {
        format!("field label not supported: {path}")
    }
}

/// The fields that can be selected by (the `…SelectableFields` of pkg/registry).
fn is_supported(resource: &Resource, path: &str) -> bool {
    path == "metadata.name" || (resource.namespaced && path == "metadata.namespace") || own_fields(resource).contains(&path)
}

fn own_fields(resource: &Resource) -> &'static [&'static str] {
    match (resource.group, resource.plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("batch", "jobs") => &["status.successful"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::resource::{DEPLOYMENTS, EVENTS, NODES, PODS};

    #[rstest]
    #[case("spec.nodeName=node-1", true)]
    #[case("spec.nodeName!=node-1", false)]
    #[case("status.phase==Running,metadata.name=a", true)]
    #[case("status.podIP=", true)]
    fn selectors_select(#[case] text: &str, #[case] expected: bool) {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"}});
        assert_eq!(FieldSelector::parse(text, &PODS).unwrap().matches(&pod), expected);
    }

    #[test]
    fn a_missing_flag_is_false() {
        let selector = FieldSelector::parse("spec.unschedulable=false", &NODES).unwrap();
        assert!(selector.matches(&json!({"spec": {}})));
    }

    #[rstest]
    #[case("spec.image=x", "field label not supported: spec.image")]
    #[case("nonsense", "invalid selector: 'nonsense'; can't understand 'nonsense'")]
    fn what_is_not_supported_is_refused(#[case] text: &str, #[case] message: &str) {
        assert_eq!(FieldSelector::parse(text, &EVENTS), Err(message.to_owned()));
    }

    #[test]
    fn a_kind_without_fields_of_its_own_says_so() {
        let message = r#""status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace""#;
        assert_eq!(FieldSelector::parse("status.replicas=1", &DEPLOYMENTS), Err(message.to_owned()));
    }
}
