//! `labproof sim serve`, as `kubectl` sees it. Where kubectl is not installed, the tests that need it are *ignored*, and the reason
//! is printed; with `LABPROOF_REQUIRE_KUBECTL=1` they fail instead.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a failed test may panic, and a test may print")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};

fn main() -> ExitCode {
    let tests = vec![
        with_kubectl("kubectl_sees_the_hands_on", hands_on),
        with_kubectl("kubectl_reads_logs_and_descriptions", logs_and_descriptions),
        Trial::test("a_served_cluster_leaves_nothing", || leaves_nothing().map_err(Failed::from)),
        Trial::test("a_port_in_use_is_named", || port_in_use().map_err(Failed::from)),
        Trial::test("a_kubeconfig_of_somebody_else_is_left_alone", || somebody_elses().map_err(Failed::from)),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// A test that needs kubectl. It fails by panicking.
fn with_kubectl(name: &str, test: fn()) -> Trial {
    if which::which("kubectl").is_ok() {
        return Trial::test(name, move || {
            test();
            Ok(())
        });
    }
    if std::env::var_os("LABPROOF_REQUIRE_KUBECTL").is_some() {
        return Trial::test(name, || Err(Failed::from("kubectl is not in PATH")));
    }
    eprintln!("{name} is ignored: kubectl is not in PATH");
    Trial::test(name, || Ok(())).with_kind("needs kubectl").with_ignored_flag(true)
}

/// A served cluster, ended with its owner.
struct Served {
    process: Child,
    state: tempfile::TempDir,
    /// What it printed.
    export: String,
}

impl Served {
    fn new(arguments: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut process = labproof(state.path()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut export = String::new();
        // It lets go of its standard output once the cluster is ready, so this comes to an end.
        process.stdout.take().unwrap().read_to_string(&mut export).unwrap();
        Self { process, state, export }
    }

    fn kubeconfig(&self) -> &Path {
        Path::new(self.export.strip_prefix("export KUBECONFIG=").expect("a line for the shell").trim_end())
    }

    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", self.state.path()).args(arguments);
        command
    }

    /// What kubectl prints.
    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments).output().unwrap();
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success(), "kubectl {arguments:?}: {stdout}{stderr}");
        stdout
    }

    /// Reads what kubectl prints until a line is as wanted, and ends it.
    fn prints_until(&self, arguments: &[&str], is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut process = self.kubectl(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = Vec::new();
        let mut is_found = false;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            lines.push(line.unwrap());
            is_found = lines.last().is_some_and(|line| is_wanted(line));
            if is_found {
                break;
            }
        }
        let _ = process.kill();
        process.wait().unwrap();
        assert!(is_found, "kubectl {arguments:?} ended after {lines:#?}");
        lines
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn labproof(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_labproof"));
    command.args(["sim", "serve"]).env("LABPROOF_STATE_DIR", state);
    command
}

fn hands_on() {
    let served = Served::new(&["--speed", "20", "--nodes", "3"]);
    let nodes = served.prints(&["get", "nodes", "--no-headers"]);
    assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 3, "{nodes}");
    served.prints(&["apply", "-f", "manifests/chapter-07/pod-readiness.yaml"]);
    let rows = served.prints_until(&["get", "pod", "--watch"], |line| {
        // kubectl watches from the list that it has printed, so it misses nothing of what is applied now.
        if line.starts_with("NAME ") {
            let applied = served.prints(&["apply", "-f", "manifests/chapter-07/pod-liveness.yaml"]);
            assert_eq!(applied, "pod/httpserver-liveness created\n");
        }
        line.starts_with("httpserver-liveness ") && line.contains("Running") && line.contains(" 1 (")
    });
    let rows: Vec<_> = rows.iter().filter(|row| row.starts_with("httpserver-liveness ")).collect();
    assert!(rows.iter().any(|row| row.contains("1/1     Running") && row.contains(" 0 ")), "{rows:#?}");
    assert_eq!(served.prints(&["delete", "-f", "manifests/chapter-07/pod-liveness.yaml"]).lines().count(), 1);
    assert_eq!(served.prints(&["get", "pod", "--output", "name"]), "pod/httpserver-readiness\n");
}

fn logs_and_descriptions() {
    let served = Served::new(&["--speed", "20", "--kubernetes", "v1.34.2"]);
    assert!(served.prints(&["version"]).contains("Server Version: v1.34.2"));
    served.prints(&["apply", "-f", "manifests/chapter-07/pod-startup.yaml"]);
    served.prints(&["wait", "--for=jsonpath={.status.phase}=Running", "pod/slow-starter", "--timeout=60s"]);
    served.prints_until(&["logs", "--follow", "slow-starter"], |line| line == "Listening on port 8080");
    served.prints(&["wait", "--for=condition=Ready", "pod/slow-starter", "--timeout=60s"]);
    let log = served.prints(&["logs", "slow-starter"]);
    assert!(log.starts_with("Starting...\n") && log.contains("Listening on port 8080\n"), "{log}");
    let description = served.prints(&["describe", "pod", "slow-starter"]);
    for part in ["Image:          labproof/slow-starter:1.0", "Normal   Scheduled", "Warning  Unhealthy", "Startup probe failed: "]
    {
        assert!(description.contains(part), "{part}: {description}");
    }
}

fn leaves_nothing() -> Result<(), String> {
    let mut served = Served::new(&["--speed", "100"]);
    let kubeconfig = served.kubeconfig().to_owned();
    assert!(kubeconfig.starts_with(served.state.path()) && kubeconfig.is_file(), "{}", kubeconfig.display());
    assert_eq!(served.export.lines().count(), 1);
    kill_process(Pid::from_child(&served.process), Signal::TERM).map_err(|error| error.to_string())?;
    assert_eq!(served.process.wait().unwrap().code(), Some(0));
    assert!(!kubeconfig.exists());
    Ok(())
}

fn port_in_use() -> Result<(), String> {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let state = tempfile::tempdir().unwrap();
    let output = labproof(state.path()).args(["--port", &port.to_string()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_told = output.status.code() == Some(3) && text.contains(&format!("cannot listen on port {port} of 127.0.0.1"));
    if is_told { Ok(()) } else { Err(format!("{output:?}")) }
}

fn somebody_elses() -> Result<(), String> {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("config");
    std::fs::write(&file, "apiVersion: v1\n").unwrap();
    let output = labproof(state.path()).arg("--kubeconfig").arg(&file).output().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "apiVersion: v1\n");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_told = output.status.code() == Some(2) && text.contains("labproof did not write it");
    if is_told { Ok(()) } else { Err(format!("{output:?}")) }
}
