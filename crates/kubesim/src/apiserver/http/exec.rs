//! The subresource `exec` of Pods: a command and its output over a WebSocket
//! (apimachinery/pkg/util/remotecommand, apiserver/pkg/util/wsstream).

use std::sync::PoisonError;

use bytes::Bytes;
use futures::{SinkExt, StreamExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::OnUpgrade;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::{Value, json};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use super::{
    super::ApiServer,
    HttpService, Incoming, ResponseBody,
    body::{error_response, response},
    log::container_name,
    object::Place,
};
use crate::{node_api::ExecOutput, status::StatusError};

/// The protocols that are spoken, the best first.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// What comes first in a message: where the rest belongs.
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// How much output goes into one message.
const CHUNK: usize = 32 * 1_024;

/// How many bytes are on their way between the two ends of a connection inside the process.
const BUFFER: usize = 64 * 1_024;

impl ApiServer {
    /// Runs a command in a container, without standard input and without a terminal.
    pub(super) fn exec(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        let (pod, node) = self.pod_and_node(at)?;
        let container = container_name(&pod, request.query.text("container"))?;
        let Some(node) = node else {
            return Err(StatusError::bad_request(format!("pod {} does not have a host assigned", at.name)));
        };
        if request.query.flag("stdin") || request.query.flag("tty") {
            return Err(StatusError::bad_request(
                "the simulated cluster cannot feed standard input to a command, and has no terminals: \
                 leave out --stdin (-i) and --tty (-t)",
            ));
        }
        let command: Vec<String> = request.query.all("command");
        if command.is_empty() {
            return Err(StatusError::bad_request("you must specify at least 1 command for the container"));
        }
        let upgrade = request.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
        let key = request.headers.get(header::SEC_WEBSOCKET_KEY);
        let (Some(upgrade), Some(key)) = (upgrade, key) else {
            return Err(StatusError::bad_request(
                "Upgrade request required: the simulated cluster speaks WebSocket only, as kubectl does from version 1.30 on",
            ));
        };
        let protocol = chosen_protocol(&request.headers)?;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
            .map_err(|error| StatusError::bad_request(format!("the key of the WebSocket cannot be answered: {error}")))?;
        tokio::spawn(speak(upgrade, node.exec(&pod, &container, command)));
        let mut switching = Response::new(Empty::new().boxed_unsync());
        *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = switching.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        Ok(switching)
    }

    /// What needs a connection to a running program and that the simulation has none of.
    pub(super) fn not_simulated(&self, at: &Place) -> Result<Response<ResponseBody>, StatusError> {
        self.pod_and_node(at)?;
        let what = if at.subresource == "attach" { "attaches to no containers" } else { "forwards no ports" };
        let message = format!(
            "the simulated cluster {what}; logs, exec and the proxy of the API server (/api/v1/namespaces/{}/pods/{}:PORT/proxy/) \
             reach a container",
            at.namespace, at.name
        );
        Err(StatusError::bad_request(message))
    }
}

fn chosen_protocol(headers: &HeaderMap) -> Result<&'static str, StatusError> {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    PROTOCOLS.into_iter().find(|protocol| offered.contains(protocol)).ok_or_else(|| {
        StatusError::bad_request(format!("none of the protocols {offered:?} is spoken here, but {}", PROTOCOLS.join(", ")))
    })
}

/// Sends what a command has written when it has ended, and how it ended. Whoever breaks off is not told.
async fn speak(upgrade: OnUpgrade, command: BoxFuture<'static, Result<ExecOutput, String>>) {
    let Ok(connection) = upgrade.await else { return };
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
    let ended = command.await;
    let (stdout, stderr) = ended.as_ref().map_or(("", ""), |output| (&output.stdout, &output.stderr));
    let status = status_of(&ended).to_string();
    for (channel, text) in [(STDOUT, stdout), (STDERR, stderr), (STATUS, &status)] {
        for chunk in text.as_bytes().chunks(CHUNK) {
            let message: Vec<u8> = std::iter::once(channel).chain(chunk.iter().copied()).collect();
            if socket.send(Message::Binary(message.into())).await.is_err() {
                return;
            }
        }
    }
    // The close goes both ways: the client's is waited for, so that it has read everything.
    let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    if socket.close(Some(normal)).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

/// As the kubelet says how a command ended (pkg/kubelet/cri/streaming/remotecommand/exec.go).
fn status_of(ended: &Result<ExecOutput, String>) -> Value {
    match ended {
        Ok(ExecOutput { exit_code: 0, .. }) => json!({"metadata": {}, "status": "Success"}),
        Ok(ExecOutput { exit_code, .. }) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: command terminated with exit code {exit_code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": exit_code.to_string()}]},
        }),
        Err(error) => {
            // The runtime streams what it says itself, not over gRPC, and has called it an internal error already.
            let (again, error) = match error.strip_prefix("rpc error: code = Unknown desc = ") {
                Some(own) => ("Internal error occurred: ", own),
                None => ("", error.as_str()),
            };
            let cause = format!("{again}error executing command in container: {error}");
            json!({
                "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
                "message": format!("Internal error occurred: {cause}"),
                "details": {"causes": [{"message": cause}]},
            })
        }
    }
}

/// Whether a request wants to change the protocol of its connection, but came on none: from a client in this process.
pub(super) fn needs_connection<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(header::UPGRADE) && request.extensions().get::<OnUpgrade>().is_none()
}

/// Serves such a request on a connection inside the process, both ends of which are here.
pub(super) async fn over_a_connection<B>(service: HttpService, request: Request<B>) -> Response<ResponseBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let broken = |error: hyper::Error| error_response(&StatusError::bad_request(format!("the connection broke off: {error}")));
    let (near, far) = tokio::io::duplex(BUFFER);
    let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), TowerToHyperService::new(service));
    tokio::spawn(server.with_upgrades());
    // What upgrades a connection has no body.
    let request = request.map(|_| Empty::<Bytes>::new());
    let (mut sender, connection) = match hyper::client::conn::http1::handshake(TokioIo::new(near)).await {
        Ok(connected) => connected,
        Err(error) => return broken(error),
    };
    tokio::spawn(connection.with_upgrades());
    let answer = match sender.send_request(request).await {
        Ok(answer) => answer,
        Err(error) => return broken(error),
    };
    let (parts, body) = answer.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Response::from_parts(parts, Empty::new().boxed_unsync());
    }
    match body.collect().await {
        Ok(body) => {
            let mut answer = response(parts.status, "application/json", body.to_bytes());
            *answer.headers_mut() = parts.headers;
            answer
        }
        Err(error) => broken(error),
    }
}
