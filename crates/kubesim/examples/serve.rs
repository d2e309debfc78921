//! Serves a simulated cluster on a port of its own, at ten times the speed of real time, until it is interrupted:
//!
//! ```text
//! cargo run -p kubesim --features serve --example serve -- kubeconfig.yaml
//! kubectl --kubeconfig kubeconfig.yaml get nodes
//! ```

use kubesim::{Cluster, Server};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name the kubeconfig file to write")?;
    let mut workloads = workload::Workloads::new();
    for workload in std::env::args().skip(2) {
        workloads.insert(workload::Workload::from_yaml(&std::fs::read_to_string(workload)?)?);
    }
    // Programs compare the times of objects with the clock of the machine that they run on.
    let epoch = k8s_openapi::jiff::Timestamp::now();
    let cluster = Cluster::builder().nodes(2).speed(10.0).epoch(epoch).workloads(workloads).build();
    let server = Server::https(TcpListener::bind("127.0.0.1:0").await?)?;
    std::fs::write(&file, server.kubeconfig("kubesim"))?;
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {}
        served = server.serve(cluster.api().http()) => served?,
    }
    Ok(())
}
