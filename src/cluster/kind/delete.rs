//! The removal of a kind cluster, and whether it is really gone.

use std::path::Path;
use std::time::Duration;

use super::docker::{Docker, NodeContainer};
use crate::cluster::ProvisionError;
use crate::cluster::command::{CommandError, Programs};

/// How long kind may take.
const LIMIT: Duration = Duration::from_mins(3);

/// Removes a cluster, whole or half-made, with its entry in the kubeconfig file, and verifies that none of its containers and
/// volumes is left. (Its network, `kind`, is shared by all kind clusters and stays.)
pub(crate) async fn cluster(programs: &Programs, name: &str, kubeconfig: &Path) -> Result<(), ProvisionError> {
    let cannot_tell = |error: ProvisionError| ProvisionError {
        problem: format!("cannot tell whether the kind cluster {name} is gone: {}", error.problem),
        hint: Some(format!("{}; then `labproof clean` removes what is left", error.hint.unwrap_or_default())),
    };
    let before = Docker(programs).nodes(name).await.map_err(cannot_tell)?;
    let deleted = delete(programs, name, kubeconfig).await;
    let left = remaining(programs, name, &before).await.map_err(cannot_tell)?;
    match (left.is_empty(), deleted) {
        // Kind may fail for the kubeconfig's sake; what counts is that nothing is left.
        (true, _) => Ok(()),
        (false, Err(error)) => Err(ProvisionError::new(
            format!("the kind cluster {name} cannot be deleted: {error}; left are {}", left.join(", ")),
            format!("try again: labproof clean, or: kind delete cluster --name {name}"),
        )),
        (false, Ok(())) => Err(ProvisionError::new(
            format!("kind says that it has deleted the cluster {name}, but left are {}", left.join(", ")),
            "remove them: labproof clean, or by hand with `docker rm --force --volumes` and `docker volume rm`",
        )),
    }
}

async fn delete(programs: &Programs, name: &str, kubeconfig: &Path) -> Result<(), CommandError> {
    let file = kubeconfig.to_string_lossy();
    super::with_kubeconfig(programs, kubeconfig)
        .run("kind", &["delete", "cluster", "--name", name, "--kubeconfig", &file], LIMIT)
        .await?;
    Ok(())
}

async fn remaining(programs: &Programs, name: &str, before: &[NodeContainer]) -> Result<Vec<String>, ProvisionError> {
    let containers = Docker(programs).nodes(name).await?;
    let volumes: Vec<String> = before.iter().flat_map(|node| node.volumes.iter().cloned()).collect();
    let volumes = Docker(programs).existing_volumes(&volumes).await?;
    let containers = containers.into_iter().map(|node| format!("the container {}", node.name));
    Ok(containers.chain(volumes.into_iter().map(|volume| format!("the volume {volume}"))).collect())
}
