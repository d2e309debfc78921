//! Clients of API servers.

use std::time::Duration;

use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use super::ProvisionError;
use crate::errors::chain;

/// An API server.
pub(crate) struct Server {
    pub(crate) client: kube::Client,
    /// Its URL.
    pub(crate) address: String,
}

/// The API server of a context of a kubeconfig; of its current context if none is named.
///
/// The client has no limit for reading, which would cut off long watches, and does not repeat requests by itself: kube's own
/// repetition (429, 503 and 504, fifteen times, with pauses of up to 1000 s) would hide what the API server answers.
pub(crate) async fn server(kubeconfig: Kubeconfig, context: Option<&str>) -> Result<Server, ProvisionError> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(&error))?;
    config.default_retry = false;
    config.read_timeout = None;
    config.connect_timeout = Some(Duration::from_secs(10));
    let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = kube::Client::try_from(config).map_err(|error| unusable(&error))?;
    Ok(Server { client, address })
}

fn unusable(error: &dyn std::error::Error) -> ProvisionError {
    ProvisionError::new(format!("the kubeconfig cannot be used: {}", chain(error)), "see that `kubectl` works with it")
}
