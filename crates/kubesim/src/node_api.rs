//! What the API server asks of a node: the logs of its containers, commands in them, HTTP to its Pods. A kubelet
//! implements [`NodeApi`] and registers itself with [`LoopbackClient::serve_node`](crate::LoopbackClient::serve_node),
//! which is the simulation's port 10250.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};

use crate::watched::Watched;

/// The API of a kubelet.
pub trait NodeApi: Send + Sync {
    /// The log of a container's current instance, or of the one before it. While a container waits to be restarted,
    /// its last instance is the current one (`validateContainerLogStatus` in pkg/kubelet).
    ///
    /// # Errors
    /// Why there is no log, in the kubelet's words, such as `container "a" in pod "b" is waiting to start:
    /// ContainerCreating`. The API server answers with 400.
    fn log(&self, pod: &Pod, container: &str, previous: bool) -> Result<ContainerLog, String>;

    /// Sends an HTTP request to a port of a Pod, over the Pod's network. The URI has the path and query only.
    fn http(
        &self,
        pod: &Pod,
        port: u16,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'static, Result<http::Response<Bytes>, DialError>>;

    /// Runs a command in a container.
    fn exec(&self, pod: &Pod, container: &str, command: Vec<String>) -> BoxFuture<'static, Result<ExecOutput, String>>;
}

/// How a command in a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// Its exit code.
    pub exit_code: i32,
}

/// Why no answer came from a port of a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// Nothing listens there.
    #[error("connect: connection refused")]
    Refused,
    /// No answer in time.
    #[error("i/o timeout")]
    Timeout,
    /// The connection was closed before an answer came.
    #[error("EOF")]
    Closed,
}

/// One line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub time: Timestamp,
    /// The line, without its end.
    pub text: String,
}

/// The log of one instance of a container: append-only, shared by who writes it and who reads or follows it.
#[derive(Clone, Debug)]
pub struct ContainerLog {
    inner: Arc<LogInner>,
}

#[derive(Debug)]
struct LogInner {
    lines: Mutex<Vec<LogLine>>,
    /// The number of lines, and whether more may come.
    progress: Watched<(usize, bool)>,
}

impl Default for ContainerLog {
    fn default() -> Self {
        Self { inner: Arc::new(LogInner { lines: Mutex::default(), progress: Watched::new((0, true)) }) }
    }
}

impl ContainerLog {
    /// Appends a line.
    pub fn append(&self, time: Timestamp, text: impl Into<String>) {
        let mut lines = self.inner.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(LogLine { time, text: text.into() });
        let count = lines.len();
        self.inner.progress.update(|progress| progress.0 = count);
    }

    /// Says that no more lines will come: the instance has ended. Who follows the log then ends too.
    pub fn close(&self) {
        self.inner.progress.update(|progress| progress.1 = false);
    }

    /// Whether more lines may come.
    pub fn is_open(&self) -> bool {
        self.inner.progress.get().1
    }

    /// The lines from the `from`th on.
    pub fn lines(&self, from: usize) -> Vec<LogLine> {
        let lines = self.inner.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get(from..).unwrap_or_default().to_vec()
    }

    /// Waits until there are more than `seen` lines (true) or until the log is closed with no more (false).
    pub async fn wait_beyond(&self, seen: usize) -> bool {
        let mut progress = self.inner.progress.watch();
        progress.until(|(count, open)| *count > seen || !open).await;
        progress.see().0 > seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_follower_sees_every_line_and_the_end() {
        let log = ContainerLog::default();
        log.append(Timestamp::UNIX_EPOCH, "one");
        let follower = tokio::spawn({
            let log = log.clone();
            async move {
                let mut seen = Vec::new();
                while log.wait_beyond(seen.len()).await {
                    seen.extend(log.lines(seen.len()).into_iter().map(|line| line.text));
                }
                seen
            }
        });
        tokio::task::yield_now().await;
        log.append(Timestamp::UNIX_EPOCH, "two");
        log.close();
        assert_eq!(follower.await.unwrap(), ["one", "two"]);
    }
}
