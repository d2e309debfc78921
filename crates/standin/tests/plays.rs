//! The stand-in as a process of its own: what it logs, answers and exits with.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv6Addr, TcpListener, TcpStream},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;
use workload::Workload;

const SERVER: &str = r#"{
    "image": "a:1",
    "listen": {"port": 1, "port-env": "PORT", "log": "Listening on {port}"},
    "log": ["Starting"],
    "http": {
        "/": [{"body": "hello from {port}"}],
        "/sick": [{"times": 1, "status": 503, "log": "Unhealthy"}, {"body": "well"}],
        "/never": [{"hang": true, "memory": {"take": "32MiB"}, "log": "Taken"}]
    },
    "on": {"SIGTERM": {"exit": 2}}
}"#;

struct Playing {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
    _directory: TempDir,
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap().local_addr().unwrap().port()
}

fn play(workload: &str, name: &str, arguments: &[&str], port: u16) -> Playing {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("workload.json");
    fs::write(&file, Workload::from_json(workload).unwrap().to_json()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_standin"))
        .arg0(name)
        .args(arguments)
        .env("STANDIN_WORKLOAD", &file)
        .env("PORT", port.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    Playing { child, lines, port, _directory: directory }
}

impl Playing {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    /// The status line and the body.
    fn get(&self, path: &str) -> (String, String) {
        let mut answer = String::new();
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    fn terminate(&self) {
        let killed = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for the end; returns the exit code, or the signal that it died of as a negative number.
    fn end(mut self) -> i32 {
        let status = self.child.wait().unwrap();
        status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        // A test that fails leaves nothing running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_and_ends_on_sigterm_with_its_code() {
    let mut server = play(SERVER, "/standin", &["ignored"], free_port());
    assert_eq!([server.line(), server.line()], ["Starting".to_owned(), format!("Listening on {}", server.port)]);
    assert_eq!(server.get("/?a=b"), ("HTTP/1.1 200 OK".into(), format!("hello from {}", server.port)));
    assert_eq!(server.get("/sick").0, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(server.line(), "Unhealthy");
    assert_eq!(server.get("/sick").1, "well");
    assert_eq!(server.get("/none"), ("HTTP/1.1 404 Not Found".into(), "404 page not found\n".into()));
    server.terminate();
    assert_eq!(server.end(), 2);
}

#[test]
fn a_taken_port_ends_it() {
    let taken = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut server = play(SERVER, "/standin", &[], port);
    assert_eq!([server.line(), server.line()], ["Starting".into(), format!("listen tcp :{port}: bind: address already in use")]);
    assert_eq!(server.end(), 1);
}

#[test]
fn a_request_without_answer_takes_memory_for_real() {
    let mut server = play(SERVER, "/standin", &[], free_port());
    let resident = |server: &Playing| -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert_eq!([server.line(), server.line()][0], "Starting");
    let before = resident(&server);
    let _pending = server.send("GET /never HTTP/1.1\r\n\r\n");
    assert_eq!(server.line(), "Taken");
    // Its answer shows that the effects of the request before are done.
    assert_eq!(server.get("/").0, "HTTP/1.1 200 OK");
    assert!(resident(&server) >= before + 32 * 1024);
}

#[test]
fn what_is_not_http_is_refused_and_it_goes_on() {
    let mut server = play(SERVER, "/standin", &[], free_port());
    assert_eq!([server.line(), server.line()][0], "Starting");
    for nonsense in ["\r\n\r\n", "hello\n", "GET /\r\n\r\n", "\0\u{ffff}\r\n", &"x".repeat(20_000)] {
        let mut stream = server.send(nonsense);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        // The rest of a flood is not read; the connection may be reset under it.
        if stream.read_to_string(&mut answer).is_ok() {
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        }
    }
    let mut head = String::new();
    server.send("HEAD / HTTP/1.0\r\n\r\n").read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

const SHELL: &str = r#"{"image": "busybox:1.36.1", "shell": true, "run": ["sh"]}"#;

#[test]
fn commands_are_told_apart_by_their_name() {
    let mut shell = play(SHELL, "/bin/sh", &["-c", "echo on $PORT; sleep 0.01; exit 7"], 5);
    assert_eq!(shell.line(), "on 5");
    assert_eq!(shell.end(), 7);
    assert_eq!(play(SHELL, "true", &[], 0).end(), 0);
    assert_eq!(play(SHELL, "busybox", &["false"], 0).end(), 1);
    // The image's own program when it has a `run`.
    assert_eq!(play(SHELL, "/standin", &[], 0).end(), 0);
}

/// Commands share the real files, as an exec probe and the program beside it do.
#[test]
fn files_are_real() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("healthy");
    let path = file.to_str().unwrap();
    assert_eq!(play(SHELL, "/bin/sh", &["-c", &format!("echo one > {path}; echo -n two >> {path}")], 0).end(), 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo");
    let mut cat = play(SHELL, "cat", &[path], 0);
    assert_eq!([cat.line(), cat.line()], ["one", "two"]);
    assert_eq!(cat.end(), 0);
    assert_eq!(play(SHELL, "rm", &[path], 0).end(), 0);
    let mut cat = play(SHELL, "cat", &[path], 0);
    assert_eq!(cat.line(), format!("cat: can't open '{path}': No such file or directory"));
    assert_eq!(cat.end(), 1);
}

#[test]
fn a_sleep_that_is_not_pid_1_dies_of_sigterm() {
    let sleep = play(SHELL, "sleep", &["9999"], 0);
    sleep.terminate();
    assert_eq!(sleep.end(), -15);
}

#[test]
fn a_workload_that_cannot_be_read_is_named() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_standin"));
    let output = child.env("STANDIN_WORKLOAD", "/does/not/exist").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("cannot read the workload /does/not/exist: "));
}
