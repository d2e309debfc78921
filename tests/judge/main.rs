//! The judge: its rules by example, its promises by property, and recorded timelines.

mod mini;
mod properties;
mod recorded;
mod rules;
