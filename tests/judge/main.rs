//! The judge: its rules by example, its promises by property, and recorded timelines.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a failed test panics, and its numbers are small"
)]

mod mini;
mod plans;
mod properties;
mod recorded;
mod rules;
