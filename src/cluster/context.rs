//! The provider of an existing cluster: a kubeconfig context that the user names.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, Client};

use super::connect::Server;
use super::state::{Claim, NamespacesRecord, Record, StateDir, Subject};
use super::watch::persist;
use super::{Cluster, Needs, Provider, ProvisionError, connect, namespace, phase, ready};
use crate::clock::Clock;
use crate::errors::{chain, words};
use crate::progress::{Kept, Progress};
use crate::report::ClusterFacts;
use crate::report::text::count;

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
/// run's own affair. Those that the run has left, on purpose or not, stay recorded.
pub struct ContextProvider {
    options: ContextOptions,
    used: Option<Used>,
}

/// What a run may have left there.
struct Used {
    claim: Claim,
    client: Client,
}

impl ContextProvider {
    /// A provider of that context.
    pub fn new(options: ContextOptions) -> Self {
        Self { options, used: None }
    }
}

impl Provider for ContextProvider {
    async fn provision(&mut self, needs: &Needs, progress: &dyn Fn(Progress)) -> Result<Cluster, ProvisionError> {
        let options = &self.options;
        let server = server(&options.context, options.kubeconfig.clone()).await?;
        let kubernetes =
            phase(progress, format!("Connecting to the context {}", options.context), ready::version(&server, ANSWER)).await?;
        let client = server.client;
        check_nodes(&client, needs.nodes, progress).await?;
        let clock = Clock::from_wall_clock();
        let namespaces = NamespacesRecord {
            context: options.context.clone(),
            kubeconfig: options.kubeconfig.as_deref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned())),
            cluster: cluster_uid(&client).await,
            kept: false,
        };
        let record = Record::new(&options.run_id, clock.epoch().to_string(), Subject::Namespaces(namespaces));
        let claim = options.state.claim(&record_name(&options.run_id), record)?;
        self.used = Some(Used { claim, client: client.clone() });
        let facts = ClusterFacts {
            provider: "context".to_owned(),
            name: options.context.clone(),
            kubernetes,
            node_image: None,
            stand_ins: Vec::new(),
        };
        Ok(Cluster { client, clock, facts, kubeconfig: options.kubeconfig.clone(), run_id: options.run_id.clone() })
    }

    /// Forgets the run if none of its namespaces is left; they are removed one by one, before.
    async fn tear_down(&mut self, keep: bool, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        let Some(Used { claim, client }) = &mut self.used else { return Ok(()) };
        let Some(record) = claim.namespaces().cloned() else { return Ok(()) };
        let left =
            persist(ANSWER, async || namespace::made_by(client, Some(&self.options.run_id)).await).await.map_err(|error| {
                let (context, why) = (&record.context, words(&error));
                let problem = format!("cannot tell whether namespaces of this run are left in the context {context}: {why}");
                ProvisionError::new(problem, format!("look for them: labproof clean {}", record.clean_options()))
            })?;
        let namespaces: Vec<String> = left.into_iter().filter_map(|metadata| metadata.name).collect();
        if namespaces.is_empty() {
            return self.used.take().map_or(Ok(()), |used| Ok(used.claim.forget()?));
        }
        // What could not be removed is found by `clean`.
        if keep {
            claim.keep_namespaces()?;
            progress(Progress::Kept(Box::new(kept(&record, namespaces))));
        }
        self.used = None;
        Ok(())
    }
}

fn kept(record: &NamespacesRecord, namespaces: Vec<String>) -> Kept {
    let kubeconfig = record.kubeconfig.as_ref().map(|file| format!(" --kubeconfig {}", file.display())).unwrap_or_default();
    Kept {
        what: format!("namespaces in the context {}", record.context),
        kubectl: format!("kubectl{kubeconfig} --context {}", record.context),
        namespaces,
        removal: format!("labproof clean --kept {}", record.clean_options()),
    }
}

/// What tells the cluster from others; none if it may not be read.
pub(crate) async fn cluster_uid(client: &Client) -> Option<String> {
    Api::<Namespace>::all(client.clone()).get_metadata("kube-system").await.ok()?.metadata.uid
}

/// What the state directory calls the namespaces of a run.
pub(crate) fn record_name(run: &str) -> String {
    format!("context-{run}")
}

/// A client for a context of a kubeconfig file, or of the user's own kubeconfig.
pub async fn client(context: &str, kubeconfig: Option<PathBuf>) -> Result<Client, ProvisionError> {
    Ok(server(context, kubeconfig).await?.client)
}

async fn server(context: &str, kubeconfig: Option<PathBuf>) -> Result<Server, ProvisionError> {
    let read = match &kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = read.map_err(|error| {
        ProvisionError::new(
            format!("the kubeconfig cannot be read: {}", chain(&error)),
            "name a file with --kubeconfig, or set KUBECONFIG",
        )
    })?;
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    if !names.contains(&context) {
        return Err(no_such_context(context, &names));
    }
    connect::server(kubeconfig, Some(context)).await
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
            format!("the cluster has {}, and the scenarios need {needed}", count(nodes.items.len(), "node")),
            "leave those scenarios out with --filter, or run them with --on kind",
        )),
        Ok(_) => Ok(()),
        Err(error) => {
            progress(Progress::Warning(format!("the cluster's nodes cannot be counted: {}", words(&error))));
            Ok(())
        }
    }
}
