//! The commands of images that have a shell, as far as courses use them to make containers that sleep, speak and exit.
//!
//! `sh -c` knows sequences of [`COMMANDS`] joined by `;`, newlines, `&&` and `||`, quotes, and `$NAME`. What it does not
//! know it says so and fails, as a shell would; it never pretends.

use std::{collections::BTreeMap, iter::Peekable, mem, str::Chars, time::Duration};

use crate::process::{Output, StartError};

/// The commands that an image with `shell: true` has in `/bin`.
pub const COMMANDS: [&str; 6] = ["busybox", "echo", "false", "sh", "sleep", "true"];

/// Exit code of a shell for a command that it cannot find, and for a script that it cannot read.
const NOT_FOUND: u8 = 127;
const MISUSE: u8 = 2;

/// Words with a meaning of their own in a real shell, at a command's place.
const KEYWORDS: [&str; 14] =
    ["!", "[", "case", "cd", "export", "for", "function", "if", "set", "test", "trap", "until", "while", "{"];

#[derive(Debug, Clone)]
pub(crate) struct Shell {
    script: Vec<Simple>,
    /// The next command.
    next: usize,
    /// Exit code of the one before.
    status: u8,
    /// When the next command begins; `None` if never.
    wake: Option<Duration>,
}

/// A command and on what result of the one before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Simple {
    given: Given,
    words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Always,
    Success,
    Failure,
}

impl Shell {
    /// `argv` must not be empty.
    pub(crate) fn new(argv: &[String], env: &BTreeMap<String, String>) -> Result<Self, StartError> {
        let missing = || StartError { command: argv.first().cloned().unwrap_or_default() };
        let mut words = argv;
        if program(words) == Some("busybox") && words.len() > 1 {
            words = &words[1..];
        }
        let name = program(words).ok_or_else(missing)?;
        let script = match (name, words) {
            ("sh", [_, flag, text, ..]) if flag == "-c" => read(text, env).unwrap_or_else(|complaint| vec![complaint]),
            // Without a terminal there is nothing to read: it ends at once.
            ("sh" | "busybox", [_]) => Vec::new(),
            ("sh", [_, file, ..]) => vec![complaint(&format!("sh: can't open '{file}'"))],
            _ => vec![Simple { given: Given::Always, words: [&[name.to_owned()], &words[1..]].concat() }],
        };
        Ok(Self { script, next: 0, status: 0, wake: Some(Duration::ZERO) })
    }

    pub(crate) fn next_wakeup(&self) -> Option<Duration> {
        self.wake
    }

    pub(crate) fn advance(&mut self, now: Duration, output: &mut Output) {
        while let Some(at) = self.wake.filter(|at| *at <= now)
            && !output.has_exited()
        {
            match self.script.get(self.next).cloned() {
                Some(command) => self.run(at, &command, output),
                None => output.exit(self.status),
            }
            self.next += 1;
        }
    }

    fn run(&mut self, at: Duration, command: &Simple, output: &mut Output) {
        match (command.given, self.status) {
            (Given::Success, 1..) | (Given::Failure, 0) => return,
            _ => {}
        }
        let mut words = command.words.as_slice();
        if let [first, rest @ ..] = words
            && first == "exec"
            && !rest.is_empty()
        {
            self.script.truncate(self.next + 1);
            words = rest;
        }
        let Some((name, arguments)) = words.split_first() else {
            return;
        };
        self.status = match name.strip_prefix("/bin/").unwrap_or(name) {
            "true" | ":" => 0,
            "false" => 1,
            "echo" => {
                output.log(arguments.join(" "));
                0
            }
            "sleep" => self.sleep(at, arguments, output),
            "exit" => {
                output.exit(arguments.first().map_or(Some(self.status), |code| exit_code(code)).unwrap_or(MISUSE));
                self.status
            }
            MISREAD => {
                output.log(arguments.concat());
                MISUSE
            }
            _ => {
                output.log(format!("sh: {name}: not found (this stand-in knows echo, exit, false, sleep and true)"));
                NOT_FOUND
            }
        };
    }

