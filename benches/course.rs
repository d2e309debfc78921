//! The figures of docs/benchmarks.md: what the program costs, measured on one kind cluster by somebody else than the program.
//!
//! It fails when a target is missed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement may panic, print, and ask what time it is"
)]

#[path = "../tests/common/proxy.rs"]
#[expect(dead_code, reason = "nothing is made to fail here")]
mod proxy;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use labproof::report::Report;
use labproof::timeline::{Entry, Observation};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval, sleep};

use proxy::Proxy;

const RUNS: usize = 5;
const FLIPS: usize = 200;
const MIB: f64 = 1024.0 * 1024.0;

/// A Pod that is ready a moment after its start, and nothing else.
const READY: &str = r"name: ready
steps:
- apply: ready.yaml
  expect:
  - {pod: ready, row: {ready: 1/1}, by: 60s}
";
const READY_POD: &str = r#"{apiVersion: v1, kind: Pod, metadata: {name: ready, labels: {app: bench}}, spec: {terminationGracePeriodSeconds: 1,
  containers: [{name: c, image: "blux2/delayfailserver:1.1", imagePullPolicy: Never,
    readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}}]}}
"#;

/// A Pod that nobody schedules: only the benchmark changes it.
const FLIPPED: &str = r"name: flipped
steps:
- apply: flipped.yaml
  expect:
  - {pod: flipped, row: {fields: {metadata.labels.state: done}}, by: 10m}
";
const FLIPPED_POD: &str = r#"{apiVersion: v1, kind: Pod, metadata: {name: flipped, labels: {app: bench}}, spec: {schedulerName: nobody,
  containers: [{name: c, image: "busybox:1.36.1"}]}}
"#;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if runtime.block_on(measure()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure() -> bool {
    let mut bench = Bench::new();
    bench.make_cluster().await;
    bench.overhead().await;
    bench.flips().await;
    let alone = bench.requests().await;
    bench.side_by_side(alone).await;
    bench.memory();
    bench.remove_cluster().await;
    bench.is_good
}

struct Bench {
    folder: tempfile::TempDir,
    kubeconfig: PathBuf,
    context: String,
    /// The peaks of resident memory, in bytes, by what was run.
    peaks: BTreeMap<String, u64>,
    is_good: bool,
}

/// What came of a run of the program.
struct Ran {
    report: Report,
    wall: Duration,
    /// Its lines, and when each came.
    lines: Vec<(Instant, String)>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("scenarios/ready.yaml", READY);
        write("manifests/ready.yaml", READY_POD);
        write("scenarios/flipped.yaml", FLIPPED);
        write("manifests/flipped.yaml", FLIPPED_POD);
        write("manifests/chapter-07/pod-readiness.yaml", &fs::read_to_string("manifests/chapter-07/pod-readiness.yaml").unwrap());
        let readiness = fs::read_to_string("scenarios/chapter-07/readiness.yaml").unwrap();
        for copy in 1..=4 {
            let text = readiness.replacen("name: readiness", &format!("name: readiness-{copy}"), 1);
            write(&format!("scenarios/readiness-{copy}.yaml"), &text);
        }
        let (kubeconfig, context) = Default::default();
        Self { folder, kubeconfig, context, peaks: BTreeMap::new(), is_good: true }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// A target: says whether it was reached.
    fn target(&mut self, what: &str, is_reached: bool) {
        println!("{}  {what}", if is_reached { "reached" } else { "MISSED " });
        self.is_good &= is_reached;
    }

    fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_labproof"));
        program.env("LABPROOF_STATE_DIR", self.path("state")).env("NO_COLOR", "1").env_remove("GITHUB_ACTIONS");
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        program
    }

    /// Runs scenarios of the benchmark's folder, and keeps the peak of the program's memory.
    async fn run(&mut self, what: &str, arguments: &[&OsStr], scenarios: &[&str]) -> Ran {
        let report = self.path("report.json");
        let mut program = self.program();
        program.arg("run").arg("--report").arg(format!("json={}", report.display())).arg("--record").arg(self.path("timelines"));
        program.args(arguments).args(scenarios.iter().map(|name| self.path(&format!("scenarios/{name}.yaml"))));
        let started = Instant::now();
        let mut child = program.spawn().unwrap();
        let (lines, peak) = tokio::join!(stamped(child.stderr.take().unwrap()), peak(&mut child));
        let wall = started.elapsed();
        let before = self.peaks.entry(what.to_owned()).or_default();
        *before = peak.max(*before);
        let report: Report = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        if report.outcome() != labproof::verdict::Outcome::Pass {
            let text: Vec<_> = lines.iter().map(|(_, line)| line.as_str()).collect();
            println!("{}", text.join("\n"));
            self.target(&format!("{what}: the run passes"), false);
        }
        Ran { report, wall, lines }
    }

    async fn run_there(&mut self, what: &str, more: &[&str], scenarios: &[&str]) -> Ran {
        let (context, kubeconfig) = (self.context.clone(), self.kubeconfig.clone());
        let mut arguments: Vec<&OsStr> = ["--on", "context", "--context"].map(OsStr::new).to_vec();
        arguments.extend([OsStr::new(&context), OsStr::new("--kubeconfig"), kubeconfig.as_os_str()]);
        arguments.extend(more.iter().map(OsStr::new));
        self.run(what, &arguments, scenarios).await
    }

    async fn client(&self) -> Client {
        labproof::cluster::context::client(&self.context, Some(self.kubeconfig.clone())).await.unwrap()
    }

    /// The cluster is that of a whole run.
    async fn make_cluster(&mut self) {
        let arguments = ["--on", "kind", "--keep", "always"].map(OsStr::new);
        let ran = self.run("a whole run on kind", &arguments, &["ready"]).await;
        let name = ran.report.cluster.as_ref().expect("there is a cluster").name.clone();
        self.kubeconfig = self.path("state/clusters").join(&name).join("kubeconfig");
        self.context = format!("kind-{name}");
        println!("a scenario with the creation of its cluster: {:.1} s", ran.wall.as_secs_f64());
    }

    async fn remove_cluster(&self) {
        let status = self.program().args(["clean", "--kept"]).stderr(Stdio::inherit()).status().await.unwrap();
        assert!(status.success());
    }

    /// (a) From the last transition that a scenario needs, as `kubectl get -w` prints it, to the scenario's verdict.
    async fn overhead(&mut self) {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(["get", "pods", "-A", "-l", "app=bench", "-w", "--no-headers"]);
        let mut kubectl = kubectl.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watching = tokio::spawn(keep_stamped(kubectl.stdout.take().unwrap(), Arc::clone(&seen)));
        let (mut late, mut teardown) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            seen.lock().unwrap().clear();
            let ran = self.run_there("ready", &[], &["ready"]).await;
            let verdict = ran.lines.iter().find(|(_, line)| line.contains("pass ") && line.contains("READY 1/1"));
            let verdict = verdict.expect("the program says that it passed").0;
            let seen = seen.lock().unwrap();
            let namespace = ran.report.scenarios[0].namespace.as_deref().unwrap();
            let is_ready = |(_, line): &&(Instant, String)| line.starts_with(namespace) && line.contains("1/1");
            let transition = seen.iter().find(is_ready).expect("kubectl saw it").0;
            late.push(milliseconds(verdict, transition));
            teardown.push((ran.lines.last().expect("it said something").0 - verdict).as_secs_f64());
        }
        watching.abort();
        let (median, max) = (middle(&mut late), late[RUNS - 1]);
        println!("\n(a) From the last transition needed, as `kubectl get -w` shows it, to the verdict, {RUNS} runs");
        println!(
            "    median {median:.1} ms, max {max:.1} ms of {late:.1?}; then the namespace is removed, median {:.1} s",
            middle(&mut teardown)
        );
        self.target(&format!("at most 100 ms: {max:.1} ms"), max <= 100.0);
    }

    /// (b) A label, then a status, flipped and flipped back.
    async fn flips(&mut self) {
        let client = self.client().await;
        let pollers = [50, 1000].map(|every| (every, tokio::spawn(poll(client.clone(), Duration::from_millis(every)))));
        let (ran, flipped) = tokio::join!(self.run_there("flipped", &[], &["flipped"]), flip(client));
        let expected: BTreeMap<String, Vec<String>> = flipped;
        let file = ran.report.scenarios[0].timeline.clone().expect("its timeline is whole");
        let seen = states(&file);
        let mut polled = Vec::new();
        for (every, poller) in pollers {
            polled.push((every, poller.await.unwrap()));
        }
        println!("\n(b) {FLIPS} times flipped and flipped back: transitions seen of {}", 2 * FLIPS);
        println!("    {:<24}{:>10}{:>20}{:>20}", "flipped back after", "labproof", "polled every 50 ms", "polled every 1 s");
        let mut missed = 0;
        for (what, states) in &expected {
            let count = |seen: &BTreeSet<String>| states.iter().filter(|state| seen.contains(*state)).count();
            println!("    {what:<24}{:>10}{:>20}{:>20}", count(&seen), count(&polled[0].1), count(&polled[1].1));
            missed += states.len() - count(&seen);
        }
        self.target(&format!("no transition missed: {missed}"), missed == 0);
    }

    /// (c) The requests of a scenario. Gives how long it took.
    async fn requests(&mut self) -> Duration {
        let proxy = Proxy::start(self.client().await).await;
        let kubeconfig = self.path("proxy.json");
        fs::write(&kubeconfig, proxy.kubeconfig().to_string()).unwrap();
        let arguments: [&OsStr; 6] = [
            "--on".as_ref(),
            "context".as_ref(),
            "--context".as_ref(),
            "proxy".as_ref(),
            "--kubeconfig".as_ref(),
            kubeconfig.as_ref(),
        ];
        let ran = self.run("readiness through a proxy", &arguments, &["readiness-1"]).await;
        let namespace = ran.report.scenarios[0].namespace.clone().unwrap();
        let counts: BTreeMap<_, _> =
            proxy.counts().into_iter().map(|((verb, path), n)| ((path.replace(&namespace, "NAMESPACE"), verb), n)).collect();
        println!("\n(c) The requests of the scenario readiness: {}", counts.values().sum::<usize>());
        for ((path, verb), n) in &counts {
            println!("    {n:>3}  {verb:<7} {path}");
        }
        let pods = "/api/v1/namespaces/NAMESPACE/pods";
        let count = |verb: &str, path: &str| counts.get(&(path.to_owned(), verb.to_owned())).copied().unwrap_or_default();
        let watches = (count("watch", pods), count("watch", "/api/v1/namespaces/NAMESPACE/events"));
        let of_pod = format!("{pods}/httpserver-readiness");
        let actions = (count("patch", &of_pod), count("delete", &of_pod), count("follow", &format!("{of_pod}/log")));
        let is_polled = counts.iter().any(|((path, verb), _)| verb == "get" && path.contains("NAMESPACE/pods"));
        self.target(
            "one watch for each kind, one request for each action and each log, nothing is polled",
            watches == (1, 1) && actions == (1, 1, 1) && !is_polled,
        );
        ran.wall
    }

    /// (e) Four scenarios at the same time, against one of them alone.
    async fn side_by_side(&mut self, alone: Duration) {
        let four = ["readiness-1", "readiness-2", "readiness-3", "readiness-4"];
        let ran = self.run_there("readiness four times side by side", &["--jobs", "4"], &four).await;
        let (four, one) = (ran.wall.as_secs_f64(), alone.as_secs_f64());
        println!("\n(e) Four scenarios side by side: {four:.1} s; one alone: {one:.1} s");
        self.target(&format!("at most 10 s longer: {:.1} s", four - one), four - one <= 10.0);
    }

    /// (d) The peaks of all runs.
    fn memory(&mut self) {
        println!("\n(d) Peaks of resident memory");
        let peaks = std::mem::take(&mut self.peaks);
        for (what, peak) in &peaks {
            println!("    {:>6.1} MiB  {what}", mib(*peak));
        }
        let worst = mib(peaks.into_values().max().unwrap_or_default());
        self.target(&format!("at most 64 MiB: {worst:.1} MiB"), worst > 0.0 && worst <= 64.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure with one decimal place")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

/// From the second moment to the first; negative if that was earlier.
fn milliseconds(later: Instant, earlier: Instant) -> f64 {
    1000.0 * (later.saturating_duration_since(earlier).as_secs_f64() - earlier.saturating_duration_since(later).as_secs_f64())
}

/// Sorts them, and gives the median.
fn middle(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    let half = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[half] } else { f64::midpoint(figures[half - 1], figures[half]) }
}

async fn stamped(output: impl AsyncRead + Unpin) -> Vec<(Instant, String)> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    keep_stamped(output, Arc::clone(&lines)).await;
    std::mem::take(&mut *lines.lock().unwrap())
}

