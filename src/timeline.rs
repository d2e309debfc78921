//! Stage 6: everything that was observed, in the order in which it was observed; append-only, one JSON object a line.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the file format; a reader refuses a higher one.
pub const TIMELINE_VERSION: u32 = 1;

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was observed, in seconds since the scenario began (written with microseconds).
    #[serde(with = "seconds")]
    pub t: Duration,
    /// It happened after this time, not only at `t`: the watch had been interrupted. In seconds as `t`.
    #[serde(with = "optional_seconds", default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// What was observed.
    pub what: Observation,
}

/// What was observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation {
    /// The first line: whose timeline this is.
    Begun(Begun),
    /// A step's action is being sent: the step's time zero.
    StepStarted {
        /// The step, counted from 0.
        step: usize,
        /// The action in words.
        action: String,
    },
    /// The API server has answered the step's action.
    Acted {
        /// The step, counted from 0.
        step: usize,
        /// What came of it.
        result: ActionResult,
    },
    /// A step is over.
    StepEnded {
        /// The step, counted from 0.
        step: usize,
    },
    /// An object, as a watch delivered it; shared, for objects are large.
    Object(Arc<ObjectObservation>),
    /// A line of a container's log.
    Log(LogLine),
    /// Nothing more is known of this stream from now on.
    Interrupted {
        /// Which stream.
        stream: Stream,
        /// Why.
        reason: String,
    },
    /// The stream goes on, and what happened since `Interrupted` has been delivered as far as it ever will be.
    Resumed {
        /// Which stream.
        stream: Stream,
        /// Changes in between may be missing: a gap.
        gap: bool,
    },
}

/// The head of a timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// [`TIMELINE_VERSION`] of the writer.
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The provider's name: `kind`, `context`, `sim`.
    pub provider: String,
    /// The API server's version, such as `v1.37.2`.
    pub kubernetes: String,
    /// The wall-clock time of `t` = 0, RFC 3339.
    pub epoch: String,
    /// The scenario's namespace.
    pub namespace: String,
    /// Images that stand-ins played.
    pub stand_ins: Vec<String>,
    /// The kinds that were watched, as API version and kind; a timeline that does not say so may tell of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<Vec<(String, String)>>,
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionResult {
    /// The API server accepted it.
    Done,
    /// It was done, but an answer was lost, so it is not known when: nothing can be said of the times after it.
    Unsure {
        /// How the answer was lost.
        reason: String,
    },
    /// A command ended.
    Executed {
        /// Its exit code.
        exit_code: i32,
        /// The beginning of its standard output.
        stdout: String,
        /// The beginning of its standard error.
        stderr: String,
    },
    /// A request was answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// The API server refused it for good: what the scenario asks for is wrong.
    Refused {
        /// Why, in the API server's words.
        error: String,
    },
    /// It could not be sent, or the API server could not carry it out.
    Failed {
        /// Why.
        error: String,
    },
}

/// What a watch said about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was there when the watch began, or was found again after a gap.
    Initial,
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It is gone; the object is its last state.
    Deleted,
}

/// An object, as a watch delivered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectObservation {
    /// What happened to it.
    pub change: Change,
    /// `v1`, `apps/v1`, …
    pub api_version: String,
    /// `Pod`, `Deployment`, …
    pub kind: String,
    /// Its `metadata.name`.
    pub name: String,
    /// Its `metadata.uid`.
    pub uid: String,
    /// kubectl's columns by header in capitals (`READY`, `STATUS`, …), as this API server printed them; without NAME and AGE.
    pub columns: BTreeMap<String, String>,
    /// The whole object without `metadata.managedFields`; the values of a Secret are blanked.
    pub object: Value,
}

/// A line of a container's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The container instance that wrote it.
    pub instance: Instance,
    /// The line without its end.
    pub line: String,
}

/// One life of a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instance {
    /// The Pod's name.
    pub pod: String,
    /// The Pod's uid.
    pub uid: String,
    /// The container's name.
    pub container: String,
    /// The container's restart count in this life.
    pub restart: u32,
}

/// Where observations come from; each is interrupted and resumed on its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// The watch of a kind.
    Watch {
        /// `v1`, `apps/v1`, …
        api_version: String,
        /// `Pod`, …
        kind: String,
    },
    /// The log of a container instance.
    Log(Instance),
}

/// A line of a timeline file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("line {0}: the timeline cannot be read: {1}")]
    Io(usize, io::Error),
    /// A line is not an entry.
    #[error("line {line}: not an entry of a timeline: {error}")]
    Entry {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// Entries are not in the order of their times.
    #[error("line {0}: its time lies before that of the line above")]
    Order(usize),
    /// The first line is not [`Observation::Begun`].
    #[error("line 1: a timeline begins with `begun`, which says whose it is")]
    Head,
    /// Written by a later labproof.
    #[error("line 1: the timeline has version {0}, this program reads up to {TIMELINE_VERSION}; use a newer labproof")]
    Version(u64),
}

/// Writes one entry as one line.
pub fn write_entry(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    serde_json::to_writer(&mut *out, entry)?;
    out.write_all(b"\n")
}

/// Reads a whole timeline. A last line that was cut off in the middle (its writer was killed) is left out.
pub fn read(mut input: impl BufRead) -> Result<Vec<Entry>, ReadError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(|error| ReadError::Io(number, error))? == 0 {
            break;
        }
        if number == 1 {
            check_version(&line)?;
        }
        let entry: Entry = match serde_json::from_slice(&line) {
            Ok(entry) => entry,
            Err(_) if number > 1 && !line.ends_with(b"\n") => break,
            Err(error) => return Err(ReadError::Entry { line: number, error }),
        };
        if entries.last().is_some_and(|last| last.t > entry.t) {
            return Err(ReadError::Order(number));
        }
        entries.push(entry);
    }
    match entries.first().map(|entry| &entry.what) {
        Some(Observation::Begun(_)) => Ok(entries),
        _ => Err(ReadError::Head),
    }
}

/// A later version may say anything in other words, but its version.
fn check_version(first: &[u8]) -> Result<(), ReadError> {
    let head: Value = serde_json::from_slice(first).unwrap_or_default();
    match head.pointer("/what/begun/version").and_then(Value::as_u64) {
        Some(version) if version > u64::from(TIMELINE_VERSION) => Err(ReadError::Version(version)),
        _ => Ok(()),
    }
}

/// A [`Duration`] as a number of seconds, to the microsecond.
pub mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes seconds.
    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit into 53 bits")]
        serializer.serialize_f64(time.as_micros() as f64 / 1e6)
    }

    /// Reads seconds; negative, endless and absurdly large ones are refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let micros = (seconds * 1e6).round();
        if !(0.0..1e17).contains(&micros) {
            return Err(D::Error::custom(format!("{seconds} is not a time in seconds")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        Ok(Duration::from_micros(micros as u64))
    }
}

pub(crate) mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::seconds::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Seconds(#[serde(with = "super::seconds")] Duration);
        Ok(Option::<Seconds>::deserialize(deserializer)?.map(|s| s.0))
    }
}
