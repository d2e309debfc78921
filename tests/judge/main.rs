//! The judge: its rules by example, its promises by property, and recorded timelines.

#![allow(clippy::panic, clippy::format_collect, reason = "tests")]

mod mini;
mod plans;
mod properties;
mod recorded;
mod rules;
