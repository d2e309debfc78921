//! The parameters of a request.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    resource::Resource,
    selector::{FieldSelector, LabelSelector, Selection},
    status::{FieldError, StatusError},
};

/// The longest name of a field manager.
const LONGEST_MANAGER: usize = 128;

/// The parameters after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    values: BTreeMap<String, Vec<String>>,
}

impl Query {
    /// Reads `a=b&c=d`.
    pub(super) fn parse(text: Option<&str>) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            values.entry(key.into_owned()).or_default().push(value.into_owned());
        }
        Self { values }
    }

    /// A parameter; empty if it is not given.
    pub(super) fn text(&self, key: &str) -> &str {
        self.values.get(key).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// The parameters as they stand in a URL.
    pub(super) fn encoded(&self) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        for (key, values) in &self.values {
            for value in values {
                text.append_pair(key, value);
            }
        }
        text.finish()
    }

    /// All values of a parameter.
    pub(super) fn all(&self, key: &str) -> Vec<String> {
        self.values.get(key).cloned().unwrap_or_default()
    }

    /// A flag: given without a value, or as anything but false.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.values.contains_key(key) && !["false", "0", "False", "FALSE", "f", "F"].contains(&self.text(key))
    }

    /// A number.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, StatusError> {
        let text = self.text(key);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || StatusError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// The objects that a list or a watch is about.
    ///
    /// # Errors
    /// If a selector is malformed, or asks for a field that cannot be selected by.
    pub(super) fn selection(&self, resource: &Resource, namespace: Option<String>) -> Result<Selection, StatusError> {
        let labels = LabelSelector::parse(self.text("labelSelector")).map_err(StatusError::bad_request)?;
        let fields = FieldSelector::parse(self.text("fieldSelector"), resource).map_err(StatusError::bad_request)?;
        Ok(Selection { namespace, labels, fields })
    }

    /// `resourceVersion`: nothing if it is not given.
    ///
    /// # Errors
    /// If it is no number.
    pub(super) fn revision(&self) -> Result<Option<u64>, StatusError> {
        let text = self.text("resourceVersion");
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            StatusError::bad_request(format!(
                "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: \
                 invalid syntax"
            ))
        })
    }

    /// Whether everything but the writing is to be done.
    pub(super) fn is_dry_run(&self) -> bool {
        self.values.contains_key("dryRun")
    }

    /// Checks how something is to be written (apimachinery/pkg/apis/meta/v1/validation); `is_apply` is whether by server-side apply.
    pub(super) fn check_write(&self, is_apply: bool) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !is_apply && self.flag("force") {
            errors.push(FieldError::forbidden("force", "may not be specified for non-apply patch"));
        }
        let manager = self.text("fieldManager");
        if manager.len() > LONGEST_MANAGER {
            errors.push(FieldError::too_long("fieldManager", LONGEST_MANAGER));
        }
        if let Some((at, wrong)) = manager.char_indices().find(|(_, char)| char.is_control()) {
            let problem = format!("invalid character U+{:04X} (at position {at})", u32::from(wrong));
            errors.push(FieldError::invalid("fieldManager", &json!(manager), &problem));
        }
        let stages = self.all("dryRun");
        if stages.iter().any(|stage| stage != "All") {
            errors.push(FieldError::not_supported_value("dryRun", &json!(stages), &["All"]));
        }
        let validation = self.text("fieldValidation");
        if !["", "Ignore", "Warn", "Strict"].contains(&validation) {
            errors.push(FieldError::not_supported("fieldValidation", validation, &["", "Ignore", "Strict", "Warn"]));
        }
        errors
    }

    /// Checks that an apply says who applies.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn applier(&self) -> Result<(), StatusError> {
        if self.text("fieldManager").is_empty() {
            let error = FieldError::required("fieldManager", "is required for apply patch");
            return Err(StatusError::invalid("meta.k8s.io", "PatchOptions", "", vec![error]));
        }
        Ok(())
    }

    /// Checks what a list or a watch asks for (apimachinery/pkg/apis/meta/internalversion/validation).
    ///
    /// # Errors
    /// If parameters do not go together.
    pub(super) fn check_list(&self, is_watch: bool) -> Result<(), StatusError> {
        let forbid = |field: &str, detail: &str| {
            let error = FieldError::forbidden(field, detail);
            Err(StatusError::invalid("meta.k8s.io", "ListOptions", "", vec![error]))
        };
        for field in ["limit", "timeoutSeconds"] {
            self.number(field)?;
        }
        let matching = self.text("resourceVersionMatch");
        if self.values.contains_key("sendInitialEvents") {
            if !is_watch {
                return forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
            }
            if matching != "NotOlderThan" {
                let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                return forbid("resourceVersionMatch", detail);
            }
            return Ok(());
        }
        if is_watch && !matching.is_empty() {
            return forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            );
        }
        if !matching.is_empty() && self.text("resourceVersion").is_empty() {
            return forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if matching == "Exact" && self.text("resourceVersion") == "0" {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return forbid("resourceVersionMatch", detail);
        }
        if !["", "Exact", "NotOlderThan"].contains(&matching) {
            let error = FieldError::not_supported("resourceVersionMatch", matching, &["Exact", "NotOlderThan", ""]);
            return Err(StatusError::invalid("meta.k8s.io", "ListOptions", "", vec![error]));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse(Some("labelSelector=a%3Db&watch&limit=5&follow=false"));
        assert_eq!(query.text("labelSelector"), "a=b");
        assert!(query.flag("watch") && !query.flag("follow") && !query.flag("absent"));
        assert_eq!(query.number("limit"), Ok(Some(5)));
    }

    #[test]
    fn a_dry_run_is_of_all_stages() {
        let errors = |text| Query::parse(Some(text)).check_write(false).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((errors("dryRun=All"), errors("")), (Vec::new(), Vec::new()));
        assert_eq!(errors("dryRun=x"), [r#"dryRun: Unsupported value: ["x"]: supported values: "All""#]);
        assert_eq!(
            errors("force=true&fieldManager=a%01b&fieldValidation=x"),
            [
                "force: Forbidden: may not be specified for non-apply patch",
                r#"fieldManager: Invalid value: "a\x01b": invalid character U+0001 (at position 1)"#,
                r#"fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn""#,
            ]
        );
    }

    #[test]
    fn an_exact_list_needs_a_revision() {
        let query = Query::parse(Some("resourceVersionMatch=Exact&resourceVersion=0"));
        assert_eq!(query.check_list(false).unwrap_err().code(), 422);
    }

    #[test]
    fn initial_events_need_a_match() {
        let query = Query::parse(Some("sendInitialEvents=true"));
        assert_eq!(
            query.check_list(true).unwrap_err().message(),
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting \
             resourceVersionMatch to NotOlderThan"
        );
    }
}
