//! What is asked of the Docker engine, by the `docker` program that kind uses too.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::cluster::ProvisionError;
use crate::cluster::command::{CommandError, Programs};

/// Kind's label on its containers; the value is the cluster's name.
const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";

/// The `docker` program.
pub(crate) struct Docker<'a>(pub(crate) &'a Programs);

/// What the engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Engine {
    /// Its version.
    pub(crate) server_version: String,
    /// `1` or `2`.
    pub(crate) cgroup_version: String,
    /// The memory of its machine, in bytes.
    pub(crate) mem_total: u64,
    /// Where it keeps its data, on its own machine.
    pub(crate) docker_root_dir: String,
    /// Why it cannot be asked, if the client prints that as its answer.
    pub(crate) server_errors: Vec<String>,
}

/// A node of a kind cluster, as the engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeContainer {
    /// The container's name.
    pub(crate) name: String,
    /// When it was made, RFC 3339.
    pub(crate) created: String,
    /// Its image, as it was asked for.
    pub(crate) image: String,
    /// Whether it runs.
    pub(crate) running: bool,
    /// Its volumes.
    pub(crate) volumes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    name: String,
    created: String,
    config: InspectedConfig,
    state: InspectedState,
    #[serde(default)]
    mounts: Vec<InspectedMount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    running: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedMount {
    r#type: String,
    #[serde(default)]
    name: String,
}