    fn sleep(&mut self, at: Duration, arguments: &[String], output: &mut Output) -> u8 {
        let times = arguments.iter().map(|text| seconds(text)).collect::<Option<Vec<_>>>();
        let Some(times) = times.filter(|times| !times.is_empty()) else {
            output.log(format!("sleep: invalid number '{}'", arguments.join(" ")));
            return 1;
        };
        let total = times.into_iter().fold(Duration::ZERO, Duration::saturating_add);
        self.wake = at.checked_add(total).filter(|_| total < FOR_EVER);
        0
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

/// In the place of a script that cannot be read: a command of our own that says so. No shell word can be this.
const MISREAD: &str = "\0misread";

fn complaint(message: &str) -> Simple {
    Simple { given: Given::Always, words: vec![MISREAD.to_owned(), message.to_owned()] }
}

/// Reads a script; what cannot be read comes back as a complaint.
fn read(text: &str, env: &BTreeMap<String, String>) -> Result<Vec<Simple>, Simple> {
    let unknown = |what: &str| complaint(&format!("sh: this stand-in does not understand `{what}`"));
    let mut script = Vec::new();
    let mut given = Given::Always;
    let mut reader = Reader { chars: text.chars().peekable(), env };
    loop {
        let (words, end) = reader.command().map_err(|what| unknown(&what))?;
        if let Some(keyword) = words.first().filter(|word| KEYWORDS.contains(&word.as_str())) {
            return Err(unknown(keyword));
        }
        let empty = words.is_empty();
        if !empty {
            script.push(Simple { given, words });
        } else if given != Given::Always || !matches!(end, End::Script | End::Line) {
            return Err(complaint("sh: syntax error: a command is missing"));
        }
        given = match end {
            End::Script => return Ok(script),
            End::And => Given::Success,
            End::Or => Given::Failure,
            End::Line | End::Semicolon => Given::Always,
        };
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Script,
    Line,
    Semicolon,
    And,
    Or,
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    env: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    /// The words of the next command and what ends it, or the text that is not understood.
    fn command(&mut self) -> Result<(Vec<String>, End), String> {
        let mut words = Vec::new();
        let mut word = String::new();
        // A word may be empty when it is quoted.
        let mut quoted = false;
        let end = loop {
            let Some(c) = self.chars.next() else {
                break End::Script;
            };
            match c {
                ' ' | '\t' if word.is_empty() && !quoted => {}
                ' ' | '\t' => {
                    words.push(mem::take(&mut word));
                    quoted = false;
                }
                '\n' => break End::Line,
                ';' => break End::Semicolon,
                '&' if self.chars.next_if_eq(&'&').is_some() => break End::And,
                '|' if self.chars.next_if_eq(&'|').is_some() => break End::Or,
                '&' | '|' | '<' | '>' | '(' | ')' | '`' | '*' | '?' => return Err(c.to_string()),
                '\'' | '"' => {
                    quoted = true;
                    self.quotation(c, &mut word)?;
                }
                '#' if word.is_empty() && !quoted => while self.chars.next_if(|c| *c != '\n').is_some() {},
                '\\' => word.extend(self.chars.next().filter(|c| *c != '\n')),
                '$' => self.variable(&mut word)?,
                c => word.push(c),
            }
        };
        if quoted || !word.is_empty() {
            words.push(word);
        }
        Ok((words, end))
    }

    fn quotation(&mut self, quote: char, word: &mut String) -> Result<(), String> {
        loop {
            match self.chars.next() {
                None => return Err(quote.to_string()),
                Some(c) if c == quote => return Ok(()),
                Some('$') if quote == '"' => self.variable(word)?,
                Some('`') if quote == '"' => return Err("`".to_owned()),
                Some('\\') if quote == '"' => match self.chars.next() {
                    Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                    Some(c) => word.extend(['\\', c]),
                    None => return Err(quote.to_string()),
                },
                Some(c) => word.push(c),
            }
        }
    }

    fn variable(&mut self, word: &mut String) -> Result<(), String> {
        let braced = self.chars.next_if_eq(&'{').is_some();
        let mut name = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        if name.is_empty() || (braced && self.chars.next() != Some('}')) {
            return Err("$".to_owned());
        }
        word.extend(self.env.get(&name).map(String::as_str));
        Ok(())
    }
}
