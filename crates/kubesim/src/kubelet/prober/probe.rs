//! One execution of a probe, of each kind (`pkg/kubelet/prober/prober.go`, pkg/probe).

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, ExecAction, GRPCAction, HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use workload::{Check, ServingStatus};

use crate::kubelet::{
    Kubelet,
    pod::PodEntry,
    runtime::{ExecError, NoAnswer},
    timing, wording,
};

/// Output beyond this is cut off.
const MOST_OUTPUT: usize = 10 << 10;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    /// A success that an event tells of.
    Warning(String),
    Failure(String),
    /// It could not be run.
    Error(String),
}

/// Runs a probe.
pub(super) async fn run(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>, container: &Container, probe: &Probe) -> Outcome {
    let timeout = Duration::from_secs(u64::try_from(probe.timeout_seconds.unwrap_or(1)).unwrap_or(1).max(1));
    if let Some(get) = &probe.http_get {
        return http(kubelet, entry, container, get, timeout).await;
    }
    if let Some(socket) = &probe.tcp_socket {
        return match port_number(container, &socket.port) {
            Ok(port) => {
                kubelet.clock.sleep(entry.draw(timing::REQUEST)).await;
                tcp(entry, socket.host.as_deref(), port)
            }
            Err(error) => Outcome::Error(error),
        };
    }
    if let Some(exec) = &probe.exec {
        return command(kubelet, entry, container, exec, timeout).await;
    }
    if let Some(action) = &probe.grpc {
        return grpc(kubelet, entry, action, timeout).await;
    }
    Outcome::Error(format!("missing probe handler for {}:{}", entry.name, container.name))
}

async fn http(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    container: &Container,
    get: &HTTPGetAction,
    timeout: Duration,
) -> Outcome {
    let port = match port_number(container, &get.port) {
        Ok(port) => port,
        Err(error) => return Outcome::Error(error),
    };
    let ip = entry.ip();
    let host = get.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| ip.clone());
    let path = get.path.as_deref().unwrap_or("/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let https = get.scheme.as_deref() == Some("HTTPS");
    let scheme = if https { "https" } else { "http" };
    let failure = |problem: String| Outcome::Failure(format!("Get \"{scheme}://{host}:{port}{slash}{path}\": {problem}"));
    let refused = || failure(format!("dial tcp {host}:{port}: connect: connection refused"));
    // Other hosts than the Pod are the node itself, where nothing of the simulation listens.
    if host != ip {
        return refused();
    }
    if https && entry.listener(port).is_some() {
        return failure("http: server gave HTTP response to HTTPS client".to_owned());
    }
    kubelet.clock.sleep(entry.draw(timing::REQUEST)).await;
    match entry.answer(kubelet, port, &format!("{slash}{path}"), timeout).await {
        Err(NoAnswer::Refused) => refused(),
        Err(NoAnswer::Closed) => failure("EOF".to_owned()),
        Err(NoAnswer::Timeout) => failure("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned()),
        Ok((200..=299, _)) => Outcome::Success,
        Ok((300..=399, body)) => Outcome::Warning(format!("Probe terminated redirects, Response body: {}", cut(body))),
        Ok((status, _)) => Outcome::Failure(format!("HTTP probe failed with statuscode: {status}")),
    }
}

fn tcp(entry: &PodEntry, host: Option<&str>, port: u16) -> Outcome {
    let ip = entry.ip();
    let host = host.filter(|host| !host.is_empty()).unwrap_or(&ip);
    if host == ip && entry.listener(port).is_some() {
        return Outcome::Success;
    }
    Outcome::Failure(format!("dial tcp {host}:{port}: connect: connection refused"))
}

async fn grpc(kubelet: &Arc<Kubelet>, entry: &Arc<PodEntry>, action: &GRPCAction, timeout: Duration) -> Outcome {
    kubelet.clock.sleep(entry.draw(timing::REQUEST)).await;
    let port = u16::try_from(action.port).unwrap_or_default();
    match entry.check(kubelet, port, action.service.as_deref().unwrap_or_default()) {
        Check::Status(ServingStatus::Serving) => Outcome::Success,
        Check::Status(ServingStatus::NotServing) => {
            Outcome::Failure("service unhealthy (responded with \"NOT_SERVING\")".to_owned())
        }
        Check::Unknown => {
            Outcome::Failure("error: health rpc probe failed: rpc error: code = NotFound desc = unknown service".to_owned())
        }
        Check::Refused => {
            // The connection never becomes one, whether the port is listened on or not.
            kubelet.clock.sleep(timeout).await;
            let (address, timeout) = (format!("{}:{port}", entry.ip()), wording::duration(timeout));
            let message = format!("timeout: failed to connect service \"{address}\" within {timeout}: context deadline exceeded");
            Outcome::Failure(message)
        }
    }
}

async fn command(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    container: &Container,
    exec: &ExecAction,
    timeout: Duration,
) -> Outcome {
    let command = exec.command.as_deref().unwrap_or_default();
    match entry.exec(kubelet, &container.name, command, Some(timeout)).await {
        Ok(output) if output.exit_code == 0 => Outcome::Success,
        Ok(output) => Outcome::Failure(cut(output.stdout + &output.stderr)),
        Err(error @ ExecError::Timeout(..)) => Outcome::Failure(error.text(kubelet.version)),
        Err(error) => Outcome::Error(error.text(kubelet.version)),
    }
}

fn cut(mut text: String) -> String {
    let end = (0..=MOST_OUTPUT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}

/// The number of a port that a probe or hook names (`pkg/probe/util.go:ResolveContainerPort`).
///
/// # Errors
/// In the kubelet's words.
pub(in crate::kubelet) fn port_number(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            if let Ok(number) = name.parse() {
                number
            } else {
                let ports = container.ports.as_deref().unwrap_or_default();
                let named = ports.iter().find(|port| port.name.as_deref() == Some(name));
                named.ok_or_else(|| format!("port \"{name}\" not found"))?.container_port
            }
        }
    };
    u16::try_from(number).ok().filter(|port| *port > 0).ok_or_else(|| format!("invalid port number: {number}"))
}