async fn keep_stamped(output: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<(Instant, String)>>>) {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        kept.lock().unwrap().push((Instant::now(), line));
    }
}

/// The peak of the process's resident memory, in bytes, until it ends.
async fn peak(child: &mut Child) -> u64 {
    let status = PathBuf::from(format!("/proc/{}/status", child.id().expect("it has just been started")));
    let mut peak = 0;
    let mut ticks = interval(Duration::from_millis(20));
    loop {
        tokio::select! { biased;
            ended = child.wait() => {
                ended.unwrap();
                return peak;
            }
            _ = ticks.tick() => {
                let text = fs::read_to_string(&status).unwrap_or_default();
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
                peak = kib.map_or(peak, |kib| 1024 * kib);
            }
        }
    }
}

/// The benchmark's Pod, once it is there.
async fn found(client: &Client) -> Api<Pod> {
    loop {
        let list = Api::<Pod>::all(client.clone()).list(&ListParams::default().labels("app=bench")).await.unwrap();
        let pod = list.items.into_iter().find(|pod| pod.metadata.name.as_deref() == Some("flipped"));
        if let Some(namespace) = pod.and_then(|pod| pod.metadata.namespace) {
            return Api::namespaced(client.clone(), &namespace);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Flips the Pod, and gives the states that it gave it, by how.
async fn flip(client: Client) -> BTreeMap<String, Vec<String>> {
    let pods = found(&client).await;
    let mut given = BTreeMap::new();
    for (what, back) in [("label", 5), ("label", 20), ("label", 100), ("status", 5)] {
        let mut states = Vec::new();
        for flip in 0..FLIPS {
            for side in ["there", "back"] {
                let state = format!("{what}-{back}-{flip}-{side}");
                give(&pods, what, &state).await;
                states.push(state);
                sleep(Duration::from_millis(back)).await;
            }
        }
        given.insert(format!("{what}, {back:>3} ms"), states);
    }
    give(&pods, "label", "done").await;
    given
}

async fn give(pods: &Api<Pod>, what: &str, state: &str) {
    let parameters = PatchParams::default();
    if what == "status" {
        let patch = Patch::Merge(json!({"status": {"message": state}}));
        pods.patch_status("flipped", &parameters, &patch).await.unwrap();
    } else {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"state": state}}}));
        pods.patch("flipped", &parameters, &patch).await.unwrap();
    }
}

/// The states that are seen by asking again and again, until the Pod is gone.
async fn poll(client: Client, every: Duration) -> BTreeSet<String> {
    let pods = found(&client).await;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = BTreeSet::new();
    loop {
        ticks.tick().await;
        let Some(pod) = pods.get_opt("flipped").await.unwrap() else { return seen };
        seen.extend(state_of(&serde_json::to_value(pod).unwrap()));
    }
}

/// The states in a timeline.
fn states(timeline: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(timeline).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap());
    let objects = entries.filter_map(|entry| match entry.what {
        Observation::Object(object) if object.kind == "Pod" => Some(object.object.clone()),
        _ => None,
    });
    objects.flat_map(|object| state_of(&object)).collect()
}

fn state_of(pod: &Value) -> Vec<String> {
    let text = |pointer| pod.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    [text("/metadata/labels/state"), text("/status/message")].into_iter().flatten().collect()
}
