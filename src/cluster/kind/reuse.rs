//! Clusters that an earlier run kept.

use std::time::Duration;

use super::docker::Docker;
use super::{KindProvider, Made, connect_to, stand_ins};
use crate::cluster::state::{Claim, KindWish, Stage, StateError};
use crate::cluster::{Cluster, ProvisionError, phase, ready};
use crate::progress::Progress;

/// How long a kept cluster may take to answer; it has been running.
const ANSWER: Duration = Duration::from_secs(15);
const NODES_LIMIT: Duration = Duration::from_secs(45);

impl KindProvider {
    /// The first kept cluster that was asked for in the same way and works. Those that do not work are deleted.
    pub(super) async fn reuse(&mut self, wish: &KindWish, progress: &dyn Fn(Progress)) -> Result<Option<Cluster>, ProvisionError> {
        for name in self.candidates()? {
            let Some(mut claim) = self.kept(&name, wish, progress)? else { continue };
            claim.update(|record| record.stage = Stage::InUse)?;
            self.made = Some(Made { claim, creation: None, ready: false });
            match phase(progress, format!("Using the kept kind cluster {name}"), self.reopen(wish.nodes)).await {
                Ok((client, version)) => {
                    if let Some(made) = &mut self.made {
                        stand_ins::load(&self.options.programs, &mut made.claim, self.options.stand_ins.as_ref(), progress).await?;
                    }
                    return self.ready(client, version).await.map(Some);
                }
                Err(error) => {
                    progress(Progress::Warning(format!("the kept kind cluster {name} is of no use any more: {error}")));
                    self.delete(progress).await?;
                }
            }
        }
        Ok(None)
    }

    fn candidates(&self) -> Result<Vec<String>, ProvisionError> {
        let mut names = self.options.state.names()?;
        if let Some(name) = &self.options.cluster_name {
            names.retain(|candidate| candidate == name);
        }
        Ok(names)
    }

    /// The claim on a cluster if it was kept, is like the wish, and is not in use.
    fn kept(&self, name: &str, wish: &KindWish, progress: &dyn Fn(Progress)) -> Result<Option<Claim>, ProvisionError> {
        let claim = match self.options.state.take(name) {
            Ok(Some(claim)) => claim,
            Ok(None) | Err(StateError::InUse(_) | StateError::Unreadable { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match claim.kind() {
            Some(kind) if kind.stage == Stage::Kept && kind.wish == *wish => Ok(Some(claim)),
            Some(kind) if kind.stage == Stage::Kept && self.options.cluster_name.is_some() => {
                progress(Progress::Warning(format!(
                    "the kept kind cluster {name} has another node image, node count or kind config"
                )));
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    async fn reopen(&self, nodes: u32) -> Result<(kube::Client, String), ProvisionError> {
        let Some(made) = &self.made else { return Err(super::nothing_made()) };
        let name = made.claim.name();
        let containers = Docker(&self.options.programs).nodes(name).await?;
        if containers.is_empty() {
            return Err(ProvisionError { problem: "it is gone".to_owned(), hint: None });
        }
        if let Some(stopped) = containers.iter().find(|node| !node.running) {
            return Err(ProvisionError { problem: format!("its node {} does not run", stopped.name), hint: None });
        }
        let (client, version) = connect_to(&made.claim, ANSWER).await?;
        ready::nodes(&client, nodes, NODES_LIMIT).await?;
        ready::service_accounts(&client, &self.options.run_id, ANSWER).await?;
        Ok((client, version))
    }
}
