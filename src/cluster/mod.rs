//! Stages 3 and 9: a cluster comes from a [`Provider`] and goes back to it.

mod blockers;
mod command;
mod connect;
pub mod context;
pub mod kind;
pub mod namespace;
mod ready;
pub mod sim;
pub mod state;
mod watch;

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;
use crate::progress::Progress;
use crate::report::ClusterFacts;

/// The label on everything that labproof makes; its value is the run's id.
pub const RUN_LABEL: &str = "labproof.dev/run";

/// How long a namespace may take to go away if nothing is said.
pub const TEAR_DOWN_LIMIT: Duration = Duration::from_mins(2);

pub use command::Programs;

/// What a run needs of its cluster.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Needs {
    /// How many nodes, control plane included; at least 1.
    pub nodes: u32,
    /// The images of all manifests, as they are written there.
    pub images: BTreeSet<String>,
}

/// A running cluster.
#[derive(Clone)]
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

/// Where clusters come from. A run calls `provision` once, and then, whatever came of it, `tear_down`.
pub trait Provider {
    /// Makes a cluster ready for use. An error, or dropping the future, may leave something half-made: `tear_down` removes it.
    fn provision(&mut self, needs: &Needs, progress: &dyn Fn(Progress)) -> impl Future<Output = Result<Cluster, ProvisionError>>;

    /// Waits until the cluster that `provision` made can be trusted no longer through a fault of labproof's own, and says why. A
    /// real cluster has no such faults.
    fn failed(&self) -> impl Future<Output = String> {
        std::future::pending()
    }

    /// Removes what `provision` made, whole or half-made, verifies that it is gone, and says what remains if not. Called again,
    /// it tries again. `keep` leaves a cluster that was ready for another run.
    fn tear_down(&mut self, keep: bool, progress: &dyn Fn(Progress)) -> impl Future<Output = Result<(), ProvisionError>>;
}

/// A cluster that cannot be had, or does not go away.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ProvisionError {
    /// What was attempted, and what came instead.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ProvisionError {
    /// An error and what to do.
    pub(crate) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: Some(hint.into()) }
    }

    /// The problem, and what to do in a line of its own.
    pub(crate) fn with_hint(&self) -> String {
        self.hint.as_ref().map_or_else(|| self.problem.clone(), |hint| format!("{}\nhint: {hint}", self.problem))
    }
}

/// A new id for a run: eight characters that no other run is likely to have.
pub fn new_run_id() -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    // The standard library seeds it from the system's random source.
    let random = RandomState::new().build_hasher().finish().to_le_bytes();
    random.iter().map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()])).collect()
}

/// Shows a piece of work as a phase.
async fn phase<T>(
    progress: &dyn Fn(Progress),
    text: impl Into<String>,
    work: impl Future<Output = Result<T, ProvisionError>>,
) -> Result<T, ProvisionError> {
    progress(Progress::PhaseStarted(text.into()));
    let open = OpenPhase(progress);
    let result = work.await;
    std::mem::forget(open);
    progress(Progress::PhaseEnded(result.as_ref().map(|_| ()).map_err(|error| error.problem.clone())));
    result
}

/// A phase whose work may be dropped before its end: then it ends with that.
struct OpenPhase<'a>(&'a dyn Fn(Progress));

impl Drop for OpenPhase<'_> {
    fn drop(&mut self) {
        (self.0)(Progress::PhaseEnded(Err(BROKEN_OFF.to_owned())));
    }
}

/// Why a phase ended that was not gone on with.
const BROKEN_OFF: &str = "broken off";
