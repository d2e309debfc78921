//! The commands of images that have a shell, as far as courses use them to make containers that sleep, speak, write files and
//! exit.
//!
//! `sh -c` knows sequences of [`COMMANDS`] joined by `;`, newlines, `&&` and `||`, `if`, `while`, `until` and `for`, quotes,
//! variables, `$(…)`, `$((…))` and redirections of output. What it does not know it says and ends with 127; it never pretends.

mod arithmetic;
mod commands;
mod date;
mod expand;
mod files;
mod lexer;
mod mounts;
mod parser;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::process::{Output, Start, StartError};
use commands::Said;
pub use files::{FileSystem, Memory};
use lexer::{Redirect, Target};
pub use mounts::{Mount, Mounts};
use parser::{Op, Simple};

/// The commands that an image with `shell: true` has in `/bin`.
pub const COMMANDS: [&str; 20] = [
    "[", "busybox", "cat", "date", "echo", "env", "expr", "false", "hostname", "ls", "mkdir", "printf", "pwd", "rm", "seq", "sh",
    "sleep", "test", "touch", "true",
];

/// Exit codes of a shell for a command that it cannot find or a script beyond this one, and for a script that is none.
const NOT_FOUND: u8 = 127;
const MISUSE: u8 = 2;

/// A script that never sleeps does so many commands a second.
const COMMANDS_A_SECOND: u32 = 1_000;

