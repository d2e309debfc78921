//! The provider that makes clusters with `kind`: <https://kind.sigs.k8s.io>.

mod config;
mod create;
pub(crate) mod delete;
pub(crate) mod docker;
mod output;
pub(crate) mod preflight;
mod reuse;
mod stand_ins;

pub use stand_ins::load_into;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::config::Kubeconfig;

use self::create::Creation;
use self::docker::Docker;
use super::command::Programs;
use super::state::{Claim, KindRecord, KindWish, Record, Stage, StateDir, Subject};
use super::{Cluster, Needs, Provider, ProvisionError, connect, namespace, phase, ready};
use crate::clock::Clock;
use crate::errors::chain;
use crate::images::StandIns;
use crate::progress::{Kept, Progress};
use crate::report::ClusterFacts;

/// How long a fresh API server may take to answer, the nodes to be Ready, the controllers to serve a namespace.
const API_LIMIT: Duration = Duration::from_mins(1);
const NODES_LIMIT: Duration = Duration::from_mins(4);
const CONTROLLERS_LIMIT: Duration = Duration::from_mins(1);

/// What kind of cluster is made, and with what.
#[derive(Debug)]
pub struct KindOptions {
    /// Where `docker` and `kind` are.
    pub programs: Programs,
    /// Where labproof remembers what it makes.
    pub state: StateDir,
    /// The id of this run.
    pub run_id: String,
    /// The cluster's name; `labproof-` and the run's id if none.
    pub cluster_name: Option<String>,
    /// The node image; kind's default if none.
    pub node_image: Option<String>,
    /// A kind config file, into which the node count and labels are merged.
    pub config: Option<PathBuf>,
    /// Use a cluster that an earlier run kept, if there is one like this.
    pub reuse: bool,
    /// The stand-in images that are side-loaded, if any.
    pub stand_ins: Option<StandIns>,
}

/// Makes, uses and deletes a kind cluster.
pub struct KindProvider {
    options: KindOptions,
    made: Option<Made>,
}

/// What this provider is answerable for.
struct Made {
    claim: Claim,
    /// As long as kind is at work on it.
    creation: Option<Creation>,
    /// A client, once the cluster is ready.
    client: Option<kube::Client>,
}

impl KindOptions {
    /// Looks at what can be told before anything is made: the name, and the kind config for so many nodes.
    pub fn check(&self, needs: &Needs) -> Result<(), ProvisionError> {
        preflight::check_name(&self.name())?;
        self.config_for(&self.wish(needs)?).map(drop)
    }

    fn name(&self) -> String {
        self.cluster_name.clone().unwrap_or_else(|| format!("labproof-{}", self.run_id))
    }

    fn wish(&self, needs: &Needs) -> Result<KindWish, ProvisionError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| {
                ProvisionError::new(format!("the kind config {} cannot be read: {error}", path.display()), "name another file")
            })
        };
        let config = self.config.as_ref().map(read).transpose()?;
        // An empty variable of the environment is as good as none.
        let node_image = self.node_image.clone().filter(|image| !image.is_empty());
        Ok(KindWish { node_image, nodes: needs.nodes.max(1), config })
    }

    fn config_for(&self, wish: &KindWish) -> Result<config::Merged, ProvisionError> {
        config::merge(wish.config.as_deref(), wish.nodes, &self.run_id).map_err(|error| {
            let file = self.config.as_deref().unwrap_or(Path::new("")).display();
            ProvisionError::new(
                format!("the kind config {file} cannot be used: {error}"),
                "see https://kind.sigs.k8s.io/docs/user/configuration/",
            )
        })
    }
}

impl KindProvider {
    /// A provider that has not made anything yet.
    pub fn new(options: KindOptions) -> Self {
        Self { options, made: None }
    }

    async fn create(&mut self, wish: KindWish, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        let options = &self.options;
        let name = options.name();
        let config = options.config_for(&wish)?;
        if let Some(other) = config.name.filter(|other| *other != name) {
            progress(Progress::Warning(format!("the name `{other}` in the kind config is not used: the cluster is called {name}")));
        }
        // A name in our own records gets a better message from the claim.
        if !options.state.names()?.contains(&name) {
            preflight::check_name_is_free(&options.programs, &name).await?;
        }
        let image = wish.node_image.clone();
        let record = KindRecord { wish, stage: Stage::Creating, loaded: None };
        let made = Clock::from_wall_clock().epoch().to_string();
        let claim = options.state.claim(&name, Record::new(&options.run_id, made, Subject::Kind(record)))?;

        let made = self.made.insert(Made { claim, creation: None, client: None });
        let creation = Creation::start(&options.programs, &made.claim, image.as_deref(), &config.text)?;
        let creation = made.creation.insert(creation);
        match creation.finish(progress).await {
            Ok(()) => {
                made.creation = None;
                Ok(made.claim.update(|record| record.stage = Stage::InUse)?)
            }
            Err(error) if create::is_name_taken(&error) => {
                // Someone was faster: the cluster is theirs.
                if let Some(made) = self.made.take() {
                    made.claim.forget()?;
                }
                Err(preflight::name_taken(&name))
            }
            Err(error) => Err(create::explain(&options.programs, &error, image.as_deref()).await),
        }
    }

