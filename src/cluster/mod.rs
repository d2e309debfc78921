//! Stages 3 and 9: a cluster comes from a [`Provider`] and goes back to it.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;

use crate::clock::Clock;
use crate::progress::Progress;
use crate::report::ClusterFacts;

/// The label on everything that labproof makes; its value is the run's id.
pub const RUN_LABEL: &str = "labproof.dev/run";

/// What a run needs of its cluster.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// How many nodes, control plane included; at least 1.
    pub nodes: u32,
    /// The images of all manifests, as they are written there.
    pub images: BTreeSet<String>,
}

/// A running cluster.
pub struct Cluster {
    /// Talks to its API server.
    pub client: kube::Client,
    /// Its time.
    pub clock: Clock,
    /// What reports say of it.
    pub facts: ClusterFacts,
    /// A kubeconfig file that reaches it, for people who want to look.
    pub kubeconfig: Option<PathBuf>,
    /// The id of this run, the value of [`RUN_LABEL`]; a DNS label of at most 16 characters.
    pub run_id: String,
}

/// Where clusters come from.
pub trait Provider {
    /// Makes a cluster ready for use, or leaves nothing behind. Dropping the future must be safe: `tear_down` is called then.
    fn provision(&mut self, needs: &Needs, progress: &dyn Fn(Progress)) -> impl Future<Output = Result<Cluster, ProvisionError>>;

    /// Removes what `provision` made, whole or half-made, verifies that it is gone, and says what remains if not.
    /// `keep` leaves the cluster for another run.
    fn tear_down(&mut self, keep: bool, progress: &dyn Fn(Progress)) -> impl Future<Output = Result<(), ProvisionError>>;
}

/// A cluster that cannot be had, or does not go away.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ProvisionError {
    /// What was attempted, and what came instead.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}
