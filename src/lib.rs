//! Proves that Kubernetes course material still works.

pub mod clock;
pub mod cluster;
pub mod exit_code;
pub mod judge;
pub mod progress;
pub mod report;
pub mod scenario;
pub mod timeline;
pub mod verdict;
