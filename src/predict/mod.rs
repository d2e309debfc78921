//! What a reader will see: the same manifests applied to many simulated clusters, each with a seed of its own, and what their Pods'
//! rows in kubectl's table have in common.

mod history;
mod prediction;
mod scenario;
mod simulate;
mod table;

pub use history::{History, Pod, PodHistory, PodName, Recorder, State, Step};
pub use prediction::{PredictedRow, Prediction, Variant};
pub use scenario::scenario;
pub use simulate::{PredictError, PredictOptions, predict};
pub use table::table;
