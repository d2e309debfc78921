//! Watches one kind in one namespace, and resumes where it was interrupted.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncBufReadExt, Stream as Lines, StreamExt};
use http::header;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::sink::Sink;
use super::table::{ACCEPT, Headers, Table, TableRow};
use crate::errors::chain;
use crate::resources::Resource;
use crate::timeline::{Change, ObjectObservation, Observation, Stream};

/// The waits between two attempts to resume grow up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How long a watch that has not begun yet is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a resumed watch is listened to before it counts as up to date: the API server sends what it remembers at once.
const REST: Duration = Duration::from_millis(200);

/// An API server sends a bookmark a minute at the latest (`apiserver/pkg/storage/cacher/cacher.go:bookmarkFrequency`): a watch that is
/// silent for longer has lost its connection, though nobody said so.
const LONGEST_SILENCE: Duration = Duration::from_secs(150);

const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

/// Streams the initial state, a bookmark, then every change (KEP-3157, `apimachinery/pkg/apis/meta/v1/types.go:SendInitialEvents`).
const INITIAL_EVENTS: &str = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

type Responses = Pin<Box<dyn Lines<Item = io::Result<String>> + Send>>;

/// A watch with what is known of its objects.
pub(super) struct Watch {
    client: Client,
    resource: Resource,
    namespace: String,
    stream: Stream,
    sink: Sink,
    headers: Headers,
    /// What was observed last of each object that exists, by name.
    known: BTreeMap<String, Arc<ObjectObservation>>,
    /// Where to resume.
    resource_version: String,
}

/// The resourceVersions of all objects, and of their list.
struct Listed {
    objects: BTreeMap<String, u64>,
    version: u64,
}

/// Why a watch ended.
#[derive(Debug)]
enum Ended {
    /// It can be resumed.
    Broken(String),
    /// The API server has forgotten the resourceVersion (410 Gone).
    Expired,
    /// The API server does not serve it in this form.
    Refused(String),
}

impl From<kube::Error> for Ended {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 410 => Self::Expired,
            kube::Error::Api(status) if matches!(status.code, 400 | 403 | 404 | 422) => Self::Refused(chain(&error)),
            _ => Self::Broken(chain(&error)),
        }
    }
}

impl Ended {
    fn reason(self) -> String {
        match self {
            Self::Broken(reason) | Self::Refused(reason) => reason,
            Self::Expired => "the API server no longer knows the resourceVersion".to_owned(),
        }
    }
}

/// One line of a watch response (`apimachinery/pkg/apis/meta/v1/watch.go`).
#[derive(Deserialize)]
struct WatchEvent {
    #[serde(rename = "type")]
    event_type: String,
    object: Box<RawValue>,
}

