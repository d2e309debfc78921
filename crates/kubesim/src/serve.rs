//! Serving the API over TCP, in plain HTTP, for `kubectl` and other programs.

use std::net::SocketAddr;

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::HttpService;

/// Serves the API to whoever connects, until the future is dropped; its connections end with it.
///
/// # Errors
/// If no more connections can be accepted.
pub async fn serve(listener: TcpListener, service: HttpService) -> std::io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let service = TowerToHyperService::new(service.clone());
                connections.spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    if let Err(error) = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
                        tracing::debug!(%error, "a connection broke off");
                    }
                });
            }
        }
    }
}

/// A kubeconfig file that leads to a cluster served at `address`, in which it is the current context `name`.
pub fn kubeconfig(name: &str, address: SocketAddr) -> String {
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    });
    // JSON is YAML, and a document of strings and lists can always be written as either.
    serde_yaml::to_string(&config).unwrap_or_else(|_| config.to_string())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::{Api, Client, Config};

    use super::*;
    use crate::Cluster;

    #[tokio::test]
    async fn a_client_connects_over_tcp() {
        let cluster = Cluster::builder().nodes(0).speed(10.0).build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _server = tokio::spawn(serve(listener, cluster.api().http()));
        let client = Client::try_from(Config::new(format!("http://{address}").parse().unwrap())).unwrap();
        let namespaces: Api<Namespace> = Api::all(client);
        assert_eq!(namespaces.list(&kube::api::ListParams::default()).await.unwrap().items.len(), 4);
        assert!(kubeconfig("sim", address).contains(&format!("server: http://{address}")));
    }
}
