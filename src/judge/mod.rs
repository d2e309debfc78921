//! Stage 7: a timeline and the expectations of a step become verdicts. Pure: what it says depends on the entries alone.
//!
//! A [`StepJudge`] is fed with entries in their order, live or from a file, and with the passing of time. Behind it stand one judge
//! an expectation, which finds what concerns its subject, and one judge a claim, which is a small state machine.

mod action;
mod cause;
pub(crate) mod claim;
mod context;
mod each;
mod every;
mod expectation;
mod hint;
mod log_lines;
mod never;
mod occurrences;
mod prospects;
mod recorded;
mod running;
mod sequence;
mod step;
mod view;
mod watched;
mod world;

pub(crate) use claim::late_look;

pub use action::{judge_action, unsettled};
pub use context::around;
pub use recorded::{RecordingError, judge_recording, report_of_recording};
pub use running::{RunningStep, answer, not_run};
pub use step::StepJudge;
pub use world::World;
