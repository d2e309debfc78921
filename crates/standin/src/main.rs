//! Plays a workload inside a real container: the one program of every stand-in image.
//!
//! The image's entry point is `/standin`, which plays the workload of `/workload.json`; commands such as `/bin/sleep`
//! are links to it and are told apart by the name they are called by. One thread owns the [`Process`] and is sent
//! whatever happens: requests, signals, and time through its waiting.

mod disk;
mod http;

use std::{
    env, fs,
    io::{self, ErrorKind, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use disk::Disk;
use signal_hook::{consts::SIGTERM, iterator::Signals};
use workload::{COMMANDS, Effect, Process, Reply, Signal, Start, Workload};

/// The workload file, and the variable that names another one.
const WORKLOAD: &str = "/workload.json";
const WORKLOAD_VARIABLE: &str = "STANDIN_WORKLOAD";

/// Exit codes of a program that fails by itself, and of one that does not exist: a container whose command the image has not as a file
/// is not even started, which the runtime says (`StartError`, 128).
const FAILED: u8 = 1;
const NOT_FOUND: u8 = 127;
/// What a Go program, as the originals are, exits with when it runs out of memory.
const OUT_OF_MEMORY: u8 = 2;

/// What the owner of the process is told.
enum Message {
    /// A request for a path, and where its reply goes.
    Request(String, Sender<Reply>),
    /// SIGTERM has arrived.
    Terminate,
}

fn main() -> ExitCode {
    match play() {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            say(&format!("standin: {problem}"));
            ExitCode::from(FAILED)
        }
    }
}

fn play() -> Result<u8, String> {
    let path = env::var(WORKLOAD_VARIABLE).unwrap_or_else(|_| WORKLOAD.to_owned());
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read the workload {path}: {error}"))?;
    let workload = Workload::from_json(&text).map_err(|error| format!("{path}: {error}"))?;
    let start = start(&workload);
    match Process::start(Arc::new(workload), &start) {
        Ok((process, effects)) => Player::new(process).play(effects),
        Err(error) => {
            say(&error.to_string());
            Ok(NOT_FOUND)
        }
    }
}

/// What this container was started with.
fn start(workload: &Workload) -> Start {
    let words: Vec<String> = env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let called = words.first().and_then(|name| Path::new(name).file_name()).unwrap_or_default();
    let is_command = COMMANDS.iter().any(|command| called == *command);
    let (command, args) = if is_command { (words, Vec::new()) } else { (Vec::new(), words.into_iter().skip(1).collect()) };
    let text = |path: &str| fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Start {
        command,
        args,
        env: env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect(),
        file_system: Arc::new(Disk),
        time: time(),
        files: workload.files().filter_map(|path| Some((path.to_owned(), text(path)?))).collect(),
    }
}

/// Drives a process in real time.
struct Player {
    process: Process,
    began: Instant,
    sender: Sender<Message>,
    inbox: Receiver<Message>,
    /// Memory taken for real.
    taken: Vec<Vec<u8>>,
    bytes: usize,
}

impl Player {
    fn new(process: Process) -> Self {
        let (sender, inbox) = channel();
        Self { process, began: now(), sender, inbox, taken: Vec::new(), bytes: 0 }
    }

    /// Plays to the end; returns the exit code.
    fn play(mut self, effects: Vec<Effect>) -> Result<u8, String> {
        // Without a reaction there is no signal handler either: as PID 1 it then ignores the signal, as another process
        // (one that was started by `kubectl exec`) it is ended by it, both as the original.
        if self.process.reacts_to(Signal::Term) {
            self.follow_signals().map_err(|error| format!("cannot catch SIGTERM: {error}"))?;
        }
        let mut effects = effects;
        loop {
            if let Some(code) = self.carry_out(effects)? {
                return Ok(code);
            }
            effects = match self.next() {
                None => self.process.advance(self.elapsed()),
                Some(Message::Terminate) => self.process.signal(self.elapsed(), Signal::Term),
                Some(Message::Request(path, answer)) => {
                    let (reply, effects) = self.process.request(self.elapsed(), &path);
                    // The other end is gone if its client is; that is the client's affair.
                    let _ = answer.send(reply);
                    effects
                }
            };
        }
    }

    /// The next message, or nothing if the process has something to do first.
    fn next(&self) -> Option<Message> {
        let Some(at) = self.process.next_wakeup() else {
            return self.inbox.recv().ok();
        };
        self.inbox.recv_timeout(at.saturating_sub(self.elapsed())).ok()
    }

    /// Makes effects real, in order; returns the exit code if one of them was an exit.
    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<Option<u8>, String> {
        for effect in effects {
            match effect {
                Effect::Log(line) => say(&line),
                Effect::Exit(code) => return Ok(Some(code)),
                Effect::Memory(bytes) if self.take(bytes).is_err() => {
                    say("standin: out of memory");
                    return Ok(Some(OUT_OF_MEMORY));
                }
                Effect::Memory(_) => {}
                Effect::Listen(port) => match bind(port) {
                    Ok(listener) => http::serve(listener, &self.sender),
                    Err(error) if error.kind() == ErrorKind::AddrInUse => {
                        let effects = self.process.port_taken(self.elapsed());
                        return self.carry_out(effects);
                    }
                    Err(error) => return Err(format!("cannot listen on port {port}: {error}")),
                },
            }
        }
        Ok(None)
    }

    /// Takes memory until it is as many bytes in all, and writes to it: untouched memory costs nothing.
    fn take(&mut self, total: u64) -> Result<(), ()> {
        let total = usize::try_from(total).map_err(|_| ())?;
        let more = total.saturating_sub(self.bytes);
        let mut block = Vec::new();
        block.try_reserve_exact(more).map_err(|_| ())?;
        block.resize(more, 1);
        self.taken.push(block);
        self.bytes = total;
        Ok(())
    }

    fn follow_signals(&self) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM])?;
        let sender = self.sender.clone();
        thread::spawn(move || signals.forever().try_for_each(|_| sender.send(Message::Terminate)));
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        now().duration_since(self.began)
    }
}

/// Listens on all addresses, of both families where the node has both.
fn bind(port: u16) -> io::Result<TcpListener> {
    let [v6, v4] = [SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))];
    TcpListener::bind(v6).or_else(|error| if error.kind() == ErrorKind::AddrInUse { Err(error) } else { TcpListener::bind(v4) })
}

/// Writes a line to the container's log at once. A log that nobody takes is no reason to fail.
fn say(line: &str) {
    let _ = io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

#[expect(clippy::disallowed_methods, reason = "a stand-in plays in real time")]
fn now() -> Instant {
    Instant::now()
}

/// The time of day, since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a stand-in plays in real time")]
fn time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
