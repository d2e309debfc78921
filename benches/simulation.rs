//! The figures of docs/benchmarks.md on the simulated cluster. It fails when a target is missed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement may panic, print, and ask what time it is"
)]

#[path = "../crates/kubesim/examples/hour.rs"]
#[expect(dead_code, reason = "its `main` is that of the example")]
mod hour;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 7;

/// Chapter 7, looked on for more than twenty virtual minutes.
const CHAPTER: [&str; 2] = ["scenarios/chapter-07", "benches/looked-on.yaml"];

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let targets = [chapter(), memory(), many_seeds(), an_hour(), linear()];
    if targets.iter().all(|is_reached| *is_reached) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says whether a target was reached.
fn target(what: &str, is_reached: bool) -> bool {
    println!("{}  {what}", if is_reached { "reached" } else { "MISSED " });
    is_reached
}

/// (f) The whole of chapter 7, and its crash loop looked on, more than twenty virtual minutes in all: from the start of the process to its end.
fn chapter() -> bool {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| run(&CHAPTER)).collect();
    times.sort();
    println!(
        "\n(f) Chapter 7 simulated, over twenty virtual minutes, {RUNS} runs: median {:.1?}, max {:.1?}",
        times[RUNS / 2],
        times[RUNS - 1]
    );
    target("at most 150 ms", times[RUNS / 2] <= Duration::from_millis(150))
}

/// (g) Its memory.
fn memory() -> bool {
    let mut child = program(&CHAPTER).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u32>().ok()).map_or(peak, |kib| kib.max(peak));
        std::thread::sleep(Duration::from_micros(500));
    }
    println!("\n(g) Peak of resident memory: {:.1} MiB", f64::from(peak) / 1024.0);
    target("at most 48 MiB", peak > 0 && peak <= 48 * 1024)
}

/// (h) Many histories of one hands-on.
fn many_seeds() -> bool {
    let taken = run(&["--seeds", "1000", "scenarios/chapter-07/liveness.yaml"]);
    println!("\n(h) 1000 histories of the scenario liveness: {taken:.1?}");
    target("at most 20 s on two cores", taken <= Duration::from_secs(20))
}

/// (i) An hour of a cluster.
fn an_hour() -> bool {
    let taken = hour(300);
    println!("\n(i) One hour of 300 Pods on 3 nodes, 30 of them crash-looping: {taken:.1?}");
    target("at most 5 s", taken <= Duration::from_secs(5))
}

/// (j) What one more Pod costs, among few and among many, in time of the processor, the least of three runs each: what else uses the
/// machine's memory makes the larger cluster slower. If each Pod also cost something for each other one, it would be ten times as much.
fn linear() -> bool {
    let least = |pods| (0..3).map(|_| processor_time(|| _ = hour(pods))).min().unwrap_or_default();
    let [few, some, many] = [10, 100, 1000].map(|pods| least(pods).as_secs_f64());
    println!("\n(j) One hour of 10, 100 and 1000 Pods: {few:.2} s, {some:.2} s, {many:.2} s");
    let growth = ((many - some) / 900.0) / ((some - few) / 90.0);
    target(&format!("a further Pod among 1000 costs at most twice one among 100: {growth:.2}"), growth <= 2.0)
}

/// How long this thread has been on a processor for a piece of work, whatever else the machine does.
fn processor_time(work: impl FnOnce()) -> Duration {
    let so_far = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    let before = so_far();
    work();
    so_far().saturating_sub(before)
}

fn hour(pods: usize) -> Duration {
    let start = Instant::now();
    hour::hour(pods).unwrap();
    start.elapsed()
}

/// Runs the program on the simulated cluster; how long that took.
fn run(arguments: &[&str]) -> Duration {
    let start = Instant::now();
    let status = program(arguments).status().unwrap();
    let taken = start.elapsed();
    assert!(status.success(), "{arguments:?}: {status}");
    taken
}

fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_labproof"));
    program.arg("run").args(arguments).env("LABPROOF_STATE_DIR", env!("CARGO_TARGET_TMPDIR")).env_remove("GITHUB_ACTIONS");
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program
}
