//! Waits for a state of some objects by watching them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures::TryStreamExt;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// The wait after an answer that may be better next time.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until `decide` answers about the objects, by name; only about the one that is called `only`, if given. It is asked about the first list and after every change.
/// An answer of the API server that cannot become better is an error; anything else (a lost connection, 429, 5xx, a watch that
/// has become too old) is tried again. There is no limit of time: that is the caller's.
pub(crate) async fn until<K, T>(
    api: Api<K>,
    only: Option<&str>,
    mut decide: impl FnMut(&BTreeMap<String, K>) -> Option<T>,
) -> Result<T, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let fields = only.map(|name| format!("metadata.name={name}"));
    loop {
        match list_and_watch(&api, fields.clone(), &mut decide).await {
            Ok(Some(answer)) => return Ok(answer),
            Err(error) if is_final(&error) => return Err(error),
            Ok(None) | Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// None if the watch has ended.
async fn list_and_watch<K, T>(
    api: &Api<K>,
    fields: Option<String>,
    decide: &mut impl FnMut(&BTreeMap<String, K>) -> Option<T>,
) -> Result<Option<T>, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let list = api.list(&ListParams { field_selector: fields.clone(), ..ListParams::default() }).await?;
    let version = list.metadata.resource_version.clone().unwrap_or_default();
    let mut objects: BTreeMap<String, K> = list.into_iter().map(|object| (object.name_any(), object)).collect();
    if let Some(answer) = decide(&objects) {
        return Ok(Some(answer));
    }
    let params = WatchParams { field_selector: fields, ..WatchParams::default() };
    let mut events = std::pin::pin!(api.watch(&params, &version).await?);
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                objects.insert(object.name_any(), object);
            }
            WatchEvent::Deleted(object) => {
                objects.remove(&object.name_any());
            }
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(_) => return Ok(None),
        }
        if let Some(answer) = decide(&objects) {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

/// Sends a request again, until the limit, as long as the answer may be better next time.
pub(crate) async fn persist<T>(
    limit: Duration,
    mut request: impl AsyncFnMut() -> Result<T, kube::Error>,
) -> Result<T, kube::Error> {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        match request().await {
            Err(error) if !is_final(&error) && tokio::time::Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// Whether the API server has understood the request and refuses it.
pub(crate) fn is_final(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => (400..500).contains(&status.code) && ![408, 410, 429].contains(&status.code),
        kube::Error::Auth(_) => true,
        _ => false,
    }
}

/// A short text for people: kube's errors repeat their source.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => format!("{} ({})", status.message, status.code),
        kube::Error::Api(status) => format!("{} ({})", status.reason, status.code),
        kube::Error::Service(source) => deepest(source.as_ref()),
        other => other.to_string(),
    }
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    if deepest.to_string() == error.to_string() { error.to_string() } else { format!("{error}: {deepest}") }
}
