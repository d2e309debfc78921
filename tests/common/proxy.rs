//! An HTTP proxy on loopback in front of a real API server. It counts requests, and fails as it is told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// How the API server fails while an outage lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every request is answered with 429, and asked to come again after a second.
    TooManyRequests,
    /// Every request is answered with 500.
    InternalError,
    /// Every request is answered with 403, as an API server does that has just started.
    Forbidden,
    /// Every connection is cut, and new ones are refused. Requests that came first are carried out, and their answers lost.
    Dropped,
    /// A watch that is resumed is told in an event that its resourceVersion is too old, and one that starts anew gets 500.
    Expired,
    /// The same, told with the status 410.
    Gone,
}

/// A request that begins an outage: its method, and a part of its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trigger {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) fault: Fault,
    pub(crate) lasts: Duration,
}

/// A running proxy; it ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    client: Client,
    /// The outage that there is, or was.
    outage: watch::Sender<Option<Outage>>,
    trigger: Mutex<Option<Trigger>>,
    counts: Mutex<BTreeMap<(String, String), usize>>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    fault: Fault,
    until: Instant,
    /// Whether connections are cut as it begins.
    cuts: bool,
}

impl Shared {
    fn fault(&self) -> Option<Fault> {
        self.outage.borrow().filter(|outage| Instant::now() < outage.until).map(|outage| outage.fault)
    }

    fn begin(&self, fault: Fault, lasts: Duration, cuts: bool) {
        self.outage.send_replace(Some(Outage { fault, until: Instant::now() + lasts, cuts }));
    }

    /// Begins the outage for which this request was waited.
    fn pull(&self, request: &Request<Incoming>) -> Option<Trigger> {
        let mut waiting = self.trigger.lock().unwrap();
        let matches = |trigger: &Trigger| request.method() == trigger.method && request.uri().path().contains(trigger.path);
        waiting.take_if(|trigger| matches(trigger))
    }

    fn count(&self, request: &Request<Incoming>) {
        let key = (verb(request), request.uri().path().to_owned());
        *self.counts.lock().unwrap().entry(key).or_default() += 1;
    }
}

/// The verb as RBAC has it, for those that are told apart by more than the method.
fn verb(request: &Request<Incoming>) -> String {
    let query = request.uri().query().unwrap_or_default();
    match *request.method() {
        Method::GET if query.contains("watch=1") || query.contains("watch=true") => "watch".to_owned(),
        Method::GET if query.contains("follow=true") => "follow".to_owned(),
        ref method => method.as_str().to_lowercase(),
    }
}

impl Proxy {
    /// Forwards through this client.
    pub(crate) async fn start(client: Client) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback can be listened on");
        let address = listener.local_addr().expect("it has an address");
        #[expect(clippy::disallowed_methods, reason = "it runs in real time, where there is chance anyway")]
        let (outage, _) = watch::channel(None);
        let shared = Arc::new(Shared { client, outage, trigger: Mutex::default(), counts: Mutex::default() });
        let task = tokio::spawn(listen(listener, address, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// A kubeconfig whose only context, `proxy`, is reached through it.
    pub(crate) fn kubeconfig(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "current-context": "proxy",
        })
    }

    /// Cuts every connection and fails from now on, for so long.
    pub(crate) fn fail(&self, fault: Fault, lasts: Duration) {
        self.shared.begin(fault, lasts, true);
    }

    /// Fails when such a request comes.
    pub(crate) fn fail_at(&self, trigger: Trigger) {
        *self.shared.trigger.lock().unwrap() = Some(trigger);
    }

    /// Whether the request has come for which an outage waited.
    pub(crate) fn has_failed(&self) -> bool {
        self.shared.outage.borrow().is_some()
    }

    /// How many requests came, by verb and path.
    pub(crate) fn counts(&self) -> BTreeMap<(String, String), usize> {
        self.shared.counts.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(first: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut outages = shared.outage.subscribe();
    let mut listener = Some(first);
    loop {
        if shared.fault() == Some(Fault::Dropped) {
            drop(listener.take());
            let until = outages.borrow_and_update().map(|outage| outage.until);
            sleep_until(until.unwrap_or_else(Instant::now)).await;
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => TcpListener::bind(address).await.expect("its own port is free again"),
        };
        tokio::select! { biased;
            _ = outages.changed() => {}
            accepted = open.accept() => {
                if let Ok((connection, _)) = accepted {
                    tokio::spawn(serve(connection, Arc::clone(&shared)));
                }
            }
        }
        listener = Some(open);
    }
}

/// Serves a connection until it ends or is cut.
async fn serve(connection: TcpStream, shared: Arc<Shared>) {
    let mut outages = shared.outage.subscribe();
    let answering = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), answering);
    // Connections that are made during an outage are served; those that were there are cut.
    let cut = async { while outages.changed().await.is_ok() && !outages.borrow_and_update().is_some_and(|outage| outage.cuts) {} };
    tokio::select! { biased;
        () = cut => {}
        _ = served => {}
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    shared.count(&request);
    if let Some(trigger) = shared.pull(&request) {
        if trigger.fault == Fault::Dropped {
            // It is carried out, and the answer lost with the connection.
            forward(request, &shared.client).await;
            shared.begin(trigger.fault, trigger.lasts, true);
            return std::future::pending().await;
        }
        shared.begin(trigger.fault, trigger.lasts, false);
    }
    let starts = request.uri().query().is_some_and(|query| query.contains("sendInitialEvents=true"));
    let resumes = verb(&request) == "watch" && !starts;
    match shared.fault() {
        Some(Fault::TooManyRequests) => status(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
        Some(Fault::Forbidden) => status(StatusCode::FORBIDDEN, "Forbidden"),
        Some(Fault::InternalError) => status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        Some(Fault::Gone | Fault::Expired) if starts => status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        Some(Fault::Gone) if resumes => status(StatusCode::GONE, "Expired"),
        Some(Fault::Expired) if resumes => {
            let status = failure(StatusCode::GONE, "Expired");
            plain(StatusCode::OK, format!("{}\n", json!({"type": "ERROR", "object": status})))
        }
        _ => forward(request, &shared.client).await,
    }
}

async fn forward(request: Request<Incoming>, client: &Client) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return status(StatusCode::BAD_REQUEST, "BadRequest") };
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::CONTENT_LENGTH);
    match client.send(Request::from_parts(parts, kube::client::Body::from(body.to_bytes()))).await {
        Ok(answer) => answer.map(|body| body.map_err(Into::into).boxed_unsync()),
        Err(error) => plain(StatusCode::BAD_GATEWAY, error.to_string()),
    }
}

fn failure(code: StatusCode, reason: &str) -> Value {
    let message = format!("the proxy answers {}", code.as_u16());
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code.as_u16()})
}

fn status(code: StatusCode, reason: &str) -> Response<Body> {
    plain(code, failure(code, reason).to_string())
}

fn plain(code: StatusCode, text: String) -> Response<Body> {
    let mut answer = Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if code == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    answer
}
