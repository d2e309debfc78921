//! Applies manifests to simulated clusters, each with a seed of its own.

use std::cell::Cell;
use std::fmt::Display;
use std::ops::Range;
use std::time::Duration;

use kubesim::Version;
use workload::Workloads;

use super::history::{History, Recorder};
use super::prediction::Prediction;
use crate::act::Actor;
use crate::cluster::sim::{SimOptions, SimProvider, each_seed, in_virtual_time};
use crate::cluster::{Cluster, Needs, Provider, namespace};
use crate::errors::itself_failed;
use crate::observe::Observer;
use crate::scenario::Action;
use crate::timeline::ActionResult;

/// The name of the scenario and of the run that the namespace is made for.
const NAME: &str = "predict";

/// How long the namespace may take to be ready.
const NAMESPACE_LIMIT: Duration = Duration::from_mins(1);

/// What is predicted, and on what.
#[derive(Clone, Debug)]
pub struct PredictOptions {
    /// The objects to apply, in this order.
    pub objects: Vec<serde_json::Value>,
    /// The seeds that are tried.
    pub seeds: Range<u64>,
    /// How long is looked on, from the apply.
    pub span: Duration,
    /// The version of Kubernetes.
    pub version: Version,
    /// How many nodes.
    pub nodes: u32,
    /// The images that exist, and what they do.
    pub workloads: Workloads,
}

/// A seed that could not be simulated to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PredictError {
    /// The API server refuses the manifests: they are wrong.
    #[error("the manifests could not be applied: {0}")]
    Refused(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl PredictError {
    fn new(problem: &dyn Display) -> Self {
        Self::Failed(problem.to_string())
    }
}

/// Tries all seeds, on all cores. The error is that of the first seed that has one.
pub fn predict(options: &PredictOptions) -> Result<Prediction, PredictError> {
    let histories = each_seed(options.seeds.clone(), &|seed| simulate(seed, options))?;
    Ok(Prediction::new(options.version.to_string(), options.span, histories))
}

fn simulate(seed: u64, options: &PredictOptions) -> Result<History, PredictError> {
    let history = in_virtual_time(async {
        let mut provider = SimProvider::new(SimOptions { seed, version: options.version, workloads: options.workloads.clone() });
        let needs = Needs { nodes: options.nodes, ..Needs::default() };
        let cluster = provider.provision(&needs, &|_| {}).await.map_err(|error| PredictError::new(&error))?;
        tokio::select! {
            biased;
            problem = provider.failed() => Err(PredictError::new(&itself_failed(&problem))),
            looked = apply_and_look(seed, &cluster, options) => looked,
        }
    });
    history.map_err(|error| PredictError::new(&error))?
}

async fn apply_and_look(seed: u64, cluster: &Cluster, options: &PredictOptions) -> Result<History, PredictError> {
    let client = &cluster.client;
    let namespace = namespace::create(client, NAME, NAME, NAMESPACE_LIMIT).await.map_err(|error| PredictError::new(&error))?;
    let clock = cluster.clock.restarted();
    let pods = [("v1".to_owned(), "Pod".to_owned())];
    let mut observer =
        Observer::start(client.clone(), clock, &namespace, &pods).await.map_err(|error| PredictError::new(&error))?;
    let actor = Actor { client: client.clone(), namespace };
    let (action, start) = (Action::Apply(Vec::new()), Cell::new(Duration::ZERO));
    let mut sending = || start.set(clock.elapsed());
    let mut acting = std::pin::pin!(actor.act(&action, &options.objects, &mut sending));
    let mut has_acted = false;
    let mut recorder = Recorder::default();
    loop {
        // Longer than is shown: histories that are cut off at different places are compared by what comes next.
        let end = start.get() + options.span.mul_f64(1.25);
        tokio::select! {
            biased;
            result = &mut acting, if !has_acted => match result {
                ActionResult::Refused { error } => return Err(PredictError::Refused(error)),
                ActionResult::Failed { error } => return Err(PredictError::new(&format!("the manifests could not be applied: {error}"))),
                _ => has_acted = true,
            },
            Some(entry) = observer.next() => recorder.take(&entry, start.get()),
            () = clock.sleep_until(end), if has_acted => return Ok(recorder.finish(seed)),
        }
    }
}
