//! Programs of others, run as children.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How much of a child's stderr is remembered, in bytes.
const STDERR_LIMIT: usize = 256 * 1024;

/// Where the programs that a provider calls are looked for, and what they are given.
#[derive(Clone, Debug)]
pub struct Programs {
    /// A list of directories, written as in `PATH`; children get it as their `PATH`.
    pub search_path: OsString,
    /// Further variables of the children's environment; the rest is inherited.
    pub environment: BTreeMap<OsString, OsString>,
    /// How long they may take to answer a question, such as `docker info`.
    pub answer_limit: Duration,
}

/// A program that could not be run, or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It is in none of the directories of the search path.
    #[error("`{0}` is not installed: it is in no directory of PATH")]
    NotInstalled(String),
    /// The system refuses to run it, or broke the pipe to it.
    #[error("cannot run `{command}`: {source}")]
    Io {
        /// The command line.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("`{command}` failed ({status}){}", indented(&tail(stderr, 15)))]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed on stderr.
        stderr: String,
    },
    /// It took too long and was killed.
    #[error("`{command}` did not end within {limit:?}{}", indented(&tail(stderr, 15)))]
    TimedOut {
        /// The command line.
        command: String,
        /// How long it was allowed to take.
        limit: Duration,
        /// What it printed on stderr until then.
        stderr: String,
    },
}

impl CommandError {
    /// What the program printed on stderr.
    pub(crate) fn stderr(&self) -> &str {
        match self {
            Self::NotInstalled(_) | Self::Io { .. } => "",
            Self::Failed { stderr, .. } | Self::TimedOut { stderr, .. } => stderr,
        }
    }
}

/// The last lines of a text that are not empty.
fn tail(text: &str, lines: usize) -> Vec<&str> {
    let all: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    all[all.len().saturating_sub(lines)..].to_vec()
}

fn indented(lines: &[&str]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = write!(text, "\n    {line}");
        text
    })
}

impl Programs {
    /// Programs found by the `PATH` of this process.
    pub fn from_path() -> Self {
        Self::from_search_path(std::env::var_os("PATH").unwrap_or_default())
    }

    /// Programs found in these directories, written as in `PATH`.
    pub fn from_search_path(search_path: impl Into<OsString>) -> Self {
        Self { search_path: search_path.into(), environment: BTreeMap::new(), answer_limit: Duration::from_secs(20) }
    }

    /// Asks a program a question, which it must answer soon.
    pub(crate) async fn ask<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Result<String, CommandError> {
        self.run(program, args, self.answer_limit).await
    }

    /// The program's file.
    pub(crate) fn find(&self, program: &str) -> Result<PathBuf, CommandError> {
        // The paths of a search path are absolute; "/" is never used as the directory of a relative one.
        which::which_in(program, Some(&self.search_path), "/").map_err(|_| CommandError::NotInstalled(program.to_owned()))
    }

    /// Runs a program to its end and returns what it printed on stdout.
    pub(crate) async fn run<S: AsRef<OsStr>>(&self, program: &str, args: &[S], limit: Duration) -> Result<String, CommandError> {
        self.start(program, args, Stdio::null())?.finish(limit, &mut |_| ()).await
    }

    /// Starts a program in a process group of its own, so that a terminal's Ctrl-C does not reach it.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, program: &str, args: &[S], stdin: Stdio) -> Result<Process, CommandError> {
        let file = self.find(program)?;
        let line = args.iter().fold(program.to_owned(), |line, arg| format!("{line} {}", arg.as_ref().to_string_lossy()));
        let mut child = Command::new(file)
            .args(args)
            .env("PATH", &self.search_path)
            .envs(&self.environment)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| CommandError::Io { command: line.clone(), source })?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pipes = child.stdout.take().zip(child.stderr.take());
        Ok(Process { line, child, group, pipes, stderr: String::new() })
    }
}

/// A running program. Dropped before its end, it is killed with all of its process group.
#[derive(Debug)]
pub(crate) struct Process {
    line: String,
    child: Child,
    /// The process group, as long as something of it may be alive.
    group: Option<Pid>,
    pipes: Option<(ChildStdout, ChildStderr)>,
    stderr: String,
}

impl Process {
    /// Waits for the end, handing over each line of stderr as it comes, and returns what came on stdout.
    /// Past the limit, everything is killed.
    pub(crate) async fn finish(&mut self, limit: Duration, on_line: &mut dyn FnMut(&str)) -> Result<String, CommandError> {
        let ended = tokio::time::timeout(limit, self.read_and_wait(on_line)).await;
        let command = self.line.clone();
        match ended {
            Err(_) => {
                self.kill();
                Err(CommandError::TimedOut { command, limit, stderr: std::mem::take(&mut self.stderr) })
            }
            Ok(Err(source)) => Err(CommandError::Io { command, source }),
            Ok(Ok((status, stdout))) => {
                self.group = None;
                if status.success() {
                    return Ok(stdout);
                }
                Err(CommandError::Failed { command, status, stderr: std::mem::take(&mut self.stderr) })
            }
        }
    }

    async fn read_and_wait(&mut self, on_line: &mut dyn FnMut(&str)) -> std::io::Result<(ExitStatus, String)> {
        let mut stdout = Vec::new();
        if let Some((out, err)) = &mut self.pipes {
            let remembered = &mut self.stderr;
            let lines = async {
                let mut err = BufReader::new(err);
                let mut line = Vec::new();
                while err.read_until(b'\n', &mut line).await? > 0 {
                    let text = String::from_utf8_lossy(&line);
                    if remembered.len() < STDERR_LIMIT {
                        remembered.push_str(&text);
                    }
                    on_line(text.trim_end());
                    line.clear();
                }
                Ok::<_, std::io::Error>(())
            };
            tokio::try_join!(biased; out.read_to_end(&mut stdout), lines)?;
        }
        let status = self.child.wait().await?;
        Ok((status, String::from_utf8_lossy(&stdout).into_owned()))
    }

    /// Kills the program at once, so that it starts nothing more; lets its children end by themselves for a while, then kills
    /// what is left of the group.
    pub(crate) async fn stop(&mut self, children_limit: Duration) {
        // An error means that it has ended already.
        let _ = self.child.kill().await;
        let _ = tokio::time::timeout(children_limit, self.group_is_empty()).await;
        self.kill();
    }

    /// Signals no one when the last process of a group ends, so it is asked for.
    async fn group_is_empty(&self) {
        while self.group.is_some_and(|group| test_kill_process_group(group).is_ok()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // An error means that nothing of it is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
