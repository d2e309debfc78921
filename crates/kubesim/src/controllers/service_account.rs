//! What every namespace has: the service account `default` and the config map `kube-root-ca.crt`
//! (`pkg/controller/serviceaccount/serviceaccounts_controller.go`, `certificates/rootcacertpublisher/publisher.go`).

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership,
    replicaset::is_namespace_terminating,
    workqueue::WorkQueue,
};
use crate::{Component, Delta, LoopbackClient, StatusError, loopback::Kind, selector::Selection};

const SERVICE_ACCOUNT: &str = "default";
const ROOT_CA: &str = "kube-root-ca.crt";

/// The cluster's certificate authority: a certificate in form only, which nobody verifies.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\na3ViZXNpbTogYSBzaW11bGF0ZWQgS3ViZXJuZXRlcyBoYXMgbm8gY2VydGlmaWNhdGVz\n-----END CERTIFICATE-----\n";

/// What says why the config map is there (`publisher.go`).
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
                           internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes \
                           clusters.";

/// Runs the controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let controller = ServiceAccountController {
        namespaces: Source::new(component.client.informer(Selection::all())?),
        accounts: Source::new(component.client.informer(Selection::all().field("metadata.name", SERVICE_ACCOUNT))?),
        maps: Source::new(component.client.informer(Selection::all().field("metadata.name", ROOT_CA))?),
        client: Arc::new(component.client),
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct ServiceAccountController {
    namespaces: Source<Namespace>,
    accounts: Source<ServiceAccount>,
    maps: Source<ConfigMap>,
    client: Arc<LoopbackClient>,
}

impl Controller for ServiceAccountController {
    /// The name of a namespace.
    type Item = String;

    fn catch_up(&mut self, queue: &mut WorkQueue<String>) {
        for delta in self.namespaces.changes() {
            queue.add(ownership::name(&delta.object().metadata).to_owned());
        }
        for delta in self.accounts.changes() {
            if let Delta::Deleted(account) = delta {
                queue.add(ownership::namespace(&account.metadata).to_owned());
            }
        }
        for delta in self.maps.changes() {
            if !matches!(delta, Delta::Added(_)) {
                queue.add(ownership::namespace(&delta.object().metadata).to_owned());
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.namespaces.changed() => {}
            () = self.accounts.changed() => {}
            () = self.maps.changed() => {}
        }
    }

    fn reconcile(&mut self, namespace: &String) -> BoxFuture<'static, Outcome> {
        let alive = self.namespaces.get("", namespace).is_some_and(|object| object.metadata.deletion_timestamp.is_none());
        let has_account = self.accounts.cache().get(namespace, SERVICE_ACCOUNT).is_some();
        let map = self.maps.get(namespace, ROOT_CA);
        let (client, namespace) = (Arc::clone(&self.client), namespace.clone());
        async move {
            if !alive {
                return Ok(None);
            }
            if !has_account {
                let account = ServiceAccount { metadata: meta(&namespace, SERVICE_ACCOUNT), ..ServiceAccount::default() };
                create(&client, &account).await?;
            }
            publish(&client, &namespace, map.as_deref()).await?;
            Ok(None)
        }
        .boxed()
    }
}

/// Writes the certificate, again if somebody has changed it.
async fn publish(client: &LoopbackClient, namespace: &str, known: Option<&ConfigMap>) -> Result<(), StatusError> {
    let data = [("ca.crt".to_owned(), CERTIFICATE.to_owned())].into();
    let mut metadata = meta(namespace, ROOT_CA);
    metadata.annotations = Some([("kubernetes.io/description".to_owned(), DESCRIPTION.to_owned())].into());
    let wanted = ConfigMap { metadata, data: Some(data), ..ConfigMap::default() };
    match known {
        None => create(client, &wanted).await,
        Some(map) if map.data == wanted.data => Ok(()),
        Some(_) => client.update(&wanted).await.map(drop),
    }
}

async fn create<K: Kind>(client: &LoopbackClient, object: &K) -> Result<(), StatusError> {
    match client.create(object).await {
        Err(error) if error.is_already_exists() || is_namespace_terminating(&error) => Ok(()),
        other => other.map(drop),
    }
}

fn meta(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(namespace.to_owned()), name: Some(name.to_owned()), ..ObjectMeta::default() }
}
