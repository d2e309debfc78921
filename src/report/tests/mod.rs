//! Tests of all formats together.

mod agreement;
mod arbitrary;
mod destinations;
mod fixtures;
mod histories;
mod snapshots;
