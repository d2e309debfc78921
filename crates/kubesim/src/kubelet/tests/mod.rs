//! The kubelet in virtual time, with Pods bound by hand.

mod lab;
mod lifecycle;
mod load;
mod probes;
mod recordings;
mod restarts;