    /// Brings a fresh cluster to the point where Pods can be made.
    async fn open(&mut self, nodes: u32, progress: &dyn Fn(Progress)) -> Result<Cluster, ProvisionError> {
        let Some(made) = &mut self.made else { return Err(nothing_made()) };
        let options = &self.options;
        // The nodes get ready meanwhile.
        stand_ins::load(&options.programs, &mut made.claim, options.stand_ins.as_ref(), progress).await?;
        let connection = connect_to(&made.claim, API_LIMIT);
        let (client, kubernetes) = phase(progress, "Waiting for the API server", connection).await?;
        let text = if nodes == 1 {
            "Waiting until the node is Ready".to_owned()
        } else {
            format!("Waiting until {nodes} nodes are Ready")
        };
        phase(progress, text, ready::nodes(&client, nodes, NODES_LIMIT)).await?;
        let accounts = ready::service_accounts(&client, &options.run_id, CONTROLLERS_LIMIT);
        phase(progress, "Waiting for service accounts", accounts).await?;
        self.ready(client, kubernetes).await
    }

    async fn ready(&mut self, client: kube::Client, kubernetes: String) -> Result<Cluster, ProvisionError> {
        let Some(made) = &mut self.made else { return Err(nothing_made()) };
        let name = made.claim.name().to_owned();
        let nodes = Docker(&self.options.programs).nodes(&name).await?;
        made.client = Some(client.clone());
        let facts = ClusterFacts {
            provider: "kind".to_owned(),
            name,
            kubernetes,
            node_image: nodes.into_iter().next().map(|node| node.image),
            stand_ins: self.options.stand_ins.iter().flat_map(StandIns::images).map(str::to_owned).collect(),
        };
        let kubeconfig = Some(made.claim.kubeconfig());
        Ok(Cluster { client, clock: Clock::from_wall_clock(), facts, kubeconfig, run_id: self.options.run_id.clone() })
    }
}

impl Provider for KindProvider {
    async fn provision(&mut self, needs: &Needs, progress: &dyn Fn(Progress)) -> Result<Cluster, ProvisionError> {
        self.options.check(needs)?;
        phase(progress, "Checking Docker and kind", preflight::check(&self.options.programs)).await?;
        let wish = self.options.wish(needs)?;
        if self.options.reuse
            && let Some(cluster) = self.reuse(&wish, progress).await?
        {
            return Ok(cluster);
        }
        let nodes = wish.nodes;
        self.create(wish, progress).await?;
        self.open(nodes, progress).await.map_err(|error| {
            let hint = error.hint.map(|hint| format!("{hint}; ")).unwrap_or_default();
            ProvisionError::new(error.problem, format!("{hint}--keep on-failure leaves such a cluster to look at"))
        })
    }

    async fn tear_down(&mut self, keep: bool, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        let Some(made) = &mut self.made else { return Ok(()) };
        if let Some(creation) = made.creation.take() {
            creation.stop(progress).await;
        }
        // What kind could not make it has removed itself.
        let is_whole = made.claim.kind().is_some_and(|record| record.stage == Stage::InUse);
        if keep && is_whole { self.keep(progress).await } else { self.delete(progress).await }
    }
}

impl KindProvider {
    async fn keep(&mut self, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        let Some(Made { claim, client, .. }) = &mut self.made else { return Ok(()) };
        claim.update(|record| record.stage = Stage::Kept)?;
        let left = match client {
            // They are only named; whoever looks finds them.
            Some(client) => namespace::made_by(client, Some(&self.options.run_id)).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let is_of_scenario = |metadata: &ObjectMeta| metadata.deletion_timestamp.is_none();
        progress(Progress::Kept(Box::new(Kept {
            what: format!("the kind cluster {}", claim.name()),
            kubectl: format!("kubectl --kubeconfig {}", claim.kubeconfig().display()),
            namespaces: left.into_iter().filter(is_of_scenario).filter_map(|metadata| metadata.name).collect(),
            removal: "labproof clean --kept".to_owned(),
        })));
        self.made = None;
        Ok(())
    }

    /// Deletes the cluster. If that fails its record stays, so that `clean` finds it, and so does the claim, to try again.
    async fn delete(&mut self, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        let Some(made) = &self.made else { return Ok(()) };
        let name = made.claim.name();
        let kubeconfig = made.claim.kubeconfig();
        let deletion = delete::cluster(&self.options.programs, name, &kubeconfig);
        phase(progress, format!("Deleting the kind cluster {name}"), deletion).await?;
        if let Some(made) = self.made.take() {
            made.claim.forget()?;
        }
        Ok(())
    }
}

/// A client of a claimed cluster, as soon as its API server is ready, and its version.
async fn connect_to(claim: &Claim, limit: Duration) -> Result<(kube::Client, String), ProvisionError> {
    let kubeconfig = Kubeconfig::read_from(claim.kubeconfig()).map_err(|error| {
        let problem = format!("the kubeconfig of the kind cluster {} cannot be read: {}", claim.name(), chain(&error));
        ProvisionError::new(problem, "`labproof clean --kept` removes the cluster")
    })?;
    let server = connect::server(kubeconfig, None).await?;
    let version = ready::started(&server, limit).await?;
    Ok((server.client, version))
}

/// Programs that cannot touch the user's kubeconfig, and that use Docker even where kind would choose podman.
fn with_kubeconfig(programs: &Programs, kubeconfig: &Path) -> Programs {
    let mut programs = programs.clone();
    programs.environment.insert("KUBECONFIG".into(), kubeconfig.into());
    programs.environment.insert("KIND_EXPERIMENTAL_PROVIDER".into(), OsString::from("docker"));
    programs
}

fn nothing_made() -> ProvisionError {
    ProvisionError { problem: "no cluster has been made".to_owned(), hint: None }
}
