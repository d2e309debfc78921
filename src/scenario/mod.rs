//! Stage 1: a scenario file becomes a [`Scenario`].

mod action;
mod claim;
mod decoder;
pub(crate) mod describe;
mod duration;
mod expectation;
mod file;
mod kinds;
mod matcher;
mod model;
mod printed;
mod row;
mod shapes;

pub use duration::parse_duration;
pub use file::{Loaded, find, load, load_all, manifest_root, parse};
pub use matcher::{FieldPath, LabelSelector, MatcherError, Segment, ValueMatch};
pub use model::*;
