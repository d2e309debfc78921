//! The driver: the nine stages from provisioning to tearing down, in order, on every path.

mod all;
mod histories;
mod recording;
mod scenario;
mod step;

pub use all::{Keep, RunOptions, run};
pub use histories::run_histories;
