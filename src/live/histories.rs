//! How many histories have been simulated so far.

use indicatif::{ProgressBar, ProgressStyle};

/// On a terminal, a bar on standard error; nothing elsewhere.
pub struct HistoriesProgress(ProgressBar);

impl HistoriesProgress {
    /// A bar for so many histories.
    pub fn stderr(histories: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(histories), super::target());
        let style = ProgressStyle::with_template("Simulating {wide_bar} {pos}/{len} histories");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// One more has ended.
    pub fn ended(&self) {
        self.0.inc(1);
    }
}

impl Drop for HistoriesProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
