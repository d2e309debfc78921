//! Stage 8: a [`Report`] becomes bytes, one file a format. All formats are made from the same cases, so they agree with each other
//! and with the [exit code](crate::exit_code).

mod case;
pub mod console;
pub mod destination;
mod detail;
pub mod github;
pub mod histories;
pub mod json;
pub mod junit;
pub mod markdown;
mod model;
mod palette;
pub(crate) mod text;

pub use model::*;
pub use palette::Palette;
pub use text::escaped;

pub use destination::{Destination, DestinationError, Format, check_all, write_all, write_files};

#[cfg(test)]
mod tests;
