//! The subresource `proxy` of Pods and Services: HTTP to a workload (apiserver/pkg/util/proxy).

use std::sync::Arc;

use http::{HeaderName, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::{super::ApiServer, Incoming, ResponseBody, object::Place};
use crate::{
    node_api::DialError,
    object::{Key, Object},
    resource::{ENDPOINT_SLICES, PODS, SERVICES},
    selector::{LabelSelector, Selection},
    status::StatusError,
};

/// Headers of a connection, which are not passed on.
const NOT_PASSED_ON: [HeaderName; 5] =
    [header::CONNECTION, header::HOST, header::AUTHORIZATION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH];

/// A Pod's port to send a request to.
struct Destination {
    pod: Key,
    port: u16,
}

impl ApiServer {
    pub(super) async fn proxy(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        let destination = if at.resource == &SERVICES { self.of_service(at)? } else { self.of_pod(at)? };
        let place = Place {
            resource: &PODS,
            namespace: destination.pod.namespace,
            name: destination.pod.name,
            subresource: String::new(),
            rest: String::new(),
        };
        let (pod, node) = self.pod_and_node(&place)?;
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
        let Some(node) = node.filter(|_| !address.is_empty()) else {
            return Err(unreachable("address not allowed"));
        };
        let passed = passed_on(at, request)?;
        match node.http(&pod, destination.port, passed).await {
            Ok(answer) => Ok(answer.map(|bytes| Full::new(bytes).boxed_unsync())),
            Err(error) => {
                let target = format!("{address}:{}", destination.port);
                Err(unreachable(&match error {
                    DialError::Closed => error.to_string(),
                    _ => format!("dial tcp {target}: {error}"),
                }))
            }
        }
    }

    /// `name`, `name:port` or `scheme:name:port`; the first port of the Pod if none is named.
    fn of_pod(&self, at: &Place) -> Result<Destination, StatusError> {
        let (name, port) = name_and_port(&at.name);
        let object = self.get(&PODS, &Key::new(at.namespace.as_str(), name))?;
        let pod: Arc<Pod> = object.typed().map_err(|error| StatusError::bad_request(error.to_string()))?;
        let ports: Vec<_> = pod.spec.iter().flat_map(|spec| &spec.containers).flat_map(|c| c.ports.iter().flatten()).collect();
        let number = match port.parse::<u16>() {
            Ok(number) => number,
            Err(_) if port.is_empty() => ports.first().map_or(80, |port| u16::try_from(port.container_port).unwrap_or(80)),
            Err(_) => {
                let named = ports.iter().find(|candidate| candidate.name.as_deref() == Some(port));
                let number = named.and_then(|port| u16::try_from(port.container_port).ok());
                number.ok_or_else(|| StatusError::bad_request(format!("invalid pod request {:?}: no port {port:?}", at.name)))?
            }
        };
        Ok(Destination { pod: object.key(), port: number })
    }

    /// A ready Pod behind a Service (pkg/registry/core/service/storage:ResourceLocation).
    fn of_service(&self, at: &Place) -> Result<Destination, StatusError> {
        let (name, port) = name_and_port(&at.name);
        let service = self.get(&SERVICES, &Key::new(at.namespace.as_str(), name))?;
        let ports = service.value()["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        let wanted = |candidate: &&Value| {
            port.is_empty()
                || candidate["name"] == port
                || port.parse::<u64>().is_ok_and(|number| candidate["port"].as_u64() == Some(number))
        };
        let service_port = ports.iter().find(wanted);
        let Some(service_port) = service_port else {
            return Err(unavailable(format!("no service port {port} found for service {name:?}")));
        };
        let port_name = service_port["name"].as_str().unwrap_or_default();
        let destination = self.ready_endpoint(&service, port_name);
        destination.ok_or_else(|| unavailable(format!("no endpoints available for service {name:?}")))
    }

    fn ready_endpoint(&self, service: &Object, port_name: &str) -> Option<Destination> {
        let labels = LabelSelector::parse(&format!("kubernetes.io/service-name={}", service.name())).ok()?;
        let slices = self.store().list(&ENDPOINT_SLICES, &Selection::in_namespace(service.namespace()).labelled(labels)).0;
        let mut ready = Vec::new();
        for slice in &slices {
            let ports = slice.value()["ports"].as_array().into_iter().flatten();
            let port = ports.into_iter().find(|port| port["name"].as_str().unwrap_or_default() == port_name);
            let Some(port) = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok()) else { continue };
            for endpoint in slice.value()["endpoints"].as_array().into_iter().flatten() {
                let target = &endpoint["targetRef"];
                if endpoint["conditions"]["ready"] != false
                    && let Some(name) = target["name"].as_str()
                {
                    ready.push(Destination { pod: Key::new(service.namespace(), name), port });
                }
            }
        }
        if ready.is_empty() {
            return None;
        }
        let chosen = self.random().below(ready.len());
        ready.into_iter().nth(chosen)
    }
}

/// The name and the port, empty if none is given, of `[scheme:]name[:port]`.
fn name_and_port(text: &str) -> (&str, &str) {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [_, name, port] | [name, port] => (name, port),
        _ => (text, ""),
    }
}

/// The request as the workload gets it.
fn passed_on(at: &Place, request: &Incoming) -> Result<Request<bytes::Bytes>, StatusError> {
    let mut path = format!("/{}", at.rest.split('/').map(encode).collect::<Vec<_>>().join("/"));
    let query = request.query.encoded();
    if !query.is_empty() {
        path.push('?');
        path.push_str(&query);
    }
    let uri: Uri =
        path.parse().map_err(|error| StatusError::bad_request(format!("the path {path:?} cannot be requested: {error}")))?;
    let mut passed = Request::new(request.body.clone());
    *passed.method_mut() = request.method.clone();
    *passed.uri_mut() = uri;
    for (name, value) in &request.headers {
        if !NOT_PASSED_ON.contains(name) {
            passed.headers_mut().append(name, value.clone());
        }
    }
    Ok(passed)
}

/// Percent-encodes what cannot stand in a path.
fn encode(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    segment.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn unreachable(problem: &str) -> StatusError {
    unavailable(format!("error trying to reach service: {problem}"))
}

fn unavailable(message: String) -> StatusError {
    StatusError::new(503, "ServiceUnavailable", message)
}
