//! Commands in containers.

use std::{sync::Arc, time::Duration};

use workload::{Effect, Process, Start};

use super::{Instance, process::since_epoch};
use crate::{
    Version,
    kubelet::{
        Kubelet,
        pod::{PodEntry, lock},
        timing,
    },
    node_api::ExecOutput,
};

/// Why a command in a container had no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kubelet) enum ExecError {
    /// There is no such container.
    NotFound(String),
    /// The container with this ID has ended.
    Ended(String),
    /// The command is not there: the ID of the attempt, and the runtime's words.
    NotStarted(String, String),
    /// It took too long.
    Timeout(String, String),
}

impl ExecError {
    /// The error in the kubelet's words. Those about a container that has ended are containerd's, of the version that the nodes
    /// of each Kubernetes version had.
    pub(in crate::kubelet) fn text(&self, version: Version) -> String {
        match self {
            Self::NotFound(name) => format!("container not found (\"{name}\")"),
            Self::Ended(id) if version.at_least(35) => format!(
                "rpc error: code = NotFound desc = failed to exec in container: failed to load task: no running task found: task {id} \
                 not found"
            ),
            Self::Ended(id) => format!(
                "rpc error: code = Unknown desc = failed to exec in container: failed to create exec \"{id}\": cannot exec in a \
                 deleted state"
            ),
            Self::NotStarted(id, error) => format!(
                "rpc error: code = Unknown desc = failed to exec in container: failed to start exec \"{id}\": OCI runtime exec failed: \
                 exec failed: unable to start container process: {error}"
            ),
            Self::Timeout(command, limit) => format!("command timed out: \"{command}\" timed out after {limit}"),
        }
    }
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
        let missing = |error: String| ExecError::NotStarted(self.chance(|random| random.hex(64)), error);
        let (id, image, start) = {
            let runtime = lock(&self.runtime);
            let named = |instance: &&Instance| instance.record.name == container;
            let instance = runtime.instances.iter().rev().find(named).ok_or_else(|| ExecError::NotFound(container.to_owned()))?;
            let record = &instance.record;
            if !record.is_running() {
                return Err(ExecError::Ended(record.id.clone()));
            }
            let start = Start { command: command.to_vec(), args: Vec::new(), ..instance.start.clone() };
            (record.id.clone(), record.image.clone(), start)
        };
        let Some(workload) = kubelet.workloads.get(&image) else { return Err(missing(format!("no image {image:?}"))) };
        kubelet.clock.sleep(self.draw(timing::EXEC)).await;
        let start = Start { time: since_epoch(kubelet), ..start };
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
