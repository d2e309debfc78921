//! The rules of each resource: what a write may set, what is filled in, what is refused (pkg/registry/*/strategy.go).

use serde_json::{Value, json};

use super::{ApiServer, Writer, metadata::fields};
use crate::{resource::Resource, status::StatusError};

impl ApiServer {
    /// Makes a new object ready to be stored, or refuses it.
    pub(super) fn prepare_for_create(
        &self,
        resource: &'static Resource,
        value: &mut Value,
        _writer: &Writer<'_>,
    ) -> Result<(), StatusError> {
        if resource.subresource("status").is_some() {
            fields(value).remove("status");
        }
        if resource.plural == "pods" {
            value["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
        }
        Ok(())
    }

    /// Makes a changed object ready to be stored, or refuses it.
    pub(super) fn prepare_for_update(
        &self,
        resource: &'static Resource,
        subresource: &str,
        old: &Value,
        new: &mut Value,
        _writer: &Writer<'_>,
    ) -> Result<(), StatusError> {
        let kept = match subresource {
            "status" => "spec",
            _ if resource.subresource("status").is_some() && subresource.is_empty() => "status",
            _ => return Ok(()),
        };
        match old.get(kept) {
            Some(value) => fields(new).insert(kept.to_owned(), value.clone()),
            None => fields(new).remove(kept),
        };
        Ok(())
    }
}
