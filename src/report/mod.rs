//! Stage 8: a [`Report`] becomes bytes, one file a format.

mod model;

pub use model::*;
