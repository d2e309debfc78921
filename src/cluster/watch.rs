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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use kube::client::Body;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::errors::words;

    /// What an API server does with a request.
    enum Answer {
        List(&'static [&'static str]),
        /// Events, and then the end of the stream.
        Watch(Vec<Value>),
        Status(u16),
        DroppedConnection,
    }

    fn object(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "resourceVersion": "1"}})
    }

    fn event(kind: &str, name: &str) -> Value {
        json!({"type": kind, "object": object(name)})
    }

    fn status(code: u16) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "Because", "message": format!("answer {code}")})
    }

    fn respond(answer: Answer) -> Result<Response<Body>, std::io::Error> {
        let (code, body) = match answer {
            Answer::List(names) => {
                let items: Vec<Value> = names.iter().map(|name| object(name)).collect();
                let list =
                    json!({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": items});
                (200, list.to_string())
            }
            Answer::Watch(events) => (200, events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")),
            Answer::Status(code) => (code, status(code).to_string()),
            Answer::DroppedConnection => return Err(std::io::ErrorKind::ConnectionReset.into()),
        };
        Ok(Response::builder().status(code).body(Body::from(body.into_bytes())).expect("the parts are valid"))
    }

    /// An API server that gives these answers, one after the other; it is asked whether each was asked for what it answers.
    fn server(answers: Vec<Answer>) -> Client {
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = answers.lock().expect("no test panics with it").pop_front().expect("no further request is made");
            let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            match answer {
                Answer::List(_) => assert!(!watch, "a list is asked for"),
                Answer::Watch(_) => assert!(watch, "a watch is asked for"),
                Answer::Status(_) | Answer::DroppedConnection => {}
            }
            std::future::ready(respond(answer))
        });
        Client::new(service, "default")
    }

    async fn until_there(name: &str, answers: Vec<Answer>) -> Result<Vec<String>, kube::Error> {
        let api = Api::<ConfigMap>::namespaced(server(answers), "default");
        until(api, None, |objects| objects.contains_key(name).then(|| objects.keys().cloned().collect())).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_needs_no_watch() {
        assert_eq!(until_there("a", vec![Answer::List(&["a"])]).await.unwrap(), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_applied_in_order() {
        let changes = vec![event("DELETED", "a"), event("ADDED", "b"), event("MODIFIED", "b"), event("ADDED", "c")];
        assert_eq!(until_there("c", vec![Answer::List(&["a"]), Answer::Watch(changes)]).await.unwrap(), ["b", "c"]);
    }

    #[rstest]
    #[case::throttled(vec![Answer::Status(429)])]
    #[case::internal_error(vec![Answer::Status(500), Answer::Status(503)])]
    #[case::dropped(vec![Answer::DroppedConnection, Answer::DroppedConnection])]
    #[case::dropped_watch(vec![Answer::List(&[]), Answer::DroppedConnection])]
    #[case::ended_watch(vec![Answer::List(&["x"]), Answer::Watch(vec![])])]
    #[case::too_old(vec![Answer::List(&["x"]), Answer::Watch(vec![json!({"type": "ERROR", "object": status(410)})])])]
    #[tokio::test(start_paused = true)]
    async fn a_bad_moment_of_the_server_is_waited_out(#[case] mut answers: Vec<Answer>) {
        answers.push(Answer::List(&["a"]));
        assert_eq!(until_there("a", answers).await.unwrap(), ["a"], "and what was seen before is forgotten");
    }

    #[rstest]
    #[case(401)]
    #[case(403)]
    #[case(404)]
    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_an_answer(#[case] code: u16) {
        let error = until_there("a", vec![Answer::Status(code)]).await.unwrap_err();
        assert_eq!(words(&error), format!("answer {code} ({code})"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_sent_again_until_the_limit() {
        let get = async |answers, limit| {
            let api = Api::<ConfigMap>::namespaced(server(answers), "default");
            persist(limit, async || api.list(&ListParams::default()).await).await
        };
        let again = get(vec![Answer::Status(429), Answer::DroppedConnection, Answer::List(&["a"])], Duration::from_secs(5)).await;
        assert_eq!(again.unwrap().items.len(), 1);
        let refused = get(vec![Answer::Status(403)], Duration::from_secs(5)).await;
        assert_eq!(words(&refused.unwrap_err()), "answer 403 (403)");
        // At 0, 200 and 400 ms.
        let given_up = get(vec![Answer::Status(500), Answer::Status(500), Answer::Status(500)], Duration::from_millis(399)).await;
        assert_eq!(words(&given_up.unwrap_err()), "answer 500 (500)");
    }
}
