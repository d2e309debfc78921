//! `labproof sim`: a simulated cluster for `kubectl` and other programs.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use kubesim::{Cluster, Server, Version};
use labproof::clock::Clock;
use labproof::exit_code;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::args::ServeArgs;
use super::failure::Failure;
use super::kubeconfig::KubeconfigFile;
use super::run::{block_on, state};
use super::select;
use super::terminal::Terminal;

/// The name of the cluster, and of the context in its kubeconfig file.
const NAME: &str = "labproof-sim";

/// `labproof sim serve`.
pub(crate) fn serve(args: &ServeArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let version = args.kubernetes.version()?;
    let workloads = select::workloads(&args.workloads)?;
    block_on(async |interrupt| {
        let listener = listen(args.port).await?;
        let port = listener.local_addr().map_err(Failure::environment)?.port();
        let server = if args.insecure_http { Server::http(listener) } else { Server::https(listener) };
        let server = server.map_err(Failure::environment)?;
        let file = KubeconfigFile::write(&place(args, port)?, &server.kubeconfig(NAME))?;
        // Programs compare the times of objects with the clock of the machine that they run on.
        let epoch = Clock::from_wall_clock().epoch();
        let cluster = Cluster::builder().nodes(usize::from(args.nodes)).version(version).seed(args.seed);
        let cluster = cluster.speed(args.speed).epoch(epoch).workloads(workloads).build();
        terminal.note(&greeting(args, version, &server.url()));
        serve_until(interrupt, &cluster, server, file.path(), terminal).await
    })?;
    Ok(exit_code::PASS)
}

async fn serve_until(
    interrupt: CancellationToken,
    cluster: &Cluster,
    server: Server,
    kubeconfig: &Path,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let serving = server.serve(cluster.api().http());
    let announced = async {
        cluster.ready().await.map_err(Failure::environment)?;
        terminal.data(&export(kubeconfig))?;
        let_go_of_stdout().map_err(Failure::environment)?;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = interrupt.cancelled() => Ok(()),
        died = cluster.died() => Err(Failure::environment(format!("labproof itself failed: {died}"))),
        served = serving => served.map_err(Failure::environment),
        failed = announced => failed,
    }
}

async fn listen(port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| Failure::Message {
        code: exit_code::ENVIRONMENT,
        text: format!("cannot listen on port {port} of 127.0.0.1: {error}"),
        hint: Some("name another port with --port, or leave the option out: any that is free is taken".to_owned()),
    })
}

/// Where the kubeconfig file is; by default each server, known by its port, has one of its own.
fn place(args: &ServeArgs, port: u16) -> Result<PathBuf, Failure> {
    if let Some(file) = &args.kubeconfig {
        return Ok(file.clone());
    }
    let folder = state()?.path().join("sim");
    fs::create_dir_all(&folder).map_err(|error| Failure::environment(format!("cannot make {}: {error}", folder.display())))?;
    Ok(folder.join(format!("kubeconfig-{port}")))
}

fn greeting(args: &ServeArgs, version: Version, url: &str) -> String {
    let ServeArgs { nodes, seed, speed, .. } = args;
    let nodes = if *nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
    let fast = if (speed - 1.0).abs() < f64::EPSILON { String::new() } else { format!(", {speed} times as fast as real time") };
    let open = if args.insecure_http { ", without credentials" } else { "" };
    let id = std::process::id();
    format!(
        "simulated: Kubernetes {version} with {nodes}, seed {seed}{fast}, at {url}{open}\n\
         It ends with Ctrl-C (or `kill {id}`), and nothing of it remains. Elsewhere, `kubectl` reaches it after:\n"
    )
}

/// A line for a shell that makes the file the one that `kubectl` uses.
fn export(kubeconfig: &Path) -> String {
    let path = kubeconfig.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    let quoted = if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) };
    format!("export KUBECONFIG={quoted}\n")
}

/// Nothing more is written to standard output: whoever reads it to its end, as `eval "$(labproof sim serve &)"` does, need not wait
/// for the server's end.
fn let_go_of_stdout() -> io::Result<()> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/run/user/1000/labproof/sim/kubeconfig-40123", "/run/user/1000/labproof/sim/kubeconfig-40123")]
    #[case("/home/me/my files/$x", "'/home/me/my files/$x'")]
    #[case("/home/o'hara/config", r"'/home/o'\''hara/config'")]
    fn a_shell_reads_the_path_as_it_is(#[case] path: &str, #[case] quoted: &str) {
        assert_eq!(export(Path::new(path)), format!("export KUBECONFIG={quoted}\n"));
    }
}
