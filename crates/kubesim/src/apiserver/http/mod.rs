//! The API over HTTP: what `kube::Client`, `kubectl` and everybody else talk to.

mod ages;
mod body;
mod deletion;
mod discovery;
mod exec;
mod list;
mod log;
mod media;
mod object;
mod openapi;
mod path;
mod protobuf;
mod proxy;
mod query;
mod scale;
mod watch;

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::upgrade::OnUpgrade;

use self::{media::Accept, path::Target, query::Query};
use super::{ApiServer, Origin, Writer};
use crate::{resource::ENDPOINTS, status::StatusError};

pub use body::ResponseBody;
pub(crate) use body::error_response;

/// The API server as a [`tower::Service`] of HTTP requests, whatever their bodies are made of. Cheap to clone.
///
/// It answers at once: what latency there is, is the client's.
#[derive(Clone, Debug)]
pub struct HttpService {
    api: ApiServer,
}

impl ApiServer {
    /// The HTTP service of this server.
    pub fn http(&self) -> HttpService {
        HttpService { api: self.clone() }
    }
}

/// A request that has been read.
struct Incoming {
    method: Method,
    query: Query,
    headers: HeaderMap,
    accept: Accept,
    body: Bytes,
    warnings: Mutex<Vec<String>>,
    /// The connection itself, where the client wants to speak something else on it.
    upgrade: Mutex<Option<OnUpgrade>>,
}

impl Incoming {
    /// Tells the client of something that it should know.
    fn warn(&self, warning: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning.to_owned());
    }

    /// The media type of the body.
    fn content_type(&self) -> &str {
        media::content_type(&self.headers)
    }

    /// Who writes: the manager that is named, or the program that asks (its User-Agent up to the slash).
    fn writer(&self) -> Result<Writer<'_>, StatusError> {
        let agent = self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown");
        let named = self.query.text("fieldManager");
        let manager = if named.is_empty() { agent.split('/').next().unwrap_or("unknown") } else { named };
        let errors = self.query.check_write(self.content_type().starts_with("application/apply-patch+"));
        if !errors.is_empty() {
            let options = match self.method {
                Method::PUT => "UpdateOptions",
                Method::PATCH => "PatchOptions",
                Method::DELETE => "DeleteOptions",
                _ => "CreateOptions",
            };
            return Err(StatusError::invalid("meta.k8s.io", options, "", errors));
        }
        let validation = self.query.text("fieldValidation");
        Ok(Writer {
            manager,
            dry_run: self.query.is_dry_run(),
            origin: Origin::Client,
            strict: validation == "Strict",
            warnings: (validation != "Ignore").then_some(&self.warnings),
        })
    }
}

impl<B> tower::Service<Request<B>> for HttpService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if exec::needs_connection(&request) {
            let service = self.clone();
            return Box::pin(async move { Ok(exec::over_a_connection(service, request).await) });
        }
        let api = self.api.clone();
        Box::pin(async move { Ok(api.answer(request).await.unwrap_or_else(|error| error_response(&error))) })
    }
}

impl ApiServer {
    async fn answer<B>(&self, request: Request<B>) -> Result<Response<ResponseBody>, StatusError>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        let query = Query::parse(parts.uri.query());
        let target = path::parse(parts.uri.path())?;
        let body = body::read(body).await?;
        // What a workload or a log answers is not an object, so that no form of one can be asked for.
        let raw = ["attach", "exec", "log", "portforward", "proxy"];
        let is_raw = matches!(&target, Target::Object { subresource, .. } if raw.contains(&subresource.as_str()));
        if is_v2_protobuf(&target, &parts.headers) {
            return Ok(body::response(StatusCode::OK, openapi::V2_PROTOBUF, openapi::v2_protobuf(self.version())));
        }
        let accept = if is_raw { Accept::PLAIN } else { media::accept(&parts.headers)? };
        let upgrade = Mutex::new(parts.extensions.remove::<OnUpgrade>());
        let (method, headers) = (parts.method, parts.headers);
        let incoming = Incoming { method, query, headers, accept, body, warnings: Mutex::default(), upgrade };
        let lead = ages::lead(self.clock(), &incoming.method, &incoming.headers);
        if let Some(resource) = target.resource() {
            self.expire_events(resource, None);
        }
        if target.resource() == Some(&ENDPOINTS) {
            incoming.warn("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
        }
        let mut response = match target {
            Target::Document(path) => self.document(&path, &incoming)?,
            Target::Review(name) => discovery::review(&name, &incoming)?,
            Target::Collection { resource, namespace } => self.collection(resource, namespace, &incoming)?,
            Target::Object { resource, namespace, name, subresource, rest } => {
                let at = object::Place { resource, namespace, name, subresource, rest };
                self.object(&at, &incoming).await?
            }
        };
        let warnings = incoming.warnings.into_inner().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings {
            if let Ok(value) = HeaderValue::from_str(&format!("299 - {warning:?}")) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        Ok(ages::seen_from_outside(response, lead))
    }
}

/// Whether the description of the API is asked for in the only form in which kubectl reads it.
fn is_v2_protobuf(target: &Target, headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    *target == Target::Document("/openapi/v2".to_owned()) && accepts.into_iter().any(|types| types.contains("+protobuf"))
}

#[cfg(test)]
mod tests;
