//! A served cluster and the `kubectl` that talks to it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use kubesim::{Cluster, Server};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};
use workload::{Workload, Workloads};

/// The images that the tests use.
const WORKLOADS: [&str; 5] = [
    "{image: 'example/web:1', listen: {port: 8080}, log: [ready], http: {/: [{body: one}]}, on: {SIGTERM: {exit: 0}}}",
    "{image: 'example/web:2', listen: {port: 8080}, log: [ready], http: {/: [{body: two}]}, on: {SIGTERM: {exit: 0}}}",
    "{image: 'example/crashing:1', log: [up], timers: [{after: 4s, exit: 1}]}",
    "{image: 'example/task:1', log: [working], timers: [{after: 3s, log: done, exit: 0}]}",
    "{image: 'busybox:1.36.1', shell: true, run: [sh]}",
];

/// A cluster of two nodes, served until the session is dropped.
pub(crate) struct Session {
    directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

/// Why there is no `kubectl` to test with, if there is none.
pub(crate) fn missing() -> Option<String> {
    let found = Command::new("kubectl").args(["version", "--client"]).output();
    match found {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("kubectl does not run: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Some(format!("kubectl is not installed: {error}")),
    }
}

impl Session {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let server = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let workloads: Workloads = WORKLOADS.iter().map(|text| Workload::from_yaml(text).unwrap()).collect();
                let epoch = k8s_openapi::jiff::Timestamp::now();
                let cluster = Cluster::builder().nodes(2).speed(10.0).epoch(epoch).workloads(workloads).build();
                let server = Server::https(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
                fs::write(file, server.kubeconfig("kubesim")).unwrap();
                cluster.ready().await.unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    biased;
                    _ = stopped => {}
                    served = server.serve(cluster.api().http()) => served.unwrap(),
                }
            });
        });
        is_ready.recv().unwrap();
        Self { directory, stop: Some(stop), server: Some(server) }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("kubectl");
        // Single quotes keep words together.
        let words = line.split('\'').enumerate().flat_map(|(index, part)| {
            if index % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(str::to_owned).collect() }
        });
        command.args(words).current_dir(self.directory.path()).env("HOME", self.directory.path());
        command.env("KUBECONFIG", self.directory.path().join("config")).env("NO_PROXY", "127.0.0.1");
        command
    }

    /// Writes a file into the directory in which `kubectl` runs.
    pub(crate) fn file(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// What it prints on its standard output. It must succeed.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        self.succeed(line, self.command(line).output().unwrap())
    }

    /// The same, in an editor that replaces a text by another one.
    #[track_caller]
    pub(crate) fn edit(&self, line: &str, expression: &str) -> String {
        let output = self.command(line).env("KUBE_EDITOR", format!("sed -i {expression}")).output().unwrap();
        self.succeed(line, output)
    }

    #[track_caller]
    #[expect(clippy::unused_self, reason = "it reads as what the session's kubectl did")]
    fn succeed(&self, line: &str, output: Output) -> String {
        let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {line}\n{stdout}{stderr}");
        stdout
    }

    /// What it prints on its standard error. It must fail.
    #[track_caller]
    pub(crate) fn fails(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8(output.stderr).unwrap());
        assert!(!output.status.success(), "kubectl {line}\n{stdout}{stderr}");
        stderr
    }

    /// Follows what it prints until a line has some text; does something after the first line.
    #[track_caller]
    pub(crate) fn follow(&self, line: &str, after_first: impl FnOnce(), until: &str) -> Vec<String> {
        let mut child = self.command(line).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut seen: Vec<String> = lines.next().into_iter().collect();
        after_first();
        while !seen.last().is_some_and(|line| line.contains(until)) {
            let Some(next) = lines.next() else { break };
            seen.push(next);
        }
        let _ = child.kill();
        let _ = child.wait();
        assert!(seen.last().is_some_and(|line| line.contains(until)), "kubectl {line} ended before {until:?}: {seen:#?}");
        seen
    }

    /// What it prints when it reads this text.
    #[track_caller]
    pub(crate) fn with_input(&self, line: &str, text: &str) -> String {
        let mut child = self.command(line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        self.succeed(line, child.wait_with_output().unwrap())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}
