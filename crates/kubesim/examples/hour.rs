//! An hour of a cluster with as many Pods as named (300), of which every tenth crash-loops: prints how long that takes.
//! There are three nodes, and for more than 300 Pods one for each hundred, since a node takes 110.
//!
//! ```text
//! cargo run --release -p kubesim --example hour -- 300
//! ```

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use kubesim::Cluster;
use serde_json::json;
use workload::{Workload, Workloads};

const SERVER: &str = "{image: 'server:1', listen: {port: 8080}, http: {/: [{body: OK}]}}";
const CRASHING: &str = "{image: 'crashing:1', timers: [{after: 3s, exit: 1}]}";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pods: usize = std::env::args().nth(1).map_or(Ok(300), |count| count.parse())?;
    let start = k8s_openapi::jiff::Timestamp::now();
    let restarts = hour(pods)?;
    let taken = k8s_openapi::jiff::Timestamp::now().duration_since(start);
    #[allow(clippy::print_stdout)]
    {
        println!("one hour of {pods} Pods with {restarts} restarts took {taken:.1?}");
    }
    Ok(())
}

/// Simulates it; gives how often containers were restarted.
pub(crate) fn hour(pods: usize) -> Result<i32, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let workloads: Workloads = [Workload::from_yaml(SERVER)?, Workload::from_yaml(CRASHING)?].into_iter().collect();
    runtime.block_on(run(pods, workloads))
}

async fn run(pods: usize, workloads: Workloads) -> Result<i32, Box<dyn std::error::Error>> {
    let cluster = Cluster::builder().nodes((pods / 100).max(3)).workloads(workloads).build();
    cluster.ready().await?;
    let api: Api<Pod> = Api::default_namespaced(cluster.client());
    for index in 0..pods {
        let container = if index % 10 == 0 {
            json!({"name": "c", "image": "crashing:1"})
        } else {
            json!({"name": "c", "image": "server:1", "readinessProbe": {"httpGet": {"port": 8080}}})
        };
        let tolerations = json!([{"operator": "Exists"}]);
        let pod =
            json!({"metadata": {"name": format!("pod-{index}")}, "spec": {"containers": [container], "tolerations": tolerations}});
        api.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    }
    cluster.clock().sleep(Duration::from_hours(1)).await;
    let statuses = api.list(&ListParams::default()).await?.items.into_iter().filter_map(|pod| pod.status);
    Ok(statuses.flat_map(|status| status.container_statuses.unwrap_or_default()).map(|status| status.restart_count).sum())
}
