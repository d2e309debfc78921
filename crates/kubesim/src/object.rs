//! One version of an object, as stored: immutable and shared.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The namespace (empty for an object of the cluster) and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace, or empty.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// A key from its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// One version of an object. Versions never change, so that the store, its history, every watcher and every cache
/// share one copy; the typed form is parsed at most once, whoever asks for it.
#[derive(Debug)]
pub struct Object {
    value: Value,
    revision: u64,
    typed: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

impl Object {
    /// A version of an object with its `metadata.resourceVersion` set to `revision`.
    pub(crate) fn new(mut value: Value, revision: u64) -> Self {
        value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        Self { value, revision, typed: Mutex::default() }
    }

    /// What a dry run would have stored: a new object has no version yet, a changed one the one that it had.
    pub(crate) fn unstored(value: Value, revision: u64) -> Self {
        if revision == 0 { Self { value, revision, typed: Mutex::default() } } else { Self::new(value, revision) }
    }

    /// The whole object as JSON.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The revision that this version was written at: its resourceVersion.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The namespace and name.
    pub fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }

    /// The namespace; empty for an object of the cluster.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The UID.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// The string at a JSON pointer; empty if there is none.
    pub fn text(&self, pointer: &str) -> &str {
        at(&self.value, pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether deletion was requested.
    pub fn is_deleting(&self) -> bool {
        at(&self.value, "/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
    }

    /// The object as its type of `k8s_openapi`, shared with everyone else who asks.
    ///
    /// # Errors
    /// If the stored object is not a `K`; what passed the API server always is.
    pub fn typed<K: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<K>, serde_json::Error> {
        let mut shared = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(typed) = shared.clone().and_then(|typed| typed.downcast::<K>().ok()) {
            return Ok(typed);
        }
        let typed = Arc::new(K::deserialize(&self.value)?);
        // Another type may hold the place already (an Event has two); then this one is simply not shared.
        shared.get_or_insert_with(|| Arc::clone(&typed) as Arc<dyn Any + Send + Sync>);
        Ok(typed)
    }

    /// Lets go of the typed form, as hardly anybody asks for that of an old version.
    pub(crate) fn forget_typed(&self) {
        self.typed.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The value at a JSON pointer without escapes. Unlike [`Value::pointer`] it allocates nothing, which counts: names and
/// namespaces are read whenever an object changes.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(value, |value, field| match value {
        Value::Array(items) => items.get(field.parse::<usize>().ok()?),
        _ => value.get(field),
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_typed_form_is_shared() {
        let object = Object::new(json!({"metadata": {"name": "a", "namespace": "b"}}), 7);
        let first = object.typed::<ConfigMap>().unwrap();
        assert!(Arc::ptr_eq(&first, &object.typed::<ConfigMap>().unwrap()));
        assert_eq!(first.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(object.typed::<Secret>().unwrap().metadata.name.as_deref(), Some("a"));
        assert_eq!(object.key(), Key::new("b", "a"));
    }

    #[test]
    fn a_pointer_goes_through_maps_and_lists() {
        let value = json!({"a": [{"b": 1}]});
        assert_eq!((at(&value, "/a/0/b"), at(&value, "")), (Some(&json!(1)), Some(&value)));
        assert_eq!((at(&value, "/a/1"), at(&value, "/a/x"), at(&value, "/a/0/b/c")), (None, None, None));
    }
}
