//! The command line: names, defaults and help only.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kubesim::Version;
use labproof::exit_code;
use labproof::scenario::parse_duration;

use super::failure::Failure;

const STYLES: Styles = Styles::styled().header(AnsiColor::Green.on_default().bold()).usage(AnsiColor::Green.on_default().bold());

/// Proves that Kubernetes course material still works: runs its hands-ons on a cluster, watches everything that happens, and judges it
/// against what the page says.
#[derive(Debug, Parser)]
#[command(name = "labproof", version, styles = STYLES, after_help = exit_code::HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios on a cluster
    #[command(after_help = exit_code::HELP)]
    Run(Box<RunArgs>),
    /// Show what a run would do, with all windows and the longest time it can take
    Plan(LookArgs),
    /// Check scenarios and manifests without a cluster
    Lint(SelectArgs),
    /// List scenarios
    List(LookArgs),
    /// Judge a recorded timeline again, without a cluster
    Judge(JudgeArgs),
    /// Make reports from a JSON report
    Report(ReportArgs),
    /// Say what a reader of these manifests will see, from many histories of a simulated Kubernetes
    Predict(PredictArgs),
    /// Serve a simulated Kubernetes
    #[command(subcommand)]
    Sim(SimCommand),
    /// Build, load and list stand-in images
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Check what this machine has of what a run on kind needs; a simulated one needs nothing
    Doctor(DoctorArgs),
    /// Remove what killed runs have left behind
    Clean(CleanArgs),
    /// Print the JSON Schema of a file format
    Schema {
        /// Which format
        #[arg(value_enum, default_value_t = Format::Scenario)]
        format: Format,
    },
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    Scenario,
    Report,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Output options")]
