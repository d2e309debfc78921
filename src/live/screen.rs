//! What stands below the lines on a terminal and changes in place.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::Board;
use super::names::Names;
use super::transcript::TEARING_DOWN;
use crate::progress::Progress;
use crate::report::text::printable;
use crate::timeline::Observation;

const TICK: Duration = Duration::from_millis(120);

/// The part of a terminal that changes in place.
pub(super) struct Screen {
    bars: MultiProgress,
    /// Spinners turn.
    is_ticking: bool,
    names: Names,
    phases: Vec<ProgressBar>,
    scenarios: BTreeMap<usize, (ProgressBar, Board)>,
}

impl Screen {
    pub(super) fn new(names: Names, target: ProgressDrawTarget, is_ticking: bool) -> Self {
        Self { bars: MultiProgress::with_draw_target(target), is_ticking, names, phases: Vec::new(), scenarios: BTreeMap::new() }
    }

    /// Changes what stands in place, then adds the lines above it.
    pub(super) fn show(&mut self, lines: &[String], progress: &Progress) {
        match progress {
            Progress::PhaseStarted(text) => {
                let bar = self.spinner("{spinner} {msg} {elapsed}");
                bar.set_message(printable(text));
                self.phases.push(bar);
            }
            Progress::PhaseEnded(_) => self.phases.pop().iter().for_each(ProgressBar::finish_and_clear),
            Progress::ScenarioStarted { scenario, .. } => {
                let bar = self.spinner("{spinner} {prefix} {elapsed}  {msg}");
                bar.set_prefix(self.names.scenario(*scenario).to_owned());
                self.scenarios.insert(*scenario, (bar, Board::default()));
            }
            Progress::StepStarted { scenario, step } => {
                let name = self.names.step(*scenario, *step);
                self.change(*scenario, |board| board.step_started(name));
            }
            Progress::Observed { scenario, entry } => {
                if let Observation::Object(object) = &entry.what {
                    self.change(*scenario, |board| board.observed(object));
                }
            }
            Progress::TearingDown { scenario } => self.change(*scenario, |board| board.step_started(TEARING_DOWN.to_owned())),
            Progress::ScenarioEnded { scenario, .. } => {
                self.scenarios.remove(scenario).iter().for_each(|(bar, _)| bar.finish_and_clear());
            }
            Progress::Warning(_)
            | Progress::Decided { .. }
            | Progress::Checkpoint(_)
            | Progress::Interrupted
            | Progress::Kept(_) => {}
        }
        for line in lines {
            // A terminal that has gone away is no reason to stop a run.
            let _ = self.bars.println(line);
        }
    }

    fn change(&mut self, scenario: usize, change: impl FnOnce(&mut Board)) {
        if let Some((bar, board)) = self.scenarios.get_mut(&scenario) {
            change(board);
            bar.set_message(board.lines().join("\n"));
        }
    }

    fn spinner(&self, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = self.bars.add(ProgressBar::new_spinner().with_style(style));
        if self.is_ticking {
            bar.enable_steady_tick(TICK);
        }
        bar
    }
}

impl Drop for Screen {
    /// Nothing that changes in place outlives the run.
    fn drop(&mut self) {
        self.phases.iter().chain(self.scenarios.values().map(|(bar, _)| bar)).for_each(ProgressBar::finish_and_clear);
        let _ = self.bars.clear();
    }
}
