//! The provider of an existing cluster: a kubeconfig context that the user names.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, Client};

use super::state::{Claim, Record, StateDir, Subject};
use super::{Cluster, Needs, Provider, ProvisionError, connect, phase, ready};
use crate::clock::Clock;
use crate::errors::words;
use crate::progress::Progress;
use crate::report::ClusterFacts;

/// How long the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Which context, and how the run is called.
#[derive(Clone, Debug)]
pub struct ContextOptions {
    /// The context's name.
    pub context: String,
    /// The kubeconfig file; if none, those that `KUBECONFIG` names, or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// Where labproof remembers that it makes namespaces there.
    pub state: StateDir,
    /// The id of this run.
    pub run_id: String,
}

/// An existing cluster. Its kubeconfig is only read, and nothing in the cluster is removed: the namespaces of scenarios are the
/// run's own affair.
#[derive(Debug)]
pub struct ContextProvider {
    options: ContextOptions,
    claim: Option<Claim>,
}

impl ContextProvider {
    /// A provider of that context.
    pub fn new(options: ContextOptions) -> Self {
        Self { options, claim: None }
    }
}

impl Provider for ContextProvider {
    async fn provision(&mut self, needs: &Needs, progress: &dyn Fn(Progress)) -> Result<Cluster, ProvisionError> {
        let options = &self.options;
        let client = client(&options.context, options.kubeconfig.clone()).await?;
        let kubernetes =
            phase(progress, format!("Connecting to the context {}", options.context), ready::api(&client, ANSWER)).await?;
        check_nodes(&client, needs.nodes, progress).await?;
        let clock = Clock::from_wall_clock();
        let subject = Subject::Namespaces { context: options.context.clone() };
        let record = Record::new(&options.run_id, clock.epoch().to_string(), subject);
        self.claim = Some(options.state.claim(&record_name(&options.run_id), record)?);
        let facts = ClusterFacts {
            provider: "context".to_owned(),
            name: options.context.clone(),
            kubernetes,
            node_image: None,
            stand_ins: Vec::new(),
        };
        Ok(Cluster { client, clock, facts, kubeconfig: options.kubeconfig.clone(), run_id: options.run_id.clone() })
    }

    async fn tear_down(&mut self, _keep: bool, _progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        match self.claim.take() {
            Some(claim) => Ok(claim.forget()?),
            None => Ok(()),
        }
    }
}

/// What the state directory calls the namespaces of a run.
pub(crate) fn record_name(run: &str) -> String {
    format!("context-{run}")
}

/// A client for a context of a kubeconfig file, or of the user's own kubeconfig.
pub async fn client(context: &str, kubeconfig: Option<PathBuf>) -> Result<Client, ProvisionError> {
    let read = match &kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = read.map_err(|error| {
        ProvisionError::new(format!("the kubeconfig cannot be read: {error}"), "name a file with --kubeconfig, or set KUBECONFIG")
    })?;
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    if !names.contains(&context) {
        return Err(no_such_context(context, &names));
    }
    connect::client(kubeconfig, Some(context)).await
}

fn no_such_context(context: &str, names: &[&str]) -> ProvisionError {
    let near = names.iter().max_by(|a, b| strsim::jaro_winkler(context, a).total_cmp(&strsim::jaro_winkler(context, b)));
    let hint = match near {
        Some(near) if strsim::jaro_winkler(context, near) > 0.8 => format!("did you mean `{near}`?"),
        Some(_) => format!("the kubeconfig has: {}", names.join(", ")),
        None => "the kubeconfig has no contexts at all".to_owned(),
    };
    ProvisionError::new(format!("the kubeconfig has no context `{context}`"), hint)
}

async fn check_nodes(client: &Client, needed: u32, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
    match Api::<Node>::all(client.clone()).list_metadata(&ListParams::default()).await {
        Ok(nodes) if nodes.items.len() < needed as usize => Err(ProvisionError::new(
            format!("the cluster has {} nodes, and the scenarios need {needed}", nodes.items.len()),
            "leave those scenarios out with --filter, or run them with --on kind",
        )),
        Ok(_) => Ok(()),
        Err(error) => {
            progress(Progress::Warning(format!("the cluster's nodes cannot be counted: {}", words(&error))));
            Ok(())
        }
    }
}
