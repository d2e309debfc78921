//! Deleting objects (apiserver/pkg/registry/rest/delete.go, generic/registry/store.go:Delete).

use std::{sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::{
    ApiServer, Writer,
    metadata::{finalizers, is_deleting, metadata, number, raise_generation, set_finalizers, strings, text},
};
use crate::{
    clock::floor_to_seconds,
    object::{Key, Object},
    resource::{NAMESPACES, Resource},
    status::StatusError,
    store::Mismatch,
};

/// The namespaces that cannot be deleted (plugin/pkg/admission/namespace/lifecycle).
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// How an object is to be deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// The grace that a Pod gets, in seconds; its own if not given.
    pub grace_period_seconds: Option<i64>,
    /// What becomes of what the object owns.
    pub propagation: Option<Propagation>,
    /// Only if the object has this UID.
    pub uid: Option<String>,
    /// Only if the object is at this version.
    pub resource_version: Option<String>,
}

/// What becomes of the objects that a deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay, without owner.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
}

impl DeleteOptions {
    /// Deletion at once, without grace.
    pub fn now() -> Self {
        Self { grace_period_seconds: Some(0), ..Self::default() }
    }
}

impl ApiServer {
    /// Deletes an object, or begins to. Gives the object: its last state if it is gone (then `true`), or as it is now
    /// that deletion was requested.
    ///
    /// # Errors
    /// If it does not exist, or a precondition does not hold.
    pub(crate) fn delete(
        &self,
        resource: &'static Resource,
        key: &Key,
        options: &DeleteOptions,
        writer: &Writer<'_>,
    ) -> Result<(Arc<Object>, bool), StatusError> {
        loop {
            let current = self.get(resource, key)?;
            check_preconditions(resource, &current, options)?;
            if resource == &NAMESPACES && IMMORTAL.contains(&current.name()) {
                return Err(StatusError::forbidden(resource, current.name(), "this namespace may not be deleted"));
            }
            match self.try_delete(resource, key, &current, options, writer) {
                Err(Mismatch::Missing) => return Err(StatusError::not_found(resource, &key.name)),
                Err(_) => {}
                Ok(deleted) => return Ok(deleted),
            }
        }
    }

    fn try_delete(
        &self,
        resource: &'static Resource,
        key: &Key,
        current: &Arc<Object>,
        options: &DeleteOptions,
        writer: &Writer<'_>,
    ) -> Result<(Arc<Object>, bool), Mismatch> {
        let mut value = current.value().clone();
        set_finalizers(&mut value, wanted_finalizers(current.value(), options));
        if resource.plural == "pods" {
            if !self.mark_pod(&mut value, options) {
                return Ok((Arc::clone(current), false));
            }
            let marked = self.write(resource, key, current, value, writer)?;
            if writer.dry_run {
                return Ok((marked, false));
            }
            let waits =
                !finalizers(marked.value()).is_empty() || number(marked.value(), "/metadata/deletionGracePeriodSeconds") != Some(0);
            if waits {
                return Ok((marked, false));
            }
            let gone = self.remove(resource, key, &marked, marked.value().clone(), writer)?;
            return Ok((gone, true));
        }
        let waits = !finalizers(&value).is_empty() || !strings(&value, "/spec/finalizers").is_empty();
        if !waits {
            return Ok((self.remove(resource, key, current, value, writer)?, true));
        }
        if !is_deleting(&value) {
            self.mark(&mut value, 0);
            if resource.plural == "namespaces" {
                value["status"]["phase"] = json!("Terminating");
            }
        }
        Ok((self.write(resource, key, current, value, writer)?, false))
    }

    /// Begins the deletion of a Pod or shortens its grace; false if there is nothing to change.
    fn mark_pod(&self, pod: &mut Value, options: &DeleteOptions) -> bool {
        let grace = pod_grace(pod, options);
        if is_deleting(pod) {
            let old = number(pod, "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
            if old != 0 && (options.grace_period_seconds.is_none() || grace >= old) {
                return false;
            }
            if old != 0 {
                self.set_deletion(pod, grace);
            }
            return true;
        }
        self.mark(pod, grace);
        true
    }

    fn mark(&self, object: &mut Value, grace: i64) {
        self.set_deletion(object, grace);
        raise_generation(object);
    }

    fn set_deletion(&self, object: &mut Value, grace: i64) {
        let seconds = u64::try_from(grace).unwrap_or(0);
        let clock = self.clock();
        let time = Time(floor_to_seconds(clock.at(clock.elapsed().saturating_add(Duration::from_secs(seconds)))));
        let metadata = metadata(object);
        metadata.insert("deletionTimestamp".to_owned(), json!(time));
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    }

    fn write(
        &self,
        resource: &'static Resource,
        key: &Key,
        current: &Arc<Object>,
        value: Value,
        writer: &Writer<'_>,
    ) -> Result<Arc<Object>, Mismatch> {
        if writer.dry_run {
            return Ok(Arc::new(Object::unstored(value, current.revision())));
        }
        if super::metadata::same(current.value(), &value) {
            return Ok(Arc::clone(current));
        }
        self.store().update(resource, key, current.revision(), value)
    }

    /// Removes an object for good.
    pub(super) fn remove(
        &self,
        resource: &'static Resource,
        key: &Key,
        current: &Arc<Object>,
        last: Value,
        writer: &Writer<'_>,
    ) -> Result<Arc<Object>, Mismatch> {
        if writer.dry_run {
            return Ok(Arc::new(Object::unstored(last, current.revision())));
        }
        self.store().delete(resource, key, current.revision(), last)
    }
}

/// The grace of a Pod (pkg/registry/core/pod/strategy.go:CheckGracefulDelete).
fn pod_grace(pod: &Value, options: &DeleteOptions) -> i64 {
    let own = number(pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    let grace = options.grace_period_seconds.unwrap_or(own);
    let unscheduled = text(pod, "/spec/nodeName").is_empty();
    let finished = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    match grace {
        _ if unscheduled || finished => 0,
        negative if negative < 0 => 1,
        grace => grace,
    }
}

fn check_preconditions(resource: &'static Resource, current: &Object, options: &DeleteOptions) -> Result<(), StatusError> {
    let conflict = |what: &str, wanted: &str, found: &str| {
        let problem = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
        Err(StatusError::conflict(resource, current.name(), &problem))
    };
    match (&options.uid, &options.resource_version) {
        (Some(uid), _) if uid != current.uid() => conflict("UID", uid, current.uid()),
        (_, Some(version)) if *version != current.revision().to_string() => {
            conflict("ResourceVersion", version, &current.revision().to_string())
        }
        _ => Ok(()),
    }
}

/// The finalizers with those of the garbage collector that the propagation asks for.
fn wanted_finalizers(object: &Value, options: &DeleteOptions) -> Vec<String> {
    let mut wanted = finalizers(object);
    let Some(propagation) = options.propagation else { return wanted };
    let own = match propagation {
        Propagation::Orphan => Some("orphan"),
        Propagation::Foreground => Some("foregroundDeletion"),
        Propagation::Background => None,
    };
    wanted.retain(|finalizer| !matches!(finalizer.as_str(), "orphan" | "foregroundDeletion") || Some(finalizer.as_str()) == own);
    if let Some(own) = own
        && !wanted.iter().any(|finalizer| finalizer == own)
    {
        wanted.push(own.to_owned());
    }
    wanted
}
