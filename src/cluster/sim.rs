//! A Kubernetes that is simulated inside this process.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kubesim::{EPOCH, Random, Version};
use workload::Workloads;

use super::{Cluster, Needs, Provider, ProvisionError, phase};
use crate::clock::Clock;
use crate::errors::itself_failed;
use crate::progress::Progress;
use crate::report::ClusterFacts;

/// Which cluster is simulated.
#[derive(Clone, Debug, Default)]
pub struct SimOptions {
    /// One seed is one history; other seeds are others that a reader may see.
    pub seed: u64,
    /// The version of Kubernetes.
    pub version: Version,
    /// The images that exist, and what they do.
    pub workloads: Workloads,
}

/// Simulates a cluster on the current runtime: in no time at all where its clock is paused.
#[derive(Debug)]
pub struct SimProvider {
    options: SimOptions,
    cluster: Option<kubesim::Cluster>,
}

impl SimProvider {
    /// A provider that has not made anything yet.
    pub fn new(options: SimOptions) -> Self {
        Self { options, cluster: None }
    }
}

/// Runs to the end on a runtime whose clock jumps from timer to timer. It has no I/O: a stray socket panics instead of making time lie.
///
/// # Errors
/// If the runtime cannot be made.
pub fn in_virtual_time<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(work))
}

/// Does the work once for each seed, on as many threads as there are cores; gives what came of it in the order of the seeds, however
/// the threads ran.
///
/// # Errors
/// That of the first seed that has one; no further seeds are begun then.
pub fn each_seed<T: Send, E: Send>(seeds: Range<u64>, work: &(dyn Fn(u64) -> Result<T, E> + Sync)) -> Result<Vec<T>, E> {
    let next = AtomicU64::new(seeds.start);
    let done = Mutex::new(BTreeMap::new());
    let work_on = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let result = work(seed);
            if result.is_err() {
                next.store(seeds.end, Ordering::Relaxed);
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, result);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work_on))));
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// The time of day at which a seed's history begins: any, to the millisecond, as what is scheduled comes at any time after an apply.
fn epoch(seed: u64) -> Timestamp {
    let offset = Random::from_seed(seed).fork("epoch").between(Duration::ZERO..Duration::from_hours(24));
    let milliseconds = i64::try_from(offset.as_millis()).unwrap_or_default();
    EPOCH + SignedDuration::from_millis(milliseconds)
}

impl Provider for SimProvider {
    async fn provision(&mut self, needs: &Needs, progress: &dyn Fn(Progress)) -> Result<Cluster, ProvisionError> {
        let SimOptions { seed, version, workloads } = &self.options;
        let nodes = usize::try_from(needs.nodes).unwrap_or(usize::MAX);
        let builder =
            kubesim::Cluster::builder().nodes(nodes).version(*version).seed(*seed).epoch(epoch(*seed)).workloads(workloads.clone());
        let simulated = self.cluster.insert(builder.build());
        let problem = |problem: String| ProvisionError { problem, hint: None };
        let ready = async {
            tokio::select! {
                biased;
                died = simulated.died() => Err(problem(itself_failed(&died.to_string()))),
                ready = simulated.ready() => ready.map_err(|error| problem(error.to_string())),
            }
        };
        phase(progress, format!("Simulating Kubernetes {version} with seed {seed}"), ready).await?;
        let stand_ins = needs.images.iter().filter(|image| workloads.get(image).is_some()).cloned().collect();
        let facts = ClusterFacts {
            provider: "sim".to_owned(),
            name: format!("seed {seed}"),
            kubernetes: version.to_string(),
            node_image: None,
            stand_ins,
        };
        let clock = Clock::with_epoch(simulated.clock().now());
        Ok(Cluster { client: simulated.client(), clock, facts, kubeconfig: None, run_id: format!("seed-{seed}") })
    }

    async fn failed(&self) -> String {
        match &self.cluster {
            Some(cluster) => cluster.died().await.to_string(),
            None => std::future::pending().await,
        }
    }

    async fn tear_down(&mut self, _keep: bool, _progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        self.cluster = None;
        Ok(())
    }
}
