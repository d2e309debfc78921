//! Commands that take no time.

use std::time::Duration;

use super::{COMMANDS, NOT_FOUND, Problem, Shell, date, lexer::unknown};

/// What a command has written, and its exit code.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) status: u8,
}

impl Said {
    fn line(text: impl Into<String>) -> Self {
        Self { out: text.into() + "\n", ..Self::default() }
    }

    pub(super) fn error(text: impl Into<String>) -> Self {
        Self { err: text.into() + "\n", status: 1, ..Self::default() }
    }

    fn status(success: bool) -> Self {
        Self { status: u8::from(!success), ..Self::default() }
    }
}

/// Runs a command.
pub(super) fn run(shell: &Shell, at: Duration, name: &str, arguments: &[String]) -> Result<Said, Problem> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Ok(match name {
        "true" | ":" => Said::default(),
        "false" => Said::status(false),
        "echo" => echo(&words),
        "printf" => return printf(&words),
        "cat" => {
            each(&words, |path| shell.files.read(&absolute(path)).map_err(|error| format!("cat: can't open '{path}': {error}")))
        }
        "touch" => each(options(&words)?.1, |path| {
            let written = shell.files.write(&absolute(path), "", true);
            written.map(|()| String::new()).map_err(|error| format!("touch: {path}: {error}"))
        }),
        "rm" => {
            let (flags, paths) = options(&words)?;
            each(paths, |path| match remove(shell, &absolute(path), &flags) {
                Err(error) => Err(format!("rm: can't remove '{path}': {error}")),
                Ok(()) => Ok(String::new()),
            })
        }
        "mkdir" => {
            let (flags, paths) = options(&words)?;
            each(paths, |path| match make_folder(shell, &absolute(path), flags.contains('p')) {
                Err(error) => Err(format!("mkdir: can't create directory '{path}': {error}")),
                Ok(()) => Ok(String::new()),
            })
        }
        "ls" => {
            let (flags, paths) = options(&words)?;
            if flags.contains('l') {
                return unknown("ls -l");
            }
            each(if paths.is_empty() { &["/"] } else { paths }, |path| list(shell, path))
        }
        "test" => Said::status(test(shell, &words)?),
        "[" => match words.split_last() {
            Some((&"]", words)) => Said::status(test(shell, words)?),
            _ => Said { status: 2, ..Said::error("sh: missing ]") },
        },
        "date" => return date(shell, at, &words),
        "env" => {
            let lines = shell.variables.iter().map(|(name, value)| format!("{name}={value}\n"));
            if !words.is_empty() {
                return unknown("env COMMAND");
            }
            Said { out: lines.collect(), ..Said::default() }
        }
        "hostname" => Said::line(shell.variables.get("HOSTNAME").cloned().unwrap_or_default()),
        "pwd" => Said::line("/"),
        "seq" => return seq(&words),
        "expr" => return expr(&words),
        _ => Said {
            status: NOT_FOUND,
            ..Said::error(format!("sh: {name}: not found (labproof's stand-in has only {})", COMMANDS.join(", ")))
        },
    })
}

/// Commands have `/` as their working directory.
pub(super) fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches("./").trim_start_matches('/'))
}

/// Does something to each path; what fails is said and the others are done.
fn each(paths: &[&str], mut act: impl FnMut(&str) -> Result<String, String>) -> Said {
    let mut said = Said::default();
    for path in paths {
        match act(path) {
            Ok(text) => said.out.push_str(&text),
            Err(error) => {
                said.err.push_str(&(error + "\n"));
                said.status = 1;
            }
        }
    }
    said
}

/// The letters of the options, and the other arguments.
fn options<'a, 'b>(words: &'b [&'a str]) -> Result<(String, &'b [&'a str]), Problem> {
    let count = words.iter().take_while(|word| word.starts_with('-') && word.len() > 1).count();
    let (flags, paths) = words.split_at(count);
    if let Some(flag) = flags.iter().find(|flag| flag.starts_with("--") || !flag[1..].bytes().all(|c| b"fprRal1".contains(&c))) {
        return unknown(flag);
    }
    Ok((flags.concat(), paths))
}

fn remove(shell: &Shell, path: &str, flags: &str) -> Result<(), String> {
    let is_folder = shell.files.list(path).is_ok();
    if is_folder && !flags.contains(['r', 'R']) {
        return Err("Is a directory".to_owned());
    }
    shell.files.remove(path).or_else(|error| if flags.contains('f') { Ok(()) } else { Err(error) })
}

fn make_folder(shell: &Shell, path: &str, with_parents: bool) -> Result<(), String> {
    if with_parents {
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]).filter(|parent| !parent.is_empty());
        for folder in parents.chain([path]).filter(|folder| shell.files.list(folder).is_err()) {
            shell.files.make_folder(folder)?;
        }
        return Ok(());
    }
    shell.files.make_folder(path)
}

fn list(shell: &Shell, path: &str) -> Result<String, String> {
    let absolute = absolute(path);
    if shell.files.read(&absolute).is_ok() {
        return Ok(format!("{path}\n"));
    }
    let names = shell.files.list(&absolute).map_err(|error| format!("ls: {path}: {error}"))?;
    Ok(names.into_iter().map(|name| name + "\n").collect())
}

