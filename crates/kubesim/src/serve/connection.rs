//! One connection, from its first byte on.

use std::{convert::Infallible, error::Error, io, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{authentication::Token, tls::Tls};
use crate::{HttpService, ResponseBody, StatusError, apiserver::error_response};

/// How long a client may take to begin, and to agree on TLS, in real time.
const PATIENCE: Duration = Duration::from_secs(10);

type BoxError = Box<dyn Error + Send + Sync>;

/// Serves the API on a connection until it is closed: without TLS in plain HTTP, to everybody.
///
/// # Errors
/// If the connection breaks, or TLS is not agreed on.
pub(super) async fn serve(stream: TcpStream, tls: Option<Tls>, service: HttpService) -> Result<(), BoxError> {
    let Some(Tls { acceptor, token, .. }) = tls else {
        return speak(stream, TowerToHyperService::new(service)).await;
    };
    if timeout(PATIENCE, is_plain_http(&stream)).await?? {
        return timeout(PATIENCE, refuse_plain_http(stream)).await?;
    }
    let stream = timeout(PATIENCE, acceptor.accept(stream)).await??;
    speak(stream, service_fn(move |request| answer(service.clone(), token.clone(), request))).await
}

async fn speak<S>(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, service: S) -> Result<(), BoxError>
where
    S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible>,
    S::Future: Send + 'static,
{
    auto::Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(stream), service).await
}

/// Answers whoever bears the token. The API does not get to see it.
async fn answer(service: HttpService, token: Token, mut request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    if !token.is_borne_by(request.headers()) {
        return Ok(error_response(&StatusError::unauthorized()));
    }
    request.headers_mut().remove(header::AUTHORIZATION);
    TowerToHyperService::new(service).call(request).await
}

/// Whether a client begins with the name of a method. In TLS the first byte is 22, for a handshake.
async fn is_plain_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    Ok(first[0].is_ascii_uppercase())
}

/// As Go's servers, and so the real API server, refuse it (net/http/server.go).
async fn refuse_plain_http(stream: TcpStream) -> Result<(), BoxError> {
    let refuse = service_fn(async |_: Request<Incoming>| {
        let mut refusal = Response::new("Client sent an HTTP request to an HTTPS server.\n".to_owned());
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        refusal.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        Ok::<_, Infallible>(refusal)
    });
    Ok(http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), refuse).await?)
}
