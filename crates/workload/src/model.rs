//! The model: what a workload file says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::quantity::{Size, Span};

/// What a container of one image does. Times count from the start of the container.
///
/// In the texts of log lines and bodies `{port}` is the port listened on and `{env.NAME}` the value of an
/// environment variable (nothing if it is not set); other braces are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Workload {
    /// The image's name and tag, as Pods write it.
    pub image: String,
    /// Further names of an image that behaves the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What the image is, in a line, for lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The port that the program serves HTTP on, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// Lines written at the start, before it listens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Answers by path, without the query; `*` is every path not named. Of a path's answers the first that has not run
    /// out is given; the last one never runs out. A path without answers is a 404.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub http: BTreeMap<String, Vec<Answer>>,
    /// What its gRPC health service says, by the name of the asked service; the empty name is the server itself. Of a
    /// service's states the first that has not run out holds; the last one never runs out. Only the simulation plays it: a stand-in
    /// speaks no gRPC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grpc: BTreeMap<String, Vec<Health>>,
    /// What it does by itself as time goes by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<Timer>,
    /// How it takes signals.
    #[serde(default, skip_serializing_if = "Signals::is_empty")]
    pub on: Signals,
    /// Whether the image has `/bin/sh` and the commands of [`COMMANDS`](crate::COMMANDS), for Pods that name a command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shell: bool,
    /// The command that runs when a Pod names none, instead of the program described here (an image's CMD).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<String>,
}

/// Where and when the program listens. When the port is taken, it exits with 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listen {
    /// The TCP port.
    pub port: u16,
    /// An environment variable that names another port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_env: Option<String>,
    /// How long it takes until it listens. Connections before that are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// An environment variable that names another `after`: a duration, or a number of seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_env: Option<String>,
    /// A line written when it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// One answer of a path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Answer {
    /// It runs out at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
    /// It runs out when it has been given so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The HTTP status; 200 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The body; empty if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A file, read once at the start, that is the body if it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_file: Option<String>,
    /// A line written at each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How long the answer takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// The request is taken and never answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hang: bool,
    /// Memory that the request takes from now on and never gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Growth>,
}

/// One state of a gRPC service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Health {
    /// It runs out at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
    /// The state.
    pub status: ServingStatus,
}

/// What a gRPC health service answers (`grpc.health.v1.HealthCheckResponse.ServingStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServingStatus {
    /// The service is well.
    Serving,
    /// It is not.
    NotServing,
}

/// Memory that grows: `take` more at once and then after every `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Growth {
    /// How much more each time.
    pub take: Size,
    /// The time between two; once only if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
}

/// Something that the program does by itself: log, take memory, exit; in this order if several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Timer {
    /// When.
    pub after: Span,
    /// And again after each such time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// A line to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Memory to take and never give back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// The code to exit with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
}

/// How the program takes signals. One that is not named has no effect, as for a process without a signal handler that
/// runs as PID 1 of its container: it is killed when the Pod's grace period is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signals {
    /// SIGTERM, which the kubelet sends to stop a container.
    #[serde(default, rename = "SIGTERM", skip_serializing_if = "Option::is_none")]
    pub term: Option<Reaction>,
}

impl Signals {
    fn is_empty(&self) -> bool {
        self.term.is_none()
    }
}

/// What a signal leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reaction {
    /// The code to exit with.
    pub exit: u8,
    /// How long after the signal; at once if left out. It goes on serving until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// A line written when the signal arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl Workload {
    /// All names of the image: its own first.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.image).chain(&self.aliases).map(String::as_str)
    }

    /// The files that the program reads at its start.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.http.values().flatten().filter_map(|answer| answer.body_file.as_deref())
    }
}
