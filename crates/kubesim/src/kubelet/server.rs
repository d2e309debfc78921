//! The kubelet's own API: logs, HTTP to Pods, commands (pkg/kubelet/server).

use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use workload::Reply;

use super::{
    Kubelet,
    pod::{PodEntry, find_container, lock},
};
use crate::node_api::{ContainerLog, DialError, ExecOutput, NodeApi};

/// The API of a kubelet that lives as long as the cluster does.
#[derive(Debug)]
pub(super) struct Server(pub(super) Weak<Kubelet>);

impl Server {
    fn find(&self, pod: &Pod) -> Option<(Arc<Kubelet>, Arc<PodEntry>)> {
        let kubelet = self.0.upgrade().filter(|kubelet| kubelet.is_running())?;
        let entry = kubelet.entry(pod.metadata.uid.as_deref().unwrap_or_default())?;
        Some((kubelet, entry))
    }
}

impl NodeApi for Server {
    fn log(&self, pod: &Pod, container: &str, previous: bool) -> Result<ContainerLog, String> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        if find_container(pod, container).is_none() {
            return Err(format!("container {container} is not valid for pod {name}"));
        }
        let waits = |reason: &str| format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}");
        let Some((_, entry)) = self.find(pod) else { return Err(waits("ContainerCreating")) };
        let status = lock(&entry.status).current(pod);
        let init = status.init_container_statuses.iter().flatten();
        let mut all = init.chain(status.container_statuses.iter().flatten());
        let status = all.find(|status| status.name == container).cloned().unwrap_or_default();
        let id = log_of(&status, previous).map_err(|missing| match missing {
            Missing::Previous => format!("previous terminated container \"{container}\" in pod \"{name}\" not found"),
            Missing::Waits(reason) => waits(&reason),
        })?;
        let log = lock(&entry.runtime).log(&id);
        log.ok_or_else(|| format!("unable to retrieve container logs for {id}"))
    }

    fn http(
        &self,
        pod: &Pod,
        port: u16,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'static, Result<http::Response<Bytes>, DialError>> {
        let Some((kubelet, entry)) = self.find(pod) else { return async { Err(DialError::Refused) }.boxed() };
        async move {
            let path = request.uri().path();
            let (reply, id) = entry.request(&kubelet, port, path);
            let answer = match reply {
                Reply::Refused => return Err(DialError::Refused),
                Reply::Never => None,
                Reply::Answer { status, body, delay } => Some((status, body, delay)),
            };
            let id = id.unwrap_or_default();
            let Some((status, body, delay)) = answer else {
                entry.exited(&id).await;
                return Err(DialError::Closed);
            };
            if !delay.is_zero() {
                tokio::select! {
                    biased;
                    () = entry.exited(&id) => return Err(DialError::Closed),
                    () = kubelet.clock.sleep(delay) => {}
                }
            }
            let response = http::Response::builder().status(status).header("content-type", "text/plain; charset=utf-8");
            response.body(Bytes::from(body)).map_err(|_| DialError::Closed)
        }
        .boxed()
    }

    fn exec(&self, pod: &Pod, container: &str, command: Vec<String>) -> BoxFuture<'static, Result<ExecOutput, String>> {
        let container = container.to_owned();
        let Some((kubelet, entry)) = self.find(pod) else {
            return async move { Err(format!("container not found (\"{container}\")")) }.boxed();
        };
        async move { entry.exec(&kubelet, &container, &command, None).await.map_err(|error| error.text(kubelet.version)) }.boxed()
    }
}

enum Missing {
    Previous,
    Waits(String),
}

/// The ID of the container whose log is asked for (`pkg/kubelet/kubelet_pods.go:validateContainerLogStatus`).
fn log_of(status: &ContainerStatus, previous: bool) -> Result<String, Missing> {
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref()).and_then(|ended| ended.container_id.clone());
    if previous {
        return last.ok_or(Missing::Previous);
    }
    if state.running.is_some() {
        return status.container_id.clone().ok_or_else(|| Missing::Waits(String::new()));
    }
    if let Some(terminated) = &state.terminated {
        let own = terminated.container_id.clone().filter(|id| !id.is_empty()).or(last);
        return own.ok_or_else(|| Missing::Waits("ContainerCreating".to_owned()));
    }
    if let Some(last) = last {
        return Ok(last);
    }
    let reason = state.waiting.and_then(|waiting| waiting.reason).unwrap_or_else(|| "ContainerCreating".to_owned());
    Err(Missing::Waits(match reason.as_str() {
        "ErrImagePull" => "image can't be pulled".to_owned(),
        "ImagePullBackOff" => "trying and failing to pull image".to_owned(),
        _ => reason,
    }))
}
