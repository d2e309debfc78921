//! Side-loading: images come into the nodes without a registry.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::with_kubeconfig;
use crate::cluster::command::Programs;
use crate::cluster::state::Claim;
use crate::cluster::{ProvisionError, phase};
use crate::progress::Progress;

/// How long kind may take for one archive.
const LIMIT: Duration = Duration::from_mins(3);

/// A stand-in image.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Its name and tag.
    pub image: String,
    /// The archive, as `docker save` writes it.
    pub bytes: Vec<u8>,
}

/// Loads those images into all nodes that are not there yet.
pub(super) async fn load(
    programs: &Programs,
    claim: &mut Claim,
    archives: &[Archive],
    progress: &dyn Fn(Progress),
) -> Result<(), ProvisionError> {
    let digests = archives.iter().map(|archive| (archive, digest(&archive.bytes)));
    let loaded = |image: &str| claim.kind().and_then(|record| record.loaded.get(image)).cloned();
    let missing: Vec<(&Archive, String)> =
        digests.filter(|(archive, digest)| loaded(&archive.image).as_ref() != Some(digest)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("Loading {} stand-in image{}", missing.len(), if missing.len() == 1 { "" } else { "s" });
    phase(progress, text, async {
        for (archive, digest) in missing {
            load_one(programs, claim, archive).await?;
            claim.update(|record| drop(record.loaded.insert(archive.image.clone(), digest)))?;
        }
        Ok(())
    })
    .await
}

async fn load_one(programs: &Programs, claim: &Claim, archive: &Archive) -> Result<(), ProvisionError> {
    let file = claim.file("stand-in.tar");
    let path = file.to_string_lossy();
    let failed = |problem: String| {
        ProvisionError::new(
            format!("the stand-in image {} cannot be loaded: {problem}", archive.image),
            "`labproof doctor` checks this machine",
        )
    };
    std::fs::write(&file, &archive.bytes).map_err(|error| failed(format!("{path} cannot be written: {error}")))?;
    let args = ["load", "image-archive", &path, "--name", claim.name()];
    let loaded = with_kubeconfig(programs, &claim.kubeconfig()).run("kind", &args, LIMIT).await;
    // What is left of it goes with the claim.
    let _ = std::fs::remove_file(&file);
    loaded.map(drop).map_err(|error| failed(error.to_string()))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
