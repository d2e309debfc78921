//! Stage 1: a scenario file becomes a [`Scenario`].

mod action;
mod claim;
mod decoder;
pub(crate) mod describe;
mod duration;
mod expectation;
mod file;
pub(crate) mod images;
pub(crate) mod kinds;
mod matcher;
mod model;
pub(crate) mod names;
mod printed;
mod row;
mod schema;
mod shapes;
mod surface;

pub(crate) use decoder::nearest;
pub use duration::parse_duration;
pub use file::{Loaded, find, load, load_all, manifest_root, parse};
pub use images::ImageUse;
pub(crate) use matcher::keyed;
pub use matcher::{FieldPath, LabelSelector, MatcherError, Segment, ValueMatch};
pub use model::*;
pub use schema::schema;
