//! Follows the log of one container instance to its end.

use std::io;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::sync::watch;

use super::instances;
use super::sink::Sink;
use crate::errors::chain;
use crate::timeline::{Instance, LogLine, Observation, Stream};

/// A log that ends while its container still runs may only be ahead of the Pod's status: the kubelet looks for ended containers once
/// a second (`pkg/kubelet/pleg/generic.go`).
const STATUS_LAG: Duration = Duration::from_secs(3);

/// A container that writes more than this is not listened to any longer.
const MOST_LINES: usize = 100_000;

/// Longer lines are cut, as the container runtime cuts them.
const LONGEST_LINE: usize = 16 * 1024;

/// What comes before a line: its time, and a space.
const LONGEST_TIME: usize = 64;

/// The wait before a broken follow is tried again doubles between these.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What the Pod's status says of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs.
    Running,
    /// It has ended, and its log is still the container's current one.
    Ended,
    /// Another instance has taken its place; only its predecessor's log can still be had.
    Replaced,
    /// Its log can no longer be had.
    Gone,
}

/// Follows one instance.
pub(super) struct LogFollow {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) instance: Instance,
    pub(super) life: watch::Receiver<Life>,
    pub(super) sink: Sink,
}

/// Where a follow that broke off goes on: after so many lines of this time.
#[derive(Clone, Debug, Default)]
struct Position {
    time: String,
    lines_of_time: usize,
    lines: usize,
}

/// How a read ended, other than at the end of the log.
enum Failure {
    /// It may be tried again.
    Broken(String),
    /// The API server does not have this log.
    Refused(String),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if matches!(status.code, 400 | 403 | 404) => Self::Refused(chain(&error)),
            _ => Self::Broken(chain(&error)),
        }
    }
}

impl LogFollow {
    /// Puts out every line, until the instance has ended and its log is read. With `interrupted_since`, the stream is marked as
    /// interrupted already.
    pub(super) async fn run(mut self, mut interrupted_since: Option<Duration>) {
        let stream = Stream::Log(self.instance.clone());
        let mut position = Position::default();
        let mut wait = SHORTEST_WAIT;
        loop {
            let mut life = *self.life.borrow_and_update();
            let read = match interrupted_since {
                None => self.read(life, &mut position, None).await,
                Some(_) => match self.life_now().await {
                    Ok(Life::Gone) => {
                        life = Life::Gone;
                        Err(Failure::Refused("the API server no longer has this log".to_owned()))
                    }
                    Ok(now) => {
                        life = now;
                        self.read(life, &mut position, interrupted_since).await
                    }
                    Err(failure) => Err(failure),
                },
            };
            match read {
                Ok(()) => {
                    wait = SHORTEST_WAIT;
                    let has_ended = self.sink.clock.elapsed();
                    let resumed = interrupted_since.take().is_some();
                    if resumed {
                        self.sink.resumed(&stream, false);
                    }
                    if position.lines > MOST_LINES {
                        return self.give_up(&stream).await;
                    }
                    if life != Life::Running || !resumed && self.ends_soon().await {
                        return;
                    }
                    if !resumed {
                        self.sink.interrupted(&stream, "the API server ended the log of a running container".to_owned());
                        interrupted_since = Some(has_ended);
                    }
                }
                Err(failure) => {
                    let (reason, is_final) = match failure {
                        Failure::Broken(reason) => (reason, life == Life::Gone),
                        Failure::Refused(reason) => (reason, life != Life::Running),
                    };
                    if interrupted_since.is_none() {
                        interrupted_since = Some(self.sink.clock.elapsed());
                        self.sink.interrupted(&stream, reason);
                    }
                    if is_final {
                        return self.sink.resumed(&stream, true);
                    }
                    let _ = tokio::time::timeout(wait, self.life.changed()).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Nothing is said of what the container writes from now on, as long as it lives.
    async fn give_up(&mut self, stream: &Stream) {
        self.sink.interrupted(stream, format!("the container has written more than {MOST_LINES} lines; the others are not read"));
        let _ = self.life.wait_for(|life| *life != Life::Running).await;
        self.sink.resumed(stream, true);
    }

    /// What the Pod's status says now: after an interruption, what a watch said of it may be old, and the container's log that of
    /// another instance.
    async fn life_now(&self) -> Result<Life, Failure> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), &self.namespace);
        let pod = pods.get(&self.instance.pod).await?;
        let pod = serde_json::to_value(pod).map_err(|error| Failure::Broken(error.to_string()))?;
        Ok(instances::life_of(&self.instance, &pod))
    }

    /// Whether the Pod's status says in time that the instance has ended.
    async fn ends_soon(&mut self) -> bool {
        let ended = self.life.wait_for(|life| *life != Life::Running);
        tokio::time::timeout(STATUS_LAG, ended).await.is_ok()
    }

    /// Reads on from the position. After an interruption only what has been written by now, so that it is known where that ends.
    async fn read(&self, life: Life, position: &mut Position, interrupted_since: Option<Duration>) -> Result<(), Failure> {
        let follow = life == Life::Running && interrupted_since.is_none();
        let request = http::Request::get(self.uri(life, follow, position)).body(Vec::new());
        let request = request.map_err(|error| Failure::Refused(error.to_string()))?;
        let body = self.client.request_stream(request).await?;
        let mut body = Box::pin(body);
        let mut to_skip = position.clone();
        let mut line = Vec::new();
        while read_line(&mut body, &mut line).await.map_err(|error| Failure::Broken(chain(&error)))? {
            let line = String::from_utf8_lossy(&line);
            let (time, text) = line.split_once(' ').unwrap_or((&line, ""));
            if is_seen(&mut to_skip, time) {
                continue;
            }
            position.count(time);
            if position.lines > MOST_LINES {
                return Ok(());
            }
            let line = LogLine { instance: self.instance.clone(), line: cut(text).to_owned() };
            self.sink.put(interrupted_since, Observation::Log(line));
        }
        Ok(())
    }

    fn uri(&self, life: Life, follow: bool, position: &Position) -> String {
        let Instance { pod, container, .. } = &self.instance;
        let which = match (life, follow) {
            (_, true) => "&follow=true",
            (Life::Replaced, false) => "&previous=true",
            _ => "",
        };
        let since =
            if position.time.is_empty() { String::new() } else { format!("&sinceTime={}", position.time.replace('+', "%2B")) };
        format!("/api/v1/namespaces/{}/pods/{pod}/log?container={container}&timestamps=true{which}{since}", self.namespace)
    }
}

/// Reads the next line without its end, whatever bytes it has; of a longer one no more than is kept. Says whether there is one.
async fn read_line(body: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut is_line = false;
    loop {
        let bytes = body.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(is_line);
        }
        is_line = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = (LONGEST_TIME + LONGEST_LINE).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let read = part.len() + usize::from(end.is_some());
        body.consume_unpin(read);
        if end.is_some() {
            line.pop_if(|byte| *byte == b'\r');
            return Ok(true);
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_LINE)]
}