/// A script that this shell cannot play.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// No shell could.
    Syntax(String),
    /// A real one could.
    Unknown(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Shell {
    script: Arc<[Op]>,
    /// The next operation.
    next: usize,
    /// Exit code of the command before.
    status: u8,
    /// When the next operation is done; `None` if never.
    wake: Option<Duration>,
    variables: BTreeMap<String, String>,
    /// `$0`, `$1` and so on.
    arguments: Vec<String>,
    /// What the `for` loops around the next operation have still to go through, the last value first.
    loops: Vec<Vec<String>>,
    files: Arc<dyn FileSystem>,
    /// The time of day at the start, since the Unix epoch.
    began: Duration,
    /// The line that is being written.
    line: String,
    /// Commands since time last passed.
    busy: u32,
    /// Why it has ended, if it could not be played on.
    problem: Option<Problem>,
}

impl Shell {
    /// `argv` must not be empty.
    pub(crate) fn new(argv: &[String], start: &Start) -> Result<Self, StartError> {
        let missing = || StartError { command: argv.first().cloned().unwrap_or_default() };
        let mut words = argv;
        if program(words) == Some("busybox") && words.len() > 1 {
            words = &words[1..];
        }
        let name = program(words).ok_or_else(missing)?;
        let (script, arguments) = match (name, words) {
            ("sh", [shell, flag, text, arguments @ ..]) if flag == "-c" => {
                let script = parser::parse(text).unwrap_or_else(|problem| vec![Op::Complain(problem)]);
                (script, if arguments.is_empty() { vec![shell.clone()] } else { arguments.to_vec() })
            }
            // Without a terminal there is nothing to read: it ends at once.
            ("sh" | "busybox", [_]) => (Vec::new(), Vec::new()),
            ("sh", [_, file, ..]) if !file.starts_with('-') => {
                (vec![Op::Complain(Problem::Syntax(format!("can't open '{file}'")))], Vec::new())
            }
            ("sh", [_, flags, ..]) => (vec![Op::Complain(Problem::Unknown(format!("sh {flags}")))], Vec::new()),
            _ => (vec![Op::Run(Simple::of([&[name.to_owned()], &words[1..]].concat()))], Vec::new()),
        };
        Ok(Self {
            script: script.into(),
            next: 0,
            status: 0,
            wake: Some(Duration::ZERO),
            variables: start.env.clone(),
            arguments,
            loops: Vec::new(),
            files: Arc::clone(&start.file_system),
            began: start.time,
            line: String::new(),
            busy: 0,
            problem: None,
        })
    }

    pub(crate) fn next_wakeup(&self) -> Option<Duration> {
        self.wake
    }

    pub(crate) fn advance(&mut self, now: Duration, output: &mut Output) {
        while let Some(at) = self.wake.filter(|at| *at <= now)
            && !output.has_exited()
        {
            self.step(at, output);
        }
    }

    /// Does the next operation; one that takes time sets when the next one is due.
    fn step(&mut self, at: Duration, output: &mut Output) {
        let script = Arc::clone(&self.script);
        let Some(op) = script.get(self.next) else {
            let code = self.status;
            self.exit(code, output);
            return;
        };
        self.next += 1;
        self.busy += 1;
        if self.busy >= COMMANDS_A_SECOND {
            self.pause(at, Duration::from_secs(1));
        }
        match op {
            Op::Run(command) => {
                if let Err(problem) = self.run(at, command, output) {
                    self.complain(&problem, output);
                }
            }
            Op::Jump(to) => self.next = *to,
            Op::JumpIf { success, to } if *success == (self.status == 0) => self.next = *to,
            Op::JumpIf { .. } => {}
            Op::Not => self.status = u8::from(self.status == 0),
            Op::Succeed => self.status = 0,
            Op::Enter(words) => match self.expand_all(words) {
                Ok(mut values) => {
                    values.reverse();
                    self.loops.push(values);
                }
                Err(problem) => self.complain(&problem, output),
            },
            Op::Next { name, end } => match self.loops.last_mut().and_then(Vec::pop) {
                Some(value) => {
                    self.variables.insert(name.clone(), value);
                }
                None => self.next = *end,
            },
            Op::Leave => {
                self.loops.pop();
            }
            Op::Complain(problem) => self.complain(problem, output),
        }
    }

    /// Says what cannot be played, and ends.
    fn complain(&mut self, problem: &Problem, output: &mut Output) {
        let (message, code) = match problem {
            Problem::Syntax(what) => (format!("sh: {what}"), MISUSE),
            Problem::Unknown(what) => (
                format!("sh: labproof's stand-in for a shell does not understand `{what}`; a real shell may go on here"),
                NOT_FOUND,
            ),
        };
        self.write(&format!("{message}\n"), output);
        self.exit(code, output);
        self.problem = Some(problem.clone());
    }

    fn exit(&mut self, code: u8, output: &mut Output) {
        if !self.line.is_empty() {
            output.log(std::mem::take(&mut self.line));
        }
        output.exit(code);
        self.status = code;
    }

    /// Lets time pass.
    fn pause(&mut self, at: Duration, time: Duration) {
        self.wake = at.checked_add(time).filter(|_| time < FOR_EVER);
        if !time.is_zero() {
            self.busy = 0;
        }
    }

    /// Writes to the log, which has whole lines.
    fn write(&mut self, text: &str, output: &mut Output) {
        self.line.push_str(text);
        while let Some(end) = self.line.find('\n') {
            let rest = self.line.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.line, rest);
            line.pop();
            output.log(line);
        }
    }

    fn run(&mut self, at: Duration, command: &Simple, output: &mut Output) -> Result<(), Problem> {
        let mut words = self.expand_all(&command.words)?;
        for (name, value) in &command.assignments {
            let value = self.expand_one(value)?;
            self.variables.insert(name.clone(), value);
        }
        if words.first().is_some_and(|word| word == "exec") && words.len() > 1 {
            // What comes after it is never reached.
            self.next = self.script.len();
            words.remove(0);
        }
        let Some((name, arguments)) = words.split_first() else {
            self.status = 0;
            return self.direct(Said::default(), &command.redirects, output);
        };
        let said = match name.strip_prefix("/bin/").unwrap_or(name) {
            "exit" => {
                let code = arguments.first().map_or(Some(self.status), |code| exit_code(code));
                self.exit(code.unwrap_or(MISUSE), output);
                return Ok(());
            }
            "sleep" => self.sleep(at, arguments),
            "export" => {
                for (name, value) in arguments.iter().filter_map(|argument| argument.split_once('=')) {
                    self.variables.insert(name.to_owned(), value.to_owned());
                }
                Said::default()
            }
            name => commands::run(self, at, name, arguments)?,
        };
        self.status = said.status;
        self.direct(said, &command.redirects, output)
    }

    fn sleep(&mut self, at: Duration, arguments: &[String]) -> Said {
        let times = arguments.iter().map(|text| seconds(text)).collect::<Option<Vec<_>>>();
        let Some(times) = times.filter(|times| !times.is_empty()) else {
            return Said::error(format!("sleep: invalid number '{}'", arguments.join(" ")));
        };
        self.pause(at, times.into_iter().fold(Duration::ZERO, Duration::saturating_add));
        Said::default()
    }

    /// Sends what a command said to where it is redirected to.
    fn direct(&mut self, said: Said, redirects: &[Redirect], output: &mut Output) -> Result<(), Problem> {
        // Nothing is the log.
        let mut targets: [Option<String>; 2] = [None, None];
        for Redirect { from, append, target } in redirects {
            let target = match target {
                Target::Descriptor(to) => targets[*to as usize].clone(),
                Target::File(word) => {
                    let path = commands::absolute(&self.expand_one(word)?);
                    match path.as_str() {
                        "/dev/stdout" | "/dev/stderr" | "/proc/1/fd/1" | "/proc/1/fd/2" => None,
                        "/dev/null" => Some(path),
                        _ => {
                            if let Err(error) = self.files.write(&path, "", *append) {
                                self.status = 1;
                                self.write(&format!("sh: can't create {path}: {error}\n"), output);
                                return Ok(());
                            }
                            Some(path)
                        }
                    }
                }
            };
            targets[*from as usize] = target;
        }
        for (target, text) in targets.into_iter().zip([said.out, said.err]) {
            match target.as_deref() {
                None => self.write(&text, output),
                Some("/dev/null") => {}
                Some(path) => {
                    if self.files.write(path, &text, true).is_err() {
                        self.status = 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The command of [`COMMANDS`] that an argv starts.
fn program(argv: &[String]) -> Option<&'static str> {
    let first = argv.first()?;
    let name = first.strip_prefix("/bin/").unwrap_or(first);
    COMMANDS.into_iter().find(|command| *command == name)
}

/// A shell keeps the last eight bits.
fn exit_code(text: &str) -> Option<u8> {
    text.parse::<i64>().ok().and_then(|code| u8::try_from(code.rem_euclid(256)).ok())
}

/// A sleep that never ends, or one too long to count.
const FOR_EVER: Duration = Duration::MAX;

/// An argument of busybox' `sleep`: a number with an optional unit.
fn seconds(text: &str) -> Option<Duration> {
    if matches!(text, "inf" | "infinity") {
        return Some(FOR_EVER);
    }
    let (number, factor) = match text.char_indices().last()? {
        (end, 's') => (&text[..end], 1.0),
        (end, 'm') => (&text[..end], 60.0),
        (end, 'h') => (&text[..end], 3_600.0),
        (end, 'd') => (&text[..end], 86_400.0),
        _ => (text, 1.0),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = number.parse::<f64>().ok().filter(|_| plain)?;
    Some(Duration::try_from_secs_f64(number * factor).unwrap_or(FOR_EVER))
}
