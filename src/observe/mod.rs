//! Stage 5: watches and log follows become the entries of a timeline. Nothing is polled.

mod instances;
mod logs;
mod observer;
mod sink;
mod table;
mod watch;

pub use observer::{ObserveError, Observer};
