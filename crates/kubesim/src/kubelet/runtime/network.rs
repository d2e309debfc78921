//! Requests to the ports of a Pod.

use std::{sync::Arc, time::Duration};

use workload::{Check, Process, Reply};

use crate::kubelet::{
    Kubelet,
    pod::{PodEntry, lock},
};

impl PodEntry {
    /// The ID of the container that listens on a port.
    pub(in crate::kubelet) fn listener(&self, port: u16) -> Option<String> {
        let runtime = lock(&self.runtime);
        let listens = |process: &Process| process.listening() == Some(port);
        let found = runtime.instances.iter().find(|instance| instance.process.as_ref().is_some_and(listens));
        found.map(|instance| instance.record.id.clone())
    }

    /// Sends a request to a port: what becomes of it. Nothing waits here.
    pub(in crate::kubelet) fn request(self: &Arc<Self>, kubelet: &Kubelet, port: u16, path: &str) -> (Reply, Option<String>) {
        let Some(id) = self.listener(port) else { return (Reply::Refused, None) };
        let reply = self.with_process(kubelet, &id, |process, now| process.request(now, path));
        (reply.unwrap_or(Reply::Refused), Some(id))
    }

    /// Asks the gRPC health service on a port about a service.
    pub(in crate::kubelet) fn check(self: &Arc<Self>, kubelet: &Kubelet, port: u16, service: &str) -> Check {
        let Some(id) = self.listener(port) else { return Check::Refused };
        self.with_process(kubelet, &id, |process, now| (process.check(now, service), Vec::new())).unwrap_or(Check::Refused)
    }

    /// Sends a request and waits for the answer: status and body, as [`NoAnswer`] otherwise.
    pub(in crate::kubelet) async fn answer(
        self: &Arc<Self>,
        kubelet: &Kubelet,
        port: u16,
        path: &str,
        timeout: Duration,
    ) -> Result<(u16, String), NoAnswer> {
        let (reply, id) = self.request(kubelet, port, path);
        let (answer, delay) = match reply {
            Reply::Refused => return Err(NoAnswer::Refused),
            Reply::Answer { status, body, delay } if delay < timeout => (Some((status, body)), delay),
            Reply::Never | Reply::Answer { .. } => (None, timeout),
        };
        let id = id.unwrap_or_default();
        if !delay.is_zero() {
            tokio::select! {
                biased;
                () = self.exited(&id) => return Err(NoAnswer::Closed),
                () = kubelet.clock.sleep(delay) => {}
            }
        }
        answer.ok_or(NoAnswer::Timeout)
    }

    /// Waits until a container does not run.
    pub(in crate::kubelet) async fn exited(&self, id: &str) {
        let mut exits = self.exits.watch();
        loop {
            let runs = {
                let runtime = lock(&self.runtime);
                runtime.find(id).is_some_and(|index| runtime.instances[index].record.is_running())
            };
            if !runs {
                return;
            }
            exits.changed().await;
        }
    }
}

/// Why a request had no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kubelet) enum NoAnswer {
    Refused,
    Timeout,
    Closed,
}
