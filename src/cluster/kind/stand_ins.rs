//! Side-loading: images come into the nodes without a registry.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::with_kubeconfig;
use crate::cluster::command::Programs;
use crate::cluster::state::Claim;
use crate::cluster::{ProvisionError, phase};
use crate::images::StandIns;
use crate::progress::Progress;

/// How long kind may take.
const LIMIT: Duration = Duration::from_mins(5);

/// Loads the images into all nodes, if these very images were not the last to be loaded.
pub(super) async fn load(
    programs: &Programs,
    claim: &mut Claim,
    stand_ins: Option<&StandIns>,
    progress: &dyn Fn(Progress),
) -> Result<(), ProvisionError> {
    let Some(stand_ins) = stand_ins.filter(|stand_ins| !stand_ins.is_empty()) else { return Ok(()) };
    let archive = stand_ins.archive();
    let digest = digest(&archive);
    if claim.kind().is_some_and(|record| record.loaded.as_ref() == Some(&digest)) {
        return Ok(());
    }
    let count = stand_ins.images().count();
    let text = format!("Loading {count} stand-in image{}", if count == 1 { "" } else { "s" });
    phase(progress, text, load_archive(programs, claim, &archive)).await?;
    Ok(claim.update(|record| record.loaded = Some(digest))?)
}

/// Loads the images into all nodes of a kind cluster, whoever made it.
pub async fn load_into(programs: &Programs, cluster: &str, stand_ins: &StandIns) -> Result<(), ProvisionError> {
    let file = tempfile::Builder::new().prefix("labproof-").suffix(".tar").tempfile();
    let file = file.map_err(|error| failed(&format!("no temporary file can be made: {error}")))?;
    load_file(programs, cluster, file.path(), &stand_ins.archive()).await
}

async fn load_archive(programs: &Programs, claim: &Claim, archive: &[u8]) -> Result<(), ProvisionError> {
    let file = claim.file("stand-ins.tar");
    let loaded = load_file(&with_kubeconfig(programs, &claim.kubeconfig()), claim.name(), &file, archive).await;
    // What is left of it goes with the claim.
    let _ = std::fs::remove_file(&file);
    loaded
}

async fn load_file(programs: &Programs, cluster: &str, file: &Path, archive: &[u8]) -> Result<(), ProvisionError> {
    let path = file.to_string_lossy();
    std::fs::write(file, archive).map_err(|error| failed(&format!("{path} cannot be written: {error}")))?;
    let args = ["load", "image-archive", &path, "--name", cluster];
    programs.run("kind", &args, LIMIT).await.map(drop).map_err(|error| failed(&error.to_string()))
}

fn failed(problem: &str) -> ProvisionError {
    ProvisionError::new(format!("the stand-in images cannot be loaded: {problem}"), "`labproof doctor` checks this machine")
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
