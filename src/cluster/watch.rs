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

/// Why a state was not reached.
#[derive(Debug)]
pub(crate) enum Unreached {
    /// The API server refuses to tell.
    Refused(kube::Error),
    /// The limit has passed.
    TimedOut,
}

/// Waits until `decide` answers about the objects, by name; only about the one that is called `only`, if given. It is asked about the first list and after every change.
/// An answer of the API server that cannot become better is an error; anything else (a lost connection, 401 and 403, 429, 5xx, a
/// watch that has become too old) is tried again until the limit. A refusal that lasts until then is told.
pub(crate) async fn until<K, T>(
    api: Api<K>,
    only: Option<&str>,
    limit: Duration,
    mut decide: impl FnMut(&BTreeMap<String, K>) -> Option<T>,
) -> Result<T, Unreached>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let fields = only.map(|name| format!("metadata.name={name}"));
    let mut refusal = None;
    let decided = tokio::time::timeout(limit, async {
        loop {
            match list_and_watch(&api, fields.clone(), &mut decide).await {
                Ok(Some(answer)) => return Ok(answer),
                Err(error) if is_final(&error) => return Err(Unreached::Refused(error)),
                Err(error) if is_refusal(&error) => refusal = Some(error),
                Ok(None) | Err(_) => refusal = None,
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    let decided = decided.await;
    decided.unwrap_or_else(|_| Err(refusal.map_or(Unreached::TimedOut, Unreached::Refused)))
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

/// Whether the API server has understood the request and will never carry it out. A refusal is not final: see [`is_refusal`].
pub(crate) fn is_final(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => (400..500).contains(&status.code) && ![401, 403, 408, 410, 429].contains(&status.code),
        kube::Error::Auth(_) => true,
        _ => false,
    }
}

/// Whether the API server does not know the user, or the user has not the right. While it starts it says so of everyone, until it
/// has read the roles (its `informer-sync` check, which is a part of `/readyz`).
pub(crate) fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if [401, 403].contains(&status.code))
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

    /// Three attempts fit into it: at 0, 200 and 400 ms.
    const LIMIT: Duration = Duration::from_millis(599);

    async fn until_there(name: &str, answers: Vec<Answer>) -> Result<Vec<String>, String> {
        let api = Api::<ConfigMap>::namespaced(server(answers), "default");
        let reached =
            until(api, None, LIMIT, |objects| objects.contains_key(name).then(|| objects.keys().cloned().collect())).await;
        reached.map_err(|unreached| match unreached {
            Unreached::Refused(error) => words(&error),
            Unreached::TimedOut => "timed out".to_owned(),
        })
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
    #[case::starting(vec![Answer::Status(401), Answer::Status(403)])]
    #[case::dropped(vec![Answer::DroppedConnection, Answer::DroppedConnection])]
    #[case::dropped_watch(vec![Answer::List(&[]), Answer::DroppedConnection])]
    #[case::ended_watch(vec![Answer::List(&["x"]), Answer::Watch(vec![])])]
    #[case::too_old(vec![Answer::List(&["x"]), Answer::Watch(vec![json!({"type": "ERROR", "object": status(410)})])])]
    #[tokio::test(start_paused = true)]
    async fn a_bad_moment_of_the_server_is_waited_out(#[case] mut answers: Vec<Answer>) {
        answers.push(Answer::List(&["a"]));
        assert_eq!(until_there("a", answers).await.unwrap(), ["a"], "and what was seen before is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_become_better_is_an_answer_at_once() {
        assert_eq!(until_there("a", vec![Answer::Status(404)]).await.unwrap_err(), "answer 404 (404)");
    }

    #[rstest]
    #[case::refused([401, 403, 403], "answer 403 (403)")]
    #[case::other_trouble([403, 403, 500], "timed out")]
    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_lasts_is_told(#[case] codes: [u16; 3], #[case] told: &str) {
        assert_eq!(until_there("a", codes.map(Answer::Status).into()).await.unwrap_err(), told);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_sent_again_until_the_limit() {
        let get = async |answers, limit| {
            let api = Api::<ConfigMap>::namespaced(server(answers), "default");
            persist(limit, async || api.list(&ListParams::default()).await).await
        };
        let again = get(vec![Answer::Status(429), Answer::DroppedConnection, Answer::List(&["a"])], Duration::from_secs(5)).await;
        assert_eq!(again.unwrap().items.len(), 1);
        let starting = get(vec![Answer::Status(401), Answer::Status(403), Answer::List(&["a"])], Duration::from_secs(5)).await;
        assert_eq!(starting.unwrap().items.len(), 1);
        let refused = get(vec![Answer::Status(403), Answer::Status(403), Answer::Status(403)], Duration::from_millis(399)).await;
        assert_eq!(words(&refused.unwrap_err()), "answer 403 (403)");
        let unknown = get(vec![Answer::Status(404)], Duration::from_secs(5)).await;
        assert_eq!(words(&unknown.unwrap_err()), "answer 404 (404)");
        // At 0, 200 and 400 ms.
        let given_up = get(vec![Answer::Status(500), Answer::Status(500), Answer::Status(500)], Duration::from_millis(399)).await;
        assert_eq!(words(&given_up.unwrap_err()), "answer 500 (500)");
    }
}
