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

use kube::config::Kubeconfig;

use self::create::Creation;
use self::docker::Docker;
use super::command::Programs;
use super::state::{Claim, KindRecord, KindWish, Record, Stage, StateDir, Subject};
use super::{Cluster, Needs, Provider, ProvisionError, connect, phase, ready};
use crate::clock::Clock;
use crate::images::StandIns;
use crate::progress::Progress;
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
#[derive(Debug)]
pub struct KindProvider {
    options: KindOptions,
    made: Option<Made>,
}

/// What this provider is answerable for.
#[derive(Debug)]
struct Made {
    claim: Claim,
    /// As long as kind is at work on it.
    creation: Option<Creation>,
    /// Whether it can be kept.
    ready: bool,
}

impl KindProvider {
    /// A provider that has not made anything yet.
    pub fn new(options: KindOptions) -> Self {
        Self { options, made: None }
    }

    async fn create(&mut self, wish: KindWish, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        let options = &self.options;
        let name = options.cluster_name.clone().unwrap_or_else(|| format!("labproof-{}", options.run_id));
        preflight::check_name(&name)?;
        let config = self.merged_config(&wish)?;
        // A name in our own records gets a better message from the claim.
        if !options.state.names()?.contains(&name) {
            preflight::check_name_is_free(&options.programs, &name).await?;
        }
        let image = wish.node_image.clone();
        let record = KindRecord { wish, stage: Stage::Creating, loaded: None };
        let made = Clock::from_wall_clock().epoch().to_string();
        let claim = options.state.claim(&name, Record::new(&options.run_id, made, Subject::Kind(record)))?;

        let made = self.made.insert(Made { claim, creation: None, ready: false });
        let creation = made.creation.insert(Creation::start(&options.programs, &made.claim, image.as_deref(), &config)?);
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

    fn merged_config(&self, wish: &KindWish) -> Result<String, ProvisionError> {
        config::merge(wish.config.as_deref(), wish.nodes, &self.options.run_id).map_err(|error| {
            let file = self.options.config.as_deref().unwrap_or(Path::new("")).display();
            ProvisionError::new(
                format!("the kind config {file} cannot be used: {error}"),
                "see https://kind.sigs.k8s.io/docs/user/configuration/",
            )
        })
    }

    fn wish(&self, needs: &Needs) -> Result<KindWish, ProvisionError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| {
                ProvisionError::new(format!("the kind config {} cannot be read: {error}", path.display()), "name another file")
            })
        };
        let config = self.options.config.as_ref().map(read).transpose()?;
        Ok(KindWish { node_image: self.options.node_image.clone(), nodes: needs.nodes.max(1), config })
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
        made.ready = true;
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
        phase(progress, "Checking Docker and kind", preflight::check(&self.options.programs)).await?;
        let wish = self.wish(needs)?;
        if self.options.reuse
            && let Some(cluster) = self.reuse(&wish, progress).await?
        {
            return Ok(cluster);
        }
        let nodes = wish.nodes;
        self.create(wish, progress).await?;
        self.open(nodes, progress).await
    }

    async fn tear_down(&mut self, keep: bool, progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        let Some(made) = &mut self.made else { return Ok(()) };
        if let Some(creation) = made.creation.take() {
            creation.stop().await;
        }
        if keep && made.ready {
            made.claim.update(|record| record.stage = Stage::Kept)?;
            self.made = None;
            return Ok(());
        }
        self.delete(progress).await
    }
}

impl KindProvider {
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

/// A client of a claimed cluster, and its version.
async fn connect_to(claim: &Claim, limit: Duration) -> Result<(kube::Client, String), ProvisionError> {
    let kubeconfig = Kubeconfig::read_from(claim.kubeconfig()).map_err(|error| {
        let problem = format!("the kubeconfig of the kind cluster {} cannot be read: {error}", claim.name());
        ProvisionError::new(problem, "`labproof clean --kept` removes the cluster")
    })?;
    let client = connect::client(kubeconfig, None).await?;
    let version = ready::api(&client, limit).await?;
    Ok((client, version))
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
