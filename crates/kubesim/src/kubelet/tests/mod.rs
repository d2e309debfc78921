//! The kubelet in virtual time, with Pods bound by hand.

#![allow(clippy::wildcard_imports, reason = "the lab is the language of these tests")]

mod lab;
mod lifecycle;
mod probes;
mod recordings;
mod restarts;
mod volumes;
