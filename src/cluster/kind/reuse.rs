//! Clusters that an earlier run kept.

use std::time::Duration;

use futures::future::join_all;

use super::docker::Docker;
use super::{KindProvider, Made, connect_to, stand_ins};
use crate::cluster::namespace::{self, run_of};
use crate::cluster::state::{Claim, KindWish, Stage, StateError};
use crate::cluster::{Cluster, ProvisionError, phase, ready};
use crate::errors::words;
use crate::progress::Progress;
use crate::report::text::count;

/// How long a kept cluster may take to be ready: its machine may have been restarted meanwhile.
const API_LIMIT: Duration = Duration::from_mins(1);
const NODES_LIMIT: Duration = Duration::from_mins(2);
const CONTROLLERS_LIMIT: Duration = Duration::from_mins(1);

/// A kept cluster that works.
struct Reopened {
    client: kube::Client,
    version: String,
}

impl KindProvider {
    /// The first kept cluster that is like the wish and works. One that does not work is left as it is, and is told of: whoever
    /// kept it may want to look. One that is gone is forgotten.
    pub(super) async fn reuse(&mut self, wish: &KindWish, progress: &dyn Fn(Progress)) -> Result<Option<Cluster>, ProvisionError> {
        let mut others = Vec::new();
        for name in self.candidates()? {
            let Some(mut claim) = self.kept(&name)? else { continue };
            let differences = claim.kind().map(|kind| differences(&kind.wish, wish)).unwrap_or_default();
            if !differences.is_empty() {
                others.push(format!("{name} has {}", differences.join(" and ")));
                continue;
            }
            if Docker(&self.options.programs).nodes(&name).await?.is_empty() {
                progress(Progress::Warning(format!("the kept kind cluster {name} is gone")));
                claim.forget()?;
                continue;
            }
            match self.reopen(&mut claim, wish.nodes, progress).await {
                Ok(Reopened { client, version }) => {
                    claim.update(|record| record.stage = Stage::InUse)?;
                    self.made = Some(Made { claim, creation: None, client: None });
                    return self.ready(client, version).await.map(Some);
                }
                Err(error) => progress(Progress::Warning(format!(
                    "the kept kind cluster {name} cannot be used and is left as it is: {error}; `labproof clean --kept` removes it"
                ))),
            }
        }
        if !others.is_empty() {
            progress(Progress::Warning(format!("no kept kind cluster is like what is asked for: {}", others.join("; "))));
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

    /// The claim on a cluster if it was kept and is not in use.
    fn kept(&self, name: &str) -> Result<Option<Claim>, ProvisionError> {
        match self.options.state.take(name) {
            Ok(claim) => Ok(claim.filter(|claim| claim.kind().is_some_and(|kind| kind.stage == Stage::Kept))),
            Err(StateError::InUse(_) | StateError::Unreadable { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Brings a kept cluster to the point where Pods can be made. Until then it stays a kept one.
    async fn reopen(&self, claim: &mut Claim, nodes: u32, progress: &dyn Fn(Progress)) -> Result<Reopened, ProvisionError> {
        let options = &self.options;
        let name = claim.name().to_owned();
        let opening = async {
            Docker(&options.programs).start_stopped(&name).await?;
            let (client, version) = connect_to(claim, API_LIMIT).await?;
            ready::nodes(&client, nodes, NODES_LIMIT).await?;
            ready::service_accounts(&client, &options.run_id, CONTROLLERS_LIMIT).await?;
            Ok(Reopened { client, version })
        };
        let reopened = phase(progress, format!("Using the kept kind cluster {name}"), opening).await?;
        self.remove_earlier_namespaces(&reopened.client, progress).await;
        stand_ins::load(&options.programs, claim, options.stand_ins.as_ref(), progress).await?;
        Ok(reopened)
    }

    /// What earlier runs have left would take ports and room from this one.
    async fn remove_earlier_namespaces(&self, client: &kube::Client, progress: &dyn Fn(Progress)) {
        let made = match namespace::made_by(client, None).await {
            Ok(made) => made,
            Err(error) => {
                let why = words(&error);
                return progress(Progress::Warning(format!("the namespaces of earlier runs cannot be listed, and stay: {why}")));
            }
        };
        let earlier: Vec<(&str, &str)> = made
            .iter()
            .filter_map(|metadata| Some((metadata.name.as_deref()?, run_of(metadata)?)))
            .filter(|(_, run)| *run != self.options.run_id)
            .collect();
        if earlier.is_empty() {
            return;
        }
        let removals = async {
            let removals = earlier.iter().map(|(name, run)| namespace::remove(client, name, run, namespace::REMOVAL_LIMIT));
            let problems: Vec<String> =
                join_all(removals).await.into_iter().filter_map(Result::err).map(|error| error.with_hint()).collect();
            if problems.is_empty() { Ok(()) } else { Err(ProvisionError { problem: problems.join("\n"), hint: None }) }
        };
        let text = format!("Removing {} of earlier runs", count(earlier.len(), "namespace"));
        if let Err(error) = phase(progress, text, removals).await {
            progress(Progress::Warning(format!("what an earlier run has left stays: {error}")));
        }
    }
}

/// In what a kept cluster is not as it is wished. More nodes are no hindrance.
fn differences(kept: &KindWish, wish: &KindWish) -> Vec<String> {
    let image = |wish: &KindWish| wish.node_image.clone().unwrap_or_else(|| "kind's default".to_owned());
    let mut differences = Vec::new();
    if kept.node_image != wish.node_image {
        differences.push(format!("the node image {}, not {}", image(kept), image(wish)));
    }
    if kept.nodes < wish.nodes {
        differences.push(format!("{}, not {}", count(kept.nodes as usize, "node"), wish.nodes));
    }
    if kept.config != wish.config {
        differences.push("another kind config".to_owned());
    }
    differences
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn wish(node_image: Option<&str>, nodes: u32, config: Option<&str>) -> KindWish {
        KindWish { node_image: node_image.map(str::to_owned), nodes, config: config.map(str::to_owned) }
    }

    #[rstest]
    #[case::the_same(wish(Some("a"), 2, None), "")]
    #[case::fewer_nodes_suffice(wish(Some("a"), 1, None), "")]
    #[case::image(wish(None, 2, None), "the node image a, not kind's default")]
    #[case::nodes_and_config(wish(Some("a"), 3, Some("x")), "2 nodes, not 3; another kind config")]
    fn tells_in_what_a_kept_cluster_differs(#[case] wished: KindWish, #[case] expected: &str) {
        assert_eq!(differences(&wish(Some("a"), 2, None), &wished).join("; "), expected);
    }
}
