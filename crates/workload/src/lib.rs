//! What a container image does over time: the model and its interpreter.
//!
//! A [`Workload`] says when a program listens, what it answers, what it logs, how much memory it takes, when it
//! exits and how it takes SIGTERM. A [`Process`] plays one for one container: a state machine without I/O and
//! without a clock, which is told the time since its start. A stand-in drives it in real time, a simulated kubelet
//! in virtual time; both therefore see the same program.
//!
//! ```
//! use std::{collections::BTreeMap, sync::Arc, time::Duration};
//! use workload::{Effect, Process, Reply, Signal, Start, Workload};
//!
//! let workload = Workload::from_yaml(
//!     "
//! image: example/server:1.0
//! listen: {port: 8080}
//! http:
//!   /healthz:
//!   - {until: 10s, body: OK}
//!   - {status: 503}
//! on: {SIGTERM: {exit: 2}}
//! ",
//! )?;
//! let (mut process, effects) = Process::start(Arc::new(workload), &Start::default())?;
//! assert_eq!(effects, [Effect::Listen(8080)]);
//! let (reply, _) = process.request(Duration::from_secs(12), "/healthz");
//! assert!(matches!(reply, Reply::Answer { status: 503, .. }));
//! assert_eq!(process.signal(Duration::from_secs(13), Signal::Term), [Effect::Exit(2)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod image;
mod model;
mod parse;
mod process;
mod quantity;
mod registry;
mod server;
mod shell;

pub use image::{InvalidImage, normalise};
pub use model::{Answer, Growth, Health, Listen, Reaction, ServingStatus, Signals, Timer, Workload};
pub use parse::{ParseError, Problem};
pub use process::{Check, Effect, Process, Reply, Signal, Start, StartError};
pub use quantity::{InvalidQuantity, Size, Span};
pub use registry::Workloads;
pub use shell::{COMMANDS, FileSystem, Memory, Mount, Mounts};
