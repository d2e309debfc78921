//! One run of a workload: the program of one container, from its start to its exit.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    model::{ServingStatus, Workload},
    server::Server,
    shell::{FileSystem, Memory, Shell},
};

/// What the container is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// The Pod's `command`, which takes the place of the image's entry point.
    pub command: Vec<String>,
    /// The Pod's `args`, which take the place of the image's arguments.
    pub args: Vec<String>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Files by absolute path, as far as the program reads them ([`Workload::files`]).
    pub files: BTreeMap<String, String>,
    /// The files that commands read and write. A command beside a container's program is given that program's.
    pub file_system: Arc<dyn FileSystem>,
    /// The time of day at the start, since the Unix epoch.
    pub time: Duration,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            files: BTreeMap::new(),
            file_system: Arc::new(Memory::default()),
            time: Duration::ZERO,
        }
    }
}

/// The container cannot be started, because its image has not the command asked for. The runtime's exit code for it
/// is 128, the reason `StartError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("exec: \"{command}\": {}", self.problem())]
pub struct StartError {
    /// The command.
    pub command: String,
}

impl StartError {
    /// A path is looked for where it says, and only a bare name in `$PATH` (Go's `os/exec.LookPath`).
    fn problem(&self) -> String {
        if self.command.contains('/') {
            format!("stat {}: no such file or directory", self.command)
        } else {
            "executable file not found in $PATH".to_owned()
        }
    }
}

/// Something that a process does and its surroundings notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It writes a line (given without its newline) to its standard output.
    Log(String),
    /// It begins to listen on a TCP port. If that is taken, tell it by [`Process::port_taken`].
    Listen(u16),
    /// The memory it has taken since its start, in bytes, is now this.
    Memory(u64),
    /// It has exited with this code. Always the last effect of a process.
    Exit(u8),
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is answered.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
        /// How long after the request.
        delay: Duration,
    },
    /// The connection is taken and no answer ever comes.
    Never,
    /// Nothing listens (yet, or any more).
    Refused,
}

/// What becomes of a question to a gRPC health service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is answered.
    Status(ServingStatus),
    /// The health service does not know the service.
    Unknown,
    /// Nothing that listens speaks gRPC.
    Refused,
}

/// A signal that a program may react to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Term,
}

/// A running program. All times are since its start; one that lies before an earlier one counts as that earlier one.
///
/// Whoever drives it calls [`advance`](Self::advance) at each [`next_wakeup`](Self::next_wakeup). A late call is
/// made up for: everything that was due happens then, in order.
#[derive(Debug, Clone)]
pub struct Process {
    now: Duration,
    exited: Option<u8>,
    memory: u64,
    program: Program,
}

#[derive(Debug, Clone)]
enum Program {
    /// The image's own program.
    Server(Server),
    /// A command that the Pod or the image's CMD names.
    Shell(Shell),
}

impl Process {
    /// Starts the program at time zero; returns it with what it does at once.
    ///
    /// `command` and `args` combine with the image's own as Kubernetes documents it: a command replaces the entry
    /// point together with its arguments; arguments alone are given to the entry point, and are the command of an
    /// image that has none (one with a `run`).
    pub fn start(workload: Arc<Workload>, start: &Start) -> Result<(Self, Vec<Effect>), StartError> {
        let argv: Vec<String> = if !start.command.is_empty() {
            [start.command.as_slice(), &start.args].concat()
        } else if workload.run.is_empty() {
            Vec::new()
        } else if start.args.is_empty() {
            workload.run.clone()
        } else {
            start.args.clone()
        };
        let program = match argv.first() {
            None => Program::Server(Server::new(workload, start)),
            Some(_) if workload.shell => Program::Shell(Shell::new(&argv, start)?),
            Some(command) => {
                return Err(StartError { command: command.clone() });
            }
        };
        let mut process = Self { now: Duration::ZERO, exited: None, memory: 0, program };
        let effects = process.advance(Duration::ZERO);
        Ok((process, effects))
    }

    /// When the process next does something by itself; `None` if only a request or a signal can change anything.
    pub fn next_wakeup(&self) -> Option<Duration> {
        if self.exited.is_some() {
            return None;
        }
        match &self.program {
            Program::Server(server) => server.next_wakeup(),
            Program::Shell(shell) => shell.next_wakeup(),
        }
    }

