//! Creating objects (apiserver/pkg/registry/rest/create.go, generic/registry/store.go:Create).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    ApiServer, Origin, Writer, events,
    metadata::{metadata, text},
    strategy::decode,
};
use crate::{
    object::{Key, Object},
    resource::{NAMESPACES, Resource},
    status::StatusError,
    store::Mismatch,
};

/// How often a generated name is drawn anew when it is taken.
const NAME_ATTEMPTS: usize = 8;

/// The longest base of a generated name (apiserver/pkg/storage/names/generate.go).
const NAME_BASE: usize = 58;

impl ApiServer {
    /// Makes an object. `namespace` is that of the request's path, where it has one.
    ///
    /// # Errors
    /// If it exists, is not valid, or is not admitted.
    pub(crate) fn create(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        mut value: Value,
        writer: &Writer<'_>,
    ) -> Result<Arc<Object>, StatusError> {
        if writer.origin != Origin::Component {
            value = decode(resource, &value, writer)?;
        }
        self.place(resource, namespace, &mut value)?;
        if !text(&value, "/metadata/resourceVersion").is_empty() {
            return Err(StatusError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        events::to_stored(resource, &mut value);
        let generated = text(&value, "/metadata/name").is_empty() && !text(&value, "/metadata/generateName").is_empty();
        for attempt in 1.. {
            let mut value = if generated { value.clone() } else { std::mem::take(&mut value) };
            if generated {
                self.name(&mut value);
            }
            self.complete(resource, &mut value);
            self.prepare_for_create(resource, &mut value, writer)?;
            let key = Key::new(text(&value, "/metadata/namespace"), text(&value, "/metadata/name"));
            match self.insert(resource, &key, value, writer) {
                Err(Mismatch::Exists) if generated && attempt < NAME_ATTEMPTS => {}
                Err(_) => return Err(StatusError::already_exists(resource, &key.name)),
                Ok(object) => return Ok(object),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn insert(&self, resource: &'static Resource, key: &Key, value: Value, writer: &Writer<'_>) -> Result<Arc<Object>, Mismatch> {
        if !writer.dry_run {
            let made = self.store().create(resource, key, value)?;
            self.expire_events(resource, Some(&made));
            return Ok(made);
        }
        match self.store().get(resource, key) {
            Some(_) => Err(Mismatch::Exists),
            None => Ok(Arc::new(Object::unstored(value, 0))),
        }
    }

    /// Puts the object into the namespace of the request, and checks that there is such a namespace.
    fn place(&self, resource: &'static Resource, namespace: Option<&str>, value: &mut Value) -> Result<(), StatusError> {
        if !resource.namespaced {
            metadata(value).remove("namespace");
            return Ok(());
        }
        let own = text(value, "/metadata/namespace").to_owned();
        let wanted = namespace.unwrap_or(&own).to_owned();
        if !own.is_empty() && own != wanted {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(StatusError::bad_request(message));
        }
        if wanted.is_empty() {
            return Err(StatusError::bad_request("an empty namespace may not be set during creation"));
        }
        let name = text(value, "/metadata/name").to_owned();
        let home = self.get(&NAMESPACES, &Key::new("", wanted.as_str()))?;
        // Events tell what happens while a namespace goes; even so the real server refuses them then.
        if home.is_deleting() {
            let problem = format!("unable to create new content in namespace {wanted} because it is being terminated");
            return Err(StatusError::forbidden(resource, &name, &problem));
        }
        metadata(value).insert("namespace".to_owned(), Value::String(wanted));
        Ok(())
    }

    fn name(&self, value: &mut Value) {
        let base: String = text(value, "/metadata/generateName").chars().take(NAME_BASE).collect();
        let name = base + &self.random().suffix(5);
        metadata(value).insert("name".to_owned(), Value::String(name));
    }

    /// Fills what the server alone decides.
    fn complete(&self, resource: &Resource, value: &mut Value) {
        let uid = self.random().uuid();
        let metadata = metadata(value);
        for set_by_the_server in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
            metadata.remove(set_by_the_server);
        }
        metadata.insert("uid".to_owned(), Value::String(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(self.clock().time()));
        if has_generation(resource) {
            metadata.insert("generation".to_owned(), json!(1));
        }
    }
}

/// Whether objects of the resource count the changes of their spec.
pub(super) fn has_generation(resource: &Resource) -> bool {
    matches!(
        resource.plural,
        "pods"
            | "deployments"
            | "replicasets"
            | "daemonsets"
            | "jobs"
            | "cronjobs"
            | "poddisruptionbudgets"
            | "priorityclasses"
            | "endpointslices"
    )
}