/// busybox' `echo`: `-n` leaves the newline out, `-e` reads escapes.
fn echo(words: &[&str]) -> Said {
    let is_option = |word: &&&str| word.len() > 1 && word.starts_with('-') && word[1..].bytes().all(|c| b"neE".contains(&c));
    let count = words.iter().take_while(is_option).count();
    let flags = words[..count].concat();
    let text = words[count..].join(" ");
    let text = if flags.contains('e') { unescaped(&text) } else { text };
    let end = if flags.contains('n') { "" } else { "\n" };
    Said { out: text + end, ..Said::default() }
}

/// A text with its escapes read.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('\\') | None => plain.push('\\'),
            Some('c') => return plain,
            Some(c) => plain.extend(['\\', c]),
        }
    }
    plain
}

/// `printf` with `%s`, `%d` and `%%`; the format is used again while there are arguments left.
fn printf(words: &[&str]) -> Result<Said, Problem> {
    let Some((format, mut arguments)) = words.split_first() else { return Ok(Said::error("printf: a format is missing")) };
    let mut out = String::new();
    loop {
        let before = arguments.len();
        let mut chars = format.chars();
        let mut plain = String::new();
        while let Some(c) = chars.next() {
            if c != '%' {
                plain.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => plain.push('%'),
                Some('s' | 'd' | 'i') => {
                    out.push_str(&unescaped(&std::mem::take(&mut plain)));
                    if let Some((first, rest)) = arguments.split_first() {
                        out.push_str(first);
                        arguments = rest;
                    }
                }
                other => return unknown(&format!("printf %{}", other.unwrap_or_default())),
            }
        }
        out.push_str(&unescaped(&plain));
        if arguments.is_empty() || arguments.len() == before {
            return Ok(Said { out, ..Said::default() });
        }
    }
}

fn test(shell: &Shell, words: &[&str]) -> Result<bool, Problem> {
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| Problem::Syntax(format!("{text}: bad number")));
    Ok(match words {
        [] => false,
        ["!", rest @ ..] => !test(shell, rest)?,
        [text] | ["-n", text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        ["-e", path] => shell.files.read(&absolute(path)).is_ok() || shell.files.list(&absolute(path)).is_ok(),
        ["-f" | "-r", path] => shell.files.read(&absolute(path)).is_ok(),
        ["-s", path] => shell.files.read(&absolute(path)).is_ok_and(|content| !content.is_empty()),
        ["-d", path] => shell.files.list(&absolute(path)).is_ok(),
        [a, "=" | "==", b] => a == b,
        [a, "!=", b] => a != b,
        [a, "-eq", b] => number(a)? == number(b)?,
        [a, "-ne", b] => number(a)? != number(b)?,
        [a, "-lt", b] => number(a)? < number(b)?,
        [a, "-le", b] => number(a)? <= number(b)?,
        [a, "-gt", b] => number(a)? > number(b)?,
        [a, "-ge", b] => number(a)? >= number(b)?,
        _ => return unknown(&format!("[ {} ]", words.join(" "))),
    })
}

fn date(shell: &Shell, at: Duration, words: &[&str]) -> Result<Said, Problem> {
    let words = if let ["-u", rest @ ..] = words { rest } else { words };
    let format = match words {
        [] => "%a %b %e %H:%M:%S %Z %Y",
        [format] if format.starts_with('+') => &format[1..],
        _ => return unknown(&format!("date {}", words.join(" "))),
    };
    let text = date::format(shell.began.saturating_add(at), format);
    text.map_or_else(|| unknown(&format!("date +{format}")), |text| Ok(Said::line(text)))
}

/// The most numbers that `seq` writes.
const MOST_NUMBERS: usize = 100_000;

fn seq(words: &[&str]) -> Result<Said, Problem> {
    let numbers: Option<Vec<i64>> = words.iter().map(|word| word.parse().ok()).collect();
    let (first, step, last) = match numbers.as_deref() {
        Some([last]) => (1, 1, *last),
        Some([first, last]) => (*first, 1, *last),
        Some([first, step, last]) if *step != 0 => (*first, *step, *last),
        _ => return unknown(&format!("seq {}", words.join(" "))),
    };
    let within = |number: &i64| if step > 0 { *number <= last } else { *number >= last };
    let numbers = std::iter::successors(Some(first), |number| number.checked_add(step)).take_while(within).take(MOST_NUMBERS);
    Ok(Said { out: numbers.flat_map(|number| [number.to_string(), "\n".to_owned()]).collect(), ..Said::default() })
}

/// `expr` with one operation. It fails when its value is 0.
fn expr(words: &[&str]) -> Result<Said, Problem> {
    let value = match words {
        [a, sign @ ("+" | "-" | "*" | "/" | "%"), b] => {
            super::arithmetic::value(&format!("({a}) {sign} ({b})"), &|_| "x".to_owned())
        }
        _ => None,
    };
    match value {
        Some(value) => Ok(Said { status: u8::from(value == 0), ..Said::line(value.to_string()) }),
        None => unknown(&format!("expr {}", words.join(" "))),
    }
}
