//! The subresource `log` of Pods, answered by the kubelet of their node.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use serde_json::json;

use super::{
    super::ApiServer,
    Incoming, ResponseBody,
    body::{response, stream_response},
    object::Place,
    path::is_read,
    query::Query,
};
use crate::{
    node_api::{ContainerLog, LogLine, NodeApi},
    resource::PODS,
    status::{FieldError, StatusError},
};

/// A Pod and the API of its node, if it has one.
type PodOnNode = (Arc<Pod>, Option<Arc<dyn NodeApi>>);

const TEXT: &str = "text/plain; charset=utf-8";

/// Which lines of a log are wanted, and how.
struct Wanted {
    follow: bool,
    timestamps: bool,
    tail: Option<usize>,
    since: Option<Timestamp>,
    limit: Option<usize>,
}

impl ApiServer {
    pub(super) fn log(&self, at: &Place, request: &Incoming) -> Result<Response<ResponseBody>, StatusError> {
        if !is_read(&request.method) {
            return Err(StatusError::method_not_allowed());
        }
        let wanted = self.wanted_lines(at, &request.query)?;
        let (pod, node) = self.pod_and_node(at)?;
        let Some(node) = node else {
            // Nothing runs yet on no node, so that there is no log either.
            return Ok(response(StatusCode::OK, TEXT, ""));
        };
        let container = container_name(&pod, request.query.text("container"))?;
        let previous = request.query.flag("previous");
        let log = node.log(&pod, &container, previous).map_err(StatusError::bad_request)?;
        Ok(show(log, &wanted))
    }

    fn wanted_lines(&self, at: &Place, query: &Query) -> Result<Wanted, StatusError> {
        let mut errors = Vec::new();
        let mut count = |name: &str, least: i64| -> Result<Option<i64>, StatusError> {
            let number = query.number(name)?;
            if let Some(number) = number.filter(|number| *number < least) {
                let bound = if least == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
                errors.push(FieldError::invalid(name, &json!(number), bound));
            }
            Ok(number)
        };
        let tail = count("tailLines", 0)?;
        let limit = count("limitBytes", 1)?;
        let seconds = count("sinceSeconds", 1)?;
        let time = query.text("sinceTime");
        let time: Option<Timestamp> = if time.is_empty() {
            None
        } else {
            Some(time.parse().map_err(|error| StatusError::bad_request(format!("sinceTime: {error}")))?)
        };
        if time.is_some() && seconds.is_some() {
            errors.push(FieldError::forbidden("sinceSeconds", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
        }
        if !errors.is_empty() {
            return Err(StatusError::invalid("", "PodLogOptions", &at.name, errors));
        }
        let before_now = |seconds: i64| {
            let now = self.clock().now();
            now.checked_sub(k8s_openapi::jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
        };
        let size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Wanted {
            follow: query.flag("follow"),
            timestamps: query.flag("timestamps"),
            tail: tail.map(size),
            since: time.or(seconds.map(before_now)),
            limit: limit.map(size),
        })
    }

    /// A Pod and the API of its node, if it has one.
    pub(super) fn pod_and_node(&self, at: &Place) -> Result<PodOnNode, StatusError> {
        let object = self.get(at.resource, &at.key())?;
        let pod: Arc<Pod> = object.typed().map_err(|error| StatusError::bad_request(error.to_string()))?;
        let name = object.text("/spec/nodeName");
        if name.is_empty() {
            return Ok((pod, None));
        }
        let node = self.node(name).ok_or_else(|| {
            StatusError::new(503, "ServiceUnavailable", format!("the kubelet of node {name:?} does not answer"))
                .about(&PODS, &at.name)
        })?;
        Ok((pod, Some(node)))
    }
}

/// The container that is named, or the only one (pkg/registry/core/pod/strategy.go:LogLocation).
pub(super) fn container_name(pod: &Pod, named: &str) -> Result<String, StatusError> {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let spec = pod.spec.as_ref();
    let regular: Vec<&str> = spec.into_iter().flat_map(|spec| &spec.containers).map(|c| c.name.as_str()).collect();
    let init: Vec<&str> =
        spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten()).map(|c| c.name.as_str()).collect();
    let annotations = pod.metadata.annotations.as_ref();
    let preferred = annotations.and_then(|annotations| annotations.get("kubectl.kubernetes.io/default-container"));
    match (named, regular.as_slice()) {
        ("", [only]) => Ok((*only).to_owned()),
        ("", _) if preferred.is_some_and(|name| regular.contains(&name.as_str())) => Ok(preferred.cloned().unwrap_or_default()),
        ("", _) => {
            let init =
                if init.is_empty() { String::new() } else { format!(" or one of the init containers: [{}]", init.join(" ")) };
            let message =
                format!("a container name must be specified for pod {pod_name}, choose one of: [{}]{init}", regular.join(" "));
            Err(StatusError::bad_request(message))
        }
        (named, _) if regular.contains(&named) || init.contains(&named) => Ok(named.to_owned()),
        (named, _) => Err(StatusError::bad_request(format!("container {named} is not valid for pod {pod_name}"))),
    }
}

/// The lines that there are, and if the log is followed those to come.
fn show(log: ContainerLog, wanted: &Wanted) -> Response<ResponseBody> {
    let mut lines = log.lines(0);
    let seen = lines.len();
    if let Some(since) = wanted.since {
        lines.retain(|line| line.time >= since);
    }
    if let Some(tail) = wanted.tail {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let timestamps = wanted.timestamps;
    let mut left = wanted.limit.unwrap_or(usize::MAX);
    let first = take(lines, timestamps, &mut left);
    if !wanted.follow {
        return response(StatusCode::OK, TEXT, first);
    }
    let start = futures::stream::once(async move { first });
    let rest = futures::stream::unfold((log, seen, left), move |(log, seen, mut left)| async move {
        if left == 0 || !log.wait_beyond(seen).await {
            return None;
        }
        let lines = log.lines(seen);
        let seen = seen + lines.len();
        let chunk = take(lines, timestamps, &mut left);
        Some((chunk, (log, seen, left)))
    });
    stream_response(TEXT, futures::StreamExt::chain(start, rest))
}

/// Lines as text, no more than `left` bytes of it.
fn take(lines: Vec<LogLine>, timestamps: bool, left: &mut usize) -> Bytes {
    let mut text = String::new();
    for line in lines {
        if timestamps {
            text.push_str(&line.time.strftime("%Y-%m-%dT%H:%M:%S%.9fZ ").to_string());
        }
        text.push_str(&line.text);
        text.push('\n');
    }
    let mut bytes = Bytes::from(text);
    bytes.truncate(*left);
    *left -= bytes.len();
    bytes
}
