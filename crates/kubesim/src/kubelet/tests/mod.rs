//! The kubelet in virtual time, with Pods bound by hand.

mod lab;
mod lifecycle;
mod probes;
mod recordings;
mod restarts;
