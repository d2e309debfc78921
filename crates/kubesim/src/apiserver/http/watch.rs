//! Watches: a stream of changes, as objects or as tables, with bookmarks.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::{
    super::{ApiServer, events::external, table::partial},
    Incoming, ResponseBody,
    body::{status_value, stream_response},
    media::Form,
    object::Place,
};
use crate::{
    object::Object,
    resource::Resource,
    selector::Selection,
    status::StatusError,
    store::{Change, ChangeType, TooOld, Watch},
};

/// How often a watch that wants bookmarks gets one (apiserver/pkg/storage/cacher/cacher.go:bookmarkFrequency).
const BOOKMARK_PERIOD: Duration = Duration::from_mins(1);

/// How long a watch lasts at least and at most unless its client says so (handlers/get.go, `MinRequestTimeout`).
const LIFETIME: std::ops::Range<Duration> = Duration::from_mins(30)..Duration::from_hours(1);

/// A watch on its way.
struct Streaming {
    api: ApiServer,
    resource: &'static Resource,
    form: Form,
    include: String,
    /// Lines to send before anything else.
    pending: VecDeque<Bytes>,
    /// What to watch; nothing once the watch has failed.
    watch: Option<Watch>,
    bookmarks: bool,
    next_bookmark: Duration,
    deadline: Duration,
    /// Whether the columns of the table have been sent.
    has_columns: bool,
}

impl ApiServer {
    /// Watches one object, at its own path.
    pub(super) fn watch_one(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        let namespace = at.resource.namespaced.then(|| at.namespace.clone());
        let mut selection = Selection { namespace, ..Selection::all() };
        selection = selection.field("metadata.name", at.name.as_str());
        self.watch(at.resource, selection, request)
    }

    pub(super) fn watch(
        &self,
        resource: &'static Resource,
        selection: Selection,
        request: &Incoming,
    ) -> Result<Response<ResponseBody>, StatusError> {
        let query = &request.query;
        let clock = self.clock();
        let lifetime = match query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok()) {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
            _ => self.random().between(LIFETIME),
        };
        let mut streaming = Streaming {
            api: self.clone(),
            resource,
            form: request.accept.form,
            include: query.text("includeObject").to_owned(),
            pending: VecDeque::new(),
            watch: None,
            bookmarks: query.flag("allowWatchBookmarks"),
            next_bookmark: clock.elapsed() + BOOKMARK_PERIOD,
            // Clients count real seconds.
            deadline: clock.elapsed().saturating_add(clock.while_outside(lifetime)),
            has_columns: false,
        };
        let streams_list = query.flag("sendInitialEvents");
        match query.revision()? {
            Some(revision) if revision > 0 && !streams_list => match self.store().watch(resource, selection, revision) {
                Ok(watch) => streaming.watch = Some(watch),
                Err(error) => streaming.fail(error),
            },
            _ => {
                let (objects, watch) = self.store().list_and_watch(resource, selection);
                for object in objects {
                    streaming.send(&Change::synthetic(ChangeType::Added, object));
                }
                if streams_list && streaming.bookmarks {
                    streaming.send_bookmark(watch.position(), true);
                }
                streaming.watch = Some(watch);
            }
        }
        let chunks = futures::stream::unfold(streaming, |mut streaming| async move {
            let line = streaming.next().await?;
            Some((line, streaming))
        });
        Ok(stream_response("application/json", chunks))
    }
}

impl Streaming {
    /// The next line, when it comes; nothing when the watch ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Some(line);
            }
            let watch = self.watch.as_mut()?;
            let clock = self.api.clock();
            let wake = if self.bookmarks { self.deadline.min(self.next_bookmark) } else { self.deadline };
            tokio::select! {
                biased;
                change = watch.next() => match change {
                    Ok(change) => self.send(&change),
                    Err(error) => self.fail(error),
                },
                () = clock.sleep_until(wake) => {
                    if clock.elapsed() >= self.deadline {
                        return None;
                    }
                    let position = watch.position();
                    self.next_bookmark = clock.elapsed() + BOOKMARK_PERIOD;
                    self.send_bookmark(position, false);
                }
            }
        }
    }

    fn send(&mut self, change: &Change) {
        let kind = match change.kind {
            ChangeType::Added => "ADDED",
            ChangeType::Modified => "MODIFIED",
            ChangeType::Deleted => "DELETED",
        };
        let line = match self.form {
            // The common case writes the stored object as it is.
            Form::Object if self.resource == self.resource.stored() => line(kind, change.object.value()),
            _ => {
                let shown = self.shown(&change.object);
                line(kind, &shown)
            }
        };
        self.pending.push_back(line);
    }

    fn shown(&mut self, object: &Arc<Object>) -> Value {
        let value = external(self.resource, object.value());
        match self.form {
            Form::Object => value,
            Form::Metadata => partial(&value),
            Form::Table => {
                let with_columns = !std::mem::replace(&mut self.has_columns, true);
                let mut table = self.api.table(self.resource, vec![value], &self.include, with_columns);
                table["metadata"] = json!({"resourceVersion": object.revision().to_string()});
                table
            }
        }
    }

    fn send_bookmark(&mut self, revision: u64, ends_initial_events: bool) {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if ends_initial_events {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let empty = empty_object(self.resource, &metadata);
        let shown = match self.form {
            Form::Object => empty,
            Form::Metadata => partial(&empty),
            Form::Table => {
                let with_columns = !std::mem::replace(&mut self.has_columns, true);
                let mut table = self.api.table(self.resource, vec![empty], &self.include, with_columns);
                table["metadata"] = json!({"resourceVersion": revision.to_string()});
                table
            }
        };
        self.pending.push_back(line("BOOKMARK", &shown));
    }

    /// Says that the history no longer reaches back far enough, and ends.
    fn fail(&mut self, error: TooOld) {
        self.watch = None;
        self.pending.push_back(line("ERROR", &status_value(&StatusError::expired(error.to_string()))));
    }
}

/// An object of the resource with nothing in it, which a bookmark carries; its required lists are there for clients
/// that read it as its type.
fn empty_object(resource: &Resource, metadata: &Value) -> Value {
    let mut object = json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata});
    match resource.plural {
        "pods" => {
            object["spec"] = json!({"containers": null});
            object["status"] = json!({});
        }
        _ if resource.subresource("status").is_some() => {
            object["spec"] = json!({});
            object["status"] = json!({});
        }
        _ => {}
    }
    object
}

fn line(kind: &str, object: &Value) -> Bytes {
    let mut line = Vec::with_capacity(1_024);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    // Writing JSON values to memory cannot fail.
    let _ = serde_json::to_writer(&mut line, object);
    line.extend_from_slice(b"}\n");
    Bytes::from(line)
}
