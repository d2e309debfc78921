//! Many histories of a server that turns unhealthy and is restarted: prints how long one takes, from the building of its
//! cluster to its end after three minutes.
//!
//! ```text
//! cargo run --release -p kubesim --example histories -- 1000
//! ```

use std::{pin::pin, time::Duration};

use futures::StreamExt;
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api,
    api::{PostParams, WatchParams},
};
use kubesim::Cluster;
use serde_json::json;
use workload::{Workload, Workloads};

const SERVER: &str = "{image: 'server:1', listen: {port: 8080}, http: {/: [{until: 10s, body: OK}, {status: 503}]}}";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds: u32 = std::env::args().nth(1).map_or(Ok(100), |count| count.parse())?;
    let workloads: Workloads = [Workload::from_yaml(SERVER)?].into_iter().collect();
    let start = Timestamp::now();
    let mut rows = 0;
    for seed in 0..seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        rows += runtime.block_on(run(u64::from(seed), workloads.clone()))?;
    }
    let taken: Duration = Timestamp::now().duration_since(start).unsigned_abs();
    #[allow(clippy::print_stdout)]
    {
        println!("{seeds} histories with {rows} changes took {taken:.1?}, {:.2?} each", taken / seeds.max(1));
    }
    Ok(())
}

async fn run(seed: u64, workloads: Workloads) -> Result<usize, Box<dyn std::error::Error>> {
    let cluster = Cluster::builder().seed(seed).workloads(workloads).build();
    cluster.ready().await?;
    let api: Api<Pod> = Api::default_namespaced(cluster.client());
    let probe = json!({"httpGet": {"port": 8080}, "initialDelaySeconds": 5, "periodSeconds": 5});
    let container = json!({"name": "c", "image": "server:1", "livenessProbe": probe});
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}});
    api.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let clock = cluster.clock();
    let changes = api.watch(&WatchParams::default(), "0").await?;
    let mut changes = pin!(changes.take_until(clock.sleep(Duration::from_mins(3))));
    let mut rows = 0;
    while changes.next().await.is_some() {
        rows += 1;
    }
    Ok(rows)
}
