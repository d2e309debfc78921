//! Changing objects (apiserver/pkg/registry/rest/update.go, generic/registry/store.go:Update).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    ApiServer, Origin, Writer,
    create::has_generation,
    events,
    metadata::{finalizers, is_deleting, keep, metadata, number, raise_generation, same, same_managers, strings, text},
    patch::Patch,
    strategy::{Undecodable, decode, try_decode},
};
use crate::{
    object::{Key, Object},
    resource::Resource,
    status::{FieldError, StatusError},
    store::Mismatch,
    typed::WrongType,
};

/// What of an object's metadata a change cannot touch.
const FIXED_METADATA: &[&str] =
    &["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "generateName"];

impl ApiServer {
    /// Replaces an object, or through a subresource its part.
    ///
    /// # Errors
    /// If it does not exist, has changed since it was read, or is not valid.
    pub(crate) fn update(
        &self,
        resource: &'static Resource,
        subresource: &str,
        key: &Key,
        mut value: Value,
        writer: &Writer<'_>,
    ) -> Result<Arc<Object>, StatusError> {
        if writer.origin != Origin::Component {
            value = decode(resource, &value, writer)?;
        }
        events::to_stored(resource, &mut value);
        let is_conditional = ["leases", "poddisruptionbudgets"].contains(&resource.plural);
        if writer.origin == Origin::Client && is_conditional && text(&value, "/metadata/resourceVersion").is_empty() {
            self.get(resource, key)?;
            let error = FieldError::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(StatusError::invalid(resource.group, resource.plural, &key.name, vec![error]));
        }
        self.modify(resource, subresource, key, writer, |_| Ok(value.clone()))
    }

    /// Patches an object, or through a subresource its part.
    ///
    /// # Errors
    /// If it does not exist, or the result is not valid.
    pub(crate) fn patch(
        &self,
        resource: &'static Resource,
        subresource: &str,
        key: &Key,
        patch: &Patch,
        writer: &Writer<'_>,
    ) -> Result<Arc<Object>, StatusError> {
        self.modify(resource, subresource, key, writer, |current| {
            let mut patched = patch.apply(resource, external_form(resource, current))?;
            // What a component patches is well-formed, and the null fields of a patch are gone when it is merged.
            if writer.origin != Origin::Component {
                let is_asked = !matches!(patch, Patch::Strategic(_));
                let read = if is_asked { check_kind(resource, &patched) } else { Ok(()) };
                let read = read.and_then(|()| try_decode(resource, &patched, writer));
                patched = read.map_err(|problem| patch.leaves_unreadable(&patched, &problem))?;
            }
            events::to_stored(resource, &mut patched);
            Ok(patched)
        })
    }

    /// Changes an object as `change` says, again if somebody else has written in between. What changes nothing is not
    /// written.
    pub(super) fn modify(
        &self,
        resource: &'static Resource,
        subresource: &str,
        key: &Key,
        writer: &Writer<'_>,
        change: impl Fn(&Value) -> Result<Value, StatusError>,
    ) -> Result<Arc<Object>, StatusError> {
        loop {
            let current = self.get(resource, key)?;
            let mut new = change(current.value())?;
            drop_empty(&mut new);
            check_identity(resource, &current, &new)?;
            check_finalizers(resource, current.value(), &new)?;
            check_deletion(resource, current.value(), &new)?;
            keep_fixed(current.value(), &mut new);
            self.prepare_for_update(resource, subresource, current.value(), &mut new, writer)?;
            if has_generation(resource) && ["", "scale"].contains(&subresource) && !same_spec(resource, current.value(), &new) {
                raise_generation(&mut new);
            }
            if is_finished(current.value(), &new) {
                match self.remove(resource, key, &current, new, writer) {
                    Err(Mismatch::Revision(_)) => continue,
                    Err(_) => return Err(StatusError::not_found(resource, &key.name)),
                    Ok(object) => return Ok(object),
                }
            }
            let manages = writer.origin != Origin::Component && !same_managers(current.value(), &new);
            if same(current.value(), &new) && !manages {
                return Ok(current);
            }
            if writer.dry_run {
                return Ok(Arc::new(Object::unstored(new, current.revision())));
            }
            match self.store().update(resource, key, current.revision(), new) {
                Err(Mismatch::Revision(_)) => {}
                Err(_) => return Err(StatusError::not_found(resource, &key.name)),
                Ok(object) => {
                    self.expire_events(resource, Some(&object));
                    return Ok(object);
                }
            }
        }
    }
}

fn external_form(resource: &'static Resource, stored: &Value) -> Value {
    if resource == resource.stored() { stored.clone() } else { events::external(resource, stored) }
}

/// A patch cannot make an object one of another kind.
fn check_kind(resource: &'static Resource, patched: &Value) -> Result<(), Undecodable> {
    let (kind, version) = (text(patched, "/kind"), text(patched, "/apiVersion"));
    if (kind, version) == (resource.kind, resource.api_version().as_str()) {
        return Ok(());
    }
    let problem = format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"");
    Err(Undecodable::Type(WrongType::Text(problem)))
}