pub(crate) struct OutputArgs {
    /// Say less: only failures and the summary
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Whether to use colours; `NO_COLOR`, `CLICOLOR_FORCE` and `TERM` are heeded
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Selection options")]
pub(crate) struct SelectArgs {
    /// Scenario files, or folders that are searched for them; without any, `scenarios` but for those tagged `negative`
    #[arg(help_heading = "Arguments")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only scenarios whose name contains this text or that have it as a tag; may be given several times
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    #[command(flatten)]
    pub(crate) workloads: WorkloadArgs,
}

#[derive(Args, Debug)]
pub(crate) struct WorkloadArgs {
    /// A folder of workload files, for images that labproof does not know; docs/workload.md has their format
    #[arg(long, value_name = "FOLDER", env = "LABPROOF_WORKLOADS", hide_env_values = true)]
    pub(crate) workloads: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct KubernetesArgs {
    /// The version of Kubernetes, such as v1.34; the latest if not given
    #[arg(long, value_name = "VERSION")]
    pub(crate) kubernetes: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct StandInArgs {
    /// The stand-in program, if the one that labproof carries cannot run in the nodes
    #[arg(long, value_name = "FILE")]
    pub(crate) standin: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct KubeconfigArgs {
    /// The kubeconfig file of --context, if not those of KUBECONFIG or ~/.kube/config; it is never written
    #[arg(long, value_name = "FILE", requires = "context")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// What to print
    #[arg(short, long, value_enum, default_value_t = LookOutput::Text)]
    pub(crate) output: LookOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LookOutput {
    /// For people
    Text,
    /// Everything, for programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum On {
    /// A simulated Kubernetes inside this process, in virtual time
    Sim,
    /// A kind cluster of its own
    Kind,
    /// An existing cluster, named by --context
    Context,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) sim: SimArgs,
    #[command(flatten)]
    pub(crate) kind: KindArgs,
    #[command(flatten)]
    pub(crate) runner: RunnerArgs,
    #[command(flatten)]
    pub(crate) report: DestinationArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Cluster options")]
pub(crate) struct ClusterArgs {
    /// Where the scenarios run
    #[arg(long, value_enum, default_value_t = On::Sim)]
    pub(crate) on: On,
    /// The kubeconfig context to run on, with `--on context`; each scenario gets a namespace of its own there
    #[arg(long, value_name = "NAME", required_if_eq("on", "context"))]
    pub(crate) context: Option<String>,
    #[command(flatten)]
    pub(crate) kubeconfig: KubeconfigArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Simulation options")]
pub(crate) struct SimArgs {
    /// The seed: one seed is one history, other seeds are others that a reader may see; 0 if not given
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Run so many histories, from --seed on, and say how far apart the times of each row are and how near they come to its window
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) seeds: Option<u64>,
    #[command(flatten)]
    pub(crate) kubernetes: KubernetesArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "kind options")]
pub(crate) struct KindArgs {
    /// The node image; kind's default if not given
    #[arg(long, value_name = "IMAGE", env = "KIND_NODE_IMAGE", hide_env_values = true)]
    pub(crate) node_image: Option<String>,
    /// A kind configuration into which labproof's own is merged
    #[arg(long, value_name = "FILE")]
    pub(crate) kind_config: Option<PathBuf>,
    /// The name of the new cluster; one of its own if not given
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster_name: Option<String>,
    /// Whether to keep the cluster, and the namespaces in it
    #[arg(long, value_enum, default_value_t = KeepArg::Never)]
    pub(crate) keep: KeepArg,
    /// Use a cluster that was kept, if there is one that fits; at the end --keep decides about it anew
    #[arg(long)]
    pub(crate) reuse: bool,
    /// Which images stand-ins play: those that labproof knows, or none, so that the real ones are pulled
    #[arg(long, value_enum, default_value_t = Images::StandIn)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) standin: StandInArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepArg {
    Never,
    OnFailure,
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Images {
    StandIn,
    Real,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Runner options")]
pub(crate) struct RunnerArgs {
    /// How many scenarios run side by side
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Break the run off after this time, such as 30m; of a simulation it is virtual time, of many histories that of each
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) time_limit: Option<Duration>,
    /// How long a namespace may take to go away
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "2m")]
    pub(crate) teardown_limit: Duration,
    /// Where to record the timelines, one file a scenario; if not given, a folder of the run's own, of which the newest 20 are kept
    #[arg(long, value_name = "FOLDER")]
    pub(crate) record: Option<PathBuf>,
    /// Say more: every row, event and log line as it is observed
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Report options")]
pub(crate) struct DestinationArgs {
    /// Reports to write: junit=FILE, json=FILE, md=FILE; several with commas, `-` for standard output
    #[arg(long, value_name = "FORMAT=FILE", value_delimiter = ',')]
    pub(crate) report: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct JudgeArgs {
    /// The recorded timeline; `-` for standard input
    pub(crate) timeline: PathBuf,
    /// The scenario to judge it by
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) report: DestinationArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// A JSON report; `-` for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) report: DestinationArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    /// The manifests; they are applied together
    #[arg(required = true, value_name = "MANIFEST")]
    pub(crate) manifests: Vec<PathBuf>,
    /// How many seeds to try: one seed is one history that a reader may see
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) seeds: u32,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How long to look on, from the apply
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration, default_value = "10m")]
    pub(crate) span: Duration,
    #[command(flatten)]
    pub(crate) kubernetes: KubernetesArgs,
    /// How many nodes the cluster has; of several, the first takes no Pods
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) nodes: u16,
    #[command(flatten)]
    pub(crate) workloads: WorkloadArgs,
    /// What to print
    #[arg(short, long, value_enum, default_value_t = PredictOutput::Table)]
    pub(crate) output: PredictOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PredictOutput {
    /// The table of `kubectl get pod --watch`, with the times at which each row may come
    Table,
    /// A scenario that expects these rows
    Rows,
    /// Everything, for programs
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Serve a simulated cluster on this machine, for kubectl and other clients, until it is ended with Ctrl-C
    Serve(ServeArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// How many times as fast as the clock on the wall its time passes, such as 10 or 0.5; at most 100
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// How many nodes it has; of several, the first takes no Pods
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=250))]
    pub(crate) nodes: u16,
    /// The seed: one seed is one history, other seeds are others that a reader may see
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) kubernetes: KubernetesArgs,
    #[command(flatten)]
    pub(crate) workloads: WorkloadArgs,
    /// The port to listen on, at 127.0.0.1; any that is free if not given
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
    /// Serve plain HTTP without credentials instead of HTTPS: whoever can connect to the port can use the cluster
    #[arg(long)]
    pub(crate) insecure_http: bool,
    /// The kubeconfig file to write, and to remove at the end; one of labproof's own if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImagesCommand {
    /// List the images that stand-ins can play
    List(WorkloadArgs),
    /// Write image archives
    Build {
        /// The images; all if none is named
        images: Vec<String>,
        /// The folder to write to
        #[arg(short, long, value_name = "FOLDER", default_value = "images")]
        output: PathBuf,
        #[command(flatten)]
        source: ImageSource,
    },
    /// Load stand-in images into a kind cluster
    Load {
        /// The images; all if none is named
        images: Vec<String>,
        /// The name of the kind cluster
        #[arg(long, value_name = "NAME")]
        cluster_name: String,
        #[command(flatten)]
        source: ImageSource,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ImageSource {
    #[command(flatten)]
    pub(crate) workloads: WorkloadArgs,
    #[command(flatten)]
    pub(crate) standin: StandInArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// The node image that will be used
    #[arg(long, value_name = "IMAGE", env = "KIND_NODE_IMAGE", hide_env_values = true)]
    pub(crate) node_image: Option<String>,
    #[command(flatten)]
    pub(crate) standin: StandInArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CleanArgs {
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove clusters and namespaces, too, that were kept on purpose
    #[arg(long)]
    pub(crate) kept: bool,
    /// Remove also what labproof made but this machine has no record of; another user's run may be using it
    #[arg(long)]
    pub(crate) unrecorded: bool,
    /// Remove namespaces that runs have left in this kubeconfig context
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    #[command(flatten)]
    pub(crate) kubeconfig: KubeconfigArgs,
}

impl KubernetesArgs {
    /// The version to simulate.
    pub(crate) fn version(&self) -> Result<Version, Failure> {
        Ok(self.kubernetes.as_deref().map(str::parse).transpose().map_err(Failure::usage)?.unwrap_or_default())
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if speed > 0.0 && speed <= 100.0 { Ok(speed) } else { Err("it must be more than 0 and at most 100".to_owned()) }
}
