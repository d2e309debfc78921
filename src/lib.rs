//! Proves that Kubernetes course material still works.

pub mod act;
pub mod clean;
pub mod clock;
pub mod cluster;
pub mod diagnostic;
pub mod doctor;
mod errors;
pub mod exit_code;
pub mod images;
pub mod judge;
pub mod live;
pub mod manifest;
pub mod observe;
pub mod plan;
pub mod predict;
pub mod progress;
pub mod report;
pub mod resources;
pub mod run;
pub mod scenario;
pub mod testing;
pub mod timeline;
pub mod verdict;
mod yaml;