fn keep_fixed(old: &Value, new: &mut Value) {
    let fields = metadata(new);
    for field in FIXED_METADATA {
        keep(fields, &old["metadata"], field);
    }
    if old["metadata"].get("namespace").is_some() {
        keep(fields, &old["metadata"], "namespace");
    }
    fields.remove("resourceVersion");
}

/// Whether the generation stays: only the spec counts, and a Deployment's annotations, which its controller copies.
fn same_spec(resource: &Resource, old: &Value, new: &Value) -> bool {
    let annotations = |object: &Value| object["metadata"].get("annotations").cloned();
    old.get("spec") == new.get("spec") && (resource.plural != "deployments" || annotations(old) == annotations(new))
}

/// Removes the lists and maps of the metadata that are no fields when nothing is in them.
fn drop_empty(object: &mut Value) {
    metadata(object).retain(|field, value| match field.as_str() {
        "ownerReferences" | "finalizers" => !value.as_array().is_some_and(Vec::is_empty),
        "labels" | "annotations" => !value.as_object().is_some_and(serde_json::Map::is_empty),
        _ => true,
    });
}

/// Whether this change was the last thing that deletion waited for.
fn is_finished(old: &Value, new: &Value) -> bool {
    let waited = !finalizers(old).is_empty() || !strings(old, "/spec/finalizers").is_empty();
    waited
        && is_deleting(new)
        && finalizers(new).is_empty()
        && strings(new, "/spec/finalizers").is_empty()
        && number(new, "/metadata/deletionGracePeriodSeconds").unwrap_or(0) == 0
}

/// What is being deleted takes no new finalizers (apimachinery/pkg/api/validation/objectmeta.go).
fn check_finalizers(resource: &Resource, old: &Value, new: &Value) -> Result<(), StatusError> {
    if !is_deleting(old) {
        return Ok(());
    }
    let before = finalizers(old);
    let added: Vec<String> = finalizers(new).into_iter().filter(|finalizer| !before.contains(finalizer)).collect();
    if added.is_empty() {
        return Ok(());
    }
    let listed = added.iter().map(|finalizer| format!("{finalizer:?}")).collect::<Vec<_>>().join(", ");
    let detail =
        format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}");
    let error = FieldError::forbidden("metadata.finalizers", &detail);
    Err(StatusError::invalid(resource.group, resource.kind, text(old, "/metadata/name"), vec![error]))
}

/// Deletion is asked for by deleting (apimachinery/pkg/api/validation/objectmeta.go:ValidateObjectMetaAccessorUpdate).
fn check_deletion(resource: &Resource, old: &Value, new: &Value) -> Result<(), StatusError> {
    let is_changed = |field: &&&str| {
        let given = &new["metadata"][**field];
        !given.is_null() && *given != old["metadata"][**field]
    };
    let changed: Vec<&&str> = ["deletionTimestamp", "deletionGracePeriodSeconds"].iter().filter(is_changed).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let errors = changed
        .into_iter()
        .map(|field| FieldError::invalid(format!("metadata.{field}"), &new["metadata"][*field], "field is immutable"));
    Err(StatusError::invalid(resource.group, resource.kind, text(old, "/metadata/name"), errors.collect()))
}

/// The object must be the one of the request, at the version that it names, if it names one.
fn check_identity(resource: &'static Resource, current: &Object, new: &Value) -> Result<(), StatusError> {
    let name = current.name();
    let new_name = text(new, "/metadata/name");
    if new_name != name {
        let problem = if new_name.is_empty() {
            format!("the name of the object ({name} based on URL) was undeterminable: name must be provided")
        } else {
            format!("the name of the object ({new_name}) does not match the name on the URL ({name})")
        };
        return Err(StatusError::bad_request(problem));
    }
    if resource.namespaced && !["", current.namespace()].contains(&text(new, "/metadata/namespace")) {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(StatusError::bad_request(message));
    }
    let version = text(new, "/metadata/resourceVersion");
    // Zero is any version, as none is.
    if !["", "0"].contains(&version) && version != current.revision().to_string() {
        return Err(StatusError::modified(resource, name));
    }
    let uid = text(new, "/metadata/uid");
    if !uid.is_empty() && uid != current.uid() {
        let problem = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", current.uid());
        return Err(StatusError::conflict(resource, name, &problem));
    }
    Ok(())
}
