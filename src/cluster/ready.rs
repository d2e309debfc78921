//! When a fresh cluster can be used.

use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use tokio::time::timeout;

use super::connect::Server;
use super::namespace;
use super::watch::{Unreached, is_final, is_refusal, until};
use super::{ProvisionError, namespace::NamespaceError};
use crate::errors::words;

/// The wait after an attempt that came to nothing.
const PAUSE: Duration = Duration::from_millis(200);

/// An API server that may just be starting is ready; before that it may refuse everything. Returns its version, such as `v1.37.2`.
pub(super) async fn started(server: &Server, limit: Duration) -> Result<String, ProvisionError> {
    answered(
        server,
        limit,
        |_| false,
        async |client| {
            let readiness = Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
            client.request_text(readiness).await?;
            Ok(client.apiserver_version().await?.git_version)
        },
    )
    .await
}

/// An API server that is there answers. Returns its version.
pub(super) async fn version(server: &Server, limit: Duration) -> Result<String, ProvisionError> {
    let is_told = |error: &kube::Error| is_final(error) || is_refusal(error);
    answered(server, limit, is_told, async |client| Ok(client.apiserver_version().await?.git_version)).await
}

async fn answered(
    server: &Server,
    limit: Duration,
    is_told: impl Fn(&kube::Error) -> bool,
    ask: impl AsyncFn(&Client) -> Result<String, kube::Error>,
) -> Result<String, ProvisionError> {
    let Server { client, address } = server;
    let mut last = "nothing".to_owned();
    let answer = timeout(limit, async {
        loop {
            match ask(client).await {
                Err(error) if !is_told(&error) => last = words(&error),
                other => return other,
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    let answer = answer.await;
    match answer {
        Ok(Ok(version)) => Ok(version),
        Ok(Err(error)) => Err(ProvisionError::new(
            format!("the API server {address} refuses to tell its version: {}", words(&error)),
            "check your rights in the cluster",
        )),
        Err(_) => Err(ProvisionError::new(
            format!("the API server {address} was not ready within {limit:?}; the last attempt came to: {last}"),
            "see that the cluster runs and can be reached from here",
        )),
    }
}

/// What a node bears until the control plane has taken in that it is Ready (`pkg/controller/nodelifecycle`).
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// So many nodes are there, and all are Ready and free of the taint that they start with: a Pod that comes while a node bears it
/// is to be evicted, and when the taint goes it gets an event that this was cancelled.
pub(super) async fn nodes(client: &Client, count: u32, limit: Duration) -> Result<(), ProvisionError> {
    let mut seen = "no node was seen".to_owned();
    let ready = until(Api::<Node>::all(client.clone()), None, limit, |nodes| {
        let waiting: Vec<String> = nodes.values().filter_map(not_ready).collect();
        seen = match waiting.as_slice() {
            [] => format!("{} of {count} nodes are there", nodes.len()),
            some => some.join("; "),
        };
        (nodes.len() >= count as usize && waiting.is_empty()).then_some(())
    });
    match ready.await {
        Ok(()) => Ok(()),
        Err(Unreached::Refused(error)) => {
            Err(ProvisionError::new(format!("cannot watch the nodes: {}", words(&error)), "check your rights in the cluster"))
        }
        Err(Unreached::TimedOut) => Err(ProvisionError::new(
            format!("the nodes were not Ready within {limit:?}: {seen}"),
            "this machine may be too busy, or short of memory, disk space or inotify watches; `labproof doctor` looks",
        )),
    }
}

/// Why the node is not Ready yet.
fn not_ready(node: &Node) -> Option<String> {
    let name = node.metadata.name.as_deref().unwrap_or("?");
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    match conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => {
            let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
            taints.iter().any(|taint| taint.key == NOT_READY).then(|| format!("{name}: Ready, but still tainted {NOT_READY}"))
        }
        Some(ready) => Some(format!("{name}: {}", ready.message.as_deref().or(ready.reason.as_deref()).unwrap_or("not Ready"))),
        None => Some(format!("{name}: its kubelet has not reported yet")),
    }
}

/// A fresh namespace gets its default service account: the controllers run. The namespace's removal is only begun.
pub(super) async fn service_accounts(client: &Client, run: &str, limit: Duration) -> Result<(), ProvisionError> {
    let made = namespace::create(client, "labproof-ready", run, limit).await;
    let removed = namespace::begin_removal(client, &namespace::name("labproof-ready", run), run, limit).await;
    made.and(removed).map(drop).map_err(|error: NamespaceError| {
        ProvisionError::new(
            format!("the cluster does not make usable namespaces: {error}"),
            "look at kube-controller-manager's log in the cluster",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use http::Response;
    use kube::client::Body;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    /// An API server that answers with these codes, one after the other; its version is `v1`.
    fn server(codes: &[u16]) -> Server {
        let codes = Arc::new(Mutex::new(codes.iter().copied().collect::<VecDeque<u16>>()));
        let service = tower::service_fn(move |request: Request<Body>| {
            let code = codes.lock().expect("no test panics with it").pop_front().expect("no further request is made");
            let body = match (code, request.uri().path()) {
                (200, "/readyz") => "ok".to_owned(),
                (200, _) => {
                    let fields = [
                        "major",
                        "minor",
                        "gitVersion",
                        "gitCommit",
                        "gitTreeState",
                        "buildDate",
                        "goVersion",
                        "compiler",
                        "platform",
                    ];
                    json!(fields.map(|field| (field, "v1")).into_iter().collect::<std::collections::BTreeMap<_, _>>()).to_string()
                }
                _ => json!({"kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "No"}).to_string(),
            };
            let answer = Response::builder().status(code).body(Body::from(body.into_bytes()));
            std::future::ready(answer.map_err(std::io::Error::other))
        });
        Server { client: Client::new(service, "default"), address: "https://a:6443".to_owned() }
    }

    #[rstest]
    #[case::ready("True", &[], None)]
    #[case::not_for_workloads("True", &["node-role.kubernetes.io/control-plane"], None)]
    #[case::taint_not_lifted("True", &[NOT_READY], Some("n: Ready, but still tainted node.kubernetes.io/not-ready"))]
    #[case::starting("False", &[NOT_READY], Some("n: no network"))]
    fn a_node_is_ready_when_the_control_plane_knows(
        #[case] ready: &str,
        #[case] taints: &[&str],
        #[case] waited_for: Option<&str>,
    ) {
        let taints: Vec<_> = taints.iter().map(|key| json!({"key": key, "effect": "NoExecute"})).collect();
        let conditions = json!([{"type": "Ready", "status": ready, "message": "no network"}]);
        let node = json!({"metadata": {"name": "n"}, "spec": {"taints": taints}, "status": {"conditions": conditions}});
        assert_eq!(not_ready(&serde_json::from_value(node).expect("a node")).as_deref(), waited_for);
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_starts_refuses_everything_for_a_while() {
        let limit = Duration::from_secs(10);
        assert_eq!(started(&server(&[401, 403, 500, 200, 200]), limit).await.expect("it starts"), "v1");
        let refused = version(&server(&[403]), limit).await.expect_err("one that is there means it");
        assert_eq!(refused.problem, "the API server https://a:6443 refuses to tell its version: no (403)");
    }
}
