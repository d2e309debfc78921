//! Stage 1: a scenario file becomes a [`Scenario`].

pub(crate) mod describe;
mod matcher;
mod model;

pub use matcher::{FieldPath, LabelSelector, MatcherError, Segment, ValueMatch};
pub use model::*;