impl Watch {
    pub(super) fn new(client: Client, resource: Resource, namespace: &str, sink: Sink) -> Self {
        let stream = Stream::Watch { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
        let namespace = namespace.to_owned();
        let (headers, known, resource_version) = <(Headers, BTreeMap<_, _>, String)>::default();
        Self { client, resource, namespace, stream, sink, headers, known, resource_version }
    }

    /// Watches until its task is aborted. `ready` is told when the initial state has been put out, or why it cannot be.
    pub(super) async fn run(mut self, ready: oneshot::Sender<Result<(), String>>) {
        let begun = self.begin_patiently().await;
        let (mut responses, answer) = match begun {
            Ok(responses) => (responses, Ok(())),
            Err(reason) => {
                let _ = ready.send(Err(reason));
                return;
            }
        };
        if ready.send(answer).is_err() {
            return;
        }
        loop {
            let ended = self.follow(&mut responses).await;
            let since = self.sink.clock.elapsed();
            self.sink.interrupted(&self.stream, ended.reason());
            responses = self.come_back(since).await;
        }
    }

    async fn begin_patiently(&mut self) -> Result<Responses, String> {
        let started = tokio::time::Instant::now();
        let mut wait = Duration::from_millis(50);
        loop {
            match self.initial_state(None).await {
                Ok(responses) => return Ok(responses),
                Err(Ended::Refused(reason)) => return Err(reason),
                Err(ended) if started.elapsed() + wait > PATIENCE => {
                    return Err(format!("{} (tried for {} s)", ended.reason(), PATIENCE.as_secs()));
                }
                Err(_) => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Puts out what comes, until nothing comes any more.
    async fn follow(&mut self, responses: &mut Responses) -> Ended {
        loop {
            let next = match tokio::time::timeout(LONGEST_SILENCE, self.next_event(responses)).await {
                Ok(next) => next,
                Err(_) => Err(Ended::Broken(format!("the API server has been silent for {} s", LONGEST_SILENCE.as_secs()))),
            };
            if let Err(ended) = next.and_then(|event| self.take(&event, None)) {
                return ended;
            }
        }
    }

    /// Tries until the watch goes on.
    async fn come_back(&mut self, since: Duration) -> Responses {
        let mut wait = Duration::from_millis(20);
        let mut gap = false;
        loop {
            let back = if gap { self.initial_state(Some(since)).await } else { self.catch_up(since).await };
            match back {
                Ok(responses) => {
                    self.sink.resumed(&self.stream, gap);
                    return responses;
                }
                // What is forgotten once stays so, however often the state is then read in vain.
                Err(Ended::Expired) if !gap => {
                    gap = true;
                    continue;
                }
                Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Watches on from where it broke off, and puts out everything that has happened in between.
    async fn catch_up(&mut self, since: Duration) -> Result<Responses, Ended> {
        let mut responses = self.open(&format!("&resourceVersion={}", self.resource_version)).await?;
        let listed = self.list_versions().await?;
        while !self.has_caught_up(&listed) {
            let event = self.next_event(&mut responses).await?;
            self.take(&event, Some(since))?;
        }
        // What came and went meanwhile is in no list, and that the resourceVersion is too old is told in an event.
        let rest = async {
            loop {
                let event = self.next_event(&mut responses).await?;
                self.take(&event, Some(since))?;
            }
        };
        let ended: Result<Result<Infallible, Ended>, _> = tokio::time::timeout(REST, rest).await;
        match ended {
            Ok(Err(ended)) => Err(ended),
            Err(_) => Ok(responses),
        }
    }

    /// Whether everything of the list is known: each object, and that each other one is gone, unless it was created after the list.
    fn has_caught_up(&self, listed: &Listed) -> bool {
        let known = |name: &String| self.known.get(name).map(|known| version_of(&known.object));
        listed.objects.iter().all(|(name, version)| known(name).is_some_and(|known| known >= *version))
            && self.known.keys().all(|name| listed.objects.contains_key(name) || known(name) > Some(listed.version))
    }

    /// The resourceVersions of all objects now.
    async fn list_versions(&self) -> Result<Listed, Ended> {
        let request = http::Request::get(self.resource.path(&self.namespace)).header(header::ACCEPT, METADATA_LIST);
        let request = request.body(Vec::new()).map_err(|e| Ended::Refused(e.to_string()))?;
        let list: Value = self.client.request(request).await?;
        let items = list.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let objects = items.iter().map(|item| (name_of(item).to_owned(), version_of(item))).collect();
        Ok(Listed { objects, version: version_of(&list) })
    }

    /// Puts out the state of all objects as it is now. After a gap, only of those that have changed, and those that are gone.
    async fn initial_state(&mut self, gap_since: Option<Duration>) -> Result<Responses, Ended> {
        let mut responses = self.open(INITIAL_EVENTS).await?;
        let mut listed = Vec::new();
        loop {
            let event = self.next_event(&mut responses).await?;
            if event.event_type == "BOOKMARK" {
                self.take(&event, gap_since)?;
                break;
            }
            let table = parse_table(&event)?;
            self.headers.learn(&table);
            for row in table.rows {
                listed.push(name_of(&row.object).to_owned());
                let is_news =
                    self.known.get(name_of(&row.object)).is_none_or(|known| version_of(&known.object) != version_of(&row.object));
                if is_news {
                    self.put(Change::Initial, row, gap_since);
                }
            }
        }
        let gone: Vec<_> = self.known.extract_if(.., |name, _| !listed.contains(name)).map(|(_, object)| object).collect();
        for object in gone {
            self.sink
                .put(gap_since, Observation::Object(Arc::new(ObjectObservation { change: Change::Deleted, ..(*object).clone() })));
        }
        Ok(responses)
    }

    async fn open(&self, query: &str) -> Result<Responses, Ended> {
        let path = self.resource.path(&self.namespace);
        let uri = format!("{path}?watch=1&allowWatchBookmarks=true&includeObject=Object{query}");
        let request = http::Request::get(uri).header(header::ACCEPT, ACCEPT);
        let request = request.body(Vec::new()).map_err(|e| Ended::Refused(e.to_string()))?;
        let body = self.client.request_stream(request).await?;
        Ok(Box::pin(Box::pin(body).lines()))
    }

    async fn next_event(&self, responses: &mut Responses) -> Result<WatchEvent, Ended> {
        let line = match responses.next().await {
            Some(Ok(line)) => line,
            Some(Err(error)) => return Err(Ended::Broken(chain(&error))),
            None => return Err(Ended::Broken("the API server ended the watch".to_owned())),
        };
        serde_json::from_str(&line).map_err(|error| Ended::Broken(format!("the API server sent what is no watch event: {error}")))
    }

    fn take(&mut self, event: &WatchEvent, after: Option<Duration>) -> Result<(), Ended> {
        let change = match event.event_type.as_str() {
            "ADDED" => Change::Added,
            "MODIFIED" => Change::Modified,
            "DELETED" => Change::Deleted,
            "BOOKMARK" => {
                let table = parse_table(event)?;
                // The first Table of a watch has the headers, whatever it is about.
                self.headers.learn(&table);
                if let Some(row) = table.rows.first() {
                    resource_version(&row.object).clone_into(&mut self.resource_version);
                }
                return Ok(());
            }
            _ => return Err(status_error(event)),
        };
        let table = parse_table(event)?;
        self.headers.learn(&table);
        for row in table.rows {
            self.put(change, row, after);
        }
        Ok(())
    }

    fn put(&mut self, change: Change, row: TableRow, after: Option<Duration>) {
        let columns = self.headers.cells(&row);
        let mut object = row.object;
        if change != Change::Initial {
            // The initial state comes in no order; the bookmark after it says where to resume.
            resource_version(&object).clone_into(&mut self.resource_version);
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        if self.resource.kind == "Secret" {
            blank_secret(&mut object);
        }
        let observed = Arc::new(ObjectObservation {
            change,
            api_version: self.resource.api_version.clone(),
            kind: self.resource.kind.clone(),
            name: name_of(&object).to_owned(),
            uid: text(&object, "/metadata/uid").to_owned(),
            columns,
            object,
        });
        if change == Change::Deleted {
            self.known.remove(&observed.name);
        } else {
            self.known.insert(observed.name.clone(), Arc::clone(&observed));
        }
        self.sink.put(after, Observation::Object(observed));
    }
}

fn parse_table(event: &WatchEvent) -> Result<Table, Ended> {
    if event.event_type == "ERROR" {
        return Err(status_error(event));
    }
    serde_json::from_str(event.object.get()).map_err(|error| Ended::Refused(format!("the API server sent no Table: {error}")))
}

fn status_error(event: &WatchEvent) -> Ended {
    let status: Value = serde_json::from_str(event.object.get()).unwrap_or_default();
    match status.get("code").and_then(Value::as_u64) {
        Some(410) => Ended::Expired,
        _ => Ended::Broken(text(&status, "/message").to_owned()),
    }
}

/// A Secret's values are nobody's business; its keys may be asked about.
fn blank_secret(object: &mut Value) {
    for field in ["data", "stringData"] {
        if let Some(data) = object.get_mut(field).and_then(Value::as_object_mut) {
            data.values_mut().for_each(|value| *value = Value::from("…"));
        }
    }
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn name_of(object: &Value) -> &str {
    text(object, "/metadata/name")
}

fn resource_version(object: &Value) -> &str {
    text(object, "/metadata/resourceVersion")
}

/// resourceVersions of one resource are numbers that grow (KEP-5504).
fn version_of(object: &Value) -> u64 {
    resource_version(object).parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::stream;
    use kube::client::Body;
    use tokio::sync::mpsc;

    use super::*;
    use crate::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_silent_for_too_long_is_lost() {
        let unreachable = || Err::<http::Response<Body>, io::Error>(io::ErrorKind::ConnectionRefused.into());
        let service = tower::service_fn(move |_: http::Request<Body>| std::future::ready(unreachable()));
        let (sender, _entries) = mpsc::unbounded_channel();
        let sink = Sink { clock: Clock::from_wall_clock(), entries: sender };
        let clock = sink.clock;
        let resource = Resource { api_version: "v1".to_owned(), kind: "Pod".to_owned(), plural: "pods".to_owned() };
        let mut watch = Watch::new(Client::new(service, "default"), resource, "default", sink);
        let bookmark = r#"{"type":"BOOKMARK","object":{"columnDefinitions":[],"rows":[]}}"#;
        let bookmarks = stream::iter([60, 60]).then(async |seconds| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(bookmark.to_owned())
        });
        let mut responses: Responses = Box::pin(bookmarks.chain(stream::pending()));
        let ended = watch.follow(&mut responses).await;
        assert_eq!(ended.reason(), "the API server has been silent for 150 s");
        assert_eq!(clock.elapsed().as_secs(), 60 + 60 + 150);
    }
}
