//! Applies manifests to simulated clusters, each with a seed of its own.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use kubesim::Version;
use workload::Workloads;

use super::history::{History, Recorder};
use super::prediction::Prediction;
use crate::act::Actor;
use crate::cluster::sim::{SimOptions, SimProvider};
use crate::cluster::{Cluster, Needs, Provider, namespace};
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
    /// The first seed.
    pub seed: u64,
    /// How many seeds are tried.
    pub seeds: usize,
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
#[error("{problem}")]
pub struct PredictError {
    problem: String,
}

impl PredictError {
    fn new(problem: impl ToString) -> Self {
        Self { problem: problem.to_string() }
    }
}

/// Tries all seeds, on so many threads; the prediction does not depend on how many. The error is that of the first seed that has one.
pub fn predict(options: &PredictOptions, threads: NonZeroUsize) -> Result<Prediction, PredictError> {
    let next = AtomicUsize::new(0);
    let tried: Mutex<Vec<(usize, Result<History, PredictError>)>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads.get().min(options.seeds) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= options.seeds {
                        return;
                    }
                    let history = simulate(options.seed.wrapping_add(index as u64), options);
                    if history.is_err() {
                        // The others would most likely say the same.
                        next.store(options.seeds, Ordering::Relaxed);
                    }
                    tried.lock().unwrap_or_else(PoisonError::into_inner).push((index, history));
                }
            });
        }
    });
    let mut tried = tried.into_inner().unwrap_or_else(PoisonError::into_inner);
    tried.sort_by_key(|(index, _)| *index);
    let histories = tried.into_iter().map(|(_, history)| history).collect::<Result<_, _>>()?;
    Ok(Prediction::new(options.version.to_string(), options.span, histories))
}

/// One seed, on a runtime of its own whose clock jumps from timer to timer.
fn simulate(seed: u64, options: &PredictOptions) -> Result<History, PredictError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.map_err(PredictError::new)?.block_on(async {
        let PredictOptions { version, workloads, nodes, .. } = options;
        let simulated = SimOptions { run_id: NAME.to_owned(), seed, version: *version, workloads: workloads.clone() };
        let mut provider = SimProvider::new(simulated);
        let needs = Needs { nodes: *nodes, ..Needs::default() };
        let cluster = provider.provision(&needs, &|_| {}).await.map_err(PredictError::new)?;
        apply_and_look(seed, &cluster, options).await
    })
}

async fn apply_and_look(seed: u64, cluster: &Cluster, options: &PredictOptions) -> Result<History, PredictError> {
    let client = &cluster.client;
    let namespace = namespace::create(client, NAME, NAME, NAMESPACE_LIMIT).await.map_err(PredictError::new)?;
    let clock = cluster.clock.restarted();
    let pods = [("v1".to_owned(), "Pod".to_owned())];
    let mut observer = Observer::start(client.clone(), clock, &namespace, &pods).await.map_err(PredictError::new)?;
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
                ActionResult::Failed { error } => return Err(PredictError { problem: format!("the manifests could not be applied: {error}") }),
                _ => has_acted = true,
            },
            Some(entry) = observer.next() => recorder.take(&entry, start.get()),
            () = clock.sleep_until(end), if has_acted => return Ok(recorder.finish(seed)),
        }
    }
}
