//! `kind create cluster`, from its start to its end or its cancellation.

use std::time::Duration;

use super::docker::{self, Docker};
use super::output::{self, PhaseLine};
use super::with_kubeconfig;
use crate::cluster::command::{CommandError, Process, Programs};
use crate::cluster::state::Claim;
use crate::cluster::{BROKEN_OFF, ProvisionError};
use crate::progress::Progress;

/// How long kind may take, the pull of a node image included.
const LIMIT: Duration = Duration::from_mins(20);

/// How long the containers that are being started when kind is killed may take to get there.
const CONTAINER_START: Duration = Duration::from_secs(15);

/// A cluster that kind is making. Dropped, kind is killed; what it made is left.
#[derive(Debug)]
pub(super) struct Creation {
    process: Process,
    /// The phase that kind is in.
    phase: Option<String>,
}

impl Creation {
    /// Starts kind. It holds the claim's lock until it ends, even if this process is killed.
    pub(super) fn start(
        programs: &Programs,
        claim: &Claim,
        node_image: Option<&str>,
        config: &str,
    ) -> Result<Self, ProvisionError> {
        let file = claim.file("kind.yaml");
        std::fs::write(&file, config).map_err(|error| {
            ProvisionError::new(format!("cannot write {}: {error}", file.display()), "name another directory in LABPROOF_STATE_DIR")
        })?;
        let (config, kubeconfig) = (file.to_string_lossy().into_owned(), claim.kubeconfig());
        let target = kubeconfig.to_string_lossy();
        let mut args = vec!["create", "cluster", "--name", claim.name(), "--config", &config, "--kubeconfig", &target];
        args.extend(node_image.into_iter().flat_map(|image| ["--image", image]));
        let process = with_kubeconfig(programs, &kubeconfig)
            .start("kind", &args, claim.lock_as_stdin()?)
            .map_err(|error| explain_start(&error))?;
        Ok(Self { process, phase: None })
    }

    /// Waits for kind, showing its phases.
    pub(super) async fn finish(&mut self, progress: &dyn Fn(Progress)) -> Result<(), CommandError> {
        let current = &mut self.phase;
        let mut on_line = |line: &str| match output::phase(line) {
            Some(PhaseLine::Started(text)) => {
                *current = Some(text.clone());
                progress(Progress::PhaseStarted(text));
            }
            Some(PhaseLine::Done) if current.take().is_some() => progress(Progress::PhaseEnded(Ok(()))),
            // Why it failed comes later; it is told when kind has ended.
            Some(PhaseLine::Done | PhaseLine::Failed) | None => {}
        };
        let ended = self.process.finish(LIMIT, &mut on_line).await;
        if self.phase.take().is_some() {
            let ended = ended.as_ref().map(|_| ()).map_err(reason);
            progress(Progress::PhaseEnded(ended));
        }
        ended.map(drop)
    }

    /// Kills kind. Containers that are being started get there first: the Docker engine would go on with them anyway, and they
    /// would appear after the cluster was deleted.
    pub(super) async fn stop(mut self, progress: &dyn Fn(Progress)) {
        if self.phase.is_some() {
            progress(Progress::PhaseEnded(Err(BROKEN_OFF.to_owned())));
        }
        let starting = self.phase.as_deref().is_some_and(|phase| phase.starts_with("Preparing nodes"));
        self.process.stop(if starting { CONTAINER_START } else { Duration::ZERO }).await;
    }
}

/// The sentence in which kind says why it failed.
fn reason(error: &CommandError) -> String {
    output::reason(error.stderr()).map_or_else(|| error.to_string(), str::to_owned)
}

fn explain_start(error: &CommandError) -> ProvisionError {
    ProvisionError::new(error.to_string(), "`labproof doctor` checks the installation")
}

/// Whether kind refused because there is a cluster of that name.
pub(super) fn is_name_taken(error: &CommandError) -> bool {
    error.stderr().contains("already exist for a cluster with the name")
}

/// What a failed `kind create cluster` means.
pub(super) async fn explain(programs: &Programs, error: &CommandError, image: Option<&str>) -> ProvisionError {
    let stderr = error.stderr();
    if matches!(error, CommandError::NotInstalled(_)) {
        return explain_start(error);
    }
    if docker::engine_trouble(stderr) {
        return docker::explain(stderr);
    }
    let image_missing = ["failed to pull image", "no such image", "invalid reference format"]
        .iter()
        .any(|sign| stderr.to_lowercase().contains(sign));
    if image_missing {
        return explain_image(programs, stderr, image).await;
    }
    let hint =
        "`labproof doctor` checks this machine; `kind create cluster --retain` keeps the nodes of a failed attempt to look at";
    ProvisionError::new(format!("kind could not make the cluster: {}\n  {error}", reason(error)), hint)
}

async fn explain_image(programs: &Programs, stderr: &str, image: Option<&str>) -> ProvisionError {
    let name = image.map_or_else(|| "kind's default node image".to_owned(), |image| format!("the node image {image}"));
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let reason = lines()
        .find_map(|line| line.strip_prefix("Command Output: "))
        .or_else(|| output::reason(stderr))
        .or_else(|| lines().next_back())
        .unwrap_or("no reason was given");
    let here = Docker(programs).node_images().await.unwrap_or_default();
    let hint = match here.as_slice() {
        [] => "choose a released one with --node-image or KIND_NODE_IMAGE: https://github.com/kubernetes-sigs/kind/releases"
            .to_owned(),
        some => format!("choose another with --node-image or KIND_NODE_IMAGE; on this machine there are: {}", some.join(", ")),
    };
    ProvisionError::new(format!("{name} is not on this machine and cannot be pulled: {reason}"), hint)
}
