//! The API over HTTP: what `kube::Client`, `kubectl` and everybody else talk to.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use kube::client::Body;

use super::ApiServer;

/// The API server as a [`tower::Service`] of HTTP requests. Cheap to clone.
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

impl tower::Service<Request<Body>> for HttpService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        let api = self.api.clone();
        Box::pin(async move {
            let _ = api.version();
            Ok(Response::new(Body::empty()))
        })
    }
}
