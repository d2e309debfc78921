//! placeholder
use super::terminal::Terminal;
use labproof::plan::Plan;
use labproof::progress::Progress;
pub(crate) struct LiveProgress;
impl LiveProgress {
    pub(crate) fn new(_: &Plan, _: &Terminal) -> Self {
        Self
    }
    pub(crate) fn show(&mut self, p: &Progress) {
        if !matches!(p, Progress::Checkpoint(_) | Progress::Observed { .. }) {
            eprintln!("{p:?}")
        }
    }
}
