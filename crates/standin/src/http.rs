//! As much of HTTP/1.1 as probes and `curl` need: one request for each connection, no bodies read.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::{Sender, channel},
    thread,
    time::Duration,
};

use workload::Reply;

use crate::Message;

/// The longest request line with headers that is read.
const HEAD_LIMIT: u64 = 16 * 1024;
/// How long a client may take to send its request, and to close after the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves on a thread of its own for as long as the program runs.
pub(crate) fn serve(listener: TcpListener, sender: &Sender<Message>) {
    let sender = sender.clone();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let sender = sender.clone();
            // What goes wrong with a connection (a probe that gave up, a thread too many) ends it and nothing else.
            let _ = thread::Builder::new().stack_size(128 * 1024).spawn(move || converse(&connection, &sender));
        }
    });
}

struct Request {
    method: String,
    path: String,
}

fn converse(connection: &TcpStream, sender: &Sender<Message>) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let Some(request) = read(connection)? else {
        return answer(connection, "", 400, "Bad Request");
    };
    let (reply_sender, reply) = channel();
    let question = Message::Request(request.path, reply_sender);
    let (Ok(()), Ok(reply)) = (sender.send(question), reply.recv()) else {
        return Ok(());
    };
    match reply {
        Reply::Answer { status, body, delay } => {
            wait(delay);
            answer(connection, &request.method, status, &body)
        }
        Reply::Never => {
            connection.set_read_timeout(None)?;
            drain(connection)
        }
        Reply::Refused => Ok(()),
    }
}

/// The request line; the headers are read and ignored. Nothing if it is not HTTP/1.
fn read(connection: &TcpStream) -> io::Result<Option<Request>> {
    let mut reader = BufReader::new(connection.take(HEAD_LIMIT));
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    // What is no text is no request either, such as the first bytes of TLS.
    let Ok(line) = String::from_utf8(line) else { return Ok(None) };
    let mut words = line.split_ascii_whitespace();
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Ok(None);
    };
    // A proxy may send the whole URL.
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let request = Request { method: method.to_owned(), path: path.to_owned() };
    if !version.starts_with("HTTP/1.") {
        return Ok(None);
    }
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Ok(None);
        }
        if header.trim_end().is_empty() {
            return Ok(Some(request));
        }
    }
}

fn answer(mut connection: &TcpStream, method: &str, status: u16, body: &str) -> io::Result<()> {
    let mut text = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        reason(status),
        body.len()
    );
    if method != "HEAD" {
        text.push_str(body);
    }
    connection.write_all(text.as_bytes())?;
    connection.shutdown(Shutdown::Write)?;
    // To close with unread bytes would reset the connection, perhaps before the client has its answer.
    drain(connection)
}

fn drain(mut connection: &TcpStream) -> io::Result<()> {
    io::copy(&mut connection, &mut io::sink()).map(drop)
}

#[expect(clippy::disallowed_methods, reason = "a slow answer is slow for real")]
fn wait(delay: Duration) {
    thread::sleep(delay);
}

/// The usual reason phrases; clients go by the number.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