    /// Does everything that is due by `now`, and says what that was.
    pub fn advance(&mut self, now: Duration) -> Vec<Effect> {
        self.now = self.now.max(now);
        if self.exited.is_some() {
            return Vec::new();
        }
        let mut output = Output::new(self.memory);
        match &mut self.program {
            Program::Server(server) => server.advance(self.now, &mut output),
            Program::Shell(shell) => shell.advance(self.now, &mut output),
        }
        self.settle(output)
    }

    /// A request to the port listened on. `path` may have a query; it does not matter. The effects include what was
    /// due by `now`.
    pub fn request(&mut self, now: Duration, path: &str) -> (Reply, Vec<Effect>) {
        let mut effects = self.advance(now);
        let Program::Server(server) = &mut self.program else {
            return (Reply::Refused, effects);
        };
        if self.exited.is_some() {
            return (Reply::Refused, effects);
        }
        let mut output = Output::new(self.memory);
        let reply = server.request(self.now, path, &mut output);
        effects.extend(self.settle(output));
        (reply, effects)
    }

    /// A question to the gRPC health service about a service; the empty name is the server itself. It has no effects.
    pub fn check(&self, now: Duration, service: &str) -> Check {
        match &self.program {
            Program::Server(server) if self.exited.is_none() => server.check(self.now.max(now), service),
            _ => Check::Refused,
        }
    }

    /// A signal. The effects include what was due by `now`. A signal without reaction changes nothing: the process
    /// is PID 1 of its container.
    pub fn signal(&mut self, now: Duration, signal: Signal) -> Vec<Effect> {
        let mut effects = self.advance(now);
        if self.exited.is_some() {
            return effects;
        }
        if let Program::Server(server) = &mut self.program {
            let mut output = Output::new(self.memory);
            server.signal(self.now, signal, &mut output);
            effects.extend(self.settle(output));
        }
        effects
    }

    /// The answer to an [`Effect::Listen`] whose port another process of the Pod listens on: it exits with 1.
    pub fn port_taken(&mut self, now: Duration) -> Vec<Effect> {
        self.now = self.now.max(now);
        let Some(port) = self.listening() else {
            return Vec::new();
        };
        let mut output = Output::new(self.memory);
        output.log(format!("listen tcp :{port}: bind: address already in use"));
        output.exit(1);
        self.settle(output)
    }

    /// The port that it listens on now.
    pub fn listening(&self) -> Option<u16> {
        match &self.program {
            Program::Server(server) if self.exited.is_none() => server.listening(),
            _ => None,
        }
    }

    /// Whether a signal would change anything.
    pub fn reacts_to(&self, signal: Signal) -> bool {
        matches!(&self.program, Program::Server(server) if server.reacts_to(signal))
    }

    /// The memory it has taken since its start, in bytes.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// The exit code, once it has exited.
    pub fn exit_code(&self) -> Option<u8> {
        self.exited
    }

    fn settle(&mut self, output: Output) -> Vec<Effect> {
        self.memory = output.memory;
        self.exited = output.exited;
        output.effects
    }
}

/// Collects effects. After an exit there are none.
#[derive(Debug)]
pub(crate) struct Output {
    effects: Vec<Effect>,
    memory: u64,
    exited: Option<u8>,
}

impl Output {
    /// No effects yet, and so much memory taken before.
    pub(crate) fn new(memory: u64) -> Self {
        Self { effects: Vec::new(), memory, exited: None }
    }

    pub(crate) fn effects(&self) -> &[Effect] {
        &self.effects
    }

    pub(crate) fn log(&mut self, line: impl Into<String>) {
        self.push(Effect::Log(line.into()));
    }

    pub(crate) fn listen(&mut self, port: u16) {
        self.push(Effect::Listen(port));
    }

    pub(crate) fn take(&mut self, bytes: u64) {
        self.memory = self.memory.saturating_add(bytes);
        self.push(Effect::Memory(self.memory));
    }

    pub(crate) fn exit(&mut self, code: u8) {
        self.push(Effect::Exit(code));
        self.exited = self.exited.or(Some(code));
    }

    pub(crate) fn has_exited(&self) -> bool {
        self.exited.is_some()
    }

    fn push(&mut self, effect: Effect) {
        if !self.has_exited() {
            self.effects.push(effect);
        }
    }
}