impl Docker<'_> {
    /// What the engine says of itself; the error says what keeps it from answering.
    pub(crate) async fn engine(&self) -> Result<Engine, ProvisionError> {
        let text = self.run(&["info", "--format", "{{json .}}"]).await?;
        let engine: Engine = serde_json::from_str(&text).map_err(|error| unreadable("docker info", &error))?;
        match engine.server_errors.first() {
            Some(problem) => Err(explain(problem)),
            None => Ok(engine),
        }
    }

    /// The nodes of a kind cluster, running or not.
    pub(crate) async fn nodes(&self, cluster: &str) -> Result<Vec<NodeContainer>, ProvisionError> {
        let filter = format!("label={CLUSTER_LABEL}={cluster}");
        let ids = self.run(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]).await?;
        if ids.trim().is_empty() {
            return Ok(Vec::new());
        }
        let args: Vec<&str> = ["container", "inspect"].into_iter().chain(ids.split_whitespace()).collect();
        let text = match self.0.ask("docker", &args).await {
            // It was removed between the two questions: then the answer lacks it.
            Err(CommandError::Failed { stderr, .. }) if stderr.contains("No such container") => {
                return Box::pin(self.nodes(cluster)).await;
            }
            other => other.map_err(|error| failure(&error))?,
        };
        let inspected: Vec<Inspected> =
            serde_json::from_str(&text).map_err(|error| unreadable("docker container inspect", &error))?;
        let mut nodes: Vec<NodeContainer> = inspected.into_iter().map(NodeContainer::from).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// Starts the nodes of a kind cluster that do not run: the machine may have been restarted.
    pub(crate) async fn start_stopped(&self, cluster: &str) -> Result<(), ProvisionError> {
        let nodes = self.nodes(cluster).await?;
        let stopped: Vec<&str> = nodes.iter().filter(|node| !node.running).map(|node| node.name.as_str()).collect();
        if stopped.is_empty() {
            return Ok(());
        }
        self.run(&[&["container", "start"], stopped.as_slice()].concat()).await.map(drop)
    }

    /// The names of all kind clusters of the engine, sorted.
    pub(crate) async fn clusters(&self) -> Result<BTreeSet<String>, ProvisionError> {
        let (filter, format) = (format!("label={CLUSTER_LABEL}"), format!("{{{{.Label \"{CLUSTER_LABEL}\"}}}}"));
        let text = self.run(&["ps", "--all", "--filter", &filter, "--format", &format]).await?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Whether a node of a kind cluster has this Kubernetes label. Node images bring `kubectl` with them.
    pub(crate) async fn has_labelled_node(&self, cluster: &str, label: &str) -> Result<bool, ProvisionError> {
        let container = format!("{cluster}-control-plane");
        let ask =
            ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "nodes", "--selector", label, "--output", "name"];
        let args: Vec<&str> = ["exec", &container].into_iter().chain(ask).collect();
        match self.0.ask("docker", &args).await {
            Ok(names) => Ok(!names.trim().is_empty()),
            Err(CommandError::Failed { stderr, .. }) if !engine_trouble(&stderr) => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Those of the volumes that exist.
    pub(crate) async fn existing_volumes(&self, volumes: &[String]) -> Result<Vec<String>, ProvisionError> {
        if volumes.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.run(&["volume", "ls", "--quiet"]).await?;
        Ok(volumes.iter().filter(|volume| all.lines().any(|line| line == *volume)).cloned().collect())
    }

    /// Kind's node images on this machine, as `name:tag`, sorted.
    pub(crate) async fn node_images(&self) -> Result<Vec<String>, ProvisionError> {
        let text = self.run(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "kindest/node"]).await?;
        let mut images: Vec<String> = text.lines().filter(|line| !line.ends_with(":<none>")).map(str::to_owned).collect();
        images.sort();
        Ok(images)
    }

    /// Whether the engine has the image, so that it need not be pulled.
    pub(crate) async fn has_image(&self, image: &str) -> Result<bool, ProvisionError> {
        match self.0.ask("docker", &["image", "inspect", "--format", "{{.Id}}", image]).await {
            Ok(_) => Ok(true),
            Err(CommandError::Failed { stderr, .. }) if stderr.to_lowercase().contains("no such image") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn run(&self, args: &[&str]) -> Result<String, ProvisionError> {
        self.0.ask("docker", args).await.map_err(|error| failure(&error))
    }
}

impl From<Inspected> for NodeContainer {
    fn from(inspected: Inspected) -> Self {
        let volumes = inspected.mounts.into_iter().filter(|mount| mount.r#type == "volume").map(|mount| mount.name).collect();
        Self {
            name: inspected.name.trim_start_matches('/').to_owned(),
            created: inspected.created,
            image: inspected.config.image,
            running: inspected.state.running,
            volumes,
        }
    }
}

/// What a failed `docker` means.
pub(crate) fn failure(error: &CommandError) -> ProvisionError {
    match error {
        CommandError::NotInstalled(_) => ProvisionError::new(
            "`docker` is not installed: it is in no directory of PATH",
            "install Docker: https://docs.docker.com/engine/install/",
        ),
        CommandError::TimedOut { command, limit, .. } => not_answering(&format!("`{command}` had no answer after {limit:?}")),
        CommandError::Failed { stderr, .. } if engine_trouble(stderr) => explain(stderr),
        other => ProvisionError::new(other.to_string(), "look at what Docker says; `labproof doctor` checks the installation"),
    }
}

/// Whether a text of docker's or kind's says that the engine cannot be reached.
pub(crate) fn engine_trouble(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "cannot connect to the docker daemon",
        "failed to connect to the docker api",
        "error during connect",
        "docker.sock",
        "permission denied while trying to connect",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// Tells missing rights from an engine that does not answer.
pub(crate) fn explain(text: &str) -> ProvisionError {
    let line = text.lines().map(str::trim).find(|line| engine_trouble(line)).unwrap_or(text.trim());
    if line.to_lowercase().contains("permission denied") {
        return ProvisionError::new(
            format!("no rights to use the Docker engine: {line}"),
            "add your user to the group `docker` (sudo usermod -aG docker $USER) and log in again, or use rootless Docker",
        );
    }
    not_answering(line)
}

fn not_answering(detail: &str) -> ProvisionError {
    let hint = match std::env::var("DOCKER_HOST") {
        Ok(host) => format!("start it, or correct DOCKER_HOST, which is {host}"),
        Err(_) => "start it (sudo systemctl start docker, or Docker Desktop) and see that `docker info` works".to_owned(),
    };
    ProvisionError::new(format!("the Docker engine does not answer: {detail}"), hint)
}

fn unreadable(command: &str, error: &serde_json::Error) -> ProvisionError {
    ProvisionError::new(format!("cannot read the answer of `{command}`: {error}"), "see that `docker` is Docker's own program")
}