impl Position {
    fn count(&mut self, time: &str) {
        if self.time == time {
            self.lines_of_time += 1;
        } else {
            time.clone_into(&mut self.time);
            self.lines_of_time = 1;
        }
        self.lines += 1;
    }
}

/// `sinceTime` has seconds only, so lines come again that were read before.
fn is_seen(to_skip: &mut Position, time: &str) -> bool {
    if to_skip.time.is_empty() || time > to_skip.time.as_str() {
        return false;
    }
    if time < to_skip.time.as_str() {
        return true;
    }
    let seen = to_skip.lines_of_time > 0;
    to_skip.lines_of_time = to_skip.lines_of_time.saturating_sub(1);
    seen
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Lines as they come again, `time text`, after those that were read.
    #[rstest]
    #[case::nothing_was_read(&[], &["1 a"], &["1 a"])]
    #[case::all_were_read(&["1 a", "2 b"], &["1 a", "2 b"], &[])]
    #[case::later_ones_are_new(&["1 a"], &["1 a", "2 b"], &["2 b"])]
    #[case::equal_times_are_counted(&["1 a", "1 b"], &["1 a", "1 b", "1 c"], &["1 c"])]
    #[case::old_ones_are_rotated_away(&["1 a", "2 b"], &["2 b", "3 c"], &["3 c"])]
    fn a_read_goes_on_where_it_broke_off(#[case] read: &[&str], #[case] again: &[&str], #[case] new: &[&str]) {
        let time = |line: &str| line.split_once(' ').map(|(time, _)| time.to_owned()).unwrap_or_default();
        let mut position = Position::default();
        for line in read {
            position.count(&time(line));
        }
        let mut to_skip = position.clone();
        let left: Vec<&str> = again.iter().copied().filter(|line| !is_seen(&mut to_skip, &time(line))).collect();
        assert_eq!(left, new);
        assert_eq!(position.lines, read.len());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn lines_are_read_whatever_they_consist_of() {
        let long = [b"1 ".to_vec(), vec![b'x'; 3 * LONGEST_LINE], b"\n".to_vec()].concat();
        let bytes = [&b"1 a\r\n\n1 \xff\xfe b\n"[..], &long, b"1 the last one"].concat();
        let mut body = futures::io::BufReader::with_capacity(7, &bytes[..]);
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        while read_line(&mut body, &mut line).await.expect("bytes in memory") {
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        assert_eq!(lines[3].len(), LONGEST_TIME + LONGEST_LINE);
        lines.remove(3);
        assert_eq!(lines, ["1 a", "", "1 \u{fffd}\u{fffd} b", "1 the last one"]);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = format!("{}é", "a".repeat(LONGEST_LINE - 1));
        assert_eq!(cut(&line).len(), LONGEST_LINE - 1);
        assert_eq!(cut("short"), "short");
    }
}
