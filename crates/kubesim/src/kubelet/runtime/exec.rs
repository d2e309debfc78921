//! Commands in containers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use workload::{Effect, Process, Start};

use crate::{
    kubelet::{
        Kubelet,
        pod::{PodEntry, lock},
        timing,
    },
    node_api::ExecOutput,
};

/// Why a command in a container had no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::kubelet) enum ExecError {
    /// The container does not run.
    #[error("container not found (\"{0}\")")]
    NotRunning(String),
    /// The command is not there.
    #[error("rpc error: code = Unknown desc = failed to exec in container: failed to start exec: OCI runtime exec failed: {0}")]
    NotStarted(String),
    /// It took too long.
    #[error("command timed out: \"{0}\" timed out after {1}")]
    Timeout(String, String),
}

impl PodEntry {
    /// Runs a command beside a container's program, for at most `timeout`.
    pub(in crate::kubelet) async fn exec(
        self: &Arc<Self>,
        kubelet: &Kubelet,
        container: &str,
        command: &[String],
        timeout: Option<Duration>,
    ) -> Result<ExecOutput, ExecError> {
        let (id, image) = {
            let status = lock(&self.runtime).status();
            let running = status.newest(container).filter(|record| record.is_running());
            let record = running.ok_or_else(|| ExecError::NotRunning(container.to_owned()))?;
            (record.id.clone(), record.image.clone())
        };
        let missing = |error: String| ExecError::NotStarted(format!("exec failed: unable to start container process: {error}"));
        let Some(workload) = kubelet.workloads.get(&image) else { return Err(missing(format!("no image {image:?}"))) };
        let start = Start { command: command.to_vec(), args: Vec::new(), env: BTreeMap::new(), files: BTreeMap::new() };
        kubelet.clock.sleep(self.draw(timing::EXEC)).await;
        let (mut process, mut effects) =
            Process::start(Arc::clone(workload), &start).map_err(|error| missing(error.to_string()))?;
        let began = kubelet.clock.elapsed();
        let mut output = ExecOutput::default();
        loop {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Log(line) => output.stdout.push_str(&(line + "\n")),
                    Effect::Exit(code) => output.exit_code = i32::from(code),
                    Effect::Listen(_) | Effect::Memory(_) => {}
                }
            }
            if process.exit_code().is_some() {
                return Ok(output);
            }
            let late = || ExecError::Timeout(command.join(" "), crate::kubelet::wording::duration(timeout.unwrap_or_default()));
            let next = process.next_wakeup().unwrap_or(Duration::MAX);
            let (until, last) = match timeout {
                Some(timeout) if next >= timeout => (timeout, true),
                _ => (next, false),
            };
            tokio::select! {
                biased;
                () = self.exited(&id) => return Ok(ExecOutput { exit_code: super::KILLED, ..output }),
                () = kubelet.clock.sleep_until(began.saturating_add(until)) => {}
            }
            if last {
                return Err(late());
            }
            effects = process.advance(kubelet.clock.elapsed().saturating_sub(began));
        }
    }
}
